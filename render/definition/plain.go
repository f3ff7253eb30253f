package definition

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render/sops"
)

// plain reads a Kubernetes object that is passed through.
func (r *reader) plain(root *yaml.Node, apiVersion, kind string) *Plain {
	group, version, found := strings.Cut(apiVersion, "/")
	if !found {
		group, version = "", apiVersion
	}
	p := &Plain{Version: version, At: posOf(root)}
	secret := group == "" && kind == "Secret"
	r.private = secret
	defer func() { r.private = false }()
	if !secret && (group == "" || group == "core") && strings.EqualFold(kind, "Secret") {
		// No API server has it, and its values would be printed.
		wrong := "kind"
		if group != "" {
			wrong = "apiVersion"
		}
		r.errorf(CodeEnum, posOf(get(root, wrong)), "unknown kind %q of %q: a Secret is of kind Secret and of apiVersion v1", kind, apiVersion)
		return nil
	}

	before := len(r.found)
	fields, _ := r.value(root, kind).(map[string]any)
	if len(r.found) > before {
		return nil
	}
	meta, _ := fields["metadata"].(map[string]any)
	name, _ := meta["name"].(string)
	namespace, _ := meta["namespace"].(string)
	p.Ref = plumbline.Ref{Group: group, Kind: kind, Namespace: namespace, Name: name}
	p.Fields = fields
	if a := get(get(root, "metadata"), "annotations"); a != nil && !isNull(a) {
		p.Control = r.control(a, "metadata.annotations")
	}
	if !r.plainNames(p, root) {
		return nil
	}
	r.clean(p, meta)
	r.annotationSize(meta, root)
	r.texts(get(get(root, "metadata"), "labels"), "metadata.labels")
	if a := get(get(root, "metadata"), "annotations"); a != nil && a.Kind == yaml.MappingNode { // else it was said already
		r.texts(a, "metadata.annotations")
	}
	switch {
	case secret:
		r.secretFields(p, root)
	case group == "" && kind == "ConfigMap":
		r.texts(get(root, "data"), "data")
	}
	return p
}

// texts checks that all values of a mapping are text: an API server refuses
// what is not, and names no line.
func (r *reader) texts(n *yaml.Node, what string) {
	switch {
	case n == nil || isNull(n):
		return
	case n.Kind != yaml.MappingNode:
		r.wrongType(n, what, "a mapping of keys to text")
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], resolve(n.Content[i+1])
		switch {
		case k.Tag == mergeTag || isNull(v):
		case v.Kind != yaml.ScalarNode:
			r.wrongType(v, what+"."+k.Value, "text")
		case v.Tag != "!!str" && v.Tag != "!!timestamp":
			r.errorf(CodeType, posOf(v), "%s.%s must be text: quote it", what, k.Value)
		}
	}
}

// annotationSize refuses annotations that no API server takes.
func (r *reader) annotationSize(meta map[string]any, root *yaml.Node) {
	annotations, _ := meta["annotations"].(map[string]any)
	size := 0
	for k, v := range annotations {
		text, _ := v.(string)
		size += len(k) + len(text)
	}
	if size > MaxAnnotations {
		r.errorf(CodeTooLarge, keyPos(get(root, "metadata"), "annotations"), "the annotations have %d bytes; an API server takes %d: put large data into a ConfigMap", size, MaxAnnotations)
	}
}

// plainNames checks what identifies the object.
func (r *reader) plainNames(p *Plain, root *yaml.Node) bool {
	kind := p.Ref.Kind
	switch {
	case p.Ref.Name == "":
		r.errorf(CodePlainName, p.At, "%s needs metadata.name: a generated name cannot be followed", kind)
		return false
	case strings.ContainsAny(p.Ref.Name, " /%") || len(p.Ref.Name) > maxSubdomain:
		r.errorf(CodeName, p.At, "%s has a name that Kubernetes refuses: expected at most 253 letters, digits, '-' and '.'", kind)
		return false
	case p.Ref.Namespace == "" && isNamespaced(p.Ref.GroupKind()):
		r.errorf(CodePlainName, p.At, "%s %q needs metadata.namespace: a project", kind, p.Ref.Name)
		return false
	}
	labels := get(get(root, "metadata"), "labels")
	if labels == nil {
		return true
	}
	for i := 0; i+1 < len(labels.Content); i += 2 {
		if k := labels.Content[i]; strings.HasPrefix(k.Value, controlPrefix) {
			r.errorf(CodePlainReserved, posOf(k), "label %q is Plumbline's own: remove it", k.Value)
		}
	}
	return true
}

