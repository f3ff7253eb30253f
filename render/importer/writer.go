package importer

import (
	"slices"
	"strconv"
	"strings"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render/definition"
)

// writer gives definitions one of the forms. What it writes reads back as the
// same definition; what goes without saying is left out.
type writer struct {
	form  definition.Form
	adopt bool
}

func (w writer) spaceCloud() bool { return w.form == definition.FormSpaceCloud }

// envelope is a definition before it has a form.
type envelope struct {
	api, typ string      // of Space Cloud's form
	meta     [][2]string // of it
	kind     string      // of plumbline.dev/v1
	name     string
	project  string
	control  definition.Control
	spec     any // nil: none
}

// document gives an envelope the writer's form.
func (w writer) document(e envelope) any {
	words := annotations(e.control, w.adopt && e.kind != "Project")
	if w.spaceCloud() {
		meta := fields{}
		for _, m := range append(e.meta, words...) {
			meta = append(meta, field{m[0], m[1]})
		}
		if e.spec == nil {
			e.spec = fields{}
		}
		return fields{{"api", e.api}, {"type", e.typ}, {"meta", meta}, {"spec", e.spec}}
	}
	meta := fields{{"name", e.name}}
	if e.project != "" {
		meta = append(meta, field{"namespace", e.project})
	}
	if len(words) > 0 {
		own := fields{}
		for _, a := range words {
			own = append(own, field{a[0], a[1]})
		}
		meta = append(meta, field{"annotations", own})
	}
	out := fields{{"apiVersion", plumbline.APIVersion}, {"kind", e.kind}, {"metadata", meta}}
	if e.spec != nil {
		out = append(out, field{"spec", e.spec})
	}
	return out
}

// annotations are the control words of a definition.
func annotations(c definition.Control, adopt bool) [][2]string {
	var out [][2]string
	if c.Adopt || adopt {
		out = append(out, [2]string{plumbline.AnnotationAdopt, "true"})
	}
	if c.ReportDrift {
		out = append(out, [2]string{plumbline.AnnotationDrift, "report"})
	}
	if c.KeepOnPrune {
		out = append(out, [2]string{plumbline.AnnotationPrune, "disabled"})
	}
	if c.WaveShift != 0 {
		out = append(out, [2]string{plumbline.AnnotationWave, strconv.Itoa(c.WaveShift)})
	}
	return out
}

func (w writer) project(p *definition.Project) any {
	id := p.ID.Value
	e := envelope{
		api: "/v1/config/projects/{project}", typ: "project", meta: [][2]string{{"project", id}},
		kind: "Project", name: id, control: p.Control,
	}
	if w.spaceCloud() {
		e.spec = fields{{"id", id}}
	}
	return w.document(e)
}

func (w writer) secret(s *definition.Secret) any {
	data := fields{}
	for _, d := range s.Data {
		data = append(data, field{d.Key, d.Value.Reveal()})
	}
	return w.document(envelope{
		api: "/v1/runner/{project}/secrets/{id}", typ: "secret",
		meta: [][2]string{{"project", s.Project.Value}, {"id", s.ID.Value}},
		kind: "ServiceSecret", name: s.ID.Value, project: s.Project.Value, control: s.Control,
		spec: fields{{"type", string(s.Type)}}.text("rootPath", s.Path).with("data", data),
	})
}

func (w writer) role(r *definition.Role) any {
	typ, rules := "project", []any{}
	if r.Cluster {
		typ = "cluster"
	}
	for _, rule := range r.Rules {
		rules = append(rules, flow(fields{{"apiGroups", rule.APIGroups}, {"resources", rule.Resources}, {"verbs", rule.Verbs}}))
	}
	spec := fields{}
	if !w.spaceCloud() {
		spec = spec.with("service", r.Service.Value)
	}
	return w.document(envelope{
		api: "/v1/runner/{project}/service-roles/{serviceId}/{roleId}", typ: "service-role",
		meta: [][2]string{{"project", r.Project.Value}, {"serviceId", r.Service.Value}, {"roleId", r.ID.Value}},
		kind: "ServiceRole", name: r.ID.Value, project: r.Project.Value, control: r.Control,
		spec: spec.with("type", typ).with("rules", rules),
	})
}

