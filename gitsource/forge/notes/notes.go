package notes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/gitsource/odb"
	"github.com/plumbline-dev/plumbline/gitsource/wire"
)

// Ref is where the notes are, as `git notes --ref=plumbline` finds them.
const Ref = "refs/notes/plumbline"

const (
	defaultTimeout = 30 * time.Second
	maxAttempts    = 10 // pushes of one status, each lost to another push
	maxPacks       = 50
	identity       = "plumbline <plumbline@noreply.invalid>"
)

// Keys of log attributes.
const (
	keyDir   = "dir"
	keyError = "error"
)

// Options of New. URL, Dir and Now are required.
type Options struct {
	URL  string // of the repository, as for gitsource
	Dir  string // holds a mirror of the notes; made when missing, one process at a time
	Auth wire.Auth
	// Timeout bounds one call; 0 is 30 s.
	Timeout time.Duration
	Now     func() time.Time
	Logger  *slog.Logger // default: discarded
}

// Reporter writes and reads statuses. It is safe for concurrent use; calls wait
// for each other.
type Reporter struct {
	o      Options
	remote *wire.Remote

	busy  chan struct{} // guards what follows
	dir   *odb.Dir
	store *odb.Store
}

// New checks the options. It does no I/O.
func New(o Options) (*Reporter, error) {
	remote, err := wire.New(wire.Options{URL: o.URL, Auth: o.Auth})
	if err != nil {
		return nil, err
	}
	if o.Dir == "" || o.Now == nil {
		return nil, plumbline.Errorf(plumbline.KindUsage, "open notes", "no directory or no clock")
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Reporter{o: o, remote: remote, busy: make(chan struct{}, 1)}, nil
}

// Close gives the directory back.
func (r *Reporter) Close() error {
	r.busy <- struct{}{}
	defer func() { <-r.busy }()
	if r.dir == nil {
		return nil
	}
	if r.store != nil {
		r.store.Close()
	}
	dir := r.dir
	r.dir, r.store = nil, nil
	return dir.Close()
}

// Post appends the status to the note of its commit and pushes the notes. A
// status that equals the last of its key is not written again. No right to push
// is Denied and names the reference.
func (r *Reporter) Post(ctx context.Context, s plumbline.Status) error {
	op := fmt.Sprintf("post %s on %s", s.Context, plumbline.Commit{SHA: s.SHA}.Short())
	if s.Time.IsZero() {
		s.Time = r.o.Now()
	}
	s.Time = s.Time.UTC()
	for _, text := range []*string{&s.Context, &s.Description, &s.URL} {
		*text = strings.ToValidUTF8(*text, "\uFFFD") // as JSON would: it has to equal what is read back
	}
	if !plumbing.IsHash(s.SHA) || s.Context == "" || s.State == "" {
		return plumbline.Errorf(plumbline.KindInvalid, op, "a status needs a commit of 40 hex digits, a context and a state")
	}
	return r.do(ctx, op, func(ctx context.Context) error { return r.post(ctx, s) })
}

// Last is the newest status of the key, as the repository has it.
func (r *Reporter) Last(ctx context.Context, key plumbline.StatusKey) (plumbline.Status, bool, error) {
	list, err := r.List(ctx, key.SHA)
	if err != nil {
		return plumbline.Status{}, false, err
	}
	s, ok := last(list, key)
	return s, ok, nil
}

// MayPush asks the repository whether it takes pushes from these credentials,
// as far as it tells without one: nil may still be refused for the reference
// itself. Nothing is written.
func (r *Reporter) MayPush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	session, err := r.remote.Open(ctx, wire.ReceivePack)
	if err != nil {
		return err
	}
	session.Close()
	return nil
}

// List is every status of a commit, oldest first.
func (r *Reporter) List(ctx context.Context, sha string) ([]plumbline.Status, error) {
	op := "list statuses of " + plumbline.Commit{SHA: sha}.Short()
	if !plumbing.IsHash(sha) {
		return nil, plumbline.Errorf(plumbline.KindInvalid, op, "a commit has 40 hex digits")
	}
	var list []plumbline.Status
	err := r.do(ctx, op, func(ctx context.Context) error {
		tip, err := r.pull(ctx)
		if err != nil {
			return err
		}
		list, err = r.read(tip, sha)
		return err
	})
	return list, err
}

// do runs one call at a time, with the store open, and gives errors their
// operation. A damaged mirror is made anew and the call done again.
func (r *Reporter) do(ctx context.Context, op string, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	select {
	case r.busy <- struct{}{}:
		defer func() { <-r.busy }()
	case <-ctx.Done():
		return plumbline.Errorf(plumbline.KindTransient, op, "%w", ctx.Err())
	}
	err := r.open()
	if err == nil {
		err = f(ctx)
		if errors.Is(err, odb.ErrCorrupt) || odb.IsMissing(err) {
			if err = r.recreate(err); err == nil {
				err = f(ctx)
			}
		}
	}
	if r.store != nil {
		r.store.Release()
	}
	if err != nil {
		return &plumbline.Error{Op: op, Err: err}
	}
	return nil
}

func (r *Reporter) open() error {
	if r.store != nil {
		return nil
	}
	if r.dir == nil {
		dir, err := odb.LockDir(r.o.Dir)
		if err != nil {
			return err
		}
		r.dir = dir
	}
	store, err := r.dir.Open(r.remote.URL())
	if errors.Is(err, odb.ErrCorrupt) {
		return r.recreate(err)
	}
	r.store = store
	return err
}

