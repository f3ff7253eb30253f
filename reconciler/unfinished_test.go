package reconciler_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plumbline-dev/plumbline/reconciler"
)

// rejectNew is a webhook that denies one object.
func rejectNew(_ *http.Request, q *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
	if q.Name != "new" {
		return &admissionv1.AdmissionResponse{Allowed: true}
	}
	return &admissionv1.AdmissionResponse{Result: &metav1.Status{Code: http.StatusForbidden, Message: "no cost center"}}
}

// status is the newest that was said of a commit.
func (f *faulty) status(sha string) string { return last(f.posted.of(sha, "plumbline/"+f.env)) }

// counted are the statuses of a commit that begin so.
func (f *faulty) counted(sha, state string) int {
	n := 0
	for _, s := range f.posted.of(sha, "plumbline/"+f.env) {
		if strings.HasPrefix(s, state+": ") {
			n++
		}
	}
	return n
}

// TestUnfinishedBelowRefused pushes a commit of which one object is denied for a
// while, and on top of it one that is refused: the first is brought to its end all
// the same, by the process that saw both and by the next, and each has its status.
func TestUnfinishedBelowRefused(t *testing.T) {
	t.Parallel()
	invalid := map[string]string{"broken": "no such secret", "settings.yaml": settingsIs("red")}
	for name, c := range map[string]struct {
		files      map[string]string // of the commit that is refused
		unreadable bool              // that commit cannot be read at all
		restart    bool              // the process is another one then
		want       string            // status of that commit
	}{
		"invalid":                  {files: invalid, want: "failure: broken:1: no such secret"},
		"invalid, restart":         {files: invalid, restart: true, want: "failure: broken:1: no such secret"},
		"nothing defined, restart": {files: map[string]string{}, restart: true, want: "failure: render: no definitions found: nothing is applied and nothing is pruned"},
		"unreadable, restart":      {files: invalid, unreadable: true, restart: true, want: "failure: read commit: unknown commit"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFaulty(t)
			h := newWebhook(t)
			reject := rejectNew
			f.begin()
			h.answer.Store(&reject)
			f.install(h, false, 10)
			deployed := f.push(map[string]string{"new.yaml": configMap("new", "1"), "settings.yaml": settingsIs("green")})
			f.waiting("denied the request: no cost center")

			refused := f.commit(c.files)
			if c.unreadable {
				tune := f.tune
				f.tune = func(o *reconciler.Options) {
					tune(o)
					o.Source = forgetful{o.Source, refused}
				}
			}
			before := len(f.proxy.Seen(writes("/new")))
			if c.restart {
				f.p.stop()
				f.p = f.start()
			}
			f.hurry("the commit is refused", func() bool { return f.status(refused) != "" })
			f.edit("black")
			f.healed()
			f.pass(5 * time.Minute)
			if got := f.counted(deployed, "success"); got != 0 {
				t.Errorf("%d times a success too early: %q", got, f.posted.of(deployed, "plumbline/"+f.env))
			}
			f.atMost(before+15, writes("/new")) // each half minute, and once more by each process

			h.answer.Store(nil)
			f.hurry("the commit before is in sync", func() bool { return strings.HasPrefix(f.status(deployed), "success: ") })
			f.get(configMaps, "new")
			f.pass(5 * time.Minute)
			if got := f.posted.of(refused, "plumbline/"+f.env); !slices.Equal(got, []string{c.want}) {
				t.Errorf("statuses %q of what is refused, want %q", got, c.want)
			}
			if got := f.counted(deployed, "success"); got != 1 {
				t.Errorf("%d times a success: %q", got, f.posted.of(deployed, "plumbline/"+f.env))
			}
			f.push(map[string]string{"settings.yaml": settingsIs("blue")})
			f.converged()
		})
	}
}

// TestOvertakenByRefused pushes a commit while the window is closed, and on top of
// it one that is refused: nothing of the first was begun, so nothing of it ever is.
func TestOvertakenByRefused(t *testing.T) {
	t.Parallel()
	f := newFaulty(t)
	tune, opens := f.tune, f.clock.now().Add(time.Hour)
	f.begin()
	f.p.stop()
	f.tune = func(o *reconciler.Options) {
		tune(o)
		o.Gate = func(now time.Time) (bool, time.Time, string) {
			return !now.Before(opens), opens, "outside of the window"
		}
	}
	overtaken := f.push(map[string]string{"new.yaml": configMap("new", "1")})
	f.p = f.start()
	f.waiting("pending: outside of the window")
	refused := f.commit(map[string]string{"broken": "no such secret"})
	f.hurry("the commit is refused", func() bool { return f.status(refused) != "" })
	f.pass(2 * time.Hour)
	if got, want := f.status(overtaken), "success: superseded by "+refused[:7]; got != want {
		t.Errorf("status %q, want %q", got, want)
	}
	if _, err := f.dynamic.Resource(configMaps).Namespace(f.ns).Get(t.Context(), "new", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("it was applied: %v", err)
	}
	f.push(map[string]string{"settings.yaml": settingsIs("green")})
	f.converged()
}
