package main

import (
	"errors"
	"os"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/config"
)

// restConfig finds the cluster: the given kubeconfig, or $KUBECONFIG,
// ~/.kube/config and the cluster around, in this order.
func restConfig(c config.Cluster) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.WarnIfAllMissing = false
	rules.ExplicitPath = c.Kubeconfig
	rc, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: c.Context}).ClientConfig()
	if err == nil {
		return rc, nil
	}
	what := c.Kubeconfig
	if what == "" {
		what = os.Getenv(clientcmd.RecommendedConfigPathEnvVar)
	}
	switch {
	case clientcmd.IsEmptyConfig(err) && what == "":
		err = errors.New("there is none; give --kubeconfig FILE, or set KUBECONFIG")
	case clientcmd.IsEmptyConfig(err):
		err = errors.New(what + " is empty or not there; give --kubeconfig FILE")
	case os.IsNotExist(err):
		err = errors.New(what + " is not there; give --kubeconfig FILE")
	case clientcmd.IsContextNotFound(err), strings.HasPrefix(err.Error(), "context "):
		err = errors.New("no context " + c.Context + "; give --context NAME, one of those that `kubectl config get-contexts` lists")
	default:
		err = errors.New(strings.TrimPrefix(err.Error(), "invalid configuration: ") + "; mend the file, or give --kubeconfig FILE")
	}
	return nil, plumbline.Errorf(plumbline.KindUsage, "read kubeconfig", "%w", err)
}
