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

// serviceCheck finds what is wrong with one service and what it refers to.
type serviceCheck struct {
	*resolved
	unit *unit
	keda bool
}

func (c *serviceCheck) run() {
	c.twice()
	for _, v := range c.versions {
		for i := range v.def.Tasks {
			c.secretsOf(v, &v.def.Tasks[i])
		}
		c.scalingSecrets(v)
		c.scale(v)
		c.intervals(v)
		if c.mode.Mode != plumbline.ModeDeployment {
			c.reserved(v)
			c.activator(v)
		}
	}
	c.protocols()
	c.routesOf()
	c.modeOf()
}

// twice reports what is defined more than once.
func (c *serviceCheck) twice() {
	all := c.service.versions
	for i, v := range all {
		if i == 0 || all[i-1].def.Name() != v.def.Name() {
			continue
		}
		first, second := all[i-1].def.Version.Value, v.def.Version.Value
		at, related := v.at(v.def.Version.At), all[i-1].at(all[i-1].def.Version.At)
		if first == second {
			c.unit.violate(definition.CodeDuplicate, at, fmt.Sprintf("version %s of service %s is defined twice: remove one", second, c.name.id), related)
		} else {
			c.unit.violate(definition.CodeNameClash, at, fmt.Sprintf("versions %s and %s of service %s are both named %s: rename one", first, second, c.name.id, v.def.Name()), related)
		}
	}
	if len(c.service.routes) > 1 {
		duplicates(c.unit, c.service.routes, "the list of routes of service "+c.name.id, func(r *definition.Routes) definition.Pos { return r.ID.At })
	}
}

func (c *serviceCheck) relate(at plumbline.Origin) {
	last := &c.unit.violations[len(c.unit.violations)-1]
	last.Related = append(last.Related, at)
}

// secretsOf checks the secrets that a task names, and what they add to it.
func (c *serviceCheck) secretsOf(v placed[definition.Version], t *definition.Task) {
	if id := t.Docker.Secret; id.Value != "" {
		c.use(v, id, definition.SecretDocker)
	}
	taken := map[string]plumbline.Origin{}
	for _, e := range t.Env {
		taken[e.Name] = v.src.At(e.At)
	}
	files, paths := map[string]string{}, map[string]string{}
	for _, id := range t.Secrets {
		s := c.use(v, id, definition.SecretEnv, definition.SecretFile)
		if s == nil {
			continue
		}
		if s.Type == definition.SecretFile {
			c.nested(paths, s, v.src.At(id.At))
		}
		for _, d := range s.Data {
			switch s.Type {
			case definition.SecretEnv:
				if at, ok := taken[d.Key]; ok {
					c.unit.violate(definition.CodeEnvTwice, v.src.At(id.At), fmt.Sprintf("secret %s sets the environment variable %s, which task %s has already", id.Value, d.Key, t.ID.Value))
					c.relate(at)
				}
				taken[d.Key] = v.src.At(id.At)
			case definition.SecretFile:
				path := s.Path + "/" + d.Key
				if other, ok := files[path]; ok {
					c.unit.violate(definition.CodeMountClash, v.src.At(id.At), fmt.Sprintf("secrets %s and %s both hold the file %s", other, id.Value, path))
				}
				files[path] = id.Value
			}
		}
	}
}

// nested refuses a directory of files inside of another: what is mounted is
// read-only, and holds no place for it. It notes the secret's own.
func (c *serviceCheck) nested(paths map[string]string, s *definition.Secret, at plumbline.Origin) {
	for _, other := range slices.Sorted(maps.Keys(paths)) {
		outer, inner := other, s.Path
		if len(outer) > len(inner) {
			outer, inner = inner, outer
		}
		if strings.HasPrefix(inner, outer+"/") {
			c.unit.violate(definition.CodeMountClash, at, fmt.Sprintf("secrets %s and %s: %s lies inside of %s, which is read-only: give one another rootPath", paths[other], s.ID.Value, inner, outer))
		}
	}
	paths[s.Path] = s.ID.Value
}

// use looks up a secret that must be of one of types.
func (c *serviceCheck) use(v placed[definition.Version], id definition.Text, types ...definition.SecretType) *definition.Secret {
	s := c.secrets[id.Value]
	if s == nil {
		if c.pull[id.Value] == nil {
			c.unit.service.missing = append(c.unit.service.missing, missing{id.Value, v.src.At(id.At)})
		} else if types[0] != definition.SecretDocker {
			c.unit.violate(definition.CodeSecretKind, v.src.At(id.At), fmt.Sprintf("secret %s is a plain Secret, which can be a pull secret only: define a ServiceSecret", id.Value))
		}
		return nil
	}
	if slices.Contains(types, s.Type) {
		return s
	}
	how := "under secrets"
	if types[0] == definition.SecretDocker {
		how = "as docker.secret"
	}
	c.unit.violate(definition.CodeSecretKind, v.src.At(id.At), fmt.Sprintf("secret %s is of type %s and cannot be used %s", id.Value, s.Type, how))
	c.relate(c.sources[id.Value].At(s.At))
	return nil
}

