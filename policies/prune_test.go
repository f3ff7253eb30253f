package policies

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plumbline-dev/plumbline"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// service is the candidates of one service: several objects, one unit.
func service(id string) []Candidate {
	return []Candidate{
		{Ref: plumbline.Ref{Group: "serving.knative.dev", Kind: "Service", Namespace: "shop", Name: id + "-v1"}, Project: "shop", Service: id},
		{Ref: plumbline.Ref{Kind: "ServiceAccount", Namespace: "shop", Name: id}, Project: "shop", Service: id},
	}
}

func services(n int) []Candidate {
	var cs []Candidate
	for i := range n {
		cs = append(cs, service(fmt.Sprintf("s%03d", i))...)
	}
	return cs
}

func plain(kind, name string) Candidate {
	return Candidate{Ref: plumbline.Ref{Kind: kind, Namespace: "shop", Name: name}, Project: "shop"}
}

func configMaps(n int) []Candidate {
	var cs []Candidate
	for i := range n {
		cs = append(cs, plain("ConfigMap", fmt.Sprintf("c%d", i)))
	}
	return cs
}

func marked(m Mark, cs ...Candidate) []Candidate {
	for i := range cs {
		cs[i].Mark = m
	}
	return cs
}

func namespace(name string) Candidate {
	return Candidate{Ref: plumbline.Ref{Kind: "Namespace", Name: name}, Project: name}
}

