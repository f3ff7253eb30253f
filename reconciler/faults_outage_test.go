package reconciler_test

import (
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/plumbline-dev/plumbline/fixtures/servers"
)

// TestPoison has one object that never works, in every way: the others are
// applied, healed and deleted, its retries come at longer and longer intervals,
// and the first that works ends it.
func TestPoison(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		do   func(http.ResponseWriter, *http.Request, http.Handler) // nil: a bug of ours
		said string                                                 // whether it is tried again
	}{
		{"panics", nil, "error: "},
		{"garbage", servers.Say(http.StatusOK, `{"metadata":`), "error: "},
		{"an error", servers.Refuse(http.StatusInternalServerError, 0), "error: "},
		{"no answer", servers.Reset, "error: "},
		{"busy", servers.Refuse(http.StatusTooManyRequests, 1), "error: "},
		{"invalid", servers.Refuse(http.StatusUnprocessableEntity, 0), "failure: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFaulty(t)
			poison := on(http.MethodPatch, "/poison")
			if c.do == nil {
				f.between = func(r *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
					resp, err := send()
					if poison(r) && err == nil && resp.StatusCode == http.StatusTeapot {
						panic("what the server said")
					}
					return resp, err
				}
				c.do = servers.Say(http.StatusTeapot, `{}`)
			}
			f.files["extra.yaml"] = extraFile
			f.begin()
			begun, most := f.clock.now(), 1
			fault := f.proxy.Put(servers.Fault{Match: poison, Do: c.do})
			f.push(map[string]string{
				"poison.yaml": configMap("poison", "1"), "new.yaml": configMap("new", "1"), "extra.yaml": "", "settings.yaml": settingsIs("green"),
			})
			f.waiting(c.said)
			f.hurry("the others are done", func() bool {
				return fmt.Sprint(f.live(configMaps)) == "[ConfigMap new ConfigMap settings]"
			})
			f.edit("red")
			f.healed()
			f.pass(10 * time.Minute)
			if c.said == "error: " {
				most = tries(f.clock.now().Sub(begun))
			}
			if got := fault.Met(); got > most {
				t.Errorf("%d tries, want at most %d", got, most)
			}
			f.atMost(3+3+2+fault.Met(), written)
			fault.Remove()
			f.push(map[string]string{"poison.yaml": configMap("poison", "2")})
			f.converged()
		})
	}
}

// tries is how often something is tried within a time that does not work: after
// a second, doubling, then every five minutes, each less a fifth.
func tries(within time.Duration) int {
	n := 1
	for wait := time.Second; wait*4/5 <= within; wait = min(2*wait, 5*time.Minute) {
		within -= wait * 4 / 5
		n++
	}
	return n
}

// TestPoisonMetadata has an object that left the watch and cannot be read: it
// is asked for at longer and longer intervals, and others that left are found
// missing at once.
func TestPoisonMetadata(t *testing.T) {
	t.Parallel()
	f := newFaulty(t)
	f.files["poison.yaml"] = configMap("poison", "1")
	f.begin()
	begun := f.clock.now()
	fault := f.proxy.Put(servers.Fault{Match: on(http.MethodGet, "/poison"), Do: servers.Refuse(http.StatusInternalServerError, 0)})
	f.delete(configMaps, "poison")
	fault.Await(t, 1)
	f.delete(configMaps, "settings")
	f.drifts++
	f.healed()
	f.pass(10 * time.Minute)
	if got, most := fault.Met(), tries(f.clock.now().Sub(begun)); got > most {
		t.Errorf("%d reads, want at most %d", got, most)
	}
	fault.Remove()
	f.drifts++
	f.converged()
}

// TestOutage takes the API server away for ten minutes, in which there are a
// commit, an edit and a deletion: nobody storms it, little is remembered, and
// everything is made good by itself afterwards.
func TestOutage(t *testing.T) {
	t.Parallel()
	f := newFaulty(t)
	for i := range 40 {
		name := fmt.Sprintf("m-%02d", i)
		f.files[name+".yaml"] = configMap(name, "1")
	}
	f.begin()
	goroutines := runtime.NumGoroutine()
	f.proxy.Down()
	change := map[string]string{"m-00.yaml": "", "new.yaml": configMap("new", "1")}
	for i := 1; i < 30; i++ {
		name := fmt.Sprintf("m-%02d", i)
		change[name+".yaml"] = configMap(name, "2")
	}
	f.push(change)
	f.edit("red")
	f.delete(configMaps, "m-39")
	f.loose = true // whether the commit or the watch is first to find it gone
	f.pass(10 * time.Minute)
	if got := f.proxy.Refused(); got > 16*15 || got == 0 {
		t.Errorf("%d connections, want some, and at most a round of them each minute", got)
	}
	if got := runtime.NumGoroutine(); got > 2*goroutines+100 { // other tests run beside this one
		t.Errorf("%d goroutines, were %d", got, goroutines)
	}
	f.proxy.Up()
	f.settle()
	f.hurry("what was edited and deleted is healed", func() bool {
		return fmt.Sprint(f.get(configMaps, "settings").Object["data"]) == "map[color:blue]" && slices.Contains(f.live(configMaps), "ConfigMap m-39")
	})
	f.converged()
}