// scalingSecrets checks the secrets by which KEDA asks what to scale by.
func (c *serviceCheck) scalingSecrets(v placed[definition.Version]) {
	for _, t := range v.def.Scale.Triggers {
		for _, a := range t.Auth {
			s := c.use(v, a.Secret, definition.SecretEnv, definition.SecretFile)
			if s != nil && !slices.ContainsFunc(s.Data, func(d definition.SecretEntry) bool { return d.Key == a.Key }) {
				c.unit.violate(definition.CodeTrigger, v.src.At(a.Secret.At), fmt.Sprintf("secret %s has no key %s", a.Secret.Value, a.Key))
				c.relate(c.sources[a.Secret.Value].At(s.At))
			}
		}
	}
}

// scale checks what the mode can scale by.
func (c *serviceCheck) scale(v placed[definition.Version]) {
	if c.mode.Mode != plumbline.ModeDeployment {
		return
	}
	s := v.def.Scale
	if c.keda {
		c.asleep(v)
		c.deaf(v)
		return
	}
	if s.Min == 0 {
		c.needsKEDA(v.src.At(s.MinAt), fmt.Sprintf("minReplicas is 0, and %s runs as a Deployment (%s)", v.def.Name(), c.mode.Why),
			"set minReplicas to 1 or more")
	}
	for _, t := range s.Triggers {
		if s.Fixed() {
			break // no trigger has anything to decide
		}
		if t.Type.NeedsKEDA() {
			c.needsKEDA(v.src.At(t.At), fmt.Sprintf("the trigger %s is KEDA's", t.Type), "scale by cpu or memory")
			continue
		}
		if t.Type == definition.TriggerRequestsPerSecond || t.Type == definition.TriggerActiveRequests {
			c.needsKEDA(v.src.At(t.At), fmt.Sprintf("the trigger %s is Knative's, and %s runs as a Deployment (%s)", t.Type, v.def.Name(), c.mode.Why),
				"scale by cpu or memory, make maxReplicas equal to minReplicas")
		}
	}
}

// defaultPolling is what exports spell out, in seconds.
const defaultPolling = 15

// intervals says which of KEDA's intervals are not heard by the autoscalers of
// the cluster.
func (c *serviceCheck) intervals(v placed[definition.Version]) {
	s := v.def.Scale
	if c.mode.Mode == plumbline.ModeDeployment && s.NeedsKEDA() {
		return
	}
	if s.Polling != 0 && s.Polling != defaultPolling {
		c.unit.warn(definition.CodeIgnored, v.src.At(s.PollingAt), "pollingInterval has no effect: only KEDA polls")
	}
	if s.CoolDown > definition.MaxDelay {
		c.unit.warn(definition.CodeIgnored, v.src.At(s.CoolDownAt), fmt.Sprintf("coolDownInterval is %d s; the autoscalers wait %d s at most", s.CoolDown, definition.MaxDelay))
	}
}

// asleep refuses to let a version sleep where nothing would wake it: there is
// neither a pod whose CPU, memory or calls could be looked at, nor Knative's
// activator.
func (c *serviceCheck) asleep(v placed[definition.Version]) {
	s := v.def.Scale
	if s.Min > 0 || slices.ContainsFunc(s.Triggers, func(t definition.Trigger) bool {
		return t.Type.NeedsKEDA() || t.Type == definition.TriggerRequestsPerSecond && calledByHTTP(v.def)
	}) {
		return
	}
	as := ""
	if calledByHTTP(v.def) {
		as = ", as requests-per-second"
	}
	c.unit.violate(definition.CodeTrigger, v.src.At(s.MinAt), fmt.Sprintf(
		"minReplicas is 0, and nothing would wake %s, which runs as a Deployment (%s): set minReplicas to 1 or more, or add a trigger that sees work without a pod%s",
		v.def.Name(), c.mode.Why, as))
}

// deaf warns of triggers that count what the version does not get.
func (c *serviceCheck) deaf(v placed[definition.Version]) {
	s := v.def.Scale
	if s.Fixed() || calledByHTTP(v.def) {
		return
	}
	for _, t := range s.Triggers {
		if t.Type == definition.TriggerRequestsPerSecond || t.Type == definition.TriggerActiveRequests {
			c.unit.warn(definition.CodeIgnored, v.src.At(t.At), fmt.Sprintf("the trigger %s has no effect: it counts HTTP calls, and %s serves none", t.Type, v.def.Name()))
		}
	}
}

