package reconciler_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/plumbline-dev/plumbline/fixtures/servers"
	"github.com/plumbline-dev/plumbline/reconciler"
)

// hanging lets requests wait for an answer until it is opened, or their client
// leaves.
type hanging struct {
	*servers.Fault
	open func()
}

func (f *faulty) hang(match func(*http.Request) bool) hanging {
	f.t.Helper()
	opened := make(chan struct{})
	h := hanging{open: sync.OnceFunc(func() { close(opened) })}
	f.t.Cleanup(h.open)
	h.Fault = f.proxy.Put(servers.Fault{Match: match, Do: func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
		select {
		case <-opened:
			pass.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	}})
	return h
}

func newImpatient(t testing.TB) *faulty {
	f := newFaulty(t)
	tune := f.tune
	f.tune = func(o *reconciler.Options) {
		tune(o)
		o.Patience = 500 * time.Millisecond // a read that takes longer is given up, and done again
	}
	return f
}

// met moves the clock on until n requests met the fault.
func (f *faulty) met(h hanging, n int) {
	f.t.Helper()
	f.hurry(fmt.Sprintf("%d requests hang", n), func() bool { return h.Met() >= n })
}

// scalerFile is of a later wave than ConfigMaps.
const scalerFile = `apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web, namespace: NS}
spec: {maxReplicas: 3, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}
`

var scalers = schema.GroupVersionResource{Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers"}

// TestHangingObject has an object that the API server does not answer for: it
// holds up nobody. The others of its commit are applied, those of later waves
// too, drift is healed, the next commits are applied, and all that is told. It is
// asked for once at a time.
func TestHangingObject(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		match func(*http.Request) bool
		text  string // of the object in the commit; empty: it is deleted
	}{
		{"create", on(http.MethodPatch, "/new"), configMap("new", "1")},
		{"change", on(http.MethodPatch, "/extra"), strings.Replace(extraFile, "b}", "c}", 1)},
		{"delete", on(http.MethodDelete, "/extra"), ""},
		{"look before the create", on(http.MethodGet, "/new"), configMap("new", "1")},
	} {
		for _, answered := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, answered=%t", c.name, answered), func(t *testing.T) {
				t.Parallel()
				f := newImpatient(t)
				if !answered {
					f.client.Timeout = 3 * time.Second
				}
				f.files["extra.yaml"] = extraFile
				f.begin()
				fault := f.hang(c.match)
				file := "extra.yaml"
				if strings.Contains(c.text, "new") {
					file = "new.yaml"
				}
				sha := f.push(map[string]string{file: c.text, "web.yaml": scalerFile, "settings.yaml": settingsIs("green")})
				f.met(fault, 1)
				f.hurry("the others are applied", func() bool {
					return slices.Contains(f.live(scalers), "HorizontalPodAutoscaler web") && fmt.Sprint(f.get(configMaps, "settings").Object["data"]) == "map[color:green]"
				})
				f.hurry("it is told", func() bool { return len(f.posted.of(sha, "plumbline/"+f.env)) > 0 })
				f.edit("red")
				f.healed()
				f.push(map[string]string{"settings.yaml": settingsIs("blue")})
				f.hurry("the next commit is applied", func() bool {
					return fmt.Sprint(f.get(configMaps, "settings").Object["data"]) == "map[color:blue]"
				})
				if strings.HasPrefix(last(f.posted.of(f.repo.head(), "plumbline/"+f.env)), "success: ") {
					t.Error("the head is a success although an object of it hangs")
				}
				if answered {
					if got := fault.Met(); got != 1 && c.name != "look before the create" {
						t.Errorf("%d requests while one is under way", got)
					}
				} else {
					f.met(fault, 2) // it is tried again
					fault.Remove()
				}
				fault.open()
				f.converged()
			})
		}
	}
}

// TestHangingHeal has an object that was edited, and whose heal is not answered:
// the others are healed, what is known is told, and the heal is told when it
// was done.
func TestHangingHeal(t *testing.T) {
	t.Parallel()
	f := newImpatient(t)
	f.files["extra.yaml"] = extraFile
	f.begin()
	fault := f.hang(on(http.MethodPatch, "/extra"))
	f.patch(configMaps, "extra", `{"data":{"a":"theirs"}}`, "kubectl-edit")
	f.met(fault, 1)
	f.hurry("the drift is told", func() bool {
		return strings.Contains(last(f.posted.of(f.repo.head(), "plumbline/"+f.env+"/drift")), "extra data.a by kubectl-edit")
	})
	f.edit("red")
	f.hurry("the other is healed", func() bool { return f.told(reconciler.EventHealed) == 1 })
	f.patch(configMaps, "extra", `{"data":{"theirs":"x"}}`, "kubectl-edit") // beside it, meanwhile
	f.drifts++
	if got := fault.Met(); got != 1 {
		t.Errorf("%d requests while one is under way", got)
	}
	fault.open()
	f.converged()
}

// TestHangingQuestion has, where drift is only reported, a suspect whose dry-run
// is not answered: of the others it is known.
func TestHangingQuestion(t *testing.T) {
	t.Parallel()
	f := newImpatient(t)
	tune := f.tune
	f.tune = func(o *reconciler.Options) {
		tune(o)
		o.Drift = reconciler.DriftReport
	}
	f.files["extra.yaml"] = extraFile
	f.begin()
	fault := f.hang(on(http.MethodPatch, "/extra"))
	f.patch(configMaps, "extra", `{"data":{"theirs":"x"}}`, "kubectl-edit")
	f.met(fault, 1)
	f.patch(configMaps, "settings", `{"data":{"color":"red"}}`, "kubectl-edit")
	f.hurry("the other is told", func() bool {
		return strings.Contains(last(f.posted.of(f.repo.head(), "plumbline/"+f.env+"/drift")), "settings data.color by kubectl-edit")
	})
	if got := fault.Met(); got != 1 {
		t.Errorf("%d requests while one is under way", got)
	}
	fault.open()
	f.push(map[string]string{"settings.yaml": settingsIs("green")})
	f.settle()
	f.drifts = 1
	f.loose = true // nothing is healed by itself here
	f.converged()
	if got := f.told(reconciler.EventDrift); got != 1 {
		t.Errorf("%d drifts were told, and there was one", got)
	}
}
