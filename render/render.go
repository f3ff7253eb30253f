// Package render turns the definitions of a repository into Kubernetes
// objects. In goes a tree of files, out come objects, and every problem of
// every definition with its file and line.
//
// The way: files are split into documents, documents are parsed (package
// definition), gathered by service, secret and project, checked against each
// other, and rendered (packages knative, istio, deployment, secret) and encoded
// (package encode). Rendering looks at the files and at Options only: never at a
// cluster, a clock or the network. The same input gives the same bytes.
package render

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"strings"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render/definition"
	"github.com/plumbline-dev/plumbline/render/istio"
	"github.com/plumbline-dev/plumbline/render/knative"
	"github.com/plumbline-dev/plumbline/render/sops"
)

// Options say for which environment, and for what kind of cluster, is
// rendered. The zero value stands for the defaults in the comments.
type Options struct {
	Environment string // label plumbline.dev/environment; "" is "default"
	Knative     Knative
	Mesh        Mesh
	KEDA        bool // ScaledObjects may be rendered
	// Prometheus is where KEDA asks how many calls there are, a URL; "" is the
	// one of istio-system.
	Prometheus string
	// HashKey keys every hash that depends on secret values; nil makes them
	// read "unkeyed", for renderings that are shown and not applied.
	HashKey []byte
	// Definitions asks for Result.Definitions.
	Definitions bool
	// Overlay builds a directory that holds a kustomization; nil refuses it.
	Overlay OverlayFunc
	// Patch makes a patch of rendered objects; nil refuses documents of kind
	// PostRender.
	Patch PatchFunc
	// Keys open documents that SOPS encrypted; nil: there are none.
	Keys Keys
	// Closed lets documents pass for which there is no key, as far as they are
	// plain: for renderings that are shown and never applied.
	Closed bool
	// RequireEncrypted makes secrets that are not encrypted an error.
	RequireEncrypted bool
}

// Keys are the keys of SOPS that the operator gave.
type Keys interface {
	sops.Keys
	// Load reads them anew, where they may have changed. The name changes with
	// them, and says nothing of them. A key service is asked with ctx.
	Load(ctx context.Context) (name string, err error)
}

// Knative is what is true of Knative on the cluster.
type Knative struct {
	Features []string // podspec features that are enabled
	// MetricsProxyImage is run as a container beside every service that Envoy
	// counts requests of; "" leaves metrics to Envoy itself.
	MetricsProxyImage string
}

// Mesh is what is true of Istio on the cluster.
type Mesh struct {
	TrustDomain string // "" is "cluster.local"
	// Gateways are "<namespace>/<service account>"; nil is the ingress gateway
	// of istio-system.
	Gateways []string
	// AlwaysAllowedNamespaces may call every service.
	AlwaysAllowedNamespaces []string
	StrictUpstreams         bool // refuse hosts that the mesh does not know
	// InjectionLabel and its value are put on Namespaces; "" is
	// istio-injection: enabled.
	InjectionLabel string
	InjectionValue string
}

// OverlayFunc builds the overlay in dir and returns its documents. Every
// document of the sources passes through convert first, with its path and first
// line, which gives Space Cloud documents their plumbline.dev/v1 form, other
// documents as they are, and nothing for a document to leave out. Of files for
// whose documents it says "again" the function may remember the result. It may
// be called by several goroutines at a time.
type OverlayFunc func(ctx context.Context, fsys fs.FS, dir string,
	convert func(at plumbline.Origin, doc []byte) (out definition.Detached, again bool, err error)) ([]byte, error)

// PatchFunc makes a patch of the text of one, for the objects that target says.
type PatchFunc func(target definition.PatchTarget, text string) (Patch, error)

// Patch changes objects.
type Patch interface {
	// Selects tells whether the patch may be for an object: Apply may find labels
	// or annotations that say otherwise.
	Selects(ref plumbline.Ref, version string) bool
	// Apply changes the JSON of an object; selected is false where the patch is
	// not for it. An error says why it does not apply, and shows no value.
	Apply(body []byte) (out []byte, selected bool, err error)
}

