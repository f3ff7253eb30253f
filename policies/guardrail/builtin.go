package guardrail

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/plumbline-dev/plumbline"
)

// Choice enables a built-in rule.
type Choice struct {
	Name       string
	Severity   plumbline.Severity // "" keeps the rule's own
	Parameters map[string]any     // that it needs
}

// Catalogue are the built-in rules, by name. None is in force until it is
// chosen.
func Catalogue() []Rule {
	rule := func(name, about, message, expression, messageExpression string) Rule {
		at := plumbline.Origin{Path: "built-in rule " + name}
		return Rule{
			Name: name, Severity: plumbline.SeverityError, About: about, Message: message, Origin: at,
			Expression: Source{expression, at}, MessageExpression: Source{messageExpression, at},
		}
	}
	const noTag = `!c.image.contains('@') && (c.image.endsWith(':latest') || !c.image.substring(c.image.lastIndexOf('/') + 1).contains(':'))`
	const listed = `params.registries.exists(r, c.image.startsWith(r.endsWith('/') ? r : r + '/'))`
	const noLimit = `c.?resources.?limits.?memory.orValue('') == ''`
	open := rule("closed-services",
		"No service admits everyone (`projectId: '*'` in its whitelist).",
		"the whitelist admits everyone; name the callers, or the gateway's namespace",
		`!definition.spec.?whitelists.orValue([]).exists(w, w.projectId == '*')`, "")
	open.Kinds = []plumbline.GroupKind{{Group: "plumbline.dev", Kind: "ServiceVersion"}}
	return []Rule{
		open,
		rule("image-registries",
			"Images come from these registries only. Parameter `registries`: beginnings of image names, up to a slash.",
			"an image is not from a registry that is allowed",
			`containers.all(c, `+listed+`)`,
			`'not from a registry that is allowed (' + params.registries.join(', ') + '): ' + containers.filter(c, !`+listed+`).map(c, c.image).join(', ')`),
		rule("memory-limits",
			"Every container has a memory limit, so that one cannot take a node's memory from all.",
			"a container has no memory limit",
			`containers.all(c, !(`+noLimit+`))`,
			`'no memory limit: ' + containers.filter(c, `+noLimit+`).map(c, c.name).join(', ')`),
		rule("no-latest-tag",
			"Every image names a version: a tag other than `latest`, or a digest.",
			"an image has no tag, or the tag latest; name a version or a digest",
			`containers.all(c, !(`+noTag+`))`,
			`'no tag, or the tag latest; name a version or a digest: ' + containers.filter(c, `+noTag+`).map(c, c.image).join(', ')`),
		rule("no-privileged",
			"No container is privileged, and no pod uses the node's network, processes or files.",
			"a container is privileged, or the pod uses the node's network, processes or files",
			`containers.all(c, c.?securityContext.?privileged.orValue(false) != true)`+
				` && ['hostNetwork', 'hostPID', 'hostIPC'].all(f, pod[?f].orValue(false) != true)`+
				` && pod.?volumes.orValue([]).all(v, !has(v.hostPath))`, ""),
	}
}

// parametersOf are what a built-in rule needs.
func parametersOf(name string) []string {
	if name == "image-registries" {
		return []string{"registries"}
	}
	return nil
}

// Builtin is the rule that a choice enables. The error says what is wrong with
// the choice.
func Builtin(c Choice) (Rule, error) {
	all := Catalogue()
	i := slices.IndexFunc(all, func(r Rule) bool { return r.Name == c.Name })
	if i < 0 {
		var names []string
		for _, r := range all {
			names = append(names, r.Name)
		}
		return Rule{}, fmt.Errorf("name: there is no built-in rule %q; there are %s", c.Name, strings.Join(names, ", "))
	}
	r := all[i]
	switch c.Severity {
	case "":
	case plumbline.SeverityError, plumbline.SeverityWarning:
		r.Severity = c.Severity
	default:
		return Rule{}, fmt.Errorf("severity: %q is neither error nor warning", c.Severity)
	}
	needed := parametersOf(c.Name)
	for key := range c.Parameters {
		if !slices.Contains(needed, key) {
			return Rule{}, fmt.Errorf("parameters: %s has no parameter %q", c.Name, key)
		}
	}
	for _, key := range needed {
		list, ok := c.Parameters[key].([]any)
		if !ok || len(list) == 0 || slices.ContainsFunc(list, func(v any) bool { s, isText := v.(string); return !isText || s == "" }) {
			return Rule{}, errors.New("parameters: " + c.Name + " needs " + key + ", a list of texts")
		}
	}
	r.Parameters = c.Parameters
	return r, nil
}
