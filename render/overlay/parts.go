package overlay

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/fnv"
	"maps"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	sigsyaml "sigs.k8s.io/yaml"
)

// The time that kustomize takes grows with the square of the objects in one
// build: it compares each name with all others. But most of what a kustomization
// asks for it asks of each object by itself. So the overlay is built in parts:
// the same kustomizations, with some of the files. What concerns objects together
// is found out first (see ties), and stays together.

// part is what is built at once.
type part struct {
	ties  *ties
	all   bool            // no atom is left out
	sets  map[int]bool    // of atoms
	first bool            // it has what no other part has a place for
	alive map[string]bool // directories of kustomizations that put something out

	kustomizations []kustomization // one after those that it uses
	sum            [sha256.Size]byte
}

// partSize is at most about how many files one part has: few enough that
// comparing them costs less than reading the kustomizations anew.
const partSize = 32

// whole is all of it as one part.
func (t *ties) whole() *part { return t.part(&part{ties: t, all: true}, nil) }

// parts cuts the overlay into parts of about so many files; a negative size
// leaves it whole.
func (t *ties) parts(size int) []*part {
	if !t.apart || size < 0 || len(t.atoms) == 0 {
		return []*part{t.whole()}
	}
	bySet, byDir := map[int]int{}, map[string]int{}
	for a := range t.atoms {
		bySet[t.set(a)]++
	}
	for set := range bySet {
		byDir[path.Dir(t.atoms[set])]++
	}
	cuts := map[string]*part{}
	for set, atoms := range bySet {
		name := t.atoms[set]
		dir := path.Dir(name)
		var key string
		switch n := byDir[dir]; {
		case atoms >= size && atoms > 1:
			key = fmt.Sprintf("set %d", set)
		case n >= size:
			key = fmt.Sprintf("file %s %d", dir, bucket(name, n, size))
		default:
			key = fmt.Sprintf("dir %d", bucket(dir, len(bySet), size))
		}
		if cuts[key] == nil {
			cuts[key] = &part{ties: t, sets: map[int]bool{}}
		}
		cuts[key].sets[set] = true
	}
	out := make([]*part, 0, len(cuts))
	alive := map[string]bool{}
	for _, key := range slices.Sorted(maps.Keys(cuts)) {
		p := cuts[key]
		p.live()
		maps.Copy(alive, p.alive)
		out = append(out, p)
	}
	out[0].first = true
	for i, p := range out {
		out[i] = t.part(p, alive)
	}
	return out
}

// bucket is one of as many as n files need. It hardly depends on what other
// files there are, so that a new one changes few parts.
func bucket(name string, n, size int) uint32 {
	buckets := uint32(1)
	for int(buckets)*size < n {
		buckets *= 2
	}
	h := fnv.New32a()
	h.Write([]byte(name))
	return h.Sum32() % buckets
}

// live finds out which kustomizations put something out in the part.
func (p *part) live() {
	p.alive = map[string]bool{}
	for i := range p.ties.l.kustomizations {
		b := &p.ties.l.kustomizations[i]
		k := p.filter(b, b.k)
		p.alive[b.dir] = len(k.Resources)+len(k.ConfigMapGenerator)+len(k.SecretGenerator) > 0 ||
			slices.ContainsFunc(k.Components, func(value string) bool { return p.alive[path.Join(b.dir, value)] })
	}
	maps.DeleteFunc(p.alive, func(_ string, yes bool) bool { return !yes })
}

// part completes p. The first of several has the kustomizations that are alive in
// none, too: what is wrong with one is wrong though it puts out nothing.
func (t *ties) part(p *part, elsewhere map[string]bool) *part {
	l := t.l
	if p.alive == nil {
		p.live()
	}
	if p.first || p.all {
		for _, b := range l.kustomizations {
			lives := func(value string) bool { return p.alive[path.Join(b.dir, value)] }
			if !elsewhere[b.dir] && b.k.Kind != types.ComponentKind || slices.ContainsFunc(b.k.Resources, lives) || slices.ContainsFunc(b.k.Components, lives) {
				p.alive[b.dir] = true
			}
		}
	}
	generates := slices.ContainsFunc(l.kustomizations, func(b kustomization) bool {
		return len(b.k.ConfigMapGenerator)+len(b.k.SecretGenerator) > 0
	})
	sum := sha256.New()
	fmt.Fprintf(sum, "%t %t\n", generates, l.affixed())
	for _, b := range l.kustomizations {
		if !p.alive[b.dir] && b.k.Kind != types.ComponentKind && b.dir != l.root {
			continue
		}
		b.k = p.filter(&b, b.k)
		if generates { // to know where what is generated comes from
			b.k.BuildMetadata = []string{types.OriginAnnotations}
		}
		l.add(sum, &b)
		p.kustomizations = append(p.kustomizations, b)
	}
	sum.Sum(p.sum[:0])
	return p
}

