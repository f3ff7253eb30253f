package definition

import (
	"fmt"
	"strings"

	"github.com/plumbline-dev/plumbline"
)

// Pos is a place inside one document: lines and columns count from 1, the
// zero value is "not known".
type Pos struct{ Line, Column int }

// Source says where a document lies. Parsed values hold places relative to
// their document, so that a document that moves is not parsed again.
type Source struct {
	Path   string
	Before int  // lines of the file before the document's first
	Opaque bool // lines of the document are not lines of the file
	First  int  // line of the file at which an opaque document begins; 0 is not known
}

// At is the place p of the document in its file.
func (s Source) At(p Pos) plumbline.Origin {
	switch {
	case s.Opaque:
		return plumbline.Origin{Path: s.Path, Line: s.First}
	case p.Line == 0:
		return plumbline.Origin{Path: s.Path}
	}
	return plumbline.Origin{Path: s.Path, Line: s.Before + p.Line, Column: p.Column}
}

// Place turns a violation of Document.Violations into one of the file.
func (s Source) Place(v plumbline.Violation) plumbline.Violation {
	v.Origin = s.At(Pos{v.Origin.Line, v.Origin.Column})
	if len(v.Related) > 0 {
		related := make([]plumbline.Origin, len(v.Related))
		for i, o := range v.Related {
			related[i] = s.At(Pos{o.Line, o.Column})
		}
		v.Related = related
	}
	return v
}

// Text is a scalar as it is written, with its place.
type Text struct {
	Value string
	At    Pos
}

// problems collects the violations of one document.
type problems struct {
	found  []plumbline.Violation
	values int // of the document, aliases counted as often as they are used
}

func (p *problems) add(code string, sev plumbline.Severity, at Pos, format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "") + "…"
	}
	p.found = append(p.found, plumbline.Violation{
		Code: code, Severity: sev,
		Origin:  plumbline.Origin{Line: at.Line, Column: at.Column},
		Message: message,
	})
}

func (p *problems) errorf(code string, at Pos, format string, args ...any) {
	p.add(code, plumbline.SeverityError, at, format, args...)
}

func (p *problems) warnf(code string, at Pos, format string, args ...any) {
	p.add(code, plumbline.SeverityWarning, at, format, args...)
}

// relate adds a second place to the violation that was added last.
func (p *problems) relate(at Pos) {
	last := &p.found[len(p.found)-1]
	last.Related = append(last.Related, plumbline.Origin{Line: at.Line, Column: at.Column})
}
