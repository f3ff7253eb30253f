package reconciler_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/plumbline-dev/plumbline/reconciler"
)

// webhook is an admission webhook for the ConfigMaps of one namespace. What it
// answers is one function, which may be put in later.
type webhook struct {
	url    string
	ca     []byte
	answer atomic.Pointer[admission]
}

type admission = func(r *http.Request, q *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse

func newWebhook(t testing.TB) *webhook {
	t.Helper()
	h := &webhook{}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review admissionv1.AdmissionReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		review.Response = &admissionv1.AdmissionResponse{Allowed: true}
		if answer := h.answer.Load(); answer != nil {
			review.Response = (*answer)(r, review.Request)
		}
		review.Response.UID = review.Request.UID
		_ = json.NewEncoder(w).Encode(review)
	}))
	t.Cleanup(server.Close)
	h.url, h.ca = server.URL, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	return h
}

// install registers it, and returns when the API server asks it and gets an
// answer within that many seconds.
func (f *faulty) install(h *webhook, mutating bool, seconds int32) {
	f.t.Helper()
	core, err := kubernetes.NewForConfig(f.cluster.Config())
	if err != nil {
		f.t.Fatal(err)
	}
	none, fail := admissionregistrationv1.SideEffectClassNone, admissionregistrationv1.Fail
	meta := metav1.ObjectMeta{Name: "faults-" + f.suffix}
	name := f.suffix + ".faults.example.com"
	client := admissionregistrationv1.WebhookClientConfig{URL: &h.url, CABundle: h.ca}
	here := &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": f.ns}}
	rules := []admissionregistrationv1.RuleWithOperations{{
		Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update},
		Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}},
	}}
	registry := core.AdmissionregistrationV1()
	if mutating {
		_, err = registry.MutatingWebhookConfigurations().Create(f.t.Context(), &admissionregistrationv1.MutatingWebhookConfiguration{
			ObjectMeta: meta, Webhooks: []admissionregistrationv1.MutatingWebhook{{
				Name: name, ClientConfig: client, Rules: rules, FailurePolicy: &fail, NamespaceSelector: here,
				SideEffects: &none, TimeoutSeconds: &seconds, AdmissionReviewVersions: []string{"v1"},
			}},
		}, metav1.CreateOptions{})
	} else {
		_, err = registry.ValidatingWebhookConfigurations().Create(f.t.Context(), &admissionregistrationv1.ValidatingWebhookConfiguration{
			ObjectMeta: meta, Webhooks: []admissionregistrationv1.ValidatingWebhook{{
				Name: name, ClientConfig: client, Rules: rules, FailurePolicy: &fail, NamespaceSelector: here,
				SideEffects: &none, TimeoutSeconds: &seconds, AdmissionReviewVersions: []string{"v1"},
			}},
		}, metav1.CreateOptions{})
	}
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		ctx := context.WithoutCancel(f.t.Context())
		_ = registry.ValidatingWebhookConfigurations().Delete(ctx, meta.Name, metav1.DeleteOptions{})
		_ = registry.MutatingWebhookConfigurations().Delete(ctx, meta.Name, metav1.DeleteOptions{})
	})
	var asked atomic.Bool
	probe := func(*http.Request, *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
		asked.Store(true)
		return &admissionv1.AdmissionResponse{Allowed: true}
	}
	after := h.answer.Swap(&probe)
	f.hurry("the webhook is asked", func() bool {
		_, err := core.CoreV1().ConfigMaps(f.ns).Create(f.t.Context(), newConfigMap("probe"), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err != nil && !apierrors.IsInternalError(err) { // it was slow
			f.t.Fatal(err)
		}
		return err == nil && asked.Load()
	})
	h.answer.Store(after)
}

