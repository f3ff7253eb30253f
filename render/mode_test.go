package render_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render"
	"github.com/plumbline-dev/plumbline/render/definition"
)

func TestChooseMode(t *testing.T) {
	t.Parallel()
	port := func(p definition.Protocol, address int) []render.PortNeeds {
		return []render.PortNeeds{{Protocol: p, Address: address}}
	}
	one := func(v render.VersionNeeds) render.Needs {
		v.Name, v.Routed = "v1", true
		return render.Needs{Versions: []render.VersionNeeds{v}}
	}
	routed := func(n render.Needs, r render.RouteNeeds) render.Needs {
		n.Routes = r
		return n
	}
	http := port(definition.ProtocolHTTP, 80)
	rps, cpu := definition.TriggerRequestsPerSecond, definition.TriggerCPU
	const kn, direct, deploy = plumbline.ModeKnative, plumbline.ModeKnativeDirect, plumbline.ModeDeployment
	for _, tt := range []struct {
		name  string
		needs render.Needs
		want  render.Choice
	}{
		{"http", one(render.VersionNeeds{Ports: http, Min: 1}), render.Choice{Mode: kn, Why: "one HTTP port, called on port 80"}},
		{"h2c at zero", one(render.VersionNeeds{Ports: port(definition.ProtocolH2C, 80)}), render.Choice{Mode: kn, Why: "one HTTP port, called on port 80"}},
		{"grpc, by requests", one(render.VersionNeeds{Ports: port(definition.ProtocolGRPC, 80), Triggers: []definition.TriggerType{rps}}), render.Choice{Mode: kn, Why: "one HTTP port, called on port 80"}},
		{"another port", one(render.VersionNeeds{Ports: port(definition.ProtocolHTTP, 9000), Min: 1}), render.Choice{Mode: direct, Why: "called on port 9000"}},
		{"another port at zero", one(render.VersionNeeds{Ports: port(definition.ProtocolHTTP, 9000)}), render.Choice{Mode: kn, Why: "scales to zero, which only Knative's routing can", AnswersOn80: 9000}},
		{"routed on another port", routed(one(render.VersionNeeds{Ports: http, Min: 1}), render.RouteNeeds{Ports: []int{80, 8080}}), render.Choice{Mode: direct, Why: "called on port 8080"}},
		{"matchers", routed(one(render.VersionNeeds{Ports: http, Min: 1}), render.RouteNeeds{Matchers: true}), render.Choice{Mode: direct, Why: "routes with matchers"}},
		{"external", routed(one(render.VersionNeeds{Ports: http, Min: 1}), render.RouteNeeds{External: true}), render.Choice{Mode: direct, Why: "routes to external targets"}},
		{"timeouts", routed(one(render.VersionNeeds{Ports: http, Min: 1}), render.RouteNeeds{Timeouts: true}), render.Choice{Mode: direct, Why: "routes with timeouts"}},
		{"retries at zero", routed(one(render.VersionNeeds{Ports: http}), render.RouteNeeds{Retries: true}), render.Choice{Mode: direct, Why: "routes with retries", AtZero: []int{0}}},
		{"retries, only what is not routed at zero", render.Needs{
			Versions: []render.VersionNeeds{{Name: "v1", Ports: http, Min: 1, Routed: true}, {Name: "v2", Ports: http}},
			Routes:   render.RouteNeeds{Retries: true},
		}, render.Choice{Mode: direct, Why: "routes with retries"}},
		{"tcp", one(render.VersionNeeds{Ports: port(definition.ProtocolTCP, 80)}), render.Choice{Mode: deploy, Why: "a tcp port"}},
		{"no port", one(render.VersionNeeds{}), render.Choice{Mode: deploy, Why: "no port"}},
		{"two ports", one(render.VersionNeeds{Ports: append(port(definition.ProtocolHTTP, 81), http...)}), render.Choice{Mode: deploy, Why: "2 ports"}},
		{"cpu", one(render.VersionNeeds{Ports: http, Triggers: []definition.TriggerType{cpu}}), render.Choice{Mode: deploy, Why: "scaled by cpu"}},
		{"KEDA", one(render.VersionNeeds{Ports: http, Triggers: []definition.TriggerType{"kafka"}}), render.Choice{Mode: deploy, Why: "scaled by kafka"}},
		{"two triggers", one(render.VersionNeeds{Ports: http, Triggers: []definition.TriggerType{rps, rps}}), render.Choice{Mode: deploy, Why: "several scaling triggers"}},
		{"a command", one(render.VersionNeeds{Ports: http, Command: true}), render.Choice{Mode: deploy, Why: "a readiness probe that runs a command, of a task beside the serving one"}},
		{"a feature", one(render.VersionNeeds{Ports: http, Features: []string{"affinity"}}), render.Choice{Mode: deploy, Why: "needs Knative's affinity, which is not declared enabled", Missing: "affinity"}},
		{"a feature that is enabled", render.Needs{
			Versions: []render.VersionNeeds{{Name: "v1", Ports: http, Features: []string{"affinity"}}}, Features: []string{"affinity"},
		}, render.Choice{Mode: kn, Why: "one HTTP port, called on port 80"}},
		{"one version decides for all", render.Needs{
			Versions: []render.VersionNeeds{{Name: "v1", Ports: http, Routed: true}, {Name: "v2"}},
		}, render.Choice{Mode: deploy, Why: "version v2: no port"}},
		{"a deployment does not mind zero and matchers", routed(one(render.VersionNeeds{Ports: port(definition.ProtocolTCP, 5432)}), render.RouteNeeds{Matchers: true}), render.Choice{Mode: deploy, Why: "a tcp port"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, render.ChooseMode(tt.needs)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
