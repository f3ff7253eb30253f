// Package reconciler keeps one environment of a cluster true to Git.
//
// A Reconciler has one loop, and the loop has everything: it is told of
// commits, of changes on the cluster and of the time, decides with the pure
// functions of this package and of reconciler/drift, and writes through
// reconciler/cluster. Slow work that decides nothing (fetching, rendering,
// posting statuses) is done beside it and comes back as a value.
//
//	commit  → render → check → plan → gate → save inventory ∪ → apply by wave → prune → report
//	event   → verdict → heal or report
//
// The package knows Git, rendering, policies and forges only by the ports in
// Options.
package reconciler

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"golang.org/x/time/rate"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/cluster"
	"github.com/plumbline-dev/plumbline/reconciler/drift"
	"github.com/plumbline-dev/plumbline/reconciler/observe"
	"github.com/plumbline-dev/plumbline/reconciler/state"
)

// Source is where commits come from.
type Source interface {
	// Fetch returns the head of the environment's branch.
	Fetch(ctx context.Context) (plumbline.Commit, error)
	// Snapshot opens the tree of a commit that was fetched.
	Snapshot(ctx context.Context, sha string) (plumbline.Snapshot, error)
	// Commits are those of the first-parent path in (from, to], newest first;
	// only to where from is not on it.
	Commits(ctx context.Context, from, to string) ([]plumbline.Commit, error)
}

// Rendered is what a commit means.
type Rendered struct {
	Objects    plumbline.Objects
	Violations []plumbline.Violation
}

// Renderer turns a snapshot into objects, and checks them.
type Renderer interface {
	Render(ctx context.Context, s plumbline.Snapshot) (Rendered, error)
}

// Reporter posts commit statuses.
type Reporter interface {
	Post(ctx context.Context, s plumbline.Status) error
	// Last is the newest status that the forge holds for key.
	Last(ctx context.Context, key plumbline.StatusKey) (plumbline.Status, bool, error)
}

// Outbox decides which status is sent when. It is a state machine without I/O;
// its JSON form is kept in the environment's record.
type Outbox interface {
	Want(s plumbline.Status, now time.Time)
	// Next is the status to send now; if there is none, again at wait, or never
	// when wait is zero.
	Next(now time.Time) (s plumbline.Status, ok bool, wait time.Time)
	Accepted(s plumbline.Status, now time.Time)
	Failed(s plumbline.Status, err error, now time.Time)
	// Open are the commits whose newest status in a context, sent or wanted, is
	// pending.
	Open(context string) []string
	json.Marshaler
	json.Unmarshaler
}

// PruneRequest asks what of Candidates may be deleted.
type PruneRequest struct {
	Services   int // services of the environment before the prune
	Candidates []Candidate
	History    json.RawMessage // what an earlier PruneDecision returned
	Commits    []plumbline.Commit
	Now        time.Time
}

// Candidate is an owned object that is not desired any more.
type Candidate struct {
	Ref              plumbline.Ref
	Project, Service string
	Keep             bool // plumbline.Control.KeepOnPrune
	Adopted          bool // it was there before us, or may have been
	Replaced         bool // its service stays, in another mode
}

// PruneDecision is the answer to a PruneRequest.
type PruneDecision struct {
	Allowed []plumbline.Ref
	Blocked map[plumbline.Ref]string // why each of the others stays
	Kept    map[plumbline.Ref]string // as Blocked, but nobody waits for them to go
	History json.RawMessage
	Summary string // one sentence for the status; empty when nothing is blocked
}

// Gate tells whether objects may be written now, until when that holds (zero:
// for ever), and why not.
type Gate func(now time.Time) (open bool, until time.Time, why string)

// DriftAction is what follows on drift.
type DriftAction string

// The actions.
const (
	DriftHeal   DriftAction = "heal"
	DriftReport DriftAction = "report"
)

// Options of a Reconciler. All fields but those marked optional are required.
type Options struct {
	Environment string
	Namespace   string // Plumbline's own on the cluster
	Interval    time.Duration
	Jitter      func(time.Duration) time.Duration // of the interval; optional
	Context     string                            // of the sync status; the drift status adds "/drift"
	ReadOnly    bool                              // mode observe: no object and no state is ever written
	Drift       DriftAction
	Foreign     Foreign // optional: ignored
	Adopt       bool    // allow.adopt
	// ReadyTimeout is how long a service that changes its mode may wait for its
	// new objects to become ready before that is a failure; 0: it does not wait.
	ReadyTimeout time.Duration
	Workers      int // writes under way at once; 0 means 16
	// Patience is how long the others wait for one object that the API server does
	// not answer for; 0 means 5 s. With Once they wait until the request ends.
	Patience time.Duration
	Once     bool // Run ends when the head is applied, or cannot be

	Source   Source
	Renderer Renderer
	// Stale tells whether the head is to be rendered again though no commit came,
	// as when a key has come that it was refused for. It is asked at each
	// interval; nil: never.
	Stale    func(context.Context) bool
	Reporter Reporter // optional: no statuses
	Outbox   Outbox
	Prune    func(PruneRequest) PruneDecision
	Gate     Gate
	Client   *cluster.Client
	Store    *state.Store
	Orders   *state.Orders // optional: nobody can ask for anything
	// Progress is told of every outcome, and of every verdict; optional.
	Progress func(Event)
	// Heal, if set, stands between a drift and its heal. The demo's own test
	// takes healing out with it.
	Heal func(plumbline.Ref) bool

	Logger *slog.Logger
	Now    func() time.Time
}