func (w writer) version(v *definition.Version) any {
	spec := fields{}
	if !w.spaceCloud() {
		spec = spec.with("id", v.ID.Value).with("version", v.Version.Value)
	}
	labels := fields{}
	for _, l := range v.Labels {
		labels = append(labels, field{l.Key.Value, l.Value.Value})
	}
	tasks := []any{}
	for i := range v.Tasks {
		tasks = append(tasks, w.task(&v.Tasks[i]))
	}
	spec = spec.set("labels", labels).set("autoScale", scale(v.Scale)).with("tasks", tasks).
		with("whitelists", peers(v.Whitelist)).with("upstreams", peers(v.Upstreams)).list("affinity", affinity(v.Affinity))
	if !slices.Equal(v.Stats, []string{"http.inbound", "cluster_manager", "listener_manager"}) {
		spec = spec.with("statsInclusionPrefixes", strings.Join(v.Stats, ","))
	}
	return w.document(envelope{
		api: "/v1/runner/{project}/services/{id}/{version}", typ: "service",
		meta: [][2]string{{"project", v.Project.Value}, {"id", v.ID.Value}, {"version", v.Version.Value}},
		kind: "ServiceVersion", name: v.Name(), project: v.Project.Value, control: v.Control, spec: spec,
	})
}

// scale is nothing for what a definition that says nothing gets.
func scale(s definition.Scale) fields {
	if s.Min == 1 && s.Max == 100 && len(s.Triggers) == 0 && s.CoolDown == 0 && s.Polling == 0 {
		return nil
	}
	out := fields{{"minReplicas", s.Min}, {"maxReplicas", s.Max}}
	out = out.number("coolDownInterval", s.CoolDown).number("pollingInterval", s.Polling)
	triggers := []any{}
	for _, t := range s.Triggers {
		triggers = append(triggers, trigger(t))
	}
	return out.list("triggers", triggers)
}

func trigger(t definition.Trigger) fields {
	meta := fields{}
	switch t.Type {
	case definition.TriggerRequestsPerSecond, definition.TriggerActiveRequests:
		meta = meta.with("target", strconv.Itoa(t.Target))
	case definition.TriggerCPU, definition.TriggerMemory:
		meta = meta.with("type", t.Measure).with("value", t.Value)
	default:
		for _, p := range t.Metadata {
			meta = meta.with(p.Key, p.Value.Value)
		}
	}
	out := fields{}.text("name", t.Name.Value).with("type", string(t.Type)).set("metadata", meta)
	secrets := []any{}
	for _, a := range t.Auth {
		secrets = append(secrets, flow(fields{{"param", a.Param}, {"key", "secrets." + a.Secret.Value + "." + a.Key}}))
	}
	if len(secrets) > 0 {
		out = out.with("authRef", fields{{"secretMapping", secrets}})
	}
	return out
}

// runtimeVariable is set in every container of a Space Cloud document. In the
// other form it is a variable like others.
const runtimeVariable = "SC_RUNTIME"

func (w writer) task(t *definition.Task) fields {
	ports, env, secrets := []any{}, fields{}, []string{}
	for _, p := range t.Ports {
		ports = append(ports, flow(w.port(p)))
	}
	runtime := ""
	for _, e := range t.Env {
		if w.spaceCloud() && e.Name == runtimeVariable {
			runtime = e.Value
			continue
		}
		env = env.with(e.Name, e.Value)
	}
	for _, s := range t.Secrets {
		secrets = append(secrets, s.Value)
	}
	docker := fields{{"image", t.Docker.Image.Value}}
	if len(t.Docker.Cmd) > 0 {
		docker = docker.with("cmd", flow(t.Docker.Cmd))
	}
	docker = docker.text("secret", t.Docker.Secret.Value)
	if !t.Docker.Always {
		docker = docker.with("imagePullPolicy", "pull-if-not-exists")
	}
	out := fields{{"id", t.ID.Value}}.with("docker", docker).list("ports", ports).set("resources", resources(t.Resources)).set("env", env)
	if len(secrets) > 0 {
		out = out.with("secrets", flow(secrets))
	}
	probes := fields{}
	if t.Readiness != nil {
		probes = probes.with("readiness", flow(probe(t.Readiness)))
	}
	if t.Liveness != nil {
		probes = probes.with("liveness", flow(probe(t.Liveness)))
	}
	out = out.set("probes", probes)
	if w.spaceCloud() {
		out = out.text("runtime", runtime)
	}
	return out
}

func (w writer) port(p definition.Port) fields {
	out := fields{}
	if p.Name != string(p.Protocol)+"-"+strconv.Itoa(p.Port) {
		out = out.with("name", p.Name)
	}
	out = out.with("protocol", string(p.Protocol)).with("port", p.Port)
	usual := 80
	if p.Protocol == definition.ProtocolTCP {
		usual = p.Port
	}
	if !w.spaceCloud() && p.Address != usual {
		out = out.with("servicePort", p.Address)
	}
	return out
}

