// Package encode writes Kubernetes objects as canonical JSON: keys sorted, no
// null, no status, no creationTimestamp, nothing that says only its zero
// value. Equal objects give equal bytes.
//
// In go the typed structs of k8s.io/api, Knative and Istio, out comes the
// JSON. It is one walk: encoding/json writes fields in the order of the struct,
// and protojson with blanks that change from build to build, so that each would
// need a second pass over decoded maps.
//
// Two rules differ from theirs. An enum of Istio is written even if it is the
// zero value (action: ALLOW, mode: REGISTRY_ONLY), unless that means "unset":
// a field that is not written is not owned, and others could fill it in. A
// struct held by value is left out when it is zero (resources: {}).
package encode

import (
	"encoding/base64"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Encoder writes objects. It remembers what it learned of a type, so one
// Encoder should serve many objects; it is not safe for concurrent use.
type Encoder struct {
	plans map[reflect.Type]*plan
}

// New makes an Encoder.
func New() *Encoder { return &Encoder{plans: map[reflect.Type]*plan{}} }

// Append appends the JSON of an object, a pointer to a struct, to dst. An
// error is a type that no Kubernetes object has.
func (e *Encoder) Append(dst []byte, object any) ([]byte, error) {
	v := reflect.ValueOf(object)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return dst, fmt.Errorf("encode %T: not a pointer to a struct", object)
	}
	p, err := e.planOf(v.Elem().Type())
	if err != nil {
		return dst, err
	}
	return p.write(dst, v.Elem(), true), nil
}

// plan says how values of one type are written.
type plan struct {
	kind   kind
	fields []field // of a struct, sorted by key
	elem   *plan   // of a pointer, slice or map
	oneofs bool    // some fields have no plan: they stand for a oneof
	owner  *Encoder
	skip   int64 // of an enum: the number that is not written
	enums  map[int64]string
}

// field is one key of a struct.
type field struct {
	key      string // encoded, with quotes and colon
	index    []int
	plan     *plan
	optional bool // left out when empty
	root     bool // left out of the object itself: status
}

// kind of encoding.
type kind int

const (
	kindString kind = iota
	kindBool
	kindInt
	kindUint
	kindFloat
	kindBytes
	kindSlice
	kindMap
	kindPointer
	kindStruct
	kindEnum
	kindText // by its text form: quantities, durations, times
	kindIntOrString
)

func (p *plan) write(dst []byte, v reflect.Value, root bool) []byte {
	switch p.kind {
	case kindString:
		return appendString(dst, v.String())
	case kindBool:
		return strconv.AppendBool(dst, v.Bool())
	case kindInt:
		return strconv.AppendInt(dst, v.Int(), 10)
	case kindUint:
		return strconv.AppendUint(dst, v.Uint(), 10)
	case kindFloat:
		return strconv.AppendFloat(dst, v.Float(), 'g', -1, 64)
	case kindBytes:
		dst = append(dst, '"')
		dst = base64.StdEncoding.AppendEncode(dst, v.Bytes())
		return append(dst, '"')
	case kindSlice:
		return p.writeSlice(dst, v)
	case kindMap:
		return p.writeMap(dst, v)
	case kindPointer:
		return p.elem.write(dst, v.Elem(), root)
	case kindStruct:
		return p.writeStruct(dst, v, root)
	case kindEnum:
		return appendString(dst, p.enums[v.Int()])
	case kindIntOrString:
		return appendIntOrString(dst, v)
	default:
		return appendText(dst, v)
	}
}

func (p *plan) writeSlice(dst []byte, v reflect.Value) []byte {
	dst = append(dst, '[')
	for i := range v.Len() {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = p.elem.write(dst, v.Index(i), false)
	}
	return append(dst, ']')
}

func (p *plan) writeMap(dst []byte, v reflect.Value) []byte {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(keyText(a), keyText(b)) })
	dst = append(dst, '{')
	for i, k := range keys {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, keyText(k)), ':')
		dst = p.elem.write(dst, v.MapIndex(k), false)
	}
	return append(dst, '}')
}

// keyText is a map's key: text, or a port's number.
func keyText(k reflect.Value) string {
	if k.Kind() == reflect.String {
		return k.String()
	}
	return strconv.FormatUint(k.Uint(), 10)
}

func (p *plan) writeStruct(dst []byte, v reflect.Value, root bool) []byte {
	fields := p.fields
	if p.oneofs {
		fields = p.choose(v)
	}
	dst = append(dst, '{')
	first := true
	for i := range fields {
		f := &fields[i]
		if root && f.root {
			continue
		}
		fv := v
		for _, j := range f.index {
			if fv.Kind() == reflect.Interface || fv.Kind() == reflect.Pointer {
				fv = fv.Elem()
			}
			if fv.Kind() == reflect.Pointer {
				fv = fv.Elem()
			}
			fv = fv.Field(j)
		}
		if f.plan.empty(fv, f.optional) {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, f.key...)
		dst = f.plan.write(dst, fv, false)
	}
	return append(dst, '}')
}

// choose replaces the fields that stand for a oneof by the member that is set.
func (p *plan) choose(v reflect.Value) []field {
	fields := make([]field, 0, len(p.fields))
	for _, f := range p.fields {
		if f.plan != nil {
			fields = append(fields, f)
			continue
		}
		set := v.FieldByIndex(f.index)
		if set.IsNil() {
			continue
		}
		member := set.Elem().Elem().Type().Field(0)
		mp, err := p.owner.planOf(member.Type)
		if err != nil {
			continue
		}
		index := append(slices.Clone(f.index), 0)
		fields = append(fields, field{key: encodedKey(protoName(member)), index: index, plan: mp})
	}
	slices.SortFunc(fields, func(a, b field) int { return strings.Compare(a.key, b.key) })
	return fields
}

// empty tells whether a field is left out. null is never written, and a struct
// that says nothing neither.
func (p *plan) empty(v reflect.Value, optional bool) bool {
	switch p.kind {
	case kindPointer:
		return v.IsNil()
	case kindSlice, kindMap, kindBytes:
		return v.IsNil() || optional && v.Len() == 0
	case kindStruct:
		return v.IsZero()
	case kindText:
		return v.Kind() == reflect.Struct && v.IsZero() || v.Kind() == reflect.Pointer && v.IsNil()
	case kindEnum:
		return v.Int() == p.skip
	case kindIntOrString:
		return optional && v.IsZero()
	default:
		return optional && v.IsZero()
	}
}

const hex = "0123456789abcdef"

// appendString writes a JSON string: nothing is escaped that need not be.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' {
				i++
				continue
			}
			dst = append(dst, s[start:i]...)
			switch c {
			case '"', '\\':
				dst = append(dst, '\\', c)
			case '\n':
				dst = append(dst, '\\', 'n')
			case '\r':
				dst = append(dst, '\\', 'r')
			case '\t':
				dst = append(dst, '\\', 't')
			default:
				dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			}
			i++
			start = i
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			dst = append(dst, s[start:i]...)
			dst = append(dst, "\ufffd"...)
			start = i + n
		}
		i += n
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}
