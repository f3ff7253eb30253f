// Package config decodes the operator's configuration file.
//
// In go the file's bytes, out comes a Config that is complete and cannot be
// wrong, or every mistake with its line. An unknown key is a mistake, and so
// is a key whose part is not built yet: it is refused by name, unless it asks
// for what happens anyway. The package reads no other file and no environment
// variable.
package config

import (
	"time"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/keyservice"
	"github.com/plumbline-dev/plumbline/policies"
	"github.com/plumbline-dev/plumbline/policies/guardrail"
)

// Config is the operator's configuration. The tag `only` lists the values that
// a key may have in this version; "" stands for empty, an empty list and null. The
// tag `oneof` lists the values that there are.
type Config struct {
	APIVersion   string        `yaml:"apiVersion"`
	Kind         string        `yaml:"kind"`
	Source       Source        `yaml:"source"`
	Environments []Environment `yaml:"environments"`
	Forge        Forge         `yaml:"forge"`
	Alerts       any           `yaml:"alerts" only:""`
	Knative      Knative       `yaml:"knative"`
	KEDA         bool          `yaml:"keda"`
	Prometheus   string        `yaml:"prometheus"`
	Mesh         Mesh          `yaml:"mesh"`
	Policies     Policies      `yaml:"policies"`
	Server       Server        `yaml:"server"`
	Namespace    string        `yaml:"namespace"` // Plumbline's own
	Log          Log           `yaml:"log"`
}

// HasKEDA tells whether KEDA is declared where an environment lives.
func (c Config) HasKEDA(e Environment) bool {
	if e.KEDA != nil {
		return *e.KEDA
	}
	return c.KEDA
}

// Source is where definitions come from.
type Source struct {
	URL      string        `yaml:"url"`
	Branch   string        `yaml:"branch"`
	Interval time.Duration `yaml:"interval"`
	Timeout  time.Duration `yaml:"timeout"` // of one fetch
	Auth     Auth          `yaml:"auth"`
	Verify   NoVerify      `yaml:"verify"`
}

// Auth is how to authenticate at the source. Secrets are in files.
type Auth struct {
	Username       string `yaml:"username"`
	TokenFile      string `yaml:"tokenFile"`
	SSHKeyFile     string `yaml:"sshKeyFile"`
	KnownHostsFile string `yaml:"knownHostsFile"`
	CAFile         string `yaml:"caFile"`
	GitHubApp      any    `yaml:"githubApp" only:""`
}

// NoVerify is source.verify, of which nothing is built.
type NoVerify struct {
	Mode    string `yaml:"mode" only:"none"`
	KeysDir string `yaml:"keysDir" only:""`
}

// Environment is one directory of the repository on one cluster.
type Environment struct {
	Name    string  `yaml:"name"`
	Path    string  `yaml:"path"`
	Branch  string  `yaml:"branch"` // empty: the source's
	Cluster Cluster `yaml:"cluster"`
	Mode    Mode    `yaml:"mode" oneof:"sync|observe"`
	Drift   Drift   `yaml:"drift"`
	Health  Health  `yaml:"health"`
	Allow   Allow   `yaml:"allow"`
	Prune   Prune   `yaml:"prune"`

	StatusContext string       `yaml:"statusContext"`
	WindowSpecs   []WindowSpec `yaml:"windows"`

	ServiceAccount          string     `yaml:"serviceAccount" only:""`
	Approval                string     `yaml:"approval" only:"none"`
	RequireEncryptedSecrets bool       `yaml:"requireEncryptedSecrets"`
	Decryption              Decryption `yaml:"decryption"`
	Knative                 any        `yaml:"knative" only:""`
	KEDA                    *bool      `yaml:"keda"`
	Mesh                    any        `yaml:"mesh" only:""`

	// Windows are WindowSpecs, checked.
	Windows []policies.Window `yaml:"-"`
}

// Cluster is where an environment lives; empty in a cluster: that one.
type Cluster struct {
	Kubeconfig string `yaml:"kubeconfig"`
	Context    string `yaml:"context"`
}

// Mode says whether an environment is written.
type Mode string

// The modes.
const (
	ModeSync    Mode = "sync"
	ModeObserve Mode = "observe" // never writes
)

// Drift is what follows on drift.
type Drift struct {
	Action           DriftAction  `yaml:"action" oneof:"heal|report"`
	Foreign          DriftForeign `yaml:"foreign" oneof:"ignore|report"`
	KnownControllers []string     `yaml:"knownControllers"`
}

// DriftAction is what happens to an object that drifted.
type DriftAction string

// The actions.
const (
	DriftHeal   DriftAction = "heal"
	DriftReport DriftAction = "report"
)

// DriftForeign is what happens about fields that others add beside ours.
type DriftForeign string

// The ways.
const (
	ForeignIgnore DriftForeign = "ignore"
	ForeignReport DriftForeign = "report"
)

// Health is whether a service that changes its mode waits until its new objects
// are ready.
type Health struct {
	Wait    bool          `yaml:"wait"`
	Timeout time.Duration `yaml:"timeout"`
}

// Limit is how long is waited; 0 where nothing is waited for.
func (h Health) Limit() time.Duration {
	if !h.Wait {
		return 0
	}
	return h.Timeout
}

// Allow is what the repository may do beyond its own projects.
type Allow struct {
	ClusterKinds []GroupKind `yaml:"clusterKinds"`
	Namespaces   []string    `yaml:"namespaces"`
	ClusterRoles bool        `yaml:"clusterRoles"`
	Adopt        bool        `yaml:"adopt"`
}

