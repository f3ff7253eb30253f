package schema

import (
	"strings"
	"unicode"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render/definition"
	"github.com/plumbline-dev/plumbline/render/definition/reference"
)

// Definitions is the schema of every document that may stand in a repository of
// definitions: those of either form, and of Kubernetes objects what all have.
// Of a kustomization it says nothing.
func Definitions() any {
	d := definitions{named: object{}}
	rules := []object{unnamed()}
	var names []string
	for _, k := range reference.Kinds() {
		names = append(names, k.Name)
	}
	rules = append(rules, plumblineKinds(names), withoutVersion(names), spaceCloudKinds())
	rules = append(rules, d.plainObjects()...)
	for _, k := range reference.Kinds() {
		rules = append(rules, d.plumbline(k))
		if k.In(definition.FormSpaceCloud) {
			rules = append(rules, d.spaceCloud(k)...)
		}
	}
	return whole("Definitions for Plumbline", object{
		"description": "A document of plumbline.dev/v1 or of Space Cloud. What has another apiVersion is a Kubernetes object, of which only what all objects have is said here.",
		"properties": object{
			"apiVersion": object{"description": "plumbline.dev/v1 of a definition.", "examples": []string{plumbline.APIVersion}},
			"kind":       object{"description": "What the document is.", "examples": names},
		},
		"allOf":       rules,
		"definitions": d.named,
	})
}

// definitions gathers the schemas of the mappings, by name.
type definitions struct{ named object }

// define adds a mapping once, and gives its name.
func (d *definitions) define(m *reference.Mapping, form definition.Form) string {
	name := camel(m.Name)
	if m.ID != "" {
		name = m.ID
	}
	if form == definition.FormSpaceCloud {
		name = "spaceCloud." + name
	}
	if _, done := d.named[name]; !done {
		d.named[name] = d.mapping(m, form)
	}
	return name
}

// camel is "an entry of whitelists" as "entryOfWhitelists".
func camel(name string) string {
	name = strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(name, "the "), "an "), "a ")
	var b strings.Builder
	up := false
	for _, c := range name {
		switch {
		case c == ' ' || c == '.':
			up = true
		case up:
			b.WriteRune(unicode.ToUpper(c))
			up = false
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

// encrypted is a document of SOPS: what its values are is hidden.
func encrypted() object { return object{"required": []string{"sops"}} }

// unnamed refuses a version of ours that does not exist.
func unnamed() object {
	return rule(has(object{"apiVersion": pattern("^plumbline")}),
		object{"properties": object{"apiVersion": constant(plumbline.APIVersion)}})
}

// plumblineKinds refuses a kind of ours that does not exist.
func plumblineKinds(names []string) object {
	known := append([]string{}, names...)
	known = append(known, "Config", "Policy") // the operator's: not definitions, and no mistake
	return rule(has(object{"apiVersion": constant(plumbline.APIVersion)}),
		object{"required": []string{"kind"}, "properties": object{"kind": object{"enum": known}}})
}

// withoutVersion asks for the apiVersion of a kind of ours.
func withoutVersion(names []string) object {
	return rule(has(object{"kind": object{"enum": names}}), object{"required": []string{"apiVersion"}})
}

// spaceCloudKinds refuses a path of Space Cloud's API that does not exist.
func spaceCloudKinds() object {
	known := []object{has(object{"api": pattern("^/?v1/config/")})}
	for _, k := range reference.Kinds() {
		if !k.In(definition.FormSpaceCloud) {
			continue
		}
		apis, types := spellings(k)
		known = append(known, has(object{"api": pattern(apis)}), has(object{"type": pattern(types)}))
	}
	condition := allOf(not(object{"required": []string{"apiVersion"}}), has(object{"api": pattern("^/v1/[^/]+/[^/]+")}))
	return rule(condition, anyOf(known...))
}

func (d *definitions) plumbline(k reference.Kind) object {
	condition := has(object{"apiVersion": constant(plumbline.APIVersion), "kind": constant(k.Name)})
	condition["not"] = encrypted()
	return rule(condition, ref(d.define(k.Envelope(definition.FormPlumbline), definition.FormPlumbline)))
}

// spaceCloud is what counts for a kind in Space Cloud's form: told by its path,
// or where that does not tell, by its type.
func (d *definitions) spaceCloud(k reference.Kind) []object {
	apis, types := spellings(k)
	byAPI := has(object{"api": pattern(apis)})
	others := []object{{"required": []string{"apiVersion"}}, encrypted()}
	if k.Name == "ServiceVersion" {
		// A role has the same path in the exports of some releases.
		others = append(others, has(object{"type": pattern("^[Ss]ervices?-[Rr]oles?$")}), has(object{"api": pattern(`/\{roleId\}/?$`)}))
	}
	byAPI["not"] = anyOf(others...)
	byType := has(object{"type": pattern(types), "meta": object{}, "spec": object{}})
	byType["not"] = anyOf(append(others, has(object{"api": pattern("^/?v1/[^/]+/")}))...)
	name := d.define(k.Envelope(definition.FormSpaceCloud), definition.FormSpaceCloud)
	return []object{rule(byAPI, ref(name)), rule(byType, ref(name))}
}

// spellings are the paths and the words by which Space Cloud's releases said
// what a document is.
func spellings(k reference.Kind) (apis, types string) {
	const runner, name = `^/?v1/runner/[^/]+/`, `[^/]+`
	switch k.Name {
	case "ServiceVersion":
		return runner + `services(/` + name + `/` + name + `)?/?$`, inAnyCase([]string{"service", "services"})
	case "ServiceRoutes":
		return runner + `service-routes/` + name + `/?$`, inAnyCase([]string{"service-route", "service-routes", "services-route", "services-routes", "service-routing"})
	case "ServiceSecret":
		return runner + `secrets(/` + name + `)?/?$`, inAnyCase([]string{"secret", "secrets", "services-secret", "services-secrets", "apply-service"})
	case "ServiceRole":
		return runner + `service-roles/` + name + `/` + name + `/?$`, inAnyCase([]string{"service-role", "service-roles", "services-role", "services-roles"})
	}
	return `^/?v1/(config/projects|runner/project)/` + name + `/?$`, inAnyCase([]string{"project", "projects"})
}
