package config

import (
	"fmt"
	"reflect"
	"strings"
	"time"
)

// Key is one key of the configuration file, for its documentation.
type Key struct {
	Path    string // "environments[].drift.action"
	Default string // as it is written in the file; empty for none
	Type    KeyType
	Values  []string // the only ones; none are any
	Doc     string
	// Built is false for a key that is known and whose part is not in this
	// version.
	Built bool
}

// KeyType is what stands behind a key.
type KeyType string

// The types of keys.
const (
	KeyText     KeyType = "text"
	KeyNumber   KeyType = "number"
	KeyTruth    KeyType = "true or false"
	KeyDuration KeyType = "duration"
	KeyTexts    KeyType = "list of text"
	KeyMapping  KeyType = "mapping"
)

func keyType(t reflect.Type) KeyType {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return KeyDuration
	case t.Kind() == reflect.Int:
		return KeyNumber
	case t.Kind() == reflect.Bool:
		return KeyTruth
	case t.Kind() == reflect.Slice:
		return KeyTexts
	case t.Kind() == reflect.Map:
		return KeyMapping
	}
	return KeyText
}

// Reference lists every key that has a value, in the order of Config.
func Reference() []Key {
	docs := descriptions()
	var out []Key
	c := Default()
	walk(reflect.ValueOf(c), "", func(k Key) {
		k.Doc = docs[k.Path]
		out = append(out, k)
	})
	return out
}

// walk visits the keys below a value of Default.
func walk(v reflect.Value, path string, visit func(Key)) {
	t := v.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("yaml")
		if name == "" || name == "-" || path == "" && (name == "apiVersion" || name == "kind") {
			continue
		}
		at := strings.TrimPrefix(path+"."+name, ".")
		only, bound := f.Tag.Lookup("only")
		s := schemaOfType(f.Type)
		switch {
		case s.fields != nil:
			walk(v.Field(i), at, visit)
		case s.item != nil && s.item.fields != nil:
			walk(itemDefault(f.Type.Elem()), at+"[]", visit)
		default:
			k := Key{Path: at, Default: written(v.Field(i)), Type: keyType(f.Type), Built: !bound || strings.Contains(only, "|")}
			if one, ok := f.Tag.Lookup("oneof"); ok {
				bound, only = true, one
			}
			if bound {
				k.Values = strings.Split(only, "|")
			}
			visit(k)
		}
	}
}

// itemDefault is an item of a list of which nothing is said.
func itemDefault(t reflect.Type) reflect.Value {
	if t == reflect.TypeFor[Environment]() {
		e := DefaultEnvironment("")
		e.Path, e.StatusContext = "", ""
		return reflect.ValueOf(e)
	}
	return reflect.New(t).Elem()
}

// written is a value as it stands in the file.
func written(v reflect.Value) string {
	if d, ok := v.Interface().(time.Duration); ok {
		return strings.TrimSuffix(d.String(), "m0s") + map[bool]string{true: "m"}[strings.HasSuffix(d.String(), "m0s")]
	}
	switch v.Kind() {
	case reflect.Bool, reflect.Int:
		return fmt.Sprint(v.Interface())
	case reflect.Slice:
		var items []string
		for i := range v.Len() {
			items = append(items, fmt.Sprint(v.Index(i).Interface()))
		}
		return strings.Join(items, ", ")
	case reflect.Interface:
		return ""
	}
	if s, ok := v.Interface().(fmt.Stringer); ok {
		return s.String()
	}
	if v.Kind() == reflect.String {
		return v.String()
	}
	return ""
}

