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
