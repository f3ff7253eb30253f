package render

import (
	"fmt"
	"slices"
	"strings"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render/definition"
)

// checks finds what is wrong between services, and between objects.
func (a *assembly) checks(services []*service, known map[name]*rendered) {
	a.names(services)
	a.prefixes(services, known)
	a.calls(services, known)
	a.objectsTwice()
}

// names refuses names that are equal after joining: of services, their
// versions, and the Services of versions.
func (a *assembly) names(services []*service) {
	type owner struct {
		service *service
		at      plumbline.Origin
		what    string
	}
	taken := make(map[name]owner, 3*len(services))
	claim := func(id string, o owner) {
		k := name{o.service.name.project, id}
		first, ok := taken[k]
		if !ok {
			taken[k] = o
			return
		}
		if first.service != o.service {
			a.docs.violate(definition.CodeNameClash, o.at, first.at,
				fmt.Sprintf("%s and %s both need the name %q: rename one", first.what, o.what, id))
		}
	}
	for _, s := range services {
		v := s.versions[0]
		claim(s.name.id, owner{s, v.src.At(v.def.ID.At), "service " + s.name.id})
		for _, v := range s.versions {
			o := owner{s, v.src.At(v.def.ID.At), "version " + v.def.Version.Value + " of service " + s.name.id}
			claim(v.def.Name(), o)
			claim(v.def.Name()+"-internal", o)
		}
	}
}

// prefixes refuses guarded names that begin other names: a guard is for all
// names that begin with its own and '-'.
func (a *assembly) prefixes(services []*service, known map[name]*rendered) {
	type place struct {
		name name
		at   plumbline.Origin
	}
	var guarded []place
	for _, s := range services {
		r := known[s.name]
		if r == nil {
			continue
		}
		for _, v := range s.versions {
			if slices.Contains(r.guarded, v.def.Name()) {
				guarded = append(guarded, place{name{s.name.project, v.def.Name()}, v.src.At(v.def.Version.At)})
			}
		}
	}
	if len(guarded) == 0 {
		return
	}
	at := make(map[name]plumbline.Origin, len(guarded))
	for _, g := range guarded {
		at[g.name] = g.at
	}
	for _, s := range services {
		if r := known[s.name]; r == nil || r.mode.Mode == ModeDeployment {
			continue
		}
		for _, v := range s.versions {
			full := v.def.Name()
			for i := range len(full) {
				if full[i] != '-' {
					continue
				}
				if first, ok := at[name{s.name.project, full[:i]}]; ok {
					a.docs.violate(definition.CodeNamePrefix, v.src.At(v.def.Version.At), first, fmt.Sprintf(
						"the name %q begins with %q, which scales to zero: its guard would be for both; rename one", full, full[:i]))
				}
			}
		}
	}
}

// calls checks that the two sides of each call agree.
func (a *assembly) calls(services []*service, known map[name]*rendered) {
	for _, s := range services {
		r := known[s.name]
		if r == nil {
			continue
		}
		for _, u := range r.peer.Upstreams {
			a.call(known, u, "upstream", func(other *rendered) bool {
				return admits(other.peer.Whitelist, s.name)
			}, "does not have "+s.name.project+"/"+s.name.id+" in its whitelists: the call is refused")
		}
		for _, w := range r.peer.Whitelist {
			a.call(known, w, "whitelist", func(other *rendered) bool {
				return admits(other.peer.Upstreams, s.name)
			}, "does not have "+s.name.project+"/"+s.name.id+" among its upstreams")
		}
		for _, v := range s.versions {
			a.addresses(v, known)
		}
	}
}

func (a *assembly) call(known map[name]*rendered, to plumbline.PeerRef, list string, agrees func(*rendered) bool, otherwise string) {
	if to.Service == "*" || to.Project == "*" {
		return
	}
	k := name{to.Project, to.Service}
	other, ok := known[k]
	switch {
	case !ok && definition.IsSystemNamespace(to.Project):
	case !ok:
		a.docs.warn(definition.CodeUnknownCall, to.Origin, plumbline.Origin{},
			fmt.Sprintf("%s %s/%s: nobody defines this service%s", list, to.Project, to.Service, a.docs.hint(k)))
	case !agrees(other):
		a.docs.warn(definition.CodeOneSided, to.Origin, other.peer.Origin,
			fmt.Sprintf("%s %s/%s is declared on this side only: it %s", list, to.Project, to.Service, otherwise))
	}
}

// admits tells whether a list of peers includes a service.
func admits(peers []plumbline.PeerRef, n name) bool {
	return slices.ContainsFunc(peers, func(p plumbline.PeerRef) bool {
		return (p.Project == "*" || p.Project == n.project) && (p.Service == "*" || p.Service == n.id)
	})
}

// addresses warns of addresses in environment variables where the service is
// not called.
func (a *assembly) addresses(v placed[definition.Version], known map[name]*rendered) {
	for _, e := range v.def.Addresses {
		r, ok := known[name{e.Project, e.Service}]
		if !ok || slices.Contains(r.answers, e.Port) {
			continue
		}
		ways := fmt.Sprintf("call it on %s, or declare port %d in its definition", strings.Trim(fmt.Sprint(r.answers), "[]"), e.Port)
		if r.mode.Mode == ModeKnative {
			ways = fmt.Sprintf("call it on port 80, or declare servicePort %d and minReplicas 1 in its definition", e.Port)
		}
		a.docs.warn(definition.CodeEnvAddress, v.src.At(e.At), r.peer.Origin,
			fmt.Sprintf("%s/%s does not answer on port %d: %s", e.Project, e.Service, e.Port, ways))
	}
}

// objectsTwice refuses plain objects that are there twice, or that Plumbline
// renders itself. Rendered objects cannot meet: their names cannot.
func (a *assembly) objectsTwice() {
	if len(a.docs.plain) == 0 {
		return
	}
	plain := make(map[plumbline.Ref]plumbline.Origin, len(a.docs.plain))
	for _, p := range a.docs.plain {
		at := p.src.At(p.def.At)
		if first, ok := plain[p.def.Ref]; ok {
			a.docs.violate(definition.CodeDuplicateObject, at, first, p.def.Ref.String()+" is defined twice: remove one")
			continue
		}
		plain[p.def.Ref] = at
	}
	for _, u := range a.list {
		if u.plain {
			continue
		}
		for _, o := range u.objects {
			if at, ok := plain[o.Ref]; ok {
				a.docs.violate(definition.CodeDuplicateObject, at, o.Origin, o.Ref.String()+" is rendered from a definition too: remove one")
			}
		}
	}
}
