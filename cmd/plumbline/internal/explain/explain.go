// Package explain tells people what a word of Plumbline's means: a field of the
// definition language or of the configuration, or the code of a violation.
//
// In goes what they ask for, as "service.tasks.docker.image" or "PL2004"; out
// comes text for a terminal, or an error with the nearest word that there is.
// The facts are those of render/definition/reference, and of the packages config
// and runbook.
package explain

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/config"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/runbook"
	"github.com/plumbline-dev/plumbline/render/definition"
	"github.com/plumbline-dev/plumbline/render/definition/reference"
)

// Word explains one word. Upper and lower case are equal, and so are a field
// with and without [] and spec.
func Word(word string) (string, error) {
	if isCode(word) {
		return code(strings.ToUpper(word))
	}
	path := steps(word)
	if len(path) > 0 && strings.EqualFold(path[0], "config") {
		return key(path[1:])
	}
	k, found := kindOf(path)
	if !found {
		return "", unknown(word)
	}
	return field(k, path[1:])
}

// Kinds lists what there is to explain.
func Kinds() string {
	var p page
	p.line("Fields, as in: plumbline explain service.tasks.docker.image")
	p.line("")
	for _, k := range reference.Kinds() {
		p.row(k.Type, k.Doc)
	}
	p.row("config", "The operator's configuration.")
	p.line("")
	p.line("Codes of errors and warnings, as in: plumbline explain PL2004")
	return p.String()
}

var codePattern = regexp.MustCompile(`^(?i)pl\d+$`)

func isCode(word string) bool { return codePattern.MatchString(word) }

func code(name string) (string, error) {
	var known []string
	for _, c := range runbook.Chapters() {
		for _, e := range c.Entries {
			if e.Code == name {
				var p page
				p.line(e.Code + ": " + e.Title)
				p.paragraph("", e.Means)
				p.paragraph("WHAT TO DO", e.Fix)
				return p.String(), nil
			}
			known = append(known, e.Code)
		}
	}
	return "", fmt.Errorf("there is no code %s%s", name, didYouMean(name, known))
}

