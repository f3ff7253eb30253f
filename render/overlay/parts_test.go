package overlay

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	"pgregory.net/rapid"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render/definition"
)

// detach is what a Renderer converts with.
func detach(_ plumbline.Origin, doc []byte) (definition.Detached, bool, error) {
	if d, ok := definition.DetachOne(doc); ok {
		return d, true, nil
	}
	out, found := definition.Detach(doc)
	if errs := plumbline.Errors(found); len(errs) > 0 {
		return definition.Detached{}, false, fmt.Errorf("%s", errs[0].Message)
	}
	return definition.Detached{Text: out}, true, nil
}

// result is what a build is compared by: what it puts out, or the places at which
// something is wrong.
type result struct {
	Out    string
	Places []plumbline.Origin
}

func resultOf(out []byte, err error) result {
	r := result{Out: string(out)}
	var joined interface{ Unwrap() []error }
	list := []error{err}
	if errors.As(err, &joined) {
		list = joined.Unwrap()
	}
	for _, e := range list {
		var at *plumbline.Error
		if errors.As(e, &at) {
			r.Places = append(r.Places, at.Origin)
		}
	}
	return r
}

// buildIn builds in parts of a size. It tells how many parts there were.
func buildIn(ctx context.Context, repo fs.FS, dir string, size int) (result, int, error) {
	b := &Builder{size: size}
	out, err := b.Build(ctx, repo, dir, detach)
	return resultOf(out, err), len(b.parts), err
}

// TestPartsOfGoldens: every overlay of the archives, here and in
// fixtures/golden, is the same in parts and as a whole.
func TestPartsOfGoldens(t *testing.T) {
	t.Parallel()
	var files []string
	for _, pattern := range []string{"testdata/*.txtar", "../../fixtures/golden/*overlay*.txtar"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatal(pattern, err)
		}
		files = append(files, found...)
	}
	split := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		archive := txtar.Parse(text)
		repo := fstest.MapFS{}
		for _, f := range archive.Files {
			repo[f.Name] = &fstest.MapFile{Data: f.Data}
		}
		dir := "."
		for line := range strings.Lines(string(archive.Comment)) {
			for _, key := range []string{"build: ", "dir: "} {
				if value, ok := strings.CutPrefix(strings.TrimSpace(line), key); ok {
					dir = value
				}
			}
		}
		whole, _, wantErr := buildIn(t.Context(), repo, dir, -1)
		parts, n, err := buildIn(t.Context(), repo, dir, 1)
		if diff := cmp.Diff(whole, parts); diff != "" {
			t.Errorf("%s: as a whole %v, in parts %v\n%s", file, wantErr, err, diff)
		}
		if n > 1 {
			split++
		}
	}
	if split < 5 {
		t.Errorf("%d overlays were built in parts", split)
	}
}

// TestPartsAreTheWhole: so is every overlay that can be thought of.
func TestPartsAreTheWhole(t *testing.T) {
	t.Parallel()
	split, fine, wrong := map[string]int{}, 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		r := &repository{rt: rt, files: fstest.MapFS{}, does: map[string]bool{}}
		repo := r.draw()
		whole, _, wantErr := buildIn(t.Context(), repo, "env", -1)
		b := &Builder{size: rapid.IntRange(1, 4).Draw(rt, "size")}
		out, err := b.Build(t.Context(), repo, "env", detach)
		if diff := cmp.Diff(whole, resultOf(out, err)); diff != "" {
			var all strings.Builder
			for _, name := range slices.Sorted(maps.Keys(repo)) {
				fmt.Fprintf(&all, "-- %s --\n%s", name, repo[name].Data)
			}
			rt.Fatalf("as a whole %v, in parts %v\n%s\n%s", wantErr, err, diff, &all)
		}
		if err != nil {
			wrong++
			return
		}
		fine++
		if len(b.parts) > 1 {
			for what := range r.does {
				split[what]++
			}
		}
	})
	if fine < 10 || wrong < 1 {
		t.Errorf("%d overlays were right, %d wrong", fine, wrong)
	}
	for _, what := range []string{"namePrefix", "configMapGenerator", "replacements", "replicas", "deletes", "renames", "lone"} {
		if split[what] < 1 {
			t.Errorf("%d overlays with %s were built in parts", split[what], what)
		}
	}
}

