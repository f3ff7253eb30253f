package runbook

func contents() []Entry {
	return []Entry{
		{
			"PL4001", "Two tasks of one id",
			"Tasks are the containers of one pod, and the id is the container's name.",
			"Rename or remove one.",
		},
		{
			"PL4002", "Two ports of one number or name",
			"The containers of a pod share their ports: a second one cannot listen.",
			"Give one of them another number or name.",
		},
		{
			"PL4003", "A port that the mesh or Knative uses itself",
			"The proxy, or Knative's queue, listens there in the same pod.",
			"Let the program listen on another port; `servicePort` keeps the address for callers.",
		},
		{
			"PL4004", "An environment variable that Knative sets",
			"Knative sets it in each container and refuses a pod that does so too.",
			"Remove it, or give it another name.",
		},
		{
			"PL4005", "A label that controllers use",
			"Plumbline, Knative or Istio finds pods by it; another value would hide them.",
			"Choose another label.",
		},
		{
			"PL4006", "A maximum below the minimum",
			"Fewer replicas at most than at least, or limits below what is requested.",
			"Raise one or lower the other.",
		},
		{
			"PL4007", "A scaling trigger without what it needs",
			"A trigger needs a target, and some need more.",
			"Add the metadata that the message names.",
		},
		{
			"PL4008", "A name that no environment variable can have",
			"Kubernetes refuses the pod.",
			"Use letters, digits, `_`, `-` and `.`, not beginning with a digit.",
		},
		{
			"PL4009", "An environment variable that is set in two ways",
			"By the task and by a secret, or by two secrets: which one counts would depend on their order.",
			"Remove it in one place; the message names both.",
		},
		{
			"PL4010", "An image reference that no registry accepts",
			"The kubelet would never pull it.",
			"Write `registry/path:tag`, in lower case and without blanks.",
		},
		{
			"PL4011", "A value that has no effect (warning)",
			"It is valid, and changes nothing in the way this service is run.",
			"Remove it, so that nobody believes in it.",
		},
		{
			"PL4012", "A label's value that Kubernetes refuses",
			"The API server would refuse the object.",
			"Use at most 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both ends.",
		},
		{
			"PL4013", "One port, two protocols",
			"Versions of one service, or tasks of one, speak different protocols on the same address; callers see only one.",
			"Use the same protocol, or another port.",
		},
		{
			"PL4014", "A probe that could not be asked",
			"A probe asks in one way, on one port, and Knative asks the container that serves on its serving port only.",
			"Write one of `httpGet`, `tcpSocket`, `grpc` and `exec`, with the port where the task has not exactly one.",
		},
		{
			"PL4015", "An affinity that says nothing, or too much",
			"An affinity says by its expressions which nodes or pods are meant, and by the sign of its weight whether near or away.",
			"Write what the message asks for. Of nodes, keep away by one expression each; labels of pods have no Gt and Lt.",
		},
		{
			"PL4016", "A service that Knative refuses",
			"The definition is well formed, and Knative's own validation, which is asked about each of its objects, says no: applying it would fail. The message ends with the field of the Knative object.",
			"Change the line that the message names. If the field is one that your Knative allows by a feature flag, declare the flag in `knative.features`.",
		},
	}
}