// Event is something that happened, for progress, metrics and tests.
type Event struct {
	Kind    EventKind
	Outcome plumbline.Outcome // EventOutcome
	Verdict plumbline.Verdict // EventSuspect, EventDrift, EventHealed, EventForeign
	Result  Result            // EventRun
	Shift   Shift             // EventShift

	UID   string // of the object, where it is known
	Fight bool   // EventDrift: healing has stopped, because someone takes it back each time
}

// EventKind tells which field of an Event is set.
type EventKind string

// The kinds of events.
const (
	EventOutcome EventKind = "outcome"
	EventSuspect EventKind = "suspect"
	EventDrift   EventKind = "drift"
	EventHealed  EventKind = "healed"
	EventRun     EventKind = "run"
	EventShift   EventKind = "shift"
	EventForeign EventKind = "foreign"
)

// Keys of log attributes.
const (
	keyAfter       = "after"
	keyAt          = "at"
	keyCode        = "code"
	keyCommit      = "commit"
	keyContext     = "context"
	keyEnvironment = "environment"
	keyErr         = "err"
	keyFields      = "fields"
	keyHealed      = "healed"
	keyKept        = "kept"
	keyKind        = "kind"
	keyManagers    = "managers"
	keyMessage     = "message"
	keyMore        = "more"
	keyObject      = "object"
	keyObjects     = "objects"
	keyPanic       = "panic"
	keyReason      = "reason"
	keyStack       = "stack"
	keyState       = "state"
	keyWait        = "wait"
	keyWritten     = "written"
)

// Reconciler keeps one environment. Make one with New and run it once.
type Reconciler struct {
	o       Options
	log     *slog.Logger
	watch   *observe.Watcher
	suspect *rate.Limiter

	installation string
	inv          *state.Inventory
	rec          state.Record
	lost         bool      // the inventory was missing or damaged, and no commit was applied since
	rebuild      bool      // it was, and no commit was applied as a whole since
	recordDirty  bool      // the record differs from the one that is saved
	healDirty    bool      // verified records of heals are not saved
	saved        time.Time // of the last save

	// The deployed commit, and what it says: what is healed to.
	base    plumbline.Commit
	desired plumbline.Objects

	// The commit at work, and the head of the branch where that is refused.
	head    head
	refused head
	known   string // SHA of the newer one
	planned planned
	awaited map[plumbline.Ref]bool // objects that are not ready, and that something waits for
	order   *order                 // nil when nobody waits for an answer

	drifts  map[plumbline.Ref]*drifted
	history map[plumbline.Ref]drift.History
	settled map[plumbline.Ref]time.Time // when a suspect was last settled
	heals   healed                      // since the deployed commit
	shifts  shifts
	foreign map[plumbline.Ref]plumbline.Verdict // what others have added, where that is reported
	// The cluster was restored from an older state, and no commit was applied
	// since: nothing is pruned by the first one.
	rewound   bool
	unpruning string // that commit
	gone      gone
	fresh     found // what was read of objects in this turn of the loop
	// Objects that left the watch, when the API server did not answer for them.
	askAgain map[plumbline.Ref]bool
	askAt    time.Time
	asked    int // times in a row that it did not
	outage   outage

	baseKnown   bool   // desired is what the deployed commit says, or nobody knows that
	lookedAtAll bool   // every object of the inventory was judged once
	lastLoadErr string // to say it once
	lastDrift   plumbline.Status
	aside       aside
	taken       error // someone else wrote our inventory: it must be read again
	posts       posts
}

// New makes a Reconciler; it sends nothing.
func New(o Options) *Reconciler {
	if o.Workers == 0 {
		o.Workers = 16
	}
	if o.Patience == 0 {
		o.Patience = 5 * time.Second
	}
	if o.Jitter == nil {
		o.Jitter = func(d time.Duration) time.Duration { return d }
	}
	if o.Progress == nil {
		o.Progress = func(Event) {}
	}
	return &Reconciler{
		o:       o,
		log:     o.Logger.With(keyEnvironment, o.Environment),
		suspect: rate.NewLimiter(rate.Limit(20), 100),
		inv:     state.NewInventory(),
		drifts:  map[plumbline.Ref]*drifted{},
		history: map[plumbline.Ref]drift.History{},
		settled: map[plumbline.Ref]time.Time{},
		foreign: map[plumbline.Ref]plumbline.Verdict{},
		shifts: shifts{
			open:   map[plumbline.GroupKind]*shift{},
			recent: map[plumbline.GroupKind]map[plumbline.Ref]time.Time{},
		},

		aside:    aside{jobs: map[plumbline.Ref]*job{}, came: make(chan *job), slow: map[plumbline.Ref]bool{}},
		askAgain: map[plumbline.Ref]bool{},
		awaited:  map[plumbline.Ref]bool{},
	}
}

// uid of an object of ours, as it was last written down.
func (r *Reconciler) uid(ref plumbline.Ref) string {
	e, _ := r.inv.Get(ref)
	return e.UID
}

// ours tells whether an observed object is ours.
func (r *Reconciler) ours(o drift.Observation) bool {
	return o.Ours(r.installation, r.o.Environment)
}
