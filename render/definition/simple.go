package definition

import (
	"bytes"
	"strings"

	"go.yaml.in/yaml/v3"
)

// simple loads a document that is written in the simplest YAML, in a third of the
// time of the parser of all YAML, which was two fifths of a rendering. It knows
// block mappings and lists, flow ones on one line, plain and quoted scalars
// without escapes on one line, and comments, in ASCII. It returns nil for
// anything else, and wherever it is in doubt: what is wrong with a document is
// for the parser to say. What it does return is what the parser would, but for
// comments; FuzzSimple holds it to that.
func simple(text []byte) *yaml.Node {
	for _, c := range text {
		if (c < ' ' || c > '~') && c != '\n' {
			return nil
		}
	}
	s := simpleReader{text: string(text), number: 1}
	// A value has a colon, a dash or a comma before it, and perhaps a key.
	most := 2 + 2*bytes.Count(text, []byte{':'}) + bytes.Count(text, []byte{'-'}) + bytes.Count(text, []byte{','})
	if most > maxSimple {
		return nil
	}
	s.nodes, s.pointers = make([]yaml.Node, 0, most), make([]*yaml.Node, 0, most)
	if strings.HasPrefix(s.text, "---\n") {
		s.pos, s.begin, s.number = 4, 4, 2
	}
	if !s.find() || s.ended {
		return nil
	}
	root := s.block(-1, 0)
	if !s.ended {
		return nil
	}
	return root
}

// maxSimple is how many nodes there is room for: a text of colons alone would ask
// for a gigabyte.
const maxSimple = 50_000

// simpleReader is one simple. Its methods return nil, or false, where they are in
// doubt; then nothing it holds counts.
type simpleReader struct {
	text   string
	pos    int
	begin  int // of the line
	number int // of the line
	ended  bool

	nodes    []yaml.Node  // all of them: there is room for as many as there can be
	pointers []*yaml.Node // likewise, from collections to their children
	open     []*yaml.Node // children of the collections that are being read
}

// maxKey is how far behind its key a colon stands at most: 1024 characters on, to
// YAML it is none.
const maxKey = 1000

// Characters that are of meaning where a value begins.
const indicators = ",[]{}#&*!|>'\"%@`?:"

// at is the character at the position, or a line's end.
func (s *simpleReader) at(i int) byte {
	if i < len(s.text) {
		return s.text[i]
	}
	return '\n'
}

func (s *simpleReader) column() int { return s.pos - s.begin }

// blank tells whether a character ends a word.
func blank(c byte) bool { return c == ' ' || c == '\n' }

// spaces skips them.
func (s *simpleReader) spaces() {
	for s.at(s.pos) == ' ' {
		s.pos++
	}
}

// find goes to the first character of the next line that holds anything, from
// the beginning of a line.
func (s *simpleReader) find() bool {
	for s.pos < len(s.text) {
		s.spaces()
		if c := s.at(s.pos); c != '\n' && c != '#' {
			marker := s.column() == 0 && (strings.HasPrefix(s.text[s.pos:], "---") || strings.HasPrefix(s.text[s.pos:], "..."))
			return !marker
		}
		s.line()
	}
	s.ended = true
	return true
}

// line goes to the beginning of the next line.
func (s *simpleReader) line() {
	end := strings.IndexByte(s.text[s.pos:], '\n')
	if end < 0 {
		s.pos = len(s.text)
	} else {
		s.pos += end + 1
	}
	s.begin = s.pos
	s.number++
}

// rest goes on to the next line that holds anything, if nothing but a comment
// stands before it.
func (s *simpleReader) rest() bool {
	from := s.pos
	s.spaces()
	switch c := s.at(s.pos); {
	case c == '#' && s.pos == from:
		return false
	case c != '\n' && c != '#':
		return false
	}
	s.line()
	return s.find()
}

// place is that of the position, as a node has it.
func (s *simpleReader) place() Pos { return Pos{s.number, s.column() + 1} }