// Options for policies.Allow; own is Plumbline's namespace.
func (a Allow) Options(own string) policies.AllowOptions {
	o := policies.AllowOptions{ClusterRoles: a.ClusterRoles, Namespaces: a.Namespaces, Adopt: a.Adopt, OwnNamespace: own}
	for _, k := range a.ClusterKinds {
		o.ClusterKinds = append(o.ClusterKinds, plumbline.GroupKind(k))
	}
	return o
}

// Prune is how much may be deleted.
type Prune struct {
	MaxServices policies.Limit `yaml:"maxServices"`
	MaxObjects  int            `yaml:"maxObjects"`
	Trailer     bool           `yaml:"trailer"` // commits may lift the budget
}

// Budget for policies.Prune.
func (p Prune) Budget() policies.Budget {
	return policies.Budget{Services: p.MaxServices, Objects: p.MaxObjects}
}

// WindowSpec is a sync window as written.
type WindowSpec struct {
	Schedule string `yaml:"schedule"`
	Duration string `yaml:"duration"`
	Timezone string `yaml:"timezone"`
	Mode     string `yaml:"mode" only:"allow"`
}

// Decryption is where the keys are that documents of SOPS are opened with.
type Decryption struct {
	AgeKeyFiles []string `yaml:"ageKeyFiles"`
	PGPKeyFiles []string `yaml:"pgpKeyFiles"`
	Secret      string   `yaml:"secret"` // in Plumbline's own namespace
	// KeyService is asked for what no key opens; zero: there is none.
	KeyService keyservice.Address `yaml:"keyService"`
	Vaults     []string           `yaml:"vaults"` // URLs that the key service may be sent to
}

// Forge is where statuses go. All but Kind is for forges with an API.
type Forge struct {
	Kind              ForgeKind `yaml:"kind" only:"none|notes|gitea"`
	URL               string    `yaml:"url"`
	Repository        string    `yaml:"repository"` // owner/name
	TokenFile         string    `yaml:"tokenFile"`
	WebhookSecretFile string    `yaml:"webhookSecretFile" only:""`
	CAFile            string    `yaml:"caFile"`
}

// ForgeKind is a kind of forge.
type ForgeKind string

// The kinds.
const (
	ForgeNone  ForgeKind = "none"
	ForgeNotes ForgeKind = "notes"
	ForgeGitea ForgeKind = "gitea"
)

// Knative is what the cluster's Knative can do.
type Knative struct {
	Features          []string `yaml:"features"` // podspec features that are enabled
	MetricsProxy      string   `yaml:"metricsProxy" only:"stats|container"`
	MetricsProxyImage string   `yaml:"metricsProxyImage"`
}

// Mesh is how the cluster's Istio is set up.
type Mesh struct {
	TrustDomain             string    `yaml:"trustDomain"`
	Gateways                []string  `yaml:"gateways"` // namespace/ServiceAccount
	AlwaysAllowedNamespaces []string  `yaml:"alwaysAllowedNamespaces"`
	StrictUpstreams         bool      `yaml:"strictUpstreams"`
	Injection               Injection `yaml:"injection"`
}

// Injection is the label of a Namespace whose pods get a proxy.
type Injection struct {
	Label string `yaml:"label"`
	Value string `yaml:"value"`
}

// Policies are the rules for what the repository may hold. They are the
// operator's: a rule that a push could take away would guard nothing.
type Policies struct {
	// Paths are files and directories of this machine, relative to the
	// configuration file.
	Paths       []string     `yaml:"paths"`
	RuleChoices []RuleChoice `yaml:"rules"`

	// Rules are RuleChoices, checked.
	Rules []guardrail.Rule `yaml:"-" json:"-"`
}

// RuleChoice enables a built-in rule.
type RuleChoice struct {
	Name       string         `yaml:"name"`
	Severity   string         `yaml:"severity" oneof:"error|warning"` // empty: the rule's own
	Parameters map[string]any `yaml:"parameters"`
}

// Server is the HTTP server of the daemon.
type Server struct {
	Listen    string `yaml:"listen"`
	PublicURL string `yaml:"publicURL" only:""`
}

// Log is what is logged, and how.
type Log struct {
	Level  string `yaml:"level" oneof:"debug|info|warn|error"`
	Format string `yaml:"format" oneof:"text|json"`
}

// Default is the configuration in which nothing is said.
func Default() Config {
	return Config{
		APIVersion: plumbline.APIVersion,
		Kind:       kind,
		Source:     Source{Branch: "main", Interval: 30 * time.Second, Timeout: time.Minute},
		Forge:      Forge{Kind: ForgeNone},
		Knative:    Knative{MetricsProxy: "stats"},
		Mesh: Mesh{
			TrustDomain: "cluster.local",
			Gateways:    []string{"istio-system/istio-ingressgateway-service-account"},
			Injection:   Injection{Label: "istio-injection", Value: "enabled"},
		},
		Prometheus: "http://prometheus.istio-system.svc.cluster.local:9090",
		Server:     Server{Listen: ":8080"},
		Namespace:  "plumbline-system",
		Log:        Log{Level: "info", Format: "text"},
	}
}

// DefaultEnvironment is the environment of which only the name is said.
func DefaultEnvironment(name string) Environment {
	budget := policies.DefaultBudget()
	return Environment{
		Name: name, Path: ".",
		Mode:          ModeSync,
		Drift:         Drift{Action: DriftHeal, Foreign: ForeignIgnore},
		Health:        Health{Wait: true, Timeout: 10 * time.Minute},
		Prune:         Prune{MaxServices: budget.Services, MaxObjects: budget.Objects, Trailer: true},
		StatusContext: "plumbline/" + name,
		Approval:      "none",
	}
}

// GroupKind is a kind as written in allow.clusterKinds: "group/Kind", or "Kind"
// in the core group.
type GroupKind plumbline.GroupKind
