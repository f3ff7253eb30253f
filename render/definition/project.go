package definition

import "go.yaml.in/yaml/v3"

// project reads a project. Space Cloud's settings of a project are the
// gateway's, keys among them: they are not looked at.
func (r *reader) project(e envelope) *Project {
	out := &Project{ID: e.project, Control: e.control, At: e.at}
	if r.form == FormPlumbline {
		r.mapping(e.spec, "the project", nil, func(_, _ *yaml.Node) bool { return false })
	}
	if !r.projectName(out.ID) {
		return nil
	}
	return out
}
