package definition

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Requests where a task says nothing, or 0, for either.
const (
	defaultCPU    = 250
	defaultMemory = 512
)

func taskFields(form Form) []string {
	fields := []string{"id", "ports", "resources", "docker", "env", "secrets", "probes"}
	if form == FormSpaceCloud {
		fields = append(fields, "name", "runtime")
	}
	return fields
}

// task reads one container.
func (r *reader) task(n *yaml.Node) Task {
	t := Task{ID: Text{At: posOf(n)}, Resources: Resources{CPU: defaultCPU, Memory: defaultMemory}, Docker: Docker{Always: true}}
	runtime := EnvVar{Name: "SC_RUNTIME", At: posOf(n)}
	if !r.mapping(n, "a task", taskFields(r.form), func(k, v *yaml.Node) bool {
		switch k.Value {
		case "id":
			t.ID = r.text(v, "the task's id")
		case "ports":
			r.list(v, "ports", func(n *yaml.Node) { r.port(n, &t) })
		case "resources":
			r.resources(v, &t.Resources)
		case "docker":
			r.docker(v, &t.Docker)
		case "env":
			r.env(v, &t)
		case "secrets":
			r.list(v, "secrets", func(n *yaml.Node) { r.secretUse(n, &t) })
		case "probes":
			r.probes(v, &t)
		case "runtime":
			if runtime.Value = r.text(v, "runtime").Value; runtime.Value == "code" {
				r.export.note(Lost, posOf(v), "runtime code, which loaded the program at the start, ended with Space Cloud 0.19: the image must hold it")
			}
		case "name":
			return r.form == FormSpaceCloud
		default:
			return false
		}
		return true
	}) {
		return t
	}
	r.taskName(&t)
	r.probePorts(&t)
	if t.Docker.Image.Value == "" {
		r.errorf(CodeMissing, t.ID.At, "%s needs docker.image: what to run", t.what())
	}
	if r.form == FormSpaceCloud && !slices.ContainsFunc(t.Env, func(e EnvVar) bool { return e.Name == runtime.Name }) {
		t.Env = append(t.Env, runtime)
	}
	slices.SortFunc(t.Env, func(a, b EnvVar) int { return cmp.Compare(a.Name, b.Name) })
	return t
}

// what is what messages call the task.
func (t *Task) what() string {
	if t.ID.Value == "" {
		return "a task"
	}
	return "task " + strconv.Quote(t.ID.Value)
}

func (r *reader) taskName(t *Task) {
	switch t.ID.Value {
	case "":
		r.errorf(CodeMissing, t.ID.At, "a task needs an id")
	case "queue-proxy", "istio-proxy", "istio-init", "istio-validation", "metrics-proxy":
		r.errorf(CodeName, t.ID.At, "task id %q is the name of a container that is added to every pod: choose another", t.ID.Value)
	default:
		if !IsLabel(t.ID.Value) {
			r.badName(t.ID, "the task's id", "lower case letters, digits and '-', at most 63")
		}
	}
}

func (r *reader) port(n *yaml.Node, t *Task) {
	p := Port{Protocol: ProtocolHTTP, At: posOf(n)}
	var name, protocol Text
	fields := []string{"name", "protocol", "port"}
	if r.form == FormPlumbline {
		fields = append(fields, "servicePort")
	}
	if !r.mapping(n, "a port", fields, func(k, v *yaml.Node) bool {
		switch k.Value {
		case "name":
			name = r.text(v, "the port's name")
		case "protocol":
			protocol = r.text(v, "the port's protocol")
		case "port":
			p.Port, _ = r.number(v, "port", 1, 65535)
			p.At = posOf(v)
		case "servicePort":
			if r.form != FormPlumbline {
				return false
			}
			p.Address, _ = r.number(v, "servicePort", 1, 65535)
		default:
			return false
		}
		return true
	}) {
		return
	}
	if get(n, "port") == nil {
		r.errorf(CodeMissing, p.At, "a port needs port: the number on which the task listens")
	}
	p.Name = name.Value
	if name.Value != "" && !isPortName(name.Value) {
		r.badName(name, "the port's name", "at most 15 lower case letters, digits and '-'")
	}
	if !r.protocol(&p, protocol) || p.Port == 0 {
		return
	}
	r.address(&p)
	t.Ports = append(t.Ports, p)
}

