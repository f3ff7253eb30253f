package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plumbline-dev/plumbline"
)

// ErrConflict marks a write that was refused because the object is not, or no
// longer, the one that was observed: look again and decide anew.
var ErrConflict = errors.New("the object changed meanwhile")

// ErrNotFound marks an object that does not exist.
var ErrNotFound = errors.New("not found")

// ErrUnavailable marks a request that the API server did not take in: it is not
// there, does not answer in time, or asks for fewer requests. What is sent next
// would most likely meet the same.
var ErrUnavailable = errors.New("the API server is not available")

// ErrSchema marks an apply of fields that the schema of the kind does not have. A
// definition of the kind that was changed a moment ago may have them: the API
// server takes a while to go by it.
var ErrSchema = errors.New("not of the schema of its kind")

// OwnedError marks an apply without force that was refused because others own
// fields with another value.
type OwnedError struct {
	Fields []string // their paths, as the API server names them, sorted
	Err    error
}

// Error implements error.
func (e *OwnedError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *OwnedError) Unwrap() error { return e.Err }

// Classify turns a failed request into a plumbline.Error. The API server
// quotes what it refuses, and webhooks say what they like, so for a Secret its
// words are replaced by what they are about.
func Classify(op string, ref plumbline.Ref, err error) error {
	if err == nil {
		return nil
	}
	e := &plumbline.Error{Op: op, Ref: ref, Kind: plumbline.KindTransient, Err: err}
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		if errors.Is(err, context.Canceled) {
			return e
		}
		if isSecret(ref) {
			e.Err = errors.New(transportCause(err))
		}
		if transport(err) {
			e.Err = marked{e.Err, ErrUnavailable}
		}
		return e
	}
	s := status.Status()
	cause := errors.New(message(ref, s))
	e.Err, e.After = cause, delay(err)
	if m := versionGone.FindStringSubmatch(s.Message); m != nil {
		e.Err = &VersionGoneError{APIVersion: m[1], Err: cause}
		return e
	}
	switch s.Code {
	case http.StatusUnauthorized:
		e.Kind = plumbline.KindDenied
		e.Err = errors.New("the API server does not accept the credentials; check the kubeconfig or the ServiceAccount's token")
	case http.StatusForbidden:
		e.Kind = plumbline.KindDenied
		if namespaceTerminating(s) {
			e.Kind, e.After = plumbline.KindWaiting, notServedRetry
			e.Err = errors.New("its namespace is being deleted")
		}
	case http.StatusNotFound:
		e.Err = fmt.Errorf("%w: %w", ErrNotFound, cause)
		if op == "apply" { // its namespace, or its kind
			e.Kind, e.After = plumbline.KindWaiting, notServedRetry
		}
	case http.StatusConflict:
		e.Kind = plumbline.KindTransient
		if fields := conflictFields(ref, s); len(fields) > 0 {
			e.Kind, e.Err = plumbline.KindDenied, &OwnedError{Fields: fields, Err: cause}
			break
		}
		e.Err = fmt.Errorf("%w: %w", ErrConflict, cause)
	case http.StatusUnprocessableEntity:
		e.Kind = plumbline.KindInvalid
		if causeField(s, "metadata.uid") {
			e.Kind = plumbline.KindTransient
			e.Err = fmt.Errorf("%w: %w", ErrConflict, cause)
		}
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType:
		e.Kind = plumbline.KindInvalid
	case http.StatusInternalServerError:
		if strings.HasPrefix(s.Message, notOfSchema) {
			e.Kind, e.Err = plumbline.KindInvalid, marked{cause, ErrSchema}
		}
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		e.Err = marked{cause, ErrUnavailable}
	}
	if denial(s) {
		// Whoever denies it may think otherwise later, without a new commit.
		e.Kind, e.Err = plumbline.KindDenied, cause
	}
	return e
}

// notOfSchema begins the message about an applied object that is not of its
// schema: a field that is not there, or of another type. It has no code of its
// own.
const notOfSchema = "failed to create typed patch object ("

// marked is an error that is another one too, and does not say so.
type marked struct {
	error
	mark error
}

// Is implements the method that errors.Is looks for.
func (m marked) Is(target error) bool { return target == m.mark }

// Unwrap returns the cause.
func (m marked) Unwrap() error { return m.error }

// transport tells whether err is of the way to the API server, and not of what
// it answered.
func transport(err error) bool {
	var broken *url.Error
	return errors.As(err, &broken) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.ErrUnexpectedEOF)
}

// maxDelay is the longest time that the API server, or whoever answers in its
// place, can make us wait.
const maxDelay = 5 * time.Minute

// delay is how long the API server asks to wait.
func delay(err error) time.Duration {
	seconds, ok := apierrors.SuggestsClientDelay(err)
	if !ok {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, maxDelay)
}

