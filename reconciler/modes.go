package reconciler

import (
	"cmp"
	"slices"

	"github.com/plumbline-dev/plumbline"
)

// service identifies a service.
type service struct{ project, id string }

// parts are the kinds of a service's objects that tell how it is run.
type parts struct{ route, knative, deployment, reached bool }

// partOf is what one object tells; the zero value where it tells nothing.
func partOf(ref plumbline.Ref) parts {
	return parts{
		route:      isKind(ref, "serving.knative.dev", "Route"),
		knative:    isKind(ref, "serving.knative.dev", "Service"),
		deployment: isKind(ref, "apps", "Deployment"),
		reached:    isKind(ref, "", "Service"),
	}
}

func (p parts) and(o parts) parts {
	return parts{p.route || o.route, p.knative || o.knative, p.deployment || o.deployment, p.reached || o.reached}
}

// mode of a service that has these parts; "" where they do not tell.
func (p parts) mode() plumbline.Mode {
	switch {
	case p.route:
		return plumbline.ModeKnative
	case p.deployment:
		return plumbline.ModeDeployment
	case p.knative:
		return plumbline.ModeKnativeDirect
	}
	return ""
}

// before is the mode of a service that leaves these parts behind and is to be
// run in mode to; "" where to has such parts too. A Knative Service that makes
// way for a Deployment tells of two modes: what had a Service of its own was not
// behind a Route.
func (p parts) before(to plumbline.Mode, hadService bool) plumbline.Mode {
	switch {
	case p.route && to != plumbline.ModeKnative:
		return plumbline.ModeKnative
	case p.deployment && to != plumbline.ModeDeployment:
		return plumbline.ModeDeployment
	case p.reached && to == plumbline.ModeKnative:
		return plumbline.ModeKnativeDirect
	case p.knative && to == plumbline.ModeDeployment && hadService:
		return plumbline.ModeKnativeDirect
	case p.knative && to == plumbline.ModeDeployment:
		return plumbline.ModeKnative
	}
	return ""
}

// ModeChanges are the services that are run in another mode from now on, sorted:
// those that are still desired, and of which objects leave that their mode does
// not have. had tells whether an object was there before. A change that is under
// way is one until the last object of the mode before has left.
func ModeChanges(leaving []Candidate, had func(plumbline.Ref) bool, desired plumbline.Objects) []plumbline.ModeChange {
	left, hadService := map[service]parts{}, map[service]bool{}
	for _, c := range leaving {
		p := partOf(c.Ref)
		if c.Service == "" || p == (parts{}) {
			continue
		}
		s := service{c.Project, c.Service}
		left[s] = left[s].and(p)
		hadService[s] = had(plumbline.Ref{Kind: "Service", Namespace: c.Ref.Namespace, Name: c.Service})
	}
	if len(left) == 0 {
		return nil
	}
	now, origins := map[service]parts{}, map[service]plumbline.Origin{}
	for ref, o := range desired.All() {
		p, s := partOf(ref), service{o.Project, o.Service}
		if left[s] == (parts{}) || p == (parts{}) {
			continue
		}
		if now[s] == (parts{}) {
			origins[s] = o.Origin
		}
		now[s] = now[s].and(p)
	}
	var out []plumbline.ModeChange
	for s, p := range left {
		to := now[s].mode()
		if from := p.before(to, hadService[s]); to != "" && from != "" {
			out = append(out, plumbline.ModeChange{Project: s.project, Service: s.id, From: from, To: to, Origin: origins[s]})
		}
	}
	slices.SortFunc(out, compareChanges)
	return out
}

func compareChanges(a, b plumbline.ModeChange) int {
	return cmp.Or(cmp.Compare(a.Project, b.Project), cmp.Compare(a.Service, b.Service))
}

// byService finds the change of a service.
func byService(changes []plumbline.ModeChange) map[service]plumbline.ModeChange {
	out := make(map[service]plumbline.ModeChange, len(changes))
	for _, m := range changes {
		out[service{m.Project, m.Service}] = m
	}
	return out
}