func (r *reader) protocol(p *Port, t Text) bool {
	value := t.Value
	if r.form == FormSpaceCloud {
		value = strings.ToLower(value)
	}
	switch Protocol(value) {
	case ProtocolHTTP, ProtocolH2C, ProtocolGRPC, ProtocolTCP:
		p.Protocol = Protocol(value)
		return true
	case "":
		if t.At == (Pos{}) {
			r.errorf(CodeMissing, p.At, "a port needs protocol: http, h2c, grpc or tcp")
			return false
		}
	}
	if first, _, _ := strings.Cut(p.Name, "-"); r.form == FormSpaceCloud && value != "" && first == value {
		r.warnf(CodeIgnored, t.At, "protocol %s is the beginning of the port's name, as exports write it: read as http", r.shown(t.Value))
		return true
	}
	r.errorf(CodeEnum, t.At, "unknown port protocol %s: expected http, h2c, grpc, tcp%s", r.shown(t.Value), protocolHint(value))
	return false
}

func protocolHint(value string) string {
	near := Nearest(value, []string{"http", "h2c", "grpc", "tcp"})
	if near == "" {
		return ""
	}
	return "; did you mean " + strconv.Quote(near) + "?"
}

// address fills in the port that people call, and the port's name.
func (r *reader) address(p *Port) {
	switch {
	case p.Address != 0:
	case r.form == FormSpaceCloud, p.Protocol == ProtocolTCP:
		p.Address = p.Port
	default:
		p.Address = 80
	}
	if p.Name == "" {
		p.Name = string(p.Protocol) + "-" + strconv.Itoa(p.Port)
	}
}

func (r *reader) resources(n *yaml.Node, res *Resources) {
	cpu, memory := 0, 0
	r.mapping(n, "resources", []string{"cpu", "memory", "gpu", "limits"}, func(k, v *yaml.Node) bool {
		switch k.Value {
		case "cpu":
			cpu, _ = r.number(v, "resources.cpu (millicores)", 0, math.MaxInt32)
		case "memory":
			memory, _ = r.number(v, "resources.memory (MiB)", 0, math.MaxInt32)
		case "gpu":
			r.gpu(v, res)
		case "limits":
			r.limits(v, res)
		default:
			return false
		}
		return true
	})
	switch {
	case cpu > 0 && memory > 0:
		res.CPU, res.Memory = cpu, memory
	case cpu > 0 || memory > 0:
		r.warnf(CodeIgnored, posOf(n), "resources: of cpu and memory only one is given, so both are the default, %d millicores and %d MiB", defaultCPU, defaultMemory)
	}
	if res.LimitCPU > 0 && res.LimitCPU < res.CPU || res.LimitMemory > 0 && res.LimitMemory < res.Memory {
		r.errorf(CodeMinMax, posOf(n), "resources.limits are below the request (%d millicores, %d MiB)", res.CPU, res.Memory)
	}
}

func (r *reader) limits(n *yaml.Node, res *Resources) {
	r.mapping(n, "resources.limits", []string{"cpu", "memory"}, func(k, v *yaml.Node) bool {
		switch k.Value {
		case "cpu":
			res.LimitCPU, _ = r.number(v, "resources.limits.cpu (millicores)", 0, math.MaxInt32)
		case "memory":
			res.LimitMemory, _ = r.number(v, "resources.limits.memory (MiB)", 0, math.MaxInt32)
		default:
			return false
		}
		return true
	})
}

