package preflight

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/rights"
	"github.com/plumbline-dev/plumbline/reconciler/cluster"
)

// Options of Cluster.
type Options struct {
	Config    *rest.Config
	Version   string // Plumbline's own
	Namespace string // Plumbline's own
	// Environments that are kept on this cluster, with this configuration.
	Environments []string
	Observe      bool     // never written
	KeySecrets   []string // with decryption keys

	Kinds      []plumbline.GroupKind // that are applied
	Namespaces []string              // that they are applied in; empty: not known
	Features   []string              // of Knative, that are declared enabled
	// InjectionLabel and InjectionValue are what Namespaces are labelled with.
	InjectionLabel, InjectionValue string
}

// checker looks at one cluster.
type checker struct {
	o      Options
	client kubernetes.Interface
	kinds  *cluster.Client
	// inNamespaces are the resources of namespaced kinds, as group/resource.
	inNamespaces map[string]bool
}

// Cluster looks at a cluster. Where it does not answer, that is the only
// finding.
func Cluster(ctx context.Context, o Options) []Finding {
	cfg := rest.CopyConfig(o.Config)
	cfg.UserAgent = fmt.Sprintf("plumbline/%s (%s)", o.Version, cluster.ClassState)
	cfg.QPS = -1
	cfg.WarningHandler = rest.NoWarnings{}
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return []Finding{Lacks("cluster", "connect: "+oneLine(err), "mend the kubeconfig", plumbline.KindUsage)}
	}
	kinds, err := cluster.New(cluster.Options{Config: o.Config, Version: o.Version})
	if err != nil {
		return []Finding{Lacks("cluster", oneLine(err), "mend the kubeconfig", plumbline.KindUsage)}
	}
	c := &checker{o: o, client: client, kinds: kinds, inNamespaces: map[string]bool{"/events": true}}
	reached, ok := c.reach(ctx)
	if !ok {
		return []Finding{reached}
	}
	out := []Finding{reached}
	served, found := c.served(ctx)
	out = append(out, found...)
	out = append(out, c.features(ctx)...)
	out = append(out, c.injection(ctx))
	return append(out, c.rights(ctx, served)...)
}

// reach asks who answers.
func (c *checker) reach(ctx context.Context) (Finding, bool) {
	if err := c.kinds.Refresh(ctx); err != nil {
		advice := "see that the API server runs and can be reached from here"
		if plumbline.KindOf(err) == plumbline.KindDenied {
			advice = "use a kubeconfig whose credentials this cluster knows"
		}
		return Lacks("cluster", c.o.Config.Host+": "+oneLine(err), advice, plumbline.KindOf(err)), false
	}
	v, err := c.client.Discovery().ServerVersion()
	if err != nil {
		return Warn("cluster", c.o.Config.Host+" does not tell its version", ""), true
	}
	return Well("cluster", fmt.Sprintf("Kubernetes %s at %s", v.GitVersion, c.o.Config.Host)), true
}

// served looks each kind up. Kinds that are not served have no rights to ask
// for.
func (c *checker) served(ctx context.Context) ([]rights.Kind, []Finding) {
	var kinds []rights.Kind
	var out []Finding
	sorted := slices.Clone(c.o.Kinds)
	slices.SortFunc(sorted, plumbline.GroupKind.Compare)
	for _, gk := range slices.Compact(sorted) {
		k, err := c.kinds.Kind(ctx, gk, "")
		if err != nil {
			out = append(out, Lacks("kind", gk.String()+" is not served", "install "+provider(gk.Group), plumbline.KindOf(err)))
			continue
		}
		c.inNamespaces[k.Group+"/"+k.Resource] = k.Namespaced
		kinds = append(kinds, rights.Kind{GroupKind: gk, Resource: k.Resource})
		if custom(gk.Group) {
			out = append(out, Well("kind", fmt.Sprintf("%s is served as %s", gk, k.Version)))
		}
	}
	return kinds, out
}

// custom tells whether kinds of a group come with a CustomResourceDefinition:
// those of Kubernetes itself are always there.
func custom(group string) bool {
	return strings.Contains(group, ".") && !strings.HasSuffix(group, ".k8s.io")
}

// provider says where kinds of a group come from.
func provider(group string) string {
	switch {
	case strings.HasSuffix(group, "knative.dev"):
		return "Knative Serving"
	case strings.HasSuffix(group, "istio.io"):
		return "Istio"
	}
	return "its CustomResourceDefinition, or take the objects of this kind out of the repository"
}

func oneLine(err error) string {
	var e *plumbline.Error
	if errors.As(err, &e) && e.Err != nil {
		err = e.Err
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}

// unreadable says why something could not be looked at.
func unreadable(err error) string {
	switch {
	case apierrors.IsForbidden(err):
		return "you may not read it"
	case apierrors.IsNotFound(err):
		return "it is not there"
	}
	return "the API server did not answer"
}
