package reference

import "github.com/plumbline-dev/plumbline/render/definition"

const (
	spaceCloud = definition.FormSpaceCloud
	plumbline  = definition.FormPlumbline

	container = "spec.containers[]"
)

// spelled is a field that Space Cloud's exports repeat and that meta decides.
func spelled(key, doc string) Field {
	return Field{Key: key, Form: spaceCloud, Type: Text, Doc: doc + " What meta says counts.", Becomes: same("nothing: meta counts")}
}

func service() *Mapping {
	return &Mapping{Name: "the service", Fields: []Field{
		{
			Key: "id", Type: Text, Form: plumbline, Required: true, Pattern: servicePattern,
			Doc: "The service's id. Others call it at <id>.<project>.svc.cluster.local, and whitelists and upstreams name it.",
			Becomes: Becomes{
				Knative:    "Knative Route: metadata.name; ServiceAccount: metadata.name; Knative Service: metadata.labels.app",
				Direct:     "Service: metadata.name; VirtualService: metadata.name; ServiceAccount: metadata.name; Knative Service: metadata.labels.app",
				Deployment: "Service: metadata.name; VirtualService: metadata.name; ServiceAccount: metadata.name; Deployment: metadata.labels.app",
			},
		},
		{
			Key: "version", Type: Text, Form: plumbline, Required: true, Pattern: `^[A-Za-z0-9]([A-Za-z0-9._+-]*[A-Za-z0-9])?$`,
			Doc:     "The version, as v1 or 1.2.3, as it is written: 1.10 is not 1.1. In names dots become dashes.",
			Becomes: by("Knative Service: metadata.labels.version", "Deployment: metadata.labels.version"),
		},
		spelled("id", "The service's id."), spelled("version", "The version."),
		spelled("project", "The project."), spelled("projectId", "The project."),
		{Key: "name", Form: spaceCloud, Type: Text, Doc: "A name to display. It has no effect.", Becomes: same("nothing: a name to display")},
		{
			Key: "tasks", Type: Objects, Of: task(), Required: true,
			Doc:     "The containers. One of them has the port by which the service is called, the others stand beside it.",
			Becomes: inPod(container),
		},
		{
			Key: "autoScale", Type: Object, Of: autoScale(),
			Doc:     "How many replicas there are, and what makes them more or fewer. Without it and scale: 1 to 100, and no trigger.",
			Becomes: same("nothing: see its fields"),
		},
		{
			Key: "scale", Type: Object, Of: legacyScale(),
			Doc:     "The same as releases of Space Cloud before 0.20 wrote it. It has no effect beside autoScale.",
			Becomes: same("nothing: see its fields"),
		},
		{
			Key: "labels", Type: TextMap, KeyPattern: keyPattern, Doc: "Labels of the pods. Those that Plumbline, Knative or Istio set are refused.",
			Becomes: inPod("metadata.labels.*"),
		},
		{
			Key: "whitelists", Type: Objects, Of: peers("whitelists"),
			Doc:     "Who may call the service. An empty list admits nobody; {projectId: '*'} admits everybody.",
			Becomes: same("AuthorizationPolicy: spec.rules[].from[].source"),
		},
		{
			Key: "upstreams", Type: Objects, Of: peers("upstreams"),
			Doc:     "Whom the service calls. A call needs both: this, and the other's whitelists.",
			Becomes: same("Sidecar: spec.egress[].hosts[]"),
		},
		{
			Key: "affinity", Type: Objects, Of: affinity(),
			Doc:     "Near what, and away from what, the pods run. On Knative it needs the feature kubernetes.podspec-affinity; without it the service runs as a Deployment.",
			Becomes: inPod("spec.affinity"),
		},
		{
			Key: "statsInclusionPrefixes", Type: Text, Default: "http.inbound,cluster_manager,listener_manager",
			Doc:     "Which statistics Envoy keeps, as prefixes with commas between. http.inbound is always among them.",
			Becomes: inPod(`metadata.annotations["proxy.istio.io/config"]`),
		},
		{
			Key: "stateless", Type: Truth, Values: []string{"true"}, Default: "true",
			Doc:     "Always true: services keep no data of their own, and there are no volumes but secrets.",
			Becomes: same("nothing: services are stateless"),
		},
	}}
}

