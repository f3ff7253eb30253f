package reconciler_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/plumbline-dev/plumbline/fixtures/servers"
	"github.com/plumbline-dev/plumbline/reconciler"
)

// TestFaultyAnswers lets requests for objects meet faults, each in the middle
// of a commit that changes, adds and deletes.
func TestFaultyAnswers(t *testing.T) {
	t.Parallel()
	anyWrite := func(r *http.Request) bool {
		return r.Method == http.MethodPatch || r.Method == http.MethodDelete
	}
	for _, c := range []struct {
		name  string
		fault servers.Fault
		most  int // writes of objects that may be sent; without a fault they are 3
	}{
		{"429 without a word", servers.Fault{Match: anyWrite, Do: servers.Refuse(http.StatusTooManyRequests, 0), Times: 4}, 7},
		{"500", servers.Fault{Match: anyWrite, Do: servers.Refuse(http.StatusInternalServerError, 0), Times: 5}, 8},
		{"503 with a delay", servers.Fault{Match: anyWrite, Do: servers.Refuse(http.StatusServiceUnavailable, 5), Times: 5}, 8},
		{"a page of a proxy", servers.Fault{Match: anyWrite, Do: servers.Say(http.StatusOK, "<html>sign in</html>"), Times: 3}, 6},
		{"another object", servers.Fault{
			Match: anyWrite, Times: 3,
			Do: servers.Say(http.StatusOK, `{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"other","uid":"1"}}`),
		}, 6},
		{"a connection reset before", servers.Fault{Match: anyWrite, Do: servers.Reset, Times: 3}, 6},
		{"a create whose answer is lost", servers.Fault{Match: on(http.MethodPatch, "/new"), Do: servers.LoseAnswer, Times: 1}, 4},
		{"a change whose answer is lost", servers.Fault{Match: on(http.MethodPatch, "/settings"), Do: servers.LoseAnswer, Times: 1}, 4},
		{"a deletion whose answer is lost", servers.Fault{Match: on(http.MethodDelete, "/extra"), Do: servers.LoseAnswer, Times: 1}, 4},
		{"a create whose answer never comes", servers.Fault{Match: on(http.MethodPatch, "/new"), Do: servers.HoldAnswer, Times: 1}, 4},
		{"a change whose answer never comes", servers.Fault{Match: on(http.MethodPatch, "/settings"), Do: servers.HoldAnswer, Times: 1}, 4},
		{"a read that is refused", servers.Fault{Match: on(http.MethodGet, "/new"), Do: servers.Refuse(http.StatusInternalServerError, 0), Times: 2}, 3},
		{"a read that never ends", servers.Fault{Match: on(http.MethodGet, "/new"), Do: servers.HoldAnswer, Times: 1}, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFaulty(t)
			if strings.Contains(c.name, "never") { // elsewhere a slow answer would be one write more
				f.client.Timeout = 3 * time.Second
			}
			f.files["extra.yaml"] = extraFile
			f.begin()
			before := len(f.proxy.Seen(written))
			fault := f.proxy.Put(c.fault)
			f.push(map[string]string{"settings.yaml": settingsIs("green"), "new.yaml": configMap("new", "1"), "extra.yaml": ""})
			f.settle()
			if got := fault.Met(); got != c.fault.Times {
				t.Errorf("%d requests met the fault, want %d", got, c.fault.Times)
			}
			f.atMost(before+c.most, written)
			f.converged()
		})
	}
}

// written keeps the writes of objects.
func written(s servers.Seen) bool {
	return s.Class == servers.ClassObject && s.Method != http.MethodGet
}

// TestFaultyHeal loses the answer to a heal: that the object was drifted, and
// that it was healed, is told once.
func TestFaultyHeal(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(http.ResponseWriter, *http.Request, http.Handler){
		"lost": servers.LoseAnswer, "held": servers.HoldAnswer, "reset": servers.Reset, "refused": servers.Refuse(http.StatusServiceUnavailable, 7),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFaulty(t)
			if name == "held" {
				f.client.Timeout = 3 * time.Second
			}
			f.begin()
			fault := f.proxy.Put(servers.Fault{Match: on(http.MethodPatch, "/settings"), Do: do, Times: 1})
			f.edit("red")
			fault.Await(t, 1)
			f.healed()
			f.converged()
			if got := f.told(reconciler.EventHealed); got != 1 {
				t.Errorf("%d heals were told, want 1", got)
			}
		})
	}
}

// TestRetryAfter asks one create to wait for half a minute: that is waited for,
// and the object is created then.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for _, code := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			t.Parallel()
			f := newFaulty(t)
			f.begin()
			begun := f.clock.now()
			fault := f.proxy.Put(servers.Fault{Match: on(http.MethodPatch, "/new"), Do: servers.Refuse(code, 30), Times: 1})
			sha := f.push(map[string]string{"new.yaml": configMap("new", "1")})
			fault.Await(t, 1)
			f.p.events.awaitRuns(t, sha, 1)
			f.pass(begun.Add(29 * time.Second).Sub(f.clock.now()))
			if got := len(f.proxy.Seen(writes("/new"))); got > 1 && f.clock.now().Sub(begun) < 30*time.Second {
				t.Errorf("%d writes were sent before it was time", got)
			}
			f.converged()
			f.atMost(2, writes("/new"))
		})
	}
}

// TestRefusedCrowd refuses a commit of many objects: a handful of requests find
// that out for all of them, and a heal does not join in.
func TestRefusedCrowd(t *testing.T) {
	t.Parallel()
	f := newFaulty(t)
	f.begin()
	crowd := func(s servers.Seen) bool { return written(s) && strings.Contains(s.Path, "/m-") }
	fault := f.proxy.Put(servers.Fault{
		Match: func(r *http.Request) bool { return r.Method == http.MethodPatch },
		Do:    servers.Refuse(http.StatusTooManyRequests, 20),
	})
	change := map[string]string{}
	for i := range 60 {
		name := fmt.Sprintf("m-%02d", i)
		change[name+".yaml"] = configMap(name, "1")
	}
	begun := f.clock.now()
	sha := f.push(change)
	f.p.events.awaitRuns(t, sha, 1)
	if got := len(f.proxy.Seen(crowd)); got > 16 || got == 0 {
		t.Errorf("%d creates were sent, want some, and at most as many as there are workers", got)
	}
	met := fault.Met()
	f.edit("red")
	f.p.events.await(t, driftOf("settings"))
	f.pass(begun.Add(15 * time.Second).Sub(f.clock.now()))
	if got := fault.Met(); got > met && f.clock.now().Sub(begun) < 20*time.Second {
		t.Errorf("%d writes were sent before it was time", got-met)
	}
	f.pass(2 * time.Minute)
	fault.Remove()
	rounds := 2 + int(f.clock.now().Sub(begun)/(20*time.Second))
	f.converged()
	f.atMost(60+rounds*16, crowd)
}
