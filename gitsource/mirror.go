package gitsource

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/gitsource/odb"
	"github.com/plumbline-dev/plumbline/gitsource/wire"
)

// Mirror keeps one branch of a remote repository, with its whole history, in a
// directory. It is safe for concurrent use; one fetch runs at a time.
type Mirror struct {
	o      Options
	remote *wire.Remote
	ref    string

	fetching chan struct{} // holds a token while a fetch runs

	mu     sync.Mutex // guards what follows
	dir    *odb.Dir
	store  *odb.Store
	head   plumbline.Commit // the last that Fetch returned
	damage error            // seen by a reader: the next fetch starts anew
	closed bool
}

const opMirror = "open mirror"

// New checks the options. It does no I/O: the directory is opened by the first
// call that needs it.
func New(o Options) (*Mirror, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	remote, err := wire.New(wire.Options{URL: o.URL, Auth: o.Auth, MaxPackBytes: o.MaxPackBytes})
	if err != nil {
		return nil, err
	}
	return &Mirror{
		o:        o,
		remote:   remote,
		ref:      branchPrefix + o.Branch,
		fetching: make(chan struct{}, 1),
	}, nil
}

// Close gives the directory back. Snapshots cannot be read afterwards. It waits
// for a fetch that runs.
func (m *Mirror) Close() error {
	m.fetching <- struct{}{}
	defer func() { <-m.fetching }()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	if m.dir == nil {
		return nil
	}
	if m.store != nil {
		m.store.Close()
	}
	dir := m.dir
	m.dir, m.store = nil, nil
	return dir.Close()
}

