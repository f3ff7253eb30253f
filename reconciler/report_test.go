package reconciler

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/plumbline-dev/plumbline"
)

const sha = "0123456789abcdef0123456789abcdef01234567"

func TestSyncStatus(t *testing.T) {
	t.Parallel()
	violation := plumbline.Violation{
		Code: "PL0001", Severity: plumbline.SeverityError,
		Origin: plumbline.Origin{Path: "services/cart.yaml", Line: 14}, Message: `unknown port protocol "grcp"`,
	}
	warning := plumbline.Violation{Severity: plumbline.SeverityWarning, Message: "odd"}
	denied := plumbline.Errorf(plumbline.KindDenied, "apply", "not ours")
	for _, c := range []struct {
		result Result
		want   string
	}{
		{Result{Total: 340}, "success: 340 objects applied, in sync"},
		{Result{Total: 1, Violations: []plumbline.Violation{warning}}, "success: 1 object applied, in sync"},
		{Result{Violations: []plumbline.Violation{violation, warning, violation, violation}}, `failure: services/cart.yaml:14: unknown port protocol "grcp" (+2)`},
		{Result{Closed: "outside the window until 09:00Z"}, "pending: outside the window until 09:00Z"},
		{Result{Err: errors.New("connection\n refused")}, "error: connection refused"},
		{Result{Err: plumbline.Errorf(plumbline.KindInternal, "reconcile", "panic of type string")}, "error: reconcile: panic of type string"},
		{Result{Err: errors.Join(errors.New("timeout"), denied, denied)}, "failure: apply: not ours (+2)"},
		{Result{Err: plumbline.Errorf(plumbline.KindWaiting, "apply", "no such kind yet")}, "pending: apply: no such kind yet"},
	} {
		c.result.Commit.SHA = sha
		s := syncStatus("plumbline/production", c.result)
		if got := string(s.State) + ": " + s.Description; got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
		if s.SHA != sha || s.Context != "plumbline/production" {
			t.Errorf("status of %s %s", s.SHA, s.Context)
		}
	}
}

func TestPendingStatus(t *testing.T) {
	t.Parallel()
	change := func(op plumbline.Op, times int) []plumbline.Change {
		return slices.Repeat([]plumbline.Change{{Op: op}}, times)
	}
	for _, c := range []struct {
		changes []plumbline.Change
		want    string
	}{
		{slices.Concat(change(plumbline.OpCreate, 5), change(plumbline.OpConfigure, 7), change(plumbline.OpKeep, 3)), "pending: Applying 12 of 340 objects"},
		{slices.Concat(change(plumbline.OpConfigure, 1), change(plumbline.OpDelete, 400)), "pending: Applying 1 of 340 objects, deleting 400"},
		{change(plumbline.OpDelete, 1), "pending: Deleting 1 object"},
	} {
		s := pendingStatus("plumbline/production", Result{Total: 340, Plan: plumbline.Plan{Changes: c.changes}})
		if got := string(s.State) + ": " + s.Description; got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestDescribeFits(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"short", strings.Repeat("x", 140), strings.Repeat("x", 141), strings.Repeat("ü", 90), strings.Repeat("統", 60)} {
		for _, more := range []int{0, 2, 12345} {
			got := describe(text, more)
			if len(got) > plumbline.MaxStatusDescription || !utf8.ValidString(got) {
				t.Errorf("%d bytes, valid %v: %q", len(got), utf8.ValidString(got), got)
			}
			if more > 0 && !strings.HasSuffix(got, ")") {
				t.Errorf("%q lost how many more there are", got)
			}
			if len(text) < 100 && !strings.HasPrefix(got, text) {
				t.Errorf("%q was cut without need", got)
			}
		}
	}
}

func TestDriftStatus(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 1, 9, 12, 30, 0, time.UTC)
	cart := plumbline.Verdict{
		Ref:   plumbline.Ref{Group: "serving.knative.dev", Kind: "Service", Namespace: "shop", Name: "cart-v1"},
		State: plumbline.StateDrifted,
		Fields: []plumbline.Field{
			{Path: ".spec.template.spec.containers", Manager: "kubectl-edit", Operation: "Update", Time: at},
			{Path: ".metadata.labels.tier", Manager: "kubectl-edit", Operation: "Update", Time: at},
		},
	}
	gone := plumbline.Verdict{Ref: plumbline.Ref{Kind: "Secret", Namespace: "shop", Name: "token"}, State: plumbline.StateMissing}
	suspect := plumbline.Verdict{Ref: gone.Ref, State: plumbline.StateDrifted, Fields: []plumbline.Field{{Manager: "dashboard"}}}
	h := healed{sha: sha, count: 1, at: at, last: cart}
	for _, c := range []struct {
		name      string
		drifts    []*drifted
		heals     healed
		unwatched []string
		want      string
		next      time.Time
	}{
		{"none", nil, healed{}, nil, "success: No drift", time.Time{}},
		{"healed", nil, h, nil, "success: No drift · healed 1 at 09:12Z: ksvc shop/cart-v1 containers by kubectl-edit", time.Time{}},
		{"healed a missing one", nil, healed{count: 3, at: at, last: gone}, nil, "success: No drift · healed 3 at 09:12Z: Secret shop/token deleted", time.Time{}},
		{"on its way", []*drifted{{verdict: cart, since: at}}, healed{}, nil, "success: No drift", at.Add(unhealedAfter)},
		{
			"unhealed",
			[]*drifted{{verdict: cart, since: at.Add(-3 * time.Second)}},
			h, nil,
			"failure: 2 fields drifted: ksvc shop/cart-v1 spec.template.spec.containers by kubectl-edit 09:12Z",
			time.Time{},
		},
		{
			"left",
			[]*drifted{{verdict: suspect, since: at, left: true, why: "fight with dashboard, healing stopped"}},
			h, nil,
			"failure: 1 field drifted: Secret shop/token changed by dashboard (fight with dashboard, healing stopped)",
			time.Time{},
		},
		{
			"two objects",
			[]*drifted{{verdict: cart, left: true}, {verdict: gone, left: true}},
			h, nil,
			"failure: 3 fields drifted: Secret shop/token deleted (+1)",
			time.Time{},
		},
		{"unwatched", nil, h, []string{"Secret"}, "error: drift is not known of Secret", time.Time{}},
	} {
		s, next := driftStatus("plumbline/production", c.drifts, c.heals, c.unwatched, at)
		if got := string(s.State) + ": " + s.Description; got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		if !next.Equal(c.next) {
			t.Errorf("%s: says something else at %s, want %s", c.name, next, c.next)
		}
		if s.Context != "plumbline/production/drift" {
			t.Errorf("%s: context %s", c.name, s.Context)
		}
	}
}

func TestLastStep(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"spec.template.spec.containers":          "containers",
		`spec.containers[name="web"].image`:      "image",
		"metadata.labels.plumbline.dev/service":  "labels.plumbline.dev/service",
		"metadata.annotations.example.com/owner": "annotations.example.com/owner",
		"data.app.properties":                    "data.app.properties",
		"data.color":                             "color",
		"spec":                                   "spec",
	} {
		if got := lastStep(path); got != want {
			t.Errorf("lastStep(%q) = %q, want %q", path, got, want)
		}
	}
}
