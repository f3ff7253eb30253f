package forge

import (
	"cmp"
	"encoding/json"
	"errors"
	"hash/fnv"
	"slices"
	"time"

	"github.com/plumbline-dev/plumbline"
)

// The outbox's times and limits.
const (
	// Window is how long a change waits for the next one of its key, so that
	// many within it become one write. The first status of a key, and the end of
	// what is pending, go at once.
	Window = time.Second
	// ProgressGap is the least time between two pending statuses of a key: what
	// changes between them is only a number in the description.
	ProgressGap = 30 * time.Second
	// MaxSHAs is how many commits an outbox remembers.
	MaxSHAs = 32

	firstBackoff   = 5 * time.Second
	maxBackoff     = 5 * time.Minute
	deniedInterval = 10 * time.Minute // until missing rights are tried again
	unknownFor     = 15 * time.Minute // until a commit that the forge does not know is given up
	longestPause   = time.Hour        // whatever a forge asks for
)

// What adapters wrap where the outbox has to tell errors apart. Everything else
// goes by the error's Kind, and by its After where the forge named a time.
var (
	// ErrUnknownSHA: the forge does not have the commit, or not yet.
	ErrUnknownSHA = errors.New("the forge does not know the commit")
	// ErrTooMany: the forge takes no more statuses for the commit.
	ErrTooMany = errors.New("the forge takes no more statuses for the commit")
)

// Outbox holds, for each line of statuses on a commit, the newest that is
// wanted and the last that the forge accepted. The zero value is empty. It is
// not safe for concurrent use.
type Outbox struct {
	// Items are ordered by the last Want, so the oldest commit comes first.
	Items []Item `json:"items,omitempty"`
}

// Item is one line of statuses: what a StatusKey names.
type Item struct {
	plumbline.StatusKey
	// Wanted is not sent yet; nil when there is nothing to say.
	Wanted *plumbline.Status `json:"wanted,omitempty"`
	// Accepted is the last that the forge took; nil when there was none.
	Accepted *plumbline.Status `json:"accepted,omitempty"`
	// Since is when the wish that is not sent yet arose: its window begins.
	Since time.Time `json:"since,omitzero"`

	Failures    int       `json:"failures,omitempty"`   // in a row
	FirstFailed time.Time `json:"firstFailed,omitzero"` // of those in a row that say the commit is unknown
	NotBefore   time.Time `json:"notBefore,omitzero"`   // next attempt after a failure
	Problem     string    `json:"problem,omitempty"`    // of the last attempt
	Stopped     bool      `json:"stopped,omitempty"`    // ErrTooMany: nothing more for this SHA
}

// Want replaces what is to be said in the status' key, by its own Time. What
// the forge has already is not said again, and what is wanted already stays as
// it is: a process that starts before its last status was sent has nothing to
// save.
func (o *Outbox) Want(s plumbline.Status) {
	s.Description = Describe(s.Description, plumbline.MaxStatusDescription)
	if o.stopped(s.SHA) {
		return
	}
	it := Item{StatusKey: s.Key()}
	if i := o.index(s.Key()); i >= 0 {
		it = o.Items[i]
		if it.Wanted != nil && it.Wanted.Equal(s) {
			return // a later time says nothing new
		}
		o.Items = slices.Delete(o.Items, i, i+1)
	}
	switch {
	case it.Accepted != nil && it.Accepted.Equal(s):
		it.settle()
	case it.Wanted == nil:
		it.Wanted, it.Since = &s, s.Time
	default:
		it.Wanted = &s
	}
	o.Items = append(o.Items, it)
	o.forget()
}

// Next is the status to send now. Without one, the time is when there will be
// one; zero when nothing is wanted. The answer stays the same until Accepted or
// Failed says what became of it.
func (o *Outbox) Next(now time.Time) (plumbline.Status, bool, time.Time) {
	var next *Item
	var at time.Time
	for i := range o.Items {
		it := &o.Items[i]
		if it.Wanted == nil {
			continue
		}
		if due := it.due(now); next == nil || due.Before(at) {
			next, at = it, due
		}
	}
	switch {
	case next == nil:
		return plumbline.Status{}, false, time.Time{}
	case at.After(now):
		return plumbline.Status{}, false, at
	}
	return *next.Wanted, true, time.Time{}
}

// due is when the wanted status may be sent. Times outlive the process, so a
// clock may have been put back since they were written: what could not have
// been is not waited for.
func (it *Item) due(now time.Time) time.Time {
	due := it.Since
	switch a := it.Accepted; {
	case it.Since.After(now):
		due = now
	case a == nil:
	case a.State != plumbline.StatusPending:
		due = due.Add(Window)
	case it.Wanted.State == plumbline.StatusPending && !a.Time.After(now):
		due = latest(due.Add(Window), a.Time.Add(ProgressGap))
	}
	if it.NotBefore.After(now.Add(longestPause)) {
		return due
	}
	return latest(due, it.NotBefore)
}

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// Accepted notes that the forge took s, or was seen to have it. A wish that
// arose meanwhile stays.
func (o *Outbox) Accepted(key plumbline.StatusKey, s plumbline.Status) {
	i := o.index(key)
	if i < 0 {
		return
	}
	it := &o.Items[i]
	it.Accepted = &s
	it.recover()
	if it.Wanted == nil {
		return
	}
	if it.Wanted.Equal(s) {
		it.settle()
		return
	}
	it.Since = it.Wanted.Time
}

