package definition

import (
	"bytes"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/plumbline-dev/plumbline"
)

// Convert gives the Space Cloud documents of a file their plumbline.dev/v1
// form, so that overlays can patch them; other documents stay as they are, and
// those of the gateway are left out. What the new form has no field for is
// dropped, and what Space Cloud implies is written down. The violations are
// those of the Space Cloud documents; with an error among them there is no
// output.
func Convert(file []byte) ([]byte, []plumbline.Violation) {
	chunks, violations := Split(file)
	var out bytes.Buffer
	for i, c := range chunks {
		text, found := convert(c)
		violations = append(violations, found...)
		if len(text) == 0 {
			continue
		}
		if i > 0 && !bytes.HasPrefix(text, []byte("---")) {
			out.WriteString("---\n")
		}
		out.Write(text)
		if !bytes.HasSuffix(text, []byte("\n")) {
			out.WriteByte('\n')
		}
	}
	if len(plumbline.Errors(violations)) > 0 {
		return nil, violations
	}
	return out.Bytes(), violations
}

func convert(c Chunk) ([]byte, []plumbline.Violation) {
	var p problems
	root := load(c.Text, &p)
	if root != nil {
		root = resolve(root)
	}
	switch {
	case root == nil || root.Kind != yaml.MappingNode:
		return c.Text, nil
	case isBatch(root):
		var text []byte
		var violations []plumbline.Violation
		for _, item := range get(root, "specs").Content {
			one, found := convertDocument(resolve(item), c.Before)
			violations = append(violations, found...)
			if len(one) > 0 {
				text = append(append(text, "---\n"...), one...)
			}
		}
		return text, violations
	case isSpaceCloud(root, scalar(root, "apiVersion")):
		return convertDocument(root, c.Before)
	}
	return c.Text, nil
}

// convertDocument converts one Space Cloud document; before is the number of
// lines of the file before it.
func convertDocument(root *yaml.Node, before int) ([]byte, []plumbline.Violation) {
	d, r := &Document{}, &reader{}
	d.read(r, root, 1)
	var violations []plumbline.Violation
	for _, v := range r.found {
		violations = append(violations, Source{Before: before}.Place(v))
	}
	n := d.kubernetesForm(get(root, "spec"))
	if n == nil || hasErrors(violations) {
		return nil, violations
	}
	text, err := yaml.Marshal(n)
	if err != nil {
		p := problems{}
		p.errorf(CodeSyntax, Pos{before + 1, 1}, "the document cannot be written in the form of %s", plumbline.APIVersion)
		return nil, append(violations, p.found...)
	}
	return text, violations
}

// kubernetesForm is the document's one definition as a plumbline.dev/v1
// document; nil where there is none.
func (d *Document) kubernetesForm(spec *yaml.Node) *yaml.Node {
	if spec == nil || spec.Kind != yaml.MappingNode {
		spec = &yaml.Node{Kind: yaml.MappingNode}
	}
	switch {
	case len(d.Versions) == 1:
		v := d.Versions[0]
		body := mappingNode("id", str(v.ID.Value), "version", str(v.Version.Value))
		body.Content = append(body.Content, selected(spec, serviceShape()).Content...)
		setAffinity(body, v.Affinity)
		return kubernetesDocument("ServiceVersion", v.Name(), v.Project.Value, v.Control, body)
	case len(d.Routes) == 1:
		v := d.Routes[0]
		return kubernetesDocument("ServiceRoutes", v.ID.Value, v.Project.Value, v.Control, selected(spec, routesShape()))
	case len(d.Secrets) == 1:
		v := d.Secrets[0]
		return kubernetesDocument("ServiceSecret", v.ID.Value, v.Project.Value, v.Control, selected(spec, secretShape()))
	case len(d.Roles) == 1:
		v := d.Roles[0]
		body := mappingNode("service", str(v.Service.Value))
		body.Content = append(body.Content, selected(spec, roleShape()).Content...)
		return kubernetesDocument("ServiceRole", v.ID.Value, v.Project.Value, v.Control, body)
	case len(d.Projects) == 1:
		v := d.Projects[0]
		return kubernetesDocument("Project", v.ID.Value, "", v.Control, nil)
	}
	return nil
}