// isNamespaced tells of the built-in kinds; of others only the cluster knows.
func isNamespaced(k plumbline.GroupKind) bool {
	switch k.Group {
	case "":
		switch k.Kind {
		case "ConfigMap", "Secret", "Service", "ServiceAccount", "Pod", "PersistentVolumeClaim", "Endpoints",
			"LimitRange", "ResourceQuota", "ReplicationController", "PodTemplate":
			return true
		}
	case "apps", "batch", "autoscaling", "policy", "serving.knative.dev":
		return true
	case "networking.k8s.io":
		return k.Kind != "IngressClass"
	case "rbac.authorization.k8s.io":
		return k.Kind == "Role" || k.Kind == "RoleBinding"
	case "networking.istio.io", "security.istio.io", "telemetry.istio.io":
		return true
	}
	return false
}

// clean drops what only an API server writes, and what has no place in an
// apply.
func (r *reader) clean(p *Plain, meta map[string]any) {
	delete(p.Fields, "status")
	for _, k := range []string{"creationTimestamp", "generation", "resourceVersion", "uid", "managedFields", "selfLink", "deletionTimestamp"} {
		delete(meta, k)
	}
	if annotations, ok := meta["annotations"].(map[string]any); ok {
		for k := range annotations {
			if strings.HasPrefix(k, controlPrefix) || k == annotationOrigin || k == annotationMark || k == "kubectl.kubernetes.io/last-applied-configuration" {
				delete(annotations, k)
			}
		}
		if len(annotations) == 0 {
			delete(meta, "annotations")
		}
	}
	if p.Ref.GroupKind() == (plumbline.GroupKind{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"}) && p.Fields["aggregationRule"] != nil {
		delete(p.Fields, "rules")
	}
	dropEmptyBundles(p.Fields)
}

// dropEmptyBundles removes each caBundle that is empty: a controller fills it.
func dropEmptyBundles(v any) {
	switch v := v.(type) {
	case map[string]any:
		if b, ok := v["caBundle"].(string); ok && b == "" {
			delete(v, "caBundle")
		}
		for _, c := range v {
			dropEmptyBundles(c)
		}
	case []any:
		for _, c := range v {
			dropEmptyBundles(c)
		}
	}
}

// secretFields turns stringData into data, and data into values that do not
// print.
func (r *reader) secretFields(p *Plain, root *yaml.Node) {
	out := map[string]any{}
	r.secretOnly(p, root)
	for _, section := range []string{"data", "stringData"} {
		r.secretSection(get(root, section), section, &p.Sealing)
	}
	if data, ok := p.Fields["data"].(map[string]any); ok {
		for k, v := range data {
			if !isDataKey(k) {
				continue // said already
			}
			text, ok := v.(string)
			if p.Sealing.Closed && sops.IsValue(text) {
				out[k] = plumbline.NewSecretValue(text)
				continue
			}
			raw, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
			if !ok || err != nil {
				r.errorf(CodeSecretBase64, secretKeyPos(root, "data", k), "data.%s is not base64: put the text itself under stringData", k)
				continue
			}
			out[k] = plumbline.NewSecretValue(string(raw))
		}
	}
	if data, ok := p.Fields["stringData"].(map[string]any); ok {
		for k, v := range data {
			if !isDataKey(k) {
				continue // said already
			}
			text, ok := v.(string)
			if !ok {
				r.errorf(CodeType, secretKeyPos(root, "stringData", k), "stringData.%s must be text: quote it", k)
				continue
			}
			out[k] = plumbline.NewSecretValue(text)
		}
	}
	delete(p.Fields, "stringData")
	delete(p.Fields, "data")
	size := 0
	for _, v := range out {
		size += len(v.(plumbline.SecretValue).Reveal())
	}
	if size > maxSecret {
		r.errorf(CodeSecretSize, p.At, "data has %d bytes; a Secret holds at most %d", size, maxSecret)
	}
	if len(out) > 0 {
		p.Fields["data"] = out
	}
}

// secretOnly refuses what a Secret does not have. Values are hidden where they
// belong, and stringdata is not that place.
func (r *reader) secretOnly(p *Plain, root *yaml.Node) {
	r.fieldsOnly(root, "a Secret", "apiVersion", "kind", "metadata", "type", "immutable", "data", "stringData", "status")
	r.fieldsOnly(get(root, "metadata"), "metadata", "name", "namespace", "labels", "annotations", "finalizers", "ownerReferences", "generateName",
		"creationTimestamp", "generation", "resourceVersion", "uid", "managedFields", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds")
	if r.sealing.closed != "" {
		return // it may be encrypted what they are
	}
	if v, ok := p.Fields["type"]; ok {
		if _, text := v.(string); !text {
			r.wrongType(resolve(get(root, "type")), "type", "text")
		}
	}
	if v, ok := p.Fields["immutable"]; ok {
		if _, is := v.(bool); !is {
			r.wrongType(resolve(get(root, "immutable")), "immutable", "true or false")
		}
	}
}

// fieldsOnly refuses all fields of a mapping of Kubernetes but the known ones.
func (r *reader) fieldsOnly(n *yaml.Node, what string, known ...string) {
	observe := r.observe
	r.observe = nil // of our own fields
	defer func() { r.observe = observe }()
	_ = n != nil && r.mapping(n, what, known, func(k, _ *yaml.Node) bool { return slices.Contains(known, k.Value) })
}

// secretSection checks the form of data or stringData.
func (r *reader) secretSection(n *yaml.Node, section string, out *Sealing) {
	if n == nil || isNull(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		r.wrongType(n, section, "a mapping of keys to values")
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if k := n.Content[i]; k.Tag != mergeTag && !isDataKey(k.Value) {
			r.badKey(posOf(k))
		}
		r.sealed(out, n.Content[i], n.Content[i+1])
	}
}

func secretKeyPos(root *yaml.Node, section, key string) Pos {
	if n := get(get(root, section), key); n != nil {
		return posOf(n)
	}
	return posOf(root)
}

// value turns nodes into JSON values as kubectl reads them. Where YAML readers
// disagree it is an error.
func (r *reader) value(n *yaml.Node, what string) any {
	n = resolve(n)
	switch n.Kind {
	case yaml.MappingNode:
		out := make(map[string]any, len(n.Content)/2)
		r.entries(n, out)
		return out
	case yaml.SequenceNode:
		out := make([]any, 0, len(n.Content))
		for _, c := range n.Content {
			if isNull(resolve(c)) {
				r.errorf(CodePlainNull, posOf(c), "the list %q holds null: remove the item", what)
				continue
			}
			out = append(out, r.value(c, what))
		}
		return out
	default:
		return r.scalarValue(n)
	}
}

func (r *reader) entries(n *yaml.Node, out map[string]any) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], resolve(n.Content[i+1])
		switch {
		case k.Tag == mergeTag:
		case !isNull(v):
			out[k.Value] = r.value(v, k.Value)
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
			merged := map[string]any{}
			if s = resolve(s); s.Kind == yaml.MappingNode {
				r.entries(s, merged)
			}
			for k, v := range merged {
				if _, ok := out[k]; !ok {
					out[k] = v
				}
			}
		}
	}
}