// Failed notes that the forge did not take the wanted status, and decides when
// it is tried again: at the time that the error names, slowly where a right is
// missing, else with a growing pause. What can never be accepted is given up.
func (o *Outbox) Failed(key plumbline.StatusKey, err error, now time.Time) {
	i := o.index(key)
	if i < 0 {
		return
	}
	it := &o.Items[i]
	if it.Failures == 0 || !errors.Is(err, ErrUnknownSHA) { // one that was away says nothing about what it knows
		it.FirstFailed = now
	}
	it.Failures++
	it.Problem = err.Error()
	switch {
	case errors.Is(err, ErrTooMany):
		o.stop(key.SHA, it.Problem)
	case errors.Is(err, ErrUnknownSHA) && !now.Before(it.FirstFailed.Add(unknownFor)):
		o.Items = slices.Delete(o.Items, i, i+1)
	case errors.Is(err, ErrUnknownSHA):
		it.NotBefore = now.Add(it.backoff())
	case after(err) > 0:
		it.NotBefore = now.Add(min(after(err), longestPause))
	case plumbline.KindOf(err) == plumbline.KindDenied:
		it.NotBefore = now.Add(deniedInterval)
	case plumbline.KindOf(err) == plumbline.KindInvalid:
		it.settle()
	default:
		it.NotBefore = now.Add(it.backoff())
	}
}

// after is the pause that a forge asked for.
func after(err error) time.Duration {
	for e := (*plumbline.Error)(nil); errors.As(err, &e); err = e.Err {
		if e.After > 0 {
			return e.After
		}
	}
	return 0
}

// backoff doubles up to its limit, less up to a quarter that depends on the key
// and the attempt, so that many keys do not come back at once.
func (it *Item) backoff() time.Duration {
	d := maxBackoff
	if n := it.Failures - 1; n < 10 {
		d = min(d, firstBackoff<<n)
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(it.SHA + it.Context))
	_, _ = h.Write([]byte{byte(it.Failures)})
	return d - time.Duration(h.Sum32()%1000)*d/4000
}

func (it *Item) settle() { it.Wanted, it.Since = nil, time.Time{} }

func (it *Item) recover() {
	it.Failures, it.FirstFailed, it.NotBefore, it.Problem = 0, time.Time{}, time.Time{}, ""
}

func (o *Outbox) index(key plumbline.StatusKey) int {
	return slices.IndexFunc(o.Items, func(it Item) bool { return it.StatusKey == key })
}

func (o *Outbox) stopped(sha string) bool {
	return slices.ContainsFunc(o.Items, func(it Item) bool { return it.SHA == sha && it.Stopped })
}

func (o *Outbox) stop(sha, problem string) {
	for i := range o.Items {
		if it := &o.Items[i]; it.SHA == sha {
			it.settle()
			it.Stopped, it.Problem = true, problem
		}
	}
}

// forget drops whole commits while there are too many: the one that was wanted
// longest ago among those with nothing left to send, else among all.
func (o *Outbox) forget() {
	for {
		shas, open := o.commits()
		if len(shas) <= MaxSHAs {
			return
		}
		drop := shas[0]
		if i := slices.IndexFunc(shas, func(sha string) bool { return !open[sha] }); i >= 0 {
			drop = shas[i]
		}
		o.Items = slices.DeleteFunc(o.Items, func(it Item) bool { return it.SHA == drop })
	}
}

// commits are the commits by their last Want, oldest first, and which of them
// have something to send.
func (o *Outbox) commits() ([]string, map[string]bool) {
	open := map[string]bool{}
	var shas []string
	for _, it := range slices.Backward(o.Items) {
		if _, seen := open[it.SHA]; !seen {
			shas = append(shas, it.SHA)
		}
		open[it.SHA] = open[it.SHA] || it.Wanted != nil
	}
	slices.Reverse(shas)
	return shas, open
}

// Open are the commits whose newest status in a context, sent or wanted, is
// pending.
func (o *Outbox) Open(context string) []string {
	var out []string
	for _, it := range o.Items {
		newest := cmp.Or(it.Wanted, it.Accepted)
		if it.Context == context && newest != nil && newest.State == plumbline.StatusPending && !it.Stopped {
			out = append(out, it.SHA)
		}
	}
	return out
}

// UnmarshalJSON implements json.Unmarshaler: nothing stays of what was there.
func (o *Outbox) UnmarshalJSON(b []byte) error {
	type plain Outbox
	var read plain
	if err := json.Unmarshal(b, &read); err != nil {
		return err
	}
	*o = Outbox(read)
	return nil
}

// Pending counts the statuses that are not sent yet.
func (o *Outbox) Pending() int {
	n := 0
	for _, it := range o.Items {
		if it.Wanted != nil {
			n++
		}
	}
	return n
}

// Problems are the lines whose last attempt was refused, as "context on sha:
// problem", each problem once.
func (o *Outbox) Problems() []string {
	var out []string
	seen := map[string]bool{}
	for _, it := range o.Items {
		if it.Problem != "" && !seen[it.Problem] {
			seen[it.Problem] = true
			out = append(out, it.Context+" on "+plumbline.Commit{SHA: it.SHA}.Short()+": "+it.Problem)
		}
	}
	return out
}