func kubernetesDocument(kind, name, namespace string, control Control, spec *yaml.Node) *yaml.Node {
	meta := mappingNode("name", str(name))
	if namespace != "" {
		meta.Content = append(meta.Content, str("namespace"), str(namespace))
	}
	if a := controlNode(control); len(a.Content) > 0 {
		meta.Content = append(meta.Content, str("annotations"), a)
	}
	doc := mappingNode("apiVersion", str(plumbline.APIVersion), "kind", str(kind), "metadata", meta)
	if spec != nil {
		doc.Content = append(doc.Content, str("spec"), spec)
	}
	return doc
}

func controlNode(c Control) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	add := func(key, value string, set bool) {
		if set {
			n.Content = append(n.Content, str(key), str(value))
		}
	}
	add(plumbline.AnnotationAdopt, "true", c.Adopt)
	add(plumbline.AnnotationDrift, "report", c.ReportDrift)
	add(plumbline.AnnotationPrune, "disabled", c.KeepOnPrune)
	add(plumbline.AnnotationWave, strconv.Itoa(c.WaveShift), c.WaveShift != 0)
	return n
}

// shape says which fields of a mapping are kept, under which name, and how
// their values change. A nil change keeps the value.
type shape map[string]kept

type kept struct {
	as     string // "" is the same name
	change func(owner, value *yaml.Node) *yaml.Node
}

// selected is the part of a mapping that a shape keeps. Aliases and merged keys
// are written out.
func selected(n *yaml.Node, s shape) *yaml.Node {
	out := &yaml.Node{Kind: yaml.MappingNode}
	n = resolve(n)
	if n.Kind != yaml.MappingNode {
		return copied(n)
	}
	for _, pair := range flattened(n) {
		k, ok := s[pair.key]
		if !ok || isNull(pair.value) {
			continue
		}
		value := copied(pair.value)
		if k.change != nil {
			value = k.change(n, pair.value)
		}
		if value == nil {
			continue
		}
		name := k.as
		if name == "" {
			name = pair.key
		}
		out.Content = append(out.Content, str(name), value)
	}
	return out
}

// each is a change that applies a shape to every item of a list.
func each(s shape, and func(item *yaml.Node, out *yaml.Node)) func(_, n *yaml.Node) *yaml.Node {
	return func(_, n *yaml.Node) *yaml.Node {
		out := &yaml.Node{Kind: yaml.SequenceNode}
		for _, item := range n.Content {
			item = resolve(item)
			made := selected(item, s)
			if and != nil && item.Kind == yaml.MappingNode {
				and(item, made)
			}
			out.Content = append(out.Content, made)
		}
		return out
	}
}

func within(s shape) func(_, n *yaml.Node) *yaml.Node {
	return func(_, n *yaml.Node) *yaml.Node { return selected(n, s) }
}

func serviceShape() shape {
	peers := kept{change: each(shape{"projectId": {}, "service": {}}, nil)}
	return shape{
		"scale":     {change: within(shape{"replicas": {}, "minReplicas": {}, "maxReplicas": {}, "concurrency": {}, "mode": {}})},
		"autoScale": {change: within(autoScaleShape())},
		"labels": {change: func(_, n *yaml.Node) *yaml.Node {
			out := &yaml.Node{Kind: yaml.MappingNode}
			for _, p := range flattened(n) {
				if !isSpaceCloudLabel(p.key) {
					out.Content = append(out.Content, str(p.key), text(p.value))
				}
			}
			return out
		}},
		"tasks":                  {change: each(taskShape(), addRuntime)},
		"affinity":               {change: func(_, _ *yaml.Node) *yaml.Node { return &yaml.Node{Kind: yaml.SequenceNode} }},
		"whitelists":             peers,
		"upstreams":              peers,
		"statsInclusionPrefixes": {},
	}
}

