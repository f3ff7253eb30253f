package plumbline

import "time"

// StatusState is the state of a commit status, in the words that all forges
// share.
type StatusState string

// The states.
const (
	StatusPending StatusState = "pending"
	StatusSuccess StatusState = "success"
	StatusFailure StatusState = "failure" // the commit, or the cluster's drift, is at fault
	StatusError   StatusState = "error"   // something between is at fault
)

// MaxStatusDescription is the longest description, in bytes, that every forge
// takes.
const MaxStatusDescription = 140

// Status is one commit status: the newest for its SHA and Context counts.
type Status struct {
	SHA         string      `json:"sha"`
	Context     string      `json:"context"` // "plumbline/production", "plumbline/production/drift"
	State       StatusState `json:"state"`
	Description string      `json:"description"` // ≤ MaxStatusDescription bytes
	URL         string      `json:"url,omitempty"`
	Time        time.Time   `json:"time,omitzero"` // when it was decided; not part of its equality
}

// Key is what a status replaces the earlier ones of.
func (s Status) Key() StatusKey { return StatusKey{SHA: s.SHA, Context: s.Context} }

// Equal tells whether sending s after o would say nothing new.
func (s Status) Equal(o Status) bool {
	s.Time, o.Time = time.Time{}, time.Time{}
	return s == o
}

// StatusKey identifies a line of statuses on a commit.
type StatusKey struct {
	SHA     string `json:"sha"`
	Context string `json:"context"`
}
