package plumbline

import (
	"cmp"
	"fmt"
	"slices"
)

// Severity of a Violation.
type Severity string

// The severities. An error stops its environment's apply; a warning stops
// nothing, except under `validate --strict`.
const (
	SeverityError   Severity = "error"
	SeverityWarning Severity = "warning"
)

// Violation is one thing that is wrong in the repository.
type Violation struct {
	Code     string   `json:"code"` // "PLnnnn", stable
	Severity Severity `json:"severity"`
	Origin   Origin   `json:"origin,omitzero"`
	Message  string   `json:"message"` // says what to do; never a secret's value
	// Rule is the name of the operator's rule, of violations of rules.
	Rule string `json:"rule,omitempty"`
	// Related are the other places that the violation is about, as the first of
	// two definitions of one name.
	Related []Origin `json:"related,omitempty"`
}

// String is "path:line:column: message".
func (v Violation) String() string {
	s := v.Message
	if v.Severity == SeverityWarning {
		s = "warning: " + s
	}
	if !v.Origin.IsZero() {
		s = v.Origin.String() + ": " + s
	}
	for _, o := range v.Related {
		s += fmt.Sprintf(" (see %s)", o)
	}
	return s
}

// Equal tells whether two violations are the same, related places included.
func (v Violation) Equal(o Violation) bool {
	return v.Code == o.Code && v.Severity == o.Severity && v.Origin == o.Origin && v.Message == o.Message && slices.Equal(v.Related, o.Related)
}

// SortViolations sorts by place, then code, then message, and drops repeats.
func SortViolations(vs []Violation) []Violation {
	slices.SortFunc(vs, func(a, b Violation) int {
		return cmp.Or(a.Origin.Compare(b.Origin), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Message, b.Message))
	})
	return slices.CompactFunc(vs, func(a, b Violation) bool {
		return a.Origin == b.Origin && a.Code == b.Code && a.Message == b.Message
	})
}

// Errors are the violations with SeverityError.
func Errors(vs []Violation) []Violation {
	var out []Violation
	for _, v := range vs {
		if v.Severity == SeverityError {
			out = append(out, v)
		}
	}
	return out
}
