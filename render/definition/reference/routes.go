package reference

func routes() *Mapping {
	return &Mapping{Name: "the routes", Fields: []Field{
		spelled("id", "The service's id."), spelled("project", "The project."), spelled("projectId", "The project."),
		{
			Key: "routes", Type: Objects, Of: route(), Required: true,
			Doc:     "The routes. Of those for one port the first that matches a call counts.",
			Becomes: Becomes{Knative: "Knative Route: spec.traffic[]", Direct: "VirtualService: spec.http[]", Deployment: "VirtualService: spec.http[]; VirtualService: spec.tcp[]"},
		},
	}}
}

func route() *Mapping {
	return &Mapping{Name: "a route", Fields: []Field{
		{Key: "id", Form: spaceCloud, Type: Text, Doc: "A name that exports write. It has no effect.", Becomes: same("nothing: a name")},
		{Key: "source", Type: Object, Of: source(), Required: true, Doc: "Which calls are meant.", Becomes: same("nothing: see its fields")},
		{
			Key: "targets", Type: Objects, Of: target(), Required: true, Doc: "Who gets them, by weight.",
			Becomes: Becomes{Knative: "Knative Route: spec.traffic[]", Direct: "VirtualService: spec.http[].route[]", Deployment: "VirtualService: spec.http[].route[]; VirtualService: spec.tcp[].route[]"},
		},
		{
			Key: "matchers", Type: Objects, Of: matcher(), Doc: "Which of the calls on the port; any of the matchers is enough. Without them: all.",
			Becomes: byMesh("VirtualService: spec.http[].match[]"),
		},
		{
			Key: "requestRetries", Type: Number, High: 100, Default: "3", Doc: "How often a call that failed is tried again. 0 stands for the default, and so does 3: both leave a service in mode knative, where Knative does not try again.",
			Becomes: byMesh("VirtualService: spec.http[].retries.attempts"),
		},
		{
			Key: "requestTimeout", Type: Number, High: 24 * 3600, Default: "180",
			Doc:     "Seconds that each try may take. 0 stands for the default, and so does 180: both leave a service in mode knative. Knative itself ends a call after 300, or after this where it is longer, and never later than after 600.",
			Becomes: byMesh("VirtualService: spec.http[].retries.perTryTimeout"),
		},
	}}
}

func source() *Mapping {
	gateway := func(key string, typ Type) Field {
		return Field{Key: key, Form: spaceCloud, Type: typ, Doc: "Of the gateway's routes; it has no effect here.", Becomes: same("nothing: the gateway's")}
	}
	return &Mapping{Name: "source", Fields: []Field{
		{
			Key: "protocol", Type: Text, Values: []string{"http", "tcp"}, Default: "http", Doc: "http also for h2c and grpc.",
			Becomes: Becomes{Knative: "nothing: Knative speaks http only", Direct: "VirtualService: spec.http[]", Deployment: "VirtualService: spec.http[]; VirtualService: spec.tcp[]"},
		},
		{
			Key: "port", Type: Number, Required: true, Low: 1, High: 65535, Doc: "On which the service is called: a servicePort.",
			Becomes: Becomes{Knative: "nothing: Knative answers on port 80", Direct: "VirtualService: spec.http[].match[].port", Deployment: "VirtualService: spec.http[].match[].port; VirtualService: spec.tcp[].match[].port"},
		},
		gateway("hosts", Texts), gateway("methods", Texts), gateway("url", Text), gateway("rewrite", Text), gateway("type", Text),
	}}
}

func target() *Mapping {
	return &Mapping{Name: "a target", Fields: []Field{
		{
			Key: "type", Type: Text, Values: []string{"version", "external"}, Also: []string{"internal"}, Default: "version", Doc: "A version of the service, or a host elsewhere.",
			Becomes: Becomes{Knative: "nothing: only versions can be targets", Direct: "VirtualService: spec.http[].route[].destination.host", Deployment: "VirtualService: spec.http[].route[].destination.host"},
		},
		{
			Key: "version", Type: Text, Doc: "Of type version: which one.",
			Becomes: Becomes{Knative: "Knative Route: spec.traffic[].configurationName", Direct: "VirtualService: spec.http[].route[].destination.host", Deployment: "VirtualService: spec.http[].route[].destination.host"},
		},
		{
			Key: "host", Type: Text, Pattern: hostPattern, Doc: "Of type external: its name, without scheme, port and path.",
			Becomes: byMesh("ServiceEntry: spec.endpoints[].address; VirtualService: spec.http[].route[].destination.host"),
		},
		{
			Key: "scheme", Type: Text, Values: []string{"http", "https"}, Default: "http", Doc: "Of type external: https makes the mesh call it over TLS, and check its name.",
			Becomes: byMesh("DestinationRule: spec.trafficPolicy.tls"),
		},
		{
			Key: "port", Type: Number, High: 65535, Doc: "Of the receiver: of a version, a servicePort. The same as the route's, where nothing is said; of a host 80, or 443 for https.",
			Becomes: Becomes{Knative: "nothing: Knative answers on port 80", Direct: "VirtualService: spec.http[].route[].destination.port.number", Deployment: "VirtualService: spec.http[].route[].destination.port.number"},
		},
		{
			Key: "weight", Type: Number, Doc: "Its share of the calls, beside the weights of the others: they are made to add up to 100. With one target it may be left out.",
			Becomes: Becomes{Knative: "Knative Route: spec.traffic[].percent", Direct: "VirtualService: spec.http[].route[].weight", Deployment: "VirtualService: spec.http[].route[].weight"},
		},
	}}
}

func matcher() *Mapping {
	return &Mapping{Name: "a matcher", Fields: []Field{
		{
			Key: "url", Type: Object, Doc: "The path must match.", Becomes: byMesh("VirtualService: spec.http[].match[].uri"),
			Of: &Mapping{Name: "url", Fields: []Field{
				{Key: "type", Type: Text, Values: []string{"exact", "prefix", "regex"}, Doc: "How it is compared.", Becomes: byMesh("VirtualService: spec.http[].match[].uri.*")},
				{Key: "value", Type: Text, Doc: "With what. A path begins with /; a regex is one of RE2, and matches the whole path.", Becomes: byMesh("VirtualService: spec.http[].match[].uri.*")},
				{Key: "ignoreCase", Type: Truth, Doc: "Upper and lower case are equal. Not for a regex.", Default: "false", Becomes: byMesh("VirtualService: spec.http[].match[].ignoreUriCase")},
				{Key: "isIgnoreCase", Form: spaceCloud, Type: Truth, Doc: "The same as ignoreCase, as Space Cloud's own generator writes it.", Becomes: byMesh("VirtualService: spec.http[].match[].ignoreUriCase")},
			}},
		},
		{
			Key: "headers", Type: Objects, Doc: "All of these headers must match.", Becomes: byMesh("VirtualService: spec.http[].match[].headers"),
			Of: &Mapping{Name: "a header", Fields: []Field{
				{Key: "key", Type: Text, Required: true, Doc: "The header's name, in any case.", Becomes: byMesh("VirtualService: spec.http[].match[].headers.*")},
				{
					Key: "type", Type: Text, Required: true, Values: []string{"exact", "prefix", "regex", "check-presence"},
					Doc: "How its value is compared. check-presence asks only that it is there.", Becomes: byMesh("VirtualService: spec.http[].match[].headers.*.*"),
				},
				{Key: "value", Type: Text, Doc: "With what.", Becomes: byMesh("VirtualService: spec.http[].match[].headers.*.*")},
			}},
		},
	}}
}
