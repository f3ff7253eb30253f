package plumbline

import (
	"bytes"
	"cmp"
	"slices"
)

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

// Same tells whether two objects are equal, bodies included.
func (o *Object) Same(p *Object) bool {
	x, y := *o, *p
	x.Body, y.Body = Body{}, Body{}
	return x == y && bytes.Equal(o.Body.Reveal(), p.Body.Reveal())
}

// Objects are the desired objects of one environment. An object in it is never
// changed: another takes its place.
type Objects = RefMap[*Object]

// ObjectsOf makes Objects of a list; of two objects of one name it holds the
// last.
func ObjectsOf(list ...*Object) Objects {
	sorted := slices.Clone(list)
	slices.SortStableFunc(sorted, func(a, b *Object) int { return a.Ref.Compare(b.Ref) })
	n := 0
	for i, o := range sorted {
		if i+1 == len(sorted) || sorted[i+1].Ref != o.Ref {
			sorted[n] = o
			n++
		}
	}
	return RefMapOf(n, func(i int) (Ref, *Object) { return sorted[i].Ref, sorted[i] })
}

// InWaves are the objects in the order in which they are applied: by wave, then
// by Ref.
func InWaves(objects Objects) []*Object {
	out := make([]*Object, 0, objects.Len())
	for _, o := range objects.All() {
		out = append(out, o)
	}
	slices.SortStableFunc(out, func(a, b *Object) int { return cmp.Compare(a.Wave, b.Wave) })
	return out
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

	// The steps of a service that changes its mode, behind all that others do.
	WaveRelease  Wave = 710 // what holds the name of the service is deleted
	WaveClaim    Wave = 720 // what needs the name: Service or Route
	WaveFollow   Wave = 730 // VirtualService
	WaveReplaced Wave = 740 // the rest of the mode before is deleted
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
