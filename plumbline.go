// Package plumbline is the vocabulary of Plumbline: the plain values that flow
// through
//
//	Fetch → Load → Render → Check → Diff → Plan → Apply → Report
//
// Every arrow is one of these values, each with a JSON form. The package
// imports the standard library only, does no I/O and decides nothing, so that
// every other package may import it and none has to import its neighbour.
package plumbline

// APIVersion is the version of every document that Plumbline defines: its
// definitions, its configuration and its JSON output.
const APIVersion = "plumbline.dev/v1"

// FieldManager is the name under which Plumbline applies. Who owns a field is
// read from it, so it is a contract: it never changes.
const FieldManager = "plumbline"

// Labels on every object that Plumbline applies.
const (
	LabelManagedBy    = "app.kubernetes.io/managed-by" // always ManagedBy
	LabelInstallation = "plumbline.dev/installation"   // uid of Plumbline's own Namespace; added when applied
	LabelEnvironment  = "plumbline.dev/environment"
	LabelProject      = "plumbline.dev/project"
	LabelService      = "plumbline.dev/service" // absent where an object belongs to no service

	ManagedBy = "plumbline"
)

// Control words: annotations on a definition or on an object in Git. On a live
// object they are never an instruction.
const (
	AnnotationPrune  = "plumbline.dev/prune"  // "disabled": never deleted
	AnnotationDrift  = "plumbline.dev/drift"  // "report": drift is reported, never healed
	AnnotationIgnore = "plumbline.dev/ignore" // field paths handed over to someone else
	AnnotationAdopt  = "plumbline.dev/adopt"  // "true": a foreign object may be taken over
	AnnotationWave   = "plumbline.dev/wave"   // a whole number that shifts the object's wave
)
