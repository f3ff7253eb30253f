package schema

// plainObjects is what can be said of objects of any kind: what makes one, and
// the data of the two kinds that most people write by hand. What else a kind
// takes its API server knows.
func (d *definitions) plainObjects() []object {
	d.named["object"] = plainObject()
	d.named["Secret"] = object{"additionalProperties": false, "patternProperties": object{"^(apiVersion|kind|status)$": object{}}, "properties": object{
		"metadata":  described(onlyMetadata(), "What the Secret is called, and its labels and annotations."),
		"type":      described(plainText(), "What the values are for: Opaque, kubernetes.io/tls."),
		"immutable": described(object{"type": []string{"boolean", "null"}}, "Whether the values may never change."),
		"data": described(textMap(object{"type": []string{"string", "null"}, "pattern": base64}, dataKey),
			"The values in base64. Text as it is stands under stringData."),
		"stringData": described(textMap(plainText(), dataKey), "The values as they are. Keep the file encrypted with SOPS."),
	}}
	d.named["ConfigMap"] = object{"properties": object{"data": described(textMap(plainText(), ""), "The values: text, so quote numbers and true.")}}

	single := plain(object{"kind": object{"type": "string", "minLength": 1}})
	single["not"] = anyOf(encrypted(), has(listOfItems()))
	many := plain(listOfItems())
	many["not"] = encrypted()
	out := []object{
		rule(object{"required": []string{"kind", "metadata"}}, object{"required": []string{"apiVersion"}}),
		rule(object{"required": []string{"apiVersion", "metadata"}}, object{"required": []string{"kind"}}),
		rule(single, ref("object")),
		// A list holds documents of any sort, each as if it stood alone.
		rule(many, object{"properties": object{"items": object{"items": allOf(object{"type": "object"}, object{"$ref": "#"})}}}),
	}
	// What is nearly a Secret would hold its values in the open.
	out = append(out, rule(
		has(object{"apiVersion": pattern("^(core/|[^/]*$)"), "kind": pattern("^[Ss][Ee][Cc][Rr][Ee][Tt]$")}),
		object{"properties": object{"apiVersion": object{"not": object{"pattern": "^core/"}}, "kind": constant("Secret")}},
	))
	for _, kind := range []string{"ConfigMap", "Secret"} {
		condition := has(object{"apiVersion": constant("v1"), "kind": constant(kind)})
		condition["not"] = encrypted()
		out = append(out, rule(condition, ref(kind)))
	}
	return out
}

// listOfItems tells of a List, and of the list of a kind. A kind may be called
// so without being one: then it has no items.
func listOfItems() object {
	return object{"kind": pattern("List$"), "items": object{"type": "array"}}
}

// plain is true of documents that are neither ours nor a part of an overlay.
func plain(properties object) object {
	properties["apiVersion"] = object{"type": "string", "not": object{"pattern": `^(plumbline|kustomize\.config\.k8s\.io/)`}}
	return has(properties)
}

// plainObject needs a name, and no namespace: an overlay may give it.
func plainObject() object {
	labels := textMap(plainText(), "")
	labels["patternProperties"] = object{`^plumbline\.dev/`: false} // Plumbline adds them itself
	return object{
		"required": []string{"metadata"},
		"properties": object{"metadata": object{
			"type":        "object",
			"description": "What the object is called. A generated name cannot be followed.",
			"required":    []string{"name"},
			"properties": object{
				"name":        described(object{"type": "string", "pattern": "^[^ /%]+$", "maxLength": 253}, "Its name, of at most 253 letters, digits, '-' and '.'."),
				"namespace":   described(object{"type": []string{"string", "null"}}, "A project, for kinds that have a namespace. An overlay may give it."),
				"labels":      described(labels, "Its labels. Those of plumbline.dev/ are added by themselves."),
				"annotations": described(textMap(plainText(), ""), "Its annotations; those of plumbline.dev/ say how Plumbline treats it."),
			},
		}},
	}
}

// onlyMetadata takes the metadata that there is, and nothing else: a value of a
// Secret that is indented too far stands there in the open.
func onlyMetadata() object {
	const known = "^(name|namespace|labels|annotations|finalizers|ownerReferences|generateName|creationTimestamp|generation|" +
		"resourceVersion|uid|managedFields|selfLink|deletionTimestamp|deletionGracePeriodSeconds)$"
	return object{"patternProperties": object{known: object{}}, "additionalProperties": false}
}

// The keys of a Secret, and base64 as the API server takes it.
const (
	dataKey = `^[A-Za-z0-9._-]+$`
	base64  = `^\s*(([A-Za-z0-9+/]\s*){4})*(([A-Za-z0-9+/]\s*){2}(=\s*){2}|([A-Za-z0-9+/]\s*){3}=\s*)?$`
)

func plainText() object { return object{"type": []string{"string", "null"}} }

// textMap is a mapping, or nothing, whose keys match a pattern, if there is one.
func textMap(item object, keys string) object {
	out := object{"type": []string{"object", "null"}, "additionalProperties": item}
	if keys != "" {
		out["patternProperties"], out["additionalProperties"] = object{keys: item}, false
	}
	return out
}

func described(part object, doc string) object {
	part["description"] = doc
	return part
}