func TestPrune(t *testing.T) {
	t.Parallel()
	allow := func(values ...string) []Allowance {
		message := "Tidy up\n\n"
		for _, v := range values {
			message += TrailerAllowDelete + ": " + v + "\n"
		}
		a, ok, err := ParseAllowDelete(plumbline.Commit{SHA: "abc", Message: message})
		if !ok || err != nil {
			t.Fatalf("trailers %q: ok %v, %v", values, ok, err)
		}
		return []Allowance{a}
	}
	spent := func(commit string, ago time.Duration, units ...string) []Spent {
		var ss []Spent
		for _, u := range units {
			ss = append(ss, Spent{Unit: u, Time: noon.Add(-ago), Commit: commit})
		}
		return ss
	}
	tests := map[string]struct {
		total      int
		candidates []Candidate
		history    []Spent
		allowances []Allowance
		budget     *Budget // nil: the default
		allowed    int     // objects
		blocked    int
		kept       int
		summary    string
	}{
		"nothing to do":                                    {total: 8},
		"one service of eight has many objects":            {total: 8, candidates: service("cart"), allowed: 2},
		"the second of eight is one too many":              {total: 8, candidates: services(2), allowed: 2, blocked: 2, summary: "deletes blocked: 1 service; allow with Plumbline-Allow-Delete: 1"},
		"an emptied repository":                            {total: 1000, candidates: services(1000), allowed: 20, blocked: 1980, summary: "deletes blocked: 990 services; allow with Plumbline-Allow-Delete: 990"},
		"ten percent":                                      {total: 50, candidates: services(6), allowed: 10, blocked: 2, summary: "deletes blocked: 1 service; allow with Plumbline-Allow-Delete: 1"},
		"five plain objects":                               {candidates: configMaps(7), allowed: 5, blocked: 2, summary: "deletes blocked: 2 objects; allow with Plumbline-Allow-Delete: 2"},
		"services and objects apart":                       {total: 8, candidates: append(service("cart"), configMaps(5)...), allowed: 7},
		"both over":                                        {total: 8, candidates: append(services(2), configMaps(6)...), allowed: 7, blocked: 3, summary: "deletes blocked: 1 service, 1 object; allow with Plumbline-Allow-Delete: 2"},
		"spent an hour ago":                                {total: 8, candidates: service("cart"), history: spent("", time.Hour, "service shop/till"), blocked: 2, summary: "deletes blocked: 1 service; allow with Plumbline-Allow-Delete: 1"},
		"spent a day ago":                                  {total: 8, candidates: service("cart"), history: spent("", BudgetWindow, "service shop/till"), allowed: 2},
		"spent in the future: the clock was set":           {total: 8, candidates: service("cart"), history: spent("", -time.Hour, "service shop/till"), blocked: 2, summary: "deletes blocked: 1 service; allow with Plumbline-Allow-Delete: 1"},
		"the rest of a unit that was counted":              {total: 8, candidates: service("cart"), history: spent("", time.Hour, "service shop/cart"), allowed: 2},
		"a trailer's number comes on top":                  {total: 8, candidates: services(4), allowances: allow("2"), allowed: 6, blocked: 2, summary: "deletes blocked: 1 service; allow with Plumbline-Allow-Delete: 1"},
		"a trailer's number is used once":                  {total: 8, candidates: services(4), allowances: allow("2"), history: spent("abc", time.Hour, "service shop/x", "service shop/y"), allowed: 2, blocked: 6, summary: "deletes blocked: 3 services; allow with Plumbline-Allow-Delete: 3"},
		"a trailer's number is used once, not once a day":  {total: 8, candidates: services(4), allowances: allow("2"), history: spent("abc", BudgetWindow+time.Hour, "service shop/x", "service shop/y"), allowed: 2, blocked: 6, summary: "deletes blocked: 3 services; allow with Plumbline-Allow-Delete: 3"},
		"what a trailer paid leaves the budget":            {total: 8, candidates: service("cart"), history: spent("old", time.Hour, "service shop/x", "service shop/y"), allowed: 2},
		"all":                                              {total: 1000, candidates: services(1000), allowances: allow("all"), allowed: 2000},
		"all is not a Namespace":                           {candidates: []Candidate{namespace("shop")}, allowances: allow("all"), blocked: 1, summary: "deletes blocked: Namespace/shop; allow with Plumbline-Allow-Delete: Namespace/shop"},
		"a Namespace by name":                              {candidates: []Candidate{namespace("shop"), namespace("other")}, allowances: allow("Namespace/shop"), allowed: 1, blocked: 1, summary: "deletes blocked: Namespace/other; allow with Plumbline-Allow-Delete: Namespace/other"},
		"a claim by name":                                  {candidates: []Candidate{plain("PersistentVolumeClaim", "data")}, allowances: allow("PersistentVolumeClaim/shop/data"), allowed: 1},
		"a claim in another namespace":                     {candidates: []Candidate{plain("PersistentVolumeClaim", "data")}, allowances: allow("PersistentVolumeClaim/other/data"), blocked: 1, summary: "deletes blocked: PersistentVolumeClaim/data; allow with Plumbline-Allow-Delete: PersistentVolumeClaim/data"},
		"several protected":                                {candidates: []Candidate{namespace("a"), namespace("b")}, blocked: 2, summary: "deletes blocked: Namespace/a (+1); allow with Plumbline-Allow-Delete: Namespace/a"},
		"a service by name":                                {total: 8, candidates: append(service("cart"), service("till")...), allowances: allow("Service/cart"), allowed: 4},
		"an adopted Namespace, even by name":               {candidates: marked(MarkAdopted, namespace("shop")), allowances: allow("Namespace/shop"), kept: 1},
		"an adopted object":                                {candidates: marked(MarkAdopted, plain("ConfigMap", "c")), allowed: 1},
		"kept by annotation, even with all":                {candidates: marked(MarkKeep, configMaps(2)...), allowances: allow("all"), kept: 2},
		"replacements are outside the budget":              {total: 8, candidates: append(marked(MarkReplacement, services(3)...), service("cart")...), allowed: 8},
		"a zero budget":                                    {total: 8, candidates: append(service("cart"), configMaps(1)...), budget: &Budget{}, blocked: 3, summary: "deletes blocked: 1 service, 1 object; allow with Plumbline-Allow-Delete: 2"},
		"a protected object of a service counts by itself": {total: 8, candidates: append(service("cart"), Candidate{Ref: plumbline.Ref{Kind: "PersistentVolumeClaim", Namespace: "shop", Name: "d"}, Project: "shop", Service: "cart"}), allowed: 2, blocked: 1, summary: "deletes blocked: PersistentVolumeClaim/d; allow with Plumbline-Allow-Delete: PersistentVolumeClaim/d"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			budget := DefaultBudget()
			if tt.budget != nil {
				budget = *tt.budget
			}
			got := Prune(PruneInput{Budget: budget, Services: tt.total, Candidates: tt.candidates, History: tt.history, Allowances: tt.allowances, Now: noon})
			if len(got.Allowed) != tt.allowed || len(got.Blocked) != tt.blocked || len(got.Kept) != tt.kept {
				t.Errorf("allowed %d, blocked %d, kept %d; want %d, %d, %d\n%+v", len(got.Allowed), len(got.Blocked), len(got.Kept), tt.allowed, tt.blocked, tt.kept, got)
			}
			if got.Summary != tt.summary {
				t.Errorf("summary %q, want %q", got.Summary, tt.summary)
			}
			for _, b := range append(got.Blocked, got.Kept...) {
				if b.Reason == "" {
					t.Errorf("%s stays without a reason", b.Ref)
				}
			}
		})
	}
}

