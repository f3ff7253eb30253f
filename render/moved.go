package render

import (
	"fmt"
	"strings"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render/definition"
)

// builtDocument is a document as an overlay built it.
type builtDocument struct {
	doc *definition.Document
	src definition.Source
}

// leftBehind are the references of moved services to the projects that the
// overlay moved: a copy must neither call nor admit the original. What a service
// says of its own project has moved with it; what is found here was patched in,
// is the address in an environment variable, or names another project that moved.
func leftBehind(docs []builtDocument) []plumbline.Violation {
	moved := map[string]string{}
	for _, d := range docs {
		from := d.doc.From.Project
		if from == "" {
			continue
		}
		for _, v := range d.doc.Versions {
			if to := v.Project.Value; to != from {
				moved[from] = to
			}
		}
	}
	var found []plumbline.Violation
	for _, d := range docs {
		from := d.doc.From.Project
		for _, v := range d.doc.Versions {
			if to := v.Project.Value; from == "" || to == from {
				continue
			}
			for _, text := range references(v, moved) {
				found = append(found, plumbline.Violation{
					Code: definition.CodeLeftBehind, Severity: plumbline.SeverityError,
					Origin: d.src.At(v.At), Message: text,
				})
			}
		}
	}
	return found
}

// references are what a version says of the projects in moved.
func references(v *definition.Version, moved map[string]string) []string {
	var out []string
	peers := func(field string, list []definition.Peer) {
		for _, p := range list {
			if to, ok := moved[p.Project]; ok {
				out = append(out, fmt.Sprintf("%s of %s name project %s, which the overlay moves to %s: write %s",
					field, v.Name(), p.Project, to, ownOr(to, v.Project.Value)))
			}
		}
	}
	peers("whitelists", v.Whitelist)
	peers("upstreams", v.Upstreams)
	for i := range v.Tasks {
		for _, e := range v.Tasks[i].Env {
			if from := addressed(e.Value, moved); from != "" {
				out = append(out, fmt.Sprintf("%s in the environment of %s holds an address in project %s, which the overlay moves to %s: write the service's name alone, as http://ledger, or patch it",
					e.Name, v.Name(), from, moved[from]))
			}
		}
	}
	return out
}

func ownOr(to, own string) string {
	if to == own {
		return "projectId: '.'"
	}
	return "projectId: " + to
}

// addressed is the project in moved of which a text holds the address of a
// service: "<id>.<project>.svc"; "" if there is none.
func addressed(text string, moved map[string]string) string {
	for rest := text; ; {
		host, after, found := strings.Cut(rest, ".svc")
		if !found {
			return ""
		}
		if i := strings.LastIndexByte(host, '.'); i >= 0 {
			if _, ok := moved[host[i+1:]]; ok {
				return host[i+1:]
			}
		}
		rest = after
	}
}
