package reconciler

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/cluster"
	"github.com/plumbline-dev/plumbline/reconciler/drift"
)

// drifted is an object that is, or may be, not as we applied it.
type drifted struct {
	verdict plumbline.Verdict
	since   time.Time
	due     time.Time // when to settle or heal it; zero: at once
	tries   int       // failed tries since
	final   bool      // it is not going to be healed by itself
	why     string    // why not, for the status
	told    bool      // the log has it
	by      plumbline.Field
}

// healed is the memory of heals on the deployed commit. Its JSON form is kept
// in the environment's record.
type healed struct {
	sha   string
	count int
	at    time.Time
	last  plumbline.Verdict
	said  bool // the drift status of sha was ever wanted
}

type wireHealed struct {
	SHA   string            `json:"sha,omitempty"`
	Count int               `json:"count,omitempty"`
	At    time.Time         `json:"at,omitzero"`
	Last  plumbline.Verdict `json:"last,omitzero"`
	Said  bool              `json:"said,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (h healed) MarshalJSON() ([]byte, error) {
	return json.Marshal(wireHealed{h.sha, h.count, h.at, h.last, h.said})
}

// UnmarshalJSON implements json.Unmarshaler.
func (h *healed) UnmarshalJSON(b []byte) error {
	var w wireHealed
	if err := json.Unmarshal(b, &w); err != nil {
		return err
	}
	*h = healed{w.SHA, w.Count, w.At, w.Last, w.Said}
	return nil
}

// look judges objects of which something changed.
func (r *Reconciler) look(ctx context.Context, refs []plumbline.Ref) {
	gone := map[plumbline.GroupKind][]plumbline.Ref{}
	for _, ref := range refs {
		e, listed := r.inv.Get(ref)
		o, live := r.watch.Get(ref)
		switch {
		case !listed:
			continue
		case !e.Owned():
			continue // the next run claims it
		case live:
			r.judge(drift.Decide(e.Verified, o), drift.Suspicion(e.Verified, o))
		default:
			if ok, _ := r.watch.Synced(ref.GroupKind()); ok {
				gone[ref.GroupKind()] = append(gone[ref.GroupKind()], ref)
			}
		}
	}
	r.lookGone(ctx, gone)
}

// lookGone asks the API server for objects that left the watch: deleted, or
// only without our labels.
func (r *Reconciler) lookGone(ctx context.Context, gone map[plumbline.GroupKind][]plumbline.Ref) {
	if len(gone) == 0 {
		return
	}
	found, err := r.lookup(ctx, gone)
	if err != nil {
		if ctx.Err() == nil {
			r.log.Warn("objects that left the watch are asked for again", keyErr, err)
			for _, refs := range gone {
				r.askAgain = append(r.askAgain, refs...)
			}
			r.askAt = r.o.Now().Add(2 * time.Second)
		}
		return
	}
	for _, refs := range gone {
		for _, ref := range refs {
			e, _ := r.inv.Get(ref)
			if _, wanted := r.desired[ref]; !wanted && r.baseKnown {
				if o, ok := found[ref]; !ok || o.UID != e.UID {
					r.inv.Drop(ref) // it was on its way out, or someone took it away
					delete(r.drifts, ref)
					continue
				}
			}
			o, ok := found[ref]
			if !ok {
				r.judge(plumbline.Verdict{Ref: ref, State: plumbline.StateMissing}, plumbline.Field{})
				continue
			}
			v := drift.Decide(e.Verified, o)
			if v.State == plumbline.StateDrifted || v.State == plumbline.StateSuspect {
				r.watch.Set(o)
			}
			r.judge(v, drift.Suspicion(e.Verified, o))
		}
	}
}

// judge takes in a verdict; by is who is to blame if a suspect turns out to
// have drifted.
func (r *Reconciler) judge(v plumbline.Verdict, by plumbline.Field) {
	switch v.State {
	case plumbline.StateInSync:
		delete(r.drifts, v.Ref)
		return
	case plumbline.StateTerminating, plumbline.StateUnknown:
		return
	case plumbline.StateSuspect, plumbline.StateDrifted, plumbline.StateMissing:
	}
	now := r.o.Now()
	if _, wanted := r.desired[v.Ref]; !wanted && r.baseKnown && len(r.desired) > 0 {
		return // on its way out
	}
	d := r.drifts[v.Ref]
	if d == nil {
		d = &drifted{since: now}
		r.drifts[v.Ref] = d
	}
	doubted := d.verdict.State == plumbline.StateSuspect
	known := d.told && d.verdict.State == v.State && slices.Equal(d.verdict.Managers(), v.Managers())
	d.verdict, d.by = v, by
	if v.State == plumbline.StateSuspect {
		d.due = r.settleAt(v.Ref, now)
		if !doubted {
			r.o.Progress(Event{Kind: EventSuspect, Verdict: v})
		}
		return
	}
	if !known {
		d.told = true
		d.final, d.why = false, ""
		h := r.history[v.Ref].Drifted(v, now)
		r.history[v.Ref] = h
		d.due = h.NextHeal()
		r.log.Warn("drift", keyObject, v.Ref.String(), "state", string(v.State), "fields", paths(v), "managers", v.Managers())
		r.o.Progress(Event{Kind: EventDrift, Verdict: v})
	}
}

// settleAt is when a suspect may be settled: the first at once, then one per
// object and minute.
func (r *Reconciler) settleAt(ref plumbline.Ref, now time.Time) time.Time {
	last, ok := r.settled[ref]
	if !ok {
		return time.Time{}
	}
	if due := last.Add(time.Minute); due.After(now) {
		return due
	}
	return time.Time{}
}

func paths(v plumbline.Verdict) []string {
	var out []string
	for _, f := range v.Fields {
		out = append(out, f.Path)
	}
	return out
}

// act settles suspects and heals drift, where it is due and allowed. It is when
// there will be something to do.
func (r *Reconciler) act(ctx context.Context) time.Time {
	if len(r.askAgain) > 0 && !r.o.Now().Before(r.askAt) {
		refs := r.askAgain
		r.askAgain = nil
		r.look(ctx, refs)
	}
	var next time.Time
	if len(r.askAgain) > 0 {
		next = r.askAt
	}
	if len(r.drifts) == 0 || !r.ready() {
		return earliest(next, r.driftReport())
	}
	var heal, settle []plumbline.Ref
	now := r.o.Now()
	for ref, d := range r.drifts {
		if d.final {
			continue
		}
		if why, until := r.mayHeal(ref, d, now); why != "" {
			if d.verdict.State == plumbline.StateSuspect {
				if d.due.After(now) {
					next = earliest(next, d.due)
				} else if r.suspect.AllowN(now, 1) {
					settle = append(settle, ref)
				} else {
					next = earliest(next, now.Add(100*time.Millisecond))
				}
				continue
			}
			d.final, d.why = until.IsZero(), why
			next = earliest(next, until)
			continue
		}
		if d.due.After(now) {
			next = earliest(next, d.due)
			continue
		}
		if d.verdict.State == plumbline.StateSuspect && !r.suspect.AllowN(now, 1) {
			next = earliest(next, now.Add(100*time.Millisecond))
			continue
		}
		heal = append(heal, ref)
	}
	slices.SortFunc(heal, plumbline.Ref.Compare)
	slices.SortFunc(settle, plumbline.Ref.Compare)
	r.heal(ctx, heal)
	next = earliest(next, r.settle(ctx, settle))
	for _, d := range r.drifts {
		if !d.final && !d.due.IsZero() {
			next = earliest(next, d.due)
		}
	}
	return earliest(next, r.driftReport())
}

// mayHeal is why an object is not healed now, and until when that holds; zero
// for until something changes.
func (r *Reconciler) mayHeal(ref plumbline.Ref, d *drifted, now time.Time) (why string, until time.Time) {
	o, wanted := r.desired[ref]
	e, _ := r.inv.Get(ref)
	switch {
	case r.o.ReadOnly:
		return "mode observe", time.Time{}
	case r.o.Drift == DriftReport:
		return "drift.action is report", time.Time{}
	case !wanted:
		return "what it should be is not known", time.Time{}
	case o.Control.ReportDrift:
		return plumbline.AnnotationDrift + ": report", time.Time{}
	case e.Checksum != o.Checksum:
		return "its definition changed and is not applied yet", time.Time{}
	}
	if f := r.history[ref].Fight; f != nil {
		by := f.Manager
		if by == "" {
			by = "an unknown client"
		}
		return "fight with " + by + ", healing stopped", time.Time{}
	}
	if open, until, why := r.o.Gate(now); !open {
		return why, until
	}
	if r.o.Heal != nil && !r.o.Heal(ref) {
		return "healing is taken out", time.Time{}
	}
	return "", time.Time{}
}

// heal applies objects again, all at once.
func (r *Reconciler) heal(ctx context.Context, refs []plumbline.Ref) {
	if len(refs) == 0 {
		return
	}
	var p plumbline.Plan
	var objects []plumbline.Object
	create := false
	for _, ref := range refs {
		o := r.desired[ref]
		c := plumbline.Change{Ref: ref, Op: plumbline.OpConfigure, Origin: o.Origin, Wave: plumbline.WaveWorkload, Reason: reasonDrift}
		if r.drifts[ref].verdict.State == plumbline.StateMissing {
			c.Op = plumbline.OpCreate
			create = true
		}
		p.Changes = append(p.Changes, c)
		objects = append(objects, o)
	}
	if create {
		if err := r.beforeCreate(ctx, &p, objects); err != nil {
			r.postpone(refs, err)
			return
		}
	}
	before := map[plumbline.Ref]drifted{}
	for _, ref := range refs {
		before[ref] = *r.drifts[ref]
	}
	for _, out := range r.execute(ctx, p, objects) {
		r.takeHeal(before[out.Ref], out)
	}
	for _, c := range p.Changes {
		if d := r.drifts[c.Ref]; d != nil && c.Op == plumbline.OpConflict {
			d.final, d.why = true, c.Reason
		}
	}
}

// beforeCreate looks whether something else stands in the place of missing
// objects, and writes down those that are about to be made again.
func (r *Reconciler) beforeCreate(ctx context.Context, p *plumbline.Plan, objects []plumbline.Object) error {
	if err := r.preread(ctx, p, objects); err != nil {
		return err
	}
	any := false
	for _, c := range p.Changes {
		if c.Op == plumbline.OpCreate {
			e, _ := r.inv.Get(c.Ref)
			e.UID, e.Checksum, e.Verified = "", "", drift.Record{}
			r.inv.Put(e)
			any = true
		}
	}
	if !any {
		return nil
	}
	return r.save(ctx, false)
}

// postpone tries again later.
func (r *Reconciler) postpone(refs []plumbline.Ref, err error) {
	for _, ref := range refs {
		if d := r.drifts[ref]; d != nil {
			d.tries++
			d.due = r.o.Now().Add(backoff(d.tries, time.Minute))
		}
	}
	r.log.Warn("healing is tried again", keyErr, err)
}

// takeHeal takes in what came of settling or healing one object.
func (r *Reconciler) takeHeal(before drifted, out plumbline.Outcome) {
	now := r.o.Now()
	suspect := before.verdict.State == plumbline.StateSuspect
	if suspect {
		r.settled[out.Ref] = now
	}
	if out.Err != nil {
		r.healFailed(before, out)
		return
	}
	r.healDirty = true
	if suspect && out.Action == plumbline.ActionUnchanged {
		return // it only looked like it
	}
	v := before.verdict
	if suspect {
		v = r.exposed(v, before)
		r.history[out.Ref] = r.history[out.Ref].Drifted(v, now)
		r.log.Warn("drift", keyObject, v.Ref.String(), "state", string(v.State), "reason", v.Reason, "managers", v.Managers())
		r.o.Progress(Event{Kind: EventDrift, Verdict: v})
	}
	r.history[out.Ref] = r.history[out.Ref].Healed(now)
	r.heals.count++
	r.heals.at, r.heals.last = now.UTC(), v
	r.recordDirty = true
	r.log.Info("healed", keyObject, out.Ref.String(), "after", now.Sub(before.since).Round(time.Millisecond))
	r.o.Progress(Event{Kind: EventHealed, Verdict: v, Outcome: out})
}

// exposed is the verdict on a suspect that turned out to be drift: metadata
// tells who was at it, not where.
func (r *Reconciler) exposed(v plumbline.Verdict, before drifted) plumbline.Verdict {
	v.State = plumbline.StateDrifted
	v.Fields = []plumbline.Field{before.by}
	return v
}

func (r *Reconciler) healFailed(before drifted, out plumbline.Outcome) {
	d := r.drifts[out.Ref]
	if d == nil {
		d = &before
		r.drifts[out.Ref] = d
	}
	d.tries++
	switch kind := plumbline.KindOf(out.Err); {
	case errors.Is(out.Err, cluster.ErrConflict):
		d.due = r.o.Now().Add(backoff(d.tries-1, time.Minute))
	case kind == plumbline.KindDenied, kind == plumbline.KindInvalid:
		d.due = r.o.Now().Add(max(r.o.Interval, backoff(d.tries, 5*time.Minute)))
		d.why = oneLine(out.Err.Error())
	default:
		d.due = r.o.Now().Add(backoff(d.tries, time.Minute))
	}
	r.log.Warn("not healed", keyObject, out.Ref.String(), keyErr, out.Err)
}

// endFight forgets the fight over an object, because a commit changed it.
func (r *Reconciler) endFight(ref plumbline.Ref) {
	if h, ok := r.history[ref]; ok && h.Fight != nil {
		delete(r.history, ref)
	}
}

// settle asks the API server, by a dry-run that writes nothing, whether
// suspects drifted. It is for when they may not be healed.
func (r *Reconciler) settle(ctx context.Context, refs []plumbline.Ref) time.Time {
	var next time.Time
	for _, ref := range refs {
		d := r.drifts[ref]
		o, wanted := r.desired[ref]
		e, _ := r.inv.Get(ref)
		seen, live := r.watch.Get(ref)
		if !wanted || !live || e.Checksum != o.Checksum {
			d.final = true
			continue
		}
		// A dry-run shows drift by moving our entry's time, which has a
		// resolution of one second.
		now := r.o.Now()
		if seen.Own != nil && now.Unix() <= seen.Own.Time {
			d.due = time.Unix(seen.Own.Time+1, 0)
			next = earliest(next, d.due)
			continue
		}
		r.settled[ref] = now
		moved, err := r.dryRun(ctx, &o, seen)
		switch {
		case err != nil:
			d.tries++
			d.due = now.Add(backoff(d.tries, 5*time.Minute))
			next = earliest(next, d.due)
			r.log.Warn("a suspect is not settled", keyObject, ref.String(), keyErr, err)
		case moved:
			v := r.exposed(d.verdict, *d)
			r.judge(v, d.by)
		default:
			e.Verified = drift.Verify(seen)
			r.inv.Put(e)
			r.healDirty = true
			delete(r.drifts, ref)
		}
	}
	return next
}

// dryRun tells whether an apply of o would change what was seen.
func (r *Reconciler) dryRun(ctx context.Context, o *plumbline.Object, seen drift.Observation) (bool, error) {
	body, err := cluster.RequestBody(o.Body, cluster.Identity{Installation: r.installation, UID: seen.UID, ResourceVersion: seen.ResourceVersion})
	if err != nil {
		return false, at(err, o)
	}
	m, _, err := r.o.Client.Apply(ctx, cluster.Apply{Ref: o.Ref, Version: o.Version, Body: body, Force: true, DryRun: true})
	if err != nil {
		return false, at(err, o)
	}
	then := drift.Observe(o.Ref, m)
	return seen.Own == nil || then.Own == nil || then.Own.Time != seen.Own.Time || then.Own.Fields != seen.Own.Fields, nil
}

// driftReport wants the drift status of the deployed commit, once there is
// something to say. It is when it will say something else by itself.
func (r *Reconciler) driftReport() time.Time {
	if r.o.Reporter == nil || r.rec.Applied == "" {
		return time.Time{}
	}
	var list []*drifted
	for _, d := range r.drifts {
		if d.verdict.State != plumbline.StateSuspect {
			list = append(list, d)
		}
	}
	if r.heals.sha != r.rec.Applied {
		r.heals = healed{sha: r.rec.Applied}
	}
	s, next := driftStatus(r.o.Context, r.rec.Applied, list, r.heals, r.watch.Failing(), r.o.Now())
	if s.State == plumbline.StatusSuccess && r.heals.count == 0 && !r.heals.said {
		return next
	}
	if len(list) > 0 && s.State == plumbline.StatusSuccess && r.heals.count == 0 {
		return next // on its way to be healed: nothing to say yet
	}
	if !s.Equal(r.lastDrift) {
		r.lastDrift = s
		r.heals.said = true
		r.want(s)
	}
	return next
}