func autoScaleShape() shape {
	return shape{
		"pollingInterval": {}, "coolDownInterval": {}, "minReplicas": {}, "maxReplicas": {},
		"triggers": {change: each(shape{
			"name": {}, "type": {}, "metadata": {change: triggerMetadata},
			"authRef": {change: within(shape{"secretMapping": {change: each(shape{"param": {}, "key": {}}, nil)}})},
		}, nil)},
	}
}

// triggerMetadata writes down the one measure of cpu and memory that there is
// besides percents.
func triggerMetadata(owner, n *yaml.Node) *yaml.Node {
	out := copied(n)
	switch TriggerType(scalar(owner, "type")) {
	case TriggerCPU, TriggerMemory:
		if m := get(out, "type"); m != nil && m.Value == "Value" {
			m.Value = "AverageValue"
		}
	}
	return out
}

// setAffinity replaces affinity by what was understood of it: signs and old
// names mean something else, or nothing, outside of Space Cloud.
func setAffinity(body *yaml.Node, affinity []Affinity) {
	list := get(body, "affinity")
	if list == nil {
		return
	}
	for _, a := range affinity {
		weight, kind, operator := a.Weight, "service", "preferred"
		if a.Away {
			weight = -weight
		}
		if a.Node {
			kind = "node"
		}
		if a.Required {
			operator = "required"
		}
		item := mappingNode("type", str(kind), "weight", number(weight), "operator", str(operator))
		if !a.Node {
			item.Content = append(item.Content, mappingNode("topologyKey", str(a.Topology)).Content...)
		}
		if len(a.Projects) > 0 {
			item.Content = append(item.Content, str("projects"), texts(a.Projects))
		}
		terms := &yaml.Node{Kind: yaml.SequenceNode}
		for _, t := range a.Terms {
			term := mappingNode("key", str(t.Key), "operator", str(string(t.Operator)))
			if len(t.Values) > 0 {
				term.Content = append(term.Content, str("values"), texts(t.Values))
			}
			terms.Content = append(terms.Content, term)
		}
		item.Content = append(item.Content, str("matchExpressions"), terms)
		list.Content = append(list.Content, item)
	}
}

func number(n int) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.Itoa(n)}
}

func texts(list []string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode}
	for _, s := range list {
		n.Content = append(n.Content, str(s))
	}
	return n
}

func roleShape() shape {
	return shape{
		"type":  {change: folded},
		"rules": {change: each(shape{"apiGroups": {}, "resources": {}, "verbs": {}}, nil)},
	}
}

// folded is a word in lower case.
func folded(_, n *yaml.Node) *yaml.Node { return str(strings.ToLower(n.Value)) }

func taskShape() shape {
	return shape{
		"id":    {},
		"ports": {change: each(portShape(), addServicePort)},
		"resources": {change: within(shape{
			"cpu": {}, "memory": {}, "gpu": {change: within(shape{"type": {}, "value": {}})},
			"limits": {change: within(shape{"cpu": {}, "memory": {}})},
		})},
		"docker": {change: within(shape{
			"image": {}, "cmd": {}, "secret": {},
			"imagePullPolicy": {change: func(_, n *yaml.Node) *yaml.Node {
				if n.Value == "pull-if-not-exists" {
					return str(n.Value)
				}
				return str("always")
			}},
		})},
		"env":     {},
		"secrets": {},
		"probes":  {},
	}
}

func portShape() shape {
	return shape{
		"name": {},
		"protocol": {change: func(_, n *yaml.Node) *yaml.Node {
			switch p := Protocol(strings.ToLower(n.Value)); p {
			case ProtocolH2C, ProtocolGRPC, ProtocolTCP:
				return str(string(p))
			}
			return str(string(ProtocolHTTP))
		}},
		"port": {},
	}
}

// addServicePort writes down that a port is called by its own number.
func addServicePort(item, out *yaml.Node) {
	if p := get(item, "port"); p != nil {
		out.Content = append(out.Content, str("servicePort"), copied(p))
	}
}

// addRuntime writes down the variable that every container gets.
func addRuntime(item, out *yaml.Node) {
	env := get(out, "env")
	if env == nil {
		env = &yaml.Node{Kind: yaml.MappingNode}
		out.Content = append(out.Content, str("env"), env)
	}
	if get(env, "SC_RUNTIME") == nil {
		env.Content = append(env.Content, str("SC_RUNTIME"), str(scalar(item, "runtime")))
	}
}

