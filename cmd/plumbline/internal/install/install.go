// Package install writes the manifests with which Plumbline runs in a cluster:
// its Namespace, ServiceAccount, rights, configuration and Deployment.
//
// In go rights and a configuration file, out comes YAML that may be read,
// reviewed and applied by hand. The package does no I/O and knows no cluster.
package install

import (
	"fmt"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/rights"
)

// The names of what is installed.
const (
	Name        = "plumbline"             // of nearly everything
	Credentials = "plumbline-credentials" // the Secret with the files that the configuration names
	ConfigName  = "config.yaml"           // key and file
	configDir   = "/etc/plumbline"
	cacheDir    = "/var/cache/plumbline"
	user        = 65532 // as in the image
)

// ConfigFile is where the pod finds its configuration.
const ConfigFile = configDir + "/" + ConfigName

// ClusterRole is the name of the ClusterRole, and of its binding, of the
// installation in a namespace.
func ClusterRole(namespace string) string { return namespace + ":" + Name }

// Options of Manifests.
type Options struct {
	Namespace string
	Image     string
	Config    string   // the text of the configuration file
	Policies  []File   // files of policies that it names
	Files     []string // absolute paths that it names, to be mounted from Credentials
	Port      int32    // of /healthz and /readyz; 0: nothing listens
	Observe   bool     // nothing is ever written, a Lease neither
	Rights    []rights.Right
}

// File is a file beside the configuration; its name is a path relative to it.
type File struct {
	Name string
	Text string
}

// Manifest is one object, and what to know about it.
type Manifest struct {
	Comment string
	Object  any
}

// Manifests are what is to be applied, in this order.
func Manifests(o Options) []Manifest {
	cluster, own := o.split()
	clusterRole := metav1.ObjectMeta{Name: ClusterRole(o.Namespace), Labels: labels()}
	named := o.meta(Name)
	subjects := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: Name, Namespace: o.Namespace}}
	return []Manifest{
		{Object: o.namespace()},
		{Object: &corev1.ServiceAccount{TypeMeta: typeMeta("v1", "ServiceAccount"), ObjectMeta: named}},
		{
			Comment: "In every namespace, for watches are of all of them:\n" + reasons(cluster),
			Object:  &rbacv1.ClusterRole{TypeMeta: rbacType("ClusterRole"), ObjectMeta: clusterRole, Rules: rules(cluster)},
		},
		{Object: &rbacv1.ClusterRoleBinding{
			TypeMeta: rbacType("ClusterRoleBinding"), ObjectMeta: clusterRole, Subjects: subjects,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: clusterRole.Name},
		}},
		{
			Comment: "In its own namespace, for its state:\n" + reasons(own),
			Object:  &rbacv1.Role{TypeMeta: rbacType("Role"), ObjectMeta: named, Rules: rules(own)},
		},
		{Object: &rbacv1.RoleBinding{
			TypeMeta: rbacType("RoleBinding"), ObjectMeta: named, Subjects: subjects,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: Name},
		}},
		{Object: &corev1.ConfigMap{
			TypeMeta: typeMeta("v1", "ConfigMap"), ObjectMeta: o.meta("plumbline-config"),
			Data: o.configData(),
		}},
		{Object: o.deployment()},
	}
}

// configData are the files of the ConfigMap. A key of it has no slash.
func (o Options) configData() map[string]string {
	data := map[string]string{ConfigName: o.Config}
	for i, f := range o.Policies {
		data[policyKey(i)] = f.Text
	}
	return data
}

func policyKey(i int) string { return fmt.Sprintf("policy-%d", i) }

func labels() map[string]string { return map[string]string{"app.kubernetes.io/name": Name} }

func (o Options) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: o.Namespace, Name: name, Labels: labels()}
}

func typeMeta(version, kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: version, Kind: kind}
}

func rbacType(kind string) metav1.TypeMeta {
	return typeMeta(rbacv1.SchemeGroupVersion.String(), kind)
}

// namespace is closed to pods that ask for more than Plumbline does.
func (o Options) namespace() *corev1.Namespace {
	l := labels()
	l[plumbline.LabelManagedBy] = plumbline.ManagedBy
	l["pod-security.kubernetes.io/enforce"] = "restricted"
	return &corev1.Namespace{TypeMeta: typeMeta("v1", "Namespace"), ObjectMeta: metav1.ObjectMeta{Name: o.Namespace, Labels: l}}
}

// split parts rights in all namespaces from those in Plumbline's own.
func (o Options) split() (cluster, own []rights.Right) {
	for _, r := range o.Rights {
		if r.Namespace == "" {
			cluster = append(cluster, r)
		} else {
			own = append(own, r)
		}
	}
	return cluster, own
}

// rules are rights as RBAC has them: those that differ in the resource only
// are one rule.
func rules(list []rights.Right) []rbacv1.PolicyRule {
	var out []rbacv1.PolicyRule
	for _, r := range list {
		last := len(out) - 1
		if last >= 0 && out[last].APIGroups[0] == r.Group && slices.Equal(out[last].Verbs, r.Verbs) && len(r.Names)+len(out[last].ResourceNames) == 0 {
			out[last].Resources = append(out[last].Resources, r.Resource)
			continue
		}
		out = append(out, rbacv1.PolicyRule{APIGroups: []string{r.Group}, Resources: []string{r.Resource}, ResourceNames: r.Names, Verbs: r.Verbs})
	}
	return out
}

// reasons say what each right is for; what is alike is said once.
func reasons(list []rights.Right) string {
	var order []string
	byWhy := map[string][]string{}
	for _, r := range list {
		if byWhy[r.Why] == nil {
			order = append(order, r.Why)
		}
		byWhy[r.Why] = append(byWhy[r.Why], r.Resource)
	}
	lines := make([]string, 0, len(order))
	for _, why := range order {
		what := strings.Join(byWhy[why], ", ")
		if len(byWhy[why]) > 3 {
			what = "the kinds that are applied"
		}
		lines = append(lines, what+": to "+why)
	}
	return strings.Join(lines, "\n")
}

// directories are where Files lie, with the names in each.
func (o Options) directories() (dirs []string, names map[string][]string) {
	names = map[string][]string{}
	for _, f := range o.Files {
		dir := path.Dir(f)
		if names[dir] == nil {
			dirs = append(dirs, dir)
		}
		if !slices.Contains(names[dir], path.Base(f)) {
			names[dir] = append(names[dir], path.Base(f))
		}
	}
	slices.Sort(dirs)
	return dirs, names
}
