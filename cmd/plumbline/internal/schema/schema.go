// Package schema makes the JSON Schemas of what people write: of definitions,
// from render/definition/reference, and of the operator's configuration, from
// package config. Editors complete and check by them.
//
// Nothing goes in, out come values to be written as JSON. They are of draft-07,
// which every editor reads. What a schema takes is never more wrong than what
// plumbline validate takes: a document that is right passes, a wrong one need
// not be refused.
package schema

const draft = "http://json-schema.org/draft-07/schema#"

// object is a part of a schema.
type object = map[string]any

// whole is a schema of its own.
func whole(title string, parts object) object {
	parts["$schema"] = draft
	parts["title"] = title
	return parts
}

// rule is a part that counts for what condition is true of.
func rule(condition, consequence object) object {
	return object{"if": condition, "then": consequence}
}

func constant(value any) object { return object{"const": value} }

func pattern(p string) object { return object{"type": "string", "pattern": p} }

func ref(name string) object { return object{"$ref": "#/definitions/" + name} }

// has asks for keys, and for what stands behind some of them.
func has(properties object) object {
	required := make([]string, 0, len(properties))
	for key := range properties {
		required = append(required, key)
	}
	return object{"required": sorted(required), "properties": properties}
}

func not(part object) object { return object{"not": part} }

func allOf(parts ...object) object { return object{"allOf": parts} }

func anyOf(parts ...object) object { return object{"anyOf": parts} }