// has tells whether an atom is in the part.
func (p *part) has(atom int) bool { return p.all || p.sets[p.ties.set(atom)] }

// keeps tells whether the part needs an entry that looks for objects: where they
// are, or everywhere when they are nowhere.
func (p *part) keeps(e entry) bool {
	atom, ok := p.ties.wanted[e]
	return !ok || atom < 0 || p.has(atom)
}

// filter is k, which is what b says or the beginning of its lists, with what the
// part needs of it.
func (p *part) filter(b *kustomization, k types.Kustomization) types.Kustomization {
	if p.all {
		return k
	}
	t := p.ties
	k.Resources = kept(k.Resources, func(i int) bool {
		target := path.Join(b.dir, k.Resources[i])
		if atom, ok := t.files[target]; ok {
			return p.has(atom)
		}
		return p.alive[target]
	})
	keeps := func(field string) func(i int) bool {
		return func(i int) bool { return p.keeps(entry{b.file, field, i}) }
	}
	generator := func(field string) func(i int) bool {
		return func(i int) bool { return p.has(t.generators[entry{b.file, field, i}]) }
	}
	k.Patches = kept(k.Patches, keeps("patches"))
	k.Replicas = kept(k.Replicas, keeps("replicas"))
	k.Replacements = kept(k.Replacements, keeps("replacements"))
	k.ConfigMapGenerator = kept(k.ConfigMapGenerator, generator("configMapGenerator"))
	k.SecretGenerator = kept(k.SecretGenerator, generator("secretGenerator"))
	return k
}

// kept are the entries with an index to keep.
func kept[T any](list []T, keep func(i int) bool) (out []T) {
	for i, v := range list {
		if keep(i) {
			out = append(out, v)
		}
	}
	return out
}

// named are the files that a kustomization names beside directories.
func (b *kustomization) named() (files []string) {
	add := func(value string) {
		if value != "" {
			files = append(files, path.Join(b.dir, value))
		}
	}
	for _, r := range b.k.Resources {
		add(r)
	}
	for _, p := range b.k.Patches {
		add(p.Path)
	}
	for _, r := range b.k.Replacements {
		add(r.Path)
	}
	sources := func(kv types.KvPairSources) {
		for _, s := range kv.EnvSources {
			add(s)
		}
		for _, s := range kv.FileSources {
			_, name, _ := strings.Cut(s, "=")
			add(name)
		}
	}
	for _, g := range b.k.ConfigMapGenerator {
		sources(g.KvPairSources)
	}
	for _, g := range b.k.SecretGenerator {
		sources(g.KvPairSources)
	}
	return files
}

// add adds to a sum what a kustomization says, and what it names.
func (l *loader) add(sum hash.Hash, b *kustomization) {
	text, err := json.Marshal(b.k)
	fmt.Fprintf(sum, "%s %v %d %s\n", b.file, err, len(text), text)
	for _, file := range b.named() {
		if r := l.resources[file]; r != nil {
			sum.Write(r.sum[:])
		}
		if raw, ok := l.raws[file]; ok {
			fmt.Fprintf(sum, "%d %s\n", len(raw), raw)
		}
	}
}

// memory is a file system with all that the part is built of. With another, that
// one says what its directory's kustomization says.
func (p *part) memory(other *kustomization) (filesys.FileSystem, error) {
	l, memory := p.ties.l, filesys.MakeFsInMemory()
	err := memory.WriteFile(fieldsFile, []byte(fieldSpecs))
	for i := range p.kustomizations {
		b := &p.kustomizations[i]
		for _, file := range b.named() {
			if r := l.resources[file]; r != nil {
				err = errors.Join(err, memory.WriteFile(path.Join(root, file), r.text))
			}
			if raw, ok := l.raws[file]; ok {
				err = errors.Join(err, memory.WriteFile(path.Join(root, file), raw))
			}
		}
		k := b.k
		if other != nil && other.file == b.file {
			k = p.filter(other, other.k)
			k.BuildMetadata = b.k.BuildMetadata
		}
		text, failed := sigsyaml.Marshal(k)
		err = errors.Join(err, failed, memory.WriteFile(path.Join(root, b.file), text))
	}
	return memory, err
}

// build builds the part in a directory.
func (p *part) build(dir string, other *kustomization) (out *built, err error) {
	memory, err := p.memory(other)
	if err != nil {
		return nil, err
	}
	err = global.do(func() error {
		resources, err := kustomize(memory, path.Join(root, dir))
		if err != nil {
			return err
		}
		names, err := settle(resources, p.ties.l.affixed())
		if err != nil {
			return err
		}
		out = &built{resources: resources, names: names}
		return nil
	})
	return out, err
}
