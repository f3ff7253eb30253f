package render

import (
	"cmp"
	"slices"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render/definition"
)

// needs is what the definitions of the service ask for.
func (s *resolved) needs(features []string) Needs {
	n := Needs{Features: features}
	routed := map[string]bool{}
	if r := s.routes.def; r != nil {
		for _, route := range r.Routes {
			n.Routes.Ports = append(n.Routes.Ports, route.Port)
			n.Routes.Retries = n.Routes.Retries || route.Retries > 0
			n.Routes.Timeouts = n.Routes.Timeouts || route.TimeoutSeconds > 0
			n.Routes.Matchers = n.Routes.Matchers || len(route.Matchers) > 0
			for _, t := range route.Targets {
				if t.External() {
					n.Routes.External = true
				} else if t.Weight > 0 {
					routed[definition.Slug(t.Version.Value)] = true
				}
			}
		}
	}
	for _, v := range s.versions {
		needs := VersionNeeds{
			Name: v.def.Version.Value, Min: v.def.Scale.Min,
			Routed: s.routes.def == nil || routed[definition.Slug(v.def.Version.Value)],
		}
		for _, p := range portsOf(v.def) {
			needs.Ports = append(needs.Ports, PortNeeds{Protocol: p.Protocol, Address: p.Address})
		}
		for _, t := range v.def.Scale.Triggers {
			needs.Triggers = append(needs.Triggers, t.Type)
		}
		needs.Features, needs.Command = featuresOf(v.def), commandBeside(v.def)
		n.Versions = append(n.Versions, needs)
	}
	return n
}

// The features of Knative that definitions can ask for, as in its
// config-features.
const (
	featureAffinity = "kubernetes.podspec-affinity"
	featureProbing  = "multi-container-probing"
)

// commandBeside tells whether a task without a port is asked by a command
// whether it is ready.
func commandBeside(v *definition.Version) bool {
	return slices.ContainsFunc(v.Tasks, func(t definition.Task) bool {
		return len(t.Ports) == 0 && t.Readiness != nil && t.Readiness.Kind == definition.ProbeExec
	})
}

// featuresOf are the features of Knative that the pods of a version need.
func featuresOf(v *definition.Version) []string {
	var out []string
	if len(v.Affinity) > 0 {
		out = append(out, featureAffinity)
	}
	for i := range v.Tasks {
		if t := &v.Tasks[i]; len(t.Ports) == 0 && (t.Readiness != nil || t.Liveness != nil) {
			return append(out, featureProbing)
		}
	}
	return out
}

// guarded tells whether the activator lets callers through to a version: then
// a guard must keep its whitelist there.
func (s *resolved) guarded(v *definition.Version) bool {
	return s.mode.Mode != plumbline.ModeDeployment && !v.Open() && s.scalesToZero()
}

func (s *resolved) scalesToZero() bool {
	return slices.ContainsFunc(s.versions, func(v placed[definition.Version]) bool { return v.def.Scale.Min == 0 })
}

// facts are what other services' checks need to know of the versions.
func (s *resolved) facts() []renderedVersion {
	out := make([]renderedVersion, 0, len(s.versions))
	for _, v := range s.versions {
		f := renderedVersion{
			name: v.def.Name(), version: v.def.Version.Value, id: v.at(v.def.ID.At), at: v.at(v.def.Version.At),
			guarded: s.guarded(v.def),
		}
		for _, e := range v.def.Addresses {
			f.addresses = append(f.addresses, address{name{e.Project, e.Service}, e.Port, v.at(e.At)})
		}
		out = append(out, f)
	}
	return out
}

// answers are the ports on which the service is called, in its mode.
func (s *resolved) answers() []int {
	var out []int
	if s.mode.Mode != plumbline.ModeDeployment {
		out = append(out, 80)
	}
	if s.mode.Mode != plumbline.ModeKnative {
		for _, v := range s.versions {
			for _, p := range portsOf(v.def) {
				out = append(out, p.Address)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// peer is the service as a whole, as others see it: what any version declares.
func (s *resolved) peer() plumbline.Peer {
	first := s.versions[0]
	p := plumbline.Peer{
		Service: plumbline.PeerRef{Project: s.name.project, Service: s.name.id},
		Origin:  first.src.At(first.def.At),
	}
	for _, v := range s.versions {
		for _, u := range v.def.Upstreams {
			p.Upstreams = append(p.Upstreams, plumbline.PeerRef{Project: u.Project, Service: u.Service, Origin: v.src.At(u.At)})
		}
		for _, w := range v.def.Whitelist {
			p.Whitelist = append(p.Whitelist, plumbline.PeerRef{Project: w.Project, Service: w.Service, Origin: v.src.At(w.At)})
		}
	}
	p.Upstreams, p.Whitelist = distinct(p.Upstreams), distinct(p.Whitelist)
	return p
}

// peers are the versions as the call graph sees them.
func (s *resolved) peers() []plumbline.Peer {
	routed, away := s.routed()
	out := make([]plumbline.Peer, 0, len(s.versions))
	for _, v := range s.versions {
		p := plumbline.Peer{
			Service: plumbline.PeerRef{Project: s.name.project, Service: s.name.id},
			Version: v.def.Version.Value, Origin: v.at(v.def.At), Away: away,
		}
		switch {
		case len(portsOf(v.def)) == 0:
			p.Reach = plumbline.ReachPortless
		case !routed[v.def.Name()]:
			p.Reach = plumbline.ReachUnrouted
		}
		for _, u := range v.def.Upstreams {
			p.Upstreams = append(p.Upstreams, plumbline.PeerRef{Project: u.Project, Service: u.Service, Origin: v.at(u.At)})
		}
		for _, w := range v.def.Whitelist {
			p.Whitelist = append(p.Whitelist, plumbline.PeerRef{Project: w.Project, Service: w.Service, Origin: v.at(w.At)})
		}
		out = append(out, p)
	}
	return out
}

// routed are the names of the versions that calls by the service's name get to,
// and whether some of those calls leave the mesh.
func (s *resolved) routed() (names map[string]bool, away bool) {
	if s.routes.def == nil {
		return map[string]bool{s.versions[0].def.Name(): true}, false
	}
	names = map[string]bool{}
	for _, r := range s.routes.def.Routes {
		for i, share := range percent(weights(r.Targets)) {
			switch t := r.Targets[i]; {
			case share == 0:
			case t.External():
				away = true
			default:
				names[definition.Join(s.name.id, t.Version.Value)] = true
			}
		}
	}
	return names, away
}

func distinct(refs []plumbline.PeerRef) []plumbline.PeerRef {
	slices.SortStableFunc(refs, func(a, b plumbline.PeerRef) int {
		return cmp.Or(cmp.Compare(a.Project, b.Project), cmp.Compare(a.Service, b.Service))
	})
	return slices.CompactFunc(refs, func(a, b plumbline.PeerRef) bool {
		return a.Project == b.Project && a.Service == b.Service
	})
}
