package events

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler"
	"github.com/plumbline-dev/plumbline/reconciler/cluster"
)

var (
	cart  = plumbline.Ref{Group: "serving.knative.dev", Kind: "Service", Namespace: "shop", Name: "cart-v1"}
	drift = plumbline.Verdict{Ref: cart, State: plumbline.StateDrifted, Fields: []plumbline.Field{{Path: ".spec.template", Manager: "kubectl-edit"}}}
	head  = plumbline.Commit{SHA: strings.Repeat("ab", 20)}
)

func TestNotes(t *testing.T) {
	t.Parallel()
	done := func(a plumbline.Action) plumbline.Outcome { return plumbline.Outcome{Ref: cart, Action: a} }
	run := func(r reconciler.Result) reconciler.Event {
		r.Commit = head
		return reconciler.Event{Kind: reconciler.EventRun, Result: r}
	}
	cases := []struct {
		name  string
		event reconciler.Event
		want  []string
	}{
		{"a drift", reconciler.Event{Kind: reconciler.EventDrift, Verdict: drift}, []string{"Warning Drifted " + cart.String() + ": " + drift.String()}},
		{"a kind of which ownership moved", reconciler.Event{Kind: reconciler.EventShift, Shift: reconciler.Shift{
			Kind: plumbline.GroupKind{Group: "serving.knative.dev", Kind: "Route"}, Objects: 12, Reason: "its CustomResourceDefinition changed",
		}}, []string{"Warning OwnershipMoved : checking 12 objects of kind Route: its CustomResourceDefinition changed"}},
		{"a fight", reconciler.Event{Kind: reconciler.EventDrift, Verdict: drift, Fight: true}, []string{
			"Warning Drifted " + cart.String() + ": " + drift.String(),
			"Warning Fight " + cart.String() + ": " + drift.String() + ": it is taken back each time, so healing stopped; a commit that changes the object starts it again",
		}},
		{"a suspect", reconciler.Event{Kind: reconciler.EventSuspect, Verdict: drift}, nil},
		{"a heal", reconciler.Event{Kind: reconciler.EventHealed, Verdict: drift}, []string{"Normal Healed " + cart.String() + ": put right: " + drift.String()}},
		{"a delete", reconciler.Event{Kind: reconciler.EventOutcome, Outcome: done(plumbline.ActionDeleted)}, []string{"Normal Pruned " + cart.String() + ": no longer defined"}},
		{"a write", reconciler.Event{Kind: reconciler.EventOutcome, Outcome: done(plumbline.ActionConfigured)}, nil},
		{"fields of others", reconciler.Event{Kind: reconciler.EventOutcome, Outcome: plumbline.Outcome{
			Ref: cart, Action: plumbline.ActionFailed, Err: fmt.Errorf("x: %w", &cluster.OwnedError{Fields: []string{".spec"}}),
		}}, []string{"Warning Conflict " + cart.String() + ": not applied: others own [.spec]"}},
		{"any other failure", reconciler.Event{Kind: reconciler.EventOutcome, Outcome: plumbline.Outcome{Ref: cart, Action: plumbline.ActionFailed, Err: errors.New("hunter2")}}, nil},
		{"a commit that changes nothing", run(reconciler.Result{Total: 3, Outcomes: []plumbline.Outcome{done(plumbline.ActionUnchanged), done(plumbline.ActionSkipped)}}), nil},
		{"a commit", run(reconciler.Result{Outcomes: []plumbline.Outcome{done(plumbline.ActionDeleted), done(plumbline.ActionCreated), done(plumbline.ActionCreated), done(plumbline.ActionUnchanged)}}), []string{
			"Normal Applied : abababa: 2 created, 1 deleted",
		}},
		{"a commit that is not applied as a whole", run(reconciler.Result{Err: errors.New("x"), Outcomes: []plumbline.Outcome{done(plumbline.ActionCreated)}}), nil},
		{"an object of someone else", run(reconciler.Result{Plan: plumbline.Plan{Changes: []plumbline.Change{{Ref: cart, Op: plumbline.OpConflict, Reason: "not ours"}}}}), []string{
			"Warning Conflict " + cart.String() + ": not applied: not ours",
		}},
		{"the budget", run(reconciler.Result{Prune: reconciler.PruneDecision{Blocked: map[plumbline.Ref]string{cart: "x"}, Summary: "2 deletes wait"}}), []string{
			"Warning PruneBlocked : abababa: 2 deletes wait",
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, n := range notesOf(c.event) {
				about := ""
				if !n.about.IsZero() {
					about = n.about.String()
				}
				got = append(got, fmt.Sprintf("%s %s %s: %s", n.eventType(), n.reason, about, n.message))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// recorder writes to a fake API server, at a time that the test moves.
func recorder(t *testing.T, log *strings.Builder) (*Recorder, *fake.Clientset, *time.Time) {
	t.Helper()
	client := fake.NewClientset()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r := New(t.Context(), Options{
		Client: client.CoreV1(), Namespace: "own", Environment: "production", Host: "here",
		Logger: slog.New(slog.NewTextHandler(log, nil)), Now: func() time.Time { return now },
	})
	return r, client, &now
}

func created(c *fake.Clientset) []corev1.Event {
	var out []corev1.Event
	for _, a := range c.Actions() {
		if create, ok := a.(k8stesting.CreateAction); ok {
			out = append(out, *create.GetObject().(*corev1.Event))
		}
	}
	return out
}

func TestRecorder(t *testing.T) {
	t.Parallel()
	r, client, now := recorder(t, &strings.Builder{})
	drifts := reconciler.Event{Kind: reconciler.EventDrift, Verdict: drift, UID: "u-1", Fight: true}
	r.Take(drifts)
	r.Take(drifts) // the same
	*now = now.Add(2 * repeat)
	r.Take(drifts) // again, but the fight is the same
	r.Take(reconciler.Event{Kind: reconciler.EventRun, Result: reconciler.Result{Commit: head, Outcomes: []plumbline.Outcome{{Action: plumbline.ActionCreated}}}})
	ns := plumbline.Ref{Kind: "Namespace", Name: "shop"}
	r.Take(reconciler.Event{Kind: reconciler.EventHealed, Verdict: plumbline.Verdict{Ref: ns, State: plumbline.StateMissing}})
	r.Close()
	var got []string
	for _, e := range created(client) {
		got = append(got, fmt.Sprintf("%s %s %s/%s %s", e.Namespace, e.Reason, e.InvolvedObject.Namespace, e.InvolvedObject.Name, e.InvolvedObject.UID))
	}
	want := []string{
		"shop Drifted shop/cart-v1 u-1",
		"shop Fight shop/cart-v1 u-1",
		"shop Drifted shop/cart-v1 u-1",
		"own Applied own/plumbline-inventory-production ",
		"default Healed /shop ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestRecorderIsLimited(t *testing.T) {
	t.Parallel()
	r, client, _ := recorder(t, &strings.Builder{})
	for i := range 500 {
		ref := cart
		ref.Name = fmt.Sprint("cart-", i)
		r.Take(reconciler.Event{Kind: reconciler.EventDrift, Verdict: plumbline.Verdict{Ref: ref, State: plumbline.StateMissing}})
	}
	r.Close()
	if n := len(created(client)); n != burst {
		t.Errorf("%d Events at one moment, want %d", n, burst)
	}
}

func TestRefusalIsToldOnce(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	r, client, _ := recorder(t, &log)
	client.PrependReactor("create", "events", func(k8stesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: "events"}, "", errors.New("no right"))
	})
	for i := range 3 {
		ref := cart
		ref.Name = fmt.Sprint("cart-", i)
		r.Take(reconciler.Event{Kind: reconciler.EventDrift, Verdict: plumbline.Verdict{Ref: ref, State: plumbline.StateMissing}})
	}
	r.Close()
	if n := strings.Count(log.String(), "no Event is written"); n != 1 {
		t.Errorf("told %d times:\n%s", n, log.String())
	}
}

func TestLongMessage(t *testing.T) {
	t.Parallel()
	r, _, _ := recorder(t, &strings.Builder{})
	defer r.Close()
	e := r.event(note{reason: Drifted, about: cart, at: time.Unix(1, 0), message: strings.Repeat("ä", 2000)})
	if len(e.Message) > maxMessage || strings.ToValidUTF8(e.Message, "") != e.Message || !strings.HasSuffix(e.Message, "…") {
		t.Errorf("message of %d bytes", len(e.Message))
	}
	if e.Type != corev1.EventTypeWarning || e.Count != 1 || e.LastTimestamp.IsZero() || e.Name != "" || e.GenerateName == "" {
		t.Errorf("%+v", e)
	}
}
