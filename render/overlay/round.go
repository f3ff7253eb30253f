package overlay

import (
	"bytes"
	"crypto/sha256"
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
	bytes     int // of their text
	names     *renames
	followed  bool // names were followed
}

// round is one building of all parts.
type round struct {
	l     *loader
	t     *ties
	parts []*part
	built []*built // by part; nil where it failed

	bytes     atomic.Int64 // of all objects
	limit     int
	surprised bool // a name changed that nobody thought would
}

// build builds the parts that are not known, on all cores.
func (r *round) build(known map[[sha256.Size]byte]*built) error {
	errs := make([]error, len(r.parts))
	var all errgroup.Group
	all.SetLimit(runtime.GOMAXPROCS(0))
	for i, p := range r.parts {
		if r.built[i] = known[p.sum]; r.built[i] != nil {
			r.bytes.Add(int64(r.built[i].bytes))
			continue
		}
		all.Go(func() error {
			r.built[i], errs[i] = r.one(p)
			return nil // an error of one keeps no other from being built
		})
	}
	_ = all.Wait() // they are in errs
	a := attempt{l: r.l, errs: map[*part]error{}}
	for i, err := range errs {
		if err != nil {
			a.errs[r.parts[i]] = err
			a.parts = append(a.parts, r.parts[i])
		}
	}
	switch {
	case r.l.stopped() != nil:
		return r.l.stopped()
	case r.tooLarge():
		return r.l.tooLarge()
	case len(a.parts) > 0:
		return a.explain()
	}
	return nil
}

// one builds one part, if it is wanted still.
func (r *round) one(p *part) (*built, error) {
	if err := r.l.stopped(); err != nil {
		return nil, err
	}
	if r.tooLarge() {
		return nil, r.l.tooLarge()
	}
	out, err := p.build(r.l.root, nil)
	if err == nil && !r.t.renames {
		err = r.finish(out)
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (r *round) tooLarge() bool { return r.bytes.Load() > int64(r.limit) }

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
			again, err := r.parts[i].build(r.l.root, nil)
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
	return r.finishAll(changed)
}

// finishAll finishes what waited for names.
func (r *round) finishAll(followed bool) error {
	var all errgroup.Group
	all.SetLimit(runtime.GOMAXPROCS(0))
	for _, b := range r.built {
		if b.resources != nil {
			b.followed = followed
			all.Go(func() error { return r.finish(b) })
		}
	}
	if err := all.Wait(); err != nil {
		return r.l.explain(err, plumbline.Origin{Path: r.l.file})
	}
	if r.tooLarge() {
		return r.l.tooLarge()
	}
	return nil
}

// finish makes of what kustomize built what a Renderer takes.
func (r *round) finish(b *built) error {
	b.objects = make([]object, 0, len(b.resources))
	err := global.do(func() error {
		var text bytes.Buffer
		for _, from := range b.resources {
			o, err := tellSource(from, r.l.root)
			if err != nil {
				return err
			}
			text.Reset()
			e := yaml.NewEncoder(&text)
			e.SetIndent(2)
			if err := e.Encode(from.YNode()); err != nil {
				return err
			}
			o.id, o.text = from.CurId(), bytes.Clone(text.Bytes())
			b.objects, b.bytes = append(b.objects, o), b.bytes+text.Len()
			if r.bytes.Add(int64(text.Len())) > int64(r.limit) {
				return nil // said by who waits
			}
		}
		return nil
	})
	b.resources, b.names.referrers = nil, nil
	return err
}

// affixed tells whether any kustomization puts something before or after names.
func (l *loader) affixed() bool {
	return slices.ContainsFunc(l.kustomizations, func(b kustomization) bool { return b.k.NamePrefix+b.k.NameSuffix != "" })
}
