package plumbline

// Op is what is intended for an object.
type Op string

// The intentions.
const (
	OpCreate    Op = "create"    // not there: apply without force
	OpConfigure Op = "configure" // ours, other content or drifted: apply with force
	OpDelete    Op = "delete"    // ours, no longer desired
	OpKeep      Op = "keep"      // nothing to do, nothing is sent
	OpSkip      Op = "skip"      // not in this run; Reason says why
	OpConflict  Op = "conflict"  // not ours, or not ours alone: nothing is sent
)

// Change is the intention for one object, with its reason.
type Change struct {
	Ref    Ref    `json:"ref"`
	Op     Op     `json:"op"`
	Origin Origin `json:"origin,omitzero"`
	Wave   Wave   `json:"wave,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// Plan is what one run intends to do for one environment, in the order of the
// writes. OpKeep changes are only counted.
type Plan struct {
	Environment string   `json:"environment"`
	Revision    string   `json:"revision"` // full SHA
	Changes     []Change `json:"changes"`
	Kept        int      `json:"kept"`
	// ModeChanges are the services that are to be run in another mode, sorted.
	// Their steps come last, and each waits for the one before.
	ModeChanges []ModeChange `json:"modeChanges,omitempty"`
}

// Count is the number of changes whose Op is one of ops.
func (p Plan) Count(ops ...Op) int {
	n := 0
	for _, c := range p.Changes {
		for _, op := range ops {
			if c.Op == op {
				n++
			}
		}
	}
	return n
}

// Action is what was done to an object.
type Action string

// The facts.
const (
	ActionCreated    Action = "created"
	ActionConfigured Action = "configured"
	ActionUnchanged  Action = "unchanged" // sent, and the API server changed nothing
	ActionDeleted    Action = "deleted"
	ActionSkipped    Action = "skipped"
	ActionFailed     Action = "failed"
)

// Outcome is what happened to one object. Outcomes are returned even when the
// run as a whole fails.
type Outcome struct {
	Ref    Ref    `json:"ref"`
	Origin Origin `json:"origin,omitzero"`
	Action Action `json:"action"`
	Err    error  `json:"-"`
	Health Health `json:"health,omitempty"`
}

// Health is how an object does after the run, in the words of kstatus, as far
// as a run finds out: rollouts are not waited for.
type Health string

// The states of health.
const (
	HealthUnknown     Health = "Unknown"     // it was written, and not asked how it does
	HealthTerminating Health = "Terminating" // its deletion waits for a finalizer
	HealthNotFound    Health = "NotFound"    // it is gone
)
