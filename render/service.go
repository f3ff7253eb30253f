package render

import (
	"maps"
	"slices"
	"strconv"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render/definition"
	"github.com/plumbline-dev/plumbline/render/deployment"
	"github.com/plumbline-dev/plumbline/render/istio"
	"github.com/plumbline-dev/plumbline/render/knative"
	"github.com/plumbline-dev/plumbline/render/pod"
	"github.com/plumbline-dev/plumbline/render/secret"
)

// resolved is a service with the secrets that its versions name.
type resolved struct {
	*service
	secrets map[string]*definition.Secret // by id; those that are there
	sources map[string]definition.Source
	pull    map[string]*definition.Plain // plain Secrets that can be pull secrets
	mode    Choice
}

// resolve looks up what a service refers to.
func (a *assembly) resolve(s *service) *resolved {
	out := &resolved{service: s}
	for _, v := range s.versions {
		for _, id := range v.def.Secrets() {
			if out.secrets == nil {
				out.secrets, out.sources = map[string]*definition.Secret{}, map[string]definition.Source{}
				out.pull = map[string]*definition.Plain{}
			}
			if found, ok := a.docs.secrets[name{s.name.project, id.Value}]; ok {
				out.secrets[id.Value], out.sources[id.Value] = found.def, found.src
				continue
			}
			if p := a.plainSecret(s.name.project, id.Value); p != nil {
				out.pull[id.Value] = p
			}
		}
	}
	return out
}

func (a *assembly) plainSecret(namespace, id string) *definition.Plain {
	want := plumbline.Ref{Kind: "Secret", Namespace: namespace, Name: id}
	for _, p := range a.docs.plain {
		if p.def.Ref == want {
			return p.def
		}
	}
	return nil
}

// inputs are all that the rendering of the service depends on.
func (s *resolved) inputs() []input {
	out := make([]input, 0, len(s.versions)+1+len(s.secrets))
	for _, v := range s.versions {
		out = append(out, input{v.def, v.src})
	}
	if s.routes.def != nil {
		out = append(out, input{s.routes.def, s.routes.src})
	}
	for _, id := range slices.Sorted(maps.Keys(s.secrets)) {
		out = append(out, input{s.secrets[id], s.sources[id]})
	}
	for _, id := range slices.Sorted(maps.Keys(s.pull)) {
		out = append(out, input{def: s.pull[id]})
	}
	return out
}

// renderService checks one service and renders it.
func (a *assembly) renderService(s *resolved, u *unit) error {
	first := s.versions[0]
	s.mode = ChooseMode(s.needs(a.opts.Knative.Features))
	u.service = &rendered{
		mode: ServiceMode{
			Project: s.name.project, Service: s.name.id, Mode: s.mode.Mode, Why: s.mode.Why,
			Origin: first.src.At(first.def.At),
		},
		peer: s.peer(),
	}
	c := serviceCheck{resolved: s, unit: u, keda: a.opts.KEDA}
	c.run()
	u.service.answers = s.answers()
	if len(plumbline.Errors(u.violations)) > 0 {
		return nil
	}
	b := builder{Renderer: a.Renderer, resolved: s, unit: u, control: s.control()}
	b.common()
	switch s.mode.Mode {
	case ModeDeployment:
		b.deployments()
	default:
		b.knative()
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
	*Renderer
	*resolved
	unit    *unit
	control definition.Control
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
	return pod.Input{Version: v, Secrets: b.secrets, SecretsHash: secret.Hash(b.opts.HashKey, used)}
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
		if hpa := deployment.Autoscaler(v.def); hpa != nil {
			b.add(hpa, version(v))
		}
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
	b.reach(func(p definition.Port) []deployment.Endpoint {
		return []deployment.Endpoint{{Name: p.Name, Protocol: p.Protocol, Port: p.Address, Target: p.Port}}
	})
}

func (b *builder) policyAbout(versions []placed[definition.Version]) about {
	if len(versions) == len(b.versions) {
		return b.whole()
	}
	return version(versions[0])
}

func (b *builder) knative() {
	for _, v := range b.versions {
		b.add(knative.Service(b.podInput(v.def)), version(v))
	}
	zero := slices.ContainsFunc(b.versions, func(v placed[definition.Version]) bool { return v.def.Scale.Min == 0 })
	b.access(func(a istio.Access, versions []placed[definition.Version]) {
		b.add(b.mesh.KnativePolicy(a, zero), b.policyAbout(versions))
		if a.Open || !zero {
			return
		}
		for _, v := range versions {
			at := version(v)
			at.system = true
			b.unit.service.guarded = append(b.unit.service.guarded, v.def.Name())
			b.add(b.mesh.Guard(b.name.project, v.def.Name(), v.def.Whitelist), at)
		}
	})
	if b.mode.Mode == ModeKnative {
		b.add(knative.Route(b.name.project, b.name.id, b.shares()), b.traffic())
		return
	}
	b.reach(func(p definition.Port) []deployment.Endpoint {
		target := knative.PortHTTP
		if p.Protocol != definition.ProtocolHTTP {
			target = knative.PortH2C
		}
		out := []deployment.Endpoint{{Name: p.Name, Protocol: p.Protocol, Port: p.Address, Target: target}}
		if p.Address != 80 {
			out = append(out, deployment.Endpoint{Name: "port-80", Protocol: p.Protocol, Port: 80, Target: target})
		}
		return out
	})
}