// Whatever is pushed, and however often the loop runs or is killed between
// saving the history and the deletes: without trailers no more than the budget
// goes within any 24 hours.
func TestPruneNeverExceedsTheBudget(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const total = 40
		var history []Spent
		type deleted struct {
			at   time.Time
			unit string
		}
		var log []deleted
		now := noon
		for range rapid.IntRange(1, 12).Draw(t, "runs") {
			now = now.Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "hours")) * time.Hour)
			first := rapid.IntRange(0, 30).Draw(t, "first")
			var cs []Candidate
			for i := range rapid.IntRange(0, 10).Draw(t, "n") {
				cs = append(cs, service(fmt.Sprintf("s%d", first+i))...)
			}
			d := Prune(PruneInput{Budget: DefaultBudget(), Services: total, Candidates: cs, History: history, Now: now})
			history = roundTrip(t, d.History)
			for _, c := range d.Allowed {
				log = append(log, deleted{now, c.Service})
			}
			distinct := map[string]bool{}
			for _, l := range log {
				if now.Sub(l.at) < BudgetWindow {
					distinct[l.unit] = true
				}
			}
			if limit := DefaultBudget().Services.Of(total); len(distinct) > limit {
				t.Fatalf("%d services deleted within a day, limit %d", len(distinct), limit)
			}
		}
	})
}