// Result of one rendering.
type Result struct {
	// Objects are empty when a violation is an error. What did not change since
	// the last rendering is the same object.
	Objects plumbline.Objects
	// Definitions are the definitions as data, in the form of plumbline.dev/v1
	// and without values of secrets, where Options ask for them. Those with
	// errors are left out.
	Definitions plumbline.Objects
	Violations  []plumbline.Violation // all of them: sorted, none twice
	Peers       []plumbline.Peer      // sorted
	Projects    []string              // sorted
	Services    []ServiceMode         // sorted by project and service
	Skipped     []Skip                // sorted by origin
	// Closed are documents of which the values are still encrypted: without
	// Options.Closed each has an error too. In objects SOPS's own text stands
	// for such values.
	Closed []Skip // sorted by origin
	Stats  Stats
}

// ServiceMode is how a service is run, and why.
type ServiceMode struct {
	Project string           `json:"project"`
	Service string           `json:"service"`
	Mode    plumbline.Mode   `json:"mode"`
	Why     string           `json:"why"`
	Origin  plumbline.Origin `json:"origin"`
}

// Skip is a file or document that is not ours, or not read as a whole.
type Skip struct {
	Origin plumbline.Origin `json:"origin"`
	Reason string           `json:"reason"`
}

func (s Skip) compare(o Skip) int {
	return cmp.Or(s.Origin.Compare(o.Origin), cmp.Compare(s.Reason, o.Reason))
}

// Stats count what a rendering had to do.
type Stats struct {
	Files     int `json:"files"`     // that may hold definitions
	Documents int `json:"documents"` // in them
	Parsed    int `json:"parsed"`    // documents that were new to the Renderer
	Rendered  int `json:"rendered"`  // services that were rendered
	Reused    int `json:"reused"`    // services that were as before
}

// Renderer renders one environment again and again, and does again only what a
// change makes necessary. It is not safe for concurrent use.
type Renderer struct {
	opts Options
	mesh istio.Mesh
	// rules are those of Knative.
	rules  *knative.Rules
	pens   []*pen // one a worker; the first is of what is done in turn
	limits limits
	state
}

// state is what is kept between renderings.
type state struct {
	source string // of the documents: what was read last
	tree   *tree
	index  *index
	// fileViolations are those about files as a whole, and about overlays.
	fileViolations  []plumbline.Violation
	closed          []Skip // of an overlay
	units           *units
	opener          *definition.Opener
	keys            string                          // the name of those that documents were opened with
	posts           []placed[definition.PostRender] // of which the units' patches are made
	patchViolations []plumbline.Violation           // of those that cannot be made
	unused          []plumbline.Violation           // of those whose target is no object
	all             overview
	data            plumbline.Objects
	last            *Result
}

func newState(o Options) state {
	opener := &definition.Opener{Lenient: o.Closed}
	if o.Keys != nil {
		opener.Keys = o.Keys
	}
	return state{tree: newTree(opener, o.Definitions), index: newIndex(), units: newUnits(), opener: opener}
}

// New makes a Renderer.
//
// An error is an environment or a gateway that is no name, of KindUsage.
func New(opts Options) (*Renderer, error) {
	if opts.Environment == "" {
		opts.Environment = "default"
	}
	if opts.Mesh.InjectionLabel == "" {
		opts.Mesh.InjectionLabel, opts.Mesh.InjectionValue = "istio-injection", "enabled"
	}
	if opts.Prometheus == "" {
		opts.Prometheus = "http://prometheus.istio-system.svc.cluster.local:9090"
	}
	if !definition.IsLabel(opts.Environment) {
		return nil, plumbline.Errorf(plumbline.KindUsage, "set up rendering", "environment %q is not a DNS label", opts.Environment)
	}
	for _, g := range opts.Mesh.Gateways {
		namespace, account, _ := strings.Cut(g, "/")
		if !definition.IsLabel(namespace) || account == "" {
			return nil, plumbline.Errorf(plumbline.KindUsage, "set up rendering", "gateway %q: expected <namespace>/<service account>", g)
		}
	}
	rules, err := knative.NewRules(opts.Knative.Features)
	if err != nil {
		return nil, plumbline.Errorf(plumbline.KindInternal, "set up rendering", "%w", err)
	}
	r := &Renderer{
		opts:   opts,
		rules:  rules,
		limits: defaultLimits(),
		state:  newState(opts),
		mesh: istio.Mesh{
			TrustDomain:     opts.Mesh.TrustDomain,
			Gateways:        opts.Mesh.Gateways,
			AlwaysAllowed:   opts.Mesh.AlwaysAllowedNamespaces,
			StrictUpstreams: opts.Mesh.StrictUpstreams,
		},
	}
	if r.mesh.TrustDomain == "" {
		r.mesh.TrustDomain = "cluster.local"
	}
	if r.mesh.Gateways == nil {
		r.mesh.Gateways = []string{"istio-system/istio-ingressgateway-service-account"}
	}
	r.pens = newPens(r)
	return r, nil
}

