package definition

import (
	"cmp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

func versionFields(form Form) []string {
	if form == FormSpaceCloud {
		return []string{
			"id", "name", "projectId", "project", "version", "scale", "autoScale", "labels", "tasks",
			"affinity", "whitelists", "upstreams", "statsInclusionPrefixes", "stateless",
		}
	}
	return []string{"id", "version", "scale", "autoScale", "labels", "tasks", "affinity", "whitelists", "upstreams", "statsInclusionPrefixes", "stateless"}
}

// version reads one version of a service.
func (r *reader) version(e envelope) *Version {
	v := &Version{Form: r.form, Project: e.project, Control: e.control, At: e.at, Stats: stats("")}
	if r.form == FormSpaceCloud {
		v.ID, v.Version = e.id, e.version
	}
	s := scaleReader{reader: r, scale: defaultScale(e.at)}
	if e.labels != nil {
		r.labels(e.labels, v)
	}
	r.mapping(e.spec, "the service", versionFields(r.form), func(k, n *yaml.Node) bool {
		return r.versionField(k, n, v, &s)
	})
	v.Scale = s.done()
	if !r.versionNames(e, v) {
		return nil
	}
	r.tasks(v)
	v.Labels = sortLabels(v.Labels)
	if r.form == FormSpaceCloud {
		r.export.lossy(v)
	}
	return v
}

func (r *reader) versionField(k, n *yaml.Node, v *Version, s *scaleReader) bool {
	own := r.form == FormPlumbline
	switch k.Value {
	case "id":
		if own {
			v.ID = r.text(n, "spec.id")
		}
	case "version":
		if own {
			v.Version = r.text(n, "spec.version")
		}
	case "name", "projectId", "project":
		return !own
	case "scale":
		s.legacy(n)
	case "autoScale":
		s.auto(n)
	case "labels":
		r.labels(n, v)
	case "tasks":
		r.list(n, "tasks", func(n *yaml.Node) { v.Tasks = append(v.Tasks, r.task(n)) })
	case "affinity":
		r.list(n, "affinity", func(n *yaml.Node) { r.affinity(n, v) })
	case "whitelists":
		v.Whitelist = r.peers(n, "whitelists", v.Project.Value)
	case "upstreams":
		v.Upstreams = r.peers(n, "upstreams", v.Project.Value)
	case "stateless":
		if !r.truth(n, "stateless") {
			r.errorf(CodeStateful, posOf(n), "stateless must be true: services are stateless, keep data in a service of its own outside of this language")
		}
	case "statsInclusionPrefixes":
		v.Stats = stats(r.text(n, "statsInclusionPrefixes").Value)
	default:
		return false
	}
	return true
}

// versionNames checks project, id and version, alone and joined.
func (r *reader) versionNames(e envelope, v *Version) bool {
	if r.form == FormPlumbline {
		if v.ID.Value == "" {
			r.errorf(CodeMissing, posOf(e.spec), "ServiceVersion needs spec.id: the name of the service")
		}
	}
	if v.Version.Value == "" {
		field := "spec.version"
		if r.form == FormSpaceCloud {
			field = "meta.version"
		}
		r.errorf(CodeMissing, posOf(e.spec), "the service needs %s, as \"v1\"", field)
	}
	ok := r.projectName(v.Project)
	ok = r.serviceName(v.ID, "the service id") && ok
	if v.Version.Value == "" {
		return false
	}
	if slug := Slug(v.Version.Value); !IsLabel(slug) {
		r.badName(v.Version, "the version", "letters, digits, '.', '_' and '-', with a letter or digit at both ends")
		return false
	}
	if !ok {
		return false
	}
	name := v.Name()
	if len(name) > maxJoined {
		r.errorf(CodeNameLength, v.ID.At, "service id and version make the name %q of %d characters; the limit is %d", name, len(name), maxJoined)
		return false
	}
	if r.form == FormPlumbline && e.name.Value != "" && e.name.Value != name {
		r.errorf(CodeMismatch, e.name.At, "metadata.name is %s; spec.id and spec.version make it %q", r.shown(e.name.Value), name)
	}
	return true
}

// labels reads labels for the pods. Space Cloud's exports hold the labels that
// it set itself; they are left out, as they are set again.
func (r *reader) labels(n *yaml.Node, v *Version) {
	n = resolve(n)
	if n.Kind != yaml.MappingNode {
		r.wrongType(n, "labels", "a mapping")
		return
	}
	var own []string
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if r.form == FormSpaceCloud && isSpaceCloudLabel(k.Value) {
			own = append(own, k.Value)
			continue
		}
		l := Label{Key: Text{k.Value, posOf(k)}, Value: r.text(n.Content[i+1], "label "+k.Value)}
		if r.label(l) {
			v.Labels = append(v.Labels, l)
		}
	}
	if len(own) > 0 {
		r.export.note(Tidied, posOf(n), "labels that Space Cloud set itself are left out: %s", strings.Join(own, ", "))
	}
}