// descriptions of the keys that are built.
func descriptions() map[string]string {
	return map[string]string{
		"source.url":                 "required; `https://`, `ssh://`, `user@host:path`, `file://` or a path. A password in it is refused: use `source.auth.tokenFile`",
		"source.branch":              "only heads of branches are deployed, never tags",
		"source.interval":            "how often to look, ± 20 %",
		"source.timeout":             "of one fetch, a stalled one included",
		"source.auth.username":       "https; most servers take any beside a token",
		"source.auth.tokenFile":      "https; the file is read again for each fetch, so a rotated token counts at once",
		"source.auth.sshKeyFile":     "ssh: a private key without passphrase",
		"source.auth.knownHostsFile": "ssh: the server's keys; required with ssh",
		"source.auth.caFile":         "https: PEM, instead of the system's authorities",

		"environments[].name":                    "required; a DNS label of at most 40 characters",
		"environments[].path":                    "required; the directory in the repository, `.` for all of it",
		"environments[].branch":                  "another one than `source.branch`",
		"environments[].cluster.kubeconfig":      "`$KUBECONFIG`, `~/.kube/config` or the cluster around, where empty",
		"environments[].cluster.context":         "of the kubeconfig; its current one, where empty",
		"environments[].mode":                    "`sync`, or `observe`: nothing is ever written",
		"environments[].drift.action":            "`heal`, or `report`: say what drifted and leave it",
		"environments[].drift.foreign":           "`ignore`, or `report`: say what others add to the spec of an object beside ours; it is never taken away",
		"environments[].drift.knownControllers":  "field managers that may, besides the controllers of Kubernetes and Knative",
		"environments[].health.wait":             "a service that changes its mode, or is adopted, gives up its old objects when the new ones are ready; see [modes](modes.md)",
		"environments[].health.timeout":          "when it is a failure that they are not; what they replace stays",
		"environments[].allow.clusterKinds":      "kinds without a namespace that Git may hold, as `group/Kind`",
		"environments[].allow.namespaces":        "namespaces beyond the environment's projects",
		"environments[].allow.clusterRoles":      "ClusterRole and ClusterRoleBinding",
		"environments[].allow.adopt":             "obey `plumbline.dev/adopt: \"true\"`: take over an object that was there before",
		"environments[].prune.maxServices":       "services that may be deleted in 24 h: a share (at least 1, at most 10), or a number",
		"environments[].prune.maxObjects":        "other objects that may be deleted in 24 h",
		"environments[].prune.trailer":           "commits may lift the budget with `Plumbline-Allow-Delete`",
		"environments[].statusContext":           "of the commit status, `plumbline/<name>` where empty; drift adds `/drift`",
		"environments[].requireEncryptedSecrets": "a secret that is not encrypted with SOPS is an error, and not only a warning",
		"environments[].decryption.ageKeyFiles":  "private keys of age, or SSH keys; read again for each commit",
		"environments[].decryption.pgpKeyFiles":  "private keys of PGP without a passphrase; read again for each commit",
		"environments[].decryption.secret":       "a Secret in `namespace` on the environment's cluster: its keys `*.agekey` and `*.asc` are read as such files",
		"environments[].decryption.keyService":   "`sops keyservice`, which opens what these keys do not, as that of a cloud's KMS: `unix:///run/sops/keyservice.sock`, or `tcp://127.0.0.1:5000`",
		"environments[].decryption.vaults":       "URLs of HashiCorp's and Azure's vaults that the key service may be sent to; others are refused",
		"environments[].windows[].schedule":      "when a window opens, as the five fields of cron",
		"environments[].windows[].duration":      "how long it is open, 1m to 744h",
		"environments[].windows[].timezone":      "of the schedule; UTC, where empty",

		"forge.kind":       "where statuses go; `notes`: JSON lines in `refs/notes/plumbline`, pushed to the repository; `gitea`: Gitea's or Forgejo's API",
		"forge.url":        "of the forge; required with `gitea`",
		"forge.repository": "`owner/name`; required with `gitea`",
		"forge.tokenFile":  "a token that may write statuses; read again for each",
		"forge.caFile":     "PEM, instead of the system's authorities",

		"keda":                         "KEDA is installed: services that only it can scale get a ScaledObject",
		"environments[].keda":          "overrides `keda`",
		"prometheus":                   "where KEDA asks how many calls there are, for services that run as Deployments and are scaled by them",
		"knative.features":             "podspec features that are enabled in the cluster's `config-features`, as `kubernetes.podspec-affinity`",
		"knative.metricsProxy":         "`stats`: Prometheus reads Envoy's statistics; `container`: one of your own beside every HTTP service pushes them",
		"knative.metricsProxyImage":    "of that container; it gets MODE, PROJECT, SERVICE and VERSION in its environment",
		"mesh.trustDomain":             "of the mesh's identities",
		"mesh.gateways":                "`namespace/service-account`s through which calls come in",
		"mesh.alwaysAllowedNamespaces": "may call every service",
		"mesh.strictUpstreams":         "refuse hosts that the mesh does not know",
		"mesh.injection.label":         "of Namespaces whose pods get a proxy",
		"mesh.injection.value":         "of that label",
		"policies.paths":               "files and directories with policies, relative to the configuration file; see [policies.md](policies.md)",
		"policies.rules[].name":        "of a built-in rule, which is in force then",
		"policies.rules[].severity":    "`error`, or `warning`: said, and applied all the same",
		"policies.rules[].parameters":  "that the rule needs",
		"server.listen":                "of `/healthz`, `/readyz` and `/metrics`; empty: none",
		"namespace":                    "where Plumbline keeps its state on each cluster",
		"log.level":                    "debug, info, warn or error",
		"log.format":                   "text or json",
	}
}
