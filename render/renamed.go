package render

import (
	"fmt"
	"strings"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render/definition"
)

// calledOtherwise are the addresses in environment variables at which a service
// is not any more, because an overlay put a prefix or suffix to its id: in a
// copy they would reach the original. References by id have followed.
func calledOtherwise(docs []builtDocument) []plumbline.Violation {
	now, there := map[name]string{}, map[name]bool{}
	for _, d := range docs {
		for _, v := range d.doc.Versions {
			there[name{v.Project.Value, v.ID.Value}] = true
			if old := d.doc.From.Service; old != "" {
				now[name{v.Project.Value, old}] = v.ID.Value
			}
		}
	}
	if len(now) == 0 {
		return nil
	}
	var found []plumbline.Violation
	for _, d := range docs {
		for _, v := range d.doc.Versions {
			for i := range v.Tasks {
				for _, e := range v.Tasks[i].Env {
					for _, to := range hosts(e.Value, v.Project.Value) {
						if now[to] == "" || there[to] {
							continue
						}
						found = append(found, plumbline.Violation{
							Code: definition.CodeLeftBehind, Severity: plumbline.SeverityError, Origin: d.src.At(v.At),
							Message: fmt.Sprintf("%s in the environment of %s holds the address of service %s, which the overlay calls %s: patch it",
								e.Name, v.Name(), to.id, now[to]),
						})
					}
				}
			}
		}
	}
	return found
}

// hosts are the services whose addresses a text may hold: "http://cart/api",
// "cart:8080", "cart.shop.svc.cluster.local".
func hosts(text, own string) []name {
	var out []name
	for _, word := range strings.FieldsFunc(text, func(c rune) bool { return strings.ContainsRune(" ,;\"'=|\n\t", c) }) {
		_, after, scheme := strings.Cut(word, "://")
		if scheme {
			word = after
		}
		host := word
		if i := strings.IndexAny(word, "/?#"); i >= 0 {
			host = word[:i]
		}
		host = host[strings.LastIndexByte(host, '@')+1:]
		host, port, _ := strings.Cut(host, ":")
		id, rest, dotted := strings.Cut(host, ".")
		project, domain, _ := strings.Cut(rest, ".")
		switch {
		case dotted && (domain == "" && (scheme || isNumber(port)) || domain == "svc" || strings.HasPrefix(domain, "svc.")):
			out = append(out, name{project, id})
		case !dotted && (scheme || isNumber(port)):
			out = append(out, name{own, id})
		}
	}
	return out
}

func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
