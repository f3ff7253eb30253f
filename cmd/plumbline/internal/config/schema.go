package config

import (
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/plumbline-dev/plumbline/render/definition"
)

// schema is what may stand at a place of the file: a mapping of known keys, a
// list of one thing, or a value.
type schema struct {
	fields map[string]field // of a mapping
	item   *schema          // of a list
	leaf   reflect.Type     // of everything else
}

type field struct {
	schema
	only  []string // what the value may be; any if nil
	bound bool
}

// schemaOf reads a schema from the tags of a struct.
func schemaOf(v any) schema { return schemaOfType(reflect.TypeOf(v)) }

func schemaOfType(t reflect.Type) schema {
	switch {
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct:
		item := schemaOfType(t.Elem())
		return schema{item: &item}
	case t.Kind() != reflect.Struct || t == reflect.TypeFor[time.Duration]() || reflect.PointerTo(t).Implements(textUnmarshaler):
		return schema{leaf: t}
	}
	s := schema{fields: map[string]field{}}
	for i := range t.NumField() {
		f := t.Field(i)
		key := f.Tag.Get("yaml")
		if key == "" || key == "-" {
			continue
		}
		only, bound := f.Tag.Lookup("only")
		s.fields[key] = field{schema: schemaOfType(f.Type), only: strings.Split(only, "|"), bound: bound}
	}
	return s
}

var textUnmarshaler = reflect.TypeFor[interface{ UnmarshalText([]byte) error }]()

// check compares n with s: unknown keys, and keys that are not built yet. What it
// refuses it takes out of n, so that the rest can be decoded and checked further.
func (p *parser) check(n *yaml.Node, s schema, path string) {
	if n.Kind == yaml.AliasNode {
		p.refuse(n, s, "%s: anchors and aliases are not taken here", path)
		return
	}
	switch {
	case s.fields != nil && n.Kind == yaml.MappingNode:
		p.checkMapping(n, s, path)
	case s.fields != nil && !empty(n):
		p.refuse(n, s, "%s: not a mapping", path)
	case s.item != nil && n.Kind == yaml.SequenceNode:
		for i, c := range n.Content {
			at := path + "[" + strconv.Itoa(i) + "]"
			if empty(c) {
				p.refuse(c, *s.item, "%s: empty", at)
				continue
			}
			p.check(c, *s.item, at)
		}
	case s.item != nil && !empty(n):
		p.refuse(n, s, "%s: not a list", path)
	case s.leaf != nil && n.Tag != "!!null":
		p.checkLeaf(n, s.leaf, path)
	}
}

// refuse says what is wrong with a value, and makes it one that says nothing.
func (p *parser) refuse(n *yaml.Node, s schema, format string, args ...any) {
	p.errorf(n.Line, format, args...)
	nothing := yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null", Line: n.Line, Column: n.Column}
	if s.fields != nil { // an item of a list that is null would not be counted
		nothing = yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: n.Line, Column: n.Column}
	}
	*n = nothing
}

// checkLeaf decodes one value, so that decoding the whole finds no mistake
// that has lost its line.
func (p *parser) checkLeaf(n *yaml.Node, t reflect.Type, path string) {
	err := n.Decode(reflect.New(t).Interface())
	var wrongType *yaml.TypeError
	switch {
	case errors.As(err, &wrongType) && n.Kind == yaml.ScalarNode:
		p.refuse(n, schema{}, "%s: %q is not %s", path, n.Value, typeName(t))
	case errors.As(err, &wrongType):
		p.refuse(n, schema{}, "%s: not %s", path, typeName(t))
	case err != nil:
		p.refuse(n, schema{}, "%s: %w", path, err)
	}
}

func typeName(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "a duration like 30s or 1h30m"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Int:
		return "a whole number"
	case t.Kind() == reflect.Slice:
		return "a list"
	case t.Kind() == reflect.Map:
		return "a mapping"
	}
	return "a string"
}

func (p *parser) checkMapping(n *yaml.Node, s schema, path string) {
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := strings.TrimPrefix(path+"."+key.Value, ".")
		f, known := s.fields[key.Value]
		switch {
		case seen[key.Value]:
			p.errorf(key.Line, "%s: a second time", at)
			key.Value = "#" + strconv.Itoa(i) // or the mapping could not be decoded
		case !known:
			p.errorf(key.Line, "%s: unknown key%s", at, didYouMean(key.Value, s))
		case f.bound && !f.takes(value):
			p.refuse(value, f.schema, "%s: %s", at, f.refusal(value))
		default:
			p.check(value, f.schema, at)
		}
		seen[key.Value] = true
	}
}

func didYouMean(key string, s schema) string {
	keys := make([]string, 0, len(s.fields))
	for k := range s.fields {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	if near := definition.Nearest(key, keys); near != "" {
		return "; did you mean " + near + "?"
	}
	return "; known are " + strings.Join(keys, ", ")
}

func (f field) takes(n *yaml.Node) bool {
	return empty(n) || n.Kind == yaml.ScalarNode && slices.Contains(f.only, n.Value)
}

func (f field) refusal(n *yaml.Node) string {
	what := "not in this version"
	if n.Kind == yaml.ScalarNode {
		what = strconv.Quote(n.Value) + " is not in this version"
	}
	if f.only[0] == "" {
		return what
	}
	last := len(f.only) - 1
	if last == 0 {
		return what + ", only " + f.only[0]
	}
	return what + ", only " + strings.Join(f.only[:last], ", ") + " and " + f.only[last]
}

func empty(n *yaml.Node) bool {
	if n.Kind == yaml.ScalarNode {
		return n.Tag == "!!null" || n.Value == ""
	}
	return len(n.Content) == 0 && n.Kind != yaml.AliasNode
}