// Render renders what lies in dir, a slash-separated path in fsys. What is
// wrong in the repository is a violation; an error is trouble with reading it,
// a dir that is not there (plumbline.KindInvalid), or the end of ctx.
func (r *Renderer) Render(ctx context.Context, fsys fs.FS, dir string) (Result, error) {
	whole := false
	defer func() {
		if !whole { // an error, or a panic: half of it is of this rendering
			r.state = newState(r.opts)
		}
	}()
	res, err := r.render(ctx, fsys, dir)
	whole = err == nil
	return res, err
}

func (r *Renderer) render(ctx context.Context, fsys fs.FS, dir string) (Result, error) {
	if err := r.loadKeys(ctx); err != nil {
		return Result{}, err
	}
	changed, err := r.load(ctx, fsys, dir)
	if err == nil && r.opener.Away != nil {
		err = plumbline.Errorf(plumbline.KindTransient, "open encrypted documents", "%w", r.opener.Away)
	}
	if err != nil {
		return Result{}, err
	}
	if !changed && r.last != nil {
		res := *r.last
		res.Stats.Parsed, res.Stats.Rendered, res.Stats.Reused = 0, 0, len(res.Services)
		return res, nil
	}
	res, err := r.assemble(ctx)
	if err != nil {
		return Result{}, err
	}
	r.last = &res
	return res, nil
}

// loadKeys reads the keys. Where they changed, documents that are encrypted are
// opened anew.
func (r *Renderer) loadKeys(ctx context.Context) error {
	if r.opts.Keys == nil {
		return nil
	}
	name, err := r.opts.Keys.Load(ctx)
	if err == nil && name != r.keys {
		r.keys = name
		r.tree.forgetEncrypted()
	}
	return err
}

// load reads dir into the index, and tells whether anything changed.
func (r *Renderer) load(ctx context.Context, fsys fs.FS, dir string) (bool, error) {
	info, err := fs.Stat(fsys, dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, plumbline.Errorf(plumbline.KindInvalid, "read "+dir, "the directory is not in the repository")
	case err != nil:
		return false, plumbline.Errorf(plumbline.KindUnset, "read "+dir, "%w", err)
	case !info.IsDir():
		return false, plumbline.Errorf(plumbline.KindInvalid, "read "+dir, "not a directory")
	}
	kustomization, err := hasKustomization(fsys, dir)
	if err != nil {
		return false, plumbline.Errorf(plumbline.KindUnset, "read "+dir, "%w", err)
	}
	source := "directory " + dir
	if kustomization != "" {
		source = "overlay " + dir
	}
	forgot := source != r.source || kustomization != ""
	if forgot {
		r.forgetDocuments()
		r.source = source
	}
	if kustomization != "" {
		return true, r.overlay(ctx, fsys, dir, kustomization)
	}
	found, err := r.readTree(ctx, fsys, dir)
	return found || forgot, err
}

func (r *Renderer) readTree(ctx context.Context, fsys fs.FS, dir string) (bool, error) {
	r.tree.limits = r.limits
	d, err := r.tree.read(ctx, fsys, dir, func(path string, old, now *content) {
		for _, c := range old.documents() {
			r.index.remove(c.doc, definition.Source{Path: path, Before: c.before})
		}
		for _, c := range now.documents() {
			r.index.add(c.doc, definition.Source{Path: path, Before: c.before})
		}
	})
	if d.remarks {
		r.fileViolations, r.index.dirty.remarks = r.tree.root.violations(dir), true
	}
	return d.found, err
}

// forgetDocuments empties the index and marks all that was in it as changed.
func (r *Renderer) forgetDocuments() {
	old := r.index
	r.index = newIndex()
	mark(r.index.dirty.data, old.data)
	mark(r.index.dirty.services, old.services)
	mark(r.index.dirty.secrets, old.secrets)
	mark(r.index.dirty.roles, old.roles)
	mark(r.index.dirty.plain, old.plain)
	r.index.dirty.projects, r.index.dirty.remarks = true, true
	r.tree.root, r.fileViolations, r.closed = &directory{}, nil, nil
}
