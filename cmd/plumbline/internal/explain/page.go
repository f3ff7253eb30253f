package explain

import (
	"strings"

	"github.com/plumbline-dev/plumbline/render/definition"
	"github.com/plumbline-dev/plumbline/render/definition/reference"
)

// kindPage tells of a kind of document.
func kindPage(k reference.Kind) string {
	var p page
	if k.In(definition.FormSpaceCloud) {
		p.line(k.Name + " (plumbline.dev/v1), " + k.Type + " (Space Cloud)")
	} else {
		p.line(k.Name + " (plumbline.dev/v1)")
	}
	p.paragraph("", k.Doc)
	if k.In(definition.FormSpaceCloud) {
		p.heading("SPACE CLOUD")
		p.line("  api:  " + k.API)
		var meta []string
		for _, f := range k.Meta {
			meta = append(meta, f.Key)
		}
		p.line("  meta: " + strings.Join(meta, ", "))
	}
	p.fields("FIELDS OF spec", k.Spec)
	return p.String()
}

// fieldPage tells of a field, of which each form may have its own.
func fieldPage(k reference.Kind, at string, found []reference.Field) string {
	var p page
	first := found[0]
	what := string(first.Type)
	if first.Required {
		what += ", required"
	}
	p.line(describe(k, at) + " <" + what + ">")
	for _, f := range found {
		if f.Form != "" {
			p.paragraph("IN THE FORM OF "+strings.ToUpper(string(f.Form)), f.Doc)
		} else {
			p.paragraph("", f.Doc)
		}
	}
	if text := limits(first); text != "" {
		p.paragraph("RANGE", text)
	}
	if len(first.Values) > 0 {
		p.paragraph("VALUES", strings.Join(first.Values, ", "))
	}
	if first.Default != "" {
		p.paragraph("DEFAULT", first.Default)
	}
	p.heading("BECOMES")
	if k.Service {
		for _, mode := range []string{"knative", "knative-direct", "deployment"} {
			p.places(mode, first.Becomes.In(mode))
		}
	} else {
		p.places("all modes", first.Becomes.In("all"))
	}
	if first.Of != nil {
		p.fields("FIELDS", first.Of)
	}
	return p.String()
}

// page is text that is written line by line, in 80 columns.
type page struct{ b strings.Builder }

const (
	width  = 80
	column = 22 // where the second column of a row begins
)

func (p *page) String() string { return p.b.String() }

func (p *page) line(text string) { p.b.WriteString(text + "\n") }

func (p *page) heading(text string) { p.line("\n" + text + ":") }

func (p *page) paragraph(heading, text string) {
	if heading == "" {
		p.line("")
		p.wrapped(text, 0)
		return
	}
	p.heading(heading)
	p.b.WriteString("  ")
	p.wrapped(text, 2)
}

// row is a word and what is said of it.
func (p *page) row(word, text string) {
	p.b.WriteString("  " + word)
	if room := column - 2 - len(word); room > 0 {
		p.b.WriteString(strings.Repeat(" ", room))
	} else {
		p.b.WriteString("\n" + strings.Repeat(" ", column))
	}
	p.wrapped(text, column)
}

// places are what a field becomes in a mode, a line each.
func (p *page) places(mode, text string) {
	for place := range strings.SplitSeq(text, "; ") {
		p.row(mode, place)
		mode = ""
	}
}

// wrapped writes words up to the width, in lines that begin at indent.
func (p *page) wrapped(text string, indent int) {
	at := indent
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
		case at+1+len(word) > width:
			p.b.WriteString("\n" + strings.Repeat(" ", indent))
			at = indent
		default:
			p.b.WriteByte(' ')
			at++
		}
		p.b.WriteString(word)
		at += len(word)
	}
	p.b.WriteByte('\n')
}

// fields lists the fields of a mapping with the first sentence of each.
func (p *page) fields(heading string, m *reference.Mapping) {
	if len(m.Fields) == 0 {
		return
	}
	p.heading(heading)
	for _, f := range m.Fields {
		doc, _, more := strings.Cut(f.Doc, ". ")
		if more {
			doc += "."
		}
		if f.Form == definition.FormSpaceCloud {
			doc = "(Space Cloud only) " + doc
		}
		if f.Required {
			doc = "(required) " + doc
		}
		p.row(f.Key, doc)
	}
}
