package reconciler_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/fixtures/servers"
	"github.com/plumbline-dev/plumbline/reconciler"
)

// play runs one archive. Its steps, each "VERB RESOURCE NAME [WORD…]" with the
// payload indented below it, and manager=NAME where it is not kubectl-edit:
//
//	patch, json-patch, put, status, scale    an edit; put merges, then updates
//	apply, create, delete                    with the word "force": apply --force
//	forge                                    sets managedFields to what they were at first
//	next-second                              waits until the API server's clock shows another
//	                                         second than our entry
//	stop, start                              ends the process, starts another
//	show RESOURCE NAME .a.b                  prints a field of the live object
//	commit FILE                              FILE of the archive becomes the head; with the
//	                                         word "later" nobody waits for it
//	define FILE                              installs the kind of FILE, or changes it
//	until-owned RESOURCE NAME FIELDS         until an apply of the payload would own FIELDS:
//	                                         the API server has taken a definition in
//	until-gone RESOURCE                      until it is not served any more
//	until-told TEXT                          until the drift status begins with TEXT
//	sync                                     waits until all that was done is dealt with
//
// RESOURCE is a plural, "configmaps" or "deployments.v1.apps". A sync stands at
// the end of every archive, and each sync is a paragraph of want.
//
// Nothing is waited for by time: at a sync another object of every kind, made
// for this, gets another value in a label of ours, and its heal shows that what came before it
// on the same watch was dealt with. A second one then shows that the first
// heal had no echo.
type play struct {
	t       *testing.T
	w       *world
	p       *process
	clock   *clock
	archive *txtar.Archive
	steps   []step
	kinds   []schema.GroupVersionKind // of desired.yaml, in its order
	first   map[string]*unstructured.Unstructured
	mode    string
	group   string // of kinds that an archive defines
	syncs   int
	seen    int // events that were told
	mark    servers.Mark
	shown   []string
	out     strings.Builder
}

// step is one line of the edit section.
type step struct {
	verb    string
	args    []string
	manager string
	payload string
}

// clock is the time of day, which a sync moves on so that no case waits for a
// backoff.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

func newPlay(t *testing.T, a *txtar.Archive) *play {
	t.Helper()
	p := &play{
		t: t, w: newWorld(t), clock: &clock{}, archive: a, first: map[string]*unstructured.Unstructured{},
		mode: strings.TrimSpace(section(a, "mode")),
	}
	p.group = p.w.suffix + ".test"
	p.steps = append(parseSteps(t, section(a, "edit")), step{verb: "sync"})
	p.w.tune = func(o *reconciler.Options) {
		o.Now = p.clock.now
		switch p.mode {
		case "report":
			o.Drift = reconciler.DriftReport
		case "patient":
			o.Interval = 24 * time.Hour
		}
	}
	return p
}

func parseSteps(t *testing.T, text string) []step {
	t.Helper()
	var steps []step
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.TrimSpace(line) == "":
		case strings.HasPrefix(line, " "):
			steps[len(steps)-1].payload += line + "\n"
		default:
			words := strings.Fields(line)
			s := step{verb: words[0], manager: "kubectl-edit"}
			for _, w := range words[1:] {
				if m, ok := strings.CutPrefix(w, "manager="); ok {
					s.manager = m
				} else {
					s.args = append(s.args, w)
				}
			}
			steps = append(steps, s)
		}
	}
	return steps
}

// run plays the archive and returns the want section.
func (p *play) run() string {
	p.t.Helper()
	if strings.Contains(section(p.archive, "desired.yaml"), widgetGroup) {
		installWidgets(p.t, p.w.cluster)
	}
	if section(p.archive, "kind.yaml") != "" {
		p.define("kind.yaml")
	}
	p.commit("desired.yaml")
	p.p = p.w.start()
	p.w.synced(p.w.repo.head())
	for gvr, name := range p.forged() {
		u := p.get(p.resource(gvr), name)
		p.first[gvr+" "+name] = u
	}
	p.seen = len(p.p.events.all())
	p.mark = p.w.cluster.Mark(p.t)
	for _, s := range p.steps {
		p.step(s)
	}
	return p.out.String()
}