func secretShape() shape {
	return shape{"type": {}, "rootPath": {}, "rootpath": {as: "rootPath"}, "data": {}}
}

func routesShape() shape {
	target := shape{
		"version": {change: unless("external")}, "host": {change: only("external")}, "scheme": {change: only("external")},
		"port": {}, "weight": {},
		"type": {change: func(_, n *yaml.Node) *yaml.Node {
			if t := strings.ToLower(n.Value); t != "internal" {
				return str(t)
			}
			return str("version")
		}},
	}
	match := shape{"type": {change: folded}, "value": {}}
	header := shape{"key": {}, "type": {change: folded}, "value": {}}
	url := func(_, n *yaml.Node) *yaml.Node {
		if scalar(n, "type") == "" && scalar(n, "value") == "" {
			return nil
		}
		out := selected(n, match)
		if scalar(n, "ignoreCase") == "true" || scalar(n, "isIgnoreCase") == "true" {
			out.Content = append(out.Content, str("ignoreCase"), &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: "true"})
		}
		return out
	}
	return shape{"routes": {change: each(shape{
		"source":         {change: within(shape{"protocol": {change: folded}, "port": {}})},
		"targets":        {change: each(target, nil)},
		"requestRetries": {}, "requestTimeout": {},
		"matchers": {change: each(shape{"url": {change: url}, "headers": {change: each(header, nil)}}, nil)},
	}, nil)}}
}

// only keeps a field of a target of a type; unless keeps it of the others.
func only(typ string) func(owner, n *yaml.Node) *yaml.Node {
	return func(owner, n *yaml.Node) *yaml.Node {
		if strings.ToLower(scalar(owner, "type")) != typ {
			return nil
		}
		return folded(nil, n)
	}
}

func unless(typ string) func(owner, n *yaml.Node) *yaml.Node {
	return func(owner, n *yaml.Node) *yaml.Node {
		if strings.ToLower(scalar(owner, "type")) == typ {
			return nil
		}
		return copied(n)
	}
}

type pair struct {
	key   string
	value *yaml.Node
}

// flattened is a mapping's entries, those that it merges in included.
func flattened(n *yaml.Node) []pair {
	var out []pair
	seen := map[string]bool{}
	add := func(key string, v *yaml.Node) {
		if !seen[key] {
			seen[key] = true
			out = append(out, pair{key, resolve(v)})
		}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Tag != mergeTag {
			add(n.Content[i].Value, n.Content[i+1])
		}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Tag != mergeTag {
			continue
		}
		v := resolve(n.Content[i+1])
		sources := []*yaml.Node{v}
		if v.Kind == yaml.SequenceNode {
			sources = v.Content
		}
		for _, s := range sources {
			if s = resolve(s); s.Kind == yaml.MappingNode {
				for _, p := range flattened(s) {
					add(p.key, p.value)
				}
			}
		}
	}
	return out
}

// copied is a value on its own: without anchors, aliases and comments.
func copied(n *yaml.Node) *yaml.Node {
	n = resolve(n)
	out := &yaml.Node{Kind: n.Kind, Tag: n.Tag, Value: n.Value, Style: n.Style}
	if n.Kind == yaml.MappingNode {
		for _, p := range flattened(n) {
			out.Content = append(out.Content, str(p.key), copied(p.value))
		}
		return out
	}
	for _, c := range n.Content {
		out.Content = append(out.Content, copied(c))
	}
	return out
}

// str is text that reads back as text, whatever it looks like.
func str(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	return n
}

// text is a scalar as text.
func text(n *yaml.Node) *yaml.Node {
	if n.Kind != yaml.ScalarNode {
		return copied(n)
	}
	if isNull(n) {
		return str("")
	}
	return str(n.Value)
}

func mappingNode(pairs ...any) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, p := range pairs {
		switch p := p.(type) {
		case string:
			n.Content = append(n.Content, str(p))
		case *yaml.Node:
			n.Content = append(n.Content, p)
		}
	}
	return n
}
