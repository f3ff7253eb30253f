package definition

import (
	"cmp"
	"math"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/plumbline-dev/plumbline"
)

// Form is the spelling of a document.
type Form string

// The forms.
const (
	FormPlumbline  Form = "plumbline.dev/v1"
	FormSpaceCloud Form = "Space Cloud"
)

// reader takes values out of the nodes of one document. What is wrong becomes
// a violation, and the reading goes on with the zero value.
type reader struct {
	problems
	form Form
	// observe, where it is set, is told of the keys that a mapping may have and of
	// each that it has.
	observe func(form Form, what string, known []string, key string)
	// private is set while values may be secret: no message shows them then.
	private bool
	// sealing is what is known of a document that was, or is, encrypted.
	sealing sealing
	// export, where it is set, is told what is read otherwise than it is written.
	export *export
}

// mapping calls read for every key with a value that is not null. For a key
// that read does not know it reports false, and the violation suggests the
// nearest of known. It tells whether n is a mapping.
func (r *reader) mapping(n *yaml.Node, what string, known []string, read func(key, v *yaml.Node) bool) bool {
	n = resolve(n)
	if n.Kind != yaml.MappingNode {
		r.wrongType(n, what, "a mapping")
		return false
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], resolve(n.Content[i+1])
		if r.observe != nil {
			r.observe(r.form, what, known, k.Value)
		}
		if k.Tag == mergeTag {
			r.merge(n, v, what, known, read)
			continue
		}
		if isNull(v) {
			if !contains(known, k.Value) {
				r.unknownField(k, what, known)
			}
			continue
		}
		if !read(k, v) {
			r.unknownField(k, what, known)
		}
	}
	return true
}

const mergeTag = "!!merge"

// merge reads the mappings behind a << key, except for what owner says itself.
func (r *reader) merge(owner, v *yaml.Node, what string, known []string, read func(key, v *yaml.Node) bool) {
	sources := []*yaml.Node{v}
	if v.Kind == yaml.SequenceNode {
		sources = v.Content
	}
	said := map[string]bool{}
	for i := 0; i < len(owner.Content); i += 2 {
		said[owner.Content[i].Value] = true
	}
	for _, s := range sources {
		s = resolve(s)
		r.mapping(s, what, known, func(k, v *yaml.Node) bool {
			if said[k.Value] {
				return true
			}
			said[k.Value] = true
			return read(k, v)
		})
	}
}

func (r *reader) unknownField(k *yaml.Node, what string, known []string) {
	hint := ""
	if near := cmp.Or(elsewhere(what, k.Value), Nearest(k.Value, known)); near != "" {
		hint = "; did you mean " + strconv.Quote(near) + "?"
	}
	switch {
	case isStorage(k.Value):
		r.errorf(CodeStateful, posOf(k), "%s asks for storage with %q: services are stateless, keep data in a service of its own outside of this language", what, k.Value)
	case r.form == FormSpaceCloud:
		r.warnf(CodeUnknownField, posOf(k), "%s has no field %s, it is ignored%s", what, r.key(k.Value), hint)
	default:
		r.errorf(CodeUnknownField, posOf(k), "%s has no field %s%s", what, r.key(k.Value), hint)
	}
}

func isStorage(key string) bool {
	switch strings.ToLower(key) {
	case "volumes", "volume", "storage", "volumeclaimtemplates", "persistentvolumeclaim", "persistentvolumeclaims", "pvc", "statefulset":
		return true
	}
	return false
}

// list calls read for every item.
func (r *reader) list(n *yaml.Node, what string, read func(v *yaml.Node)) {
	n = resolve(n)
	if n.Kind != yaml.SequenceNode {
		r.wrongType(n, what, "a list")
		return
	}
	for _, v := range n.Content {
		read(resolve(v))
	}
}

// text takes any scalar as it is written; null is empty.
func (r *reader) text(n *yaml.Node, what string) Text {
	n = resolve(n)
	if n.Kind != yaml.ScalarNode {
		r.wrongType(n, what, "text")
		return Text{At: posOf(n)}
	}
	if n.Tag == "!!binary" {
		r.errorf(CodeTag, posOf(n), "%s has the tag !!binary: write the text itself", what)
		return Text{At: posOf(n)}
	}
	if isNull(n) {
		return Text{At: posOf(n)}
	}
	return Text{Value: n.Value, At: posOf(n)}
}

