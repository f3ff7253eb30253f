package notes

import (
	"bytes"
	"encoding/json"

	"github.com/plumbline-dev/plumbline"
)

// encodeLine is a status as one line, the fields in the order of
// plumbline.Status.
func encodeLine(s plumbline.Status) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// decodeLines are the statuses of sha in its note, oldest first. Lines that
// are not ours are passed over.
func decodeLines(sha string, note []byte) []plumbline.Status {
	var out []plumbline.Status
	for line := range bytes.Lines(note) {
		var s plumbline.Status
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] != '{' || json.Unmarshal(line, &s) != nil {
			continue
		}
		if s.SHA == sha && s.Context != "" && s.State != "" {
			out = append(out, s)
		}
	}
	return out
}

// appendLine adds a line to a note, whatever the note ends with.
func appendLine(note, line []byte) []byte {
	out := make([]byte, 0, len(note)+1+len(line))
	out = append(out, note...)
	if len(out) > 0 && out[len(out)-1] != '\n' {
		out = append(out, '\n')
	}
	return append(out, line...)
}

// last is the newest status of a key.
func last(list []plumbline.Status, key plumbline.StatusKey) (plumbline.Status, bool) {
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].Key() == key {
			return list[i], true
		}
	}
	return plumbline.Status{}, false
}
