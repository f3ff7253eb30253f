package main

import (
	"context"
	"slices"
	"strings"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/config"
	"github.com/plumbline-dev/plumbline/policies"
	"github.com/plumbline-dev/plumbline/policies/guardrail"
	"github.com/plumbline-dev/plumbline/render"
	"github.com/plumbline-dev/plumbline/render/definition"
	"github.com/plumbline-dev/plumbline/render/overlay"
)

// newRenderer makes the renderer of an environment. Without a hash key, what
// depends on secret values reads "unkeyed".
func newRenderer(s settings, e config.Environment, hashKey []byte, o opening) (*render.Renderer, error) {
	return render.New(render.Options{
		Environment: e.Name,
		Knative:     render.Knative{Features: s.Knative.Features, MetricsProxyImage: s.Knative.MetricsProxyImage},
		Mesh: render.Mesh{
			TrustDomain:             s.Mesh.TrustDomain,
			Gateways:                s.Mesh.Gateways,
			AlwaysAllowedNamespaces: s.Mesh.AlwaysAllowedNamespaces,
			StrictUpstreams:         s.Mesh.StrictUpstreams,
			InjectionLabel:          s.Mesh.Injection.Label,
			InjectionValue:          s.Mesh.Injection.Value,
		},
		KEDA:       s.HasKEDA(e),
		Prometheus: s.Prometheus,
		HashKey:    hashKey,
		Overlay:    (&overlay.Builder{}).Build,
		Patch:      newPatch,
		// Rules look at definitions as data.
		Definitions: s.guardrails.Definitions(),

		Keys:             o.keys,
		Closed:           o.shown,
		RequireEncrypted: e.RequireEncryptedSecrets,
	})
}

// newPatch makes a patch of rendered objects.
func newPatch(target definition.PatchTarget, text string) (render.Patch, error) {
	return overlay.NewPatch(target, text)
}

// rendering is what an environment's directory means.
type rendering struct {
	environment string
	render.Result
}

// withBreaches adds to violations what the operator does not allow.
func withBreaches(violations []plumbline.Violation, a policies.Allowed, c guardrail.Checked) []plumbline.Violation {
	breaches, broken := a.Violations(), c.Violations()
	if len(breaches)+len(broken) == 0 {
		return violations
	}
	return definition.Cut(plumbline.SortViolations(slices.Concat(violations, breaches, broken)), render.MaxProblems)
}

// renderEnvironment renders what lies in t for e, to be shown.
func renderEnvironment(ctx context.Context, t tree, s settings, e config.Environment, o opening) (rendering, error) {
	r, err := newRenderer(s, e, nil, o)
	if err != nil {
		return rendering{}, err
	}
	res, err := r.Render(ctx, t.fs, t.dir)
	if err != nil {
		return rendering{}, err
	}
	res.Skipped = append(res.Skipped, t.excluded()...)
	checked, err := s.guardrails.Start(e.Name).Next(ctx, res.Objects, res.Definitions)
	if err != nil {
		return rendering{}, err
	}
	res.Violations = withBreaches(res.Violations, policies.Allow(res.Objects, res.Projects, e.Allow.Options(s.Namespace)), checked)
	if res.Objects.Len() == 0 && len(plumbline.Errors(res.Violations)) == 0 {
		return rendering{}, plumbline.Errorf(plumbline.KindDenied, "render "+t.place(plumbline.Origin{Path: t.dir}).Path, "no definitions; name the directory that holds them")
	}
	return rendering{environment: e.Name, Result: t.placedResult(res)}, nil
}

// knownProjects refuses projects of --project that a rendering has not.
func knownProjects(chosen []string, r rendering) error {
	for _, p := range chosen {
		if !slices.Contains(r.Projects, p) {
			return usage("--project: there is no %q in environment %s, only %s", p, r.environment, strings.Join(r.Projects, ", "))
		}
	}
	return nil
}

// renderings renders every chosen environment. With DIR it is one, and lies
// there; otherwise each lies at its path in the clone around the working
// directory.
func (a *app) renderings(ctx context.Context, s settings, args []string, revision string) ([]rendering, error) {
	if a.repo != "" || a.branch != "" {
		return nil, usage("--repo and --branch: this command reads files; give DIR, or --revision of the clone around it")
	}
	dir := "."
	if len(args) > 0 {
		if len(s.Environments) > 1 {
			return nil, usage("DIR is one environment of several; choose it with -e")
		}
		dir = args[0]
	}
	t, err := openTree(dir)
	if err != nil {
		return nil, err
	}
	if revision != "" {
		at, closeClone, err := t.at(ctx, revision)
		if err != nil {
			return nil, err
		}
		defer closeClone() //nolint:errcheck // opened for reading
		t = at
	}
	var out []rendering
	for _, e := range s.Environments {
		at := t
		if len(args) == 0 && (s.fromFile || a.path != "") {
			at.dir = e.Path
		}
		r, err := renderEnvironment(ctx, at, s, e, fileKeys(e))
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}
