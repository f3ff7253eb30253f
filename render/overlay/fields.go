package overlay

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/types"
)

// fieldsFile teaches kustomize where definitions hold images, labels and names.
const fieldsFile = "/.plumbline-fields.yaml"

const fieldSpecs = `
images:
- {group: plumbline.dev, kind: ServiceVersion, path: "spec/tasks[]/docker/image"}
commonLabels:
- {group: plumbline.dev, kind: ServiceVersion, path: spec/labels, create: true}
templateLabels:
- {group: plumbline.dev, kind: ServiceVersion, path: spec/labels, create: true}
namePrefix:
- {group: plumbline.dev, kind: ServiceVersion, path: spec/id}
nameSuffix:
- {group: plumbline.dev, kind: ServiceVersion, path: spec/id}
nameReference:
- kind: ServiceSecret
  group: plumbline.dev
  fieldSpecs:
  - {group: plumbline.dev, kind: ServiceVersion, path: spec/tasks/secrets}
  - {group: plumbline.dev, kind: ServiceVersion, path: spec/tasks/docker/secret}
- kind: Secret
  version: v1
  fieldSpecs:
  - {group: plumbline.dev, kind: ServiceVersion, path: spec/tasks/secrets}
  - {group: plumbline.dev, kind: ServiceVersion, path: spec/tasks/docker/secret}
`

// references checks every field of k that names a file or a directory, loads
// what it names, and rewrites it to a form that can only be a local path.
// Fields that are not listed here are refused.
func (l *loader) references(k *types.Kustomization, dir string, at reference) {
	l.unsupported(*k, at)
	walk := walker{l: l, dir: dir, at: at}
	for i := range k.Resources {
		walk.fileOrDirectory("resources", &k.Resources[i])
	}
	for i := range k.Components {
		walk.directory("components", &k.Components[i])
	}
	for i := range k.Patches {
		walk.patch(&k.Patches[i])
	}
	for i := range k.Replacements {
		written := k.Replacements[i].Path
		walk.optional("replacements", &k.Replacements[i].Path)
		walk.replacement(k.Replacements[i], written)
	}
	for i := range k.ConfigMapGenerator {
		walk.sources("configMapGenerator", &k.ConfigMapGenerator[i].KvPairSources)
	}
	for i := range k.SecretGenerator {
		walk.sources("secretGenerator", &k.SecretGenerator[i].KvPairSources)
	}
	// As kustomize's own migration does; it warns on standard error otherwise.
	if old := k.CommonLabels; len(old) > 0 { //nolint:staticcheck // deprecated there, not in the files of users
		k.Labels = append(k.Labels, types.Label{Pairs: old, IncludeSelectors: true})
		k.CommonLabels = nil //nolint:staticcheck // as above
	}
}