func peers(what string) *Mapping {
	place, every, name := same("AuthorizationPolicy: spec.rules[].from[].source.namespaces[]; AuthorizationPolicy: spec.rules[].from[].source.principals[]"),
		"'*' for everybody", "may call"
	if what == "upstreams" {
		place, every, name = same("Sidecar: spec.egress[].hosts[]"), "'*' for all", "is called"
	}
	return &Mapping{Name: "an entry of " + what, Fields: []Field{
		{
			Key: "projectId", Type: Text, Required: true, Pattern: `^(\*|\.|[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)$`,
			Doc: "A project; " + every + "; '.' for the service's own, also where an overlay moves it.", Becomes: place,
		},
		{
			Key: "service", Type: Text, Doc: "The id of the service that " + name + ", or '*' for all of the project.", Becomes: place,
		},
	}}
}

func affinity() *Mapping {
	pods, nodes := "spec.affinity.podAffinity.", "spec.affinity.nodeAffinity."
	const preferred, required = "preferredDuringSchedulingIgnoredDuringExecution", "requiredDuringSchedulingIgnoredDuringExecution"
	expression := pods + preferred + "[].podAffinityTerm.labelSelector.matchExpressions[]"
	return &Mapping{Name: "an entry of affinity", Old: true, Fields: []Field{
		{Key: "id", Form: spaceCloud, Type: Text, Doc: "A name that exports write. It has no effect.", Becomes: same("nothing: a name")},
		{
			Key: "type", Type: Text, Required: true, Values: []string{"node", "service"},
			Doc: "service: by the labels of pods; node: by the labels of nodes.", Becomes: inPod("spec.affinity.podAffinity", "spec.affinity.nodeAffinity"),
		},
		{
			Key: "operator", Type: Text, Required: true, Values: []string{"preferred", "required"}, Also: []string{"==", "!="},
			Doc:     "required: a pod that finds no such place does not start.",
			Becomes: inPod(pods+preferred+"[]", pods+required+"[]", nodes+required),
		},
		{
			Key: "weight", Type: Number, Low: -100, High: 100, Loose: true,
			Doc:     "How much a preference counts. A negative weight keeps away: from the pods, or from the nodes.",
			Becomes: inPod(pods+preferred+"[].weight", "spec.affinity.podAntiAffinity"),
		},
		{
			Key: "topologyKey", Type: Text, Pattern: keyPattern, Default: "kubernetes.io/hostname",
			Doc:     "Of type service: the label of nodes that makes them one place. By hostname each node is one.",
			Becomes: inPod(pods + preferred + "[].podAffinityTerm.topologyKey"),
		},
		{
			Key: "projects", Type: Texts, Pattern: `^(\.|[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)$`, Doc: "Of type service: the projects whose pods are meant; none is the service's own.",
			Becomes: inPod(pods + preferred + "[].podAffinityTerm.namespaces[]"),
		},
		{
			Key: "matchExpressions", Type: Objects, Required: true, Doc: "By which labels. All must match.", Becomes: inPod(expression),
			Of: &Mapping{Name: "an entry of matchExpressions", Fields: []Field{
				{Key: "key", Type: Text, Required: true, Pattern: keyPattern, Doc: "The name of the label. Pods have app, which is the service's id, version, and their own.", Becomes: inPod(expression + ".key")},
				{
					Key: "operator", Type: Text, Required: true, Values: []string{"In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"},
					Doc: "How the label is compared. Gt and Lt are for nodes.", Becomes: inPod(expression + ".operator"),
				},
				{Key: "values", Type: Texts, Doc: "With what. Exists and DoesNotExist take none.", Becomes: inPod(expression + ".values[]")},
				{Key: "attribute", Form: spaceCloud, Type: Text, Doc: "Always label. It has no effect.", Becomes: same("nothing: labels are all there is")},
			}},
		},
	}}
}