// calledByHTTP tells whether a version has a port on which calls are counted.
func calledByHTTP(v *definition.Version) bool {
	return slices.ContainsFunc(portsOf(v), func(p definition.Port) bool { return p.Protocol != definition.ProtocolTCP })
}

func (c *serviceCheck) needsKEDA(at plumbline.Origin, what, instead string) {
	if c.mode.Missing != "" {
		instead = "declare " + c.mode.Missing + " in knative.features where the cluster has it enabled, " + instead
	}
	c.unit.violate(definition.CodeNeedsKEDA, at, what+": "+instead+", or install KEDA and declare it with keda: true")
}

// reserved checks for what Knative keeps for itself.
func (c *serviceCheck) reserved(v placed[definition.Version]) {
	for i := range v.def.Tasks {
		t := &v.def.Tasks[i]
		for _, p := range t.Ports {
			if knative.IsReservedPort(p.Port) {
				c.unit.violate(definition.CodeReservedPort, v.src.At(p.At), fmt.Sprintf("Knative uses port %d itself: listen on another", p.Port))
			}
		}
		serving := len(t.Ports) > 0
		for _, p := range []*definition.Probe{t.Readiness, t.Liveness} {
			if serving && p != nil && p.Kind != definition.ProbeExec && p.Port != t.Ports[0].Port {
				c.unit.violate(definition.CodeProbe, v.src.At(p.At), fmt.Sprintf("Knative probes port %d only, on which the task serves, not %d: remove the probe's port", t.Ports[0].Port, p.Port))
			}
		}
		for _, e := range t.Env {
			if knative.IsReservedEnv(e.Name, serving) {
				c.unit.violate(definition.CodeReservedEnv, v.src.At(e.At), fmt.Sprintf("Knative sets the environment variable %s itself: remove it", e.Name))
			}
		}
		for _, id := range t.Secrets {
			s := c.secrets[id.Value]
			if s == nil || s.Type != definition.SecretEnv {
				continue
			}
			for _, d := range s.Data {
				if knative.IsReservedEnv(d.Key, serving) {
					c.unit.violate(definition.CodeReservedEnv, v.src.At(id.At), fmt.Sprintf("secret %s sets the environment variable %s, which Knative sets itself", id.Value, d.Key))
					c.relate(c.sources[id.Value].At(d.At))
				}
			}
		}
	}
}

// activator refuses to let in Knative's activator by a whitelist: it calls in its
// own name for everyone who asks it to.
func (c *serviceCheck) activator(v placed[definition.Version]) {
	if v.def.Open() {
		return
	}
	for _, w := range v.def.Whitelist {
		if istio.AdmitsActivator(w) {
			c.unit.violate(definition.CodeActivator, v.src.At(w.At), fmt.Sprintf(
				"whitelist %s/%s lets in everyone: Knative's activator hands on the calls of all in its own name; remove the entry, what Knative needs is let in without it", w.Project, w.Service))
		}
	}
}

// protocols checks that all versions speak one protocol on one port.
func (c *serviceCheck) protocols() {
	type first struct {
		protocol definition.Protocol
		at       plumbline.Origin
	}
	seen := map[int]first{}
	for _, v := range c.versions {
		for _, p := range portsOf(v.def) {
			f, ok := seen[p.Address]
			if !ok {
				seen[p.Address] = first{p.Protocol, v.src.At(p.At)}
			} else if f.protocol != p.Protocol {
				c.unit.violate(definition.CodePortDiffers, v.src.At(p.At), fmt.Sprintf("port %d of %s speaks %s here and %s elsewhere", p.Address, c.name.id, p.Protocol, f.protocol))
				c.relate(f.at)
			}
		}
	}
}

// modeOf reports what the choice of the mode makes of the definition.
func (c *serviceCheck) modeOf() {
	for _, i := range c.mode.AtZero {
		v := c.versions[i]
		c.unit.violate(definition.CodeDirectAtZero, v.src.At(v.def.Scale.MinAt), fmt.Sprintf(
			"%s has %s, which Knative's own routing cannot do, and minReplicas 0, which only Knative's routing can: set minReplicas to 1, or take them out of the routes",
			v.def.Name(), strings.TrimPrefix(c.mode.Why, "routes with ")))
	}
	if c.mode.AnswersOn80 == 0 {
		return
	}
	v := c.versions[0]
	at := v.src.At(v.def.At)
	if p := portsOf(v.def); len(p) > 0 {
		at = v.src.At(p[0].At)
	}
	c.unit.warn(definition.CodeAnswersOn80, at, fmt.Sprintf("%s answers on port 80, not %d: it scales to zero", c.name.id, c.mode.AnswersOn80))
}
