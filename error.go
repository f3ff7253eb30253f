package plumbline

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Kind classifies an error by what has to follow. The zero value is
// KindUnset: the kind of the wrapped error counts, and KindTransient where
// there is none.
type Kind int

// The kinds.
const (
	KindUnset     Kind = iota
	KindTransient      // network, 429, 5xx, timeouts, lost races: again, with backoff
	KindWaiting        // a dependency is not there yet: again after Error.After
	KindInvalid        // this revision can never work: nothing until a new commit
	KindDenied         // rights, ownership, budget: again at the normal interval
	KindUnhealthy      // not ready for too long: again at the normal interval
	KindUsage          // flags, configuration or kubeconfig unreadable
	KindInternal       // a bug
)

// String is the kind's name in logs.
func (k Kind) String() string {
	switch k {
	case KindWaiting:
		return "waiting"
	case KindInvalid:
		return "invalid"
	case KindDenied:
		return "denied"
	case KindUnhealthy:
		return "unhealthy"
	case KindUsage:
		return "usage"
	case KindInternal:
		return "internal"
	default:
		return "transient"
	}
}

// ExitCode is the exit status of a command that ends with an error of this
// kind.
func (k Kind) ExitCode() int {
	switch k {
	case KindUnhealthy:
		return 1
	case KindUsage:
		return 2
	case KindInvalid:
		return 3
	case KindDenied:
		return 4
	case KindInternal:
		return 70
	default:
		return 5
	}
}

// Error is an error with what is needed to act on it. Op names the action
// ("apply", "fetch", "render overlay"); every other field is optional.
type Error struct {
	Op     string
	Kind   Kind
	Ref    Ref
	Origin Origin
	After  time.Duration // for KindWaiting
	Err    error
}

// Error is "origin: op ref: cause", as far as each is known.
func (e *Error) Error() string {
	s := ""
	if !e.Origin.IsZero() {
		s = e.Origin.String() + ": "
	}
	switch {
	case e.Op != "" && !e.Ref.IsZero():
		s += e.Op + " " + e.Ref.String() + ": "
	case e.Op != "":
		s += e.Op + ": "
	case !e.Ref.IsZero():
		s += e.Ref.String() + ": "
	}
	if e.Err == nil {
		return s + e.Kind.String()
	}
	return s + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error of kind k whose cause is formatted as by fmt.Errorf.
func Errorf(k Kind, op, format string, args ...any) *Error {
	return &Error{Op: op, Kind: k, Err: fmt.Errorf(format, args...)}
}

// KindOf is the outermost explicit kind in err's chain. Of joined errors it is
// the most severe one, in the order of exit codes 70 > 2 > 4 > 3 > 5 > 1. It is
// KindUnset for nil and KindTransient for an error that says nothing.
func KindOf(err error) Kind {
	if err == nil {
		return KindUnset
	}
	if k := explicitKind(err); k != KindUnset {
		return k
	}
	return KindTransient
}

// explicitKind is KindOf, but KindUnset where nothing in the chain has a kind.
func explicitKind(err error) Kind {
	for err != nil {
		if e, ok := err.(*Error); ok && e.Kind != KindUnset { //nolint:errorlint // the chain is walked here, one link at a time
			return e.Kind
		}
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			worst := KindUnset
			for _, e := range joined.Unwrap() {
				if k := explicitKind(e); severity(k) > severity(worst) {
					worst = k
				}
			}
			return worst
		}
		err = errors.Unwrap(err)
	}
	return KindUnset
}

func severity(k Kind) int {
	switch k {
	case KindInternal:
		return 7
	case KindUsage:
		return 6
	case KindDenied:
		return 5
	case KindInvalid:
		return 4
	case KindTransient:
		return 3
	case KindWaiting:
		return 2
	case KindUnhealthy:
		return 1
	default:
		return 0
	}
}

// Canceled tells whether err only says that the caller gave up.
func Canceled(err error) bool { return errors.Is(err, context.Canceled) }
