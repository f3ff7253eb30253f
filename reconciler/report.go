package reconciler

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/plumbline-dev/plumbline"
)

// pendingStatus says that a commit is being applied: what is written of what is
// desired, and what is deleted, which no longer is.
func pendingStatus(context string, r Result) plumbline.Status {
	writes, deletes := r.Plan.Count(plumbline.OpCreate, plumbline.OpConfigure), r.Plan.Count(plumbline.OpDelete)
	text, more := fmt.Sprintf("Applying %d of %s", writes, objects(r.Total)), 0
	switch {
	case writes == 0:
		text = "Deleting " + objects(deletes)
	case deletes > 0:
		text += fmt.Sprintf(", deleting %d", deletes)
	}
	if modes := r.Plan.ModeChanges; len(modes) > 0 {
		text, more = text+"; "+modes[0].String(), len(modes)-1
	}
	return plumbline.Status{SHA: r.Commit.SHA, Context: context, State: plumbline.StatusPending, Description: describe(text, more)}
}

// syncStatus is what a result means for its commit.
func syncStatus(context string, r Result) plumbline.Status {
	s := plumbline.Status{SHA: r.Commit.SHA, Context: context}
	switch {
	case len(plumbline.Errors(r.Violations)) > 0:
		errs := plumbline.Errors(r.Violations)
		s.State = plumbline.StatusFailure
		s.Description = describe(errs[0].String(), len(errs)-1)
	case r.Err == nil && r.Closed != "":
		s.State, s.Description = plumbline.StatusPending, describe(r.Closed, 0)
	case r.Err == nil:
		s.State = plumbline.StatusSuccess
		s.Description = objects(r.Total) + " applied, in sync"
	default:
		s.State, s.Description = errorStatus(r.Err)
	}
	return s
}

// errorStatus is the state and the words for what kept a run from its end.
func errorStatus(err error) (plumbline.StatusState, string) {
	more, first := worst(err)
	state := plumbline.StatusFailure
	switch plumbline.KindOf(err) {
	case plumbline.KindInternal, plumbline.KindTransient:
		state = plumbline.StatusError
	case plumbline.KindWaiting:
		state = plumbline.StatusPending
	}
	return state, describe(oneLine(first.Error()), more)
}

// worst picks, of joined errors, the first with the kind that decides the
// state, and counts the others.
func worst(err error) (more int, first error) {
	all := flatten(err)
	kind := plumbline.KindOf(err)
	for _, e := range all {
		if plumbline.KindOf(e) == kind {
			return len(all) - 1, e
		}
	}
	return 0, err
}

func flatten(err error) []error {
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		var out []error
		for _, e := range j.Unwrap() {
			out = append(out, flatten(e)...)
		}
		return out
	}
	return []error{err}
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func objects(n int) string {
	if n == 1 {
		return "1 object"
	}
	return fmt.Sprintf("%d objects", n)
}

// describe cuts text so that with "(+more)" it fits a status.
func describe(text string, more int) string {
	tail := ""
	if more > 0 {
		tail = fmt.Sprintf(" (+%d)", more)
	}
	const ellipsis = "…"
	if limit := plumbline.MaxStatusDescription - len(tail); len(text) > limit {
		cut := limit - len(ellipsis)
		for cut > 0 && !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut] + ellipsis
	}
	return text + tail
}

// unhealedAfter is how long a drift may be on its way to be healed before it
// is a failure.
const unhealedAfter = 2 * time.Second

// driftContext is the context of the drift status beside a sync status.
func driftContext(context string) string { return context + "/drift" }

// driftStatus says what is drifted now, or what was healed last. The second
// value is when it will say something else by itself; zero for never.
func driftStatus(context string, drifts []*drifted, h healed, unwatched []string, now time.Time) (plumbline.Status, time.Time) {
	s := plumbline.Status{SHA: h.sha, Context: driftContext(context), State: plumbline.StatusSuccess, Description: "No drift"}
	if h.count > 0 {
		s.Description = describe(fmt.Sprintf("No drift · healed %d at %s: %s", h.count, clock(h.at), culprit(h.last, true)), 0)
	}
	var bad []*drifted
	var next time.Time
	for _, d := range drifts {
		if d.left || now.Sub(d.since) >= unhealedAfter {
			bad = append(bad, d)
		} else if due := d.since.Add(unhealedAfter); next.IsZero() || due.Before(next) {
			next = due
		}
	}
	if len(unwatched) > 0 {
		s.State = plumbline.StatusError
		s.Description = describe("drift is not known of "+strings.Join(unwatched, ", "), 0)
	}
	if len(bad) == 0 {
		return s, next
	}
	slices.SortFunc(bad, func(a, b *drifted) int { return a.verdict.Ref.Compare(b.verdict.Ref) })
	n := 0
	for _, d := range bad {
		n += max(1, len(d.verdict.Fields))
	}
	noun := "fields"
	if n == 1 {
		noun = "field"
	}
	text := fmt.Sprintf("%d %s drifted: %s", n, noun, culprit(bad[0].verdict, false))
	if why := bad[0].why; why != "" {
		text += " (" + why + ")"
	}
	s.State, s.Description = plumbline.StatusFailure, describe(text, len(bad)-1)
	return s, next
}

// culprit is "ksvc shop/cart-v1 spec.template.spec.containers by kubectl-edit
// 09:12Z"; short keeps the last step of the path only and leaves out the time.
func culprit(v plumbline.Verdict, short bool) string {
	s := v.Ref.Short()
	if v.State == plumbline.StateMissing {
		return s + " deleted"
	}
	if len(v.Fields) == 0 {
		return s + " changed"
	}
	f := v.Fields[0]
	path := strings.TrimPrefix(f.Path, ".")
	if path == "" {
		path = "changed"
	} else if short {
		path = lastStep(path)
	}
	s += " " + path + " by " + v.Managers()[0]
	if !short && !f.Time.IsZero() {
		s += " " + clock(f.Time)
	}
	return s
}

// lastStep of a field path. Keys of labels, annotations and data may hold dots
// themselves, so of those the whole key stays.
func lastStep(path string) string {
	for _, of := range []string{"metadata.labels.", "metadata.annotations.", "data.", "binaryData."} {
		if key, ok := strings.CutPrefix(path, of); ok && strings.Contains(key, ".") {
			return strings.TrimPrefix(path, "metadata.")
		}
	}
	return path[strings.LastIndexByte(path, '.')+1:]
}

func clock(t time.Time) string { return t.UTC().Format("15:04Z") }
