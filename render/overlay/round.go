package overlay

import (
	"bytes"
	"crypto/sha256"
	"path"
	"runtime"
	"slices"
	"sync/atomic"

	"go.yaml.in/yaml/v3"
	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/kustomize/api/resource"

	"github.com/plumbline-dev/plumbline"
)

// built is what a part became.
type built struct {
	resources []*resource.Resource // until they are written out
	objects   []object
	names     *renames
	followed  bool // names were followed
}

// round is one building of all parts.
type round struct {
	l     *loader
	t     *ties
	parts []*part
	built []*built // by part; nil where it failed

	finishing errgroup.Group
	bytes     atomic.Int64 // of all objects
	limit     int
	surprised bool // a name changed that nobody thought would
}

// build builds the parts that are not known.
func (r *round) build(known map[[sha256.Size]byte]*built) error {
	r.finishing.SetLimit(runtime.GOMAXPROCS(0))
	blamed := attempt{l: r.l, errs: map[*part]error{}}
	for i, p := range r.parts {
		if r.built[i] = known[p.sum]; r.built[i] != nil {
			for _, o := range r.built[i].objects {
				r.bytes.Add(int64(len(o.text)))
			}
			continue
		}
		out, err := r.one(p)
		if r.l.stopped() != nil || r.tooLarge() {
			break
		}
		if err != nil {
			blamed.errs[p] = err
			blamed.parts = append(blamed.parts, p)
			continue
		}
		r.built[i] = out
		if !r.t.renames {
			if err := r.finish(out); err != nil {
				return err
			}
		}
	}
	switch {
	case r.tooLarge():
		return r.l.tooLarge()
	case len(blamed.parts) > 0:
		return blamed.explain()
	}
	return nil
}

func (r *round) tooLarge() bool { return r.bytes.Load() > int64(r.limit) }

func (r *round) one(p *part) (*built, error) {
	if err := r.l.writeAll(p); err != nil {
		return nil, err
	}
	return r.l.run(r.l.root)
}

// follow lets what refers to services and secrets follow their names, over all
// parts. A part that is known, and would be another for it, is built again.
func (r *round) follow() error {
	names := make([]*renames, 0, len(r.built))
	changed := false
	for _, b := range r.built {
		names = append(names, b.names)
		changed = changed || b.names.changed
	}
	if !r.t.renames {
		r.surprised = changed
		return nil
	}
	all := merged(names)
	for i, b := range r.built {
		if b.resources == nil && (changed && !b.followed && b.names.refers || b.names.stale(all)) {
			again, err := r.one(r.parts[i])
			if err != nil {
				return r.l.explain(err, plumbline.Origin{Path: r.l.file})
			}
			r.built[i], names[i] = again, again.names
		}
	}
	if err := global.do(func() error { return follow(names) }); err != nil {
		a := attempt{l: r.l, parts: slices.Clone(r.parts), names: true}
		at, found := a.blame()
		if !found {
			at = plumbline.Origin{Path: r.l.file}
		}
		return r.l.explain(err, at)
	}
	for _, b := range r.built {
		if b.resources == nil {
			continue
		}
		b.followed = changed
		if err := r.finish(b); err != nil {
			return err
		}
	}
	if r.tooLarge() {
		return r.l.tooLarge()
	}
	return nil
}

// finish makes of what kustomize built what a Renderer takes. The text is
// written while other parts are built.
func (r *round) finish(b *built) error {
	b.objects = make([]object, len(b.resources))
	nodes := make([]*yaml.Node, len(b.resources))
	err := global.do(func() error {
		for i, from := range b.resources {
			var err error
			if b.objects[i], err = tellSource(from, r.l.root); err != nil {
				return err
			}
			b.objects[i].id, nodes[i] = from.CurId(), from.YNode()
		}
		return nil
	})
	if err != nil {
		return r.l.explain(err, plumbline.Origin{Path: r.l.file})
	}
	b.resources, b.names.referrers = nil, nil
	r.finishing.Go(func() error {
		var text bytes.Buffer
		for i, n := range nodes {
			text.Reset()
			e := yaml.NewEncoder(&text)
			e.SetIndent(2)
			if err := e.Encode(n); err != nil {
				return r.l.explain(err, plumbline.Origin{Path: path.Join(r.l.root, b.objects[i].path)})
			}
			if r.bytes.Add(int64(text.Len())) > int64(r.limit) {
				return nil // said by who waits
			}
			b.objects[i].text = bytes.Clone(text.Bytes())
		}
		return nil
	})
	return nil
}

// run builds what lies in memory at dir.
func (l *loader) run(dir string) (out *built, err error) {
	err = global.do(func() error {
		resources, err := kustomize(l.memory, path.Join(root, dir))
		if err != nil {
			return err
		}
		names, err := settle(resources, l.affixed())
		if err != nil {
			return err
		}
		out = &built{resources: resources, names: names}
		if out.resources == nil {
			out.resources = []*resource.Resource{}
		}
		return nil
	})
	return out, err
}

// affixed tells whether any kustomization puts something before or after names.
func (l *loader) affixed() bool {
	return slices.ContainsFunc(l.kustomizations, func(b kustomization) bool { return b.k.NamePrefix+b.k.NameSuffix != "" })
}