// The requests of a task that says nothing.
const (
	usualCPU    = 250
	usualMemory = 512
)

func resources(r definition.Resources) fields {
	out := fields{}
	if r.CPU != usualCPU || r.Memory != usualMemory {
		out = out.with("cpu", r.CPU).with("memory", r.Memory)
	}
	if r.GPU > 0 {
		out = out.with("gpu", flow(fields{{"type", r.GPUType}, {"value", r.GPU}}))
	}
	limits := fields{}.number("cpu", r.LimitCPU).number("memory", r.LimitMemory)
	if len(limits) > 0 {
		out = out.with("limits", flow(limits))
	}
	return out
}

func probe(p *definition.Probe) fields {
	way := fields{}
	switch p.Kind {
	case definition.ProbeHTTP:
		way = way.with("path", p.Path)
	case definition.ProbeGRPC:
		way = way.text("service", p.Service)
	case definition.ProbeExec:
		way = way.with("command", p.Command)
	}
	if p.Kind != definition.ProbeExec {
		way = way.with("port", p.Port)
	}
	return fields{{string(p.Kind), way}}.number("initialDelaySeconds", p.InitialDelay).number("periodSeconds", p.Period).
		number("timeoutSeconds", p.Timeout).number("successThreshold", p.SuccessThreshold).number("failureThreshold", p.FailureThreshold)
}

func peers(list []definition.Peer) []any {
	out := []any{}
	for _, p := range list {
		out = append(out, flow(fields{{"projectId", p.Project}, {"service", p.Service}}))
	}
	return out
}

func affinity(list []definition.Affinity) []any {
	var out []any
	for _, a := range list {
		kind, operator, weight := "service", "preferred", a.Weight
		if a.Node {
			kind = "node"
		}
		if a.Required {
			operator = "required"
		}
		if a.Away {
			weight = -weight
		}
		f := fields{{"type", kind}, {"operator", operator}, {"weight", weight}}.text("topologyKey", a.Topology)
		if len(a.Projects) > 0 {
			f = f.with("projects", flow(a.Projects))
		}
		terms := []any{}
		for _, t := range a.Terms {
			term := fields{{"key", t.Key}, {"operator", string(t.Operator)}}
			if len(t.Values) > 0 {
				term = term.with("values", t.Values)
			}
			terms = append(terms, flow(term))
		}
		out = append(out, f.with("matchExpressions", terms))
	}
	return out
}

func (w writer) routes(r *definition.Routes) any {
	list := []any{}
	for _, route := range r.Routes {
		list = append(list, w.route(route))
	}
	return w.document(envelope{
		api: "/v1/runner/{project}/service-routes/{id}", typ: "service-route",
		meta: [][2]string{{"project", r.Project.Value}, {"id", r.ID.Value}},
		kind: "ServiceRoutes", name: r.ID.Value, project: r.Project.Value, control: r.Control,
		spec: fields{{"routes", list}},
	})
}

func (w writer) route(r definition.Route) fields {
	source := fields{{"port", r.Port}}
	if r.TCP {
		source = source.with("protocol", "tcp")
	}
	matchers, targets := []any{}, []any{}
	for _, m := range r.Matchers {
		matchers = append(matchers, matcher(m))
	}
	for _, t := range r.Targets {
		f := fields{}
		switch {
		case t.External():
			f = f.with("type", "external").with("host", t.Host.Value)
			if t.TLS {
				f = f.with("scheme", "https")
			}
		case w.spaceCloud():
			f = f.with("type", "version").with("version", t.Version.Value)
		default:
			f = f.with("version", t.Version.Value)
		}
		targets = append(targets, flow(f.number("port", t.Port).with("weight", t.Weight)))
	}
	return fields{{"source", flow(source)}}.list("matchers", matchers).number("requestRetries", r.Retries).
		number("requestTimeout", r.TimeoutSeconds).with("targets", targets)
}

func matcher(m definition.Matcher) fields {
	out := fields{}
	if m.URL.Kind != "" {
		url := match(m.URL)
		if m.IgnoreCase {
			url = url.with("ignoreCase", true)
		}
		out = out.with("url", flow(url))
	}
	headers := []any{}
	for _, h := range m.Headers {
		headers = append(headers, flow(append(fields{{"key", h.Key}}, match(h.Match)...)))
	}
	return out.list("headers", headers)
}

func match(m definition.Match) fields {
	return fields{{"type", string(m.Kind)}}.text("value", m.Value)
}
