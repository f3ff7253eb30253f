package overlay

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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
func detach(_ plumbline.Origin, doc []byte) ([]byte, bool, error) {
	out, found := definition.Detach(doc)
	if errs := plumbline.Errors(found); len(errs) > 0 {
		return nil, false, fmt.Errorf("%s", errs[0].Message)
	}
	return out, true, nil
}

// buildIn builds in parts of a size. It tells how many parts there were.
func buildIn(tb testing.TB, repo fs.FS, dir string, size int) (string, int, error) {
	tb.Helper()
	b := &Builder{size: size}
	out, err := b.Build(tb.Context(), repo, dir, detach)
	return string(out), len(b.parts), err
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
		whole, _, wantErr := buildIn(t, repo, dir, -1)
		parts, n, err := buildIn(t, repo, dir, 1)
		if diff := cmp.Diff(whole, parts); diff != "" || (err == nil) != (wantErr == nil) {
			t.Errorf("%s: as a whole %v, in parts %v\n%s", file, wantErr, err, diff)
		}
		if n > 1 {
			split++
		}
	}
	if split < 3 {
		t.Errorf("%d overlays were built in parts", split)
	}
}

// TestPartsAreTheWhole: so is every overlay that can be thought of.
func TestPartsAreTheWhole(t *testing.T) {
	t.Parallel()
	split := 0
	rapid.Check(t, func(rt *rapid.T) {
		repo := (&repository{rt: rt, files: fstest.MapFS{}}).draw()
		whole, _, wantErr := buildIn(t, repo, "env", -1)
		parts, n, err := buildIn(t, repo, "env", rapid.IntRange(1, 4).Draw(rt, "size"))
		if n > 1 {
			split++
		}
		if diff := cmp.Diff(whole, parts); diff != "" || (err == nil) != (wantErr == nil) {
			var all strings.Builder
			for name, f := range repo {
				fmt.Fprintf(&all, "-- %s --\n%s", name, f.Data)
			}
			rt.Fatalf("as a whole %v, in parts %v\n%s\n%s", wantErr, err, diff, &all)
		}
	})
	if split < 10 {
		t.Errorf("%d of the overlays were built in parts", split)
	}
}

// repository draws a repository with an overlay in env.
type repository struct {
	rt    *rapid.T
	files fstest.MapFS
	n     int
	maps  []string // "{name: …, namespace: …}" of ConfigMaps
}

func (r *repository) add(name, text string) { r.files[name] = &fstest.MapFile{Data: []byte(text)} }

func (r *repository) pick(label string, from ...string) string {
	return rapid.SampledFrom(from).Draw(r.rt, label)
}

func (r *repository) maybe(label string, percent int) bool {
	return rapid.IntRange(1, 100).Draw(r.rt, label) <= percent
}

func (r *repository) draw() fstest.MapFS {
	r.kustomization("env", 0, false)
	return r.files
}

// object is a document of some kind.
func (r *repository) object() string {
	r.n++
	name := fmt.Sprintf("o%d", r.n)
	if r.maybe("twin", 1) {
		name = "o1"
	}
	ns := r.pick("namespace", "shop", "bank", "default")
	switch r.pick("kind", "service", "service", "service", "map", "map", "deployment", "account", "binding", "cluster") {
	case "service":
		return fmt.Sprintf("apiVersion: plumbline.dev/v1\nkind: ServiceVersion\nmetadata: {name: %[1]s-v1, namespace: %[2]s}\n"+
			"spec:\n  id: %[1]s\n  version: v1\n  tasks: [{id: a, docker: {image: app}, secrets: [o1]}]\n"+
			"  whitelists: [{projectId: %[2]s, service: o2}, {projectId: bank, service: o3}]\n", name, ns)
	case "map":
		r.maps = append(r.maps, fmt.Sprintf("{name: %s, namespace: %s}", name, ns))
		return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: %s}\ndata: {a: b}\n", name, ns)
	case "deployment":
		return fmt.Sprintf("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: %s, namespace: %s}\n"+
			"spec: {replicas: 1, template: {spec: {serviceAccountName: o2, containers: [{name: a, image: app}]}}}\n", name, ns)
	case "account":
		return fmt.Sprintf("apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: %s, namespace: %s}\n", name, ns)
	case "binding":
		return fmt.Sprintf("apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: %s, namespace: %s}\n"+
			"roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: r}\nsubjects: [{kind: ServiceAccount, name: o%d}]\n",
			name, ns, rapid.IntRange(1, 9).Draw(r.rt, "subject"))
	}
	return fmt.Sprintf("apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: %s}\n"+
		"roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: r}\nsubjects: [{kind: ServiceAccount, name: o%d, namespace: %s}]\n",
		name, rapid.IntRange(1, 9).Draw(r.rt, "subject"), ns)
}

