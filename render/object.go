package render

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render/definition"
	"github.com/plumbline-dev/plumbline/render/deployment"
	"github.com/plumbline-dev/plumbline/render/istio"
	"github.com/plumbline-dev/plumbline/render/secret"
)

// kubeObject is what the typed structs of all kinds have in common.
type kubeObject interface {
	metav1.Object
	GetObjectKind() schema.ObjectKind
}

// about is what an object does not say of itself.
type about struct {
	origin  plumbline.Origin
	project string
	service string
	control definition.Control
	system  bool
}

// object encodes a typed object, with the labels that all objects have.
func (p *pen) object(o kubeObject, a about) (*plumbline.Object, error) {
	labels := o.GetLabels()
	if labels == nil {
		labels = make(map[string]string, 4)
	}
	p.label(labels, a)
	o.SetLabels(labels)
	body, err := p.enc.Append(p.buf[:0], o)
	p.buf = body
	if err != nil {
		return nil, plumbline.Errorf(plumbline.KindInternal, "render "+a.origin.String(), "%w", err)
	}
	gvk := o.GetObjectKind().GroupVersionKind()
	ref := plumbline.Ref{Group: gvk.Group, Kind: gvk.Kind, Namespace: o.GetNamespace(), Name: o.GetName()}
	return p.finish(ref, gvk.Version, bytes.Clone(body), a), nil
}

func (r *Renderer) label(labels map[string]string, a about) {
	labels[plumbline.LabelManagedBy] = plumbline.ManagedBy
	labels[plumbline.LabelEnvironment] = r.opts.Environment
	if a.project != "" {
		labels[plumbline.LabelProject] = a.project
	}
	if a.service != "" {
		labels[plumbline.LabelService] = a.service
	}
}

// finish makes an Object of an encoded body.
func (r *Renderer) finish(ref plumbline.Ref, version string, body []byte, a about) *plumbline.Object {
	sum := ""
	if ref.GroupKind() == (plumbline.GroupKind{Kind: "Secret"}) {
		sum = secret.Checksum(r.opts.HashKey, body)
	} else {
		hash := sha256.Sum256(body)
		sum = hex.EncodeToString(hash[:])
	}
	return &plumbline.Object{
		Ref: ref, Version: version, Origin: plumbline.Origin{Path: a.origin.Path, Line: a.origin.Line},
		Wave:    plumbline.WaveOf(ref.GroupKind()) + plumbline.Wave(a.control.WaveShift),
		Project: a.project, Service: a.service,
		Checksum: sum, Body: plumbline.NewBody(body),
		Control: a.control.Control, System: a.system,
	}
}

// projectInput is all that the objects of a project depend on.
type projectInput struct {
	name      string
	origin    plumbline.Origin
	control   definition.Control
	namespace bool // the Namespace is ours to render
}

func (r *Renderer) renderProject(u *unit, p projectInput) error {
	a := about{origin: p.origin, project: p.name, control: p.control, system: true}
	objects := []kubeObject{istio.PeerAuthentication(p.name)}
	if p.namespace {
		objects = append(objects, deployment.Namespace(p.name, r.opts.Mesh.InjectionLabel, r.opts.Mesh.InjectionValue))
	}
	for _, o := range objects {
		done, err := r.pens[0].object(o, a)
		if err != nil {
			return err
		}
		u.objects = append(u.objects, done)
	}
	return nil
}

func (r *Renderer) renderSecret(u *unit, s placed[definition.Secret]) error {
	o, err := r.pens[0].object(secret.Object(s.def), about{
		origin: s.src.At(s.def.At), project: s.def.Project.Value, control: s.def.Control,
	})
	u.objects = append(u.objects, o)
	r.inTheOpen(u, s.src, s.def.Sealing)
	return err
}

// inTheOpen tells of values of a secret that everyone reads who reads the
// repository.
func (r *Renderer) inTheOpen(u *unit, src definition.Source, s definition.Sealing) {
	if len(s.Plain) == 0 {
		return
	}
	what := "the value of " + s.Plain[0] + " is"
	switch n := len(s.Plain); {
	case n == 2:
		what = "the values of " + strings.Join(s.Plain, " and ") + " are"
	case n > 2:
		what = fmt.Sprintf("the values of %s and %d more keys are", s.Plain[0], n-1)
	}
	tell := u.warn
	if r.opts.RequireEncrypted {
		tell = u.violate
	}
	advice := "encrypt the file with sops"
	if s.Partly {
		advice = "the document has a sops block, and its rule leaves them out; encrypt it again with encrypted_regex: ^(data|stringData)$"
	}
	tell(definition.CodeSecretPlain, src.At(s.PlainAt), what+" in the repository for everyone to read: "+advice)
}

// renderPlain passes a plain object on, with our labels.
func (r *Renderer) renderPlain(ctx context.Context, u *unit, p placed[definition.Plain]) error {
	d := p.def
	a := about{origin: p.src.At(d.At), project: d.Ref.Namespace, control: d.Control}
	fields := maps.Clone(d.Fields)
	meta, _ := fields["metadata"].(map[string]any)
	meta = maps.Clone(meta)
	labels := map[string]any{}
	if own, ok := meta["labels"].(map[string]any); ok {
		labels = maps.Clone(own)
	}
	ours := map[string]string{}
	r.label(ours, a)
	for k, v := range ours {
		labels[k] = v
	}
	meta["labels"], fields["metadata"] = labels, meta
	if data, ok := fields["data"].(map[string]any); ok && d.Ref.Kind == "Secret" {
		fields["data"] = reveal(data)
	}
	body, err := encodeJSON(fields)
	if err != nil {
		return plumbline.Errorf(plumbline.KindInternal, "render "+a.origin.String(), "%w", err)
	}
	u.objects = append(u.objects, r.finish(d.Ref, d.Version, body, a))
	r.checkPlainKnative(ctx, u, p, body)
	r.inTheOpen(u, p.src, d.Sealing)
	return nil
}

// reveal turns the values of a Secret into what its data holds.
func reveal(data map[string]any) map[string]any {
	out := make(map[string]any, len(data))
	for k, v := range data {
		if s, ok := v.(plumbline.SecretValue); ok {
			out[k] = base64.StdEncoding.EncodeToString([]byte(s.Reveal()))
		} else {
			out[k] = v
		}
	}
	return out
}

// encodeJSON writes JSON values canonically: sorted, and nothing escaped that
// need not be.
func encodeJSON(v any) ([]byte, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return []byte(strings.TrimSuffix(b.String(), "\n")), nil
}
