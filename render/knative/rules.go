package knative

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"knative.dev/pkg/apis"
	"knative.dev/serving/pkg/apis/config"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
	autoscaler "knative.dev/serving/pkg/autoscaler/config"
)

// Group is the API group of Knative's objects.
const Group = "serving.knative.dev"

// Rules are Knative's own: what its webhook would add to an object that is
// created, and what it would refuse. Nothing here knows them; the code is the
// webhook's. The settings are Knative's defaults, and the features that are
// enabled. Rules are safe for concurrent use.
type Rules struct{ settings *config.Config }

// NewRules are those of a cluster with some features enabled, which are written
// as in Knative's config-features. A feature that Knative does not know changes
// nothing.
func NewRules(features []string) (*Rules, error) {
	enabled := make(map[string]string, len(features))
	for _, f := range features {
		enabled[f] = string(config.Enabled)
	}
	c := &config.Config{}
	var err error
	if c.Defaults, err = config.NewDefaultsConfigFromMap(nil); err != nil {
		return nil, fmt.Errorf("read Knative's defaults: %w", err)
	}
	if c.Features, err = config.NewFeaturesConfigFromMap(enabled); err != nil {
		return nil, fmt.Errorf("read Knative's features: %w", err)
	}
	if c.Autoscaler, err = autoscaler.NewConfigFromMap(nil); err != nil {
		return nil, fmt.Errorf("read Knative's autoscaler settings: %w", err)
	}
	return &Rules{settings: c}, nil
}

// Object is what Rules are for.
type Object interface {
	apis.Defaultable
	apis.Validatable
}

// Problem is why Knative refuses an object.
type Problem struct {
	Path    string // of a field: "spec.template.spec.containers[0].image"
	Message string // without it
}

// in is the context in which Knative is asked: it reads its settings there.
func (r *Rules) in(ctx context.Context) context.Context {
	return apis.WithinCreate(config.ToContext(ctx, r.settings))
}

// Complete adds what the webhook would add.
func (r *Rules) Complete(ctx context.Context, o Object) { o.SetDefaults(r.in(ctx)) }

// Check says why the webhook would refuse an object that is complete; nothing
// where it would not. The order is always the same.
func (r *Rules) Check(ctx context.Context, o Object) []Problem {
	var out []Problem
	for _, e := range o.Validate(r.in(ctx)).Filter(apis.ErrorLevel).WrappedErrors() {
		message := e.Message
		if e.Details != "" {
			message += ": " + strings.Join(strings.Fields(e.Details), " ")
		}
		for _, p := range e.Paths {
			out = append(out, Problem{Path: p, Message: message})
		}
		if len(e.Paths) == 0 {
			out = append(out, Problem{Message: message})
		}
	}
	return out
}

// Decode reads an object of version v1 of the group, as people write it; nil for
// a kind that has no rules. An error is a value of the wrong type.
func Decode(kind string, body []byte) (Object, error) {
	var o Object
	switch kind {
	case "Service":
		o = &servingv1.Service{}
	case "Route":
		o = &servingv1.Route{}
	case "Configuration":
		o = &servingv1.Configuration{}
	case "Revision":
		o = &servingv1.Revision{}
	default:
		return nil, nil
	}
	return o, json.Unmarshal(body, o)
}
