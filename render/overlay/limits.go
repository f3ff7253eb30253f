package overlay

import (
	"fmt"

	"github.com/plumbline-dev/plumbline"
)

// limits are those of one build. What is put out has limits of its own: bases
// that are used again and again make many objects of few files.
type limits struct {
	objects int // that are put out
	bytes   int // of their text
}

func (m limits) orDefault() limits {
	if m == (limits{}) {
		return limits{objects: MaxObjects, bytes: MaxBytes}
	}
	return m
}

func (l *loader) tooMany(b *kustomization) error {
	return l.over(b.file, fmt.Sprintf("%d objects", l.limits.objects))
}

func (l *loader) tooLarge() error {
	return l.over(l.file, fmt.Sprintf("%g MiB of objects", float64(l.limits.bytes)/(1<<20)))
}

func (l *loader) over(file, what string) error {
	return &plumbline.Error{
		Op: opBuild, Kind: plumbline.KindInvalid, Origin: plumbline.Origin{Path: file},
		Err: fmt.Errorf("the overlay puts out more than %s: use fewer copies of a base, or make several environments of it", what),
	}
}
