package reference

// repeated is a field that Space Cloud's exports repeat, of a kind that belongs
// to no service.
func repeated(key, doc string) Field {
	f := spelled(key, doc)
	f.Becomes = all("nothing: meta counts")
	return f
}

func secret() *Mapping {
	return &Mapping{Name: "the secret", Fields: []Field{
		{
			Key: "type", Type: Text, Required: true, Values: []string{"env", "file", "docker"},
			Doc:     "How it is used: env by tasks[].secrets as variables, file by tasks[].secrets as files in rootPath, docker by docker.secret to pull images.",
			Becomes: all("Secret: type"),
		},
		{
			Key: "data", Type: TextMap, KeyPattern: `^[A-Za-z0-9._-]+$`, Doc: "The values, as they are, not in base64. Of type env: variables; of type file: files by name; of type docker: username, password and url.",
			Becomes: all("Secret: data.*"),
		},
		{
			Key: "rootPath", Type: Text, Doc: "Of type file, and needed there: the directory of its files in the containers. It hides what the image has there.",
			Becomes: all("Deployment: spec.template.spec.containers[].volumeMounts[].mountPath"),
		},
		{Key: "rootpath", Form: spaceCloud, Type: Text, Doc: "The same as rootPath, as an old generator wrote it.", Becomes: all("nothing: rootPath")},
		repeated("id", "The secret's id."), repeated("name", "The secret's id."), repeated("secretID", "The secret's id."),
		repeated("project", "The project."), repeated("projectId", "The project."),
	}}
}

func role() *Mapping {
	rule := func(key, doc string) Field {
		return Field{Key: key, Type: Texts, Required: true, Doc: doc, Becomes: all("Role: rules[]." + key + "[]")}
	}
	return &Mapping{Name: "the role", Fields: []Field{
		{
			Key: "service", Form: plumbline, Type: Text, Required: true, Pattern: servicePattern, Doc: "The id of the service that has the role.",
			Becomes: all("RoleBinding: subjects[].name"),
		},
		repeated("service", "The service."), repeated("serviceId", "The service."), repeated("id", "The role's id."), repeated("name", "The role's id."),
		repeated("project", "The project."), repeated("projectId", "The project."),
		{
			Key: "type", Type: Text, Values: []string{"project", "cluster"}, Default: "project",
			Doc:     "Where it holds: in the project, or in the whole cluster, which the operator must allow.",
			Becomes: all("RoleBinding: roleRef.kind"),
		},
		{
			Key: "rules", Type: Objects, Required: true, Doc: "What it allows.", Becomes: all("Role: rules[]"),
			Of: &Mapping{Name: "a rule", Fields: []Field{
				rule("apiGroups", "The groups of the resources; '' is the core group."),
				rule("resources", "The resources, as pods or deployments/scale."),
				rule("verbs", "What may be done with them, as get or list."),
			}},
		},
	}}
}

func postRender() *Mapping {
	selects := func(key, doc string) Field {
		return Field{Key: key, Type: Text, Doc: doc, Becomes: all("nothing: it says which objects the patch is for")}
	}
	pattern := " A regular expression for the whole of it."
	return &Mapping{Name: "the PostRender", ID: "PostRender.spec", Fields: []Field{{
		Key: "patches", Type: Objects, Required: true, Doc: "The patches, in the order in which they are applied.", Becomes: all("nothing: see patch"),
		Of: &Mapping{Name: "an entry of patches", Fields: []Field{
			{
				Key: "target", Type: Object, Required: true, Doc: "Which rendered objects it is for: those that all of this is true of. One that is for none is an error. Secrets, and what Plumbline adds of its own accord, are never patched.",
				Becomes: all("nothing: it says which objects the patch is for"),
				Of: &Mapping{Name: "the target of a patch", Fields: []Field{
					selects("group", "The group of its API: apps."+pattern), selects("version", "The version of its API: v1."+pattern),
					selects("kind", "Its kind: Deployment."+pattern), selects("namespace", "Its namespace: the project."+pattern),
					selects("name", "Its name: <id>-<version> of what a version is rendered to."+pattern),
					selects("labelSelector", "Its labels, as kubectl takes them: tier=front,team in (a, b)."),
					selects("annotationSelector", "Its annotations, likewise."),
				}},
			},
			{
				Key: "patch", Type: Text, Required: true, Doc: "A strategic merge patch or a list of JSON patch operations, as YAML text, as in a kustomization's patches.",
				Becomes: all("nothing: it changes what it says itself"),
			},
		}},
	}}}
}
