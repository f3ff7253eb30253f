package render

import (
	"fmt"
	"slices"
	"strings"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render/definition"
)

// check finds what is wrong between services, and between objects.
type check struct {
	index      *index
	services   []*rendered // sorted
	known      map[name]*rendered
	violations []plumbline.Violation
}

func (c *check) run(all *units) {
	c.orphanRoutes()
	c.orphanRoles()
	c.missingSecrets()
	c.names()
	c.generated()
	c.virtual()
	c.prefixes()
	c.calls()
	c.objectsTwice(all)
}

func (c *check) add(sev plumbline.Severity, code string, at plumbline.Origin, message string, related ...plumbline.Origin) {
	c.violations = append(c.violations, plumbline.Violation{Code: code, Severity: sev, Origin: at, Message: message, Related: related})
}

// orphanRoutes refuses routes of services that are not there.
func (c *check) orphanRoutes() {
	for k, s := range c.index.services {
		if len(s.versions) > 0 {
			continue
		}
		for _, r := range s.routes {
			c.add(plumbline.SeverityError, definition.CodeRouteService, r.at(r.def.ID.At),
				"routes of service "+k.id+" in project "+k.project+", which nobody defines"+c.index.hint(k))
		}
	}
}

// orphanRoles refuses roles of services that are not there.
func (c *check) orphanRoles() {
	for k, list := range c.index.roles {
		for _, r := range list {
			of := name{k.project, r.def.Service.Value}
			if s := c.index.services[of]; s == nil || len(s.versions) == 0 {
				c.add(plumbline.SeverityError, definition.CodeRoleService, r.at(r.def.Service.At),
					"role "+k.id+" is for service "+of.id+" in project "+of.project+", which nobody defines"+c.index.hint(of))
			}
		}
	}
}

// missingSecrets refuses secrets that nobody defines.
func (c *check) missingSecrets() {
	if c.index.hidden > 0 {
		return // they may be in a document that cannot be read
	}
	for _, s := range c.services {
		for _, m := range s.missing {
			c.add(plumbline.SeverityError, definition.CodeUnknownSecret, m.at,
				"secret "+m.id+": nobody defines it in project "+s.name.project+c.index.secretHint(name{s.name.project, m.id}))
		}
	}
}

// generated refuses names that Knative gives the Services of a version's
// revisions.
func (c *check) generated() {
	made := make(map[name]renderedVersion)
	for _, s := range c.services {
		if s.mode.Mode == plumbline.ModeDeployment {
			continue
		}
		for _, v := range s.versions {
			made[name{s.name.project, v.name}] = v
		}
	}
	for _, s := range c.services {
		refuse := func(id string, at plumbline.Origin) {
			v, ok := made[name{s.name.project, revisionOf(id)}]
			if ok {
				c.add(plumbline.SeverityError, definition.CodeNameClash, at,
					fmt.Sprintf("the name %q is one that Knative gives a revision of %s: rename one", id, v.name), v.id)
			}
		}
		refuse(s.name.id, s.versions[0].id)
		for _, v := range s.versions {
			refuse(v.name, v.at)
		}
	}
}

// virtual refuses names that Knative gives the VirtualServices of its Routes: one
// for each version, and in mode knative that of the service.
func (c *check) virtual() {
	type owner struct {
		route string
		at    plumbline.Origin
	}
	made := make(map[name]owner)
	add := func(project, route string, at plumbline.Origin) {
		for _, suffix := range []string{"-mesh", "-ingress"} {
			made[name{project, route + suffix}] = owner{route, at}
		}
	}
	for _, s := range c.services {
		if s.mode.Mode == plumbline.ModeDeployment {
			continue
		}
		if s.mode.Mode == plumbline.ModeKnative {
			add(s.name.project, s.name.id, s.versions[0].id)
		}
		for _, v := range s.versions {
			add(s.name.project, v.name, v.id)
		}
	}
	for _, s := range c.services {
		first, ok := made[s.name]
		if ok && s.mode.Mode != plumbline.ModeKnative && len(s.answers) > 0 {
			c.add(plumbline.SeverityError, definition.CodeNameClash, s.versions[0].id,
				fmt.Sprintf("the name %q is one that Knative gives a VirtualService of %s: rename one", s.name.id, first.route), first.at)
		}
	}
}

// revisionOf is the Knative Service that a name would be a revision of, as
// "web-v1" of "web-v1-00001" and "web-v1-00001-private"; "" for other names.
func revisionOf(id string) string {
	id = strings.TrimSuffix(id, "-private")
	i := strings.LastIndexByte(id, '-')
	if i < 0 || len(id)-i-1 < 5 || strings.Trim(id[i+1:], "0123456789") != "" {
		return ""
	}
	return id[:i]
}

