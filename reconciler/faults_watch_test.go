package reconciler_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/fixtures/servers"
	"github.com/plumbline-dev/plumbline/reconciler"
)

// TestFaultyWatch ends the watch of a kind in every way that it may end, edits
// an object while nobody watches, and wants that edit to be seen, and nothing
// else to be taken for drift.
func TestFaultyWatch(t *testing.T) {
	t.Parallel()
	opened := func(s servers.Seen) bool { return s.Watch() && strings.HasSuffix(s.Path, "/configmaps") }
	listed := func(s servers.Seen) bool {
		return s.Class == servers.ClassWatch && strings.HasSuffix(s.Path, "/configmaps") && (!s.Watch() || s.Query.Has("sendInitialEvents"))
	}
	reopened := func(r *http.Request) bool {
		return watchConfigMaps(r) && !r.URL.Query().Has("sendInitialEvents")
	}
	for _, c := range []struct {
		name   string
		fault  servers.Fault // of the next watch
		silent bool          // the open watch is silenced, not cut
		wait   bool          // only that it says nothing shows that it failed
		lists  int           // how often the kind may be listed again
		opens  int           // how often it may be watched again, and once each time that nothing was said for long
	}{
		{name: "cut", fault: servers.Fault{Match: reopened, Do: servers.Reset, Times: 2}, opens: 4},
		{name: "cut, and busy", fault: servers.Fault{Match: reopened, Do: servers.Refuse(http.StatusTooManyRequests, 1), Times: 2}, opens: 4},
		{name: "cut, and broken", fault: servers.Fault{Match: reopened, Do: servers.Refuse(http.StatusInternalServerError, 0), Times: 1}, lists: 2, opens: 4},
		{name: "gone", fault: servers.Fault{Match: reopened, Do: servers.Refuse(http.StatusGone, 0), Times: 1}, lists: 2, opens: 4},
		{name: "gone, said in the stream", fault: servers.Fault{
			Match: reopened, Times: 1,
			Do: servers.Say(http.StatusOK, `{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","code":410}}`),
		}, lists: 2, opens: 4},
		{name: "silent", silent: true, wait: true, opens: 4},
		{name: "cut, and not opened", fault: servers.Fault{Match: reopened, Do: servers.HoldAnswer, Times: 1}, wait: true, lists: 2, opens: 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFaulty(t)
			if c.wait {
				f.client.Silence = 1500 * time.Millisecond
			}
			f.begin()
			f.edit("red") // a watch without any event counts as one that failed
			f.healed()
			lists, opens, begun := len(f.proxy.Seen(listed)), len(f.proxy.Seen(opened)), time.Now()
			var fault *servers.Fault
			n := 0
			if c.silent {
				n = f.proxy.Silence(watchConfigMaps)
			} else {
				fault = f.proxy.Put(c.fault)
				n = f.proxy.Cut(watchConfigMaps)
			}
			if n != 1 {
				t.Errorf("%d watches were met, want 1", n)
			}
			if fault != nil {
				fault.Await(t, 1)
			}
			f.clock.advance(time.Hour) // past the backoff of the first heal
			f.edit("black")
			f.healed()
			f.converged()
			if got := len(f.proxy.Seen(listed)) - lists - 1; got > c.lists { // one is of the second process
				t.Errorf("%d lists, want at most %d", got, c.lists)
			}
			if c.wait {
				c.opens += int(time.Since(begun) / f.client.Silence)
			}
			if got := len(f.proxy.Seen(opened)) - opens - 1; got > c.opens {
				t.Errorf("%d watches were opened, want at most %d", got, c.opens)
			}
		})
	}
}

