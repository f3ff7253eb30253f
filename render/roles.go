package render

import (
	"context"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render/definition"
	"github.com/plumbline-dev/plumbline/render/rbac"
)

// roles renders the roles that changed.
func (a *assembly) roles(ctx context.Context) error {
	for n := range a.index.dirty.roles {
		a.structural = true // whether there is such a service is looked up again
		k := unitKey{kind: "role", name: n}
		list := a.index.roles[n]
		if len(list) == 0 {
			a.units.drop(k)
			continue
		}
		if _, _, err := a.units.update(ctx, k, inputsOf(list), func(u *unit) error {
			duplicates(u, list, "role "+n.id, func(r *definition.Role) definition.Pos { return r.ID.At })
			return a.renderRole(u, list[0])
		}); err != nil {
			return err
		}
	}
	return nil
}

func (r *Renderer) renderRole(u *unit, p placed[definition.Role]) error {
	d := p.def
	var objects []kubeObject
	if d.Cluster {
		role, binding := rbac.ClusterRole(d)
		objects = []kubeObject{role, binding}
	} else {
		role, binding := rbac.Role(d)
		objects = []kubeObject{role, binding}
	}
	a := about{origin: p.src.At(d.At), project: d.Project.Value, service: d.Service.Value, control: d.Control}
	u.objects = make([]*plumbline.Object, 0, len(objects))
	for _, o := range objects {
		done, err := r.pens[0].object(o, a)
		if err != nil {
			return err
		}
		u.objects = append(u.objects, done)
	}
	return nil
}