func (s *simpleReader) node(kind yaml.Kind, tag string, at Pos) *yaml.Node {
	s.nodes = append(s.nodes, yaml.Node{Kind: kind, Tag: tag, Line: at.Line, Column: at.Column})
	return &s.nodes[len(s.nodes)-1]
}

func (s *simpleReader) null(at Pos) *yaml.Node { return s.node(yaml.ScalarNode, "!!null", at) }

// children takes those that were opened since there were n.
func (s *simpleReader) children(n int) []*yaml.Node {
	list := s.open[n:]
	s.open = s.open[:n]
	from := len(s.pointers)
	s.pointers = append(s.pointers, list...)
	return s.pointers[from:len(s.pointers):len(s.pointers)]
}

// block reads a value that begins at the position and belongs to what is
// indented by parent, and goes on to the line behind it.
func (s *simpleReader) block(parent, depth int) *yaml.Node {
	if depth > MaxDepth {
		return nil
	}
	if s.at(s.pos) == '-' && blank(s.at(s.pos+1)) {
		return s.list(s.column(), depth, false)
	}
	at := s.place()
	n := s.value(depth)
	if n == nil {
		return nil
	}
	if s.colon() {
		if n.Kind != yaml.ScalarNode {
			return nil
		}
		return s.mapping(at, n, depth)
	}
	if !s.rest() || !s.ended && s.column() > parent {
		return nil
	}
	return n
}

// colon tells whether what was read is the key of a mapping.
func (s *simpleReader) colon() bool {
	i := s.pos
	for s.at(i) == ' ' {
		i++
	}
	return s.at(i) == ':' && blank(s.at(i+1))
}

// mapping reads the mapping whose first key was read from a place.
func (s *simpleReader) mapping(at Pos, key *yaml.Node, depth int) *yaml.Node {
	column, children := at.Column-1, len(s.open)
	n := s.node(yaml.MappingNode, "!!map", at)
	for {
		s.spaces()
		if s.column()-column > maxKey || key.Tag == mergeTag {
			return nil
		}
		s.pos++ // the colon
		v := s.valueOf(column, depth)
		if v == nil {
			return nil
		}
		s.open = append(s.open, key, v)
		if s.ended || s.column() < column {
			n.Content = s.children(children)
			return n
		}
		if s.column() > column || s.at(s.pos) == '-' && blank(s.at(s.pos+1)) {
			return nil
		}
		if key = s.scalar(false); key == nil || !s.colon() {
			return nil
		}
	}
}

// valueOf reads what stands behind the colon of a key, or below it.
func (s *simpleReader) valueOf(column, depth int) *yaml.Node {
	at, before := s.place(), s.pos
	s.spaces()
	if c := s.at(s.pos); c != '\n' && c != '#' {
		v := s.value(depth + 1)
		if v == nil || s.colon() || !s.rest() || !s.ended && s.column() > column {
			return nil
		}
		return v
	}
	s.pos = before
	switch {
	case !s.rest():
		return nil
	case s.ended || s.column() < column:
		return s.null(at)
	case s.column() > column:
		return s.block(column, depth+1)
	case s.at(s.pos) == '-' && blank(s.at(s.pos+1)):
		return s.list(column, depth+1, true)
	}
	return s.null(at)
}

// list reads the list whose first dash is at the position. Within a mapping it
// may be indented no further than the keys.
func (s *simpleReader) list(column, depth int, within bool) *yaml.Node {
	children := len(s.open)
	n := s.node(yaml.SequenceNode, "!!seq", s.place())
	for {
		s.pos++ // the dash
		v := s.item(column, depth)
		if v == nil {
			return nil
		}
		s.open = append(s.open, v)
		dash := !s.ended && s.column() == column && s.at(s.pos) == '-' && blank(s.at(s.pos+1))
		switch {
		case dash:
			continue
		case !s.ended && (s.column() > column || s.column() == column && !within):
			return nil
		}
		n.Content = s.children(children)
		return n
	}
}