// denial tells whether an admission webhook or policy refused the object. The
// API server says so in words only, and webhooks choose the code.
func denial(s metav1.Status) bool {
	return s.Code >= 400 && s.Code < 500 && s.Code != http.StatusTooManyRequests &&
		(strings.HasPrefix(s.Message, "admission webhook ") || strings.Contains(s.Message, ": admission webhook ")) &&
		strings.Contains(s.Message, " denied the request")
}

// message is the API server's message, or for a Secret only what it is about.
func message(ref plumbline.Ref, s metav1.Status) string {
	if !isSecret(ref) {
		return s.Message
	}
	m := fmt.Sprintf("the API server refused it (%d", s.Code)
	if known(string(s.Reason)) {
		m += " " + string(s.Reason)
	}
	m += ")"
	var about []string
	if s.Details != nil {
		for _, c := range s.Details.Causes {
			what := "a cause"
			if known(string(c.Type)) {
				what = string(c.Type)
			}
			if field := secretField(c.Field); field != "" {
				what += " at " + field
			}
			if what != "a cause" {
				about = append(about, what)
			}
		}
	}
	if len(about) > 0 {
		m += ": " + strings.Join(about, ", ")
	}
	return m + "; its words are not shown, because they may quote the Secret"
}

func isSecret(ref plumbline.Ref) bool { return ref.Kind == "Secret" && ref.Group == "" }

// known tells whether a reason or the type of a cause is one of Kubernetes'
// own: a webhook may put any text there.
func known(word string) bool {
	switch metav1.StatusReason(word) {
	case metav1.StatusReasonUnauthorized, metav1.StatusReasonForbidden, metav1.StatusReasonNotFound, metav1.StatusReasonAlreadyExists,
		metav1.StatusReasonConflict, metav1.StatusReasonInvalid, metav1.StatusReasonServerTimeout, metav1.StatusReasonTimeout,
		metav1.StatusReasonTooManyRequests, metav1.StatusReasonBadRequest, metav1.StatusReasonMethodNotAllowed,
		metav1.StatusReasonNotAcceptable, metav1.StatusReasonRequestEntityTooLarge, metav1.StatusReasonUnsupportedMediaType,
		metav1.StatusReasonInternalError, metav1.StatusReasonServiceUnavailable:
		return true
	}
	switch metav1.CauseType(word) {
	case metav1.CauseTypeFieldValueNotFound, metav1.CauseTypeFieldValueRequired, metav1.CauseTypeFieldValueDuplicate,
		metav1.CauseTypeFieldValueInvalid, metav1.CauseTypeFieldValueNotSupported, metav1.CauseTypeForbidden,
		metav1.CauseTypeTooLong, metav1.CauseTypeTooMany, metav1.CauseTypeInternal, metav1.CauseTypeTypeInvalid,
		metav1.CauseTypeFieldManagerConflict, metav1.CauseTypeUnexpectedServerResponse, metav1.CauseTypeResourceVersionTooLarge,
		corev1.NamespaceTerminatingCause:
		return true
	}
	return false
}

// secretPath is the path of a field of a Secret: what it is about, down to the
// key of a value, in the API server's two spellings.
var secretPath = regexp.MustCompile(`^\.?(apiVersion|kind|type|immutable|(metadata|data|stringData)([.\[][-._a-zA-Z0-9]{1,100}\]?)?)$`)

// secretField is the path of a field of a Secret, or "" for what is none.
func secretField(path string) string {
	if !secretPath.MatchString(path) {
		return ""
	}
	return path
}

// transportCause keeps of a failed connection only what cannot quote a body.
func transportCause(err error) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	default:
		return "no answer from the API server"
	}
}

func hasCause(s metav1.Status, t metav1.CauseType) bool {
	if s.Details == nil {
		return false
	}
	for _, c := range s.Details.Causes {
		if c.Type == t {
			return true
		}
	}
	return false
}

// conflictFields are the fields that other managers own.
func conflictFields(ref plumbline.Ref, s metav1.Status) []string {
	if s.Details == nil {
		return nil
	}
	var out []string
	for _, c := range s.Details.Causes {
		if c.Type != metav1.CauseTypeFieldManagerConflict {
			continue
		}
		field := c.Field
		if isSecret(ref) && secretField(field) == "" {
			field = "." // its words are not shown
		}
		out = append(out, field)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func causeField(s metav1.Status, field string) bool {
	if s.Details == nil {
		return false
	}
	for _, c := range s.Details.Causes {
		if c.Field == field {
			return true
		}
	}
	return false
}

func namespaceTerminating(s metav1.Status) bool {
	return hasCause(s, "NamespaceTerminating")
}