// repository draws a repository with an overlay in env.
type repository struct {
	rt    *rapid.T
	files fstest.MapFS
	n     int
	maps  []string        // "{name: …, namespace: …}" of ConfigMaps
	runs  []string        // names of Deployments
	below [2]int          // the first of maps and runs that the kustomization has
	does  map[string]bool // what its kustomizations do
}

func (r *repository) add(name, text string) { r.files[name] = &fstest.MapFile{Data: []byte(text)} }

func (r *repository) pick(label string, from ...string) string {
	return rapid.SampledFrom(from).Draw(r.rt, label)
}

// maybe is true now and then: small numbers are drawn more often than great ones.
func (r *repository) maybe(label string, percent int) bool {
	return rapid.IntRange(1, 100).Draw(r.rt, label) > 100-percent
}

func (r *repository) draw() fstest.MapFS {
	r.kustomization("env", 0, false)
	return r.files
}

// other is the name of an object, there or not.
func (r *repository) other() string {
	return fmt.Sprintf("o%d", rapid.IntRange(1, 9).Draw(r.rt, "other"))
}

// known are ConfigMaps that the kustomization has, or now and then others.
func (r *repository) known() []string {
	if r.below[0] == len(r.maps) || r.maybe("elsewhere", 6) {
		return r.maps
	}
	return r.maps[r.below[0]:]
}

// object is a document of some kind.
func (r *repository) object() string {
	r.n++
	name := fmt.Sprintf("o%d", r.n)
	if r.maybe("twin", 1) {
		name = "o1"
	}
	ns := r.pick("namespace", "shop", "bank", "default")
	switch r.pick("kind", "service", "service", "secret", "map", "map", "deployment", "deployment", "account", "binding", "cluster", "role", "class", "project") {
	case "service":
		return fmt.Sprintf("apiVersion: plumbline.dev/v1\nkind: ServiceVersion\nmetadata: {name: %[1]s-v1, namespace: %[2]s}\n"+
			"spec:\n  id: %[1]s\n  version: v1\n  tasks: [{id: a, docker: {image: app}, secrets: [%[3]s]}]\n"+
			"  whitelists: [{projectId: %[2]s, service: %[4]s}, {projectId: bank, service: %[5]s}]\n", name, ns, r.other(), r.other(), r.other())
	case "secret":
		return fmt.Sprintf("apiVersion: plumbline.dev/v1\nkind: ServiceSecret\nmetadata: {name: %s, namespace: %s}\nspec: {type: env, data: {K: v}}\n", name, ns)
	case "project":
		return fmt.Sprintf("apiVersion: plumbline.dev/v1\nkind: Project\nmetadata: {name: %s}\n", name)
	case "map":
		r.maps = append(r.maps, fmt.Sprintf("{name: %s, namespace: %s}", name, ns))
		return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: %s}\ndata: {a: b%d}\n", name, ns, r.n)
	case "deployment":
		r.runs = append(r.runs, name)
		return fmt.Sprintf("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: %s, namespace: %s}\n"+
			"spec: {replicas: 1, template: {spec: {serviceAccountName: %s, priorityClassName: %s, containers: [{name: a, image: app, envFrom: [{configMapRef: {name: %s}}]}]}}}\n",
			name, ns, r.other(), r.other(), r.pick("map", r.other(), "g"))
	case "account":
		return fmt.Sprintf("apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: %s, namespace: %s}\n", name, ns)
	case "class":
		return fmt.Sprintf("apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: {name: %s}\nvalue: 1\n", name)
	case "role":
		return fmt.Sprintf("apiVersion: rbac.authorization.k8s.io/v1\nkind: %s\nmetadata: {name: %s, namespace: %s}\n"+
			"rules: [{apiGroups: ['*'], resources: [configmaps], resourceNames: [%s, g]}]\n", r.pick("role", "Role", "ClusterRole"), name, ns, r.other())
	case "binding":
		return fmt.Sprintf("apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: %s, namespace: %s}\n"+
			"roleRef: {apiGroup: rbac.authorization.k8s.io, kind: %s, name: %s}\nsubjects: [{kind: ServiceAccount, name: %s%s}]\n",
			name, ns, r.pick("role", "Role", "ClusterRole"), r.other(), r.other(), r.pick("in", "", ", namespace: shop", ", namespace: staging"))
	}
	return fmt.Sprintf("apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: %s}\n"+
		"roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: %s}\nsubjects: [{kind: ServiceAccount, name: %s, namespace: %s}]\n",
		name, r.other(), r.other(), ns)
}

