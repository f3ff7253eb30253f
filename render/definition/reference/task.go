package reference

func task() *Mapping {
	return &Mapping{Name: "a task", Fields: []Field{
		{Key: "id", Type: Text, Required: true, Pattern: labelPattern, Doc: "The container's name.", Becomes: inPod(container + ".name")},
		{Key: "name", Form: spaceCloud, Type: Text, Doc: "A name to display. It has no effect.", Becomes: same("nothing: a name to display")},
		{Key: "docker", Type: Object, Of: docker(), Required: true, Doc: "What runs.", Becomes: inPod(container + ".image")},
		{
			Key: "ports", Type: Objects, Of: port(),
			Doc:     "Where the task listens. With one http, h2c or grpc port in all tasks the service runs on Knative; with more, a tcp port or none, as a Deployment.",
			Becomes: inPod(container + ".ports[]"),
		},
		{Key: "resources", Type: Object, Of: resources(), Doc: "What the container asks for and may use.", Becomes: inPod(container + ".resources")},
		{Key: "env", Type: TextMap, KeyPattern: `^[A-Za-z_.-][A-Za-z0-9_.-]*$`, Doc: "Environment variables.", Becomes: inPod(container + ".env[]")},
		{
			Key: "secrets", Type: Texts,
			Doc:     "The ids of secrets of the types env and file: their keys become environment variables, or files in their rootPath. A change of a secret restarts the pods.",
			Becomes: inPod(container+".env[].valueFrom.secretKeyRef", container+".volumeMounts[]", "spec.volumes[]", `metadata.annotations["plumbline.dev/secrets"]`),
		},
		{
			Key: "probes", Type: Object, Doc: "How Kubernetes asks the container how it is.", Becomes: same("nothing: see its fields"),
			Of: &Mapping{Name: "probes", Fields: []Field{
				{
					Key: "readiness", Type: Object, Of: probe("readiness"), Doc: "Whether calls are sent to it. Of the task with the port, on Knative, it can ask that port only.",
					Becomes: inPod(container + ".readinessProbe"),
				},
				{
					Key: "liveness", Type: Object, Of: probe("liveness"), Doc: "Whether it lives on, or is started again.",
					Becomes: inPod(container + ".livenessProbe"),
				},
			}},
		},
		{
			Key: "runtime", Form: spaceCloud, Type: Text, Doc: "image or code, in Space Cloud. It becomes the variable SC_RUNTIME, and has no other effect.",
			Becomes: inPod(container + ".env[]"),
		},
	}}
}

func docker() *Mapping {
	return &Mapping{Name: "docker", Fields: []Field{
		{Key: "image", Type: Text, Required: true, Doc: "The image, as registry/path:tag.", Becomes: inPod(container + ".image")},
		{Key: "cmd", Type: Texts, Doc: "What to run instead of the image's own: the program, then its arguments.", Becomes: inPod(container+".command[]", container+".args[]")},
		{Key: "secret", Type: Text, Doc: "The id of a secret of type docker with which the image is pulled.", Becomes: inPod("spec.imagePullSecrets[].name")},
		{
			Key: "imagePullPolicy", Type: Text, Values: []string{"always", "pull-if-not-exists"}, Loose: true, Default: "always",
			Doc: "When the image is pulled.", Becomes: inPod(container + ".imagePullPolicy"),
		},
	}}
}

func port() *Mapping {
	return &Mapping{Name: "a port", Fields: []Field{
		{
			Key: "name", Type: Text, Pattern: `^[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?$`,
			Doc:     "The port's name, of at most 15 letters, digits and dashes; <protocol>-<port> where nothing is said.",
			Becomes: Becomes{Knative: "nothing: Knative names its port http1 or h2c", Direct: "Service: spec.ports[].name", Deployment: "Deployment: spec.template.spec.containers[].ports[].name; Service: spec.ports[].name"},
		},
		{
			Key: "protocol", Type: Text, Required: true, Values: []string{"http", "h2c", "grpc", "tcp"}, Loose: true,
			Doc:     "What is spoken on it. h2c is HTTP/2 without TLS. A tcp port makes the service run as a Deployment.",
			Becomes: Becomes{Knative: inPod(container + ".ports[].name").Knative, Direct: inPod(container+".ports[].name").Direct + "; Service: spec.ports[].appProtocol", Deployment: "Service: spec.ports[].appProtocol"},
		},
		{Key: "port", Type: Number, Required: true, Low: 1, High: 65535, Doc: "On which the task listens. 15000 to 15090 are the mesh's own; Knative has a few more.", Becomes: inPod(container + ".ports[].containerPort")},
		{
			Key: "servicePort", Form: plumbline, Type: Number, Low: 1, High: 65535, Default: "80, and for tcp that of port",
			Doc:     "On which the service is called. In Space Cloud's form it is the same as port. Another one than 80 asks for the mode knative-direct or deployment.",
			Becomes: Becomes{Knative: "nothing: Knative answers on port 80", Direct: "Service: spec.ports[].port; VirtualService: spec.http[].match[].port", Deployment: "Service: spec.ports[].port; VirtualService: spec.http[].match[].port"},
		},
	}}
}

