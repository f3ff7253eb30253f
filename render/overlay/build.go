package overlay

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/kustomize/kyaml/openapi"
	"sigs.k8s.io/kustomize/kyaml/resid"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render/definition"
)

// OriginAnnotation is on every object of Build's output: YAML with a `path`
// relative to the built directory, or for generated objects with
// `configuredIn`; and what a source document said: the `line` at which it
// begins, and its namespace as `project`.
const OriginAnnotation = "config.kubernetes.io/origin"

// Convert gives a document of a resource file the form in which kustomize
// knows it: an object with apiVersion, kind and metadata.name. What is one
// already is returned as it is; nothing is returned for a document that is to
// be left out. The place is that of the document's first line, the path relative
// to the repository's root. With again, the same file is not asked about the
// next time. It is called by several goroutines.
type Convert = func(at plumbline.Origin, doc []byte) (out definition.Detached, again bool, err error)

// Builder builds the same overlay again and again: files and parts that are as
// they were the last time are not read and not built anew. The zero value is
// ready. It is not safe for concurrent use.
type Builder struct {
	size   int // of parts; 0 is partSize, a negative one builds all at once
	limits limits
	files  map[string]*resourceFile
	parts  map[[sha256.Size]byte]*built
}

// Build builds the kustomization in dir of the repository fsys. Only files
// that it refers to are read. The documents are in the order of their sources.
// The error is a plumbline.Error of KindInvalid with the kustomization file, or
// several joined; a panic in kustomize is one of KindInternal.
func (b *Builder) Build(ctx context.Context, fsys fs.FS, dir string, convert Convert) ([]byte, error) {
	l := newLoader(ctx, fsys, convert, b.files)
	l.limits = b.limits.orDefault()
	file, err := l.load(path.Clean(dir))
	if err != nil {
		return nil, err
	}
	l.root, l.file = path.Clean(dir), file
	b.files = l.resources
	var t *ties
	if err := global.do(func() error { t = l.tied(); return nil }); err != nil {
		return nil, l.explain(err, plumbline.Origin{Path: l.file})
	}
	if t.over != nil {
		return nil, l.tooMany(t.over)
	}
	all, err := b.assemble(l, t, t.parts(cmp.Or(b.size, partSize)))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for _, o := range all {
		out.WriteString("---\n")
		out.Write(o.text)
	}
	return out.Bytes(), nil
}

// Build builds once.
func Build(ctx context.Context, fsys fs.FS, dir string, convert Convert) ([]byte, error) {
	return (&Builder{}).Build(ctx, fsys, dir, convert)
}

// assemble builds what of the parts is not known yet, and puts all together.
func (b *Builder) assemble(l *loader, t *ties, parts []*part) ([]object, error) {
	r := round{l: l, t: t, parts: parts, built: make([]*built, len(parts)), limit: l.limits.bytes}
	err := r.build(b.parts)
	if err == nil {
		err = r.follow()
	}
	if stop := l.stopped(); stop != nil {
		return nil, &plumbline.Error{Op: opBuild, Err: stop}
	}
	if err != nil {
		return nil, err
	}
	var all []object
	known := make(map[[sha256.Size]byte]*built, len(parts))
	for i, p := range parts {
		known[p.sum] = r.built[i]
		all = append(all, r.built[i].objects...)
	}
	slices.SortStableFunc(all, object.compare)
	if len(parts) > 1 && (hasTwins(all) || r.surprised) {
		return b.assemble(l, t, []*part{t.whole()}) // kustomize says which, where it sees both
	}
	b.parts = known
	return all, nil
}

// object is one that was built.
type object struct {
	path string // of its source, relative to the overlay
	line int
	id   resid.ResId
	text []byte // YAML
}

func (o object) compare(p object) int {
	return cmp.Or(strings.Compare(o.path, p.path), cmp.Compare(o.line, p.line), strings.Compare(o.id.String(), p.id.String()))
}

// hasTwins tells whether two objects have one name.
func hasTwins(all []object) bool {
	seen := make(map[resid.ResId]bool, len(all))
	for _, o := range all {
		id := o.id
		id.Namespace = id.EffectiveNamespace()
		if seen[id] {
			return true
		}
		seen[id] = true
	}
	return false
}

const opBuild = "build overlay"

// root is where the repository lies in memory.
const root = "/repository"

// fence guards what kustomize keeps in package variables, its OpenAPI schema
// above all. That is read from the first build on and never written again, as no
// kustomization may name another schema: so builds may go on at once.
type fence struct{ ready sync.Once }

var global fence

// panicked is a recovered panic. Its value may hold anything, so only a
// runtime error, which names no data, is kept.
type panicked string

func (p panicked) Error() string { return string(p) }

// do calls into kustomize. A panic there is an error.
func (f *fence) do(call func() error) (err error) {
	f.ready.Do(func() { openapi.Schema() })
	defer func() {
		switch r := recover().(type) {
		case nil:
		case runtime.Error:
			err = panicked("kustomize panicked: " + r.Error())
		default:
			err = panicked(fmt.Sprintf("kustomize panicked with a %T", r))
		}
	}()
	return call()
}

// kustomize builds the kustomization in dir.
func kustomize(memory filesys.FileSystem, dir string) ([]*resource.Resource, error) {
	k := krusty.MakeKustomizer(&krusty.Options{
		Reorder: krusty.ReorderOptionNone,
		// The file system in memory is the restriction: files beside the
		// kustomization's own directory are fine.
		LoadRestrictions: types.LoadRestrictionsNone,
		PluginConfig:     types.DisabledPluginConfig(),
	})
	objects, err := k.Run(memory, dir)
	if err != nil {
		return nil, err
	}
	return objects.Resources(), nil
}

// detour is what of kustomize's messages helps nobody: the reason why a
// directory is not a file; places in memory; and what it could not read, whole,
// which no list of secret values can know.
var detour = regexp.MustCompile(`accumulation err='.*': |(?s: with config: ` + "`.*?`" + `)| from \[(?s:.*)\]| \[[0-9 ]+\]|(?s: from generator &\{.*\})|(?s:: \[\{.*)`)

// message makes one line of an error of kustomize.
func message(err error, s *secrets) string {
	text := strings.ReplaceAll(err.Error(), root+"/", "")
	text = s.redact(detour.ReplaceAllString(text, ""))
	return text + advice(text)
}

// explain says what is wrong at a place.
func (l *loader) explain(err error, at plumbline.Origin) error {
	kind := plumbline.KindInvalid
	if _, bug := err.(panicked); bug { //nolint:errorlint // made by do, never wrapped
		kind = plumbline.KindInternal
	}
	return &plumbline.Error{Op: opBuild, Kind: kind, Origin: at, Err: errors.New(message(err, &l.secrets))}
}
