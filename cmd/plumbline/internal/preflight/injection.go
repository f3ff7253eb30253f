package preflight

import (
	"context"
	"fmt"
	"slices"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// injection looks for a webhook that puts a proxy into the pods of Namespaces
// with the label that Plumbline gives them.
func (c *checker) injection(ctx context.Context) Finding {
	label := c.o.InjectionLabel + "=" + c.o.InjectionValue
	const subject = "injection"
	list, err := c.client.AdmissionregistrationV1().MutatingWebhookConfigurations().List(ctx, metav1.ListOptions{})
	if err != nil {
		return Warn(subject, fmt.Sprintf("whether a sidecar injector obeys %s is not known: MutatingWebhookConfigurations: %s", label, unreadable(err)),
			"run this check as a cluster administrator once")
	}
	for i := range list.Items {
		for _, w := range list.Items[i].Webhooks {
			if injects(w, c.o.InjectionLabel, c.o.InjectionValue) {
				return Well(subject, fmt.Sprintf("%s puts a proxy into the pods of Namespaces labelled %s", w.Name, label))
			}
		}
	}
	return Warn(subject, fmt.Sprintf("no sidecar injector obeys %s, so pods would get no proxy, and nothing would hold callers to the whitelists", label),
		"install istiod, or set mesh.injection to the label that your Istio obeys (with revisions: istio.io/rev)")
}

// injects tells whether a webhook changes pods because of a label of their
// Namespace.
func injects(w admissionv1.MutatingWebhook, label, value string) bool {
	if !slices.ContainsFunc(w.Rules, func(r admissionv1.RuleWithOperations) bool { return slices.Contains(r.Resources, "pods") }) {
		return false
	}
	selector, err := metav1.LabelSelectorAsSelector(w.NamespaceSelector)
	if err != nil || selector.Empty() {
		return false
	}
	return selector.Matches(labels.Set{label: value}) && !selector.Matches(labels.Set{})
}