// names refuses names that are equal after joining: of services, their
// versions, and the Services of versions.
func (c *check) names() {
	type owner struct {
		service *rendered
		version string // "" for the service itself
		at      plumbline.Origin
	}
	what := func(o owner) string {
		if o.version == "" {
			return "service " + o.service.name.id
		}
		return "version " + o.version + " of service " + o.service.name.id
	}
	taken := make(map[name]owner, 3*len(c.services))
	claim := func(id string, o owner) bool {
		k := name{o.service.name.project, id}
		first, ok := taken[k]
		switch {
		case !ok:
			taken[k] = o
			return true
		case first.service != o.service:
			c.add(plumbline.SeverityError, definition.CodeNameClash, o.at,
				fmt.Sprintf("%s and %s both need the name %q: rename one", what(first), what(o), id), first.at)
		}
		return false
	}
	for _, s := range c.services {
		claim(s.name.id, owner{s, "", s.versions[0].id})
		for _, v := range s.versions {
			o := owner{s, v.version, v.id}
			_ = claim(v.name, o) && claim(v.name+"-internal", o)
		}
	}
}

// prefixes refuses guarded names that begin other names: a guard is for all
// names that begin with its own and '-'.
func (c *check) prefixes() {
	guarded := map[name]plumbline.Origin{}
	for _, s := range c.services {
		for _, v := range s.versions {
			if v.guarded {
				guarded[name{s.name.project, v.name}] = v.at
			}
		}
	}
	if len(guarded) == 0 {
		return
	}
	for _, s := range c.services {
		if s.mode.Mode == plumbline.ModeDeployment {
			continue
		}
		for _, v := range s.versions {
			for i := range len(v.name) {
				if v.name[i] != '-' {
					continue
				}
				if first, ok := guarded[name{s.name.project, v.name[:i]}]; ok {
					c.add(plumbline.SeverityError, definition.CodeNamePrefix, v.at, fmt.Sprintf(
						"the name %q begins with %q, which scales to zero: its guard would be for both; rename one", v.name, v.name[:i]), first)
				}
			}
		}
	}
}

// calls checks that the two sides of each call agree.
func (c *check) calls() {
	for _, s := range c.services {
		own := s.name.project + "/" + s.name.id
		for _, u := range s.peer.Upstreams {
			c.call(u, "upstream", func(other *rendered) bool { return admits(other.peer.Whitelist, s.name) },
				"it does not have "+own+" in its whitelists, so the call is refused; add it there, or remove it here")
		}
		for _, w := range s.peer.Whitelist {
			c.call(w, "whitelist", func(other *rendered) bool { return admits(other.peer.Upstreams, s.name) },
				"it does not have "+own+" among its upstreams, so it is not meant to call; add it there, or remove it here")
		}
		for _, v := range s.versions {
			c.addresses(v)
		}
	}
}

func (c *check) call(to plumbline.PeerRef, list string, agrees func(*rendered) bool, otherwise string) {
	if to.Service == "*" || to.Project == "*" || definition.IsSystemNamespace(to.Project) {
		return
	}
	k := name{to.Project, to.Service}
	other, ok := c.known[k]
	switch {
	case !ok:
		c.add(plumbline.SeverityWarning, definition.CodeUnknownCall, to.Origin,
			fmt.Sprintf("%s %s/%s: nobody defines this service%s", list, to.Project, to.Service, c.index.hint(k)))
	case !agrees(other):
		c.add(plumbline.SeverityWarning, definition.CodeOneSided, to.Origin,
			fmt.Sprintf("%s %s/%s is declared on this side only: %s", list, to.Project, to.Service, otherwise), other.peer.Origin)
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
func (c *check) addresses(v renderedVersion) {
	for _, e := range v.addresses {
		r, ok := c.known[e.to]
		if !ok || slices.Contains(r.answers, e.port) {
			continue
		}
		ways := fmt.Sprintf("declare port %d in its definition", e.port)
		switch {
		case r.mode.Mode == plumbline.ModeKnative:
			ways = fmt.Sprintf("call it on port 80, or declare servicePort %d and minReplicas 1 in its definition", e.port)
		case len(r.answers) > 0:
			ways = fmt.Sprintf("call it on %s, or %s", strings.Trim(fmt.Sprint(r.answers), "[]"), ways)
		}
		c.add(plumbline.SeverityWarning, definition.CodeEnvAddress, e.at,
			fmt.Sprintf("%s/%s does not answer on port %d: %s", e.to.project, e.to.id, e.port, ways), r.peer.Origin)
	}
}

// objectsTwice refuses plain objects that Plumbline renders itself. Rendered
// objects cannot meet: their names cannot.
func (c *check) objectsTwice(all *units) {
	all.objects.settle()
	for ref := range all.objects.twice {
		for _, p := range c.index.plain[ref] {
			for _, o := range all.objects.of(ref) {
				if !slices.Contains(all.byKey[unitKey{kind: "plain", ref: ref}].objects, o) {
					c.add(plumbline.SeverityError, definition.CodeDuplicateObject, p.at(p.def.At),
						ref.String()+" is rendered from a definition too: remove one", o.Origin)
				}
			}
		}
	}
}
