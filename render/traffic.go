package render

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render/definition"
	"github.com/plumbline-dev/plumbline/render/deployment"
	"github.com/plumbline-dev/plumbline/render/istio"
	"github.com/plumbline-dev/plumbline/render/knative"
	"github.com/plumbline-dev/plumbline/render/pod"
)

// percent turns weights into whole percents that add up to 100: the rest that
// rounding leaves goes to the largest remainders, the first of equal ones.
func percent(weights []int) []int {
	sum := 0
	for _, w := range weights {
		sum += w
	}
	out := make([]int, len(weights))
	if sum == 0 {
		return out
	}
	order := make([]int, len(weights))
	left := 100
	for i, w := range weights {
		order[i] = i
		out[i] = w * 100 / sum
		left -= out[i]
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(weights[b]*100%sum, weights[a]*100%sum)
	})
	for _, i := range order[:left] {
		out[i]++
	}
	return out
}

// shares is the traffic of a Knative Route. Versions without traffic are not
// in it.
func (b *builder) shares() []knative.Share {
	if b.routes.def == nil {
		return []knative.Share{{Name: b.versions[0].def.Name(), Percent: 100}}
	}
	targets := b.routes.def.Routes[0].Targets
	var out []knative.Share
	for i, p := range percent(weights(targets)) {
		out = append(out, knative.Share{Name: definition.Join(b.name.id, targets[i].Version.Value), Percent: p})
	}
	slices.SortFunc(out, func(a, c knative.Share) int { return cmp.Compare(a.Name, c.Name) })
	return out
}

func weights(targets []definition.Target) []int {
	out := make([]int, len(targets))
	for i, t := range targets {
		out[i] = t.Weight
	}
	return out
}

// reach renders the Services by which a service and each version of it are
// reached, and the VirtualService that shares calls out. A service without
// ports is not reached. The pods of a version are those that pods selects.
func (b *builder) reach(pods func(*definition.Version) map[string]string, endpoints func(definition.Port) []deployment.Endpoint) {
	var all []deployment.Endpoint
	for _, v := range b.versions {
		var own []deployment.Endpoint
		for _, p := range portsOf(v.def) {
			own = append(own, endpoints(p)...)
		}
		if len(own) == 0 {
			continue
		}
		b.add(deployment.Service(b.name.project, deployment.Internal(v.def), pod.Selector(v.def), pods(v.def), own), version(v))
		for _, e := range own {
			all = appendEndpoint(all, e)
		}
	}
	if len(all) == 0 {
		return
	}
	labels, selector := map[string]string{pod.LabelApp: b.name.id}, map[string]string{pod.LabelApp: b.name.id}
	if len(b.versions) == 1 {
		selector = pods(b.versions[0].def)
		delete(selector, pod.LabelVersion)
	}
	b.add(deployment.Service(b.name.project, b.name.id, labels, selector, all), b.whole())
	b.externals()
	b.add(istio.VirtualService(b.name.project, b.name.id, b.splits(all)), b.traffic())
}

// externals renders the hosts outside of the cluster that the routes name.
func (b *builder) externals() {
	if b.routes.def == nil {
		return
	}
	seen := map[istio.External]bool{}
	for _, r := range b.routes.def.Routes {
		for _, t := range r.Targets {
			e := b.external(r, t)
			if !t.External() || istio.InCluster(t.Host.Value) || seen[e] {
				continue
			}
			seen[e] = true
			b.add(e.ServiceEntry(), b.traffic())
			if rule := e.DestinationRule(); rule != nil {
				at := b.traffic()
				at.control.WaveShift-- // before the VirtualService: never a call without TLS
				b.add(rule, at)
			}
		}
	}
}

// external is what an external target stands for.
func (s *resolved) external(r definition.Route, t definition.Target) istio.External {
	e := istio.External{
		Namespace: s.name.project, Service: s.name.id, Address: t.Host.Value, Port: t.Port, TLS: t.TLS,
		Protocol: definition.ProtocolHTTP,
	}
	for _, v := range s.versions {
		for _, p := range portsOf(v.def) {
			if p.Address == r.Port || s.mode.Mode == plumbline.ModeKnativeDirect {
				e.Protocol = p.Protocol
			}
		}
	}
	if e.Port == 0 {
		e.Port = istio.DefaultPort(t.TLS)
		if r.TCP {
			e.Port = r.Port
		}
	}
	return e
}

