package render

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render/definition"
	"github.com/plumbline-dev/plumbline/render/encode"
	"github.com/plumbline-dev/plumbline/render/knative"
)

// patches are those of all documents of kind PostRender, in the order in which
// they are applied: by place. They never change; others take their place.
type patches struct {
	*Renderer
	list []*patch

	mu  sync.Mutex
	enc *encode.Encoder
}

// patch of rendered objects.
type patch struct {
	Patch
	at, target plumbline.Origin
	dir        string // of the documents whose objects it is for; "" is all
	project    string // to which it is confined; "" is all
}

// patches makes the patches anew where a document of them changed: then every
// unit is rendered again.
func (a *assembly) patches(context.Context) error {
	if slices.Equal(a.posts, a.index.posts) {
		return nil
	}
	a.posts = a.index.posts
	a.structural, a.index.dirty.remarks = true, true
	a.index.allDirty()
	a.units.patches = nil
	a.patchViolations = nil
	if len(a.posts) == 0 {
		return nil
	}
	s := &patches{Renderer: a.Renderer, enc: encode.New()}
	for _, doc := range a.posts {
		for _, d := range doc.def.Patches {
			p, err := a.patch(doc, d)
			if err != nil {
				a.patchViolations = append(a.patchViolations, plumbline.Violation{
					Code: definition.CodePatch, Severity: plumbline.SeverityError, Origin: doc.at(d.At), Message: err.Error(),
				})
				continue
			}
			s.list = append(s.list, p)
		}
	}
	a.units.patches = s
	return nil
}

func (a *assembly) patch(doc placed[definition.PostRender], d definition.Patch) (*patch, error) {
	if a.opts.Patch == nil {
		return nil, errors.New("patches of rendered objects are not enabled: remove the document")
	}
	made, err := a.opts.Patch(d.Target, d.Text)
	if err != nil {
		return nil, err
	}
	p := &patch{Patch: made, at: doc.at(d.At), target: doc.at(d.TargetAt), project: doc.def.Project.Value}
	if !doc.src.Opaque { // an overlay is one build, wherever its files lie
		p.dir = path.Dir(doc.src.Path)
	}
	return p, nil
}

// covers tells whether the patch may be for an object, wherever it stands. What
// Plumbline renders of its own accord is not patched, nor are Secrets: a patch
// could copy a value to where it is printed.
func (p *patch) covers(o *plumbline.Object) bool {
	return !o.System && o.Ref.GroupKind() != plumbline.GroupKind{Kind: "Secret"} &&
		(p.project == "" || p.project == o.Project) &&
		(p.dir == "" || p.dir == "." || strings.HasPrefix(o.Origin.Path, p.dir+"/")) &&
		p.Selects(o.Ref, o.Version)
}

// unused are the patches whose target is no object.
func (s *patches) unused(all *units) []plumbline.Violation {
	if s == nil {
		return nil
	}
	used := map[*patch]bool{}
	for _, u := range all.byKey {
		for _, p := range u.patched {
			used[p] = true
		}
	}
	var out []plumbline.Violation
	for _, p := range s.list {
		if !used[p] {
			out = append(out, plumbline.Violation{
				Code: definition.CodePatchTarget, Severity: plumbline.SeverityError, Origin: p.target,
				Message: "the target is no rendered object: plumbline render shows them, " + p.reach(),
			})
		}
	}
	return out
}

// reach says in words which objects a patch may be for.
func (p *patch) reach() string {
	var of []string
	if p.project != "" {
		of = append(of, "of project "+p.project)
	}
	if p.dir != "" && p.dir != "." {
		of = append(of, "of definitions in "+p.dir)
	}
	if len(of) == 0 {
		return "and all but Secrets and what Plumbline adds of its own accord can be patched"
	}
	return "and the patch is for those " + strings.Join(of, " and ")
}

// apply patches the objects of a unit.
func (s *patches) apply(ctx context.Context, u *unit) error {
	if s == nil {
		return nil
	}
	for i, o := range u.objects {
		done, err := s.object(ctx, u, o)
		if err != nil {
			return err
		}
		u.objects[i] = done
	}
	return nil
}

// object is an object with all patches that are for it. What is wrong with one
// is a violation at its line.
func (s *patches) object(ctx context.Context, u *unit, o *plumbline.Object) (*plumbline.Object, error) {
	var last *patch
	body := o.Body.Reveal()
	for _, p := range s.list {
		if !p.covers(o) {
			continue
		}
		out, selected, err := p.Apply(body)
		if selected || err != nil {
			u.patched = append(u.patched, p)
		}
		switch {
		case err != nil:
			u.violate(definition.CodePatch, p.at, fmt.Sprintf("the patch does not apply to %s: %s", o.Ref, err), o.Origin)
			return o, nil
		case !selected:
			continue
		}
		kept, err := keptBy(o, body, out)
		if err != nil {
			return nil, err
		}
		if kept != "" {
			u.violate(definition.CodePatchReserved, p.at, fmt.Sprintf("the patch must not change %s of %s: %s", kept, o.Ref, whereInstead(kept)), o.Origin)
			return o, nil
		}
		body, last = out, p
	}
	if last == nil {
		return o, nil
	}
	body, problems, err := s.canonical(ctx, o, body)
	if err != nil {
		return nil, err
	}
	for _, problem := range problems {
		u.violate(definition.CodePatchReserved, last.at, fmt.Sprintf("Knative refuses %s %s with the patch: %s", o.Ref.Kind, o.Ref.Name, problem), o.Origin)
	}
	done := *o
	made := s.finish(o.Ref, o.Version, body, about{origin: o.Origin})
	done.Body, done.Checksum = made.Body, made.Checksum
	return &done, nil
}

// canonical is a body as it would have been rendered, and what Knative says of
// it.
func (s *patches) canonical(ctx context.Context, o *plumbline.Object, body []byte) (out []byte, problems []string, err error) {
	if o.Ref.Group == knative.Group && o.Version == "v1" {
		typed, err := knative.Decode(o.Ref.Kind, body)
		if err != nil {
			return body, []string{err.Error()}, nil
		}
		if typed != nil {
			s.rules.Complete(ctx, typed)
			for _, p := range s.rules.Check(ctx, typed) {
				problems = append(problems, problemText(p))
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			out, err := s.enc.Append(nil, typed)
			return out, problems, err
		}
	}
	fields, err := fieldsOf(body)
	if err != nil {
		return nil, nil, err
	}
	dropNulls(fields)
	out, err = encodeJSON(fields)
	return out, nil, err
}

// fieldsOf decodes an object, numbers as they are written.
func fieldsOf(body []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var out map[string]any
	if err := d.Decode(&out); err != nil {
		return nil, plumbline.Errorf(plumbline.KindInternal, "patch a rendered object", "the body is no JSON object")
	}
	return out, nil
}

// dropNulls removes what says nothing: an apply would own it.
func dropNulls(v any) {
	switch v := v.(type) {
	case map[string]any:
		for k, c := range v {
			if c == nil {
				delete(v, k)
			} else {
				dropNulls(c)
			}
		}
	case []any:
		for _, c := range v {
			dropNulls(c)
		}
	}
}
