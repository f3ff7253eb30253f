package definition

// elsewhere is where a field stands that people look for in a mapping, as in
// Kubernetes' own objects: "docker.image" for an image of "a task"; "" for others.
func elsewhere(what, key string) string { return habits()[what][key] }

// habits are, by mapping and key, paths from the mapping.
func habits() map[string]map[string]string {
	return map[string]map[string]string{
		"the service": {
			"containers": "tasks", "replicas": "autoScale.minReplicas", "minReplicas": "autoScale.minReplicas", "maxReplicas": "autoScale.maxReplicas",
			"image": "tasks.docker.image", "ports": "tasks.ports", "env": "tasks.env", "secrets": "tasks.secrets", "resources": "tasks.resources",
		},
		"a task": {
			"image": "docker.image", "command": "docker.cmd", "args": "docker.cmd", "cmd": "docker.cmd", "imagePullPolicy": "docker.imagePullPolicy",
			"imagePullSecrets": "docker.secret", "name": "id", "readinessProbe": "probes.readiness", "livenessProbe": "probes.liveness", "envFrom": "secrets",
		},
		"a port":     {"containerPort": "port", "targetPort": "port", "number": "port"},
		"docker":     {"command": "cmd", "args": "cmd", "pullSecret": "secret"},
		"resources":  {"requests": "cpu", "cpuLimit": "limits.cpu", "memoryLimit": "limits.memory"},
		"autoScale":  {"min": "minReplicas", "max": "maxReplicas", "minScale": "minReplicas", "maxScale": "maxReplicas"},
		"a trigger":  {"target": "metadata.target", "value": "metadata.value"},
		"a route":    {"port": "source.port", "protocol": "source.protocol", "retries": "requestRetries", "timeout": "requestTimeout", "match": "matchers"},
		"a matcher":  {"uri": "url", "path": "url"},
		"url":        {"exact": "type", "prefix": "type", "regex": "type", "path": "value"},
		"a header":   {"name": "key"},
		"the secret": {"stringData": "data", "mountPath": "rootPath", "path": "rootPath"},
	}
}
