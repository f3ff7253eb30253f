package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/plumbline-dev/plumbline"
	inventory "github.com/plumbline-dev/plumbline/reconciler/state"
)

// objectClient reads and writes the objects of one kind.
type objectClient = dynamic.ResourceInterface

// renderedKinds are all kinds that Plumbline renders of definitions, and those
// that tests pass through. A kind that is missing shows as an object that is
// rendered and not live.
func renderedKinds() map[plumbline.GroupKind]schema.GroupVersionResource {
	out := map[plumbline.GroupKind]schema.GroupVersionResource{}
	for _, line := range strings.Fields(`
		v1/Namespace/namespaces v1/ConfigMap/configmaps v1/Secret/secrets v1/ServiceAccount/serviceaccounts v1/Service/services
		apps/v1/Deployment/deployments autoscaling/v2/HorizontalPodAutoscaler/horizontalpodautoscalers
		policy/v1/PodDisruptionBudget/poddisruptionbudgets
		networking.istio.io/v1/Sidecar/sidecars networking.istio.io/v1/VirtualService/virtualservices
		networking.istio.io/v1/DestinationRule/destinationrules networking.istio.io/v1/ServiceEntry/serviceentries
		security.istio.io/v1/AuthorizationPolicy/authorizationpolicies security.istio.io/v1/PeerAuthentication/peerauthentications
		serving.knative.dev/v1/Service/services serving.knative.dev/v1/Route/routes`) {
		p := strings.Split(line, "/")
		group := ""
		if len(p) == 4 {
			group, p = p[0], p[1:]
		}
		out[plumbline.GroupKind{Group: group, Kind: p[1]}] = schema.GroupVersionResource{Group: group, Version: p[0], Resource: p[2]}
	}
	return out
}

// installation is the value of our label on the stage.
func (s *stage) installation() string {
	s.t.Helper()
	ns, err := s.dynamic.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}).Get(s.t.Context(), s.namespace, metav1.GetOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	return string(ns.GetUID())
}

// live are the objects with our Apply entry and the labels of the stage's
// environment, wherever they are.
func (s *stage) live() map[plumbline.Ref]unstructured.Unstructured {
	s.t.Helper()
	out := map[plumbline.Ref]unstructured.Unstructured{}
	selector := fmt.Sprintf("%s=%s,%s=production", plumbline.LabelInstallation, s.installation(), plumbline.LabelEnvironment)
	for gk, gvr := range renderedKinds() {
		list, err := s.dynamic.Resource(gvr).List(s.t.Context(), metav1.ListOptions{LabelSelector: selector})
		if err != nil {
			s.t.Fatal(err)
		}
		for _, o := range list.Items {
			if slices.ContainsFunc(o.GetManagedFields(), func(f metav1.ManagedFieldsEntry) bool {
				return f.Manager == plumbline.FieldManager && f.Operation == metav1.ManagedFieldsOperationApply && f.Subresource == ""
			}) {
				out[plumbline.Ref{Group: gk.Group, Kind: gk.Kind, Namespace: o.GetNamespace(), Name: o.GetName()}] = o
			}
		}
	}
	return out
}

// liveVersions are the live objects with uid and resourceVersion, a line each.
func (s *stage) liveVersions() []string {
	s.t.Helper()
	var out []string
	for ref, o := range s.live() {
		out = append(out, fmt.Sprintf("%s %s %s", s.ours(ref.String()), o.GetUID(), o.GetResourceVersion()))
	}
	slices.Sort(out)
	return out
}

// rendered is what the files of the clone mean.
func (s *stage) rendered(path string) []string {
	s.t.Helper()
	code, out, errs := s.plumbline("render", "-e", "production", "-o", "json", s.clone()+"/"+path)
	if code != 0 {
		s.t.Fatalf("render: exit %d\n%s", code, errs)
	}
	var list struct{ Items []unstructured.Unstructured }
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		s.t.Fatal(err)
	}
	var refs []string
	for _, o := range list.Items {
		gvk := o.GroupVersionKind()
		refs = append(refs, plumbline.Ref{Group: gvk.Group, Kind: gvk.Kind, Namespace: o.GetNamespace(), Name: o.GetName()}.String())
	}
	slices.Sort(refs)
	return refs
}

// inventory is what Plumbline has written down: objects with their uid.
func (s *stage) inventory() map[plumbline.Ref]inventory.Entry {
	s.t.Helper()
	core, err := corev1client.NewForConfig(s.cluster.Config())
	if err != nil {
		s.t.Fatal(err)
	}
	loaded, err := inventory.New(core.ConfigMaps(s.namespace), "production").Load(s.t.Context())
	if err != nil || loaded.Damaged != nil {
		s.t.Fatalf("read inventory: %v, %v", err, loaded.Damaged)
	}
	out := map[plumbline.Ref]inventory.Entry{}
	for _, ref := range loaded.Inventory.Refs() {
		out[ref], _ = loaded.Inventory.Get(ref)
	}
	return out
}

// writeKubeconfigAs writes a kubeconfig of another user.
func (s *stage) writeKubeconfigAs(path, user string, groups []string) {
	s.t.Helper()
	c, err := clientcmd.LoadFromFile(s.cluster.Kubeconfig)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, u := range c.AuthInfos {
		u.Impersonate, u.ImpersonateGroups = user, groups
	}
	s.writeConfig(path, c)
}
