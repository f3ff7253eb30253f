package render

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/plumbline-dev/plumbline"
)

// asData brings the definitions, as data, up to date.
func (a *assembly) asData() {
	for ref := range a.index.dirty.data {
		list := a.index.data[ref]
		if len(list) == 0 {
			a.data = a.data.Without(ref)
			continue
		}
		f := list[0].def
		sum := sha256.Sum256(f.JSON)
		at := list[0].at(f.At)
		o := &plumbline.Object{
			Ref: ref, Version: "v1", Origin: plumbline.Origin{Path: at.Path, Line: at.Line}, Project: ref.Namespace,
			Checksum: hex.EncodeToString(sum[:]), Body: plumbline.NewBody(f.JSON),
		}
		if o.Project == "" {
			o.Project = ref.Name // of a Project
		}
		if before, ok := a.data.Get(ref); !ok || !before.Same(o) {
			a.data = a.data.With(ref, o)
		}
	}
}