// forged are the objects of forge steps.
func (p *play) forged() map[string]string {
	out := map[string]string{}
	for _, s := range p.steps {
		if s.verb == "forge" {
			out[s.args[0]] = s.args[1]
		}
	}
	return out
}

func (p *play) step(s step) {
	p.t.Helper()
	switch s.verb {
	case "sync":
		p.sync()
		return
	case "commit":
		sha := p.commit(s.args[0])
		if len(s.args) == 1 {
			p.w.synced(sha)
		}
		return
	case "stop":
		p.p.stop()
		p.check(s, p.p.r.Save(p.t.Context()))
		return
	case "start":
		p.p, p.seen = p.w.start(), 0
		return
	case "define":
		p.define(s.args[0])
		return
	case "until-gone":
		p.untilGone(s.args[0])
		return
	case "until-told":
		p.w.driftStatus(func(status plumbline.Status) bool {
			return strings.HasPrefix(status.Description, strings.Join(s.args, " "))
		})
		return
	}
	res := p.resource(s.args[0])
	switch s.verb {
	case "show":
		p.shown = append(p.shown, "= "+strings.Join(s.args[1:], " ")+" "+field(p.get(res, s.args[1]), s.args[2]))
	case "until-owned":
		p.untilOwned(res, s)
	case "next-second":
		p.nextSecond(res, s.args[1])
	case "forge":
		u := p.get(res, s.args[1])
		u.SetManagedFields(p.first[s.args[0]+" "+s.args[1]].GetManagedFields())
		_, err := res.Update(p.t.Context(), u, metav1.UpdateOptions{FieldManager: s.manager})
		p.check(s, err)
	default:
		p.edit(s, res)
	}
}

// edit is a step that is one request.
func (p *play) edit(s step, res dynamic.ResourceInterface) {
	p.t.Helper()
	ctx, name := p.t.Context(), s.args[1]
	words := s.args[2:]
	opts := metav1.PatchOptions{FieldManager: s.manager}
	var err error
	switch s.verb {
	case "patch":
		_, err = res.Patch(ctx, name, types.MergePatchType, p.payload(s), opts)
	case "json-patch":
		_, err = res.Patch(ctx, name, types.JSONPatchType, p.payload(s), opts)
	case "status", "scale":
		_, err = res.Patch(ctx, name, types.MergePatchType, p.payload(s), opts, s.verb)
	case "apply":
		force := slices.Contains(words, "force")
		opts.Force = &force
		_, err = res.Patch(ctx, name, types.ApplyPatchType, p.payload(s), opts)
		if slices.Contains(words, "conflicts") {
			if err == nil {
				p.t.Errorf("%s %v: no conflict", s.verb, s.args)
			}
			err = nil
		}
	case "put":
		u := p.get(res, name)
		var change map[string]any
		p.decode(p.payload(s), &change)
		merge(u.Object, change)
		_, err = res.Update(ctx, u, metav1.UpdateOptions{FieldManager: s.manager})
	case "create":
		u := &unstructured.Unstructured{}
		p.decode(p.payload(s), &u.Object)
		_, err = res.Create(ctx, u, metav1.CreateOptions{FieldManager: s.manager})
	case "delete":
		err = res.Delete(ctx, name, metav1.DeleteOptions{})
	default:
		p.t.Fatalf("unknown step %q", s.verb)
	}
	p.check(s, err)
}

func (p *play) check(s step, err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatalf("%s %s: %v", s.verb, strings.Join(s.args, " "), err)
	}
}

func (p *play) payload(s step) []byte {
	p.t.Helper()
	b, err := yaml.YAMLToJSON([]byte(p.fill(s.payload)))
	p.check(s, err)
	return b
}

func (p *play) fill(text string) string {
	labels := fmt.Sprintf("{%s: %s, %s: %s, %s: %s, %s: shop}", plumbline.LabelManagedBy, plumbline.ManagedBy,
		plumbline.LabelInstallation, p.w.installation(), plumbline.LabelEnvironment, p.w.env, plumbline.LabelProject)
	return strings.NewReplacer("NS", p.w.ns, "GROUP", p.group, "ENV", p.w.env, "LABELS", labels).Replace(text)
}