// TestWebhookRejects lets a webhook reject one object: it alone fails, the
// status has the webhook's words, and it is applied once the webhook thinks
// otherwise.
func TestWebhookRejects(t *testing.T) {
	t.Parallel()
	for _, code := range []int32{0, http.StatusBadRequest, http.StatusForbidden, http.StatusUnprocessableEntity} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			t.Parallel()
			f := newFaulty(t)
			h := newWebhook(t)
			reject := func(_ *http.Request, q *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
				if q.Name != "new" {
					return &admissionv1.AdmissionResponse{Allowed: true}
				}
				return &admissionv1.AdmissionResponse{Result: &metav1.Status{Code: code, Message: "no cost center"}}
			}
			f.begin()
			h.answer.Store(&reject)
			f.install(h, false, 10)
			f.push(map[string]string{"new.yaml": configMap("new", "1"), "other.yaml": configMap("other", "1"), "settings.yaml": settingsIs("green")})
			f.waiting("denied the request: no cost center")
			if got := last(f.posted.of(f.repo.head(), "plumbline/"+f.env)); !strings.HasPrefix(got, "failure: new.yaml:1: ") {
				t.Errorf("status %q", got)
			}
			f.get(configMaps, "other")
			before, begun := len(f.proxy.Seen(writes("/new"))), f.clock.now()
			f.edit("red")
			f.healed()
			h.answer.Store(nil)
			f.converged()
			f.atMost(before+3+int(f.clock.now().Sub(begun)/interval), writes("/new"))
		})
	}
}

// TestWebhookHangs lets a webhook not answer for one object.
func TestWebhookHangs(t *testing.T) {
	t.Parallel()
	f := newFaulty(t)
	h := newWebhook(t)
	hang := func(r *http.Request, q *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
		if q.Name == "new" {
			<-r.Context().Done()
		}
		return &admissionv1.AdmissionResponse{Allowed: true}
	}
	f.begin()
	h.answer.Store(&hang)
	f.install(h, false, 1)
	begun := f.clock.now()
	f.push(map[string]string{"new.yaml": configMap("new", "1"), "other.yaml": configMap("other", "1")})
	f.waiting("error: ")
	f.hurry("the other is applied", func() bool { return slices.Contains(f.live(configMaps), "ConfigMap other") })
	f.edit("red")
	f.healed()
	h.answer.Store(nil)
	f.converged()
	f.atMost(tries(f.clock.now().Sub(begun)), writes("/new"))
}

// TestWebhookMutates lets a webhook change a field of ours at every write, to
// another value each time: what it made of our apply is what we applied, so
// there is no fight, and an edit is healed by one write.
func TestWebhookMutates(t *testing.T) {
	t.Parallel()
	for name, patch := range map[string]string{
		"a field of ours":  `[{"op":"replace","path":"/data/color","value":"mutated-%d"}]`,
		"a field of its":   `[{"op":"add","path":"/data/injected","value":"%d"}]`,
		"takes ours away":  `[{"op":"remove","path":"/data/color"},{"op":"add","path":"/data/n","value":"%d"}]`,
		"takes our labels": `[{"op":"remove","path":"/metadata/labels/plumbline.dev~1project"},{"op":"add","path":"/data/n","value":"%d"}]`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFaulty(t)
			h := newWebhook(t)
			var n atomic.Int64
			kind := admissionv1.PatchTypeJSONPatch
			mutate := func(_ *http.Request, q *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
				out := &admissionv1.AdmissionResponse{Allowed: true}
				if q.Name == "settings" && strings.Contains(string(q.Object.Raw), plumblineLabel) {
					out.PatchType, out.Patch = &kind, fmt.Appendf(nil, patch, n.Add(1))
				}
				return out
			}
			f.begin()
			h.answer.Store(&mutate)
			f.install(h, true, 10)
			f.push(map[string]string{"settings.yaml": settingsIs("green")})
			f.settle()
			f.pass(5 * time.Minute)
			f.atMost(3, writes("/settings"))
			h.answer.Store(nil)
			f.push(map[string]string{"settings.yaml": settingsIs("blue")})
			f.converged()
			f.atMost(4, writes("/settings"))
			if got := f.told(reconciler.EventHealed); got != 0 {
				t.Errorf("%d heals of what nobody edited", got)
			}
		})
	}
}

// plumblineLabel tells our objects from the probe.
const plumblineLabel = "app.kubernetes.io/managed-by"

func newConfigMap(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}
}
