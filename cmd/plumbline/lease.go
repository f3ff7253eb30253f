package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/rights"
	"github.com/plumbline-dev/plumbline/reconciler/cluster"
)

// Times of the Lease. A leader that is gone is followed after leaseDuration at
// the latest.
const (
	leaseDuration = 15 * time.Second
	leaseDeadline = 10 * time.Second // to renew, before the leader gives up
	leaseRetry    = 5 * time.Second  // between renewals: one request each
)

// lease is the Lease of an environment: whoever holds it writes.
type lease struct {
	lock *resourcelock.LeaseLock
	name string // of the environment
	// once: whoever may not have the Lease need not wait for it.
	once bool
	now  func() time.Time
	log  *slog.Logger
}

func newLease(c *cluster.Client, namespace, environment string, now func() time.Time, log *slog.Logger) (*lease, error) {
	client, err := c.Leases()
	if err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown-host"
	}
	return &lease{
		lock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: namespace, Name: rights.LeaseName(environment)},
			Client:     client,
			LockConfig: resourcelock.ResourceLockConfig{Identity: fmt.Sprintf("%s_%d_%s", host, os.Getpid(), rand.Text()[:8])},
		},
		name: environment, now: now, log: log,
	}, nil
}

// free tells whether nobody else holds the Lease; if someone does, it is
// Denied and says who.
func (l *lease) free(ctx context.Context) error {
	rec, _, err := l.lock.Get(ctx)
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return &plumbline.Error{Op: "read Lease", Kind: leaseKind(err), Err: err}
	}
	expires := rec.RenewTime.Add(time.Duration(rec.LeaseDurationSeconds) * time.Second)
	if rec.HolderIdentity == "" || l.now().After(expires) {
		return nil
	}
	return plumbline.Errorf(plumbline.KindDenied, "take Lease",
		"environment %s is kept by %s; push to its branch and let it apply, or stop it first", l.name, rec.HolderIdentity)
}

func leaseKind(err error) plumbline.Kind {
	if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
		return plumbline.KindDenied
	}
	return plumbline.KindTransient
}

// Keys of log attributes.
const (
	keyEnvironment = "environment"
	keyErr         = "err"
	keyHolder      = "holder"
)

// errLeaseLost ends a run whose Lease someone else took.
var errLeaseLost = errors.New("the Lease was lost")

// hold waits for the Lease, does work while it holds it, and gives it back.
// The context of work ends when the Lease is lost.
func (l *lease) hold(ctx context.Context, work func(context.Context) error) error {
	leading := make(chan context.Context, 1)
	refused := make(chan error, 1)
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: &heardLock{Interface: l.lock, log: l.log, refused: refused}, LeaseDuration: leaseDuration, RenewDeadline: leaseDeadline, RetryPeriod: leaseRetry,
		ReleaseOnCancel: true, Name: l.lock.LeaseMeta.Name,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(ctx context.Context) { leading <- ctx },
			OnStoppedLeading: func() { l.log.Debug("the Lease is given back") },
			OnNewLeader:      func(identity string) { l.log.Info("the Lease is held", keyHolder, identity) },
		},
	})
	if err != nil {
		return &plumbline.Error{Op: "take Lease", Kind: plumbline.KindInternal, Err: err}
	}
	electing, stop := context.WithCancel(logr.NewContext(ctx, logr.Discard())) // what it says, the callbacks say
	defer stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		elector.Run(electing)
	}()
	lost := plumbline.Errorf(plumbline.KindTransient, "hold Lease", "%w", errLeaseLost)
	if !l.once {
		refused = nil // the right may be given yet; the log has said that it is missing
	}
	select {
	case err := <-refused:
		stop()
		<-done
		return &plumbline.Error{Op: "take Lease", Kind: plumbline.KindDenied, Err: err}
	case <-done:
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return lost
	case held := <-leading:
		result := work(held)
		mine := held.Err() == nil || ctx.Err() != nil
		stop()
		<-done
		if !mine {
			return errors.Join(result, lost)
		}
		return result
	}
}

// heardLock is a lock whose refusals are heard: the elector tries again for
// ever, and says so to a logger that others fill with much else.
type heardLock struct {
	resourcelock.Interface
	log     *slog.Logger
	refused chan<- error
	last    string
}

// Get implements resourcelock.Interface.
func (h *heardLock) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	rec, raw, err := h.Interface.Get(ctx)
	return rec, raw, h.hear(err)
}

// Create implements resourcelock.Interface.
func (h *heardLock) Create(ctx context.Context, rec resourcelock.LeaderElectionRecord) error {
	return h.hear(h.Interface.Create(ctx, rec))
}

// Update implements resourcelock.Interface.
func (h *heardLock) Update(ctx context.Context, rec resourcelock.LeaderElectionRecord) error {
	return h.hear(h.Interface.Update(ctx, rec))
}

// hear tells of a refusal, once.
func (h *heardLock) hear(err error) error {
	if !apierrors.IsForbidden(err) && !apierrors.IsUnauthorized(err) {
		return err
	}
	if h.last != err.Error() {
		h.last = err.Error()
		h.log.Error("the Lease is refused", keyErr, err)
	}
	select {
	case h.refused <- err:
	default:
	}
	return err
}
