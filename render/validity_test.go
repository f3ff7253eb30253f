package render_test

import (
	"context"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"knative.dev/pkg/apis"
	"knative.dev/serving/pkg/apis/config"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/fixtures/golden"
	"github.com/plumbline-dev/plumbline/render"
)

// rendering is a result with the features of Knative that it may rest on.
type rendering struct {
	render.Result
	features []string
}

// everything renders the shop and every archive without errors.
func everything(t *testing.T) map[string]rendering {
	t.Helper()
	r, err := render.New(render.Options{Environment: "production"})
	if err != nil {
		t.Fatal(err)
	}
	shop, err := r.Render(t.Context(), os.DirFS("../fixtures/shop"), "environments/production")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]rendering{"shop": {Result: shop}}
	for _, c := range golden.Cases(t) {
		res := c.Render(t)
		if res.Objects.Len() > 0 {
			out[c.Name] = rendering{res, c.Options.Knative.Features}
		}
	}
	return out
}

// defaulter is what Knative's webhook calls.
type defaulter interface {
	SetDefaults(context.Context)
	Validate(context.Context) *apis.FieldError
}

// TestKnativeHasNothingToAdd: Knative's own code finds each object valid, and
// complete.
func TestKnativeHasNothingToAdd(t *testing.T) {
	t.Parallel()
	seen := 0
	for where, res := range everything(t) {
		ctx := apis.WithinCreate(config.ToContext(t.Context(), knativeDefaults(t, res.features)))
		for _, o := range res.Objects.All() {
			if o.Ref.Group != "serving.knative.dev" {
				continue
			}
			var got, want defaulter = &servingv1.Service{}, &servingv1.Service{}
			if o.Ref.Kind == "Route" {
				got, want = &servingv1.Route{}, &servingv1.Route{}
			}
			seen++
			decode(t, o, got)
			decode(t, o, want)
			want.SetDefaults(ctx)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s: (-defaulted +rendered)\n%s", where, o.Ref, diff)
			}
			if err := got.Validate(ctx).Filter(apis.ErrorLevel); err != nil {
				t.Errorf("%s: %s: %v", where, o.Ref, err)
			}
		}
	}
	if seen < 20 {
		t.Errorf("%d objects of Knative only", seen)
	}
}

func knativeDefaults(t *testing.T, enabled []string) *config.Config {
	t.Helper()
	defaults, err := config.NewDefaultsConfigFromMap(nil)
	if err != nil {
		t.Fatal(err)
	}
	flags := map[string]string{}
	for _, f := range enabled {
		flags[f] = string(config.Enabled)
	}
	features, err := config.NewFeaturesConfigFromMap(flags)
	if err != nil {
		t.Fatal(err)
	}
	return &config.Config{Defaults: defaults, Features: features}
}

// TestEncodingReadsBack: each body, decoded into its typed struct and encoded
// by the struct's own methods, says the same.
func TestEncodingReadsBack(t *testing.T) {
	t.Parallel()
	kinds := map[string]func() any{
		"ServiceAccount":                               func() any { return &corev1.ServiceAccount{} },
		"Secret":                                       func() any { return &corev1.Secret{} },
		"Service":                                      func() any { return &corev1.Service{} },
		"rbac.authorization.k8s.io/Role":               func() any { return &rbacv1.Role{} },
		"rbac.authorization.k8s.io/RoleBinding":        func() any { return &rbacv1.RoleBinding{} },
		"rbac.authorization.k8s.io/ClusterRole":        func() any { return &rbacv1.ClusterRole{} },
		"rbac.authorization.k8s.io/ClusterRoleBinding": func() any { return &rbacv1.ClusterRoleBinding{} },
		"Namespace":                                    func() any { return &corev1.Namespace{} },
		"apps/Deployment":                              func() any { return &appsv1.Deployment{} },
		"autoscaling/HorizontalPodAutoscaler":          func() any { return &autoscalingv2.HorizontalPodAutoscaler{} },
		"policy/PodDisruptionBudget":                   func() any { return &policyv1.PodDisruptionBudget{} },
		"serving.knative.dev/Service":                  func() any { return &servingv1.Service{} },
		"serving.knative.dev/Route":                    func() any { return &servingv1.Route{} },
		"networking.istio.io/Sidecar":                  func() any { return &networkingv1.Sidecar{} },
		"networking.istio.io/ServiceEntry":             func() any { return &networkingv1.ServiceEntry{} },
		"networking.istio.io/DestinationRule":          func() any { return &networkingv1.DestinationRule{} },
		"networking.istio.io/VirtualService":           func() any { return &networkingv1.VirtualService{} },
		"security.istio.io/AuthorizationPolicy":        func() any { return &securityv1.AuthorizationPolicy{} },
		"security.istio.io/PeerAuthentication":         func() any { return &securityv1.PeerAuthentication{} },
	}
	seen := map[string]bool{}
	for where, res := range everything(t) {
		for _, o := range res.Objects.All() {
			kind := o.Ref.GroupKind().String()
			empty := kinds[kind]
			if empty == nil {
				continue
			}
			seen[kind] = true
			typed := empty()
			decode(t, o, typed)
			again, err := json.Marshal(typed)
			if err != nil {
				t.Fatal(err)
			}
			want, got := values(t, again), values(t, o.Body.Reveal())
			if diff := cmp.Diff(want, withoutZeroEnums(got)); diff != "" {
				t.Errorf("%s: %s: (-own methods +encoded)\n%s", where, o.Ref, diff)
			}
		}
	}
	for kind := range kinds {
		if !seen[kind] {
			t.Errorf("no %s rendered", kind)
		}
	}
}

