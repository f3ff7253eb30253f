package definition

import (
	"math"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Space Cloud's values where a route says nothing. A route that spells them
// out says nothing either: exports always do.
const (
	DefaultRetries        = 3
	DefaultTimeoutSeconds = 180
)

// routes reads the routes of a service.
func (r *reader) routes(e envelope) *Routes {
	out := &Routes{Project: e.project, ID: e.id, Control: e.control, At: e.at}
	known := []string{"routes"}
	if r.form == FormSpaceCloud {
		known = append(known, "id", "project", "projectId")
	}
	r.mapping(e.spec, "the routes", known, func(k, n *yaml.Node) bool {
		switch k.Value {
		case "routes":
			r.list(n, "routes", func(n *yaml.Node) { out.Routes = append(out.Routes, r.route(n)) })
		case "id", "project", "projectId":
			return r.form == FormSpaceCloud
		default:
			return false
		}
		return true
	})
	if len(out.Routes) == 0 {
		r.errorf(CodeMissing, e.at, "the document needs routes: at least one")
	}
	ok := r.projectName(out.Project)
	if !r.serviceName(out.ID, "the service id") || !ok {
		return nil
	}
	return out
}

func (r *reader) route(n *yaml.Node) Route {
	out := Route{At: posOf(n)}
	known := []string{"source", "targets", "requestRetries", "requestTimeout", "matchers"}
	if r.form == FormSpaceCloud {
		known = append(known, "id")
	}
	r.mapping(n, "a route", known, func(k, v *yaml.Node) bool {
		switch k.Value {
		case "id":
			return r.form == FormSpaceCloud
		case "source":
			r.routeSource(v, &out)
		case "targets":
			r.list(v, "targets", func(n *yaml.Node) { r.routeTarget(n, &out) })
		case "requestRetries":
			out.Retries, _ = r.number(v, "requestRetries", 0, 100)
		case "requestTimeout":
			out.TimeoutSeconds, _ = r.number(v, "requestTimeout (seconds)", 0, 24*3600)
		case "matchers":
			r.matchers(v, &out)
		default:
			return false
		}
		return true
	})
	if out.Retries == DefaultRetries {
		out.Retries = 0
	}
	if out.TimeoutSeconds == DefaultTimeoutSeconds {
		out.TimeoutSeconds = 0
	}
	r.routeComplete(n, &out)
	return out
}

func (r *reader) routeSource(n *yaml.Node, out *Route) {
	known := []string{"protocol", "port"}
	if r.form == FormSpaceCloud { // the ingress model's fields, without effect here
		known = append(known, "hosts", "methods", "url", "rewrite", "type")
	}
	r.mapping(n, "source", known, func(k, v *yaml.Node) bool {
		switch k.Value {
		case "port":
			out.Port, _ = r.number(v, "source.port", 1, 65535)
			out.At = posOf(v)
		case "protocol":
			switch t := r.text(v, "source.protocol"); r.folded(t.Value) {
			case "", "http":
			case "tcp":
				out.TCP = true
			default:
				r.unknownValue(t, "source.protocol", "http", "tcp")
			}
		case "hosts", "methods", "url", "rewrite":
			if contains(known, k.Value) && !isEmpty(v) && (v.Kind != yaml.ScalarNode || v.Value != "") {
				r.warnf(CodeIgnored, posOf(k), "source.%s is for the gateway's routes, and has no effect here: calls are matched by matchers", k.Value)
			}
			return contains(known, k.Value)
		default:
			return contains(known, k.Value)
		}
		return true
	})
}

func (r *reader) routeTarget(n *yaml.Node, out *Route) {
	t := Target{At: posOf(n)}
	kind, scheme := Text{Value: "version"}, Text{}
	if !r.mapping(n, "a target", []string{"type", "version", "host", "scheme", "port", "weight"}, func(k, v *yaml.Node) bool {
		switch k.Value {
		case "type":
			kind = r.text(v, "the target's type")
		case "version":
			t.Version = r.text(v, "the target's version")
		case "host":
			t.Host = r.text(v, "the target's host")
		case "scheme":
			scheme = r.text(v, "the target's scheme")
		case "port":
			t.Port, _ = r.number(v, "the target's port", 0, 65535)
		case "weight":
			r.weight(v, &t)
		default:
			return false
		}
		return true
	}) {
		return
	}
	ok := false
	switch k := r.folded(kind.Value); {
	case k == "external":
		ok = r.externalTarget(&t, scheme)
	case k == "version", k == "internal" && r.form == FormSpaceCloud:
		if k == "internal" {
			r.export.note(Repaired, kind.At, "the target type internal is version")
		}
		ok = r.versionTarget(&t)
	default:
		r.unknownValue(kind, "target type", "version", "external")
	}
	if !ok {
		return
	}
	if slices.ContainsFunc(out.Targets, func(o Target) bool {
		return o.Version.Value == t.Version.Value && o.Host.Value == t.Host.Value && o.Port == t.Port
	}) {
		if t.External() {
			r.errorf(CodeRouteTargets, t.Host.At, "host %q is a target of this route twice: add up the weights", t.Host.Value)
		} else {
			r.errorf(CodeRouteTargets, t.Version.At, "version %q is a target of this route twice: add up the weights", t.Version.Value)
		}
		return
	}
	out.Targets = append(out.Targets, t)
}

// versionTarget leaves out what a target of the other type has.
func (r *reader) versionTarget(t *Target) bool {
	if t.Version.Value == "" {
		r.errorf(CodeMissing, t.At, "a target needs version")
		return false
	}
	if t.Host.Value != "" && r.form == FormPlumbline {
		r.errorf(CodeRouteTargets, t.Host.At, "host is for targets of type external: remove it, or write type: external")
		return false
	}
	t.Host = Text{}
	return true
}

// externalTarget reads how a host outside is called.
func (r *reader) externalTarget(t *Target, scheme Text) bool {
	if t.Version.Value != "" && r.form == FormPlumbline {
		r.errorf(CodeRouteTargets, t.Version.At, "version is for targets of type version: remove it")
		return false
	}
	t.Version = Text{}
	switch {
	case t.Host.Value == "":
		r.errorf(CodeMissing, t.At, "a target of type external needs host")
		return false
	case !isSubdomain(t.Host.Value):
		r.badName(t.Host, "the target's host", "a host name without scheme, port and path")
		return false
	}
	switch r.folded(scheme.Value) {
	case "", "http":
	case "https":
		t.TLS = true
	default:
		r.unknownValue(scheme, "target scheme", "http", "https")
	}
	return true
}

func (r *reader) weight(v *yaml.Node, t *Target) {
	n, ok := r.number(v, "weight", math.MinInt32, math.MaxInt32)
	switch {
	case !ok:
	case n < 0:
		r.errorf(CodeWeights, posOf(v), "weight is %d: expected a number from 0", n)
	default:
		t.Weight = n
	}
}

// routeComplete checks what only the whole route tells.
func (r *reader) routeComplete(n *yaml.Node, out *Route) {
	if get(get(n, "source"), "port") == nil {
		r.errorf(CodeMissing, posOf(n), "a route needs source.port: the port on which the service is called")
	}
	if out.TCP && len(out.Matchers) > 0 {
		r.warnf(CodeIgnored, out.Matchers[0].At, "matchers have no effect on a tcp route: they read HTTP")
		out.Matchers = nil
	}
	if out.TCP && (out.Retries > 0 || out.TimeoutSeconds > 0) {
		r.warnf(CodeIgnored, out.At, "requestRetries and requestTimeout have no effect on a tcp route: they are of HTTP calls")
	}
	targets := get(n, "targets")
	if targets == nil || isEmpty(targets) {
		r.errorf(CodeRouteTargets, posOf(n), "a route needs targets: at least one version")
		return
	}
	if len(out.Targets) == 0 {
		return
	}
	sum := 0
	for _, t := range out.Targets {
		sum += t.Weight
	}
	switch {
	case sum == 0 && len(out.Targets) == 1:
		out.Targets[0].Weight = 100
	case sum == 0 && len(out.Targets) == len(targets.Content):
		r.errorf(CodeWeights, out.At, "all weights are 0: no call could be routed")
	}
}
