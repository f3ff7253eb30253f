package overlay

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/kustomize/api/builtins" //nolint:staticcheck // there until a version 1 of the API, which may bring another home
	"sigs.k8s.io/kustomize/api/provider"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/resid"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render/definition"
	"github.com/plumbline-dev/plumbline/render/encode"
)

// Patch changes objects that were rendered: kustomize's own patch, of one entry
// of `patches`.
type Patch struct {
	target  types.Selector
	names   *types.SelectorRegex
	plugin  resmap.TransformerPlugin
	helpers *resmap.PluginHelpers
	secrets secrets    // of the patch's text
	mu      sync.Mutex // held by Apply: plugins keep state
}

// NewPatch makes a patch of its text, a strategic merge patch or a list of JSON
// patch operations, for the objects that t says. An error says what is wrong
// with them.
func NewPatch(t definition.PatchTarget, text string) (*Patch, error) {
	p := &Patch{target: types.Selector{
		ResId: resid.ResId{
			Gvk:  resid.Gvk{Group: t.Group, Version: t.Version, Kind: t.Kind},
			Name: t.Name, Namespace: t.Namespace,
		},
		LabelSelector: t.LabelSelector, AnnotationSelector: t.AnnotationSelector,
	}}
	p.secrets.addText([]byte(text))
	p.secrets.settle() // Apply may be called from several goroutines
	var err error
	if p.names, err = types.NewSelectorRegex(&p.target); err != nil {
		return nil, fmt.Errorf("the target is not understood: %w", err)
	}
	for _, selector := range []string{t.LabelSelector, t.AnnotationSelector} {
		if _, err := labels.Parse(selector); err != nil {
			return nil, fmt.Errorf("the target is not understood: %w", err)
		}
	}
	docs, failed := decode([]byte(text))
	switch {
	case failed != nil:
		return nil, failed
	case len(docs) != 1:
		return nil, fmt.Errorf("the patch has %d documents: expected one, each patch is an entry of its own", len(docs))
	case value(docs[0].Content[0], "$patch") != nil:
		return nil, errors.New("the patch would delete objects: remove the definition instead")
	}
	config, err := sigsyaml.Marshal(types.Patch{Target: &p.target, Patch: text})
	if err != nil {
		return nil, err
	}
	resources := resmap.NewFactory(provider.NewDepProvider().GetResourceFactory())
	p.plugin = builtins.NewPatchTransformerPlugin()
	p.helpers = resmap.NewPluginHelpers(nil, nil, resources, types.DisabledPluginConfig())
	if err := global.do(func() error { return p.plugin.Config(p.helpers, config) }); err != nil {
		return nil, p.explain(err)
	}
	return p, nil
}

// Selects tells whether kind and name of an object, of a version of its API, are
// those of the target.
func (p *Patch) Selects(ref plumbline.Ref, version string) bool {
	return p.names.MatchGvk(resid.Gvk{Group: ref.Group, Version: version, Kind: ref.Kind}) &&
		p.names.MatchName(ref.Name) && p.names.MatchNamespace(ref.Namespace)
}

// Apply patches the JSON of an object; selected is false for one that is not the
// target. An error says why the patch does not apply.
func (p *Patch) Apply(body []byte) (out []byte, selected bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	err = global.do(func() error {
		r, err := p.helpers.ResmapFactory().RF().FromBytes(encode.ForYAML(body))
		if err != nil {
			return err
		}
		m := resmap.New()
		if err := m.Append(r); err != nil {
			return err
		}
		found, err := m.Select(p.target)
		if selected = len(found) > 0; err != nil || !selected {
			return err
		}
		if err := p.plugin.Transform(m); err != nil {
			return err
		}
		if m.Size() != 1 {
			return errors.New("nothing would be left of the object: remove the definition instead")
		}
		m.RemoveBuildAnnotations()
		out, err = m.Resources()[0].MarshalJSON()
		return err
	})
	return out, selected, p.explain(err)
}

// quoted is what kustomize's messages say of a patch besides what is wrong with
// it.
var quoted = regexp.MustCompile(`(?s) from \[patch: .*|^trouble configuring .*?: `)

func (p *Patch) explain(err error) error {
	if err == nil {
		return nil
	}
	text := p.secrets.redact(quoted.ReplaceAllString(err.Error(), ""))
	if strings.Contains(text, "unable to parse SM or JSON patch") {
		// Kustomize asks of a merge patch that it says which object it is.
		return errors.New("the patch is not understood: write a part of an object with its apiVersion, kind and metadata.name, or a list of {op, path, value}")
	}
	return errors.New(text + advice(text))
}
