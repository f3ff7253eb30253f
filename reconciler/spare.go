package reconciler

import "github.com/plumbline-dev/plumbline"

// spare leaves alone how the mesh treats a Namespace that was there before us:
// its mTLS is its owner's, unless the operator allows adoption. A Namespace
// shows as such in the inventory, or in the very plan that marks it.
func (r *Reconciler) spare(p *plumbline.Plan, objects plumbline.Objects) {
	if r.o.Adopt {
		return
	}
	shared := map[string]bool{}
	for _, c := range p.Changes {
		if isKind(c.Ref, "", "Namespace") && c.Reason == ReasonShared {
			shared[c.Ref.Name] = true
		}
	}
	for i := range p.Changes {
		c := &p.Changes[i]
		if c.Op != plumbline.OpCreate || !isKind(c.Ref, "security.istio.io", "PeerAuthentication") {
			continue
		}
		if o, _ := objects.Get(c.Ref); !o.System {
			continue
		}
		e, ok := r.inv.Get(plumbline.Ref{Kind: "Namespace", Name: c.Ref.Namespace})
		if shared[c.Ref.Namespace] || (ok && e.Shared) {
			c.Op, c.Reason = plumbline.OpKeep, reasonSpared
		}
	}
}

// reasonSpared says what would have it otherwise.
const reasonSpared = "its Namespace was there before Plumbline; allow.adopt sets mTLS there"

func isKind(r plumbline.Ref, group, kind string) bool { return r.Group == group && r.Kind == kind }
