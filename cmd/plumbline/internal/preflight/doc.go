// Package preflight finds out whether a cluster has what Plumbline needs: the kinds
// that are rendered to, the Knative features that the operator declared, a
// sidecar injector that obeys the label that Namespaces get, and each right.
//
// In go what is needed, out come findings, each of which says what is so and,
// where it is not well, what to do. Nothing is written: rights are asked for
// with SelfSubjectAccessReviews.
package preflight

import (
	"github.com/plumbline-dev/plumbline"
)

// State of a finding.
type State string

// The states. Only what is missing makes the check fail.
const (
	OK      State = "ok"
	Missing State = "missing"
	Warning State = "warning"
)

// Finding is one thing that was looked at.
type Finding struct {
	Environment string `json:"environment,omitempty"`
	State       State  `json:"state"`
	Subject     string `json:"subject"` // "cluster", "kind", "right", …
	Detail      string `json:"detail"`  // what is so
	Advice      string `json:"advice,omitempty"`
	// Kind classifies what is missing, for the exit code.
	Kind plumbline.Kind `json:"-"`
}

// Well is a finding that all is well.
func Well(subject, detail string) Finding {
	return Finding{State: OK, Subject: subject, Detail: detail}
}

// Lacks is a finding that something is missing.
func Lacks(subject, detail, advice string, kind plumbline.Kind) Finding {
	return Finding{State: Missing, Subject: subject, Detail: detail, Advice: advice, Kind: kind}
}

// Warn is a finding of something that may be well, or is only bad for some.
func Warn(subject, detail, advice string) Finding {
	return Finding{State: Warning, Subject: subject, Detail: detail, Advice: advice}
}
