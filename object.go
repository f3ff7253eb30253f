package plumbline

// Object is one desired Kubernetes object: the unit of rendering, diffing and
// applying.
type Object struct {
	Ref     Ref    `json:"ref"`
	Version string `json:"version"` // API version without its group: "v1"
	Origin  Origin `json:"origin"`  // the definition, or the plain document, it comes from
	Wave    Wave   `json:"wave"`
	Project string `json:"project,omitempty"` // label LabelProject; empty for plain cluster-scoped objects
	Service string `json:"service,omitempty"` // label LabelService: the service id

	// Checksum identifies the content: equal checksums mean equal bodies. It is
	// keyed for Secrets, so it may be stored and shown.
	Checksum string `json:"checksum"`
	// Body is the canonical JSON encoding: keys sorted, no status, no null,
	// every label of this package but LabelInstallation.
	Body Body `json:"body"`

	Control Control `json:"control,omitzero"`
	// System marks what Plumbline renders outside the project's namespace or
	// without being asked (project Namespaces, guards): exempt from the
	// operator's `allow` rules.
	System bool `json:"system,omitempty"`
}

// Control is what the control words in Git ask for one object.
type Control struct {
	KeepOnPrune bool `json:"keepOnPrune,omitempty"` // AnnotationPrune: disabled
	ReportDrift bool `json:"reportDrift,omitempty"` // AnnotationDrift: report
	Adopt       bool `json:"adopt,omitempty"`       // AnnotationAdopt: "true"
}

// Wave orders the writes of one run. All objects of a wave are applied before
// the first of the next; AnnotationWave adds to it.
type Wave int

// The waves. There is room between them for AnnotationWave.
const (
	WaveCRD       Wave = 100
	WaveNamespace Wave = 200
	WaveSupport   Wave = 300 // ServiceAccount, Secret, ConfigMap, RBAC, ServiceEntry
	WavePolicy    Wave = 400 // AuthorizationPolicy, PeerAuthentication, Sidecar
	WaveWorkload  Wave = 500 // Knative Service, Deployment, Service, autoscalers, unknown kinds
	WaveTraffic   Wave = 600 // Route, VirtualService, DestinationRule
	WavePrune     Wave = 700
)

// WaveOf is the wave of a kind.
func WaveOf(k GroupKind) Wave {
	switch k.Group {
	case "apiextensions.k8s.io":
		return WaveCRD
	case "":
		switch k.Kind {
		case "Namespace":
			return WaveNamespace
		case "ServiceAccount", "Secret", "ConfigMap":
			return WaveSupport
		}
	case "rbac.authorization.k8s.io":
		return WaveSupport
	case "security.istio.io":
		return WavePolicy
	case "networking.istio.io":
		switch k.Kind {
		case "ServiceEntry":
			return WaveSupport
		case "Sidecar":
			return WavePolicy
		case "VirtualService", "DestinationRule":
			return WaveTraffic
		}
	case "serving.knative.dev":
		if k.Kind == "Route" {
			return WaveTraffic
		}
	}
	return WaveWorkload
}
