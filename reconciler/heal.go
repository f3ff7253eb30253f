package reconciler

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/cluster"
	"github.com/plumbline-dev/plumbline/reconciler/drift"
)

// act settles suspects and heals drift, where it is due and allowed. It is when
// there will be something to do: after a bug, at the next interval.
func (r *Reconciler) act(ctx context.Context) (at time.Time) {
	var bug error
	defer func() {
		if bug != nil {
			at = r.o.Now().Add(r.o.Interval)
		}
	}()
	defer r.recovered("heal", &bug)
	if now := r.o.Now(); now.Before(r.outage.until) {
		return earliest(r.outage.until, r.driftReport())
	}
	next := r.askedAgain(ctx)
	fresh := r.fresh
	r.fresh = nil // what was read a turn ago is not fresh any more
	if len(r.drifts) > 0 && r.ready() {
		heal, settle, wake := r.choose()
		if len(heal)+len(settle) > 0 {
			r.heal(ctx, heal, fresh)
			r.settle(ctx, settle)
			_, _, wake = r.choose()
		}
		next = earliest(next, wake)
	}
	return earliest(next, r.endShifts(), r.rediscoverGone(ctx), r.driftReport())
}

// choose decides about every drifted object: which are to be healed now, which
// to be settled without a write, and when there will be more to do.
func (r *Reconciler) choose() (heal, settle []plumbline.Ref, wake time.Time) {
	in := rules{now: r.o.Now(), readOnly: r.o.ReadOnly, action: r.o.Drift}
	in.open, in.until, in.why = r.o.Gate(in.now)
	for ref, d := range r.drifts {
		if r.aside.has(ref) {
			continue // it comes back
		}
		s := in.decide(r.subject(ref, d))
		d.left = s.do == stepLeave
		if d.left || d.tries == 0 {
			d.why = s.why
		}
		switch s.do {
		case stepHeal:
			heal = append(heal, ref)
		case stepSettle:
			settle = append(settle, ref)
		case stepWait, stepLeave:
			wake = earliest(wake, s.until)
		}
	}
	if len(heal)+len(settle) > 0 {
		wake = in.now
	}
	slices.SortFunc(heal, plumbline.Ref.Compare)
	slices.SortFunc(settle, plumbline.Ref.Compare)
	return heal, settle, wake
}

func (r *Reconciler) subject(ref plumbline.Ref, d *drifted) subject {
	s := subject{drifted: *d, fight: r.history[ref].Fight, kept: r.o.Heal != nil && !r.o.Heal(ref)}
	s.desired, _ = r.desired.Get(ref)
	if e, ok := r.inv.Get(ref); ok {
		s.applied = e.Checksum
	}
	return s
}

// allowed tells whether a suspect may be settled now; if not, it waits for its
// turn.
func (r *Reconciler) allowed(d *drifted) bool {
	now := r.o.Now()
	if (d.verdict.State != plumbline.StateSuspect && !d.shift) || r.suspect.AllowN(now, 1) {
		return true
	}
	d.due = now.Add(100 * time.Millisecond)
	return false
}

// heal applies objects again, all at once. What was read of them in this turn
// need not be read again.
func (r *Reconciler) heal(ctx context.Context, refs []plumbline.Ref, fresh found) {
	var p plumbline.Plan
	before := map[plumbline.Ref]drifted{}
	for _, ref := range refs {
		d := r.drifts[ref]
		if !r.allowed(d) {
			continue
		}
		o, _ := r.desired.Get(ref)
		c := plumbline.Change{Ref: ref, Op: plumbline.OpConfigure, Origin: o.Origin, Wave: plumbline.WaveWorkload, Reason: reasonDrift}
		if d.verdict.State == plumbline.StateMissing {
			c.Op = plumbline.OpCreate
		}
		p.Changes = append(p.Changes, c)
		before[ref] = *d
	}
	failed, err := r.beforeCreate(ctx, &p, fresh)
	if err != nil {
		for ref := range before {
			r.healFailed(ref, before[ref], err)
		}
		return
	}
	for _, c := range p.Changes {
		switch c.Op {
		case plumbline.OpConflict:
			r.healFailed(c.Ref, before[c.Ref], plumbline.Errorf(plumbline.KindDenied, "", "%s", c.Reason))
		case plumbline.OpSkip:
			why := failed[c.Ref]
			if why == nil {
				why = plumbline.Errorf(plumbline.KindWaiting, "", "%s", c.Reason)
			}
			r.healFailed(c.Ref, before[c.Ref], why)
		}
	}
	done, _ := r.execute(ctx, p, r.desired) // nothing waits: no mode changes
	for _, a := range done {
		r.takeHeal(before[a.Ref], a)
	}
}

