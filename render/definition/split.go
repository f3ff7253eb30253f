package definition

import (
	"bytes"
	"unicode/utf8"

	"github.com/plumbline-dev/plumbline"
)

// Chunk is one document of a file, not yet parsed.
type Chunk struct {
	Text   []byte
	Before int // lines before its first
}

// Split cuts a file into its documents. Documents of blanks and comments only
// are left out. The violations are about the file as a whole.
func Split(file []byte) ([]Chunk, []plumbline.Violation) {
	var p problems
	file = bytes.TrimPrefix(file, []byte("\xef\xbb\xbf"))
	switch {
	case len(file) > MaxFile:
		p.errorf(CodeTooLarge, Pos{}, "the file has %d bytes; the limit is %d: split it", len(file), MaxFile)
		return nil, p.found
	case !utf8.Valid(file):
		p.errorf(CodeEncoding, Pos{lineOfInvalid(file), 0}, "not UTF-8 text: save the file as UTF-8")
		return nil, p.found
	}
	s := splitter{chunks: make([]Chunk, 0, 1)}
	for line, rest := 0, file; len(rest) > 0; line++ {
		if len(s.chunks) > MaxFileDocuments {
			break
		}
		end := bytes.IndexByte(rest, '\n') + 1
		if end == 0 {
			end = len(rest)
		}
		s.line(rest[:end], line)
		rest = rest[end:]
	}
	s.flush()
	if len(s.chunks) > MaxFileDocuments {
		p.errorf(CodeTooLarge, Pos{s.chunks[MaxFileDocuments].Before + 1, 0}, "the file has more than %d documents: split it", MaxFileDocuments)
		return nil, p.found
	}
	return s.chunks, nil
}

// splitter gathers the lines of one document after the other. All lines are
// slices of one file, so a document is one slice too.
type splitter struct {
	chunks    []Chunk
	text      []byte
	before    int
	content   bool // the document has more than blanks, comments, directives
	directive bool
}

func (s *splitter) line(l []byte, number int) {
	bare := bytes.TrimRight(l, " \t\r\n")
	switch {
	case isMarker(bare, "---"):
		if !s.directive || s.content {
			s.flush()
		}
		s.content = len(trimComment(bare[3:])) > 0
	case isMarker(bare, "..."):
		s.flush()
		return
	case len(bare) > 0 && bare[0] == '%' && !s.content:
		s.directive = true
	case len(trimComment(bare)) > 0:
		s.content = true
	}
	if s.text == nil {
		s.before = number
		s.text = l[:0:cap(l)]
	}
	s.text = s.text[: len(s.text)+len(l) : cap(s.text)]
}

func (s *splitter) flush() {
	if s.content {
		text := s.text[:len(s.text):len(s.text)]
		s.chunks = append(s.chunks, Chunk{Text: text, Before: s.before})
	}
	s.text, s.content, s.directive = nil, false, false
}

// isMarker tells whether the line is the marker, or the marker and a blank.
// Inside a block scalar no marker can stand in the first column.
func isMarker(line []byte, marker string) bool {
	if !bytes.HasPrefix(line, []byte(marker)) {
		return false
	}
	return len(line) == 3 || line[3] == ' ' || line[3] == '\t'
}

// trimComment removes blanks, and the rest of a line that is a comment.
func trimComment(line []byte) []byte {
	line = bytes.TrimLeft(line, " \t")
	if len(line) > 0 && line[0] == '#' {
		return nil
	}
	return line
}

func lineOfInvalid(file []byte) int {
	for i := 0; i < len(file); {
		r, n := utf8.DecodeRune(file[i:])
		if r == utf8.RuneError && n == 1 {
			return bytes.Count(file[:i], []byte{'\n'}) + 1
		}
		i += n
	}
	return 0
}