// steps splits a path, without brackets.
func steps(word string) []string {
	var out []string
	for _, s := range strings.Split(word, ".") {
		if i := strings.IndexByte(s, '['); i >= 0 {
			s = s[:i]
		}
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}

// kindOf is the kind that a path begins with: in the words of either form, or
// the last word of one, as routes.
func kindOf(path []string) (reference.Kind, bool) {
	if len(path) == 0 {
		return reference.Kind{}, false
	}
	word := strings.ToLower(path[0])
	for _, k := range reference.Kinds() {
		short := strings.TrimPrefix(k.Type, "service-")
		if slices.Contains([]string{strings.ToLower(k.Name), k.Type, k.Type + "s", short, short + "s"}, word) {
			return k, true
		}
	}
	return reference.Kind{}, false
}

// unknown says where a word that begins no path could stand.
func unknown(word string) error {
	var known []string
	for _, k := range reference.Kinds() {
		known = append(known, k.Type, k.Name)
		walk(k.Spec, k.Type, func(path string, _ reference.Field) { known = append(known, path) })
	}
	path := strings.ToLower(strings.Join(steps(word), "."))
	for _, full := range known {
		if path != "" && strings.HasSuffix(strings.ToLower(full), "."+path) {
			return fmt.Errorf("%q begins with no kind of document; did you mean %s?", word, full)
		}
	}
	first, _, _ := strings.Cut(path, ".")
	hint := didYouMean(first, known)
	if hint == "" {
		hint = "; plumbline explain without a word lists what there is"
	}
	return fmt.Errorf("%q begins with no kind of document%s", word, hint)
}

// walk visits the fields below a mapping.
func walk(m *reference.Mapping, path string, visit func(path string, f reference.Field)) {
	for _, f := range m.Fields {
		visit(path+"."+f.Key, f)
		if f.Of != nil {
			walk(f.Of, path+"."+f.Key, visit)
		}
	}
}

// field explains a field of a kind, or the kind itself.
func field(k reference.Kind, path []string) (string, error) {
	if len(path) == 0 {
		return kindPage(k), nil
	}
	at, m := "", k.Spec
	switch first := strings.ToLower(path[0]); first {
	case "spec":
		if path = path[1:]; len(path) == 0 {
			return kindPage(k), nil
		}
	case "metadata", "apiversion", "kind":
		m = k.Envelope(definition.FormPlumbline)
	case "meta", "api":
		m = k.Envelope(definition.FormSpaceCloud)
	}
	if m == k.Spec {
		at = "spec"
	}
	var found []reference.Field
	for i, step := range path {
		found = named(m, step)
		if len(found) == 0 {
			return "", fmt.Errorf("%s has no field %q%s", describe(k, at), step, suggestion(m, step))
		}
		at = strings.TrimPrefix(at+"."+found[0].Key, ".")
		if found[0].Type == reference.Objects || found[0].Type == reference.Texts {
			at += "[]"
		}
		if i+1 == len(path) {
			break
		}
		if m = found[0].Of; m == nil {
			return "", fmt.Errorf("%s is %s: it has no field %q", describe(k, at), found[0].Type, path[i+1])
		}
	}
	return fieldPage(k, at, found), nil
}

func describe(k reference.Kind, at string) string {
	return strings.TrimSuffix(k.Name+" "+at, " ")
}

// named are the fields of a name: a form may have one of its own.
func named(m *reference.Mapping, key string) []reference.Field {
	var out []reference.Field
	for _, f := range m.Fields {
		if strings.EqualFold(f.Key, key) {
			out = append(out, f)
		}
	}
	return out
}

func suggestion(m *reference.Mapping, key string) string {
	var keys []string
	for _, f := range m.Fields {
		if !slices.Contains(keys, f.Key) {
			keys = append(keys, f.Key)
		}
	}
	if hint := didYouMean(key, keys); hint != "" || len(keys) == 0 {
		return hint
	}
	slices.Sort(keys)
	return "; it has " + strings.Join(keys, ", ")
}

func didYouMean(word string, known []string) string {
	if near := definition.Nearest(word, known); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}

// key explains a key of the configuration, or lists those below it.
func key(path []string) (string, error) {
	at := strings.Join(path, ".")
	var below []config.Key
	var known []string
	for _, k := range config.Reference() {
		plain := strings.ReplaceAll(k.Path, "[]", "")
		known = append(known, plain)
		if strings.EqualFold(plain, at) {
			return keyPage(k), nil
		}
		if at == "" || strings.HasPrefix(strings.ToLower(plain), strings.ToLower(at)+".") {
			below = append(below, k)
		}
	}
	if len(below) == 0 {
		return "", fmt.Errorf("the configuration has no key %q%s", at, didYouMean(at, known))
	}
	var p page
	p.line("Config " + at)
	p.line("")
	for _, k := range below {
		doc := plain(k.Doc)
		if !k.Built {
			doc = "not in this version"
		}
		p.row(k.Path, doc)
	}
	return p.String(), nil
}

func keyPage(k config.Key) string {
	var p page
	p.line("Config " + k.Path + " <" + string(k.Type) + ">")
	if !k.Built {
		p.paragraph("", "Not in this version.")
		return p.String()
	}
	p.paragraph("", plain(k.Doc))
	if len(k.Values) > 0 {
		p.paragraph("VALUES", strings.Join(k.Values, ", "))
	}
	if k.Default != "" {
		p.paragraph("DEFAULT", k.Default)
	}
	return p.String()
}

// plain is a description without the marks of its page.
func plain(doc string) string { return strings.ReplaceAll(doc, "`", "") }

func limits(f reference.Field) string {
	if f.Type != reference.Number {
		return ""
	}
	if f.High > 0 {
		return "from " + strconv.Itoa(f.Low) + " to " + strconv.Itoa(f.High)
	}
	return "from " + strconv.Itoa(f.Low)
}
