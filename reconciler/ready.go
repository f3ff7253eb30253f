package reconciler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/plumbline-dev/plumbline"
)

// reasonUnready comes with an error of its own.
const reasonUnready = "what it makes way for is not ready yet"

// errUnready is in the errors of reasonUnready.
var errUnready = errors.New("not ready")

// readiness tells of a live Knative Service, Route or Deployment, as JSON,
// whether it does its work as its newest generation says, and if not, why.
func readiness(live []byte) (ready bool, why string, err error) {
	var o struct {
		Kind     string
		Metadata struct{ Generation int64 }
		Spec     struct{ Replicas *int32 }
		Status   struct {
			ObservedGeneration                                 int64
			UpdatedReplicas, AvailableReplicas                 int32
			LatestCreatedRevisionName, LatestReadyRevisionName string
			Conditions                                         []condition
		}
	}
	if err := json.Unmarshal(live, &o); err != nil {
		return false, "", err
	}
	s := o.Status
	if s.ObservedGeneration < o.Metadata.Generation {
		return false, "its controller has not seen it yet", nil
	}
	if o.Kind == "Deployment" {
		want := int32(1)
		if o.Spec.Replicas != nil {
			want = *o.Spec.Replicas
		}
		if have := min(s.UpdatedReplicas, s.AvailableReplicas); have < want {
			return false, fmt.Sprintf("%d of %d pods are available%s", have, want, unmet(s.Conditions, "Progressing")), nil
		}
		return true, "", nil
	}
	for _, c := range s.Conditions {
		if c.Type == "Ready" && c.Status == "True" && s.LatestCreatedRevisionName == s.LatestReadyRevisionName {
			return true, "", nil
		}
	}
	return false, "it is not Ready" + unmet(s.Conditions, "Ready"), nil
}

type condition struct{ Type, Status, Reason, Message string }

// unmet is ": reason: message" of a condition that is False, or not known to be
// True.
func unmet(conditions []condition, kind string) string {
	for _, c := range conditions {
		switch {
		case c.Type != kind || c.Status == "True":
		case c.Message != "":
			return ": " + c.Reason + ": " + c.Message
		case c.Reason != "":
			return ": " + c.Reason
		}
	}
	return ""
}

// isWorkload tells whether an object runs pods.
func isWorkload(ref plumbline.Ref) bool { p := partOf(ref); return p.knative || p.deployment }

// needsReady are, for each service that takes a step of its change of mode in
// this wave, the objects that have to be ready before: the workloads, before
// anything makes way for them; the Route too, before the rest of the old mode is
// deleted. A name that nobody holds any more is taken at once: waiting would help
// nobody. The first n of changes are this wave, the others are the later ones.
func (s *steps) needsReady(changes []plumbline.Change, n int, objects plumbline.Objects) map[service][]plumbline.Ref {
	wave := changes[0].Wave
	if len(s.modes) == 0 || wave < plumbline.WaveRelease {
		return nil
	}
	waits := map[service]bool{}
	for _, c := range changes[:n] {
		of := s.of(c.Ref)
		_, staged := s.modes[of]
		write := c.Op == plumbline.OpCreate || c.Op == plumbline.OpConfigure || c.Op == plumbline.OpDelete
		if !staged || !write || s.undone[of] != "" || s.begun[of] && wave != plumbline.WaveReplaced {
			continue
		}
		if wave != plumbline.WaveClaim || c.Op == plumbline.OpConfigure && partOf(c.Ref).reached {
			waits[of] = true
		} else if _, known := waits[of]; !known {
			waits[of] = false
		}
	}
	out := map[service][]plumbline.Ref{}
	for of, wait := range waits {
		if s.begun[of] = true; wait {
			out[of] = nil
		}
	}
	if len(out) == 0 {
		return nil
	}
	for ref, o := range objects.All() {
		of := service{o.Project, o.Service}
		if _, ok := out[of]; ok && (isWorkload(ref) || partOf(ref).route && wave == plumbline.WaveReplaced) {
			out[of] = append(out[of], ref)
		}
	}
	return out
}

// awaitReady reads the objects that have to be ready before this wave, and holds
// back the services whose objects are not.
func (r *Reconciler) awaitReady(ctx context.Context, s *steps, changes []plumbline.Change, n int, objects plumbline.Objects) {
	if r.o.ReadyTimeout == 0 {
		return
	}
	for of, refs := range s.needsReady(changes, n, objects) {
		for _, ref := range refs {
			o, _ := objects.Get(ref)
			if err := r.unready(ctx, o); err != nil {
				r.awaited[ref] = true
				s.undone[of], s.errs[of] = reasonUnready, err
				break
			}
		}
	}
}

// unready is why an object is not ready, nil where it is: KindWaiting, or
// KindUnhealthy once Options.ReadyTimeout has passed since our last apply that
// changed it.
func (r *Reconciler) unready(ctx context.Context, o *plumbline.Object) error {
	e := &plumbline.Error{Op: "wait for", Kind: plumbline.KindWaiting, Ref: o.Ref, Origin: o.Origin}
	live, _, err := r.o.Client.Live(ctx, *o)
	if err != nil {
		e.Kind, e.Err = plumbline.KindUnset, err
		return e
	}
	ready, why, err := readiness(live)
	switch {
	case err != nil:
		e.Kind, e.Err = plumbline.KindInternal, err
		return e
	case ready:
		return nil
	}
	e.Err = fmt.Errorf("%w: %s; what it replaces stays", errUnready, why)
	seen, ok := r.watch.Get(o.Ref)
	if ok && seen.Own != nil && !r.o.Now().Before(time.Unix(seen.Own.Time, 0).Add(r.o.ReadyTimeout)) {
		e.Kind = plumbline.KindUnhealthy
		e.Err = fmt.Errorf("%w after %s: %s; what it replaces stays", errUnready, r.o.ReadyTimeout, why)
	}
	return e
}

// wakeUnready has what waits for an object to become ready tried again when that
// changed.
func (r *Reconciler) wakeUnready(changed []plumbline.Ref) {
	for _, ref := range changed {
		if r.awaited[ref] {
			r.head.tries.wake(errUnready, r.o.Now())
			if !r.head.retry.IsZero() {
				r.head.retry = r.o.Now()
			}
			return
		}
	}
}

// wake makes due what failed for a reason, if it is to be tried again at all.
func (t tries) wake(why error, now time.Time) {
	for ref, at := range t {
		if errors.Is(at.err, why) && !at.due.IsZero() {
			at.due = now
			t[ref] = at
		}
	}
}
