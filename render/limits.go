package render

import (
	"fmt"
	"strings"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render/definition"
)

// Limits of one environment: whoever may push could otherwise use up the memory
// of the process that watches over all of them. Those of one file and one
// document are in package definition, those of an overlay in package overlay.
const (
	// MaxFiles is how many files a directory holds at most, hidden ones included,
	// with all directories below.
	MaxFiles = 100_000
	// MaxBytes is the most that these files hold.
	MaxBytes = 256 << 20
	// MaxValues is how many values all documents have at most, those of an alias
	// each time that it is used.
	MaxValues = 5_000_000
	// MaxDefinitions is how many definitions and plain objects they hold at most;
	// each item of a List counts.
	MaxDefinitions = 100_000
	// MaxObjects is how many objects may come of them.
	MaxObjects = 200_000
	// MaxObject is the largest object, in bytes, that etcd takes, with room for
	// what the API server adds.
	MaxObject = 1<<20 + 1<<19 - 1<<16
	// MaxProblems is how many problems are listed.
	MaxProblems = 10_000
)

// limits are those of one environment.
type limits struct{ files, bytes, values, definitions, problems, objects int }

func defaultLimits() limits {
	return limits{files: MaxFiles, bytes: MaxBytes, values: MaxValues, definitions: MaxDefinitions, problems: MaxProblems, objects: MaxObjects}
}

// load is what files hold.
type load struct{ files, bytes, values, definitions, problems int }

func (l *load) add(o load) {
	l.files += o.files
	l.bytes += o.bytes
	l.values += o.values
	l.definitions += o.definitions
	l.problems += o.problems
}

// within says which limit is exceeded by all that was read up to name; example
// is a problem in it.
func (l load) within(m limits, dir, name, example string) error {
	return l.over(m, "read "+dir, name, example, "up to this file: name the environment's own directory, or make several environments of it")
}

// withinOverlay says which limit is exceeded by what an overlay puts out.
func (l load) withinOverlay(m limits, kustomization, example string) error {
	return l.over(m, "render overlay", kustomization, example, "in what the overlay puts out: use fewer copies of a base, or make several environments of it")
}

func (l load) over(m limits, op, name, example, where string) error {
	what := ""
	switch {
	case l.files > m.files:
		what = fmt.Sprintf("%d files", m.files)
	case l.bytes > m.bytes:
		what = fmt.Sprintf("%d MiB of definitions", m.bytes>>20)
	case l.values > m.values:
		what = fmt.Sprintf("%d values, counting each use of an alias", m.values)
	case l.definitions > m.definitions:
		what = fmt.Sprintf("%d definitions and objects", m.definitions)
	case l.problems > m.problems:
		where, _, _ = strings.Cut(where, ":")
		what, where = fmt.Sprintf("%d problems in the definitions", m.problems), where+": put right what is alike in many"
		if example != "" {
			where += ", such as " + example
		}
	default:
		return nil
	}
	return &plumbline.Error{
		Op: op, Kind: plumbline.KindInvalid, Origin: plumbline.Origin{Path: name},
		Err: fmt.Errorf("more than %s, %s", what, where),
	}
}

// example is a problem of a file, "" where it has none.
func (c *content) example(name string) string {
	if len(c.violations) > 0 {
		return definition.Source{Path: name}.Place(c.violations[0]).String()
	}
	for _, ch := range c.docs {
		if len(ch.doc.Violations) > 0 {
			return definition.Source{Path: name, Before: ch.before}.Place(ch.doc.Violations[0]).String()
		}
	}
	return ""
}

// loadOf is what one file of so many bytes holds.
func loadOf(bytes int, c *content) load {
	l := load{files: 1, bytes: bytes, problems: len(c.violations)}
	for _, ch := range c.docs {
		d := ch.doc
		l.definitions += max(1, len(d.Versions)+len(d.Routes)+len(d.Secrets)+len(d.Roles)+len(d.Projects)+len(d.Plain))
		l.problems += len(d.Violations)
		l.values += d.Values
	}
	return l
}

// allow tells whether n objects may come of an environment.
func (m limits) allow(n int) error {
	if n <= m.objects {
		return nil
	}
	return plumbline.Errorf(plumbline.KindInvalid, "render", "the definitions make %d objects; the limit is %d: make several environments of this one", n, m.objects)
}
