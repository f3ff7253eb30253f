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
type ModeChange struct {
	Project string `json:"project"`
	Service string `json:"service"`
	From    Mode   `json:"from"`
	To      Mode   `json:"to"`
	Origin  Origin `json:"origin,omitzero"` // of the definition
}

// String is "payments/ledger changes from knative to deployment: short outage".
func (c ModeChange) String() string {
	return fmt.Sprintf("%s/%s changes from %s to %s: short outage", c.Project, c.Service, c.From, c.To)
}
