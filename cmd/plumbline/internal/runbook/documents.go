package runbook

func allowed() []Entry {
	return []Entry{
		{
			"PL0001", "An object without a namespace that is not allowed",
			"The repository holds an object of a cluster-scoped kind. Such an object reaches beyond the environment's own projects, so by default none is applied.",
			"Take the object out of the repository, or let the operator list its kind in `allow.clusterKinds` of the environment, as `group/Kind`.",
		},
		{
			"PL0002", "An object in a namespace that is no project",
			"A plain object names a namespace that no definition of this environment makes a project of. It would be changed by a repository that does not own it.",
			"Correct `metadata.namespace`, define the project, or let the operator list the namespace in `allow.namespaces`.",
		},
		{
			"PL0003", "An object in a namespace of the system",
			"The namespace belongs to the cluster itself: one that begins with `kube-`, `istio-system`, `knative-serving`, or Plumbline's own.",
			"Put the object elsewhere. If it is really meant, the operator lists the namespace in `allow.namespaces`.",
		},
		{
			"PL0004", "A ClusterRole or ClusterRoleBinding",
			"It gives rights in the whole cluster: whoever may push could give them to anybody.",
			"Use a Role and a RoleBinding in the project, or let the operator set `allow.clusterRoles: true`.",
		},
		{
			"PL0005", "Adoption that is not allowed",
			"The document carries `plumbline.dev/adopt: \"true\"`: it asks to take over an object that somebody else made. The environment does not allow that.",
			"Remove the annotation and the live object's present owner first, or let the operator set `allow.adopt: true`.",
		},
		{
			"PL0006", "A rule of the operator's that does not hold",
			"One of the rules in the operator's policies is about this definition, or an object that it stands for, and is not true of it. The message names the rule. As an error it stops the environment's apply, as a warning it does not.",
			"Do what the message asks for. If the rule is wrong about this case, talk to whoever owns the policies: a repository cannot lift one.",
		},
		{
			"PL0007", "A rule of the operator's that ended with an error",
			"Nobody knows whether the rule holds, so it counts as one that does not: it fails closed. Most often it looks at a field that this object does not have.",
			"The rule's owner lets it ask first, as `has(object.spec.replicas)` or `object.spec.?replicas.orValue(1)`, or names in `kinds` what it is about.",
		},
	}
}

func files() []Entry {
	return []Entry{
		{
			"PL1001", "A file that is not UTF-8 text",
			"YAML and JSON are read as UTF-8. Read otherwise, a letter would become another one.",
			"Save the file as UTF-8, without a byte order mark. If it is no text at all, move it out of the environment's directory.",
		},
		{
			"PL1002", "Text that is not YAML or JSON",
			"The parser stops at this line; nothing after it in this file is looked at.",
			"The message says what it stumbled over. Most often it is indentation, a missing quote, or a value that begins with `*`, `&`, `@` or `%` and wants quotes.",
		},
		{
			"PL1003", "A file or document that is too large",
			"Over the limit, or growing over it because aliases are used again and again. The limits keep one file from using up the memory of the daemon for all.",
			"Split the file into several documents, or write out less by aliases. Large data belongs into an image or a volume.",
		},
		{
			"PL1004", "Values that are nested too deep",
			"More than a hundred levels, or an alias inside its own anchor, which never ends.",
			"Take the alias out of its anchor, or flatten the value.",
		},
		{
			"PL1005", "A key that is there twice",
			"Readers of YAML disagree on which of the two counts, so the file may mean one thing here and another in review.",
			"Remove one. The message names the line of the other.",
		},
		{
			"PL1006", "A number that JSON does not hold",
			"`.nan`, `.inf`, or a whole number over 64 bits: the API server takes none of them.",
			"Quote it if it is text, or write another number.",
		},
		{
			"PL1007", "A value that YAML readers disagree about",
			"An unquoted `yes`, `no`, `on` or `off` is true or false to some readers and text to others.",
			"Write `true` or `false`, or put it into quotes.",
		},
		{
			"PL1008", "A YAML tag that means nothing here",
			"A tag like `!!binary` or `!mine` asks the reader to change the value. Definitions have no such readers.",
			"Write the value itself, without the tag.",
		},
		{
			"PL1009", "An encrypted document for which there is no key",
			"It is encrypted with SOPS for the recipients in the message, and Plumbline has the private key of none of them. Nothing of the commit is applied. Keys of KMS and Vault are asked through a key service, where one is configured: see [secrets](secrets.md).",
			"Give Plumbline the key (`environments[].decryption`), or add the recipient of a key that it has to `.sops.yaml` and run `sops updatekeys FILE`. `plumbline check` lists the keys that it has. Where nothing is applied, as with `plumbline validate`, it is only a note.",
		},
		{
			"PL1010", "An overlay that does not build",
			"The directory holds a `kustomization.yaml` that is invalid, names a file that is not there, or asks for what is fenced off: remote resources, plugins, programs, files outside of the repository.",
			"The message is kustomize's own, with the file. `plumbline render DIR` builds the same overlay on your machine.",
		},
		{
			"PL1011", "An encrypted document that was changed or damaged",
			"What SOPS encrypts it also seals: a value that was changed, moved, added or removed by hand, a merge that went wrong or a cut file no longer fits its seal.",
			"Take the file from Git's history and edit it with `sops FILE`, or encrypt it again from the plain text.",
		},
		{
			"PL1012", "More problems than are listed",
			"So much is wrong with one document, or with an environment as a whole, that the rest is only counted: most often all of it has one cause.",
			"Put right what is listed, and run `plumbline validate` again.",
		},
	}
}