// kustomization writes one into dir with all that it uses.
func (r *repository) kustomization(dir string, depth int, component bool) {
	var k strings.Builder
	list := func(field string, entries []string) {
		if len(entries) > 0 {
			fmt.Fprintf(&k, "%s:\n- %s\n", field, strings.Join(entries, "\n- "))
		}
	}
	if component {
		k.WriteString("apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n")
	}
	var resources, components, patches []string
	files := rapid.IntRange(0, 4).Draw(r.rt, "files")
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
		for i := range rapid.IntRange(0, 2).Draw(r.rt, "bases") {
			sub := fmt.Sprintf("b%d", i)
			r.kustomization(dir+"/"+sub, depth+1, false)
			resources = append(resources, sub)
		}
		if r.maybe("component", 20) {
			r.kustomization(dir+"/c", depth+1, true)
			components = append(components, "c")
		}
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
	if r.maybe("image", 30) {
		k.WriteString("images: [{name: app, newTag: '2'}]\n")
	}
	if r.maybe("labels", 30) {
		k.WriteString("labels: [{pairs: {tier: front}, includeTemplates: true}]\n")
	}
	if r.maybe("notes", 20) {
		k.WriteString("commonAnnotations: {note: x}\n")
	}
	switch rapid.IntRange(1, 40).Draw(r.rt, "together") { // what makes it one part
	case 1:
		k.WriteString("namePrefix: p-\n")
	case 2:
		k.WriteString("configMapGenerator: [{name: g, namespace: shop, literals: [a=b]}]\n")
	case 3:
		k.WriteString("replacements: [{source: {kind: ConfigMap, name: o1, fieldPath: data.a}, targets: [{select: {kind: ConfigMap}, fieldPaths: [data.a]}]}]\n")
	}
	r.add(dir+"/kustomization.yaml", k.String()+"metadata: {name: x}\n")
}

func (r *repository) patch() string {
	name := fmt.Sprintf("o%d", rapid.IntRange(1, 9).Draw(r.rt, "patched"))
	switch r.pick("patch", "json", "json", "json", "merge", "merge", "merge", "lone", "lone", "fails", "renames") {
	case "json":
		return "{target: {kind: ConfigMap}, patch: '- {op: add, path: /data/p, value: q}'}"
	case "merge":
		return "{target: {kind: ServiceVersion, name: '" + name + ".*'}, patch: '{apiVersion: x, kind: x, metadata: {name: x}, spec: {autoScale: {minReplicas: 2}}}'}"
	case "lone":
		if len(r.maps) > 0 {
			return "{patch: '{apiVersion: v1, kind: ConfigMap, metadata: " + r.pick("lone", r.maps...) + ", data: {lone: x}}'}"
		}
	case "renames":
		if r.maybe("rename", 80) {
			return "{target: {kind: Deployment}, patch: '- {op: replace, path: /spec/replicas, value: 3}'}"
		}
		return "{target: {kind: ConfigMap, name: " + name + "}, patch: '- {op: replace, path: /metadata/name, value: o77}'}"
	}
	if r.maybe("fine", 80) {
		return "{target: {labelSelector: tier=front}, patch: '- {op: add, path: /metadata/labels/more, value: x}'}"
	}
	return "{target: {kind: ConfigMap, name: " + name + "}, patch: '- {op: remove, path: /data/none}'}"
}
