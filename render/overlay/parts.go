package overlay

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"hash"
	"hash/fnv"
	"maps"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/types"
)

// The time that kustomize takes grows with the square of the objects in one
// build: it compares each name with all others. But most of what a kustomization
// asks for it asks of each object by itself. Where that is so the overlay is
// built in parts: the same kustomizations, with some of the files. What concerns
// objects together stays together, or else everything does.

// part is what is built at once.
type part struct {
	kustomizations []kustomization // one after those that it uses
	sum            [sha256.Size]byte
}

// partSize is at most about how many files one part has: few enough that
// comparing them costs less than reading the kustomizations anew.
const partSize = 32

// whole is all of it as one part.
func (l *loader) whole() part { return l.part(nil, true) }

// parts cuts the overlay into parts of about so many files; a negative size
// leaves it whole.
func (l *loader) parts(size int) []part {
	together, ok := l.together()
	if !ok || size < 0 {
		return []part{l.whole()}
	}
	sets := map[string]map[string]bool{}
	put := func(key, file string) {
		if sets[key] == nil {
			sets[key] = map[string]bool{}
		}
		sets[key][file] = true
	}
	byDir := map[string]int{}
	for file := range l.resources {
		byDir[path.Dir(file)]++
	}
	for file := range l.resources {
		dir := path.Dir(file)
		switch n := byDir[dir]; {
		case together[file]:
			put("", file)
		case n >= size:
			put(fmt.Sprintf("%s %d", dir, bucket(file, n, size)), file)
		default:
			put(fmt.Sprintf(" %d", bucket(dir, len(l.resources), size)), file)
		}
	}
	out := make([]part, 0, len(sets))
	for _, key := range slices.Sorted(maps.Keys(sets)) {
		out = append(out, l.part(sets[key], key == ""))
	}
	if len(out) == 0 {
		out = append(out, l.whole())
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

// part is the part with some of the files; nil stands for all. Only one has the
// patches that look for one object.
func (l *loader) part(files map[string]bool, lone bool) part {
	p := part{kustomizations: make([]kustomization, 0, len(l.kustomizations))}
	alive := map[string]bool{}
	sum, generates := sha256.New(), false
	for _, b := range l.kustomizations {
		if files != nil {
			b.k.Resources, b.resources = kept(b.k.Resources, func(value string) bool {
				target := path.Join(b.dir, value)
				return files[target] || alive[target]
			})
		}
		if !lone {
			b.k.Patches, b.patches = kept(b.k.Patches, func(p types.Patch) bool { return !isLone(p) })
		}
		alive[b.dir] = len(b.k.Resources) > 0 || lone && slices.ContainsFunc(b.k.Patches, isLone) ||
			slices.ContainsFunc(b.k.Components, func(value string) bool { return alive[path.Join(b.dir, value)] })
		if files != nil && !alive[b.dir] && b.k.Kind != types.ComponentKind && b.dir != l.root {
			continue
		}
		l.add(sum, b)
		generates = generates || len(b.k.ConfigMapGenerator)+len(b.k.SecretGenerator) > 0
		p.kustomizations = append(p.kustomizations, b)
	}
	if generates {
		for i := range p.kustomizations { // to know where what is generated comes from
			p.kustomizations[i].k.BuildMetadata = []string{types.OriginAnnotations}
		}
	}
	sum.Sum(p.sum[:0])
	return p
}

// isLone tells of a patch that looks for one object, and fails where that is not
// in its kustomization.
func isLone(p types.Patch) bool { return p.Target == nil }

// kept are the entries to keep, and their indexes.
func kept[T any](list []T, keep func(T) bool) (out []T, indexes []int) {
	indexes = []int{}
	for i, v := range list {
		if keep(v) {
			out, indexes = append(out, v), append(indexes, i)
		}
	}
	return out, indexes
}

// add adds to a sum what a kustomization says, and what it names.
func (l *loader) add(sum hash.Hash, b kustomization) {
	text, err := json.Marshal(b.k)
	fmt.Fprintf(sum, "%s %v %d %s\n", b.file, err, len(text), text)
	file := func(value string) {
		if r := l.resources[path.Join(b.dir, value)]; r != nil {
			sum.Write(r.sum[:])
		}
		if raw, ok := l.raws[path.Join(b.dir, value)]; ok && value != "" {
			fmt.Fprintf(sum, "%d %s\n", len(raw), raw)
		}
	}
	for _, r := range b.k.Resources {
		file(r)
	}
	for _, p := range b.k.Patches {
		file(p.Path)
	}
	for _, r := range b.k.Replacements {
		file(r.Path)
	}
	sources := func(kv types.KvPairSources) {
		for _, s := range kv.EnvSources {
			file(s)
		}
		for _, s := range kv.FileSources {
			_, name, _ := strings.Cut(s, "=")
			file(name)
		}
	}
	for _, g := range b.k.ConfigMapGenerator {
		sources(g.KvPairSources)
	}
	for _, g := range b.k.SecretGenerator {
		sources(g.KvPairSources)
	}
}

// together are the files that must be built at once, because of what they hold;
// ok is false when that is all of them.
func (l *loader) together() (files map[string]bool, ok bool) {
	wanted := map[objectName]bool{}
	for _, b := range l.kustomizations {
		if !separable(b.k) {
			return nil, false
		}
		for _, p := range b.k.Patches {
			alone, names := l.patched(b, p)
			if !alone {
				return nil, false
			}
			for _, n := range names {
				wanted[n] = true
			}
		}
	}
	found := map[objectName]bool{}
	binds := false
	for _, r := range l.resources {
		for _, o := range r.objects {
			found[o] = true
			binds = binds || isBinding(o)
		}
	}
	for n := range wanted {
		if !found[n] {
			return nil, false // an error, if no patch before it changes a name
		}
	}
	files = map[string]bool{}
	for file, r := range l.resources {
		files[file] = slices.ContainsFunc(r.objects, func(o objectName) bool {
			return wanted[o] || binds && (isBinding(o) || isBound(o))
		})
	}
	return files, true
}

// isBinding tells of the kinds in which kustomize writes the namespace of
// another object beside its name, and isBound of those others.
func isBinding(o objectName) bool {
	switch o.group {
	case "rbac.authorization.k8s.io", "admissionregistration.k8s.io", "apiregistration.k8s.io":
		return true
	}
	return false
}

func isBound(o objectName) bool {
	return o.group == "" && (o.kind == "ServiceAccount" || o.kind == "Service")
}

// separable tells whether a kustomization, but for its patches, does to each
// object what it would do were there no others.
func separable(k types.Kustomization) bool {
	return k.NamePrefix == "" && k.NameSuffix == "" && len(k.Replacements) == 0 && len(k.Replicas) == 0 &&
		len(k.ConfigMapGenerator) == 0 && len(k.SecretGenerator) == 0
}

// patched tells whether a patch concerns objects one by one and leaves their
// names alone; and which objects it looks for by their names.
func (l *loader) patched(b kustomization, p types.Patch) (alone bool, names []objectName) {
	if p.Options != nil {
		return false, nil
	}
	text := []byte(p.Patch)
	if p.Path != "" {
		text = l.raws[path.Join(b.dir, p.Path)]
	}
	docs, err := decode(text)
	if err != nil {
		return false, nil
	}
	for _, doc := range docs {
		n := doc.Content[0]
		switch n.Kind {
		case yaml.SequenceNode:
			if p.Target == nil || slices.ContainsFunc(n.Content, changesName) {
				return false, nil
			}
		case yaml.MappingNode:
			if value(n, "$patch") != nil {
				return false, nil // deletes the object
			}
			if p.Target == nil {
				names = append(names, nameOf(n))
			}
		default:
			return false, nil
		}
	}
	return true, names
}

// changesName tells whether an operation of a JSON patch may change what the
// object is.
func changesName(op *yaml.Node) bool {
	names := []string{"", "/", "/apiVersion", "/kind", "/metadata", "/metadata/name", "/metadata/namespace"}
	from := scalar(op, "from")
	return slices.Contains(names, scalar(op, "path")) || from != "" && slices.Contains(names, from)
}
