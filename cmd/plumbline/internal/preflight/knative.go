package preflight

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Where Knative Serving says which fields of a pod it takes.
const (
	knativeNamespace = "knative-serving"
	featuresMap      = "config-features"
	podspec          = "kubernetes.podspec-"
)

// features compares the features that are declared with those that Knative has
// enabled.
func (c *checker) features(ctx context.Context) []Finding {
	cm, err := c.client.CoreV1().ConfigMaps(knativeNamespace).Get(ctx, featuresMap, metav1.GetOptions{})
	where := fmt.Sprintf("ConfigMap %s/%s", knativeNamespace, featuresMap)
	if err != nil {
		if len(c.o.Features) == 0 && (apierrors.IsNotFound(err) || apierrors.IsForbidden(err)) {
			return []Finding{Well("feature", "no Knative feature is declared, none is needed")}
		}
		return []Finding{Warn("feature", fmt.Sprintf("whether %s is enabled is not known: %s: %s", strings.Join(c.o.Features, ", "), where, unreadable(err)),
			"see that Knative enables it, or take it out of knative.features")}
	}
	return compareFeatures(c.o.Features, cm.Data)
}

// compareFeatures is pure.
func compareFeatures(declared []string, data map[string]string) []Finding {
	var out []Finding
	known := map[string]bool{}
	for _, f := range declared {
		key := podspec + strings.TrimPrefix(f, podspec)
		if _, ok := data[f]; ok {
			key = f
		}
		known[key] = true
		value := data[key]
		if value == "" {
			value = "not set"
		}
		if !strings.EqualFold(value, "enabled") {
			out = append(out, Warn("feature", fmt.Sprintf("%s is declared enabled, and is %s in ConfigMap %s/%s", f, value, knativeNamespace, featuresMap),
				fmt.Sprintf("set %s: enabled there, or take it out of knative.features", key)))
			continue
		}
		out = append(out, Well("feature", f+" is enabled, as declared"))
	}
	var more []string
	for _, key := range slices.Sorted(maps.Keys(data)) {
		if strings.HasPrefix(key, podspec) && strings.EqualFold(data[key], "enabled") && !known[key] {
			more = append(more, key)
		}
	}
	switch {
	case len(more) > 0:
		out = append(out, Well("feature", "enabled and not declared: "+strings.Join(more, ", ")+" (services that need it are run as Deployments)"))
	case len(out) == 0:
		out = append(out, Well("feature", "no Knative feature is declared, none is enabled"))
	}
	return out
}
