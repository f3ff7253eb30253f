package definition

import "github.com/plumbline-dev/plumbline"

// Version is one version of a service, complete: every default is filled in.
type Version struct {
	Form    Form
	Project Text
	ID      Text
	Version Text // as written
	Labels  []Label
	Scale   Scale
	Tasks   []Task
	// Whitelist and Upstreams are sorted, each name once.
	Whitelist []Peer
	Upstreams []Peer
	// Stats are the prefixes of Envoy's statistics that the proxy keeps.
	Stats     []string
	Affinity  []Affinity
	Addresses []Address
	Control   Control
	At        Pos
}

// Name is what the objects of this version are called.
func (v *Version) Name() string { return Join(v.ID.Value, v.Version.Value) }

// Open tells whether everyone may call.
func (v *Version) Open() bool {
	for _, p := range v.Whitelist {
		if p.Project == "*" {
			return true
		}
	}
	return false
}

// Secrets are the ids of all secrets that the version uses, in the order of
// the tasks, repeats included.
func (v *Version) Secrets() []Text {
	var out []Text
	for i := range v.Tasks {
		if s := v.Tasks[i].Docker.Secret; s.Value != "" {
			out = append(out, s)
		}
		out = append(out, v.Tasks[i].Secrets...)
	}
	return out
}

// ScalingSecrets are the ids of the secrets by which KEDA asks what to scale
// by. The pods do not use them.
func (v *Version) ScalingSecrets() []Text {
	var out []Text
	for _, t := range v.Scale.Triggers {
		for _, a := range t.Auth {
			out = append(out, a.Secret)
		}
	}
	return out
}

// Label of the pods.
type Label struct{ Key, Value Text }

// Scale says how many replicas there are.
type Scale struct {
	Min, Max int
	MinAt    Pos
	Triggers []Trigger
	CoolDown int // seconds; 0 where nothing is said
	Polling  int // seconds between KEDA's questions; 0 where nothing is said
	At       Pos

	CoolDownAt, PollingAt Pos
}

// MaxDelay is the longest delay, in seconds, that the autoscalers take, other
// than KEDA.
const MaxDelay = 3600

// Delay is CoolDown as far as they take it.
func (s Scale) Delay() int { return min(s.CoolDown, MaxDelay) }

// Fixed tells whether there is nothing to scale between.
func (s Scale) Fixed() bool { return s.Min == s.Max }

// NeedsKEDA tells whether Kubernetes' own autoscaler cannot do it: pods it does
// not have, and metrics it does not know.
func (s Scale) NeedsKEDA() bool {
	if s.Fixed() {
		return false
	}
	for _, t := range s.Triggers {
		if t.Type != TriggerCPU && t.Type != TriggerMemory {
			return true
		}
	}
	return s.Min == 0
}

// TriggerType is what a service is scaled by.
type TriggerType string

// The triggers that need no KEDA.
const (
	TriggerRequestsPerSecond TriggerType = "requests-per-second"
	TriggerActiveRequests    TriggerType = "active-requests"
	TriggerCPU               TriggerType = "cpu"
	TriggerMemory            TriggerType = "memory"
)

// NeedsKEDA tells whether only KEDA knows a type.
func (t TriggerType) NeedsKEDA() bool {
	switch t {
	case TriggerRequestsPerSecond, TriggerActiveRequests, TriggerCPU, TriggerMemory:
		return false
	}
	return true
}

// Trigger is one reason to scale.
type Trigger struct {
	Name   Text // where one is given
	Type   TriggerType
	Target int // of the two built-in types: per replica
	// Measure is how Value of cpu and memory is meant: in percent of the request,
	// or as a quantity; in the words of the HorizontalPodAutoscaler.
	Measure string
	Value   string
	// Metadata of a type that only KEDA knows, sorted by key, and where the
	// secret ones of its parameters are.
	Metadata []Param
	Auth     []AuthParam
	At       Pos
}

// Param is a parameter of a trigger.
type Param struct {
	Key   string
	Value Text
}

// AuthParam is a parameter of a trigger whose value is the key of a secret.
type AuthParam struct {
	Param  string
	Secret Text // id
	Key    string
}

// Task is one container.
type Task struct {
	ID        Text
	Ports     []Port
	Resources Resources
	Docker    Docker
	Env       []EnvVar // sorted by name
	Secrets   []Text   // of types env and file, each once
	Readiness *Probe   // nil where there is none
	Liveness  *Probe
}

// Protocol of a port.
type Protocol string

// The protocols.
const (
	ProtocolHTTP Protocol = "http"
	ProtocolH2C  Protocol = "h2c"
	ProtocolGRPC Protocol = "grpc"
	ProtocolTCP  Protocol = "tcp"
)

