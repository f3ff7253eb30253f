package render

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render/definition"
	"github.com/plumbline-dev/plumbline/render/knative"
)

// knativeObject is a typed object of Knative.
type knativeObject interface {
	kubeObject
	knative.Object
}

// judgement is what Knative says of an object.
type judgement struct {
	checksum string
	problems []knative.Problem
}

// judge asks Knative about an object, unless it was asked the last time.
func (b *builder) judge(ctx context.Context, o knative.Object, checksum string) []knative.Problem {
	i := slices.IndexFunc(b.judged, func(j judgement) bool { return j.checksum == checksum })
	if i < 0 {
		b.unit.judged = append(b.unit.judged, judgement{checksum, b.rules.Check(ctx, o)})
	} else {
		b.unit.judged = append(b.unit.judged, b.judged[i])
	}
	return b.unit.judged[len(b.unit.judged)-1].problems
}

// addKnative adds an object of Knative, with what Knative's webhook would add to
// it. What the webhook would refuse is a violation at the place that origin
// names for a field.
func (b *builder) addKnative(ctx context.Context, o knativeObject, at about, origin func(path string) plumbline.Origin) {
	b.rules.Complete(ctx, o)
	b.add(o, at)
	if b.err != nil {
		return
	}
	done := b.unit.objects[len(b.unit.objects)-1]
	for _, p := range b.judge(ctx, o, done.Checksum) {
		b.unit.violate(definition.CodeKnative, origin(p.Path), "Knative refuses "+done.Ref.Kind+" "+done.Ref.Name+": "+problemText(p))
	}
}

// problemText is the message and, where it is of a field, the field.
func problemText(p knative.Problem) string {
	if p.Path == "" {
		return p.Message
	}
	return p.Message + " (" + p.Path + ")"
}

// decodeText says which field of an object is of the wrong type, without the
// names of Go's types among the path's.
func decodeText(err error) string {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return err.Error()
	}
	var path []string
	for step := range strings.SplitSeq(wrong.Field, ".") {
		if step != "" && (step[0] < 'A' || step[0] > 'Z') {
			path = append(path, step)
		}
	}
	return "no value of the type " + wrong.Value + " is taken here (" + strings.Join(path, ".") + ")"
}

// checkPlainKnative says what Knative's webhook would refuse of a plain object.
func (r *Renderer) checkPlainKnative(ctx context.Context, u *unit, p placed[definition.Plain], body []byte) {
	ref := p.def.Ref
	if ref.Group != knative.Group || p.def.Version != "v1" {
		return
	}
	o, err := knative.Decode(ref.Kind, body)
	switch {
	case err != nil:
		u.violate(definition.CodePlainKnative, p.at(p.def.At), "Knative refuses "+ref.Kind+" "+ref.Name+": "+decodeText(err))
		return
	case o == nil:
		return
	}
	r.rules.Complete(ctx, o)
	for _, problem := range r.rules.Check(ctx, o) {
		u.violate(definition.CodePlainKnative, p.at(p.def.At), "Knative refuses "+ref.Kind+" "+ref.Name+": "+problemText(problem))
	}
}

// versionField is the place in a version's definition that a field of its
// Knative Service comes from, or that of the version where there is none.
type versionField struct {
	placed[definition.Version]
	service *servingv1.Service
	secrets map[string]*definition.Secret
}

func (f versionField) origin(path string) plumbline.Origin {
	pos := f.pos(path)
	if pos == (definition.Pos{}) {
		pos = f.def.At
	}
	return f.at(pos)
}

// pos is the zero value where no better place is known than the version.
func (f versionField) pos(path string) definition.Pos {
	v := f.def
	switch {
	case path == "metadata.name":
		return v.Version.At
	case strings.HasPrefix(path, "spec.template.metadata.labels"):
		for _, l := range v.Labels {
			if strings.Contains(path, l.Key.Value) {
				return l.Key.At
			}
		}
	case strings.Contains(path, "autoscaling.knative.dev/min-scale"):
		return v.Scale.MinAt
	case strings.Contains(path, "autoscaling.knative.dev/metric"), strings.Contains(path, "autoscaling.knative.dev/target"):
		if len(v.Scale.Triggers) > 0 {
			return v.Scale.Triggers[0].At
		}
		return v.Scale.At
	case strings.Contains(path, "autoscaling.knative.dev/"):
		return v.Scale.At
	case strings.HasPrefix(path, "spec.template.spec.affinity"):
		if len(v.Affinity) > 0 {
			return v.Affinity[0].At
		}
	case strings.HasPrefix(path, "spec.template.spec.imagePullSecrets"):
		for i := range v.Tasks {
			if s := v.Tasks[i].Docker.Secret; s.Value != "" {
				return s.At
			}
		}
	default:
		return f.inContainer(path)
	}
	return definition.Pos{}
}

// inContainer is the place of a field of a container: containers are in the
// order of the tasks.
func (f versionField) inContainer(path string) definition.Pos {
	i, field, ok := cutIndex(path, "spec.template.spec.containers")
	containers := f.service.Spec.Template.Spec.Containers
	if !ok || i >= len(f.def.Tasks) || i >= len(containers) {
		return definition.Pos{}
	}
	t, c := &f.def.Tasks[i], &containers[i]
	switch head, _, _ := strings.Cut(field, "."); {
	case head == "image":
		return t.Docker.Image.At
	case strings.HasPrefix(head, "ports") && len(t.Ports) > 0:
		n, _, _ := cutIndex(head, "ports")
		return t.Ports[min(n, len(t.Ports)-1)].At
	case head == "readinessProbe" && t.Readiness != nil:
		return t.Readiness.At
	case head == "livenessProbe" && t.Liveness != nil:
		return t.Liveness.At
	case strings.HasPrefix(head, "env["):
		if n, _, ok := cutIndex(head, "env"); ok && n < len(c.Env) {
			return f.env(t, c.Env[n])
		}
	case strings.HasPrefix(head, "volumeMounts["):
		if n, _, ok := cutIndex(head, "volumeMounts"); ok && n < len(c.VolumeMounts) {
			return f.mount(t, c.VolumeMounts[n].MountPath)
		}
	}
	return t.ID.At
}

// env is the place of a variable: its own, or that of the secret's name.
func (f versionField) env(t *definition.Task, e corev1.EnvVar) definition.Pos {
	for _, own := range t.Env {
		if own.Name == e.Name && e.ValueFrom == nil {
			return own.At
		}
	}
	if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
		for _, id := range t.Secrets {
			if id.Value == e.ValueFrom.SecretKeyRef.Name {
				return id.At
			}
		}
	}
	return t.ID.At
}

// mount is the place of the name of the first secret that is mounted at path.
func (f versionField) mount(t *definition.Task, path string) definition.Pos {
	for _, id := range t.Secrets {
		if s := f.secrets[id.Value]; s != nil && s.Type == definition.SecretFile && s.Path == path {
			return id.At
		}
	}
	return t.ID.At
}

// cutIndex splits "list[2].rest" into 2 and "rest".
func cutIndex(path, list string) (i int, rest string, ok bool) {
	after, ok := strings.CutPrefix(path, list+"[")
	if !ok {
		return 0, "", false
	}
	number, rest, ok := strings.Cut(after, "]")
	i, err := strconv.Atoi(number)
	return i, strings.TrimPrefix(rest, "."), ok && err == nil && i >= 0
}