func (r *reader) gpu(n *yaml.Node, res *Resources) {
	var typ Text
	r.mapping(n, "resources.gpu", []string{"type", "value"}, func(k, v *yaml.Node) bool {
		switch k.Value {
		case "type":
			typ = r.text(v, "resources.gpu.type")
		case "value":
			res.GPU, _ = r.number(v, "resources.gpu.value", 0, math.MaxInt32)
		default:
			return false
		}
		return true
	})
	if res.GPU == 0 {
		return
	}
	switch typ.Value {
	case "nvidia", "amd":
		res.GPUType = typ.Value
	case "nvdia": // as Space Cloud's console wrote it
		res.GPUType = "nvidia"
		r.export.note(Repaired, typ.At, "gpu type nvdia is nvidia")
	case "":
		res.GPU = 0
	default:
		r.unknownValue(typ, "gpu type", "nvidia", "amd")
	}
}

func (r *reader) docker(n *yaml.Node, d *Docker) {
	r.mapping(n, "docker", []string{"image", "cmd", "secret", "imagePullPolicy"}, func(k, v *yaml.Node) bool {
		switch k.Value {
		case "image":
			d.Image = r.text(v, "docker.image")
			if d.Image.Value != "" && !isImage(d.Image.Value) {
				r.errorf(CodeImage, d.Image.At, "docker.image %s is no image reference: expected registry/path:tag", r.shown(d.Image.Value))
			}
		case "cmd":
			r.list(v, "docker.cmd", func(n *yaml.Node) { d.Cmd = append(d.Cmd, r.text(n, "docker.cmd").Value) })
		case "secret":
			d.Secret = r.text(v, "docker.secret")
		case "imagePullPolicy":
			policy := r.text(v, "docker.imagePullPolicy")
			d.Always = policy.Value != "pull-if-not-exists"
			if d.Always && policy.Value != "always" && policy.Value != "" {
				r.pullPolicy(policy)
			}
		default:
			return false
		}
		return true
	})
}

func (r *reader) pullPolicy(t Text) {
	if r.form == FormSpaceCloud {
		r.warnf(CodeIgnored, t.At, "unknown imagePullPolicy %s is read as \"always\": expected always or pull-if-not-exists", r.shown(t.Value))
		return
	}
	r.unknownValue(t, "imagePullPolicy", "always", "pull-if-not-exists")
}

func (r *reader) env(n *yaml.Node, t *Task) {
	n = resolve(n)
	if n.Kind != yaml.MappingNode {
		r.wrongType(n, "env", "a mapping of names to values")
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if k := n.Content[i]; k.Tag != mergeTag {
			r.envVar(k, n.Content[i+1], t)
		}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Tag != mergeTag {
			continue
		}
		sources := []*yaml.Node{n.Content[i+1]}
		if s := resolve(n.Content[i+1]); s.Kind == yaml.SequenceNode {
			sources = s.Content
		}
		for _, s := range sources {
			r.env(s, t)
		}
	}
}

func (r *reader) envVar(k, value *yaml.Node, t *Task) {
	v := r.text(value, "env "+k.Value)
	switch {
	case !isEnvVarName(k.Value):
		r.errorf(CodeEnvName, posOf(k), "%s is no name of an environment variable: expected letters, digits, '_', '-' and '.', not beginning with a digit", r.shown(k.Value))
	case slices.ContainsFunc(t.Env, func(e EnvVar) bool { return e.Name == k.Value }):
		// What is merged in does not override.
	default:
		t.Env = append(t.Env, EnvVar{Name: k.Value, Value: v.Value, At: v.At})
	}
}

func (r *reader) secretUse(n *yaml.Node, t *Task) {
	s := r.text(n, "an entry of secrets")
	if s.Value == "" || slices.ContainsFunc(t.Secrets, func(o Text) bool { return o.Value == s.Value }) {
		return
	}
	t.Secrets = append(t.Secrets, s)
}

// isEnvVarName is what every release of Kubernetes takes.
func isEnvVarName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(isAlphanumeric(c) || c == '_' || c == '-' || c == '.') || i == 0 && '0' <= c && c <= '9' {
			return false
		}
	}
	return s != "" && s != "." && s != ".."
}
