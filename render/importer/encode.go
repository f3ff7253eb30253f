package importer

import (
	"bytes"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// fields is a mapping whose keys stand in the order in which people read them.
type fields []field

type field struct {
	key   string
	value any
}

// with adds a field.
func (f fields) with(key string, value any) fields { return append(f, field{key, value}) }

// text adds a text that is not empty.
func (f fields) text(key, value string) fields {
	if value == "" {
		return f
	}
	return f.with(key, value)
}

// number adds a number that is not 0.
func (f fields) number(key string, value int) fields {
	if value == 0 {
		return f
	}
	return f.with(key, value)
}

// set adds a mapping that is not empty.
func (f fields) set(key string, value fields) fields {
	if len(value) == 0 {
		return f
	}
	return f.with(key, value)
}

// list adds a list that is not empty.
func (f fields) list(key string, value []any) fields {
	if len(value) == 0 {
		return f
	}
	return f.with(key, value)
}

// oneLine is a value that is written on one line.
type oneLine struct{ value any }

func flow(value any) any { return oneLine{value} }

// node is a value as YAML: text, numbers, truth, lists and fields of them.
func node(value any) *yaml.Node {
	list := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	switch v := value.(type) {
	case fields:
		out := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		for _, e := range v {
			out.Content = append(out.Content, text(e.key), node(e.value))
		}
		return out
	case oneLine:
		out := node(v.value)
		out.Style = yaml.FlowStyle
		return out
	case []any:
		for _, item := range v {
			list.Content = append(list.Content, node(item))
		}
		return list
	case []string:
		for _, item := range v {
			list.Content = append(list.Content, text(item))
		}
		return list
	case int:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.Itoa(v)}
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(v)}
	}
	s, _ := value.(string)
	return text(s)
}

// text is a text that reads back as the same text, whatever it looks like.
func text(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	lines := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
	switch {
	case !strings.Contains(s, "\n"):
		if strings.TrimSpace(s) != s || strings.ContainsFunc(s, special) || truth(s) {
			n.Style = yaml.DoubleQuotedStyle
		}
	case strings.HasPrefix(s, " "), strings.HasPrefix(s, "\n"), strings.HasSuffix(s, "\n\n"), strings.ContainsFunc(s, special):
		n.Style = yaml.DoubleQuotedStyle
	default:
		n.Style = yaml.LiteralStyle
		for _, line := range lines {
			if strings.TrimRight(line, " ") != line {
				n.Style = yaml.DoubleQuotedStyle // blanks that nobody sees
			}
		}
	}
	return n
}

// truth tells of words that some readers of YAML take for true or false.
func truth(s string) bool {
	switch strings.ToLower(s) {
	case "y", "n", "yes", "no", "on", "off":
		return true
	}
	return false
}

// special tells of characters that plain and literal texts do not keep.
func special(c rune) bool {
	return c != '\n' && c < ' ' || c == 0x7f || c == 0x85 || c == 0x2028 || c == 0x2029 || c == 0xfeff
}

func encode(value any) ([]byte, error) {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	e.CompactSeqIndent()
	if err := e.Encode(node(value)); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
