package preflight

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestCompareFeatures(t *testing.T) {
	t.Parallel()
	affinity := map[string]string{"kubernetes.podspec-affinity": "Enabled", "kubernetes.podspec-tolerations": "disabled", "multi-container": "enabled"}
	cases := []struct {
		name     string
		declared []string
		data     map[string]string
		want     []string
	}{
		{"nothing", nil, nil, []string{"ok no Knative feature is declared, none is enabled"}},
		{"enabled and declared", []string{"kubernetes.podspec-affinity"}, affinity, []string{"ok kubernetes.podspec-affinity is enabled, as declared"}},
		{"by its short name", []string{"affinity"}, affinity, []string{"ok affinity is enabled, as declared"}},
		{"another value", []string{"affinity", "tolerations"}, affinity, []string{
			"ok affinity is enabled, as declared",
			"warning tolerations is declared enabled, and is disabled in ConfigMap knative-serving/config-features",
		}},
		{"not there", []string{"affinity"}, nil, []string{"warning affinity is declared enabled, and is not set in ConfigMap knative-serving/config-features"}},
		{"not declared", nil, affinity, []string{"ok enabled and not declared: kubernetes.podspec-affinity (services that need it are run as Deployments)"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, f := range compareFeatures(c.declared, c.data) {
				got = append(got, string(f.State)+" "+f.Detail)
				if (f.State == OK) != (f.Advice == "") || (f.Advice != "" && !strings.Contains(f.Advice, "kubernetes.podspec-")) {
					t.Errorf("%s: advice %q", f.Detail, f.Advice)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestInjects(t *testing.T) {
	t.Parallel()
	pods := []admissionv1.RuleWithOperations{{Rule: admissionv1.Rule{Resources: []string{"pods"}}}}
	enabled := &metav1.LabelSelector{MatchLabels: map[string]string{"istio-injection": "enabled"}}
	cases := []struct {
		name string
		hook admissionv1.MutatingWebhook
		want bool
	}{
		{"by label", admissionv1.MutatingWebhook{Rules: pods, NamespaceSelector: enabled}, true},
		{"another value", admissionv1.MutatingWebhook{Rules: pods, NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"istio-injection": "other"}}}, false},
		{"not of pods", admissionv1.MutatingWebhook{Rules: []admissionv1.RuleWithOperations{{Rule: admissionv1.Rule{Resources: []string{"services"}}}}, NamespaceSelector: enabled}, false},
		{"of every Namespace", admissionv1.MutatingWebhook{Rules: pods}, false},
		{"of Namespaces without another label", admissionv1.MutatingWebhook{Rules: pods, NamespaceSelector: &metav1.LabelSelector{
			MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "opt-out", Operator: metav1.LabelSelectorOpDoesNotExist}},
		}}, false},
	}
	for _, c := range cases {
		if got := injects(c.hook, "istio-injection", "enabled"); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}