// kustomization writes one into dir with all that it uses.
func (r *repository) kustomization(dir string, depth int, component bool) {
	var k strings.Builder
	above := r.below
	r.below = [2]int{len(r.maps), len(r.runs)}
	defer func() { r.below = above }()
	list := func(field string, entries []string) {
		if len(entries) > 0 {
			fmt.Fprintf(&k, "%s:\n- %s\n", field, strings.Join(entries, "\n- "))
		}
	}
	if component {
		k.WriteString("apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n")
	}
	var resources, components, patches []string
	files := rapid.IntRange(0, 3).Draw(r.rt, "files")
	if depth == 0 {
		files++
	}
	for i := range files {
		docs := []string{r.object()}
		if r.maybe("two", 20) {
			docs = append(docs, r.object())
		}
		name := fmt.Sprintf("f%d.yaml", i)
		r.add(dir+"/"+name, strings.Join(docs, "---\n"))
		resources = append(resources, name)
	}
	if depth < 2 {
		for i := range rapid.IntRange(0, 2-depth).Draw(r.rt, "bases") {
			sub := fmt.Sprintf("b%d", i)
			r.kustomization(dir+"/"+sub, depth+1, false)
			resources = append(resources, sub)
		}
		if r.maybe("component", 20) {
			r.kustomization(dir+"/c", depth+1, true)
			components = append(components, "c")
		}
	}
	if depth == 0 && r.maybe("copy", 10) { // of a base, by another name
		r.kustomization("base", 2, false)
		for _, copied := range []string{"p-", "q-"} {
			r.add("env/"+copied+"/kustomization.yaml", "resources: [../../base]\nnamePrefix: "+copied+"\n")
			resources = append(resources, copied)
		}
		r.does["namePrefix"] = true
	}
	for range rapid.IntRange(0, 2).Draw(r.rt, "patches") {
		patches = append(patches, r.patch())
	}
	list("resources", resources)
	list("components", components)
	list("patches", patches)
	if r.maybe("moves", 30) {
		k.WriteString("namespace: " + r.pick("to", "staging", "shop") + "\n")
	}
	if r.maybe("image", 10) {
		k.WriteString("images: [{name: app, newTag: '2'}]\n")
	}
	if r.maybe("labels", 20) {
		k.WriteString("labels: [{pairs: {tier: front}, includeTemplates: true}]\n")
	}
	if r.maybe("notes", 10) {
		k.WriteString("commonAnnotations: {note: x}\n")
	}
	if r.maybe("affix", 20) {
		r.does["namePrefix"] = true
		k.WriteString(r.pick("side", "namePrefix: p-\n", "nameSuffix: -s\n"))
	}
	if r.maybe("generator", 20) {
		r.does["configMapGenerator"] = true
		r.generator(&k)
	}
	if (len(r.maps) > r.below[0] || r.maybe("from nowhere", 3)) && r.maybe("replaces", 30) {
		r.does["replacements"] = true
		r.replacement(&k, dir)
	}
	if len(r.runs) > r.below[1] && r.maybe("replicas", 30) {
		r.does["replicas"] = true
		k.WriteString("replicas: [{name: " + r.pick("of", r.runs[r.below[1]:]...) + ", count: 4}]\n")
	}
	r.add(dir+"/kustomization.yaml", k.String()+"metadata: {name: x}\n")
}