func (r *reader) scalarValue(n *yaml.Node) any {
	switch n.Tag {
	case "!!str":
		if n.Style == 0 && isOldBool(n.Value) {
			r.errorf(CodeAmbiguous, posOf(n), "an unquoted %s is true or false to some readers and text to others: write true or false, or quote it", n.Value)
		}
		if n.Style == 0 && isHuge(n.Value) {
			r.errorf(CodeNumber, posOf(n), "%s is a number that JSON cannot hold: quote it if it is text", r.shown(n.Value))
		}
		return n.Value
	case "!!bool":
		return n.Value == "true" || n.Value == "True" || n.Value == "TRUE"
	case "!!int":
		return r.integer(n)
	case "!!float":
		f, err := strconv.ParseFloat(strings.ReplaceAll(n.Value, "_", ""), 64)
		if strings.Trim(n.Value, "+-0123456789_") == "" { // a whole number over 64 bits
			return r.integer(n)
		}
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			r.errorf(CodeNumber, posOf(n), "%s is a number that JSON cannot hold: quote it if it is text", r.shown(n.Value))
			return nil
		}
		return json.Number(formatFloat(f))
	case "!!timestamp":
		return n.Value
	case "!!null":
		return nil
	}
	r.errorf(CodeTag, posOf(n), "the tag %s has no meaning here: write the value without it", r.shown(n.Tag))
	return nil
}

func (r *reader) integer(n *yaml.Node) any {
	plain := strings.ReplaceAll(n.Value, "_", "")
	if i, err := strconv.ParseInt(plain, 0, 64); err == nil {
		return json.Number(strconv.FormatInt(i, 10))
	}
	if u, err := strconv.ParseUint(plain, 0, 64); err == nil {
		return json.Number(strconv.FormatUint(u, 10))
	}
	r.errorf(CodeNumber, posOf(n), "%s does not fit 64 bits: quote it if it is text", r.shown(n.Value))
	return nil
}

// formatFloat writes a number as encoding/json does.
func formatFloat(f float64) string {
	b, err := json.Marshal(f)
	if err != nil {
		return "0"
	}
	return string(b)
}

// isHuge tells whether s is written as a number and is larger than any.
func isHuge(s string) bool {
	if strings.Trim(s, "+-.0123456789_eE") != "" {
		return false
	}
	_, err := strconv.ParseFloat(strings.ReplaceAll(s, "_", ""), 64)
	return errors.Is(err, strconv.ErrRange)
}

func isOldBool(s string) bool {
	switch strings.ToLower(s) {
	case "y", "yes", "n", "no", "on", "off":
		return true
	}
	return false
}
