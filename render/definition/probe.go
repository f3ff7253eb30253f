package definition

import (
	"math"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Probe asks a container how it is, in one of four ways.
type Probe struct {
	Kind    ProbeKind
	Path    string   // of http
	Service string   // of grpc
	Command []string // of exec
	Port    int      // of the others
	// Timing, in seconds and counts; 0 where nothing is said.
	InitialDelay, Period, Timeout      int
	SuccessThreshold, FailureThreshold int
	At                                 Pos
}

// ProbeKind is a way to ask, in the words of Kubernetes.
type ProbeKind string

// The ways to ask.
const (
	ProbeHTTP ProbeKind = "httpGet"
	ProbeTCP  ProbeKind = "tcpSocket"
	ProbeGRPC ProbeKind = "grpc"
	ProbeExec ProbeKind = "exec"
)

func (r *reader) probes(n *yaml.Node, t *Task) {
	r.mapping(n, "probes", []string{"readiness", "liveness"}, func(k, v *yaml.Node) bool {
		switch k.Value {
		case "readiness":
			t.Readiness = r.probe(v, "probes.readiness")
		case "liveness":
			t.Liveness = r.probe(v, "probes.liveness")
			if p := t.Liveness; p != nil && p.SuccessThreshold > 1 {
				r.errorf(CodeProbe, p.At, "probes.liveness: successThreshold can be 1 only: one good answer is enough to live on")
			}
		default:
			return false
		}
		return true
	})
}

func (r *reader) probe(n *yaml.Node, what string) *Probe {
	p := &Probe{At: posOf(n)}
	ways, before := 0, len(r.found)
	known := []string{
		"httpGet", "tcpSocket", "grpc", "exec",
		"initialDelaySeconds", "periodSeconds", "timeoutSeconds", "successThreshold", "failureThreshold",
	}
	if !r.mapping(n, what, known, func(k, v *yaml.Node) bool {
		count := func(into *int, low int) { *into, _ = r.number(v, what+"."+k.Value, low, math.MaxInt32) }
		switch k.Value {
		case "httpGet", "tcpSocket", "grpc", "exec":
			ways++
			p.Kind = ProbeKind(k.Value)
			r.probeWay(v, what+"."+k.Value, p)
		case "initialDelaySeconds":
			count(&p.InitialDelay, 0)
		case "periodSeconds":
			count(&p.Period, 1)
		case "timeoutSeconds":
			count(&p.Timeout, 1)
		case "successThreshold":
			count(&p.SuccessThreshold, 1)
		case "failureThreshold":
			count(&p.FailureThreshold, 1)
		default:
			return false
		}
		return true
	}) {
		return nil
	}
	if ways == 0 && hasErrors(r.found[before:]) {
		return nil // a misspelt one was named
	}
	if ways != 1 {
		r.errorf(CodeProbe, p.At, "%s needs one of httpGet, tcpSocket, grpc, exec", what)
		return nil
	}
	return p
}

func (r *reader) probeWay(n *yaml.Node, what string, p *Probe) {
	known := map[ProbeKind][]string{
		ProbeHTTP: {"path", "port"}, ProbeTCP: {"port"}, ProbeGRPC: {"port", "service"}, ProbeExec: {"command"},
	}[p.Kind]
	r.mapping(n, what, known, func(k, v *yaml.Node) bool {
		if !contains(known, k.Value) {
			return false
		}
		switch k.Value {
		case "path":
			t := r.text(v, what+".path")
			p.Path = t.Value
			if !strings.HasPrefix(p.Path, "/") {
				r.errorf(CodeProbe, t.At, "%s.path is %s: expected a path that begins with /", what, r.shown(p.Path))
			}
		case "port":
			port, ok := r.number(v, what+".port", 1, 65535)
			if p.Port = port; !ok {
				p.Port = -1 // said, and wrong
			}
		case "service":
			p.Service = r.text(v, what+".service").Value
		case "command":
			r.list(v, what+".command", func(n *yaml.Node) { p.Command = append(p.Command, r.text(n, what+".command").Value) })
		}
		return true
	})
	switch {
	case p.Kind == ProbeHTTP && p.Path == "":
		p.Path = "/"
	case p.Kind == ProbeExec && len(p.Command) == 0:
		r.errorf(CodeProbe, posOf(n), "%s needs command", what)
	}
}

// probePorts fills in the port where the task has only one.
func (r *reader) probePorts(t *Task) {
	for _, p := range []*Probe{t.Readiness, t.Liveness} {
		if p == nil || p.Port != 0 || p.Kind == ProbeExec {
			continue
		}
		if len(t.Ports) != 1 {
			r.errorf(CodeProbe, p.At, "the probe of task %q needs a port: the task has %d", t.ID.Value, len(t.Ports))
			continue
		}
		p.Port = t.Ports[0].Port
	}
}