func secrets() []Entry {
	return []Entry{
		{
			"PL5001", "A secret that nobody defines",
			"The pod would wait for it for ever.",
			"Define it in the same project, or correct the name. A plain Secret of the repository counts too.",
		},
		{
			"PL5002", "A secret used in a way that its type does not allow",
			"Secrets of type `docker` are for pulling images, `env` for variables, `file` for files.",
			"Name a secret of the right type, or move it to the other field.",
		},
		{
			"PL5003", "A key that a Secret cannot have",
			"Kubernetes takes letters, digits, `-`, `_` and `.`; as a variable it must not begin with a digit.",
			"Rename the key.",
		},
		{
			"PL5004", "A secret that is too large",
			"A Secret holds 1 MiB at most.",
			"Split it, or keep large files in an image or a volume.",
		},
		{
			"PL5005", "Keys that do not fit the secret's type",
			"A secret of type `docker` has `username`, `password` and `url`, and no other keys.",
			"Add what is missing, remove what is more.",
		},
		{
			"PL5006", "A path where no secret can be mounted",
			"It is relative, or would hide what the container needs.",
			"Choose an absolute path of its own, as `/etc/shop/tls`.",
		},
		{
			"PL5007", "Two secrets with one file",
			"Both would be the same file at the same path.",
			"Rename a key, or mount one elsewhere.",
		},
		{
			"PL5008", "Data of a plain Secret that is not base64",
			"Under `data` values are base64; the API server would refuse the object.",
			"Put the text itself under `stringData`.",
		},
		{
			"PL5009", "A secret that is not encrypted",
			"Its values stand in the repository, where everyone reads them who has a clone, now and in its history. A warning, and with `requireEncryptedSecrets: true` an error.",
			"Encrypt the file with SOPS ([secrets](secrets.md) shows how), and change the values: what was pushed once is known.",
		},
		{
			"PL5010", "An encrypted value in what is no secret",
			"Decrypted, it would stand in an object that many may read: a Knative Service, a ConfigMap.",
			"Put the value into a secret and name that. Where SOPS encrypted a whole file with other documents in it, let it encrypt `data` and `stringData` only.",
		},
		{
			"PL5011", "A secret's value that an import left to be filled in",
			"`plumbline import` found no value in the export, and writes `[fill in]` where it belongs: an empty one would overwrite what is on the cluster.",
			"Write the value in its place, then encrypt the file with SOPS ([secrets](secrets.md) shows how). What is on the cluster shows `kubectl get secret NAME -n PROJECT -o yaml`.",
		},
	}
}

func routes() []Entry {
	return []Entry{
		{
			"PL6001", "Routes of a service that nobody defines",
			"There is nothing to route to.",
			"Correct the service's id or its project, or remove the document.",
		},
		{
			"PL6002", "A route to a version that nobody defines",
			"Calls would go nowhere. Often a version was removed and its share of the traffic forgotten.",
			"Point the route to a version that is there; the message lists them.",
		},
		{
			"PL6003", "Weights that do not share out",
			"All are 0, or one is negative.",
			"Give at least one target a weight above 0.",
		},
		{
			"PL6004", "Several versions and no routes",
			"Nobody says which version gets how much of the traffic, or of that on one of the ports.",
			"Write a ServiceRoutes document, or add the route; the message shows what fits.",
		},
		{
			"PL6005", "A route on a port where the service does not answer",
			"Callers of that port would reach nothing.",
			"Use one of the ports in the message, or declare the port in the service.",
		},
		{
			"PL6006", "A route without targets, or with one twice",
			"A route needs at least one version, and each at most once.",
			"Add a target, or add up the weights of the one that is there twice.",
		},
		{
			"PL6007", "A matcher that no call can match",
			"A path begins with `/`, a header has a name, and a regex is one that Envoy reads (RE2) and that is no larger than it takes: repetitions count as often as they repeat.",
			"Correct the value.",
		},
		{
			"PL6008", "A route that no call gets to",
			"Routes of one port are tried in order, and one before this takes all calls.",
			"Put the route without matchers last, or join the two.",
		},
		{
			"PL6009", "Calls that no route takes",
			"All routes of a port have matchers; what none of them matches is answered with 404.",
			"End with a route for the port without matchers, unless 404 is what you want.",
		},
		{
			"PL6010", "A route that waits longer than Knative does",
			"Knative ends a call after 600 seconds, whatever its route says.",
			"Lower requestTimeout to 600 or less, or let the caller ask for the result later.",
		},
	}
}

func running() []Entry {
	return []Entry{
		{
			"PL7001", "A service that answers on port 80 (warning)",
			"It scales to zero, and Knative answers for it on port 80, whatever port the container listens on.",
			"Call it on port 80. To keep the declared port, set `minReplicas` to 1 or more and a `servicePort`.",
		},
		{
			"PL7002", "A service that is called directly and scales to zero",
			"It asks for something that only the mesh's own routing does, and for zero replicas, at which only Knative's routing works.",
			"Set `minReplicas` to 1, or take out what the message names.",
		},
		{
			"PL7003", "A way of scaling that only KEDA has",
			"The service runs as a Deployment, and its trigger, or its minimum of 0, is not one that a Deployment's autoscaler knows.",
			"Scale by cpu or memory with at least one replica, or make `maxReplicas` equal to `minReplicas`.",
		},
	}
}

