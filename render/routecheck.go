package render

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render/definition"
	"github.com/plumbline-dev/plumbline/render/istio"
	"github.com/plumbline-dev/plumbline/render/knative"
)

// routesOf checks the routes of a service against its versions.
func (c *serviceCheck) routesOf() {
	r := c.routes
	if r.def == nil {
		if len(c.versions) > 1 {
			c.noRoutes()
		}
		return
	}
	all := map[int]definition.Pos{} // by port, where all its calls are taken
	for _, route := range r.def.Routes {
		if route.Port == 0 {
			continue
		}
		if first, ok := all[route.Port]; ok {
			c.unit.violate(definition.CodeUnreachableRoute, r.src.At(route.At), fmt.Sprintf(
				"no call gets to this route: one before it takes all calls of %s on port %d; put it first and give it matchers, or join the two", c.name.id, route.Port))
			c.relate(r.src.At(first))
		} else if len(route.Matchers) == 0 {
			all[route.Port] = route.At
		}
		c.routePort(route)
		c.timeout(route)
		for _, t := range route.Targets {
			if t.External() {
				c.externalTarget(route, t)
			} else {
				c.routeTarget(route, t)
			}
		}
	}
	c.unmatched(all)
	c.unrouted()
}

// unmatched warns of calls that no route takes, for want of one without
// matchers; all are the ports that have one.
func (c *serviceCheck) unmatched(all map[int]definition.Pos) {
	last := map[int]definition.Route{}
	for _, route := range c.routes.def.Routes {
		last[route.Port] = route
	}
	for _, port := range slices.Sorted(maps.Keys(last)) {
		if _, ok := all[port]; !ok && port != 0 {
			c.unit.warn(definition.CodeUnmatchedCalls, c.routes.src.At(last[port].At), fmt.Sprintf(
				"calls of %s on port %d that no matcher takes are answered with 404: end with a route for it without matchers", c.name.id, port))
		}
	}
}

// timeout checks that Knative waits as long as the route does.
func (c *serviceCheck) timeout(route definition.Route) {
	if c.mode.Mode != plumbline.ModeKnativeDirect || route.TimeoutSeconds <= knative.MaxTimeout {
		return
	}
	if slices.ContainsFunc(route.Targets, func(t definition.Target) bool { return !t.External() }) {
		c.unit.violate(definition.CodeRouteTimeout, c.routes.src.At(route.At), fmt.Sprintf(
			"requestTimeout is %d; Knative ends a call after %d seconds: ask for less, or have the caller come back for the answer", route.TimeoutSeconds, knative.MaxTimeout))
	}
}

// maxExternalName is the longest name of a host in the mesh.
const maxExternalName = 253

// externalTarget checks that the mesh can be told of a host.
func (c *serviceCheck) externalTarget(route definition.Route, t definition.Target) {
	at := c.routes.src.At(t.Host.At)
	if istio.InCluster(t.Host.Value) {
		if t.TLS {
			c.unit.violate(definition.CodeRouteTargets, at, fmt.Sprintf("%s is a Service of the cluster, which the mesh calls over TLS of its own: remove scheme: https", t.Host.Value))
		}
		return
	}
	if n := len(c.external(route, t).Host()); n > maxExternalName {
		c.unit.violate(definition.CodeRouteTargets, at, fmt.Sprintf("host %s is too long: with %s and %s its name in the mesh has %d characters; the limit is %d",
			t.Host.Value, c.name.id, c.name.project, n, maxExternalName))
	}
}

// noRoutes shows the document that is missing.
func (c *serviceCheck) noRoutes() {
	v := c.versions[len(c.versions)-1]
	routes := c.shownRoutes(func(int) bool { return true })
	if routes == "" {
		return // nothing to route
	}
	c.unit.violate(definition.CodeNoRoutes, v.src.At(v.def.Version.At), fmt.Sprintf(
		"service %s has %d versions and no routes; write a document such as\napiVersion: plumbline.dev/v1\nkind: ServiceRoutes\nmetadata: {name: %s, namespace: %s}\nspec:\n  routes:\n%s",
		c.name.id, len(c.versions), c.name.id, c.name.project, routes))
	for _, v := range c.versions[:len(c.versions)-1] {
		c.relate(v.src.At(v.def.Version.At))
	}
}

