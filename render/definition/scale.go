package definition

import (
	"math"
	"strconv"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/api/resource"
)

// maxCoolDown is the longest delay, in seconds, that the autoscalers take.
const maxCoolDown = 3600

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
		case "pollingInterval": // Knative's and the HPA's intervals are those of the cluster
			if p, ok := s.number(v, "autoScale.pollingInterval", 0, math.MaxInt32); ok && p != 0 && p != 15 {
				s.warnf(CodeIgnored, posOf(v), "pollingInterval has no effect: only KEDA polls")
			}
		case "coolDownInterval":
			c, ok := s.number(v, "autoScale.coolDownInterval", 0, math.MaxInt32)
			if ok && c > maxCoolDown {
				s.warnf(CodeIgnored, posOf(v), "coolDownInterval is %d s; the autoscalers wait %d s at most", c, maxCoolDown)
				c = maxCoolDown
			}
			s.scale.CoolDown = c
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
			s.text(v, "the trigger's name")
		case "type":
			typ = s.text(v, "the trigger's type")
		case "authRef": // of KEDA's own triggers
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
		s.otherTrigger(typ)
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

func (s *scaleReader) otherTrigger(typ Text) {
	names := []string{string(TriggerRequestsPerSecond), string(TriggerActiveRequests), string(TriggerCPU), string(TriggerMemory)}
	if Nearest(typ.Value, names) != "" {
		s.unknownValue(typ, "trigger type", names...)
		return
	}
	s.notYet(typ.At, "the scaling trigger "+s.shown(typ.Value)+", which needs KEDA")
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
	t.Measure, t.Value = kind.Value, value.Value
	switch {
	case kind.Value == "" || value.Value == "":
		s.errorf(CodeTrigger, t.At, "the trigger %s needs metadata.type, Utilization or AverageValue, and metadata.value", t.Type)
		return false
	case kind.Value == "Utilization":
		if n, err := strconv.Atoi(value.Value); err != nil || n < 1 || n > 1000 {
			s.errorf(CodeTrigger, value.At, "metadata.value is %s: expected percent of the request, from 1 to 1000", s.shown(value.Value))
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
