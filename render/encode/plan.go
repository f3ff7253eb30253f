package encode

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// planOf learns a type, once.
func (e *Encoder) planOf(t reflect.Type) (*plan, error) {
	if p, ok := e.plans[t]; ok {
		return p, nil
	}
	p := &plan{owner: e}
	e.plans[t] = p // before its parts: types may hold themselves
	if err := e.learn(p, t); err != nil {
		delete(e.plans, t)
		return nil, err
	}
	return p, nil
}

func (e *Encoder) learn(p *plan, t reflect.Type) error {
	switch t {
	case reflect.TypeFor[resource.Quantity](), reflect.TypeFor[metav1.Time](), reflect.TypeFor[metav1.MicroTime](),
		reflect.TypeFor[metav1.Duration](), reflect.TypeFor[*durationpb.Duration]():
		p.kind = kindText
		return nil
	case reflect.TypeFor[intstr.IntOrString]():
		p.kind = kindIntOrString
		return nil
	case reflect.TypeFor[*wrapperspb.BoolValue](), reflect.TypeFor[*wrapperspb.UInt32Value]():
		p.kind = kindText
		return nil
	}
	if t.Implements(reflect.TypeFor[protoreflect.Enum]()) {
		return learnEnum(p, t)
	}
	var err error
	switch t.Kind() {
	case reflect.String:
		p.kind = kindString
	case reflect.Bool:
		p.kind = kindBool
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		p.kind = kindInt
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		p.kind = kindUint
	case reflect.Float32, reflect.Float64:
		p.kind = kindFloat
	case reflect.Pointer:
		p.kind = kindPointer
		p.elem, err = e.planOf(t.Elem())
	case reflect.Slice:
		p.kind = kindSlice
		if t.Elem().Kind() == reflect.Uint8 {
			p.kind = kindBytes
			return nil
		}
		p.elem, err = e.planOf(t.Elem())
	case reflect.Map:
		p.kind = kindMap
		if k := t.Key().Kind(); k != reflect.String && k != reflect.Uint32 {
			return fmt.Errorf("encode %s: keys that are not text", t)
		}
		p.elem, err = e.planOf(t.Elem())
	case reflect.Struct:
		p.kind = kindStruct
		if reflect.PointerTo(t).Implements(reflect.TypeFor[proto.Message]()) {
			return e.learnMessage(p, t)
		}
		return e.learnStruct(p, t)
	default:
		return fmt.Errorf("encode %s: no such field in a Kubernetes object", t)
	}
	return err
}

// learnStruct learns a struct of k8s.io/api or Knative by its json tags.
// Embedded structs without a name lend their fields.
func (e *Encoder) learnStruct(p *plan, t reflect.Type) error {
	if err := e.collect(p, t, nil); err != nil {
		return err
	}
	slices.SortStableFunc(p.fields, func(a, b field) int { return strings.Compare(a.key, b.key) })
	return nil
}

func (e *Encoder) collect(p *plan, t reflect.Type, index []int) error {
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() {
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		at := append(slices.Clone(index), i)
		switch {
		case name == "-":
			continue
		case name == "" && f.Anonymous && f.Type.Kind() == reflect.Struct:
			if err := e.collect(p, f.Type, at); err != nil {
				return err
			}
			continue
		case name == "":
			name = f.Name
		}
		fp, err := e.planOf(f.Type)
		if err != nil {
			return fmt.Errorf("%s.%s: %w", t, f.Name, err)
		}
		p.fields = append(p.fields, field{
			key: encodedKey(name), index: at, plan: fp,
			optional: strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero"),
			root:     name == "status",
		})
	}
	return nil
}

// learnMessage learns a struct of Istio by its protobuf tags, as protojson
// names the fields. Zero values are not written.
func (e *Encoder) learnMessage(p *plan, t reflect.Type) error {
	for i := range t.NumField() {
		f := t.Field(i)
		switch {
		case !f.IsExported():
			continue
		case f.Tag.Get("protobuf_oneof") != "":
			p.oneofs = true
			p.fields = append(p.fields, field{index: []int{i}})
			continue
		}
		fp, err := e.planOf(f.Type)
		if err != nil {
			return fmt.Errorf("%s.%s: %w", t, f.Name, err)
		}
		p.fields = append(p.fields, field{key: encodedKey(protoName(f)), index: []int{i}, plan: fp, optional: true})
	}
	slices.SortStableFunc(p.fields, func(a, b field) int { return strings.Compare(a.key, b.key) })
	return nil
}

// protoName is a field's name in protojson.
func protoName(f reflect.StructField) string {
	name := f.Name
	for part := range strings.SplitSeq(f.Tag.Get("protobuf"), ",") {
		if n, ok := strings.CutPrefix(part, "json="); ok {
			return n
		}
		if n, ok := strings.CutPrefix(part, "name="); ok {
			name = n
		}
	}
	return name
}

func encodedKey(name string) string { return string(append(appendString(nil, name), ':')) }

// learnEnum learns the names of an enum of Istio.
func learnEnum(p *plan, t reflect.Type) error {
	enum, ok := reflect.Zero(t).Interface().(protoreflect.Enum)
	if !ok {
		return fmt.Errorf("encode %s: not an enum", t)
	}
	p.kind, p.skip, p.enums = kindEnum, -1, map[int64]string{}
	values := enum.Descriptor().Values()
	for i := range values.Len() {
		v := values.Get(i)
		p.enums[int64(v.Number())] = string(v.Name())
		if v.Number() == 0 && isUnset(string(v.Name())) {
			p.skip = 0
		}
	}
	return nil
}

// isUnset tells of the name of an enum's zero value whether it means that
// nothing is said.
func isUnset(name string) bool {
	return name == "UNSET" || name == "DEFAULT" || strings.HasSuffix(name, "UNSPECIFIED") || strings.HasSuffix(name, "_DEFAULT")
}

// appendText writes the types that have a text form of their own.
func appendText(dst []byte, v reflect.Value) []byte {
	switch x := v.Interface().(type) {
	case resource.Quantity:
		return appendString(dst, x.String())
	case *durationpb.Duration:
		return appendString(dst, seconds(x.AsDuration()))
	case metav1.Duration:
		return appendString(dst, x.Duration.String())
	case *wrapperspb.BoolValue:
		return strconv.AppendBool(dst, x.GetValue())
	case *wrapperspb.UInt32Value:
		return strconv.AppendUint(dst, uint64(x.GetValue()), 10)
	case encoding.TextMarshaler:
		b, err := x.MarshalText()
		if err != nil {
			return append(dst, `""`...)
		}
		return appendString(dst, string(b))
	}
	return append(dst, `""`...)
}

// seconds is a duration as protojson writes it: "180s", "1.500s".
func seconds(d time.Duration) string {
	s := strconv.FormatFloat(d.Seconds(), 'f', 9, 64)
	s = strings.TrimSuffix(s, "000")
	s = strings.TrimSuffix(s, "000")
	return strings.TrimSuffix(s, ".000") + "s"
}

func appendIntOrString(dst []byte, v reflect.Value) []byte {
	x, ok := v.Interface().(intstr.IntOrString)
	if !ok || x.Type == intstr.String {
		return appendString(dst, x.StrVal)
	}
	return strconv.AppendInt(dst, int64(x.IntVal), 10)
}
