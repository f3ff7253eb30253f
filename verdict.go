package plumbline

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// State is where a live object stands against what Plumbline last verified.
type State string

// The states of drift.
const (
	StateInSync      State = "in sync"
	StateDrifted     State = "drifted"     // fields we applied were changed or removed
	StateMissing     State = "missing"     // deleted, or another object in its place
	StateTerminating State = "terminating" // deletion asked for, a finalizer pending
	StateSuspect     State = "suspect"     // metadata does not tell: the API server must settle it
	StateForeign     State = "foreign"     // others added fields beside ours, and drift.foreign is report
	StateUnknown     State = "unknown"     // its kind could not be watched
)

// Verdict is the judgement on one object.
type Verdict struct {
	Ref    Ref     `json:"ref"`
	State  State   `json:"state"`
	Reason string  `json:"reason,omitempty"` // why suspect, unknown or missing
	Fields []Field `json:"fields,omitempty"` // for StateDrifted: shortest paths, sorted
}

// Field is one field path that was taken from us.
type Field struct {
	Path string `json:"path"` // as in structured-merge-diff: ".spec.template.spec.containers"
	// Manager is the field manager that owns the path now: a name that its
	// client chose, not a person. Empty when nobody owns it.
	Manager   string    `json:"manager,omitempty"`
	Operation string    `json:"operation,omitempty"` // "Apply" or "Update"
	Time      time.Time `json:"time,omitzero"`       // of the manager's entry, resolution 1 s
}

// Managers that took fields, sorted, each once. What nobody owns counts as
// "unknown".
func (v Verdict) Managers() []string {
	var names []string
	for _, f := range v.Fields {
		name := f.Manager
		if name == "" {
			name = "unknown"
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// String is one line for people: what, where, by whom.
func (v Verdict) String() string {
	s := fmt.Sprintf("%s %s", v.Ref.Short(), v.State)
	if len(v.Fields) > 0 {
		s += " at " + v.Fields[0].Path
		if n := len(v.Fields) - 1; n > 0 {
			s += fmt.Sprintf(" (+%d)", n)
		}
		s += " by " + strings.Join(v.Managers(), ", ")
	}
	if v.Reason != "" {
		s += ": " + v.Reason
	}
	return s
}