// unsupported refuses, by name, every field that is set and not known to be
// harmless.
func (l *loader) unsupported(k types.Kustomization, at reference) {
	rest := k
	rest.TypeMeta, rest.MetaData = types.TypeMeta{}, nil
	rest.Resources, rest.Components, rest.Patches, rest.Replacements = nil, nil, nil, nil
	rest.ConfigMapGenerator, rest.SecretGenerator, rest.GeneratorOptions = nil, nil, nil
	rest.Images, rest.Labels, rest.CommonAnnotations = nil, nil, nil
	rest.CommonLabels = nil //nolint:staticcheck // becomes Labels, see references
	rest.Namespace, rest.NamePrefix, rest.NameSuffix, rest.Replicas = "", "", "", nil
	rest.BuildMetadata, rest.SortOptions = nil, nil // output is annotated and sorted in any case
	raw, err := json.Marshal(rest)
	fields := map[string]json.RawMessage{}
	if err == nil {
		err = json.Unmarshal(raw, &fields)
	}
	if err != nil {
		l.problem(at, "%w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		at.field = name
		l.problem(at, "%s", refusal(name))
	}
}

func refusal(field string) string {
	switch field {
	case "generators", "transformers", "validators":
		return "not allowed: plugins and functions are never run"
	case "helmCharts", "helmGlobals":
		return "not allowed: Helm is never run; commit the rendered chart"
	case "patchesStrategicMerge", "patchesJson6902":
		return "not in this version; write it under patches"
	case "vars":
		return "not in this version; use replacements"
	}
	return "not in this version"
}

// walker follows the references of one kustomization file.
type walker struct {
	l   *loader
	dir string
	at  reference
}

func (w walker) ref(field, value string) reference {
	r := w.at
	r.field, r.value = field, value
	return r
}

func (w walker) fileOrDirectory(field string, value *string) {
	r := w.ref(field, *value)
	target, info := w.resolve(r, *value)
	switch {
	case info == nil:
	case info.IsDir():
		w.l.directory(target, r)
	default:
		w.l.resource(target, info, r)
	}
	*value = local(w.dir, target)
}

func (w walker) directory(field string, value *string) {
	r := w.ref(field, *value)
	target, info := w.resolve(r, *value)
	switch {
	case info == nil:
	case info.IsDir():
		w.l.directory(target, r)
	default:
		w.l.problem(r, "%s is not a directory", *value)
	}
	*value = local(w.dir, target)
}

func (w walker) file(r reference, value *string) {
	target, info := w.resolve(r, *value)
	switch {
	case info == nil:
	case info.IsDir():
		w.l.problem(r, "%s is a directory", *value)
	default:
		w.l.raw(target, r)
	}
	*value = local(w.dir, target)
}

func (w walker) optional(field string, value *string) {
	if *value != "" {
		w.file(w.ref(field, *value), value)
	}
}

func (w walker) patch(p *types.Patch) {
	written := p.Path
	w.optional("patches", &p.Path)
	text, ok := w.l.raws[path.Join(w.dir, p.Path)]
	if p.Patch != "" {
		// Kustomize quotes a patch that it cannot read.
		text, ok, written = []byte(p.Patch), true, p.Patch
		w.l.secrets.addText(text)
	}
	if !ok {
		return
	}
	docs, err := decode(text)
	if err != nil {
		w.l.problem(w.ref("patches", written), "patch: %w", err)
	} else if err := leaks(p, docs); err != nil {
		w.l.problem(w.ref("patches", written), "patch: %w", err)
	}
}

func (w walker) sources(field string, kv *types.KvPairSources) {
	for i := range kv.EnvSources {
		w.file(w.ref(field, kv.EnvSources[i]), &kv.EnvSources[i])
	}
	for i, source := range kv.FileSources {
		key, value, hasKey := strings.Cut(source, "=")
		if !hasKey {
			value = source
			key = path.Base(source)
		}
		r := w.ref(field, source)
		target, info := w.resolve(r, value)
		if info != nil && info.IsDir() {
			w.l.problem(r, "%s is a directory", value)
		} else if info != nil {
			w.l.raw(target, r)
		}
		kv.FileSources[i] = key + "=" + local(w.dir, target)
	}
	for i, literal := range kv.LiteralSources {
		_, value, ok := strings.Cut(literal, "=")
		if !ok {
			w.l.problem(w.ref(field, ""), "literals[%d] is not key=value", i)
		}
		if field == "secretGenerator" {
			w.l.secrets.add(value)
		}
	}
}

// remote is what kustomize, or its users, would take for an address: a scheme,
// a user and a host, or a host that kustomize knows.
var remote = regexp.MustCompile(`(?i)^([a-z][a-z0-9+.-]*:|git::|[a-z0-9_.-]+@[^/]+:|(www\.)?(github|gitlab|bitbucket)\.[a-z]+/)|\?(ref|version)=`)

// names are what kustomize's file system in memory takes.
var names = regexp.MustCompile(`^[a-zA-Z0-9_.:/-]+$`)

// resolve finds what value, at r, names in the repository. It reports what is
// not there, and then info is nil.
func (w walker) resolve(r reference, value string) (target string, info fs.FileInfo) {
	target = path.Join(w.dir, value)
	switch {
	case value == "" || strings.ContainsAny(value, "\n\x00"):
		w.l.problem(r, "%q is not a path", value)
		return ".", nil
	case path.IsAbs(value):
		w.l.problem(r, "%s is absolute; write it relative to the kustomization file", value)
		return ".", nil
	case target == ".." || strings.HasPrefix(target, "../"):
		w.l.problem(r, "%s leaves the repository: commit a copy", value)
		return ".", nil
	}
	info, err := fs.Stat(w.l.source, target)
	switch {
	case err == nil && !names.MatchString(target):
		w.l.problem(r, "%s: an overlay takes only letters, digits and -_.: in names", value)
	case err == nil:
		return target, info
	case isLink(w.l.source, target):
		w.l.problem(r, "%s is a link that leads out of the repository, or nowhere: commit a copy", value)
	case remote.MatchString(value):
		w.l.problem(r, "%s is remote; nothing is fetched: commit a copy", value)
	default:
		w.l.problem(r, "%s is not in the repository", value)
	}
	return ".", nil
}

// isLink tells whether name, or a directory on the way to it, is a symbolic link.
func isLink(fsys fs.FS, name string) bool {
	for ; name != "."; name = path.Dir(name) {
		if info, err := fs.Lstat(fsys, name); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			return true
		}
	}
	return false
}

// local writes target relative to dir, beginning with a dot, which no address
// does.
func local(dir, target string) string {
	from, to := strings.Split(dir, "/"), strings.Split(target, "/")
	if dir == "." {
		from = nil
	}
	if target == "." {
		to = nil
	}
	for len(from) > 0 && len(to) > 0 && from[0] == to[0] {
		from, to = from[1:], to[1:]
	}
	return fmt.Sprintf("./%s%s", strings.Repeat("../", len(from)), strings.Join(to, "/"))
}