// number takes a whole number from low to high, quoted or not.
func (r *reader) number(n *yaml.Node, what string, low, high int) (int, bool) {
	n = resolve(n)
	if n.Kind != yaml.ScalarNode || n.Tag != "!!int" && n.Tag != "!!str" && !isWhole(n) {
		r.wrongType(n, what, "a whole number")
		return 0, false
	}
	if isOctal(n.Value) {
		r.errorf(CodeAmbiguous, posOf(n), "%s is %s, which some readers take for an octal number: write it without the zero in front", what, r.shown(n.Value))
		return 0, false
	}
	v, err := strconv.ParseInt(strings.ReplaceAll(n.Value, "_", ""), 0, 64)
	if err != nil && n.Tag == "!!str" {
		r.wrongType(n, what, "a whole number")
		return 0, false
	}
	if err != nil || v < int64(low) || v > int64(high) {
		if high == math.MaxInt32 {
			r.errorf(CodeRange, posOf(n), "%s is %s; expected a number from %d", what, r.shown(n.Value), low)
		} else {
			r.errorf(CodeRange, posOf(n), "%s is %s; expected a number from %d to %d", what, r.shown(n.Value), low, high)
		}
		return 0, false
	}
	return int(v), true
}

// isWhole tells whether a value is a whole number over 64 bits.
func isWhole(n *yaml.Node) bool {
	return n.Tag == "!!float" && strings.Trim(n.Value, "+-0123456789_") == ""
}

// isOctal tells whether a number is octal to YAML 1.1 and decimal to YAML 1.2.
func isOctal(s string) bool {
	s = strings.TrimLeft(s, "+-")
	return len(s) > 1 && s[0] == '0' && strings.Trim(s, "01234567_") == ""
}

func (r *reader) wrongType(n *yaml.Node, what, expected string) {
	got := "a value"
	switch n.Kind {
	case yaml.MappingNode:
		got = "a mapping"
	case yaml.SequenceNode:
		got = "a list"
	case yaml.ScalarNode:
		got = "text"
		switch {
		case isNull(n):
			got = "nothing"
		case !r.secretive():
			got = r.shown(n.Value)
		}
	}
	r.errorf(CodeType, posOf(n), "%s must be %s, not %s", what, expected, got)
}

// secretive tells whether a value that is at hand may be secret.
func (r *reader) secretive() bool { return r.private || r.sealing.encrypted }

// shown quotes a value for a message, cut to a length that fits a line.
func (r *reader) shown(v string) string {
	if r.secretive() {
		return "a value that is not shown"
	}
	if len(v) > 40 {
		v = v[:40] + "…"
	}
	return strconv.Quote(v)
}

// key quotes a key for a message. In a secret, what cannot be a key may be a
// value: {PASSWORD:hunter2} without a blank is a key alone.
func (r *reader) key(k string) string {
	if r.secretive() && !isDataKey(k) {
		return "of a name that is not shown"
	}
	return strconv.Quote(k)
}

// enum takes one of allowed, and says the nearest of them otherwise.
func (r *reader) unknownValue(t Text, what string, allowed ...string) {
	hint := ""
	if near := Nearest(t.Value, allowed); near != "" {
		hint = "; did you mean " + strconv.Quote(near) + "?"
	}
	r.errorf(CodeEnum, t.At, "unknown %s %s: expected %s%s", what, r.shown(t.Value), strings.Join(allowed, ", "), hint)
}

func (r *reader) notYet(at Pos, what string) {
	r.errorf(CodeNotYet, at, "%s: not in this version", what)
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

func hasErrors(found []plumbline.Violation) bool { return len(plumbline.Errors(found)) > 0 }

func isEmpty(n *yaml.Node) bool {
	return isNull(n) || n.Kind != yaml.ScalarNode && len(n.Content) == 0
}

func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}

// get is the value of a key of a mapping, nil where there is none.
func get(n *yaml.Node, key string) *yaml.Node {
	n = resolve(n)
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return resolve(n.Content[i+1])
		}
	}
	return nil
}

// scalar is the text of a key of a mapping, "" where there is none.
func scalar(n *yaml.Node, key string) string {
	v := get(n, key)
	if v == nil || v.Kind != yaml.ScalarNode || isNull(v) {
		return ""
	}
	return v.Value
}
