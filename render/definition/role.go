package definition

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// role reads a role of a service.
func (r *reader) role(e envelope) *Role {
	out := &Role{Project: e.project, ID: e.id, Service: e.service, Control: e.control, At: e.at}
	known := []string{"service", "type", "rules"}
	if r.form == FormSpaceCloud {
		known = append(known, "id", "name", "project", "projectId", "serviceId")
	}
	typ := Text{Value: "project"}
	r.mapping(e.spec, "the role", known, func(k, n *yaml.Node) bool {
		switch k.Value {
		case "service":
			if t := r.text(n, "spec.service"); r.form == FormPlumbline {
				out.Service = t
			}
		case "type":
			typ = r.text(n, "spec.type")
		case "rules":
			r.list(n, "rules", func(n *yaml.Node) { r.rule(n, out) })
		default:
			return contains(known, k.Value)
		}
		return true
	})
	switch value := r.folded(typ.Value); value {
	case "project", "cluster":
		out.Cluster = value == "cluster"
	default:
		r.unknownValue(typ, "role type", "project", "cluster")
	}
	if rules := get(e.spec, "rules"); rules == nil || isEmpty(rules) {
		r.errorf(CodeMissing, e.at, "the role needs rules: what the service may do")
	}
	return r.namedRole(e, out)
}

func (r *reader) namedRole(e envelope, out *Role) *Role {
	ok := r.projectName(out.Project)
	if out.Service.Value == "" {
		r.errorf(CodeMissing, e.at, "the role needs %s: who has it", serviceField(r.form))
	}
	ok = r.serviceName(out.Service, "the role's service") && ok
	if !isRoleName(out.ID.Value) {
		if out.ID.Value != "" {
			r.badName(out.ID, "the role's id", "letters, digits, '-', '_' and '.', at most 180")
		}
		ok = false
	}
	if !ok {
		return nil
	}
	return out
}

func serviceField(form Form) string {
	if form == FormSpaceCloud {
		return "meta.serviceId"
	}
	return "spec.service"
}

// folded is a word in lower case where the form does not mind.
func (r *reader) folded(s string) string {
	if r.form == FormSpaceCloud {
		return strings.ToLower(s)
	}
	return s
}

// isRoleName leaves room for the project in the name of a ClusterRole.
func isRoleName(s string) bool { return isDataKey(s) && len(s) <= maxSubdomain-maxLabel-10 }

func (r *reader) rule(n *yaml.Node, out *Role) {
	rule := Rule{}
	before := len(r.found)
	if !r.mapping(n, "a rule", []string{"apiGroups", "resources", "verbs"}, func(k, v *yaml.Node) bool {
		words := func(what string) (list []string) {
			r.list(v, what, func(n *yaml.Node) { list = append(list, r.text(n, "an entry of "+what).Value) })
			return list
		}
		switch k.Value {
		case "apiGroups":
			rule.APIGroups = words("apiGroups")
		case "resources":
			rule.Resources = words("resources")
		case "verbs":
			rule.Verbs = words("verbs")
		default:
			return false
		}
		return true
	}) {
		return
	}
	if len(r.found) > before && hasErrors(r.found[before:]) {
		return
	}
	for _, f := range []struct {
		name string
		list []string
	}{{"apiGroups ('' is the core group)", rule.APIGroups}, {"resources", rule.Resources}, {"verbs", rule.Verbs}} {
		if len(f.list) == 0 {
			r.errorf(CodeMissing, posOf(n), "a rule needs %s", f.name)
			return
		}
	}
	out.Rules = append(out.Rules, rule)
}
