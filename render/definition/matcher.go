package definition

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// matchers reads the matchers of a route. One that matches everything is as
// good as none.
func (r *reader) matchers(n *yaml.Node, out *Route) {
	before := len(r.found)
	r.list(n, "matchers", func(n *yaml.Node) { r.matcher(n, out) })
	if hasErrors(r.found[before:]) {
		return
	}
	if slices.ContainsFunc(out.Matchers, func(m Matcher) bool { return m.URL.Kind == "" && len(m.Headers) == 0 }) {
		out.Matchers = nil
	}
}

func (r *reader) matcher(n *yaml.Node, out *Route) {
	m := Matcher{At: posOf(n)}
	if r.mapping(n, "a matcher", []string{"url", "headers"}, func(k, v *yaml.Node) bool {
		switch k.Value {
		case "url":
			r.matchURL(v, &m)
		case "headers":
			r.list(v, "headers", func(n *yaml.Node) { r.matchHeader(n, &m) })
		default:
			return false
		}
		return true
	}) {
		out.Matchers = append(out.Matchers, m)
	}
}

func (r *reader) matchURL(n *yaml.Node, m *Matcher) {
	known := []string{"type", "value", "ignoreCase"}
	if r.form == FormSpaceCloud {
		known = append(known, "isIgnoreCase") // as its own generator writes it
	}
	var kind, value Text
	r.mapping(n, "url", known, func(k, v *yaml.Node) bool {
		switch k.Value {
		case "type":
			kind = r.text(v, "url.type")
		case "value":
			value = r.text(v, "url.value")
		case "ignoreCase", "isIgnoreCase":
			if k.Value == "isIgnoreCase" {
				r.export.note(Repaired, posOf(k), "isIgnoreCase is ignoreCase, and has an effect now")
			}
			m.IgnoreCase = r.truth(v, "url."+k.Value) || m.IgnoreCase
			return contains(known, k.Value)
		default:
			return false
		}
		return true
	})
	if kind.Value == "" && value.Value == "" {
		return // as Space Cloud's console writes a matcher of headers only
	}
	m.URL = r.match(kind, value, posOf(n), "url", MatchExact, MatchPrefix, MatchRegex)
	if k := m.URL.Kind; (k == MatchExact || k == MatchPrefix) && !strings.HasPrefix(value.Value, "/") {
		r.errorf(CodeMatcher, value.At, "url.value is %s: a path begins with /", r.shown(value.Value))
	}
	if m.IgnoreCase && m.URL.Kind == MatchRegex {
		r.warnf(CodeIgnored, posOf(n), "ignoreCase has no effect on a regex: begin the value with (?i)")
		m.IgnoreCase = false
	}
}

func (r *reader) matchHeader(n *yaml.Node, m *Matcher) {
	var key, kind, value Text
	if !r.mapping(n, "a header", []string{"key", "type", "value"}, func(k, v *yaml.Node) bool {
		switch k.Value {
		case "key":
			key = r.text(v, "the header's key")
		case "type":
			kind = r.text(v, "the header's type")
		case "value":
			value = r.text(v, "the header's value")
		default:
			return false
		}
		return true
	}) {
		return
	}
	if !isHeaderName(key.Value) {
		if key.At == (Pos{}) {
			key.At = posOf(n)
		}
		r.errorf(CodeMatcher, key.At, "%s is no name of a header", r.shown(key.Value))
		return
	}
	name := strings.ToLower(key.Value)
	if slices.ContainsFunc(m.Headers, func(h HeaderMatch) bool { return h.Key == name }) {
		r.errorf(CodeMatcher, key.At, "header %s is in this matcher twice: remove one, or write one regex", name)
		return
	}
	match := r.match(kind, value, posOf(n), "header", MatchExact, MatchPrefix, MatchRegex, MatchPresent)
	if match.Kind != "" {
		m.Headers = append(m.Headers, HeaderMatch{Key: name, Match: match})
	}
}

// match is a match of one of the kinds in allowed; without a Kind where there
// is a problem.
func (r *reader) match(kind, value Text, at Pos, what string, allowed ...MatchKind) Match {
	var names []string
	for _, k := range allowed {
		names = append(names, string(k))
	}
	out := Match{Kind: MatchKind(r.folded(kind.Value)), Value: value.Value, At: at}
	switch {
	case out.Kind == "":
		r.errorf(CodeMissing, at, "the match of a %s needs type: %s", what, strings.Join(names, ", "))
		return Match{}
	case !contains(names, string(out.Kind)):
		r.unknownValue(kind, "type of match", names...)
		return Match{}
	case out.Kind == MatchPresent:
		out.Value = ""
	case value.Value == "":
		r.errorf(CodeMissing, at, "the match of a %s needs value", what)
		return Match{}
	case out.Kind == MatchRegex:
		r.regex(value)
	}
	return out
}

// truth takes true or false, quoted or not.
func (r *reader) truth(n *yaml.Node, what string) bool {
	n = resolve(n)
	if n.Kind == yaml.ScalarNode && (n.Tag == "!!bool" || n.Tag == "!!str") {
		switch n.Value {
		case "true", "True", "TRUE":
			return true
		case "false", "False", "FALSE":
			return false
		}
	}
	r.wrongType(n, what, "true or false")
	return false
}

func isHeaderName(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isAlphanumeric(c) && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return s != "" && len(s) <= maxSubdomain
}