// unrouted refuses ports of several versions for which there is no route: all
// versions would get calls, those without a share as well. In front of Knative's
// pods, which have one port, the routes are for all of its numbers.
func (c *serviceCheck) unrouted() {
	if len(c.versions) < 2 || c.mode.Mode != plumbline.ModeDeployment {
		return
	}
	routes := c.shownRoutes(func(port int) bool {
		return !slices.ContainsFunc(c.routes.def.Routes, func(r definition.Route) bool { return r.Port == port })
	})
	if routes != "" {
		c.unit.violate(definition.CodeNoRoutes, c.routes.src.At(c.routes.def.ID.At), fmt.Sprintf(
			"service %s has %d versions, and ports that no route is for; add to its routes, as\n%s", c.name.id, len(c.versions), routes))
	}
}

// shownRoutes are routes to show, one for every port that want wants, which all
// lead to the first version that has it.
func (c *serviceCheck) shownRoutes(want func(port int) bool) string {
	var b strings.Builder
	seen := map[int]bool{}
	for _, v := range c.versions {
		for _, p := range portsOf(v.def) {
			if seen[p.Address] || !want(p.Address) {
				continue
			}
			seen[p.Address] = true
			protocol := ""
			if p.Protocol == definition.ProtocolTCP {
				protocol = ", protocol: tcp"
			}
			fmt.Fprintf(&b, "  - source: {port: %d%s}\n    targets:\n", p.Address, protocol)
			weight := 100
			for _, v := range c.versions {
				if slices.ContainsFunc(portsOf(v.def), func(o definition.Port) bool { return o.Address == p.Address }) {
					fmt.Fprintf(&b, "    - {version: %q, weight: %d}\n", v.def.Version.Value, weight)
					weight = 0
				}
			}
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// routePort checks that the service is called on a route's port.
func (c *serviceCheck) routePort(route definition.Route) {
	ports := c.callable()
	p, ok := ports[route.Port]
	at := c.routes.src.At(route.At)
	switch {
	case len(ports) == 0:
		c.unit.violate(definition.CodeRoutePort, at, fmt.Sprintf("%s is not called on port %d: no task of it has a port", c.name.id, route.Port))
	case !ok:
		c.unit.violate(definition.CodeRoutePort, at, fmt.Sprintf("%s is not called on port %d; its ports are %s", c.name.id, route.Port, list(ports)))
	case route.TCP != (p == definition.ProtocolTCP):
		c.unit.violate(definition.CodeRoutePort, at, fmt.Sprintf("port %d of %s speaks %s: the route's source.protocol says otherwise", route.Port, c.name.id, p))
	}
}

// callable are the ports that the versions declare; port 80 too, where Knative
// answers.
func (c *serviceCheck) callable() map[int]definition.Protocol {
	ports := map[int]definition.Protocol{}
	for _, v := range c.versions {
		for _, p := range portsOf(v.def) {
			ports[p.Address] = p.Protocol
			if _, ok := ports[80]; !ok && c.mode.Mode != plumbline.ModeDeployment {
				ports[80] = p.Protocol
			}
		}
	}
	return ports
}

func list(ports map[int]definition.Protocol) string {
	var numbers []int
	for p := range ports {
		numbers = append(numbers, p)
	}
	slices.Sort(numbers)
	return strings.Trim(fmt.Sprint(numbers), "[]")
}

func (c *serviceCheck) routeTarget(route definition.Route, t definition.Target) {
	at := c.routes.src.At(t.Version.At)
	var versions []string
	for _, v := range c.versions {
		versions = append(versions, v.def.Version.Value)
		if definition.Slug(v.def.Version.Value) != definition.Slug(t.Version.Value) {
			continue
		}
		to := route.Port
		if t.Port != 0 {
			to = t.Port
		}
		ports := portsOf(v.def)
		answers80 := to == 80 && c.mode.Mode != plumbline.ModeDeployment
		if !answers80 && !slices.ContainsFunc(ports, func(p definition.Port) bool { return p.Address == to }) {
			c.unit.violate(definition.CodeRoutePort, at, fmt.Sprintf("version %s of %s is not called on port %d", t.Version.Value, c.name.id, to))
		}
		return
	}
	c.unit.violate(definition.CodeRouteVersion, at, fmt.Sprintf("version %s of %s: nobody defines it; there is %s", t.Version.Value, c.name.id, strings.Join(versions, ", ")))
}
