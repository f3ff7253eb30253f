package overlay

import (
	"sort"
	"strings"

	"go.yaml.in/yaml/v3"
)

// secrets are the values that must not get into a message: kustomize quotes
// what it cannot read. Whatever stands under data or stringData counts, in a
// Secret or not: a message can do without it.
type secrets struct {
	values map[string]bool
	texts  [][]byte // of which the values are not taken out yet: few builds fail
}

// maxDepth bounds the walk through a document.
const maxDepth = 1000

func (s *secrets) add(value string) {
	value = strings.TrimSpace(value)
	if len(value) < 3 {
		return // would blacken every message
	}
	if s.values == nil {
		s.values = map[string]bool{}
	}
	s.values[value] = true
}

// addText takes the values of a YAML stream.
func (s *secrets) addText(stream []byte) { s.texts = append(s.texts, stream) }

// settle takes the values out of the streams.
func (s *secrets) settle() {
	for _, text := range s.texts {
		docs, _ := decode(text)
		for _, n := range docs {
			s.addNode(n, 0)
		}
	}
	if len(s.texts) > 0 {
		s.texts = nil
	}
}

// addLines takes every line, and of key=value lines the value alone too.
func (s *secrets) addLines(text string) {
	for line := range strings.Lines(text) {
		s.add(line)
		if _, value, ok := strings.Cut(line, "="); ok {
			s.add(value)
		}
	}
}

func (s *secrets) addNode(n *yaml.Node, depth int) {
	if depth > maxDepth {
		return
	}
	if n.Kind != yaml.MappingNode {
		for _, c := range n.Content {
			s.addNode(c, depth+1)
		}
		return
	}
	jsonPatch := false // an operation of a JSON patch on data
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Value == "path" && (strings.Contains(value.Value, "/data") || strings.Contains(value.Value, "/stringData")) {
			jsonPatch = true
		}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Value == "data" || key.Value == "stringData" || jsonPatch && key.Value == "value":
			s.addAll(value, depth+1)
		default:
			s.addNode(value, depth+1)
		}
	}
}

func (s *secrets) addAll(n *yaml.Node, depth int) {
	if depth > maxDepth {
		return
	}
	if n.Kind == yaml.ScalarNode {
		s.addLines(n.Value)
	}
	for i, c := range n.Content {
		if n.Kind != yaml.MappingNode || i%2 == 1 { // keys are no secret
			s.addAll(c, depth+1)
		}
	}
}

// maxMessage is what of kustomize's messages is kept, in bytes.
const maxMessage = 600

// redact makes one line of a message, without secret values.
func (s *secrets) redact(message string) string {
	s.settle()
	values := make([]string, 0, len(s.values))
	for v := range s.values {
		values = append(values, v)
	}
	// The longest first: one may be part of another.
	sort.Slice(values, func(i, j int) bool { return len(values[i]) > len(values[j]) })
	for _, v := range values {
		message = strings.ReplaceAll(message, v, "[redacted]")
	}
	message = strings.Join(strings.Fields(message), " ")
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "") + "…"
	}
	return message
}
