package render

import (
	"context"
	"io/fs"
	"path"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render/definition"
)

// hasKustomization is the name of the file that makes dir an overlay, or "".
func hasKustomization(fsys fs.FS, dir string) (string, error) {
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		switch e.Name() {
		case "kustomization.yaml", "kustomization.yml", "Kustomization":
			return e.Name(), nil
		}
	}
	return "", nil
}

// overlay builds the overlay in dir. Its documents have no lines: they are not
// those of any file.
func (r *Renderer) overlay(ctx context.Context, fsys fs.FS, dir, name string) (*documents, error) {
	at := plumbline.Origin{Path: path.Join(dir, name)}
	if r.opts.Overlay == nil {
		return broken(at, "overlays are not enabled: remove the file, or render plain documents"), nil
	}
	text, err := r.opts.Overlay(ctx, fsys, dir, func(_ string, doc []byte) ([]byte, error) {
		return definition.Convert(doc)
	})
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil && plumbline.KindOf(err) == plumbline.KindInvalid:
		return broken(at, err.Error()), nil
	case err != nil:
		return nil, plumbline.Errorf(plumbline.KindUnset, "render overlay", "%w", err)
	}
	c := r.tree.parse(text)
	d := &documents{parsed: r.tree.fresh, files: 1}
	r.tree.fresh = 0
	for _, v := range c.violations {
		d.violations = append(d.violations, definition.Source{Path: at.Path, Opaque: true}.Place(v))
	}
	for _, ch := range c.docs {
		src := definition.Source{Path: at.Path, Opaque: true}
		if ch.doc.Path != "" {
			src.Path = path.Join(dir, ch.doc.Path)
		}
		d.add(ch.doc, src)
	}
	return d, nil
}

func broken(at plumbline.Origin, message string) *documents {
	return &documents{violations: []plumbline.Violation{{
		Code: definition.CodeOverlay, Severity: plumbline.SeverityError, Origin: at, Message: message,
	}}}
}