// nextSecond asks the API server for the time until it is another than that of
// our entry, which has a resolution of one second.
func (p *play) nextSecond(res dynamic.ResourceInterface, name string) {
	p.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	body := []byte(`{"metadata":{"annotations":{"now":"?"}}}`)
	for range tick.C {
		u, err := res.Patch(p.t.Context(), name, types.MergePatchType, body, metav1.PatchOptions{FieldManager: "clock", DryRun: []string{metav1.DryRunAll}})
		if err != nil {
			p.t.Fatal(err)
		}
		var ours, now time.Time
		for _, f := range u.GetManagedFields() {
			switch f.Manager {
			case plumbline.FieldManager:
				ours = f.Time.Time
			case "clock":
				now = f.Time.Time
			}
		}
		if now.After(ours) {
			return
		}
	}
}

func (p *play) decode(b []byte, v any) {
	p.t.Helper()
	if err := json.Unmarshal(b, v); err != nil {
		p.t.Fatal(err)
	}
}

func (p *play) resource(arg string) dynamic.ResourceInterface {
	gvr := schema.GroupVersionResource{Version: "v1", Resource: arg}
	arg = p.fill(arg)
	if parsed, _ := schema.ParseResourceArg(arg); parsed != nil {
		gvr = *parsed
	}
	return p.w.dynamic.Resource(gvr).Namespace(p.w.ns)
}

func (p *play) get(res dynamic.ResourceInterface, name string) *unstructured.Unstructured {
	p.t.Helper()
	u, err := res.Get(p.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		p.t.Fatalf("get %s: %v", name, err)
	}
	return u
}

// field is what stands at a path like .spec.containers[0].name.
func field(u *unstructured.Unstructured, path string) string {
	var at any = u.Object
	for _, key := range strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' }) {
		if i, ok := strings.CutSuffix(key, "]"); ok {
			list, _ := at.([]any)
			var n int
			if _, err := fmt.Sscan(i, &n); err != nil || n >= len(list) {
				return "absent"
			}
			at = list[n]
			continue
		}
		m, _ := at.(map[string]any)
		at = m[strings.ReplaceAll(key, "~", ".")]
	}
	if at == nil {
		return "absent"
	}
	b, err := json.Marshal(at)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// merge puts the values of change into m, map by map.
func merge(m, change map[string]any) {
	for k, v := range change {
		below, ok := v.(map[string]any)
		into, has := m[k].(map[string]any)
		if ok && has {
			merge(into, below)
			continue
		}
		m[k] = v
	}
}

// commit makes a file of the archive the head: its objects, and of each kind
// two objects for every sync.
func (p *play) commit(name string) string {
	p.t.Helper()
	var docs []string
	put := func(u *unstructured.Unstructured) {
		b, err := yaml.Marshal(u.Object)
		if err != nil {
			p.t.Fatal(err)
		}
		docs = append(docs, strings.TrimSpace(string(b)))
	}
	var models []*unstructured.Unstructured
	for _, doc := range strings.Split(section(p.archive, name), "\n---\n") {
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(p.fill(doc)), &u.Object); err != nil {
			p.t.Fatal(err)
		}
		u.SetNamespace(p.w.ns)
		put(u)
		if !slices.ContainsFunc(models, func(m *unstructured.Unstructured) bool { return m.GroupVersionKind() == u.GroupVersionKind() }) {
			models = append(models, u)
		}
	}
	for _, m := range models {
		for i := range 2 * p.syncCount() {
			c := m.DeepCopy()
			c.SetName(marker(m.GetKind(), i))
			put(c)
		}
	}
	first := len(p.kinds) == 0
	for _, m := range models {
		gvk := m.GroupVersionKind()
		i := slices.IndexFunc(p.kinds, func(k schema.GroupVersionKind) bool { return k.GroupKind() == gvk.GroupKind() })
		switch {
		case i >= 0:
			p.kinds[i] = gvk
		case first:
			p.kinds = append(p.kinds, gvk)
		}
	}
	return p.w.commit(map[string]string{"desired.yaml": strings.Join(docs, "\n---\n")})
}

