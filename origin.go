package plumbline

import (
	"cmp"
	"strconv"
)

// Origin is the place in the repository that something comes from. Path is
// slash-separated and relative to the repository's root; Line and Column count
// from 1 and are 0 where not known.
type Origin struct {
	Path   string `json:"path,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
}

// String is "path:line:column", as far as it is known.
func (o Origin) String() string {
	s := o.Path
	if o.Line > 0 {
		s += ":" + strconv.Itoa(o.Line)
		if o.Column > 0 {
			s += ":" + strconv.Itoa(o.Column)
		}
	}
	return s
}

// IsZero tells whether nothing is known.
func (o Origin) IsZero() bool { return o == Origin{} }

// Compare orders by path, line and column.
func (o Origin) Compare(p Origin) int {
	return cmp.Or(cmp.Compare(o.Path, p.Path), cmp.Compare(o.Line, p.Line), cmp.Compare(o.Column, p.Column))
}
