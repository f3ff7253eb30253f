package render

import (
	"fmt"
	"slices"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render/definition"
)

// Needs is what the definitions of one service ask for, over all versions: all
// that the choice of its mode depends on.
type Needs struct {
	Versions []VersionNeeds
	Routes   RouteNeeds
	Features []string // of Knative, that the operator declared enabled
}

// VersionNeeds is what one version asks for.
type VersionNeeds struct {
	Name     string // as people know it: "v1"
	Ports    []PortNeeds
	Min      int // replicas
	Routed   bool
	Triggers []definition.TriggerType
	Features []string // of Knative, that its pods need
	// Command tells that a command says whether a task beside the serving one is
	// ready.
	Command bool
}

// PortNeeds is a port that a version serves.
type PortNeeds struct {
	Protocol definition.Protocol
	Address  int // where it is called
}

// RouteNeeds is what the routes ask for besides weights.
type RouteNeeds struct {
	Ports                                 []int
	Matchers, Retries, Timeouts, External bool
}

// Choice is a mode with its reason.
type Choice struct {
	Mode plumbline.Mode
	Why  string
	// AnswersOn80 is the port that was declared where the service answers on
	// port 80 instead; 0 elsewhere.
	AnswersOn80 int
	// Missing is the feature of Knative that was not declared enabled, where
	// that is the reason.
	Missing string
	// AtZero are the indexes of routed versions that scale to zero where that
	// cannot be: the choice is then an error.
	AtZero []int
}

// ChooseMode decides how a service is run. Knative is the first choice; what
// its routing cannot do is done around it, and what its pods cannot do in
// Deployments.
func ChooseMode(n Needs) Choice {
	for _, v := range n.Versions {
		if why, missing := deploymentNeed(v, n.Features); why != "" {
			if len(n.Versions) > 1 {
				why = "version " + v.Name + ": " + why
			}
			return Choice{Mode: plumbline.ModeDeployment, Why: why, Missing: missing}
		}
	}
	port := otherPort(n)
	why := routeNeed(n.Routes)
	if why == "" && port == 0 {
		return Choice{Mode: plumbline.ModeKnative, Why: "one HTTP port, called on port 80"}
	}
	var atZero []int
	for i, v := range n.Versions {
		if v.Routed && v.Min == 0 {
			atZero = append(atZero, i)
		}
	}
	switch {
	case why != "":
		return Choice{Mode: plumbline.ModeKnativeDirect, Why: why, AtZero: atZero}
	case len(atZero) > 0:
		return Choice{Mode: plumbline.ModeKnative, Why: "scales to zero, which only Knative's routing can", AnswersOn80: port}
	}
	return Choice{Mode: plumbline.ModeKnativeDirect, Why: fmt.Sprintf("called on port %d", port)}
}

// deploymentNeed is why Knative cannot run a version, "" where it can, and the
// feature of Knative that is missing where it is that.
func deploymentNeed(v VersionNeeds, enabled []string) (why, missing string) {
	switch {
	case len(v.Ports) == 0:
		return "no port", ""
	case slices.ContainsFunc(v.Ports, func(p PortNeeds) bool { return p.Protocol == definition.ProtocolTCP }):
		return "a tcp port", ""
	case len(v.Ports) > 1:
		return fmt.Sprintf("%d ports", len(v.Ports)), ""
	case len(v.Triggers) > 1:
		return "several scaling triggers", ""
	case v.Command:
		// Its webhook takes it, and its controller then makes no pods.
		return "a readiness probe that runs a command, of a task beside the serving one", ""
	}
	for _, t := range v.Triggers {
		if t != definition.TriggerRequestsPerSecond && t != definition.TriggerActiveRequests {
			return fmt.Sprintf("scaled by %s", t), ""
		}
	}
	for _, f := range v.Features {
		if !slices.Contains(enabled, f) {
			return "needs Knative's " + f + ", which is not declared enabled", f
		}
	}
	return "", ""
}

// routeNeed is why Knative's Route cannot do the routing, "" where it can.
func routeNeed(r RouteNeeds) string {
	switch {
	case r.Matchers:
		return "routes with matchers"
	case r.External:
		return "routes to external targets"
	case r.Retries:
		return "routes with retries"
	case r.Timeouts:
		return "routes with timeouts"
	}
	return ""
}

// otherPort is the first port other than 80 on which the service is called, 0
// where there is none.
func otherPort(n Needs) int {
	var ports []int
	for _, v := range n.Versions {
		for _, p := range v.Ports {
			ports = append(ports, p.Address)
		}
	}
	ports = append(ports, n.Routes.Ports...)
	slices.Sort(ports)
	for _, p := range ports {
		if p != 80 {
			return p
		}
	}
	return 0
}
