package cluster

import (
	"bytes"
	"slices"

	"github.com/plumbline-dev/plumbline"
)

// RequestBody is the body of an apply: the rendered one with id added. Nothing
// of it is decoded: what stands before and behind is copied, and what stands
// behind metadata is not even looked at: the API server does.
func RequestBody(body plumbline.Body, id Identity) ([]byte, error) {
	raw := body.Reveal()
	top := scan{text: raw}
	metadata, ok := top.find("metadata")
	if !ok {
		return nil, plumbline.Errorf(plumbline.KindInternal, "encode request", "the rendered body has no metadata")
	}
	members, ok := membersOf(metadata)
	if !ok {
		return nil, plumbline.Errorf(plumbline.KindInternal, "encode request", "the rendered body's metadata is not a JSON object")
	}
	var labels []member
	for _, m := range members {
		if string(m.key) == `"labels"` {
			labels, ok = membersOf(m.value)
		}
	}
	if !ok || slices.ContainsFunc(labels, func(m member) bool { return m.value[0] != '"' }) {
		return nil, plumbline.Errorf(plumbline.KindInternal, "encode request", "metadata.labels is not a map of strings")
	}
	labels = with(labels, plumbline.LabelInstallation, mustJSON(id.Installation))
	members = with(members, "labels", appendMembers(nil, labels))
	if id.ResourceVersion != "" {
		members = with(members, "resourceVersion", mustJSON(id.ResourceVersion))
	}
	if id.UID != "" {
		members = with(members, "uid", mustJSON(id.UID))
	}
	out := make([]byte, 0, len(raw)+256)
	out = append(out, raw[:top.at-len(metadata)]...)
	out = appendMembers(out, members)
	return append(out, raw[top.at:]...), nil
}

// member of a JSON object, as it is encoded: the key with its quotes.
type member struct{ key, value []byte }

// with is members, sorted by key, and one more, in the place of the one with its
// key.
func with(members []member, key string, value []byte) []member {
	m := member{mustJSON(key), value}
	i, there := slices.BinarySearchFunc(members, m.key, func(m member, key []byte) int { return bytes.Compare(m.key, key) })
	if there {
		members[i] = m
		return members
	}
	return slices.Insert(members, i, m)
}

func appendMembers(dst []byte, members []member) []byte {
	dst = append(dst, '{')
	for i, m := range members {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, m.key...), ':'), m.value...)
	}
	return append(dst, '}')
}

// membersOf are the members of an encoded object, sorted by key; ok is false for
// what is none.
func membersOf(text []byte) (members []member, ok bool) {
	s := scan{text: text}
	if !s.skip('{') {
		return nil, false
	}
	members = make([]member, 0, 8) // some are added
	for !s.skip('}') {
		m, ok := s.member()
		if !ok {
			return nil, false
		}
		members = append(members, m)
	}
	slices.SortFunc(members, func(a, b member) int { return bytes.Compare(a.key, b.key) })
	return members, true
}

// scan goes through JSON that an encoder wrote, member by member. It only finds
// where values end; whether they are well formed it does not tell.
type scan struct {
	text []byte
	at   int
}

// find goes to the end of the value of key in an object, and returns the value.
func (s *scan) find(key string) (value []byte, ok bool) {
	if !s.skip('{') {
		return nil, false
	}
	quoted := mustJSON(key)
	for {
		m, ok := s.member()
		if !ok || bytes.Equal(m.key, quoted) {
			return m.value, ok
		}
	}
}

// member reads a member, without the comma behind it.
func (s *scan) member() (m member, ok bool) {
	s.skip(',')
	if m.key, ok = s.value(); !ok || m.key[0] != '"' || !s.skip(':') {
		return member{}, false
	}
	m.value, ok = s.value()
	return m, ok
}

// skip goes past blanks and one byte, if that is the next.
func (s *scan) skip(b byte) bool {
	s.blanks()
	if s.at < len(s.text) && s.text[s.at] == b {
		s.at++
		return true
	}
	return false
}

func (s *scan) blanks() {
	for s.at < len(s.text) && (s.text[s.at] == ' ' || s.text[s.at] == '\n' || s.text[s.at] == '\r' || s.text[s.at] == '\t') {
		s.at++
	}
}

// value reads a value; ok is false where none is, or it has no end.
func (s *scan) value() (value []byte, ok bool) {
	s.blanks()
	start, depth := s.at, 0
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case '"':
			if !s.quoted() {
				return nil, false
			}
			if depth == 0 {
				return s.text[start:s.at], true
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return s.text[start:s.at], s.at > start // the end of what it stands in
			}
			if depth--; depth == 0 {
				s.at++
				return s.text[start:s.at], true
			}
		case ',', ':', ' ', '\n', '\r', '\t':
			if depth == 0 {
				return s.text[start:s.at], s.at > start
			}
		}
		s.at++
	}
	return nil, false
}

// quoted goes past a string.
func (s *scan) quoted() bool {
	for s.at++; s.at < len(s.text); s.at++ {
		switch s.text[s.at] {
		case '\\':
			s.at++
		case '"':
			s.at++
			return true
		}
	}
	return false
}