// beforeCreate looks whether something else stands in the place of missing
// objects, and writes down those that are about to be made again.
func (r *Reconciler) beforeCreate(ctx context.Context, p *plumbline.Plan, fresh found) (unread, error) {
	if p.Count(plumbline.OpCreate) == 0 {
		return nil, nil
	}
	failed := r.preread(ctx, p, r.desired, fresh)
	for _, c := range p.Changes {
		if c.Op == plumbline.OpCreate {
			e, _ := r.inv.Get(c.Ref)
			e.UID, e.Checksum, e.Verified = "", "", drift.Record{}
			r.inv.Put(e)
		}
	}
	if p.Count(plumbline.OpCreate) == 0 {
		return failed, nil
	}
	return failed, r.save(ctx, false)
}

// takeHeal takes in what came of settling or healing one object.
func (r *Reconciler) takeHeal(before drifted, a applied) {
	now := r.o.Now()
	suspect := before.verdict.State == plumbline.StateSuspect
	if suspect {
		r.settled[a.Ref] = now
	}
	if a.Err != nil {
		r.healFailed(a.Ref, before, a.Err)
		return
	}
	r.healDirty = true
	if before.shift {
		r.takeShifted(a.Ref, !suspect || (a.Action != plumbline.ActionUnchanged && !a.ownershipOnly))
		return // it is told as part of a shift
	}
	v := before.verdict
	switch {
	case suspect && before.drifted != nil:
		v = *before.drifted // the heal was done, and its answer was lost
	case suspect && (a.Action == plumbline.ActionUnchanged || a.ownershipOnly):
		return // it only looked like it
	case suspect:
		v = exposed(before, a.taken)
		r.history[a.Ref] = r.history[a.Ref].Drifted(v, now)
		r.tellDrift(v)
	}
	r.history[a.Ref] = r.history[a.Ref].Healed(now)
	r.heals.count++
	r.heals.at, r.heals.last = now.UTC(), v
	r.recordDirty = true
	r.log.Info("healed", keyObject, a.Ref.String(), keyAfter, now.Sub(before.since).Round(time.Millisecond))
	r.o.Progress(Event{Kind: EventHealed, Verdict: v, Outcome: a.Outcome, UID: r.uid(a.Ref)})
}

// exposed is the verdict on a suspect that turned out to be drift: metadata
// tells who was at it; where, only if the API server named the fields.
func exposed(d drifted, taken []plumbline.Field) plumbline.Verdict {
	v := d.verdict
	v.State = plumbline.StateDrifted
	v.Fields = taken
	if len(taken) == 0 {
		v.Fields = []plumbline.Field{d.by}
	}
	return v
}

// healFailed notes that an object was not healed, and when that is tried again.
func (r *Reconciler) healFailed(ref plumbline.Ref, before drifted, err error) {
	d := r.drifts[ref]
	if d == nil {
		d = &before
		r.drifts[ref] = d
	}
	d.why = oneLine(cause(err).Error())
	switch {
	case unsent(err):
		d.due = r.outage.until
		return
	case errors.Is(err, errUnanswered):
		return
	}
	d.tries++
	wait := max(askedFor(err), backoff(d.tries, time.Minute))
	switch kind := plumbline.KindOf(err); {
	case errors.Is(err, cluster.ErrConflict):
		wait = backoff(d.tries-1, time.Minute)
	case kind == plumbline.KindDenied, kind == plumbline.KindInvalid:
		wait = max(r.o.Interval, backoff(d.tries, 5*time.Minute))
	}
	d.due = r.o.Now().Add(wait)
	if d.shift && r.shiftFailed(ref, d.why) {
		return
	}
	r.log.Warn("not healed", keyObject, ref.String(), keyErr, err)
}

// settleDrift takes in that a commit wrote an object, of which before is what was
// known of its drift.
func (r *Reconciler) settleDrift(before *drifted, a applied) {
	if before != nil && before.verdict.State != plumbline.StateSuspect {
		r.takeHeal(*before, a)
	}
	r.endFight(a.Ref)
}

// endFight forgets the fight over an object, because a commit changed it.
func (r *Reconciler) endFight(ref plumbline.Ref) {
	if r.history[ref].Fight != nil {
		delete(r.history, ref)
	}
}