// appendEndpoint adds a port of another version to those of the service, under
// a name of its own.
func appendEndpoint(all []deployment.Endpoint, e deployment.Endpoint) []deployment.Endpoint {
	for _, o := range all {
		switch {
		case o.Port == e.Port:
			return all
		case o.Name == e.Name:
			e.Name = string(e.Protocol) + "-" + strconv.Itoa(e.Port)
		}
	}
	return append(all, e)
}

// splits is the traffic of every port on which the service is called.
func (b *builder) splits(all []deployment.Endpoint) []istio.Split {
	var out []istio.Split
	if b.routes.def == nil {
		for _, e := range all {
			s := newSplit(e.Port, e.Protocol == definition.ProtocolTCP)
			s.Shares = []istio.Share{b.share(b.versions[0].def.Name(), e.Port, 100)}
			out = append(out, s)
		}
		return out
	}
	covered := map[int]bool{}
	for _, r := range b.routes.def.Routes {
		covered[r.Port] = true
		out = append(out, b.split(r, r.Port))
	}
	if b.mode.Mode != plumbline.ModeKnativeDirect {
		return out
	}
	// The one port of the pods is called on port 80 and on the declared one: where
	// the routes are for one of them, the other answers as it does.
	for _, e := range all {
		for _, r := range b.routes.def.Routes {
			if !covered[e.Port] && r.Port == b.routes.def.Routes[0].Port {
				out = append(out, b.split(r, e.Port))
			}
		}
	}
	return out
}

// timeout is the longest time, in seconds, that a route gives a version; 0
// where none says so.
func (b *builder) timeout(v *definition.Version) int {
	longest := 0
	if b.routes.def == nil {
		return longest
	}
	for _, r := range b.routes.def.Routes {
		if slices.ContainsFunc(r.Targets, func(t definition.Target) bool {
			return !t.External() && definition.Slug(t.Version.Value) == definition.Slug(v.Version.Value)
		}) {
			longest = max(longest, r.TimeoutSeconds)
		}
	}
	return longest
}

func (b *builder) split(r definition.Route, port int) istio.Split {
	s := newSplit(port, r.TCP)
	s.Matchers = r.Matchers
	if r.Retries > 0 {
		s.Retries = r.Retries
	}
	if r.TimeoutSeconds > 0 {
		s.TimeoutSeconds = r.TimeoutSeconds
	}
	for i, p := range percent(weights(r.Targets)) {
		t := r.Targets[i]
		if t.External() {
			s.Shares = append(s.Shares, b.away(r, t, p))
			continue
		}
		to := r.Port
		if t.Port != 0 {
			to = t.Port
		}
		s.Shares = append(s.Shares, b.share(definition.Join(b.name.id, t.Version.Value), to, p))
	}
	return s
}

// away is the share of a host that is not of the service.
func (b *builder) away(r definition.Route, t definition.Target, weight int) istio.Share {
	e := b.external(r, t)
	if !istio.InCluster(e.Address) {
		return e.Share(weight)
	}
	s := istio.Share{Host: e.Address, Port: uint32(e.Port), Weight: weight} //nolint:gosec // 1 to 65535
	if !r.TCP {
		s.Authority = e.Address
	}
	return s
}

func newSplit(port int, tcp bool) istio.Split {
	return istio.Split{
		Port: uint32(port), TCP: tcp, //nolint:gosec // 1 to 65535
		Retries: definition.DefaultRetries, TimeoutSeconds: definition.DefaultTimeoutSeconds,
	}
}

func (b *builder) share(name string, port, weight int) istio.Share {
	return istio.Share{Host: istio.Host(b.name.project, name+"-internal"), Port: uint32(port), Weight: weight} //nolint:gosec // 1 to 65535
}

// portsOf are the ports of all tasks, in their order.
func portsOf(v *definition.Version) []definition.Port {
	var out []definition.Port
	for i := range v.Tasks {
		out = append(out, v.Tasks[i].Ports...)
	}
	return out
}
