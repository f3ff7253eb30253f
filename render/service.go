package render

import (
	"context"
	"maps"
	"slices"
	"strconv"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render/definition"
	"github.com/plumbline-dev/plumbline/render/deployment"
	"github.com/plumbline-dev/plumbline/render/istio"
	"github.com/plumbline-dev/plumbline/render/keda"
	"github.com/plumbline-dev/plumbline/render/knative"
	"github.com/plumbline-dev/plumbline/render/pod"
	"github.com/plumbline-dev/plumbline/render/secret"
)

// resolved is a service with the secrets that its versions name. Of what is
// defined twice it holds the first.
type resolved struct {
	*service
	versions []placed[definition.Version] // sorted by name, none twice
	routes   placed[definition.Routes]
	secrets  map[string]*definition.Secret // by id; those that are there
	sources  map[string]definition.Source
	pull     map[string]*definition.Plain // plain Secrets that can be pull secrets
	mode     Choice
}

// resolve looks up what a service refers to.
func (a *assembly) resolve(s *service) *resolved {
	out := &resolved{service: s, versions: slices.CompactFunc(slices.Clone(s.versions), func(x, y placed[definition.Version]) bool {
		return x.def.Name() == y.def.Name()
	})}
	if len(s.routes) > 0 {
		out.routes = s.routes[0]
	}
	for _, v := range out.versions {
		for _, id := range v.def.Secrets() {
			a.resolveSecret(out, id.Value)
		}
		for _, id := range v.def.ScalingSecrets() {
			a.resolveSecret(out, id.Value)
		}
	}
	return out
}

func (a *assembly) resolveSecret(s *resolved, id string) {
	if s.secrets == nil {
		s.secrets, s.sources, s.pull = map[string]*definition.Secret{}, map[string]definition.Source{}, map[string]*definition.Plain{}
	}
	if found := a.index.secrets[name{s.name.project, id}]; len(found) > 0 {
		s.secrets[id], s.sources[id] = found[0].def, found[0].src
		return
	}
	if found := a.index.plain[plumbline.Ref{Kind: "Secret", Namespace: s.name.project, Name: id}]; len(found) > 0 {
		s.pull[id] = found[0].def
	}
}

// inputs are all that the rendering of the service depends on.
func (s *resolved) inputs() []input {
	out := make([]input, 0, len(s.service.versions)+len(s.service.routes)+len(s.secrets)+len(s.pull))
	for _, v := range s.service.versions {
		out = append(out, input{v.def, v.src})
	}
	for _, r := range s.service.routes {
		out = append(out, input{r.def, r.src})
	}
	for _, id := range slices.Sorted(maps.Keys(s.secrets)) {
		out = append(out, input{s.secrets[id], s.sources[id]})
	}
	for _, id := range slices.Sorted(maps.Keys(s.pull)) {
		out = append(out, input{def: s.pull[id]})
	}
	return out
}

// service checks one service and renders it; before is the unit of the last
// time, if there was one.
func (p *pen) service(ctx context.Context, s *resolved, u, before *unit) error {
	first := s.versions[0]
	s.mode = ChooseMode(s.needs(p.opts.Knative.Features))
	u.service = &rendered{
		name: s.name,
		mode: ServiceMode{
			Project: s.name.project, Service: s.name.id, Mode: s.mode.Mode, Why: s.mode.Why,
			Origin: first.at(first.def.At),
		},
		peer:     s.peer(),
		peers:    s.peers(),
		answers:  s.answers(),
		versions: s.facts(),
	}
	c := serviceCheck{resolved: s, unit: u, keda: p.opts.KEDA}
	c.run()
	if len(plumbline.Errors(u.violations)) > 0 {
		return nil
	}
	u.objects = make([]*plumbline.Object, 0, 4+4*len(s.versions))
	b := builder{pen: p, resolved: s, unit: u, control: s.control()}
	if before != nil {
		b.judged = before.judged
	}
	b.common()
	switch s.mode.Mode {
	case plumbline.ModeDeployment:
		b.deployments()
	default:
		b.knative(ctx)
	}
	return b.err
}

// control is what the objects of the service as a whole are asked for: what
// any version asks for.
func (s *resolved) control() definition.Control {
	out := s.versions[0].def.Control
	for _, v := range s.versions[1:] {
		out = joinControl(out, v.def.Control)
	}
	return out
}

func joinControl(a, b definition.Control) definition.Control {
	a.KeepOnPrune = a.KeepOnPrune || b.KeepOnPrune
	a.ReportDrift = a.ReportDrift || b.ReportDrift
	a.Adopt = a.Adopt || b.Adopt
	a.WaveShift = max(a.WaveShift, b.WaveShift)
	return a
}

// builder renders the objects of one service.
type builder struct {
	*pen
	*resolved
	unit    *unit
	control definition.Control
	judged  []judgement // the last time
	err     error
}

func (b *builder) add(o kubeObject, at about) {
	if b.err != nil {
		return
	}
	at.project, at.service = b.name.project, b.name.id
	done, err := b.object(o, at)
	b.err = err
	b.unit.objects = append(b.unit.objects, done)
}

// whole is about an object of the service as a whole.
func (b *builder) whole() about {
	v := b.versions[0]
	return about{origin: v.src.At(v.def.At), control: b.control}
}

// traffic is about an object that the routes decide.
func (b *builder) traffic() about {
	w := b.whole()
	if r := b.routes; r.def != nil {
		w.origin, w.control = r.src.At(r.def.At), joinControl(w.control, r.def.Control)
	}
	return w
}

