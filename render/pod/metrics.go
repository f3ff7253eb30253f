package pod

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"

	"github.com/plumbline-dev/plumbline/render/definition"
)

// scraped are the annotations by which Prometheus finds the statistics of the
// mesh's proxy.
func scraped() map[string]string {
	return map[string]string{
		"prometheus.io/scrape": "true",
		"prometheus.io/port":   "15020",
		"prometheus.io/path":   "/stats/prometheus",
	}
}

// proxyConfig makes Envoy keep the wanted statistics, and the pod wait for it.
func proxyConfig(prefixes []string) string {
	b := []byte(`{"holdApplicationUntilProxyStarts":true,"proxyStatsMatcher":{"inclusionPrefixes":[`)
	for i, p := range prefixes {
		if i > 0 {
			b = append(b, ',')
		}
		quoted, err := json.Marshal(p)
		if err != nil { // text always encodes
			continue
		}
		b = append(b, quoted...)
	}
	return string(append(b, "]}}"...))
}

// metricsProxyName is the container's name, which no task can have.
const metricsProxyName = "metrics-proxy"

// metricsProxy is the container that reads the proxy's statistics and pushes
// them. Where there are other ports than HTTP ones, or none, requests are not
// counted, and there is no such container.
func metricsProxy(in Input) (corev1.Container, bool) {
	v := in.Version
	if in.MetricsProxy == "" || !onlyHTTP(v) {
		return corev1.Container{}, false
	}
	mode := "per-second"
	if t := v.Scale.Triggers; len(t) > 0 && t[0].Type == definition.TriggerActiveRequests {
		mode = "parallel"
	}
	return corev1.Container{
		Name:            metricsProxyName,
		Image:           in.MetricsProxy,
		ImagePullPolicy: corev1.PullIfNotPresent,
		Env: []corev1.EnvVar{
			{Name: "MODE", Value: mode},
			{Name: "PROJECT", Value: v.Project.Value},
			{Name: "SERVICE", Value: v.ID.Value},
			{Name: "VERSION", Value: v.Version.Value},
		},
		Resources: resources(definition.Resources{CPU: 20, Memory: 50}),
	}, true
}

func onlyHTTP(v *definition.Version) bool {
	ports := 0
	for i := range v.Tasks {
		for _, p := range v.Tasks[i].Ports {
			if p.Protocol == definition.ProtocolTCP {
				return false
			}
			ports++
		}
	}
	return ports > 0
}
