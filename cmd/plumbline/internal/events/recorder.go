package events

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler"
)

// How many Events there are at most: a burst, and then one a while.
const (
	burst      = 30
	refill     = 10 * time.Second
	repeat     = time.Minute // the same one is not told again before
	remembered = 1000        // different ones
	queued     = 100
	timeout    = 5 * time.Second // of one write
	maxMessage = 1024
)

// Keys of log attributes.
const (
	keyEnvironment = "environment"
	keyErr         = "err"
)

// Options of a Recorder. All are required.
type Options struct {
	Client      corev1client.EventsGetter
	Namespace   string // Plumbline's own
	Environment string
	Host        string // that this runs on
	Logger      *slog.Logger
	Now         func() time.Time
}

// Recorder writes the Events of one environment, beside the loop, which never
// waits for it.
type Recorder struct {
	o       Options
	limit   *rate.Limiter
	told    map[key]time.Time
	queue   chan note
	done    chan struct{}
	refused sync.Once
}

// key is what makes two notes the same.
type key struct {
	reason  string
	about   plumbline.Ref
	message string
}

// New starts a Recorder. It must be closed.
func New(ctx context.Context, o Options) *Recorder {
	r := &Recorder{
		o: o, limit: rate.NewLimiter(rate.Every(refill), burst), told: map[key]time.Time{},
		queue: make(chan note, queued), done: make(chan struct{}),
	}
	go func() {
		defer close(r.done)
		for n := range r.queue {
			r.write(ctx, n)
		}
	}()
	return r
}

// Take takes in an event of the environment's reconciler, whose loop alone
// calls it.
func (r *Recorder) Take(e reconciler.Event) {
	for _, n := range notesOf(e) {
		n.at = r.o.Now()
		if !r.admit(n, n.at) {
			continue
		}
		select {
		case r.queue <- n:
		default: // the API server is slower than we are; it is in the log all the same
		}
	}
}

// Close writes what is still to be written.
func (r *Recorder) Close() {
	close(r.queue)
	<-r.done
}

// admit tells whether a note is new, and one that the limit leaves room for.
func (r *Recorder) admit(n note, now time.Time) bool {
	k := key{n.reason, n.about, n.message}
	if at, told := r.told[k]; told && (n.lasting || now.Sub(at) < repeat) {
		return false
	}
	if !r.limit.AllowN(now, 1) {
		return false
	}
	if len(r.told) >= remembered {
		clear(r.told)
	}
	r.told[k] = now
	return true
}

func (r *Recorder) write(ctx context.Context, n note) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	e := r.event(n)
	_, err := r.o.Client.Events(e.Namespace).Create(ctx, e, metav1.CreateOptions{FieldManager: plumbline.FieldManager})
	if err == nil || apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return
	}
	r.refused.Do(func() {
		r.o.Logger.Warn("no Event is written; this is told once", keyEnvironment, r.o.Environment, keyErr, err)
	})
}

// event is a note as Kubernetes has it. What is about no object is about the
// environment's inventory.
func (r *Recorder) event(n note) *corev1.Event {
	about := n.about
	if about.IsZero() {
		about = plumbline.Ref{Kind: "ConfigMap", Namespace: r.o.Namespace, Name: "plumbline-inventory-" + r.o.Environment}
	}
	namespace := about.Namespace
	if namespace == "" {
		namespace = metav1.NamespaceDefault // where Kubernetes keeps Events of what has none
	}
	now := metav1.NewTime(n.at)
	message := n.message
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage-len("…")], "") + "…"
	}
	return &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: namespace, GenerateName: "plumbline-" + strings.ToLower(n.reason) + "-"},
		InvolvedObject: corev1.ObjectReference{Kind: about.Kind, Namespace: about.Namespace, Name: about.Name, UID: types.UID(n.uid)},
		Reason:         n.reason, Message: message, Type: n.eventType(),
		FirstTimestamp: now, LastTimestamp: now, Count: 1,
		Source:              corev1.EventSource{Component: plumbline.FieldManager, Host: r.o.Host},
		ReportingController: "plumbline.dev/plumbline", ReportingInstance: r.o.Host,
	}
}