func shapes() []Entry {
	return []Entry{
		{
			"PL2001", "An unknown kind of document",
			"It looks like a definition and its `api`, `type`, `kind` or `apiVersion` is none that exists.",
			"The message lists what is expected. Definitions have `apiVersion: plumbline.dev/v1`.",
		},
		{
			"PL2002", "A required field is missing",
			"Without it nobody knows what to render.",
			"Add the field that the message names.",
		},
		{
			"PL2003", "A value of the wrong type",
			"A mapping where text belongs, text where a list belongs.",
			"The message says which is expected. Numbers that are meant as text want quotes.",
		},
		{
			"PL2004", "A field that does not exist",
			"It would be ignored without a word, and with it what its author wanted. In documents that Space Cloud exported it is a warning, since later versions of it wrote more fields.",
			"Correct the spelling (the message suggests one), or remove the field.",
		},
		{
			"PL2005", "A value that is not one of those allowed",
			"The field takes one of a few words.",
			"Choose one of those in the message.",
		},
		{
			"PL2006", "A number outside of its range",
			"The field takes numbers of a certain range only.",
			"Choose a number in the range that the message names.",
		},
		{
			"PL2007", "A part of the language that this version does not have",
			"The document is right, and this version cannot render what it asks for. It is refused, because half of it would be another service.",
			"Do without, write the objects themselves as plain Kubernetes documents, or wait for a version that has it.",
		},
		{
			"PL2008", "A name that contradicts the document",
			"`metadata.name`, or a placeholder of Space Cloud's path, says something else than the spec below it.",
			"Make both the same: the name of a ServiceVersion is `<id>-<version>`.",
		},
		{
			"PL2009", "A service that asks for storage",
			"Services are stateless: each replica may go at any time, with what it wrote.",
			"Keep data in a database, or run the workload as a plain StatefulSet beside the definitions.",
		},
		{
			"PL2010", "A control annotation that is unknown or has a bad value",
			"Annotations of `plumbline.dev/` are instructions. One that is misspelt would be none, as when an object was to be kept and is pruned.",
			"Correct name or value; the message says what is expected.",
		},
	}
}

func names() []Entry {
	return []Entry{
		{
			"PL3001", "A name that Kubernetes refuses",
			"Names of projects, services and versions become names of objects; labels have rules of their own.",
			"Use lower-case letters, digits and dashes. The message has the exact rule.",
		},
		{
			"PL3002", "A name that is too long",
			"Service id and version are joined into the names of objects, to which Knative adds its own endings; over the limit the API server refuses them.",
			"Shorten the service's id or its version.",
		},
		{
			"PL3003", "A project named like a namespace of the system",
			"The project would be a namespace that belongs to the cluster itself.",
			"Choose another name for the project.",
		},
		{
			"PL3004", "Two documents that define the same thing",
			"Only one of them can be applied, and which one would depend on the order of files.",
			"Remove one; the message names both places. Copied files are the usual reason.",
		},
		{
			"PL3005", "Two names that become one",
			"Version `b-c` of `a` and version `c` of `a-b` are both the object `a-b-c`.",
			"Rename one of the two.",
		},
		{
			"PL3006", "A name that is the beginning of another",
			"A service that scales to zero is guarded by the beginning of its revisions' names; the guard of the shorter name would be one for the longer as well.",
			"Rename one of them, so that neither begins with the other and a dash.",
		},
		{
			"PL3007", "Two documents that give the same object",
			"A plain object has kind, namespace and name of another one, or of one that a definition is rendered to.",
			"Remove one, or rename it.",
		},
		{
			"PL3008", "A project that no document defines (warning)",
			"Services name it, so its Namespace is made all the same. It may be a misspelt project.",
			"Write a document of kind Project, or correct the name.",
		},
	}
}
