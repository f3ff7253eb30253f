package state

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"unique"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/drift"
)

// format is the first byte of everything this package encodes.
const format = 1

// maxDecoded bounds what a damaged or hostile ConfigMap may unpack to.
const maxDecoded = 64 << 20

// wireShard is the JSON form of a shard. Field sets are listed once, entries
// point at them.
type wireShard struct {
	// Plan is the last one when it was written, or that it is: see Store.Plan.
	Plan    string      `json:"plan,omitempty"`
	Sets    []string    `json:"sets,omitempty"`
	Entries []wireEntry `json:"entries"`
}

type wireEntry struct {
	Group     string           `json:"g,omitempty"`
	Kind      string           `json:"k"`
	Namespace string           `json:"ns,omitempty"`
	Name      string           `json:"n"`
	Version   string           `json:"v"`
	Project   string           `json:"p,omitempty"` // where it is not that of the shard
	Service   string           `json:"s,omitempty"`
	Origin    plumbline.Origin `json:"o,omitzero"`
	Checksum  string           `json:"c,omitempty"`
	UID       string           `json:"u,omitempty"`
	Keep      bool             `json:"keep,omitempty"`
	Shared    bool             `json:"shared,omitempty"`
	Adopted   bool             `json:"adopted,omitempty"`
	Verified  *wireRecord      `json:"ok,omitempty"`
}

type wireRecord struct {
	drift.Record
	Set int `json:"set"`
}

// encodePlan encodes entries of any projects; nil for none.
func encodePlan(entries []Entry, plan string) ([]byte, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	w := wireOf(entries, plan)
	for i := range entries {
		w.Entries[i].Project = entries[i].Project
	}
	return pack(w)
}

// encodeShard encodes entries of one project, which the ConfigMap says.
func encodeShard(entries []Entry, plan string) ([]byte, error) { return pack(wireOf(entries, plan)) }

func wireOf(entries []Entry, plan string) wireShard {
	w := wireShard{Plan: plan, Entries: make([]wireEntry, 0, len(entries))}
	sets := map[drift.FieldSet]int{}
	for _, e := range entries {
		we := wireEntry{
			Group: e.Ref.Group, Kind: e.Ref.Kind, Namespace: e.Ref.Namespace, Name: e.Ref.Name,
			Version: e.Version, Service: e.Service, Origin: e.Origin, Checksum: e.Checksum, UID: e.UID, Keep: e.Keep, Shared: e.Shared, Adopted: e.Adopted,
		}
		if e.Verified.UID != "" {
			i, ok := sets[e.Verified.Fields]
			if !ok {
				i = len(w.Sets)
				sets[e.Verified.Fields] = i
				w.Sets = append(w.Sets, e.Verified.Fields.Value())
			}
			we.Verified = &wireRecord{Record: e.Verified, Set: i}
		}
		w.Entries = append(w.Entries, we)
	}
	return w
}

func decodeShard(data []byte, project string) (entries []Entry, plan string, err error) {
	var w wireShard
	if err := unpack(data, &w); err != nil {
		return nil, "", err
	}
	out := make([]Entry, 0, len(w.Entries))
	texts := shared{}
	for _, we := range w.Entries {
		e := Entry{
			Ref:     plumbline.Ref{Group: texts.one(we.Group), Kind: texts.one(we.Kind), Namespace: texts.one(we.Namespace), Name: we.Name},
			Version: texts.one(we.Version), Project: texts.one(cmp.Or(we.Project, project)), Service: texts.one(we.Service), Origin: we.Origin,
			Checksum: we.Checksum, UID: we.UID, Keep: we.Keep, Shared: we.Shared, Adopted: we.Adopted,
		}
		e.Origin.Path = texts.one(e.Origin.Path)
		if e.Ref.Kind == "" || e.Ref.Name == "" {
			return nil, "", fmt.Errorf("read inventory: an entry has no kind or no name")
		}
		if we.Verified != nil {
			if we.Verified.Set < 0 || we.Verified.Set >= len(w.Sets) {
				return nil, "", fmt.Errorf("read inventory: %s points at field set %d of %d", e.Ref, we.Verified.Set, len(w.Sets))
			}
			e.Verified = we.Verified.Record
			if e.Verified.UID == e.UID {
				e.Verified.UID = e.UID // one text
			}
			e.Verified.Others, e.Verified.Status = texts.one(e.Verified.Others), texts.one(e.Verified.Status)
			e.Verified.Fields = unique.Make(w.Sets[we.Verified.Set])
		}
		out = append(out, e)
	}
	return out, w.Plan, nil
}

// shared are texts that many entries hold: decoded, each has its own.
type shared map[string]string

// one is the first text that is like s.
func (t shared) one(s string) string {
	if first, ok := t[s]; ok {
		return first
	}
	t[s] = s
	return s
}

// pack encodes v as the format byte and gzipped JSON: the same value, the same
// bytes.
func pack(v any) ([]byte, error) {
	var buf bytes.Buffer
	buf.WriteByte(format)
	zw, err := gzip.NewWriterLevel(&buf, gzip.BestSpeed)
	if err != nil {
		return nil, fmt.Errorf("pack state: %w", err)
	}
	if err := json.NewEncoder(zw).Encode(v); err != nil {
		return nil, fmt.Errorf("pack state: %w", err)
	}
	if err := zw.Close(); err != nil {
		return nil, fmt.Errorf("pack state: %w", err)
	}
	return buf.Bytes(), nil
}

func unpack(data []byte, v any) error {
	if len(data) == 0 {
		return fmt.Errorf("read state: empty")
	}
	if data[0] != format {
		return fmt.Errorf("read state: format %d, this version of Plumbline reads %d", data[0], format)
	}
	zr, err := gzip.NewReader(bytes.NewReader(data[1:]))
	if err != nil {
		return fmt.Errorf("read state: %w", err)
	}
	raw, err := io.ReadAll(io.LimitReader(zr, maxDecoded+1))
	if err != nil {
		return fmt.Errorf("read state: %w", err)
	}
	if len(raw) > maxDecoded {
		return fmt.Errorf("read state: more than %d bytes", maxDecoded)
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("read state: %w", err)
	}
	return nil
}