// Fetch brings the branch up to date and returns its head. An unchanged head
// costs one request for the references. A head that does not descend from the
// last one (a force-push) is a head like any other, and logged.
//
// Errors have a Kind. ErrBranchGone and ErrEmptyRepository are Invalid, refused
// credentials Denied, network and deadline Transient; whatever it is, the
// mirror still holds what it held.
func (m *Mirror) Fetch(ctx context.Context) (plumbline.Commit, error) {
	select {
	case m.fetching <- struct{}{}:
		defer func() { <-m.fetching }()
	case <-ctx.Done():
		return plumbline.Commit{}, plumbline.Errorf(plumbline.KindTransient, "fetch "+m.remote.URL(), "%w", ctx.Err())
	}
	ctx, cancel := context.WithTimeout(ctx, m.o.Timeout)
	defer cancel()
	store, err := m.open()
	if err != nil {
		return plumbline.Commit{}, err
	}
	store.Release() // what the last revision needed is not needed any more
	head, err := m.fetch(ctx, store)
	if errors.Is(err, odb.ErrCorrupt) {
		if store, err = m.recreate(err); err != nil {
			return plumbline.Commit{}, err
		}
		head, err = m.fetch(ctx, store)
	}
	if err != nil {
		return plumbline.Commit{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.head = head
	return head, nil
}

func (m *Mirror) fetch(ctx context.Context, store *odb.Store) (plumbline.Commit, error) {
	session, err := m.remote.Open(ctx, wire.UploadPack)
	if err != nil {
		return plumbline.Commit{}, err
	}
	defer session.Close()
	want, err := m.wanted(session.Refs)
	if err == nil {
		err = m.damaged() // only now: what can still be read stays while there is nothing to replace it
	}
	if err != nil {
		return plumbline.Commit{}, err
	}
	if last := m.last(); last.SHA == want.String() {
		return last, nil
	}
	have, known, err := store.Ref(m.ref)
	if err != nil {
		return plumbline.Commit{}, err
	}
	if !known || have != want {
		if err := m.receive(ctx, store, session, want); err != nil {
			return plumbline.Commit{}, err
		}
	}
	commit, err := m.settle(ctx, store, want)
	if err != nil {
		return plumbline.Commit{}, err
	}
	if known && have != want && !descends(ctx, store, want, have) {
		m.o.Logger.WarnContext(ctx, "branch was force-pushed", keyBranch, m.o.Branch, keyFrom, have.String(), keyCommit, commit.SHA)
	}
	return commit, nil
}

// wanted is the branch's head among the references of the remote.
func (m *Mirror) wanted(refs wire.Refs) (plumbing.Hash, error) {
	if h, ok := refs[m.ref]; ok {
		return h, nil
	}
	op := "fetch " + m.remote.URL()
	branches := refs.Branches()
	switch {
	case len(refs) == 0:
		return plumbing.ZeroHash, plumbline.Errorf(plumbline.KindInvalid, op, "%w: push a first commit to %s", ErrEmptyRepository, m.o.Branch)
	case len(branches) == 0:
		return plumbing.ZeroHash, plumbline.Errorf(plumbline.KindInvalid, op, "%s: %w: push it", m.o.Branch, ErrBranchGone)
	}
	others := strings.Join(branches[:min(5, len(branches))], ", ")
	if len(branches) > 5 {
		others += ", …"
	}
	return plumbing.ZeroHash, plumbline.Errorf(plumbline.KindInvalid, op, "%s: %w: push it, or choose one of %s", m.o.Branch, ErrBranchGone, others)
}

func (m *Mirror) receive(ctx context.Context, store *odb.Store, session *wire.Session, want plumbing.Hash) error {
	if store.Has(want) { // pushed back to an older head, or a fetch that was killed after its pack
		return nil
	}
	haves, err := m.haves(store)
	if err != nil {
		return err
	}
	err = store.Receive(ctx, m.remote.MaxPackBytes(), func(w io.Writer) error {
		return session.Fetch(ctx, wire.FetchRequest{Want: want, Haves: haves, Has: store.Has}, w)
	})
	return m.explain(ctx, err)
}

// explain gives a Kind to what went wrong after the bytes had arrived.
func (m *Mirror) explain(ctx context.Context, err error) error {
	var known *plumbline.Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	op := "fetch " + m.remote.URL()
	if errors.Is(ctx.Err(), context.DeadlineExceeded) { // a connection that is cut at the deadline may look like the end of the pack
		return plumbline.Errorf(plumbline.KindTransient, op, "no complete answer in time: %w", ctx.Err())
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return plumbline.Errorf(plumbline.KindTransient, op, "%w", err)
}

// settle checks that the head can be read and names it by the mirror's own
// reference, after which the next fetch builds on it.
func (m *Mirror) settle(ctx context.Context, store *odb.Store, want plumbing.Hash) (plumbline.Commit, error) {
	op := "fetch " + m.remote.URL()
	c, err := store.Commit(want)
	if err == nil {
		_, err = store.Tree(c.Tree)
	}
	if odb.IsMissing(err) {
		err = fmt.Errorf("%w: %w", odb.ErrCorrupt, err)
	}
	if err != nil {
		return plumbline.Commit{}, &plumbline.Error{Op: op, Kind: plumbline.KindTransient, Err: err}
	}
	if err := store.SetRef(m.ref, want); err != nil {
		return plumbline.Commit{}, &plumbline.Error{Op: op, Kind: plumbline.KindTransient, Err: err}
	}
	if err := store.Compact(ctx, maxPacks); err != nil {
		m.o.Logger.WarnContext(ctx, "packs are not merged", keyDir, m.o.Dir, keyError, err)
	}
	return commitOf(c), nil
}

// damaged is what a reader came across; wrapped in odb.ErrCorrupt, or nil.
func (m *Mirror) damaged() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.damage
}

func (m *Mirror) last() plumbline.Commit {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.head
}

// open returns the store, opened or made by the first call.
func (m *Mirror) open() (*odb.Store, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, plumbline.Errorf(plumbline.KindInternal, opMirror, "the mirror is closed")
	}
	if m.store != nil {
		return m.store, nil
	}
	if m.dir == nil {
		dir, err := odb.LockDir(m.o.Dir)
		if err != nil {
			return nil, &plumbline.Error{Op: opMirror, Err: err}
		}
		m.dir = dir
	}
	store, err := m.dir.Open(m.remote.URL())
	if errors.Is(err, odb.ErrCorrupt) {
		if !m.dir.IsNew() {
			m.o.Logger.Warn("mirror is made anew", keyDir, m.o.Dir, keyError, err)
		}
		store, err = m.dir.Recreate(m.remote.URL(), m.ref)
	}
	if err != nil {
		return nil, &plumbline.Error{Op: opMirror, Err: err}
	}
	m.store = store
	return store, nil
}

// recreate replaces a store that turned out damaged.
func (m *Mirror) recreate(cause error) (*odb.Store, error) {
	m.o.Logger.Warn("mirror is made anew", keyDir, m.o.Dir, keyURL, m.remote.URL(), keyError, cause)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.store.Close()
	m.head, m.damage = plumbline.Commit{}, nil
	store, err := m.dir.Recreate(m.remote.URL(), m.ref)
	if err != nil {
		m.store = nil
		return nil, &plumbline.Error{Op: opMirror, Err: err}
	}
	m.store = store
	return store, nil
}
