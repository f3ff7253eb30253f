package config

import (
	"slices"
	"testing"
)

// Every key that may be set is described, and nothing else is.
func TestReference(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, k := range Reference() {
		known[k.Path] = true
		if k.Built && k.Doc == "" {
			t.Errorf("%s: no description", k.Path)
		}
		if !k.Built && k.Doc != "" {
			t.Errorf("%s: described, and not built", k.Path)
		}
	}
	for path := range descriptions() {
		if !known[path] {
			t.Errorf("%s: described, and no key", path)
		}
	}
	defaults := map[string]string{}
	for _, k := range Reference() {
		defaults[k.Path] = k.Default
	}
	for path, want := range map[string]string{
		"source.interval": "30s", "source.timeout": "1m", "environments[].mode": "sync", "environments[].prune.maxServices": "10%",
		"environments[].prune.maxObjects": "5", "environments[].prune.trailer": "true", "namespace": "plumbline-system",
		"mesh.gateways": "istio-system/istio-ingressgateway-service-account", "environments[].statusContext": "",
	} {
		if defaults[path] != want {
			t.Errorf("%s is %q, want %q", path, defaults[path], want)
		}
	}
	if i := slices.IndexFunc(Reference(), func(k Key) bool { return k.Path == "alerts" }); i < 0 || Reference()[i].Built {
		t.Error("alerts is shown as built")
	}
}
