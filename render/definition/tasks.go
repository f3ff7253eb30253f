package definition

import "strings"

// tasks checks the tasks of a version together.
func (r *reader) tasks(v *Version) {
	if len(v.Tasks) == 0 {
		r.errorf(CodeMissing, v.At, "service %q needs tasks: at least one container", v.ID.Value)
		return
	}
	type named struct{ at Pos }
	ids, numbers, names, addresses := map[string]named{}, map[int]named{}, map[string]named{}, map[int]named{}
	for i := range v.Tasks {
		t := &v.Tasks[i]
		if first, ok := ids[t.ID.Value]; ok && t.ID.Value != "" {
			r.errorf(CodeDuplicateTask, t.ID.At, "task id %q is there twice", t.ID.Value)
			r.relate(first.at)
		} else {
			ids[t.ID.Value] = named{t.ID.At}
		}
		for _, p := range t.Ports {
			if first, ok := numbers[p.Port]; ok {
				r.errorf(CodeDuplicatePort, p.At, "port %d is there twice: the containers of a pod share their ports", p.Port)
				r.relate(first.at)
				continue
			}
			numbers[p.Port] = named{p.At}
			if first, ok := names[p.Name]; ok {
				r.errorf(CodeDuplicatePort, p.At, "port name %q is there twice", p.Name)
				r.relate(first.at)
			}
			names[p.Name] = named{p.At}
			if first, ok := addresses[p.Address]; ok {
				r.errorf(CodeDuplicatePort, p.At, "two ports are called on %d: give one another servicePort", p.Address)
				r.relate(first.at)
			}
			addresses[p.Address] = named{p.At}
			if 15000 <= p.Port && p.Port <= 15090 {
				r.errorf(CodeReservedPort, p.At, "port %d belongs to the mesh, which keeps 15000 to 15090: listen on another", p.Port)
			}
		}
		for _, e := range t.Env {
			v.Addresses = appendAddresses(v.Addresses, e)
		}
	}
}

// appendAddresses finds "<id>.<project>.svc.cluster.local:<port>" in the value
// of an environment variable.
func appendAddresses(out []Address, e EnvVar) []Address {
	const suffix = ".svc.cluster.local:"
	for rest := e.Value; ; {
		i := strings.Index(rest, suffix)
		if i < 0 {
			return out
		}
		host, after := rest[:i], rest[i+len(suffix):]
		rest = after
		port := 0
		for j := 0; j < len(after) && j < 5 && '0' <= after[j] && after[j] <= '9'; j++ {
			port = port*10 + int(after[j]-'0')
		}
		host = host[strings.LastIndexFunc(host, notHostName)+1:]
		id, project, found := strings.Cut(host, ".")
		if port > 0 && found && isService(id) && IsLabel(project) {
			out = append(out, Address{Project: project, Service: id, Port: port, At: e.At})
		}
	}
}

func notHostName(c rune) bool {
	return !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '.')
}