func version(v placed[definition.Version]) about {
	return about{origin: v.src.At(v.def.At), control: v.def.Control}
}

// common renders what a service has in every mode.
func (b *builder) common() {
	b.add(deployment.ServiceAccount(b.name.project, b.name.id), b.whole())
	for _, v := range b.versions {
		b.add(b.mesh.Sidecar(b.name.project, v.def.Name(), pod.Selector(v.def), v.def.Upstreams), version(v))
	}
}

func (b *builder) podInput(v *definition.Version) pod.Input {
	var used []*definition.Secret
	for _, id := range v.Secrets() {
		if s := b.secrets[id.Value]; s != nil && !slices.Contains(used, s) {
			used = append(used, s)
		}
	}
	return pod.Input{
		Version: v, Secrets: b.secrets, SecretsHash: secret.Hash(b.opts.HashKey, used),
		MetricsProxy: b.opts.Knative.MetricsProxyImage,
	}
}

// access calls policy for the service as a whole or, where whitelists differ,
// for every version.
func (b *builder) access(policy func(istio.Access, []placed[definition.Version])) {
	one := func(v placed[definition.Version]) istio.Access {
		return istio.Access{
			Namespace: b.name.project, Name: v.def.Name(), Selector: pod.Selector(v.def),
			Whitelist: v.def.Whitelist, Open: v.def.Open(),
		}
	}
	if b.sameWhitelists() {
		a := one(b.versions[0])
		a.Name, a.Selector = b.name.id, map[string]string{pod.LabelApp: b.name.id}
		policy(a, b.versions)
		return
	}
	for i, v := range b.versions {
		policy(one(v), b.versions[i:i+1])
	}
}

func (s *resolved) sameWhitelists() bool {
	first := s.versions[0].def.Whitelist
	for _, v := range s.versions[1:] {
		if !slices.EqualFunc(first, v.def.Whitelist, func(x, y definition.Peer) bool {
			return x.Project == y.Project && x.Service == y.Service
		}) {
			return false
		}
	}
	return true
}

func (b *builder) deployments() {
	for _, v := range b.versions {
		in := b.podInput(v.def)
		b.add(deployment.Deployment(in), version(v))
		b.scaled(v)
		if pdb := deployment.DisruptionBudget(v.def); pdb != nil {
			b.add(pdb, version(v))
		}
	}
	b.access(func(a istio.Access, versions []placed[definition.Version]) {
		var ports []int
		for _, v := range versions {
			for _, p := range portsOf(v.def) {
				ports = append(ports, p.Port)
			}
		}
		slices.Sort(ports)
		var numbers []string
		for _, p := range slices.Compact(ports) {
			numbers = append(numbers, strconv.Itoa(p))
		}
		b.add(b.mesh.DeploymentPolicy(a, numbers), b.policyAbout(versions))
	})
	b.reach(pod.Selector, func(p definition.Port) []deployment.Endpoint {
		return []deployment.Endpoint{{Name: p.Name, Protocol: p.Protocol, Port: p.Address, Target: p.Port}}
	})
}

// scaled renders what decides how many replicas a Deployment has.
func (b *builder) scaled(v placed[definition.Version]) {
	if v.def.Scale.NeedsKEDA() {
		object, auths := keda.Objects(v.def, b.opts.Prometheus)
		for _, a := range auths {
			at := version(v)
			at.control.WaveShift-- // before the ScaledObject that names it
			b.add(a, at)
		}
		b.add(object, version(v))
		return
	}
	if hpa := deployment.Autoscaler(v.def); hpa != nil {
		b.add(hpa, version(v))
	}
}

func (b *builder) policyAbout(versions []placed[definition.Version]) about {
	if len(versions) == len(b.versions) {
		return b.whole()
	}
	return version(versions[0])
}

func (b *builder) knative(ctx context.Context) {
	for _, v := range b.versions {
		ksvc := knative.Service(b.podInput(v.def), b.timeout(v.def))
		b.addKnative(ctx, ksvc, version(v), versionField{v, ksvc, b.secrets}.origin)
	}
	b.access(func(a istio.Access, versions []placed[definition.Version]) {
		b.add(b.mesh.KnativePolicy(a, b.scalesToZero()), b.policyAbout(versions))
		for _, v := range versions {
			if !b.guarded(v.def) {
				continue
			}
			at := version(v)
			at.system = true
			b.add(b.mesh.Guard(b.name.project, v.def.Name(), v.def.Whitelist), at)
		}
	})
	if b.mode.Mode == plumbline.ModeKnative {
		at := b.traffic()
		b.addKnative(ctx, knative.Route(b.name.project, b.name.id, b.shares()), at, func(string) plumbline.Origin { return at.origin })
		return
	}
	b.reach(knative.Selector, func(p definition.Port) []deployment.Endpoint {
		target := knative.PortHTTP
		if p.Protocol != definition.ProtocolHTTP {
			target = knative.PortH2C
		}
		out := []deployment.Endpoint{{Name: p.Name, Protocol: p.Protocol, Port: p.Address, Target: target}}
		if p.Address != 80 {
			also := "port-80"
			if p.Name == also {
				also = "also-80"
			}
			out = append(out, deployment.Endpoint{Name: also, Protocol: p.Protocol, Port: 80, Target: target})
		}
		return out
	})
}
