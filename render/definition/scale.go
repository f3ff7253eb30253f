package definition

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/api/resource"
)

func defaultScale(at Pos) Scale { return Scale{Min: 1, Max: 100, MinAt: at, At: at} }

// scaleReader reads scale and autoScale; where both are there, the latter
// counts.
type scaleReader struct {
	*reader
	scale    Scale
	hasAuto  bool
	legacyAt Pos
}

func (s *scaleReader) done() Scale {
	if s.hasAuto && s.legacyAt != (Pos{}) {
		s.warnf(CodeIgnored, s.legacyAt, "scale has no effect beside autoScale: remove it")
	}
	if s.scale.Max < s.scale.Min {
		s.errorf(CodeMinMax, s.scale.MinAt, "minReplicas is %d and maxReplicas %d: the minimum must not be above the maximum", s.scale.Min, s.scale.Max)
	}
	return s.scale
}

// legacy reads scale: {replicas, minReplicas, maxReplicas, concurrency, mode}.
func (s *scaleReader) legacy(n *yaml.Node) {
	s.legacyAt = posOf(n)
	s.export.note(Tidied, s.legacyAt, "scale is written as autoScale")
	scale := defaultScale(posOf(n))
	trigger := Trigger{Type: TriggerRequestsPerSecond, Target: 50, At: posOf(n)}
	fields := []string{"replicas", "minReplicas", "maxReplicas", "concurrency", "mode"}
	s.mapping(n, "scale", fields, func(k, v *yaml.Node) bool {
		switch k.Value {
		case "replicas": // the count at the first creation: the autoscaler's now
			s.number(v, "scale.replicas", 0, math.MaxInt32)
		case "minReplicas":
			s.minimum(v, "scale.minReplicas", &scale)
		case "maxReplicas":
			s.maximum(v, "scale.maxReplicas", &scale)
		case "concurrency":
			if c, ok := s.number(v, "scale.concurrency", 0, math.MaxInt32); ok && c > 0 {
				trigger.Target = c
			}
		case "mode":
			switch mode := s.text(v, "scale.mode"); mode.Value {
			case "", "per-second":
			case "parallel":
				trigger.Type = TriggerActiveRequests
			default:
				s.unknownValue(mode, "scale mode", "per-second", "parallel")
			}
		default:
			return false
		}
		return true
	})
	scale.Triggers = []Trigger{trigger}
	if !s.hasAuto {
		s.scale = scale
	}
}

func (s *scaleReader) minimum(v *yaml.Node, what string, scale *Scale) {
	if n, ok := s.number(v, what, 0, math.MaxInt32); ok {
		scale.Min, scale.MinAt = n, posOf(v)
	}
}

func (s *scaleReader) maximum(v *yaml.Node, what string, scale *Scale) {
	if n, ok := s.number(v, what, 0, math.MaxInt32); ok && n > 0 {
		scale.Max = n
	}
}

// auto reads autoScale.
func (s *scaleReader) auto(n *yaml.Node) {
	s.hasAuto = true
	s.scale = defaultScale(posOf(n))
	fields := []string{"pollingInterval", "coolDownInterval", "minReplicas", "maxReplicas", "triggers"}
	s.mapping(n, "autoScale", fields, func(k, v *yaml.Node) bool {
		switch k.Value {
		case "pollingInterval":
			s.scale.PollingAt = posOf(v)
			s.scale.Polling, _ = s.number(v, "autoScale.pollingInterval", 0, math.MaxInt32)
		case "coolDownInterval":
			s.scale.CoolDownAt = posOf(v)
			s.scale.CoolDown, _ = s.number(v, "autoScale.coolDownInterval", 0, math.MaxInt32)
		case "minReplicas":
			s.minimum(v, "autoScale.minReplicas", &s.scale)
		case "maxReplicas":
			s.maximum(v, "autoScale.maxReplicas", &s.scale)
		case "triggers":
			s.list(v, "autoScale.triggers", s.trigger)
		default:
			return false
		}
		return true
	})
}

func (s *scaleReader) trigger(n *yaml.Node) {
	t := Trigger{At: posOf(n)}
	var typ Text
	meta := map[string]Text{}
	if !s.mapping(n, "a trigger", []string{"name", "type", "metadata", "authRef"}, func(k, v *yaml.Node) bool {
		switch k.Value {
		case "name":
			t.Name = s.text(v, "the trigger's name")
		case "type":
			typ = s.text(v, "the trigger's type")
		case "authRef":
			s.authRef(v, &t)
		case "metadata":
			s.metadataOf(v, meta)
		default:
			return false
		}
		return true
	}) {
		return
	}
	t.Type = TriggerType(typ.Value)
	ok := false
	switch t.Type {
	case TriggerRequestsPerSecond, TriggerActiveRequests:
		ok = s.builtIn(&t, meta)
	case TriggerCPU, TriggerMemory:
		ok = s.resourceTrigger(&t, meta)
	case "":
		s.errorf(CodeMissing, t.At, "a trigger needs type, as requests-per-second")
	default:
		ok = s.otherTrigger(&t, typ, meta)
	}
	if !t.Type.NeedsKEDA() {
		t.Auth = nil
	}
	if ok {
		s.scale.Triggers = append(s.scale.Triggers, t)
	}
}

