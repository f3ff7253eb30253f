package plumbline

import "fmt"

// Mode is how a service is run.
type Mode string

// The modes.
const (
	ModeKnative       Mode = "knative"        // Knative Services behind a Knative Route
	ModeKnativeDirect Mode = "knative-direct" // Knative Services, called without Knative's routing
	ModeDeployment    Mode = "deployment"     // Deployments
)

// ModeChange is a service that is to be run in another mode than it is. One name
// is then made anew by somebody else, so the service is not reached for a moment.
// Or it is one that others made, and that is taken over with other pods: its
// names are kept.
type ModeChange struct {
	Project string `json:"project"`
	Service string `json:"service"`
	From    Mode   `json:"from"` // empty: others made it
	To      Mode   `json:"to"`
	Origin  Origin `json:"origin,omitzero"`  // of the definition
	Abrupt  bool   `json:"abrupt,omitempty"` // nobody waits for the new pods
}

// String is "payments/ledger changes from knative to deployment: short outage".
func (c ModeChange) String() string {
	switch {
	case c.From == "" && c.Abrupt:
		return fmt.Sprintf("%s/%s is taken over in mode %s: not reached until the new pods are ready", c.Project, c.Service, c.To)
	case c.From == "":
		return fmt.Sprintf("%s/%s is taken over in mode %s: its Services move to the new pods when these are ready", c.Project, c.Service, c.To)
	}
	return fmt.Sprintf("%s/%s changes from %s to %s: short outage", c.Project, c.Service, c.From, c.To)
}