func roundTrip(t *rapid.T, in []Spent) (out []Spent) {
	raw, err := json.Marshal(in)
	if err == nil {
		err = json.Unmarshal(raw, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestPruneOrderDoesNotMatter(t *testing.T) {
	t.Parallel()
	cs := append(services(4), configMaps(7)...)
	want := Prune(PruneInput{Budget: DefaultBudget(), Services: 20, Candidates: cs, Now: noon})
	reversed := make([]Candidate, 0, len(cs))
	for i := range cs {
		reversed = append(reversed, cs[len(cs)-1-i])
	}
	got := Prune(PruneInput{Budget: DefaultBudget(), Services: 20, Candidates: reversed, Now: noon})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestLimit(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"10%": "1 1 2 10", "100%": "1 1 10 10", "0": "0 0 0 0", "25": "25 25 25 25",
	} {
		l, err := ParseLimit(in)
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		got := fmt.Sprint(l.Of(0), l.Of(1), l.Of(20), l.Of(1000))
		if got != want || l.String() != in {
			t.Errorf("%s (%s): limits %s, want %s", in, l, got, want)
		}
	}
	for _, in := range []string{"", "%", "-1", "0%", "101%", "1.5", "ten", "99999999999999999999"} {
		if l, err := ParseLimit(in); err == nil {
			t.Errorf("%q is read as %s", in, l)
		}
	}
}

func TestParseAllowDelete(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		message string
		want    string // JSON without the commit
		errors  []string
	}{
		"none":                   {message: "Remove the cart"},
		"a number":               {message: "Remove\n\nPlumbline-Allow-Delete: 12\n", want: `{"count":12}`},
		"all":                    {message: "Remove\n\nPlumbline-Allow-Delete: ALL", want: `{"all":true}`},
		"a name":                 {message: "Remove\n\nplumbline-allow-delete: Namespace/shop", want: `{"names":[{"kind":"Namespace","name":"shop"}]}`},
		"a name in a namespace":  {message: "Remove\n\nPlumbline-Allow-Delete: Role/shop/a:b", want: `{"names":[{"kind":"Role","namespace":"shop","name":"a:b"}]}`},
		"among others":           {message: "Remove\n\nBody.\n\nSigned-off-by: A <a@example.com>\nPlumbline-Allow-Delete: 2\nReviewed-by: B\n", want: `{"count":2}`},
		"repeated":               {message: "Remove\n\nPlumbline-Allow-Delete: 2\nPlumbline-Allow-Delete: Namespace/a\nPlumbline-Allow-Delete: 3", want: `{"count":3,"names":[{"kind":"Namespace","name":"a"}]}`},
		"windows line ends":      {message: "Remove\r\n\r\nPlumbline-Allow-Delete: 2\r\n", want: `{"count":2}`},
		"continued":              {message: "Remove\n\nPlumbline-Allow-Delete:\n  2\n", want: `{"count":2}`},
		"as the subject":         {message: "Plumbline-Allow-Delete: all", errors: []string{"last paragraph"}},
		"in the body":            {message: "Remove\n\nPlumbline-Allow-Delete: all\n\nThat was it.", errors: []string{"last paragraph"}},
		"in the middle of prose": {message: "Remove\n\nDo not write\nPlumbline-Allow-Delete: all\nplease.", errors: []string{"last paragraph"}},
		"not a number":           {message: "Remove\n\nPlumbline-Allow-Delete: many", errors: []string{`"many" is not a number`}},
		"zero":                   {message: "Remove\n\nPlumbline-Allow-Delete: 0", errors: []string{`"0"`}},
		"negative":               {message: "Remove\n\nPlumbline-Allow-Delete: -1", errors: []string{`"-1"`}},
		"empty":                  {message: "Remove\n\nPlumbline-Allow-Delete:", errors: []string{`""`}},
		"a list":                 {message: "Remove\n\nPlumbline-Allow-Delete: Namespace/a, Namespace/b", errors: []string{"Namespace/a, Namespace/b"}},
		"one good, one bad":      {message: "Remove\n\nPlumbline-Allow-Delete: 2\nPlumbline-Allow-Delete: Namespace/", want: `{"count":2}`, errors: []string{`"Namespace/"`}},
		"too many slashes":       {message: "Remove\n\nPlumbline-Allow-Delete: a/b/c/d", errors: []string{"a/b/c/d"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, ok, err := ParseAllowDelete(plumbline.Commit{SHA: "0123456789", Message: tt.message})
			if a.Commit != "0123456789" || ok != (tt.want != "") {
				t.Errorf("commit %q, ok %v", a.Commit, ok)
			}
			a.Commit = ""
			raw, _ := json.Marshal(a)
			got := strings.ReplaceAll(strings.ReplaceAll(string(raw), `"commit":"",`, ""), `"commit":""`, "")
			if want := tt.want; want != "" && got != want || want == "" && got != "{}" {
				t.Errorf("got %s, want %s", got, want)
			}
			if (err != nil) != (len(tt.errors) > 0) {
				t.Fatalf("error %v, want %q", err, tt.errors)
			}
			for _, part := range tt.errors {
				if !strings.Contains(err.Error(), part) || !strings.Contains(err.Error(), "0123456") || plumbline.KindOf(err) != plumbline.KindInvalid {
					t.Errorf("error %q (%s) does not say %q", err, plumbline.KindOf(err), part)
				}
			}
		})
	}
}

func FuzzParseAllowDelete(f *testing.F) {
	f.Add("Remove\n\nPlumbline-Allow-Delete: 2\n")
	f.Add("\n\n \n\tPlumbline-Allow-Delete:all")
	f.Fuzz(func(t *testing.T, message string) {
		a, ok, err := ParseAllowDelete(plumbline.Commit{Message: message})
		if some := a.All || a.Count > 0 || len(a.Names) > 0; some != ok {
			t.Errorf("ok %v, but %+v", ok, a)
		}
		if !strings.Contains(strings.ToLower(message), "plumbline-allow-delete") && (ok || err != nil) {
			t.Errorf("%+v, %v without the trailer", a, err)
		}
		// Nothing in a message keeps a trailer below it from being read, and nothing
		// before the last paragraph adds to it.
		b, ok, _ := ParseAllowDelete(plumbline.Commit{Message: "x" + message + "\n\nPlumbline-Allow-Delete: 7\n"})
		if !ok || b.Count != 7 || b.All || len(b.Names) > 0 {
			t.Errorf("%+v with a trailer of 7 as its own paragraph", b)
		}
	})
}
