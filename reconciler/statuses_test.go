package reconciler_test

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/plumbline-dev/plumbline"
)

// statuses is the forge.
type statuses struct {
	mu   sync.Mutex
	list []plumbline.Status
	wake chan struct{}
}

func (s *statuses) Post(_ context.Context, st plumbline.Status) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, st)
	if s.wake != nil {
		close(s.wake)
		s.wake = nil
	}
	return nil
}

func (s *statuses) Last(_ context.Context, key plumbline.StatusKey) (plumbline.Status, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range slices.Backward(s.list) {
		if st.Key() == key {
			return st, true, nil
		}
	}
	return plumbline.Status{}, false, nil
}

// of is what was posted to a context whose name ends in end, on a commit.
func (s *statuses) of(sha, context string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, st := range s.list {
		if st.SHA == sha && st.Context == context {
			out = append(out, string(st.State)+": "+st.Description)
		}
	}
	return out
}

// await waits for a posted status that ok accepts.
func (s *statuses) await(t testing.TB, ok func(plumbline.Status) bool) plumbline.Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		s.mu.Lock()
		for _, st := range s.list {
			if ok(st) {
				s.mu.Unlock()
				return st
			}
		}
		if s.wake == nil {
			s.wake = make(chan struct{})
		}
		wake := s.wake
		s.mu.Unlock()
		select {
		case <-ctx.Done():
			t.Fatal("the status was not posted")
		case <-wake:
		}
	}
}

// told waits until something else than that it is pending was said of a commit.
func (w *world) told(sha string) {
	w.t.Helper()
	w.posted.await(w.t, func(s plumbline.Status) bool {
		return s.SHA == sha && s.Context == "plumbline/"+w.env && s.State != plumbline.StatusPending
	})
}

// synced waits for the success of a commit.
func (w *world) synced(sha string) {
	w.t.Helper()
	w.posted.await(w.t, func(s plumbline.Status) bool {
		return s.SHA == sha && s.Context == "plumbline/"+w.env && s.State == plumbline.StatusSuccess
	})
}

// outbox sends the newest status of each key, in the order in which they were
// wanted; equal ones once.
type outbox struct {
	Queue []plumbline.Status
	Last  map[string]plumbline.Status
}

func (f *outbox) Want(s plumbline.Status, _ time.Time) {
	key := s.SHA + s.Context
	if last, ok := f.Last[key]; ok && last.Equal(s) {
		return
	}
	if f.Last == nil {
		f.Last = map[string]plumbline.Status{}
	}
	f.Last[key] = s
	f.Queue = slices.DeleteFunc(f.Queue, func(q plumbline.Status) bool { return q.Key() == s.Key() })
	f.Queue = append(f.Queue, s)
}

func (f *outbox) Next(time.Time) (plumbline.Status, bool, time.Time) {
	if len(f.Queue) == 0 {
		return plumbline.Status{}, false, time.Time{}
	}
	return f.Queue[0], true, time.Time{}
}

func (f *outbox) Accepted(s plumbline.Status, _ time.Time) {
	f.Queue = slices.DeleteFunc(f.Queue, s.Equal)
}

func (f *outbox) Failed(s plumbline.Status, _ error, now time.Time) { f.Accepted(s, now) }

func (f *outbox) Open(context string) []string {
	var out []string
	for _, s := range f.Last {
		if s.Context == context && s.State == plumbline.StatusPending {
			out = append(out, s.SHA)
		}
	}
	return out
}

type plainOutbox outbox

func (f *outbox) MarshalJSON() ([]byte, error)    { return json.Marshal((*plainOutbox)(f)) }
func (f *outbox) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, (*plainOutbox)(f)) }