// Port is where a task listens, and where it is called.
type Port struct {
	Name     string
	Protocol Protocol
	Port     int // of the container
	Address  int // that people call
	At       Pos
}

// Resources of a task.
type Resources struct {
	CPU, Memory           int // millicores, MiB: requests
	LimitCPU, LimitMemory int // 0: no limit for the CPU; memory as requested
	GPUType               string
	GPU                   int
}

// Docker is what a task runs.
type Docker struct {
	Image  Text
	Cmd    []string
	Secret Text
	Always bool // pull at every start
}

// EnvVar is one environment variable.
type EnvVar struct {
	Name  string
	Value string
	At    Pos
}

// Peer is an entry of a whitelist or of upstreams. "*" stands for all.
type Peer struct {
	Project, Service string
	At               Pos
}

// Address is a service's address that an environment variable holds.
type Address struct {
	Project, Service string
	Port             int
	At               Pos
}

// SecretType is how a secret is used.
type SecretType string

// The types of secrets.
const (
	SecretEnv    SecretType = "env"
	SecretFile   SecretType = "file"
	SecretDocker SecretType = "docker"
)

// Secret is a secret's definition.
type Secret struct {
	Project Text
	ID      Text
	Type    SecretType
	Path    string // where files are mounted, cleaned
	Data    []SecretEntry
	Control Control
	At      Pos
	Sealing Sealing
}

// Sealing is how the values of a secret stand in their file.
type Sealing struct {
	// Plain are the keys whose values everyone can read there, sorted, and the
	// place of the first.
	Plain   []string
	PlainAt Pos
	// Partly is set where SOPS encrypted the document and left those out.
	Partly bool
	// Closed is set where the values are still encrypted: what stands for them
	// here is SOPS's own text.
	Closed bool
}

// SecretEntry is one key of a secret, sorted by Key.
type SecretEntry struct {
	Key   string
	Value plumbline.SecretValue
	At    Pos
}

// Routes say which version of a service gets which calls.
type Routes struct {
	Project Text
	ID      Text
	Routes  []Route
	Control Control
	At      Pos
}

// Route is what happens to the calls on one address port, or to those of them
// that it matches. Of the routes for one port the first that matches counts.
type Route struct {
	Port           int
	TCP            bool
	Matchers       []Matcher // any of them; none match all
	Retries        int       // 0 where nothing is said
	TimeoutSeconds int       // per try; 0 where nothing is said
	Targets        []Target
	At             Pos
}

// Target is one receiver of a route's traffic: a version, or a host outside of
// the cluster.
type Target struct {
	Version Text
	Host    Text // of an external target
	TLS     bool // the host is called over TLS
	// Port of the receiver's address; 0 where nothing is said: that of the route
	// or, of a host outside that is called by HTTP, the scheme's.
	Port   int
	Weight int
	At     Pos
}

// External tells whether the target is not a version of the service.
func (t Target) External() bool { return t.Host.Value != "" }

// Matcher matches calls by path and headers, all of which must match.
type Matcher struct {
	URL        Match // without a Kind: any
	IgnoreCase bool  // of URL
	Headers    []HeaderMatch
	At         Pos
}

// HeaderMatch matches a header by its name, in lower case, and value.
type HeaderMatch struct {
	Key string
	Match
}

// MatchKind is how a text is compared.
type MatchKind string

// The kinds of matches, in the words of the language.
const (
	MatchExact   MatchKind = "exact"
	MatchPrefix  MatchKind = "prefix"
	MatchRegex   MatchKind = "regex"
	MatchPresent MatchKind = "check-presence" // of headers only
)

// Match compares a text.
type Match struct {
	Kind  MatchKind
	Value string
	At    Pos
}

// Role is what a service may do with the API of the cluster.
type Role struct {
	Project Text
	ID      Text
	Service Text
	Cluster bool // in the whole cluster, not in the project only
	Rules   []Rule
	Control Control
	At      Pos
}

// Rule allows verbs on resources.
type Rule struct{ APIGroups, Resources, Verbs []string }

// Project is a namespace of services.
type Project struct {
	ID      Text
	Control Control
	At      Pos
}

// Control holds what the control annotations of a document say.
type Control struct {
	plumbline.Control
	WaveShift int
}

// Plain is a Kubernetes object that is passed through.
type Plain struct {
	Ref     plumbline.Ref
	Version string // API version without the group
	// Fields is the object as JSON values: map[string]any, []any, string, bool,
	// json.Number, and plumbline.SecretValue for the (decoded) data of a Secret.
	Fields  map[string]any
	Control Control
	At      Pos
	Sealing Sealing // of a Secret
}
