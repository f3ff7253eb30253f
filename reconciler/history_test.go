package reconciler_test

import (
	"fmt"
	"maps"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/plumbline-dev/plumbline/reconciler"
)

// happening is one thing of a history.
type happening struct {
	what    string
	name    string            // of the object it is about
	patch   string            // of an edit
	objects map[string]string // of a commit: colour by name
	writes  int               // of a crash: those that still get through
}

// String is for the log of a failed history.
func (h happening) String() string {
	switch h.what {
	case "commit":
		return fmt.Sprintf("commit %v", h.objects)
	case "edit":
		return fmt.Sprintf("edit %s %s", h.name, h.patch)
	case "crash":
		return fmt.Sprintf("crash after %d writes", h.writes)
	}
	return h.what + " " + h.name
}

// histories generates what may happen to an environment of four ConfigMaps.
func histories() *rapid.Generator[[]happening] {
	name := rapid.SampledFrom([]string{"a", "b", "c", "d"})
	colour := rapid.SampledFrom([]string{"blue", "green", "red"})
	one := rapid.Custom(func(t *rapid.T) happening {
		h := happening{what: rapid.SampledFrom([]string{"commit", "commit", "edit", "edit", "delete", "restart", "crash", "crash", "settle"}).Draw(t, "what")}
		switch h.what {
		case "commit":
			h.objects = rapid.MapOfN(name, colour, 1, 4).Draw(t, "objects")
		case "edit":
			h.name = name.Draw(t, "name")
			h.patch = rapid.SampledFrom([]string{
				`{"data":{"color":"theirs"}}`, `{"data":{"color":"blue"}}`, `{"data":{"color":null}}`, `{"data":{"theirs":"x"}}`,
				`{"metadata":{"labels":null}}`, `{"metadata":{"managedFields":[{}]}}`, `{"metadata":{"managedFields":[{}]},"data":{"color":"theirs"}}`,
			}).Draw(t, "patch")
		case "delete":
			h.name = name.Draw(t, "name")
		case "crash":
			h.writes = rapid.IntRange(0, 9).Draw(t, "writes")
		}
		return h
	})
	return rapid.SliceOfN(one, 3, 9)
}

// TestHistories plays random histories. Whatever happened, the next process
// brings live objects and inventory to what the head says, and the one after it
// has nothing to do.
func TestHistories(t *testing.T) {
	t.Parallel()
	const count = 24
	for seed := range count {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			history := histories().Example(seed)
			p := &past{w: newWorld(t), objects: map[string]string{"a": "blue", "b": "blue"}}
			t.Logf("history %v", history)
			p.commit()
			p.now = p.w.start()
			p.now.events.awaitRuns(t, p.w.repo.head(), 1)
			for _, h := range history {
				p.happen(t, h)
			}
			p.end(t)
		})
	}
}

// past is a history that is being played.
type past struct {
	w       *world
	now     *process
	objects map[string]string // of the head
}

// commit makes objects the head, and with them one that is always there.
func (p *past) commit() {
	files := map[string]string{"always.yaml": configMap("zz-always", "white")}
	for name, color := range p.objects {
		files[name+".yaml"] = configMap(name, color)
	}
	p.w.commit(files)
}

func (p *past) happen(t *testing.T, h happening) {
	t.Helper()
	res := p.w.dynamic.Resource(configMaps).Namespace(p.w.ns)
	var err error
	switch h.what {
	case "commit":
		p.objects = maps.Clone(h.objects)
		p.commit()
	case "edit":
		_, err = res.Patch(t.Context(), h.name, types.MergePatchType, []byte(h.patch), metav1.PatchOptions{FieldManager: "kubectl-edit"})
	case "delete":
		err = res.Delete(t.Context(), h.name, metav1.DeleteOptions{})
	case "settle":
		if p.w.between == nil { // one that is cut off may never get there
			p.now.events.awaitRuns(t, p.w.repo.head(), 1)
		}
	case "restart":
		p.now.stop()
		if p.w.between == nil {
			if err := p.now.r.Save(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		p.w.between = nil
		p.now = p.w.start()
	case "crash":
		p.now.stop()
		c := &cut{left: h.writes, reach: h.writes%2 == 0, killed: func() {}}
		p.w.between = c.between
		p.now = p.w.start()
	}
	if err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
}

// end lets a last process deal with everything.
func (p *past) end(t *testing.T) {
	t.Helper()
	p.now.stop()
	p.w.between = nil
	p.w.superset()
	p.now = p.w.start()
	p.now.events.await(t, func(e reconciler.Event) bool {
		return e.Kind == reconciler.EventRun && e.Result.Commit.SHA == p.w.repo.head() && e.Result.Err == nil
	})
	p.w.patch(configMaps, "zz-always", `{"data":{"color":"black"}}`, "kubectl-edit")
	p.now.events.await(t, healedAs("zz-always"))
	p.now.stop()
	if err := p.now.r.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := maps.Clone(p.objects)
	want["zz-always"] = "white"
	p.w.converged("at the end", want)
}