func (r *reader) label(l Label) bool {
	switch {
	case isReservedLabel(l.Key.Value):
		r.errorf(CodeReservedLabel, l.Key.At, "label %q is set by Plumbline, Knative or Istio: choose another", l.Key.Value)
	case !isLabelKey(l.Key.Value):
		r.errorf(CodeName, l.Key.At, "label %s is no name that Kubernetes takes: expected at most 63 letters, digits, '-', '_', '.', after at most one prefix and '/'", r.shown(l.Key.Value))
	case l.Value.Value != "" && !isLabelName(l.Value.Value):
		r.errorf(CodeLabelValue, l.Value.At, "label %q has the value %s: expected at most 63 letters, digits, '-', '_', '.', with a letter or digit at both ends", l.Key.Value, r.shown(l.Value.Value))
	default:
		return true
	}
	return false
}

func isSpaceCloudLabel(key string) bool {
	switch key {
	case "app", "version", "app.kubernetes.io/name", "app.kubernetes.io/version", "app.kubernetes.io/managed-by":
		return true
	}
	return strings.HasPrefix(key, "space-cloud.io/")
}

func isReservedLabel(key string) bool {
	switch key {
	case "app", "version", "app.kubernetes.io/managed-by":
		return true
	}
	prefix, _, found := strings.Cut(key, "/")
	if !found {
		return false
	}
	for _, reserved := range []string{"plumbline.dev", "knative.dev", "istio.io"} {
		if prefix == reserved || strings.HasSuffix(prefix, "."+reserved) {
			return true
		}
	}
	return false
}

func sortLabels(labels []Label) []Label {
	slices.SortStableFunc(labels, func(a, b Label) int { return cmp.Compare(a.Key.Value, b.Key.Value) })
	// Of a label in metadata.labels and in spec.labels the latter, read last, counts.
	out := labels[:0]
	for i, l := range labels {
		if i+1 == len(labels) || labels[i+1].Key.Value != l.Key.Value {
			out = append(out, l)
		}
	}
	return out
}

// stats splits the list of prefixes. The one that the scaling metrics are
// counted under is always among them.
func stats(list string) []string {
	var out []string
	for p := range strings.SplitSeq(list, ",") {
		if p = strings.TrimSpace(p); p != "" {
			out = append(out, p)
		}
	}
	switch {
	case len(out) == 0:
		return []string{"http.inbound", "cluster_manager", "listener_manager"}
	case !contains(out, "http.inbound"):
		out = append(out, "http.inbound")
	}
	return out
}

// peers reads whitelists or upstreams of a service of project own.
func (r *reader) peers(n *yaml.Node, what, own string) []Peer {
	var out []Peer
	r.list(n, what, func(n *yaml.Node) {
		p := Peer{At: posOf(n)}
		var project, service Text
		if !r.mapping(n, "an entry of "+what, []string{"projectId", "service"}, func(k, n *yaml.Node) bool {
			switch k.Value {
			case "projectId":
				project = r.text(n, "projectId")
			case "service":
				service = r.text(n, "service")
			default:
				return false
			}
			return true
		}) {
			return
		}
		if project.Value == OwnProject {
			project.Value = own
		}
		if r.peer(&p, project, service, what) {
			out = append(out, p)
		}
	})
	slices.SortStableFunc(out, func(a, b Peer) int {
		return cmp.Or(cmp.Compare(a.Project, b.Project), cmp.Compare(a.Service, b.Service))
	})
	return slices.CompactFunc(out, func(a, b Peer) bool { return a.Project == b.Project && a.Service == b.Service })
}

// hostName splits "<service>.<project>.svc…".
func hostName(s string) (service, project string, ok bool) {
	service, rest, _ := strings.Cut(s, ".")
	project, rest, _ = strings.Cut(rest, ".")
	return service, project, rest == "svc" || strings.HasPrefix(rest, "svc.")
}

func (r *reader) peer(p *Peer, project, service Text, what string) bool {
	// Exports write upstreams as host names, and re-applied exports several times over.
	if name, of, ok := hostName(service.Value); ok {
		if project.Value != "" && project.Value != "*" && project.Value != of {
			r.errorf(CodeMismatch, service.At, "service %s is a host name of project %s, and projectId says %s: write the service's id alone", r.shown(service.Value), r.shown(of), r.shown(project.Value))
			return false
		}
		r.export.note(Repaired, p.At, "%s: %q is the host name of service %s", what, service.Value, name)
		service.Value = name
		if project.Value == "" {
			project.Value = of
		}
	}
	p.Project, p.Service = project.Value, service.Value
	switch {
	case p.Project == "":
		r.errorf(CodeMissing, p.At, "an entry of %s needs projectId: a project, or '*' for all", what)
	case p.Project == "*" && what == "whitelists":
		p.Service = "*"
		return true
	case p.Project == "*" && p.Service != "*":
		r.errorf(CodeEnum, project.At, "an upstream in all projects must be all services: name the project, or write service: '*'")
	case p.Service == "":
		r.errorf(CodeMissing, p.At, "an entry of %s needs service: a service's id, or '*' for all", what)
	case p.Project != "*" && !IsLabel(p.Project):
		r.badName(project, "projectId", "a project's name or '*'")
	case p.Service != "*" && !isService(p.Service):
		r.badName(service, "service", "a service's id or '*'")
	default:
		return true
	}
	return false
}
