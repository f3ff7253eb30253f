package schema

import (
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/plumbline-dev/plumbline/render/definition"
	"github.com/plumbline-dev/plumbline/render/definition/reference"
)

// mapping is the schema of a place in a form. Fields that are not known are
// errors in plumbline.dev/v1, and warnings elsewhere.
func (d *definitions) mapping(m *reference.Mapping, form definition.Form) object {
	properties, required := object{}, []string{}
	for _, f := range m.Fields {
		if !f.In(form) {
			continue
		}
		properties[f.Key] = d.field(f, form)
		if f.Required && !(form == definition.FormSpaceCloud && (m.Old || f.Key == "projectId")) {
			required = append(required, f.Key)
		}
	}
	if m.Name == "metadata" {
		for _, key := range definition.ServerFields() {
			properties[key] = object{"doNotSuggest": true}
		}
	}
	out := object{"type": []string{"object", "null"}, "properties": properties}
	if len(required) > 0 {
		out["required"] = sorted(required)
	}
	if form == definition.FormPlumbline {
		out["additionalProperties"] = false
	}
	return out
}

// field is the schema of what stands behind a key.
func (d *definitions) field(f reference.Field, form definition.Form) object {
	out := object{}
	switch f.Type {
	case reference.Object:
		out = mappingOf(f, ref(d.define(f.Of, form)))
	case reference.Objects:
		out = list(f, ref(d.define(f.Of, form)))
	case reference.Texts:
		item := object{"type": scalar(false)}
		if f.Pattern != "" && form == definition.FormPlumbline {
			item["pattern"] = f.Pattern
		}
		out = list(f, item)
	case reference.TextMap:
		out = object{"type": types(f, "object"), "additionalProperties": object{"type": scalar(false)}}
		if f.KeyPattern != "" && form == definition.FormPlumbline {
			out["patternProperties"] = object{f.KeyPattern: out["additionalProperties"]}
			out["additionalProperties"] = false
		}
	case reference.Truth:
		out = truth(f)
	case reference.Number:
		out = number(f)
		if f.Loose && form == definition.FormSpaceCloud {
			out = object{"type": scalar(f.Required)}
		}
	case reference.Text:
		out = text(f, form)
	}
	out["description"] = f.Doc
	if f.Default != "" {
		out["default"] = written(f)
	}
	return out
}

// written is a default in the type of the field.
func written(f reference.Field) any {
	if n, err := strconv.Atoi(f.Default); err == nil && f.Type == reference.Number {
		return n
	}
	if f.Type == reference.Truth {
		return f.Default == "true"
	}
	return f.Default
}

// scalar is text: a number or a word like true is read as it is written.
func scalar(required bool) []string {
	out := []string{"string", "number", "boolean"}
	if !required {
		out = append(out, "null")
	}
	return out
}

// types allows null where a field may be left out: it stands for nothing.
func types(f reference.Field, name string) any {
	if f.Required {
		return name
	}
	return []string{name, "null"}
}

// mappingOf refers to a mapping, which may be null where the field is not
// required. Beside a $ref nothing else counts, so it stands in a list.
func mappingOf(f reference.Field, part object) object {
	if f.Required {
		return allOf(part, object{"type": "object"})
	}
	return allOf(part)
}

func list(f reference.Field, item object) object {
	out := object{"type": types(f, "array"), "items": item}
	if f.Required {
		out["minItems"] = 1
	}
	return out
}

func truth(f reference.Field) object {
	if len(f.Values) > 0 {
		return object{"enum": []any{true, "true"}}
	}
	return object{"type": []string{"boolean", "string", "null"}, "pattern": "^([Tt]rue|TRUE|[Ff]alse|FALSE)$"}
}

// number is a whole number, quoted or not.
func number(f reference.Field) object {
	kinds := []string{"integer", "string"}
	if !f.Required {
		kinds = append(kinds, "null")
	}
	out := object{"type": kinds, "pattern": "^-?[0-9][0-9_]*$", "minimum": f.Low}
	if f.High > 0 {
		out["maximum"] = f.High
	}
	return out
}

func text(f reference.Field, form definition.Form) object {
	lenient := form == definition.FormSpaceCloud
	switch {
	case len(f.Values) > 0 && lenient:
		// Suggested; taken in any case, and with the words of old exports.
		kinds := []object{{"enum": f.Values}}
		if f.Loose {
			kinds = append(kinds, object{"type": scalar(f.Required)})
		} else {
			words := slices.Concat(f.Values, f.Also)
			if !f.Required {
				words = append(words, "")
			}
			kinds = append(kinds, pattern(inAnyCase(words)))
			if !f.Required {
				kinds = append(kinds, object{"type": "null"})
			}
		}
		return anyOf(kinds...)
	case len(f.Values) > 0:
		values := make([]any, 0, len(f.Values)+1)
		for _, v := range f.Values {
			values = append(values, v)
		}
		if !f.Required {
			values = append(values, nil)
		}
		return object{"enum": values}
	}
	out := object{"type": scalar(f.Required)}
	if f.Required {
		out["minLength"] = 1
	}
	if f.Pattern != "" {
		out["pattern"] = f.Pattern
		if lenient && !f.Required {
			out["pattern"] = "^$|" + f.Pattern
		}
	}
	return out
}

// inAnyCase is an expression for words whose letters may be of any case.
func inAnyCase(words []string) string {
	var all []string
	for _, w := range words {
		var b strings.Builder
		for _, c := range w {
			if unicode.IsLetter(c) {
				b.WriteString("[" + string(unicode.ToUpper(c)) + string(unicode.ToLower(c)) + "]")
			} else {
				b.WriteRune(c)
			}
		}
		all = append(all, b.String())
	}
	return "^(" + strings.Join(all, "|") + ")$"
}

func sorted(words []string) []string {
	slices.Sort(words)
	return words
}
