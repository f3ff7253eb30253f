// Package drift decides from metadata alone whether a live object still is
// what Plumbline applied.
//
// In goes an Observation (what the API server says of an object's metadata)
// and a Record (what it said right after Plumbline last wrote or verified it);
// out comes a plumbline.Verdict that names the fields that were lost, and who
// owns them now. It works because server-side apply takes a field out of our
// entry in metadata.managedFields as soon as anyone else changes or removes it.
//
// Everything here is pure: no request, no clock, no value of any object.
package drift

import (
	"hash/fnv"
	"io"
	"strconv"
	"unique"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plumbline-dev/plumbline"
)

// FieldSet is the JSON form of a field set as it stands in managedFields.
// Objects of one shape have equal sets, so they are interned: comparing two is
// comparing pointers, and seven thousand objects keep a few dozen.
type FieldSet = unique.Handle[string]

func intern(s string) FieldSet { return unique.Make(s) }

// Entry is one entry of metadata.managedFields.
type Entry struct {
	Manager     unique.Handle[string]
	Operation   metav1.ManagedFieldsOperationType
	Subresource string
	Time        int64 // Unix seconds, the resolution the API server has; 0 for nil
	Fields      FieldSet
	Index       int // in managedFields
}

// Observation is what a metadata watch, or the response to a write, says of
// one object.
type Observation struct {
	Ref             plumbline.Ref
	UID             string
	Generation      int64 // 0 for kinds without one
	ResourceVersion string
	Deleting        bool // deletionTimestamp is set

	Installation string // value of plumbline.LabelInstallation
	Environment  string // value of plumbline.LabelEnvironment
	// Marks is a hash of labels, annotations, finalizers and owners; 0 for kinds
	// without a generation, of which nobody asks. It is not keyed, and an annotation
	// of a Secret may hold its data.
	Marks uint64
	// Controller is the kind and name of the controller in ownerReferences,
	// empty where there is none.
	Controller string

	Own    *Entry  // our Apply entry; nil when it is gone
	Others []Entry // every other entry; those of subresource "status" without fields
}

// Observe reads an Observation of ref from m. Annotations and field values are
// not kept.
func Observe(ref plumbline.Ref, m *metav1.ObjectMeta) Observation {
	o := Observation{
		Ref:             ref,
		UID:             string(m.UID),
		Generation:      m.Generation,
		ResourceVersion: m.ResourceVersion,
		Deleting:        m.DeletionTimestamp != nil,
		Installation:    m.Labels[plumbline.LabelInstallation],
		Environment:     m.Labels[plumbline.LabelEnvironment],
	}
	if m.Generation > 0 {
		o.Marks = marks(m)
	}
	for i := range m.OwnerReferences {
		if r := &m.OwnerReferences[i]; r.Controller != nil && *r.Controller {
			o.Controller = r.Kind + " " + r.Name
		}
	}
	for i := range m.ManagedFields {
		f := &m.ManagedFields[i]
		e := Entry{Manager: unique.Make(f.Manager), Operation: f.Operation, Subresource: f.Subresource, Index: i}
		if f.Time != nil {
			e.Time = f.Time.Unix()
		}
		if f.FieldsV1 != nil && f.Subresource != "status" {
			e.Fields = intern(f.FieldsV1.GetRawString())
		} else {
			e.Fields = intern("")
		}
		if f.Manager == plumbline.FieldManager && f.Operation == metav1.ManagedFieldsOperationApply && f.Subresource == "" {
			o.Own = &e
			continue
		}
		o.Others = append(o.Others, e)
	}
	return o
}

// Ours tells whether the object carries our Apply entry and the labels of this
// installation and environment. Labels alone prove nothing: controllers copy
// them to objects of their own.
func (o Observation) Ours(installation, environment string) bool {
	return o.Own != nil && o.Installation == installation && o.Environment == environment
}

// Theirs tells whether an observed object carries the marks of another
// environment, or of another installation: whoever took it over has it. Without
// any marks it is nobody else's.
func (o Observation) Theirs(installation, environment string) bool {
	other := func(is, own string) bool { return is != "" && is != own }
	return o.Own != nil && (other(o.Installation, installation) || other(o.Environment, environment))
}

// Record is an Observation that was verified: the API server answered with it
// to an apply of ours, so the object then was exactly what was desired. Its
// JSON form is kept in the inventory, where Fields is replaced by an index.
type Record struct {
	UID             string   `json:"uid"`
	Fields          FieldSet `json:"-"`
	Time            int64    `json:"time"` // of our entry, Unix seconds
	Generation      int64    `json:"gen,omitempty"`
	ResourceVersion string   `json:"rv"`
	Marks           uint64   `json:"marks,omitempty"`  // as Observation.Marks
	Others          string   `json:"others,omitempty"` // hash of the other entries but those of subresource status
	Status          string   `json:"status,omitempty"` // hash of the entries of subresource status
}

// Verify makes the Record of an Observation that is known to be as desired. It
// must carry our entry.
func Verify(o Observation) Record {
	r := Record{UID: o.UID, Generation: o.Generation, ResourceVersion: o.ResourceVersion, Marks: o.Marks}
	if o.Own != nil {
		r.Fields, r.Time = o.Own.Fields, o.Own.Time
	} else {
		r.Fields = intern("")
	}
	r.Others, r.Status = hashes(o.Others)
	return r
}

// hashes are stable across processes. No entries hash to "".
func hashes(entries []Entry) (others, status string) {
	ho, hs := fnv.New64a(), fnv.New64a()
	no, ns := 0, 0
	for _, e := range entries {
		h, n := io.Writer(ho), &no
		if e.Subresource == "status" {
			h, n = hs, &ns
		}
		*n++
		_, _ = io.WriteString(h, e.Manager.Value()+"\x00"+string(e.Operation)+"\x00"+e.Subresource+"\x00"+strconv.FormatInt(e.Time, 10)+"\x01")
	}
	if no > 0 {
		others = strconv.FormatUint(ho.Sum64(), 36)
	}
	if ns > 0 {
		status = strconv.FormatUint(hs.Sum64(), 36)
	}
	return others, status
}
