package reconciler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/cluster"
	"github.com/plumbline-dev/plumbline/reconciler/drift"
	"github.com/plumbline-dev/plumbline/reconciler/observe"
)

func (r *Reconciler) newWatch() {
	r.watch = observe.New(observe.Options{Source: r.o.Client, Logger: r.log, Cluster: r.clusterUID})
}

// start finds out where we are: whose installation this is, what it owns, and
// how that looks now.
func (r *Reconciler) start(ctx context.Context) error {
	if err := r.identify(ctx); err != nil {
		return err
	}
	r.loadAhead(r.posts.lifetime)
	l, err := r.o.Store.Load(ctx)
	if err != nil {
		return err
	}
	r.inv, r.rec, r.lost = l.Inventory, l.Record, !l.Found || l.Damaged != nil
	r.rebuild = r.lost
	if l.Damaged != nil {
		r.log.Error("the inventory is damaged: what of it cannot be read is never pruned", keyErr, l.Damaged)
	}
	if len(r.rec.Outbox) > 0 {
		if err := json.Unmarshal(r.rec.Outbox, r.o.Outbox); err != nil {
			r.log.Error("the outbox is not read: statuses may be sent again", keyErr, err)
		}
	}
	if len(r.rec.Drifts) > 0 {
		if err := json.Unmarshal(r.rec.Drifts, &r.heals); err != nil {
			r.log.Warn("the last heals are not read", keyErr, err)
		}
	}
	uid, err := r.clusterUID(ctx)
	if err != nil {
		return err
	}
	if r.rec.Cluster != "" && r.rec.Cluster != uid {
		r.log.Warn("this is another cluster than the inventory was written on: every record is verified again")
		r.rewound = true
	}
	if r.rewound = r.rewound || l.Rewound; r.rewound {
		r.forgetRecords()
	}
	r.rec.Cluster = uid
	r.watch.On(uid)
	if err := r.ensureWatched(ctx, plumbline.Objects{}); err != nil {
		return err
	}
	r.claimPlanned()
	return nil
}

// identify reads the uid of our own Namespace, and makes it where it is
// missing.
func (r *Reconciler) identify(ctx context.Context) error {
	ns := plumbline.Ref{Kind: "Namespace", Name: r.o.Namespace}
	m, err := r.o.Client.Identify(ctx, ns.Name, !r.o.ReadOnly)
	switch {
	case r.o.ReadOnly && errors.Is(err, cluster.ErrNotFound):
		m = "none" // nothing was ever installed, so nothing is ours
	case err != nil:
		return err
	}
	r.installation = m
	r.watch.Select(fmt.Sprintf("%s=%s,%s=%s,%s=%s,!serving.knative.dev/service,!serving.knative.dev/route",
		plumbline.LabelManagedBy, plumbline.ManagedBy,
		plumbline.LabelInstallation, r.installation,
		plumbline.LabelEnvironment, r.o.Environment))
	return nil
}

func (r *Reconciler) clusterUID(ctx context.Context) (string, error) {
	return r.o.Client.Identify(ctx, "kube-system", false)
}

// forgetRecords makes every object unverified.
func (r *Reconciler) forgetRecords() {
	for _, ref := range r.inv.Refs() {
		e, _ := r.inv.Get(ref)
		e.Verified = drift.Record{}
		r.inv.Put(e)
	}
}

// tellOrphans says, after the first commit since the inventory was lost, what
// carries our marks and no commit asks for. It is in no inventory, so it is
// never pruned.
func (r *Reconciler) tellOrphans() {
	if !r.lost {
		return
	}
	r.lost = false
	var names []string
	for _, o := range r.watch.All() {
		if _, listed := r.inv.Get(o.Ref); !listed && r.ours(o) {
			names = append(names, o.Ref.String())
		}
	}
	if len(names) > 0 {
		slices.Sort(names)
		r.log.Warn("the inventory was lost: these objects carry our marks and are in no definition; they are left alone", keyObjects, names)
	}
}

// unseen are the inventory's objects at the first look: those that are gone
// make no event.
func (r *Reconciler) unseen() []plumbline.Ref {
	if r.lookedAtAll {
		return nil
	}
	r.lookedAtAll = true
	return r.inv.Refs()
}

// stack of the goroutine, for the report of a bug: functions and lines, no
// values.
func stack() string { return string(debug.Stack()) }

// maxLogged is how many errors of one commit get a line in the log.
const maxLogged = 100

// logResult says what a run came to, unless the last one of the same commit came
// to the same.
func (r *Reconciler) logResult(h *head, res Result) {
	said := fmt.Sprint(res.Commit.SHA, res.Closed, res.Err)
	if said == h.said && len(res.Outcomes) == 0 {
		return
	}
	h.said = said
	log := r.log.With(keyCommit, res.Commit.Short())
	wrong := plumbline.Errors(res.Violations)
	for _, v := range wrong[:min(len(wrong), maxLogged)] {
		log.Warn("invalid definition", keyCode, v.Code, keyAt, v.Origin.String(), keyMessage, v.Message)
	}
	switch {
	case len(wrong) > maxLogged:
		log.Warn("more definitions are invalid: plumbline validate lists all", keyMore, len(wrong)-maxLogged)
	case len(wrong) > 0:
	case res.Err != nil:
		waiting := 0
		for _, err := range flatten(res.Err) {
			if unsent(err) {
				waiting++
				continue
			}
			log.Warn("not applied as a whole", keyKind, plumbline.KindOf(err).String(), keyErr, err)
		}
		if waiting > 0 {
			log.Warn("the API server is not available: the other objects are sent later", keyObjects, waiting, keyWait, r.outage.until.Sub(r.o.Now()).Round(time.Millisecond))
		}
	case res.Closed != "":
		log.Info("not applied now", keyReason, res.Closed)
	default:
		log.Info("in sync", keyObjects, res.Total, keyWritten, len(res.Outcomes), keyKept, res.Plan.Kept)
	}
}
