package overlay

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"runtime"
	"strings"
	"sync"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"

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
// to the repository's root.
type Convert = func(at plumbline.Origin, doc []byte) ([]byte, error)

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

// Build builds the kustomization in dir of the repository fsys. Only files
// that it refers to are read. The error is a plumbline.Error of KindInvalid
// with the kustomization file, or several joined; a panic in kustomize is one
// of KindInternal.
func Build(ctx context.Context, fsys fs.FS, dir string, convert Convert) ([]byte, error) {
	l := newLoader(ctx, fsys, convert)
	file, err := l.load(path.Clean(dir))
	if err != nil {
		return nil, err
	}
	out, err := global.run(l.memory, path.Join(root, dir))
	if err == nil {
		return out, nil
	}
	at, found := l.blame()
	if ctx.Err() != nil {
		return nil, &plumbline.Error{Op: opBuild, Err: ctx.Err()}
	}
	if !found {
		at = plumbline.Origin{Path: file}
	}
	kind := plumbline.KindInvalid
	if _, bug := err.(panicked); bug { //nolint:errorlint // made two lines above, never wrapped
		kind = plumbline.KindInternal
	}
	return nil, &plumbline.Error{
		Op:     opBuild,
		Kind:   kind,
		Origin: at,
		Err:    errors.New(message(err, &l.secrets)),
	}
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

func (f *fence) run(memory filesys.FileSystem, dir string) (out []byte, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer func() {
		switch r := recover().(type) {
		case nil:
		case runtime.Error:
			out, err = nil, panicked("kustomize panicked: "+r.Error())
		default:
			out, err = nil, panicked(fmt.Sprintf("kustomize panicked with a %T", r))
		}
	}()
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
	for _, r := range objects.Resources() {
		// A project is its namespace: `namespace` of an overlay renames it.
		if err := renamed(r); err != nil {
			return nil, err
		}
		if err := tellSource(r); err != nil {
			return nil, err
		}
		if ns := r.GetNamespace(); ns != "" && r.GetApiVersion() == plumbline.APIVersion && r.GetKind() == "Project" {
			if err := r.SetName(ns); err != nil {
				return nil, err
			}
		}
	}
	return objects.AsYaml()
}

// detour is what of kustomize's messages helps nobody: the reason why a
// directory is not a file; and what it could not read, whole, which no list of
// secret values can know.
var detour = regexp.MustCompile(`accumulation err='.*': |(?s: with config: ` + "`.*?`" + `)| from \[(?s:.*)\]| \[[0-9 ]+\]`)

// message makes one line of an error of kustomize.
func message(err error, s *secrets) string {
	text := strings.ReplaceAll(err.Error(), root+"/", "")
	text = s.redact(detour.ReplaceAllString(text, ""))
	return text + advice(text)
}

// renamed tells of a service whose name is not that of its id and version any
// more: an overlay can change the one without the other.
func renamed(r *resource.Resource) error {
	if r.GetApiVersion() != plumbline.APIVersion || r.GetKind() != "ServiceVersion" {
		return nil
	}
	id, err := r.GetString("spec.id")
	if err != nil {
		return nil //nolint:nilerr // it has none, which is said at the document
	}
	version, err := r.GetString("spec.version")
	if err != nil {
		return nil //nolint:nilerr // as above
	}
	if want := definition.Join(id, version); r.GetName() != want {
		return fmt.Errorf("ServiceVersion %s would be named %s: spec.id and spec.version make the name; move a copy with namespace, or patch all three", want, r.GetName())
	}
	return nil
}