func resources() *Mapping {
	requests, limits := container+".resources.requests.", container+".resources.limits."
	return &Mapping{Name: "resources", Fields: []Field{
		{Key: "cpu", Type: Number, Default: "250", Doc: "Millicores that are set aside. Where cpu or memory is 0 or not said, both are the default.", Becomes: inPod(requests + "cpu")},
		{Key: "memory", Type: Number, Default: "512", Doc: "MiB that are set aside, and the limit where limits says no other.", Becomes: inPod(requests+"memory", limits+"memory")},
		{
			Key: "gpu", Type: Object, Doc: "Graphics processors.", Becomes: same("nothing: see its fields"),
			Of: &Mapping{Name: "resources.gpu", Fields: []Field{
				{Key: "type", Type: Text, Values: []string{"nvidia", "amd"}, Also: []string{"nvdia"}, Doc: "Whose.", Becomes: inPod(container + `.resources.limits["amd.com/gpu"]`)},
				{Key: "value", Type: Number, Doc: "How many.", Becomes: inPod(container + `.resources.limits["amd.com/gpu"]`)},
			}},
		},
		{
			Key: "limits", Type: Object, Doc: "The most that the container may use.", Becomes: same("nothing: see its fields"),
			Of: &Mapping{Name: "resources.limits", Fields: []Field{
				{Key: "cpu", Type: Number, Doc: "Millicores; none where nothing is said.", Becomes: inPod(limits + "cpu")},
				{Key: "memory", Type: Number, Doc: "MiB; as much as is set aside, where nothing is said.", Becomes: inPod(limits + "memory")},
			}},
		},
	}}
}

// probe is a readiness or liveness probe.
func probe(which string) *Mapping {
	place := container + "." + which + "Probe."
	count := func(key string, low int, fallback, doc string) Field {
		return Field{Key: key, Type: Number, Low: low, Default: fallback, Doc: doc, Becomes: inPod(place + key)}
	}
	portOf := func(way string) Field {
		return Field{
			Key: "port", Type: Number, Low: 1, High: 65535, Doc: "That is asked. It may be left out where the task has one port.",
			Becomes: inPod(place + way + ".port"),
		}
	}
	way := func(key, doc string, fields ...Field) Field {
		return Field{
			Key: key, Type: Object, Doc: doc, Becomes: inPod(place + key),
			Of: &Mapping{Name: "probes." + which + "." + key, Fields: fields},
		}
	}
	return &Mapping{Name: "probes." + which, Fields: []Field{
		way("httpGet", "Ask by HTTP: 200 to 399 is good. One of httpGet, tcpSocket, grpc and exec is needed.",
			Field{Key: "path", Type: Text, Pattern: pathPattern, Default: "/", Doc: "The path that is asked for.", Becomes: inPod(place + "httpGet.path")}, portOf("httpGet")),
		way("tcpSocket", "Ask by connecting.", portOf("tcpSocket")),
		way("grpc", "Ask by the health protocol of gRPC.", portOf("grpc"),
			Field{Key: "service", Type: Text, Doc: "Which of the server's services is meant.", Becomes: inPod(place + "grpc.service")}),
		way("exec", "Ask by running a program in the container: exit code 0 is good.",
			Field{Key: "command", Type: Texts, Required: true, Doc: "The program and its arguments.", Becomes: inPod(place + "exec.command[]")}),
		count("initialDelaySeconds", 0, "0", "Seconds from the start to the first question."),
		count("periodSeconds", 1, "10", "Seconds between two questions."),
		count("timeoutSeconds", 1, "1", "Seconds until no answer is a bad one."),
		count("successThreshold", 1, "1", "How many good answers after a bad one it takes. Of liveness it can be 1 only."),
		count("failureThreshold", 1, "3", "How many bad answers it takes."),
	}}
}