// TestFaultyFirstList starts a process whose lists break off: nothing is taken
// for missing, and nothing is deleted, until one is whole.
func TestFaultyFirstList(t *testing.T) {
	t.Parallel()
	stream := func(r *http.Request) bool {
		return watchConfigMaps(r) && r.URL.Query().Has("sendInitialEvents")
	}
	list := func(part bool) func(*http.Request) bool {
		return func(r *http.Request) bool {
			return strings.HasSuffix(r.URL.Path, "/configmaps") && strings.Contains(r.UserAgent(), "(watch)") &&
				r.URL.Query().Get("watch") == "" && r.URL.Query().Has("continue") == part
		}
	}
	for name, faults := range map[string][]servers.Fault{
		"a stream that ends": {
			{Match: stream, Do: breakOff, Times: 3},
		},
		"a part that is refused": {
			{Match: stream, Do: servers.Refuse(http.StatusUnprocessableEntity, 0)},
			{Match: list(false), Do: servers.Chunk(2), Times: 2},
			{Match: list(true), Do: servers.Refuse(http.StatusInternalServerError, 0), Times: 2},
		},
		"a token that expires": {
			{Match: stream, Do: servers.Refuse(http.StatusUnprocessableEntity, 0)},
			{Match: list(false), Do: servers.Chunk(2), Times: 1},
			{Match: list(true), Do: servers.Refuse(http.StatusGone, 0), Times: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFaulty(t)
			for i := range 6 {
				f.files[fmt.Sprintf("m-%d.yaml", i)] = configMap(fmt.Sprintf("m-%d", i), "1")
			}
			f.begin()
			f.p.stop()
			before := len(f.proxy.Seen(written))
			for _, fault := range faults {
				f.proxy.Put(fault)
			}
			f.push(map[string]string{"m-0.yaml": "", "m-1.yaml": configMap("m-1", "2")})
			f.p = f.start()
			f.converged()
			f.atMost(before+2, written)
		})
	}
}

// breakOff ends a stream after its head.
func breakOff(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// TestFaultyLookup takes our label from more objects than are read one by one,
// and answers in parts that break off: none is taken for missing.
func TestFaultyLookup(t *testing.T) {
	t.Parallel()
	f := newFaulty(t)
	const n = 25
	for i := range n {
		f.files[fmt.Sprintf("m-%02d.yaml", i)] = configMap(fmt.Sprintf("m-%02d", i), "1")
	}
	f.begin()
	list := func(part bool) func(*http.Request) bool {
		return func(r *http.Request) bool {
			return r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/configmaps") && strings.Contains(r.UserAgent(), "(object)") &&
				r.URL.Query().Has("continue") == part
		}
	}
	f.proxy.Put(servers.Fault{Match: list(false), Do: servers.Chunk(10)})
	expired := f.proxy.Put(servers.Fault{Match: list(true), Do: servers.Refuse(http.StatusGone, 0), Times: 2})
	// While the kind is not watched all of them change, so that they are missed
	// at once.
	refused := f.proxy.Put(servers.Fault{Match: watchConfigMaps, Do: servers.Refuse(http.StatusGone, 0)})
	f.proxy.Cut(watchConfigMaps)
	refused.Await(t, 1)
	for i := range n {
		_, err := f.dynamic.Resource(configMaps).Namespace(f.ns).Patch(t.Context(), fmt.Sprintf("m-%02d", i), types.JSONPatchType,
			[]byte(`[{"op": "remove", "path": "/metadata/labels/plumbline.dev~1environment"}]`), metav1.PatchOptions{FieldManager: "kubectl-label"})
		if err != nil {
			t.Fatal(err)
		}
	}
	refused.Remove()
	f.loose = true // so many at once are told as one
	f.hurry("the token expired twice", func() bool { return expired.Met() == 2 })
	f.hurry("all have our label again", func() bool { return len(f.live(configMaps)) == n+1 })
	f.converged()
	for _, e := range f.p.events.all() {
		if e.Kind == reconciler.EventDrift && e.Verdict.State != plumbline.StateDrifted {
			t.Errorf("%s is %s", e.Verdict.Ref, e.Verdict.State)
		}
	}
}