func calls() []Entry {
	return []Entry{
		{
			"PL8001", "A call to or from a service that nobody defines (warning)",
			"An upstream or a whitelist names a service that is in no definition of this environment. It may live elsewhere, or be misspelt.",
			"Correct the name, or leave it if the other side comes later.",
		},
		{
			"PL8002", "A call that only one side declares (warning)",
			"The caller has it among its upstreams and the callee not in its whitelist, or the other way round. Both must agree, so the call is refused.",
			"Add the other half, or remove this one.",
		},
		{
			"PL8003", "An address in an environment variable where nobody answers (warning)",
			"The variable looks like the address of a service of this environment, with a port on which it is not called.",
			"Use the port in the message.",
		},
		{
			"PL8004", "A role of a service that nobody defines",
			"The rights would go to a name that anyone could take later.",
			"Correct the role's service, or remove the role with the service.",
		},
		{
			"PL8005", "A reference to what an overlay moved away",
			"The overlay's `namespace` makes a copy of the project under another name, and `namePrefix` one of its services. A copy that called, or admitted, the services of the original would mix staging with production.",
			"Write `projectId: '.'` for the service's own project, and the service's name alone in addresses: `http://ledger`. Behind a `namePrefix` the address is another too: patch the variable.",
		},
		{
			"PL8006", "A whitelist that lets in Knative's activator",
			"The activator calls pods in its own name, for everyone who asks it to: a pod that admits it, or its namespace, cannot tell callers apart. (Knative's documentation advises it, and says so.)",
			"Remove the entry and name the callers: what Knative itself needs is let in without it. If everyone may call, say so: `{projectId: '*'}`.",
		},
		{
			"PL8101", "A service that everyone may call (warning of `plumbline graph`)",
			"Its whitelist holds `projectId: '*'`: whatever runs in the mesh may call it, services of other teams too.",
			"If only the outside is meant, name the gateway's namespace instead: `{projectId: istio-system, service: '*'}`.",
		},
		{
			"PL8102", "A whitelist of which nobody makes use (warning of `plumbline graph`)",
			"It admits callers of this environment, and none of them has the service among its upstreams. Both must agree, so nobody may call it.",
			"Add the service to the upstreams of its callers, or empty the whitelist of one that is not meant to be called.",
		},
		{
			"PL8103", "A call that both sides declare, and that does not get there (warning of `plumbline graph`)",
			"Whitelists and upstreams are those of versions. The versions that admit the caller get none of its calls: no route leads to them, or they have no port; the versions that get its calls do not admit it.",
			"Put the caller into the whitelist of the versions that the routes lead to, or take the call out of both sides.",
		},
	}
}

func plain() []Entry {
	return []Entry{
		{
			"PL9001", "A plain object without a name or namespace",
			"Plumbline follows objects by name. `generateName` makes another one each time.",
			"Write `metadata.name`, and `metadata.namespace` for kinds that have one.",
		},
		{
			"PL9002", "A null inside a list",
			"The API server drops it, so what is live would never equal what is written.",
			"Remove the item.",
		},
		{
			"PL9003", "A plain object that uses what is Plumbline's own",
			"Labels of `plumbline.dev/` say whose an object is. One that is written by hand would claim an object for another environment, or hide it.",
			"Remove it; Plumbline adds its labels itself.",
		},
		{
			"PL9004", "A plain Knative object that Knative refuses",
			"Knative's own validation, which is asked about each Knative object of version `v1`, says no: applying it would fail. The message ends with the field.",
			"Correct the field. If it is one that your Knative allows by a feature flag, declare the flag in `knative.features`.",
		},
		{
			"PL9005", "A patch of rendered objects that does not apply",
			"A document of kind `PostRender` holds a patch, or a target, that cannot be read, or that asks for a field which the object does not have.",
			"`plumbline render` shows the object as it is without the patch. An operation `replace` or `remove` needs the field to be there; `add` does not.",
		},
		{
			"PL9006", "A patch of rendered objects that is for none of them",
			"Nothing that is rendered from the definitions in reach of the `PostRender` has that kind, name and labels: the patch would do nothing, and nobody would know.",
			"Correct the target, or remove the entry. A patch reaches the definitions in its own directory and below, or the whole overlay that it is a resource of.",
		},
		{
			"PL9007", "A patch of rendered objects that changes what it must not",
			"Other parts rely on the field: what the object is and whose, who runs in a pod and behind which proxy, what the definition decides together with other objects. Or Knative refuses what would come out.",
			"Change the definition; in a copy, by a patch in its `kustomization.yaml`.",
		},
	}
}