func (p *play) syncCount() int {
	n := 0
	for _, s := range p.steps {
		if s.verb == "sync" {
			n++
		}
	}
	return n
}

// marker names sort behind those of the archives, so that what is dealt with in
// the same turn comes before them.
func marker(kind string, i int) string {
	return fmt.Sprintf("zz-marker-%s-%d", strings.ToLower(kind), i)
}

func (p *play) sync() {
	p.t.Helper()
	for range 2 {
		for _, gvk := range p.kinds {
			ref := plumbline.Ref{Group: gvk.Group, Kind: gvk.Kind, Namespace: p.w.ns, Name: marker(gvk.Kind, p.syncs)}
			p.edit(step{
				verb: "json-patch", manager: "marker", args: []string{plural(gvk), ref.Name},
				payload: `[{"op": "replace", "path": "/metadata/labels/plumbline.dev~1project", "value": "marked"}]`,
			}, p.resource(plural(gvk)))
			p.p.events.await(p.t, func(e reconciler.Event) bool {
				return e.Verdict.Ref == ref && (e.Kind == reconciler.EventHealed || (p.mode == "report" && e.Kind == reconciler.EventDrift))
			})
		}
		p.syncs++
	}
	p.tell()
	if p.mode != "report" { // there the API server's clock counts
		p.clock.advance(time.Hour)
	}
}

func plural(gvk schema.GroupVersionKind) string {
	s := strings.ToLower(gvk.Kind) + "s"
	if before, ok := strings.CutSuffix(s, "ys"); ok {
		s = before + "ies"
	}
	return s + "." + gvk.Version + "." + gvk.Group
}

// tell writes a paragraph: what happened since the last one, object by object,
// because objects are dealt with at once.
func (p *play) tell() {
	p.t.Helper()
	type line struct{ name, text string }
	var told []line
	all := p.p.events.all()
	for _, e := range all[p.seen:] {
		if text := describe(e); text != "" {
			told = append(told, line{cmp.Or(e.Outcome.Ref.Name, e.Verdict.Ref.Name), text})
		}
	}
	p.seen = len(all)
	for _, r := range p.mark.Requests(p.t, servers.BySuffix(p.w.suffix), servers.ByClass(servers.ClassObject)) {
		told = append(told, line{r.Name, fmt.Sprintf("> %s %d", r, r.Code)})
	}
	p.mark = p.w.cluster.Mark(p.t)
	slices.SortStableFunc(told, func(a, b line) int { return strings.Compare(a.name, b.name) })
	var lines []string
	for _, l := range told {
		if !strings.HasPrefix(l.name, "zz-marker-") {
			lines = append(lines, l.text)
		}
	}
	lines = append(lines, p.shown...)
	p.shown = nil
	if len(lines) == 0 {
		lines = []string{"nothing happens"}
	}
	if p.out.Len() > 0 {
		p.out.WriteString("\n")
	}
	p.out.WriteString(strings.NewReplacer(p.w.ns+"/", "", p.group, "GROUP").Replace(strings.Join(lines, "\n")) + "\n")
}

// describe is an event as it stands in a want section.
func describe(e reconciler.Event) string {
	switch e.Kind {
	case reconciler.EventOutcome:
		s := string(e.Outcome.Action) + " " + e.Outcome.Ref.String()
		if e.Outcome.Err != nil {
			s += ": " + e.Outcome.Err.Error()
		}
		return s
	case reconciler.EventSuspect:
		return "suspect " + e.Verdict.Ref.String() // why can depend on the second; drift's own tests have it
	case reconciler.EventHealed:
		return "healed " + e.Verdict.Ref.String()
	case reconciler.EventDrift:
		s := string(e.Verdict.State) + " " + e.Verdict.Ref.String()
		for _, f := range e.Verdict.Fields {
			by := "nobody"
			if f.Manager != "" {
				by = f.Manager + " (" + f.Operation + ")"
			}
			s += "\n\t" + strings.TrimSpace(f.Path+" by "+by)
		}
		return s
	case reconciler.EventShift:
		return "shift " + e.Shift.Kind.String() // of how many, and why, depends on which is found first
	case reconciler.EventRun:
	}
	return ""
}
