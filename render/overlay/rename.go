package overlay

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/resource"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render/definition"
)

// renames are what a build calls services and secrets by now. Kustomize itself
// adds prefixes and suffixes, to spec.id too, and follows them where one name
// stands for another. A service is called by its id, which is no object's name:
// what refers to it is followed here.
type renames struct {
	services map[place][]renamed
	secrets  map[place][]renamed
}

// place is an id in a project: the id of the source document, the project as it
// is built.
type place struct{ project, id string }

// renamed is what became of an id.
type renamed struct{ affixes, id string }

// named is what is called by an id, and the id now.
type named struct {
	*resource.Resource
	mark
	now string
}

// renameAll settles the names of definitions: that of a version is made of id
// and version, a Project is its namespace, and references follow. A reference
// means the copy that was named in the same way as what refers to it.
func renameAll(resources []*resource.Resource, affixed bool) error {
	all := renames{services: map[place][]renamed{}, secrets: map[place][]renamed{}}
	var referrers []named
	changed := false
	for _, r := range resources {
		n := named{Resource: r, now: r.GetName()}
		n.mark, _ = markOf(r)
		switch kindOf(r) {
		case "ServiceVersion":
			n.now = scalar(value(r.YNode(), "spec"), "id")
			if err := n.join(); err != nil {
				return err
			}
			all.note(all.services, n)
			referrers = append(referrers, n)
		case "ServiceSecret", "Secret":
			all.note(all.secrets, n)
		case "ServiceRole":
			referrers = append(referrers, n)
		case "Project":
			if err := n.project(affixed); err != nil {
				return err
			}
			continue
		default:
			continue
		}
		changed = changed || n.id != "" && n.now != n.id
	}
	if !changed {
		return nil
	}
	for _, r := range referrers {
		if err := all.follow(r); err != nil {
			return err
		}
	}
	return nil
}

// kindOf is the kind of a definition, or of a plain Secret.
func kindOf(r *resource.Resource) string {
	kind := r.GetKind()
	if version := r.GetApiVersion(); version == plumbline.APIVersion || version == "v1" && kind == "Secret" {
		return kind
	}
	return ""
}

func (r *renames) note(in map[place][]renamed, n named) {
	if n.id == "" {
		return
	}
	at := place{n.GetNamespace(), n.id}
	to := renamed{affixes(n.id, n.now), n.now}
	if !slices.Contains(in[at], to) {
		in[at] = append(in[at], to)
	}
}

// affixes are what was put before and after an id.
func affixes(id, now string) string {
	before, after, _ := strings.Cut(now, id)
	return before + "|" + after
}

// join names a version after its id and version, where kustomize put before and
// after the name what it put before and after the id. Where it did not, somebody
// changed the one without the other.
func (n named) join() error {
	version := scalar(value(n.YNode(), "spec"), "version")
	want := definition.Join(n.now, version)
	if n.now == "" || version == "" || n.GetName() == want {
		return nil
	}
	for i := 0; n.id != "" && version == n.version; i++ {
		at := strings.Index(n.now[i:], n.id)
		if at < 0 {
			break
		}
		i += at
		if n.GetName() == n.now[:i]+definition.Join(n.id, version)+n.now[i+len(n.id):] {
			return n.SetName(want)
		}
	}
	return fmt.Errorf("ServiceVersion %s would be named %s: spec.id and spec.version make the name; use namePrefix, nameSuffix or namespace, or patch all three", want, n.GetName())
}

// project names a Project after its namespace. Without one it keeps its name:
// as that of a Namespace, no prefix changes it.
func (n named) project(affixed bool) error {
	switch namespace := n.GetNamespace(); {
	case namespace != "":
		return n.SetName(namespace)
	case affixed && n.id != "":
		return n.SetName(n.id)
	}
	return nil
}

// follow writes the new ids into what refers to others.
func (r *renames) follow(n named) error {
	spec := value(n.YNode(), "spec")
	own := n.GetNamespace()
	if n.GetKind() == "ServiceRole" {
		return r.set(value(spec, "service"), r.services, own, n)
	}
	for _, list := range []string{"whitelists", "upstreams"} {
		for _, peer := range items(value(spec, list)) {
			if err := r.peer(peer, own, n); err != nil {
				return err
			}
		}
	}
	for _, a := range items(value(spec, "affinity")) {
		if scalar(a, "type") == "node" {
			continue
		}
		for _, e := range items(value(a, "matchExpressions")) {
			if scalar(e, "key") != "app" {
				continue
			}
			for _, v := range items(value(e, "values")) {
				if err := r.set(v, r.services, own, n); err != nil {
					return err
				}
			}
		}
	}
	for _, t := range items(value(value(spec, "autoScale"), "triggers")) {
		for _, m := range items(value(value(t, "authRef"), "secretMapping")) {
			if err := r.key(value(m, "key"), own, n); err != nil {
				return err
			}
		}
	}
	return nil
}

// peer follows a whitelist or an upstream: a service of the own project, of
// another, or a host's name.
func (r *renames) peer(peer *yaml.Node, own string, n named) error {
	service := value(peer, "service")
	project := scalar(peer, "projectId")
	switch {
	case service == nil || service.Kind != yaml.ScalarNode:
		return nil
	case project == "" && strings.Contains(service.Value, "."):
		id, rest, _ := strings.Cut(service.Value, ".")
		of, _, _ := strings.Cut(rest, ".")
		bare := word(id)
		if err := r.set(bare, r.services, of, n); err != nil {
			return err
		}
		service.Value = bare.Value + "." + rest
		return nil
	case project == "" || project == definition.OwnProject:
		project = own
	}
	return r.set(service, r.services, project, n)
}

// key follows "secrets.<id>.<key>" or "<id>.<key>".
func (r *renames) key(key *yaml.Node, own string, n named) error {
	if key == nil || key.Kind != yaml.ScalarNode {
		return nil
	}
	text, prefixed := strings.CutPrefix(key.Value, "secrets.")
	id, rest, found := strings.Cut(text, ".")
	bare := word(id)
	if err := r.set(bare, r.secrets, own, n); err != nil || !found {
		return err
	}
	key.Value = bare.Value + "." + rest
	if prefixed {
		key.Value = "secrets." + key.Value
	}
	return nil
}

// set writes what became of an id in its place.
func (r *renames) set(id *yaml.Node, in map[place][]renamed, project string, n named) error {
	if id == nil || id.Kind != yaml.ScalarNode {
		return nil
	}
	found := in[place{project, id.Value}]
	switch len(found) {
	case 0:
		return nil
	case 1:
		id.Value = found[0].id
		return nil
	}
	own := affixes(n.id, n.now)
	for _, f := range found {
		if f.affixes == own {
			id.Value = f.id
			return nil
		}
	}
	names := make([]string, 0, len(found))
	for _, f := range found {
		names = append(names, f.id)
	}
	return fmt.Errorf("%s of %s %s may be %s in project %s: patch it to say which", id.Value, n.GetKind(), n.GetName(), strings.Join(names, " or "), project)
}

// items are those of a list.
func items(list *yaml.Node) []*yaml.Node {
	if list == nil || list.Kind != yaml.SequenceNode {
		return nil
	}
	return list.Content
}