func (s *scaleReader) metadataOf(n *yaml.Node, into map[string]Text) {
	if n.Kind != yaml.MappingNode {
		s.wrongType(n, "the trigger's metadata", "a mapping")
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		into[n.Content[i].Value] = s.text(n.Content[i+1], "metadata."+n.Content[i].Value)
	}
}

// otherTrigger is one of KEDA's own: what it takes is known to KEDA only.
func (s *scaleReader) otherTrigger(t *Trigger, typ Text, meta map[string]Text) bool {
	names := []string{string(TriggerRequestsPerSecond), string(TriggerActiveRequests), string(TriggerCPU), string(TriggerMemory)}
	if Nearest(typ.Value, names) != "" || !isWord(typ.Value) {
		hint := ""
		if near := Nearest(typ.Value, names); near != "" {
			hint = "; did you mean " + strconv.Quote(near) + "?"
		}
		s.errorf(CodeEnum, typ.At, "unknown trigger type %s: expected %s, or a type that KEDA knows%s", s.shown(typ.Value), strings.Join(names, ", "), hint)
		return false
	}
	for _, k := range slices.Sorted(maps.Keys(meta)) {
		t.Metadata = append(t.Metadata, Param{Key: k, Value: meta[k]})
	}
	return true
}

// isWord tells whether s can be a type of KEDA's triggers: lower case letters,
// digits and '-', as in azure-blob-storage.
func isWord(s string) bool { return IsLabel(s) }

// authRef reads {secretMapping: [{param, key}]}.
func (s *scaleReader) authRef(n *yaml.Node, t *Trigger) {
	s.mapping(n, "authRef", []string{"secretMapping"}, func(k, v *yaml.Node) bool {
		if k.Value == "secretMapping" {
			s.list(v, "secretMapping", func(n *yaml.Node) { s.authParam(n, t) })
			return true
		}
		return false
	})
}

// authParam reads a parameter and where its value is: a secret and a key in it,
// as "secrets.<id>.<key>" or "<id>.<key>".
func (s *scaleReader) authParam(n *yaml.Node, t *Trigger) {
	var param, key Text
	if !s.mapping(n, "an entry of secretMapping", []string{"param", "key"}, func(k, v *yaml.Node) bool {
		switch k.Value {
		case "param":
			param = s.text(v, "param")
		case "key":
			key = s.text(v, "key")
		default:
			return false
		}
		return true
	}) {
		return
	}
	id, in, found := strings.Cut(strings.TrimPrefix(key.Value, "secrets."), ".")
	switch {
	case param.Value == "":
		s.errorf(CodeMissing, posOf(n), "an entry of secretMapping needs param: the parameter of the trigger")
	case !found || !isSubdomain(id) || !isDataKey(in):
		at := key.At
		if at == (Pos{}) {
			at = posOf(n)
		}
		s.errorf(CodeTrigger, at, "key is %s: expected <id of a secret>.<key in it>", s.shown(key.Value))
	default:
		t.Auth = append(t.Auth, AuthParam{Param: param.Value, Secret: Text{id, key.At}, Key: in})
	}
}

func (s *scaleReader) builtIn(t *Trigger, meta map[string]Text) bool {
	target, ok := meta["target"]
	n, err := strconv.Atoi(target.Value)
	switch {
	case !ok:
		s.errorf(CodeTrigger, t.At, "the trigger %s needs metadata.target: how many per replica", t.Type)
	case err != nil || n < 1:
		s.errorf(CodeTrigger, target.At, "metadata.target is %s: expected a whole number from 1", s.shown(target.Value))
	default:
		t.Target = n
		return true
	}
	return false
}

func (s *scaleReader) resourceTrigger(t *Trigger, meta map[string]Text) bool {
	kind, value := meta["type"], meta["value"]
	if kind.Value == "Value" && s.form == FormSpaceCloud {
		s.warnf(CodeIgnored, kind.At, "metadata.type Value is read as AverageValue: there is no other for %s", t.Type)
		kind.Value = "AverageValue"
	}
	t.Measure, t.Value = kind.Value, value.Value
	switch {
	case kind.Value == "" || value.Value == "":
		s.errorf(CodeTrigger, t.At, "the trigger %s needs metadata.type, Utilization or AverageValue, and metadata.value", t.Type)
		return false
	case kind.Value == "Utilization":
		if n, err := strconv.Atoi(value.Value); err != nil || n < 1 || n > 1000 {
			s.errorf(CodeTrigger, value.At, "metadata.value is %s: expected a whole number from 1 to 1000, which is percent of the request", s.shown(value.Value))
			return false
		}
	case kind.Value == "AverageValue":
		if q, err := resource.ParseQuantity(value.Value); err != nil || q.Sign() <= 0 {
			s.errorf(CodeTrigger, value.At, "metadata.value is %s: expected a quantity, as 100m or 100Mi", s.shown(value.Value))
			return false
		}
	default:
		s.unknownValue(kind, "metadata.type", "Utilization", "AverageValue")
		return false
	}
	return true
}