// generator makes a ConfigMap, or changes one.
func (r *repository) generator(k *strings.Builder) {
	name := "{name: " + r.pick("name", "g", "h", fmt.Sprintf("o%d", 10+r.n)) + ", namespace: " + r.pick("in", "shop", "bank") + "}"
	behavior := ""
	if len(r.maps) > r.below[0] && r.maybe("merges", 30) {
		name, behavior = r.pick("into", r.known()...), ", behavior: "+r.pick("behavior", "merge", "replace")
	}
	fmt.Fprintf(k, "configMapGenerator: [%s%s, literals: [c=d]%s}]\n", strings.TrimSuffix(name, "}"), behavior,
		r.pick("hash", "", ", options: {disableNameSuffixHash: true}"))
}

// replacement takes a value from one object to others, or from none.
func (r *repository) replacement(k *strings.Builder, dir string) {
	from := "{kind: ConfigMap, name: " + r.other() + ", fieldPath: data.a}"
	if len(r.maps) > 0 && r.maybe("there", 90) {
		from = "{kind: ConfigMap, " + strings.Trim(r.pick("from", r.known()...), "{}") + ", fieldPath: data.a}"
	}
	to := r.pick("targets",
		"{select: {kind: ConfigMap}, options: {create: true}, fieldPaths: [data.b]}",
		"{select: {kind: ConfigMap, name: "+r.other()+"}, options: {create: true}, fieldPaths: [data.a]}",
		"{select: {kind: ServiceVersion}, fieldPaths: [spec.tasks.0.docker.image]}",
		"{select: {kind: Deployment, namespace: shop}, fieldPaths: ['spec.template.spec.containers.0.envFrom.0.configMapRef.name']}",
	)
	if r.maybe("odd", 25) {
		to = r.pick("odd", "{select: {kind: ServiceSecret}, fieldPaths: [metadata.name]}", "{select: {kind: ConfigMap}, fieldPaths: [data.none]}")
	}
	text := "{source: " + from + ", targets: [" + to + "]}"
	if r.maybe("own file", 20) {
		r.add(dir+"/r.yaml", "- "+text+"\n")
		text = "{path: r.yaml}"
	}
	k.WriteString("replacements:\n- " + text + "\n")
}

func (r *repository) patch() string {
	name := r.other()
	switch r.pick("patch", "json", "json", "json", "merge", "merge", "merge", "lone", "lone", "fails", "renames", "deletes", "refers") {
	case "json":
		return "{target: {kind: ConfigMap}, patch: '- {op: add, path: /data/p, value: q}'}"
	case "merge":
		return "{target: {kind: ServiceVersion, name: '" + name + ".*'}, patch: '{apiVersion: x, kind: x, metadata: {name: x}, spec: {autoScale: {minReplicas: 2}}}'}"
	case "lone":
		if len(r.maps) > r.below[0] {
			r.does["lone"] = true
			return "{patch: '{apiVersion: v1, kind: ConfigMap, metadata: " + r.pick("lone", r.known()...) + ", data: {lone: x}}'}"
		}
	case "refers":
		return "{target: {kind: Deployment}, patch: '- {op: add, path: /spec/template/spec/serviceAccountName, value: " + name + "}'}"
	case "deletes":
		r.does["deletes"] = true
		return "{target: {kind: " + r.pick("kind", "ConfigMap", "Deployment", "ServiceSecret") + ", name: " + name + "}, patch: '{apiVersion: x, kind: x, metadata: {name: x}, $patch: delete}'}"
	case "renames":
		r.does["renames"] = true
		if r.maybe("by merging", 30) {
			return "{target: {kind: ConfigMap, name: " + name + "}, options: {allowNameChange: true}, patch: '{apiVersion: v1, kind: ConfigMap, metadata: {name: o78}}'}"
		}
		return "{target: {kind: ConfigMap, name: " + name + "}, patch: '- {op: replace, path: /metadata/name, value: o77}'}"
	}
	if r.maybe("faulty", 40) {
		return "{target: {kind: ConfigMap, name: " + name + "}, patch: '- {op: remove, path: /data/none}'}"
	}
	return "{target: {labelSelector: tier=front}, patch: '- {op: add, path: /metadata/labels/more, value: x}'}"
}