// stageModes finds the services that change their mode, and puts their steps into
// the waves behind all others, when the new workloads are there: WaveRelease
// deletes what holds a name that another kind needs, WaveClaim makes the object
// that takes it, WaveFollow applies the VirtualService, and WaveReplaced deletes
// the rest of the old mode.
func (in planInput) stageModes(p *plumbline.Plan) {
	var leaving []Candidate
	for _, c := range p.Changes {
		if c.Op == plumbline.OpDelete {
			e, _ := in.Inventory.Get(c.Ref)
			leaving = append(leaving, Candidate{Ref: c.Ref, Project: e.Project, Service: e.Service})
		}
	}
	p.ModeChanges = ModeChanges(leaving, func(ref plumbline.Ref) bool {
		e, ok := in.Inventory.Get(ref)
		return ok && e.Owned()
	}, in.Desired)
	if len(p.ModeChanges) == 0 {
		return
	}
	modes := byService(p.ModeChanges)
	for i := range p.Changes {
		c := &p.Changes[i]
		if m, ok := modes[in.serviceOf(c.Ref)]; ok {
			stage(c, m)
		}
	}
}

// stageAdopted finds the services that take over Services of others for pods of
// Knative, which are new, and puts these steps where those of a change of mode
// are: the Services lead to the new pods once they are ready.
func (in planInput) stageAdopted(p *plumbline.Plan, abrupt bool) {
	modes := byService(p.ModeChanges)
	taken := map[service]plumbline.ModeChange{}
	for _, c := range p.Changes {
		s := in.serviceOf(c.Ref)
		_, changes := modes[s]
		if s != (service{}) && !changes && c.Op == plumbline.OpConfigure && c.Reason == ReasonAdopt && partOf(c.Ref).reached {
			taken[s] = plumbline.ModeChange{Project: s.project, Service: s.id, Origin: c.Origin, Abrupt: abrupt}
		}
	}
	if len(taken) == 0 {
		return
	}
	now := map[service]parts{}
	for ref, o := range in.Desired.All() {
		if s := (service{o.Project, o.Service}); taken[s] != (plumbline.ModeChange{}) {
			now[s] = now[s].and(partOf(ref))
		}
	}
	for s, m := range taken {
		if m.To = now[s].mode(); m.To != plumbline.ModeKnativeDirect {
			delete(taken, s)
			continue
		}
		taken[s] = m
		p.ModeChanges = append(p.ModeChanges, m)
	}
	slices.SortFunc(p.ModeChanges, compareChanges)
	for i := range p.Changes {
		c := &p.Changes[i]
		if m, ok := taken[in.serviceOf(c.Ref)]; ok && c.Op != plumbline.OpDelete {
			stage(c, m)
		}
	}
	slices.SortStableFunc(p.Changes, func(a, b plumbline.Change) int { return int(a.Wave - b.Wave) })
}

// serviceOf is the service that an object belongs to, or belonged to; zero for
// none.
func (in planInput) serviceOf(ref plumbline.Ref) service {
	if o, ok := in.Desired.Get(ref); ok && o.Service != "" {
		return service{o.Project, o.Service}
	}
	if e, ok := in.Inventory.Get(ref); ok && e.Service != "" {
		return service{e.Project, e.Service}
	}
	return service{}
}

// stage puts a change of a service that changes its mode into its wave.
func stage(c *plumbline.Change, m plumbline.ModeChange) {
	route := isKind(c.Ref, "serving.knative.dev", "Route")
	reached := isKind(c.Ref, "", "Service")
	split := isKind(c.Ref, "networking.istio.io", "VirtualService")
	switch {
	case c.Op == plumbline.OpDelete:
		c.Wave, c.Reason = plumbline.WaveReplaced, m.String()
		if route || (m.To == plumbline.ModeKnative && (split || reached && c.Ref.Name == m.Service)) {
			c.Wave = plumbline.WaveRelease
		}
	case route, reached:
		c.Wave = plumbline.WaveClaim
	case c.Op == plumbline.OpConfigure && isKind(c.Ref, "security.istio.io", "AuthorizationPolicy"):
		c.Wave = plumbline.WaveClaim // it names the ports of the pods that are called
	case split:
		c.Wave = plumbline.WaveFollow
	}
}
