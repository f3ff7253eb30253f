package render

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"sync"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render/definition"
)

// hasKustomization is the name of the file that makes dir an overlay, or "".
func hasKustomization(fsys fs.FS, dir string) (string, error) {
	for _, name := range []string{"Kustomization", "kustomization.yaml", "kustomization.yml"} {
		switch _, err := fs.Stat(fsys, path.Join(dir, name)); {
		case err == nil:
			return name, nil
		case !errors.Is(err, fs.ErrNotExist):
			return "", err
		}
	}
	return "", nil
}

// overlay builds the overlay in dir into the index. A place in one of its
// documents is that where the document begins.
func (r *Renderer) overlay(ctx context.Context, fsys fs.FS, dir, file string) error {
	at := plumbline.Origin{Path: path.Join(dir, file)}
	if r.opts.Overlay == nil {
		r.fileViolations = append(r.fileViolations, plumbline.Violation{
			Code: definition.CodeOverlay, Severity: plumbline.SeverityError, Origin: at,
			Message: "overlays are not enabled: remove the file, or render plain documents",
		})
		return nil
	}
	r.opener.Begin()
	var mu sync.Mutex
	text, err := r.opts.Overlay(ctx, fsys, dir, func(at plumbline.Origin, doc []byte) (definition.Detached, bool, error) {
		if !definition.MaybeEncrypted(doc) {
			if out, ok := definition.DetachOne(doc); ok {
				return out, true, nil
			}
			if out, found := definition.Detach(doc); len(found) == 0 {
				return definition.Detached{Text: out}, true, nil
			}
		}
		mu.Lock()
		defer mu.Unlock()
		out, found, src := r.convert(fsys, at, doc)
		for _, v := range found {
			r.fileViolations = append(r.fileViolations, src.Place(v))
		}
		if len(plumbline.Errors(found)) > 0 {
			return definition.Detached{}, false, errConvert
		}
		return definition.Detached{Text: out}, false, nil
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for _, e := range leaves(err) {
		switch kind := plumbline.KindOf(e); {
		case errors.Is(e, errConvert): // its violations are there already
		case kind != plumbline.KindInvalid:
			return plumbline.Errorf(plumbline.KindUnset, "render overlay", "%w", err)
		default:
			r.fileViolations = append(r.fileViolations, overlayViolation(e, at))
		}
	}
	if err != nil {
		return nil //nolint:nilerr // what is wrong with the overlay is a violation
	}
	c, err := r.built(ctx, text, at.Path)
	if err != nil {
		return err
	}
	for _, v := range c.violations {
		r.fileViolations = append(r.fileViolations, definition.Source{Path: at.Path, Opaque: true}.Place(v))
	}
	var docs []builtDocument
	nth := map[string]int{}
	for _, ch := range c.docs {
		src := definition.Source{Path: at.Path, Opaque: true}
		if from := ch.doc.From; from.Path != "" {
			src.Path, src.First = path.Join(dir, from.Path), from.Line
		}
		// Not the line of the stream: a document must not become another because
		// one before it grew.
		src.Before = nth[src.Path]
		nth[src.Path]++
		docs = append(docs, builtDocument{ch.doc, src})
		r.index.add(ch.doc, src)
	}
	r.fileViolations = append(r.fileViolations, leftBehind(docs)...)
	r.fileViolations = append(r.fileViolations, calledOtherwise(docs)...)
	return nil
}

// built is what the overlay of a kustomization file put out, within the limits.
// Where it is not, nothing of it is kept.
func (r *Renderer) built(ctx context.Context, text []byte, file string) (*content, error) {
	if over := (load{bytes: len(text)}).withinOverlay(r.limits, file, ""); over != nil {
		r.tree.only()
		return nil, over
	}
	r.tree.limits = r.limits
	c, err := r.tree.parseBuilt(ctx, text)
	switch {
	case errors.Is(err, errValues):
		err = load{values: r.limits.values + 1}.withinOverlay(r.limits, file, "")
	case err == nil:
		holds := loadOf(len(text), c)
		holds.files = 0
		err = holds.withinOverlay(r.limits, file, c.example(file))
	}
	if err != nil {
		r.tree.only()
		return nil, err
	}
	r.tree.only(c)
	return c, nil
}

// errConvert is what an overlay is told of a document that is wrong.
var errConvert = plumbline.Errorf(plumbline.KindInvalid, "convert", "the definition is invalid")

// convert gives a document the form that kustomize knows. One that is encrypted
// is opened with the others of its file.
func (r *Renderer) convert(fsys fs.FS, at plumbline.Origin, doc []byte) ([]byte, []plumbline.Violation, definition.Source) {
	src := definition.Source{Path: at.Path, Before: at.Line - 1}
	if !definition.MaybeEncrypted(doc) {
		out, found := definition.Detach(doc)
		return out, found, src
	}
	texts, i := encryptedWith(fsys, src, doc)
	out, d := r.opener.Convert(texts, i)
	if d.Closed != "" {
		r.closed = append(r.closed, Skip{Origin: src.At(definition.Pos{Line: 1}), Reason: d.Closed})
		if d.Hidden {
			r.index.hide(1)
		}
	}
	if len(plumbline.Errors(d.Violations)) == 0 {
		out, _ = definition.Detach(out) // what it finds was found by Convert
	}
	return out, d.Violations, src
}

// encryptedWith are the documents of a file that may be encrypted; i is the
// index of doc, at src, among them.
func encryptedWith(fsys fs.FS, src definition.Source, doc []byte) (texts [][]byte, i int) {
	text, err := fs.ReadFile(fsys, src.Path)
	if err != nil {
		return [][]byte{doc}, 0
	}
	chunks, _ := definition.Split(text)
	for _, c := range chunks {
		if c.Before == src.Before {
			i = len(texts)
		}
		if definition.MaybeEncrypted(c.Text) {
			texts = append(texts, c.Text)
		}
	}
	if i >= len(texts) {
		return [][]byte{doc}, 0
	}
	return texts, i
}

// leaves are the errors that were joined to err.
func leaves(err error) []error {
	var joined interface{ Unwrap() []error }
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &joined):
		return []error{err}
	}
	var out []error
	for _, e := range joined.Unwrap() {
		out = append(out, leaves(e)...)
	}
	return out
}

// overlayViolation says what is wrong with an overlay, and where.
func overlayViolation(err error, at plumbline.Origin) plumbline.Violation {
	v := plumbline.Violation{Code: definition.CodeOverlay, Severity: plumbline.SeverityError, Origin: at, Message: err.Error()}
	var e *plumbline.Error
	if errors.As(err, &e) && !e.Origin.IsZero() {
		v.Origin = e.Origin
		bare := *e
		bare.Origin = plumbline.Origin{}
		v.Message = bare.Error()
	}
	return v
}
