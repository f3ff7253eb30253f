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
	names   map[place][]renamed
	changed bool // one is called otherwise

	referrers []named
	refers    bool             // there are referrers
	asked     map[place]string // what was looked up for them, and what was found
}

// place is the id of a service or a secret in a project: the id of the source
// document, the project as it is built.
type place struct {
	secret      bool
	project, id string
}

// renamed is what became of an id.
type renamed struct{ affixes, id string }

// named is what is called by an id, and the id now.
type named struct {
	*resource.Resource
	mark
	now string
}

// settle settles the names of definitions: that of a version is made of id and
// version, a Project is its namespace.
func settle(resources []*resource.Resource, affixed bool) (*renames, error) {
	all := &renames{names: map[place][]renamed{}, asked: map[place]string{}}
	for _, r := range resources {
		n := named{Resource: r, now: r.GetName()}
		n.mark, _ = markOf(r)
		switch kindOf(r) {
		case "ServiceVersion":
			n.now = scalar(value(r.YNode(), "spec"), "id")
			if err := n.join(); err != nil {
				return nil, err
			}
			all.note(n, false)
			all.referrers = append(all.referrers, n)
		case "ServiceSecret", "Secret":
			all.note(n, true)
		case "ServiceRole":
			all.referrers = append(all.referrers, n)
		case "Project":
			if err := n.project(affixed); err != nil {
				return nil, err
			}
			continue
		default:
			continue
		}
		all.changed = all.changed || n.id != "" && n.now != n.id
	}
	all.refers = len(all.referrers) > 0
	return all, nil
}

// merged are the names of several parts.
func merged(parts []*renames) *renames {
	all := &renames{names: map[place][]renamed{}}
	for _, p := range parts {
		for at, list := range p.names {
			for _, to := range list {
				all.add(at, to)
			}
		}
		all.changed = all.changed || p.changed
	}
	return all
}

// follow lets references follow the names of all parts. A reference means the
// copy that was named in the same way as what refers to it.
func follow(parts []*renames) error {
	all := merged(parts)
	if !all.changed {
		return nil
	}
	for _, p := range parts {
		all.asked = p.asked
		for _, r := range p.referrers {
			if err := all.follow(r); err != nil {
				return err
			}
		}
	}
	return nil
}

// stale tells whether what was looked up is another by now.
func (r *renames) stale(all *renames) bool {
	for at, was := range r.asked {
		if all.answer(at) != was {
			return true
		}
	}
	return false
}

// answer is what became of an id; "" where it is as it was.
func (r *renames) answer(at place) string {
	list := make([]string, 0, len(r.names[at]))
	for _, to := range r.names[at] {
		list = append(list, to.id)
	}
	slices.Sort(list)
	if len(list) == 1 && list[0] == at.id {
		return ""
	}
	return strings.Join(list, " ")
}

// kindOf is the kind of a definition, or of a plain Secret.
func kindOf(r *resource.Resource) string {
	kind := r.GetKind()
	if version := r.GetApiVersion(); version == plumbline.APIVersion || version == "v1" && kind == "Secret" {
		return kind
	}
	return ""
}

func (r *renames) note(n named, secret bool) {
	if n.id != "" {
		r.add(place{secret, n.GetNamespace(), n.id}, renamed{affixes(n.id, n.now), n.now})
	}
}

func (r *renames) add(at place, to renamed) {
	if !slices.Contains(r.names[at], to) {
		r.names[at] = append(r.names[at], to)
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
		return r.set(value(spec, "service"), place{project: own}, n)
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
				if err := r.set(v, place{project: own}, n); err != nil {
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
		if err := r.set(bare, place{project: of}, n); err != nil {
			return err
		}
		service.Value = bare.Value + "." + rest
		return nil
	case project == "" || project == definition.OwnProject:
		project = own
	}
	return r.set(service, place{project: project}, n)
}

// key follows "secrets.<id>.<key>" or "<id>.<key>".
func (r *renames) key(key *yaml.Node, own string, n named) error {
	if key == nil || key.Kind != yaml.ScalarNode {
		return nil
	}
	text, prefixed := strings.CutPrefix(key.Value, "secrets.")
	id, rest, found := strings.Cut(text, ".")
	bare := word(id)
	if err := r.set(bare, place{secret: true, project: own}, n); err != nil || !found {
		return err
	}
	key.Value = bare.Value + "." + rest
	if prefixed {
		key.Value = "secrets." + key.Value
	}
	return nil
}

// set writes what became of an id in its place.
func (r *renames) set(id *yaml.Node, at place, n named) error {
	if id == nil || id.Kind != yaml.ScalarNode {
		return nil
	}
	at.id = id.Value
	r.asked[at] = r.answer(at)
	found := r.names[at]
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
	return fmt.Errorf("%s of %s %s may be %s in project %s: patch it to say which", id.Value, n.GetKind(), n.GetName(), strings.Join(names, " or "), at.project)
}

// items are those of a list.
func items(list *yaml.Node) []*yaml.Node {
	if list == nil || list.Kind != yaml.SequenceNode {
		return nil
	}
	return list.Content
}
