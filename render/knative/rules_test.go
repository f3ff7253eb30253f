package knative_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline-dev/plumbline/render/knative"
)

const affine = `{"spec": {"template": {"spec": {
	"affinity": {"nodeAffinity": {}},
	"containers": [{"image": "app"}, {"image": "app", "readinessProbe": {"httpGet": {"port": 80}}, "ports": [{"containerPort": 8080}]}]
}}}}`

// What is refused depends on the features that the operator declared.
func TestFeatures(t *testing.T) {
	t.Parallel()
	refused := []knative.Problem{{Path: "spec.template.spec.affinity", Message: "must not set the field(s)"}}
	for _, c := range []struct {
		name     string
		features []string
		want     []knative.Problem
	}{
		{"none", nil, refused},
		{"another", []string{"kubernetes.podspec-tolerations", "no-such-feature"}, refused},
		{"declared", []string{"kubernetes.podspec-affinity"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			rules, err := knative.NewRules(c.features)
			if err != nil {
				t.Fatal(err)
			}
			o, err := knative.Decode("Service", []byte(affine))
			if err != nil {
				t.Fatal(err)
			}
			rules.Complete(t.Context(), o)
			var got []knative.Problem
			for _, p := range rules.Check(t.Context(), o) {
				if !strings.HasPrefix(p.Path, "metadata.") { // it has no name
					got = append(got, p)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
