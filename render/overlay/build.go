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

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/kustomize/kyaml/resid"

	"github.com/plumbline-dev/plumbline"
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
type Convert = func(at plumbline.Origin, doc []byte) (text []byte, again bool, err error)

// FindFile is the name of the kustomization file in dir, empty when there is
// none.
func FindFile(fsys fs.FS, dir string) string {
	for _, name := range fileNames() {
		if info, err := fs.Stat(fsys, path.Join(dir, name)); err == nil && info.Mode().IsRegular() {
			return name
		}
	}
	return ""
}

// Builder builds the same overlay again and again: files and parts that are as
// they were the last time are not read and not built anew. The zero value is
// ready. It is not safe for concurrent use.
type Builder struct {
	size  int // of parts; 0 is partSize, a negative one builds all at once
	files map[string]*resourceFile
	parts map[[sha256.Size]byte][]object
}

// Build builds the kustomization in dir of the repository fsys. Only files
// that it refers to are read. The documents are in the order of their sources.
// The error is a plumbline.Error of KindInvalid with the kustomization file, or
// several joined; a panic in kustomize is one of KindInternal.
func (b *Builder) Build(ctx context.Context, fsys fs.FS, dir string, convert Convert) ([]byte, error) {
	l := newLoader(ctx, fsys, convert, b.files)
	file, err := l.load(path.Clean(dir))
	if err != nil {
		return nil, err
	}
	l.root, l.file = path.Clean(dir), file
	b.files = l.resources
	built := make(map[[sha256.Size]byte][]object, len(b.parts))
	var all []object
	for _, p := range l.parts(cmp.Or(b.size, partSize)) {
		objects, known := b.parts[p.sum]
		if !known {
			if objects, err = l.build(ctx, p); err != nil {
				return nil, err
			}
		}
		built[p.sum] = objects
		all = append(all, objects...)
	}
	b.parts = built
	slices.SortStableFunc(all, object.compare)
	if hasTwins(all) {
		// Kustomize says which, where it sees both.
		if all, err = l.build(ctx, l.whole()); err != nil {
			return nil, err
		}
		slices.SortStableFunc(all, object.compare)
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

// build builds one part.
func (l *loader) build(ctx context.Context, p part) ([]object, error) {
	if err := ctx.Err(); err != nil {
		return nil, &plumbline.Error{Op: opBuild, Err: err}
	}
	var err error
	for _, k := range p.kustomizations {
		err = errors.Join(err, l.write(k.file, k.k))
	}
	if err != nil {
		return nil, &plumbline.Error{Op: opBuild, Kind: plumbline.KindInternal, Err: err}
	}
	out, err := l.run(l.root)
	if err == nil {
		return out, nil
	}
	at, found := l.blame(p)
	if ctx.Err() != nil {
		return nil, &plumbline.Error{Op: opBuild, Err: ctx.Err()}
	}
	if !found {
		at = plumbline.Origin{Path: l.file}
	}
	kind := plumbline.KindInvalid
	if _, bug := err.(panicked); bug { //nolint:errorlint // made by run, never wrapped
		kind = plumbline.KindInternal
	}
	return nil, &plumbline.Error{
		Op:     opBuild,
		Kind:   kind,
		Origin: at,
		Err:    errors.New(message(err, &l.secrets)),
	}
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
// above all: one build at a time in a process.
type fence struct{ mu sync.Mutex }

var global fence

// panicked is a recovered panic. Its value may hold anything, so only a
// runtime error, which names no data, is kept.
type panicked string

func (p panicked) Error() string { return string(p) }

// do calls into kustomize. A panic there is an error.
func (f *fence) do(call func() error) (err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
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

// run builds what lies in memory at dir.
func (l *loader) run(dir string) (out []object, err error) {
	err = global.do(func() error {
		resources, err := kustomize(l.memory, path.Join(root, dir))
		if err != nil {
			return err
		}
		if err := renameAll(resources, l.affixed()); err != nil {
			return err
		}
		for _, r := range resources {
			o, err := finish(r, l.root)
			if err != nil {
				return err
			}
			out = append(out, o)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// affixed tells whether any kustomization puts something before or after names.
func (l *loader) affixed() bool {
	return slices.ContainsFunc(l.kustomizations, func(b kustomization) bool { return b.k.NamePrefix+b.k.NameSuffix != "" })
}

// finish makes of what kustomize built what a Renderer takes.
func finish(r *resource.Resource, dir string) (object, error) {
	o, err := tellSource(r, dir)
	if err != nil {
		return o, err
	}
	o.id = r.CurId()
	var text bytes.Buffer
	e := yaml.NewEncoder(&text)
	e.SetIndent(2)
	if err := e.Encode(r.YNode()); err != nil {
		return o, err
	}
	o.text = text.Bytes()
	return o, nil
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