// item reads what stands behind the dash of a list, or below it.
func (s *simpleReader) item(column, depth int) *yaml.Node {
	at, before := s.place(), s.pos
	s.spaces()
	if c := s.at(s.pos); c != '\n' && c != '#' {
		return s.block(column, depth+1)
	}
	s.pos = before
	switch {
	case !s.rest():
		return nil
	case !s.ended && s.column() > column:
		return s.block(column, depth+1)
	}
	return s.null(at)
}

// value reads a value that ends on its line.
func (s *simpleReader) value(depth int) *yaml.Node {
	if c := s.at(s.pos); c == '{' || c == '[' {
		return s.flow(depth)
	}
	return s.scalar(false)
}

// flow reads a collection in brackets.
func (s *simpleReader) flow(depth int) *yaml.Node {
	if depth > MaxDepth {
		return nil
	}
	children, end := len(s.open), byte(']')
	n := s.node(yaml.SequenceNode, "!!seq", s.place())
	if s.at(s.pos) == '{' {
		n.Kind, n.Tag, end = yaml.MappingNode, "!!map", '}'
	}
	n.Style = yaml.FlowStyle
	s.pos++
	for s.spaces(); s.at(s.pos) != end; s.spaces() {
		if len(s.open) > children {
			if s.at(s.pos) != ',' {
				return nil
			}
			s.pos++
			s.spaces()
		}
		if end == '}' && !s.key() {
			return nil
		}
		var v *yaml.Node
		if c := s.at(s.pos); c == '{' || c == '[' {
			v = s.flow(depth + 1)
		} else {
			v = s.scalar(true)
		}
		if v == nil || s.colon() {
			return nil
		}
		s.open = append(s.open, v)
	}
	s.pos++
	n.Content = s.children(children)
	return n
}

// key reads a key in brackets, and its colon.
func (s *simpleReader) key() bool {
	from := s.pos
	k := s.scalar(true)
	if k == nil || k.Tag == mergeTag || !s.colon() {
		return false
	}
	if s.spaces(); s.pos-from > maxKey {
		return false
	}
	s.pos++ // the colon
	s.spaces()
	s.open = append(s.open, k)
	return true
}

// scalar reads a scalar, in brackets or not.
func (s *simpleReader) scalar(flow bool) *yaml.Node {
	if c := s.at(s.pos); c == '"' || c == '\'' {
		return s.quoted(c)
	}
	first, second := s.at(s.pos), s.at(s.pos+1)
	if blank(first) || strings.IndexByte(indicators, first) >= 0 || first == '-' && (blank(second) || strings.IndexByte(indicators, second) >= 0) {
		return nil
	}
	i, end := s.pos, s.pos
scan:
	for ; s.at(i) != '\n'; i++ {
		switch c := s.at(i); {
		case c == ' ':
			continue
		case c == ':' && blank(s.at(i+1)), c == '#' && s.at(i-1) == ' ':
			break scan
		case flow && strings.IndexByte(",?[]{}", c) >= 0:
			break scan
		}
		end = i + 1
	}
	n := s.node(yaml.ScalarNode, "", s.place())
	n.Value = s.text[s.pos:end]
	if n.Tag = n.ShortTag(); n.Value == "<<" {
		n.Tag = mergeTag
	}
	s.pos = end
	return n
}

// quoted reads a scalar between quotes, without escapes.
func (s *simpleReader) quoted(quote byte) *yaml.Node {
	length := strings.IndexByte(s.text[s.pos+1:], quote)
	if length < 0 {
		return nil
	}
	value := s.text[s.pos+1 : s.pos+1+length]
	if strings.IndexByte(value, '\n') >= 0 || quote == '"' && strings.IndexByte(value, '\\') >= 0 || s.at(s.pos+length+2) == quote {
		return nil
	}
	n := s.node(yaml.ScalarNode, "!!str", s.place())
	n.Value, n.Style = value, yaml.SingleQuotedStyle
	if quote == '"' {
		n.Style = yaml.DoubleQuotedStyle
	}
	s.pos += length + 2
	return n
}