func (r *Reporter) recreate(cause error) error {
	if !r.dir.IsNew() {
		r.o.Logger.Warn("mirror of the notes is made anew", keyDir, r.o.Dir, keyError, cause)
	}
	if r.store != nil {
		r.store.Close()
		r.store = nil
	}
	store, err := r.dir.Recreate(r.remote.URL(), Ref)
	r.store = store
	return err
}

// pull brings the mirror up to date and returns the notes' newest commit; zero
// where there are no notes.
func (r *Reporter) pull(ctx context.Context) (plumbing.Hash, error) {
	session, err := r.remote.Open(ctx, wire.UploadPack)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	defer session.Close()
	tip, ok := session.Refs[Ref]
	if !ok || r.store.Has(tip) {
		return tip, nil
	}
	var haves []plumbing.Hash
	mine, ok, err := r.store.Ref(Ref)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	if ok {
		haves = append(haves, mine)
	}
	err = r.store.Receive(ctx, r.remote.MaxPackBytes(), func(w io.Writer) error {
		return session.Fetch(ctx, wire.FetchRequest{Want: tip, Haves: haves, Has: r.store.Has}, w)
	})
	if err != nil {
		return plumbing.ZeroHash, err
	}
	return tip, r.keep(ctx, tip)
}

// keep names what the mirror holds now.
func (r *Reporter) keep(ctx context.Context, tip plumbing.Hash) error {
	if err := r.store.SetRef(Ref, tip); err != nil {
		return err
	}
	return r.store.Compact(ctx, maxPacks)
}

func (r *Reporter) read(tip plumbing.Hash, sha string) ([]plumbline.Status, error) {
	tree, err := r.tree(tip)
	if err != nil {
		return nil, err
	}
	note, err := readNote(r.store, tree, sha)
	if err != nil {
		return nil, err
	}
	return decodeLines(sha, note), nil
}

func (r *Reporter) tree(tip plumbing.Hash) (plumbing.Hash, error) {
	if tip.IsZero() {
		return plumbing.ZeroHash, nil
	}
	c, err := r.store.Commit(tip)
	return c.Tree, err
}

// post pushes until the push is not lost to another one. Two refusals on one
// and the same state of the notes are no lost race.
func (r *Reporter) post(ctx context.Context, s plumbline.Status) error {
	var (
		refused *wire.RejectedError
		lastTip plumbing.Hash
	)
	for attempt := range maxAttempts {
		tip, done, err := r.attempt(ctx, s)
		if done || err == nil {
			return nil
		}
		if !errors.As(err, &refused) {
			return err
		}
		if attempt > 0 && tip == lastTip {
			return plumbline.Errorf(plumbline.KindDenied, "push "+Ref, "%w: allow plumbline's credentials to push to %s", err, Ref)
		}
		lastTip = tip
	}
	return plumbline.Errorf(plumbline.KindTransient, "push "+Ref, "%d pushes in a row were lost to others: %w", maxAttempts, refused)
}

// attempt adds the status to the notes as they are now. It returns the state
// that it built on, and whether there was nothing to add.
func (r *Reporter) attempt(ctx context.Context, s plumbline.Status) (plumbing.Hash, bool, error) {
	session, err := r.remote.Open(ctx, wire.ReceivePack)
	if err != nil {
		return plumbing.ZeroHash, false, fmt.Errorf("push %s: %w", Ref, err)
	}
	defer func() { session.Close() }()
	tip := session.Refs[Ref]
	if !tip.IsZero() && !r.store.Has(tip) {
		if _, err := r.pull(ctx); err != nil {
			return tip, false, err
		}
	}
	list, err := r.read(tip, s.SHA)
	if err != nil {
		return tip, false, err
	}
	if newest, ok := last(list, s.Key()); ok && newest.Equal(s) {
		return tip, true, nil
	}
	u, err := r.build(tip, s)
	if err != nil {
		return tip, false, err
	}
	if err := session.Push(ctx, u); err != nil {
		return tip, false, fmt.Errorf("push %s: %w", Ref, err)
	}
	err = r.store.Receive(ctx, r.remote.MaxPackBytes(), func(w io.Writer) error {
		return odb.WritePack(ctx, w, len(u.Objects), func(i int) (odb.Object, error) { return u.Objects[i], nil })
	})
	if err == nil {
		err = r.keep(ctx, u.New)
	}
	if err != nil { // it is posted; the next call fetches what is missing here
		r.o.Logger.WarnContext(ctx, "mirror of the notes is behind", keyError, err)
	}
	return tip, false, nil
}

// build makes the commit that has the status' line on top of tip.
func (r *Reporter) build(tip plumbing.Hash, s plumbline.Status) (wire.Update, error) {
	line, err := encodeLine(s)
	if err != nil {
		return wire.Update{}, plumbline.Errorf(plumbline.KindInternal, "encode status", "%w", err)
	}
	tree, err := r.tree(tip)
	if err != nil {
		return wire.Update{}, err
	}
	e := editor{r: r.store}
	root, err := e.append(tree, s.SHA, line)
	if err != nil {
		return wire.Update{}, err
	}
	commit := e.add(plumbing.CommitObject, encodeCommit(root, tip, r.o.Now(), s))
	return wire.Update{Ref: Ref, Old: tip, New: commit, Objects: e.new}, nil
}

func encodeCommit(tree, parent plumbing.Hash, now time.Time, s plumbline.Status) []byte {
	b := fmt.Appendf(nil, "tree %s\n", tree)
	if !parent.IsZero() {
		b = fmt.Appendf(b, "parent %s\n", parent)
	}
	for _, role := range []string{"author", "committer"} {
		b = fmt.Appendf(b, "%s %s %d +0000\n", role, identity, now.Unix())
	}
	return fmt.Appendf(b, "\n%s: %s on %s\n", s.Context, s.State, s.SHA)
}