func decode(t *testing.T, o *plumbline.Object, into any) {
	t.Helper()
	if err := json.Unmarshal(o.Body.Reveal(), into); err != nil {
		t.Fatalf("%s: %v", o.Ref, err)
	}
}

// values decodes JSON and drops what canonical encoding drops: null, status,
// empty structs.
func values(t *testing.T, text []byte) any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	delete(v, "status")
	return prune(v)
}

func prune(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, c := range v {
			c = prune(c)
			empty, _ := c.(map[string]any)
			if c == nil || empty != nil && len(empty) == 0 {
				delete(v, k)
				continue
			}
			v[k] = c
		}
	case []any:
		for i := range v {
			v[i] = prune(v[i])
		}
	}
	return v
}

// withoutZeroEnums drops the enums that are written although they are zero.
func withoutZeroEnums(v any) any {
	zero := map[string]string{"action": "ALLOW", "mode": "REGISTRY_ONLY", "location": "MESH_EXTERNAL"}
	switch m := v.(type) {
	case map[string]any:
		for k, c := range m {
			if s, ok := c.(string); ok && s != "" && zero[k] == s {
				delete(m, k)
				continue
			}
			c = withoutZeroEnums(c)
			if reflect.DeepEqual(c, map[string]any{}) {
				delete(m, k)
			}
		}
	case []any:
		for i := range m {
			m[i] = withoutZeroEnums(m[i])
		}
	}
	return v
}

// TestCanonical: sorted, our labels on every object, nothing that must not be
// there.
func TestCanonical(t *testing.T) {
	t.Parallel()
	for where, res := range everything(t) {
		for _, o := range res.Objects.All() {
			body := o.Body.Reveal()
			var v any
			if err := json.Unmarshal(body, &v); err != nil {
				t.Fatal(err)
			}
			var sorted strings.Builder
			enc := json.NewEncoder(&sorted)
			enc.SetEscapeHTML(false)
			if err := enc.Encode(v); err != nil {
				t.Fatal(err)
			}
			// Large numbers of plain objects do not survive decoding.
			if got := strings.TrimSpace(sorted.String()); got != string(body) && !strings.Contains(string(body), "9007199254740993") {
				t.Errorf("%s: %s is not canonical:\n%s\n%s", where, o.Ref, body, got)
			}
			for _, never := range []string{"creationTimestamp", "null", `"status"`, "serving.knative.dev/creator", "stringData", "immutable", "clusterIP"} {
				if strings.Contains(string(body), never) {
					t.Errorf("%s: %s holds %s", where, o.Ref, never)
				}
			}
			labels, _ := v.(map[string]any)["metadata"].(map[string]any)["labels"].(map[string]any)
			if labels[plumbline.LabelManagedBy] != plumbline.ManagedBy || labels[plumbline.LabelEnvironment] == nil ||
				labels[plumbline.LabelProject] != nilOr(o.Project) || labels[plumbline.LabelService] != nilOr(o.Service) || labels[plumbline.LabelInstallation] != nil {
				t.Errorf("%s: %s has labels %v", where, o.Ref, labels)
			}
		}
	}
}

func nilOr(s string) any {
	if s == "" {
		return nil
	}
	return s
}
