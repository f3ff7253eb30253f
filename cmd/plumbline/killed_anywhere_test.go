package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/plumbline-dev/plumbline"
)

// Daemons that die, one after the other, somewhere in what they do, while
// commits are pushed and objects edited and deleted. The last process brings
// everything to what the head says: nothing of ours is left over, nothing of
// others was touched, no commit's status is left pending, and another process
// has nothing to do.
func TestKilledAnywhere(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 1))
			k := &killing{t: t, next: sameCommit}
			k.newStage()
			k.reportTo("notes")
			k.define("cart", "catalog", "mailer")
			k.once()
			bystanders := k.bystanders()
			killed := 0
			for range 6 {
				killed += k.disturb(rng)
			}
			k.once()
			k.wantEqual("at the end")
			if text, _, _ := unstructured.NestedString(k.banner().Object, "data", "text"); text != fmt.Sprint(k.round) {
				t.Errorf("the banner says %q, want that of round %d", text, k.round)
			}
			for _, b := range bystanders {
				now, err := k.configMaps().Get(t.Context(), b.GetName(), metav1.GetOptions{})
				if err != nil || now.GetResourceVersion() != b.GetResourceVersion() {
					t.Errorf("%s was touched: %v", b.GetName(), err)
				}
			}
			k.wantTold()
			k.quiet()
			if killed < 2 {
				t.Errorf("%d of 6 daemons died by a write of theirs: too few to mean something", killed)
			}
		})
	}
}

// reportTo makes statuses go to a forge of that kind.
func (k *killing) reportTo(kind string) {
	k.t.Helper()
	config, err := os.ReadFile(k.path("plumbline.yaml"))
	if err != nil {
		k.t.Fatal(err)
	}
	config = bytes.Replace(config, []byte("{kind: none}"), []byte("{kind: "+kind+"}"), 1)
	if err := os.WriteFile(k.path("plumbline.yaml"), config, 0o600); err != nil {
		k.t.Fatal(err)
	}
}

func (k *killing) configMaps() dynamic.ResourceInterface {
	return k.dynamic.Resource(schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}).Namespace(k.project)
}

func (k *killing) banner() *unstructured.Unstructured {
	k.t.Helper()
	o, err := k.configMaps().Get(k.t.Context(), "banner", metav1.GetOptions{})
	if err != nil {
		k.t.Fatal(err)
	}
	return o
}

// bystanders are objects of others in the project: one has our labels.
func (k *killing) bystanders() []*unstructured.Unstructured {
	k.t.Helper()
	var out []*unstructured.Unstructured
	for name, labels := range map[string]map[string]string{"theirs": nil, "copied": k.banner().GetLabels()} {
		o := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap"}}
		o.SetName(name)
		o.SetLabels(labels)
		o, err := k.configMaps().Create(k.t.Context(), o, metav1.CreateOptions{FieldManager: "cloner"})
		if err != nil {
			k.t.Fatal(err)
		}
		out = append(out, o)
	}
	return out
}

// disturb lets a daemon live for a while, in which there is a commit and people
// are at the objects. It returns 1 if the daemon died by one of its writes, and 0
// if it had to be killed when all was done.
func (k *killing) disturb(rng *rand.Rand) int {
	k.t.Helper()
	cmd := k.command(k.t.Context(), "run", "--config", "plumbline.yaml")
	k.daemon = &daemonProcess{cmd: cmd}
	cmd.Stderr = &k.daemon.out
	steps := []func(){k.edit(rng), k.edit(rng), func() {
		services := []string{"cart", "catalog", "mailer"}
		rng.Shuffle(len(services), func(i, j int) { services[i], services[j] = services[j], services[i] })
		k.define(services[:1+rng.IntN(3)]...)
	}}
	rng.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
	before := rng.IntN(len(steps) + 1) // the daemon starts
	for _, step := range steps[:before] {
		step()
	}
	if err := k.start(cmd, 1+rng.IntN(20), rng.IntN(2) == 0); err != nil {
		k.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for _, step := range steps[before:] {
		step()
	}
	k.await("the head is in sync, or the daemon is dead", func() (bool, string) {
		wrote, dead := k.last()
		told := k.notes(k.commits[len(k.commits)-1])
		inSync := slices.ContainsFunc(told, func(s plumbline.Status) bool {
			return s.Context == "plumbline/production" && s.State == plumbline.StatusSuccess
		})
		return dead || inSync, fmt.Sprintf("statuses %v; it wrote\n%s", told, k.ours(wrote))
	})
	_ = cmd.Process.Kill() // it may be dead
	err := <-ended
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.Exited()) {
		k.t.Fatalf("the daemon ended by itself: %v\n%s", err, k.log())
	}
	k.daemon = nil
	if err := errors.Join(os.RemoveAll(k.temp()), os.MkdirAll(k.temp(), 0o700)); err != nil {
		k.t.Fatal(err)
	}
	k.age(filepath.Join(k.origin(), "refs", "notes", "plumbline.lock"))
	write, killed := k.last()
	if !killed {
		return 0
	}
	k.t.Logf("killed after %s", k.ours(write))
	return 1
}

// age makes a file that the dead may have left an old one.
func (k *killing) age(path string) {
	k.t.Helper()
	if err := os.Chtimes(path, time.Time{}, time.Now().Add(-time.Hour)); err != nil && !errors.Is(err, os.ErrNotExist) {
		k.t.Fatal(err)
	}
}

// edit is what a person does to an object of ours.
func (k *killing) edit(rng *rand.Rand) func() {
	name := "banner"
	patch := []string{
		`{"data":{"text":"theirs"}}`, `{"data":{"theirs":"x"}}`, `{"metadata":{"labels":null}}`, `{"metadata":{"managedFields":[{}]}}`, "",
	}[rng.IntN(5)]
	return func() {
		var err error
		if marks, ok := strings.CutPrefix(patch, `{"metadata":{`); ok {
			// Where no process wrote down yet that it made the object, this takes
			// away what says so: it would be somebody else's.
			uid := k.inventory()[plumbline.Ref{Kind: "ConfigMap", Namespace: k.project, Name: name}].UID
			if uid == "" {
				return
			}
			patch = fmt.Sprintf(`{"metadata":{"uid":%q,`, uid) + marks
		}
		if patch == "" {
			err = k.configMaps().Delete(k.t.Context(), name, metav1.DeleteOptions{})
		} else {
			_, err = k.configMaps().Patch(k.t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "kubectl-edit"})
		}
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			k.t.Error(err)
		}
	}
}

// wantTold checks what was told of each commit: nothing, where it was passed
// over, and else something final; of the head, that it is in sync.
func (k *killing) wantTold() {
	k.t.Helper()
	for i, sha := range k.commits {
		last := map[string]plumbline.Status{}
		for _, s := range k.notes(sha) {
			last[s.Context] = s
		}
		sync, told := last["plumbline/production"]
		if told && sync.State == plumbline.StatusPending {
			k.t.Errorf("commit %d of %d is left pending: %s", i+1, len(k.commits), sync.Description)
		}
		if i == len(k.commits)-1 && (sync.State != plumbline.StatusSuccess || !strings.HasSuffix(sync.Description, "in sync")) {
			k.t.Errorf("the head says %s: %s", sync.State, sync.Description)
		}
		if drift := last["plumbline/production/drift"]; i == len(k.commits)-1 && drift.State != "" && drift.State != plumbline.StatusSuccess {
			k.t.Errorf("the head's drift says %s: %s", drift.State, drift.Description)
		}
	}
}
