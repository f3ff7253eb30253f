package schema

import (
	"strconv"
	"strings"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/config"
)

// Config is the schema of the operator's configuration.
func Config() any {
	root := closed()
	fields(root)["apiVersion"] = constant(plumbline.APIVersion)
	fields(root)["kind"] = constant("Config")
	for _, k := range config.Reference() {
		place(root, strings.Split(k.Path, "."), key(k))
	}
	root["required"] = []string{"apiVersion", "environments", "kind", "source"}
	return whole("Configuration of Plumbline", root)
}

// closed is a mapping that takes no other keys than it gets.
func closed() object {
	return object{"type": []string{"object", "null"}, "properties": object{}, "additionalProperties": false}
}

func fields(mapping object) object {
	properties, _ := mapping["properties"].(object)
	return properties
}

// place puts a part at a path of keys below a mapping; a key that ends with []
// is a list of mappings.
func place(mapping object, path []string, part object) {
	name, isList := strings.CutSuffix(path[0], "[]")
	if len(path) == 1 {
		fields(mapping)[name] = part
		return
	}
	inner, there := fields(mapping)[name].(object)
	if !there {
		inner = closed()
		if isList {
			inner = object{"type": []string{"array", "null"}, "items": closed()}
			items, _ := inner["items"].(object)
			items["type"] = "object"
		}
		fields(mapping)[name] = inner
	}
	if isList {
		inner, _ = inner["items"].(object)
	}
	place(inner, path[1:], part)
}

// key is the schema of what stands behind a key.
func key(k config.Key) object {
	out := object{}
	switch {
	case len(k.Values) > 0:
		values := []any{nil}
		for _, v := range k.Values {
			switch {
			case v == "" && !k.Built:
				values = append(values, "", []any{}, object{})
			case k.Type == config.KeyTruth:
				values = append(values, v == "true")
			default:
				values = append(values, v)
			}
		}
		out["enum"] = values
	default:
		out["type"] = typesOf(k.Type)
	}
	out["description"] = strings.ReplaceAll(k.Doc, "`", "")
	if !k.Built {
		out["description"] = "Not in this version."
		out["doNotSuggest"] = true
	}
	if k.Default != "" {
		out["default"] = defaultOf(k)
	}
	return out
}

func typesOf(t config.KeyType) []string {
	switch t {
	case config.KeyNumber:
		return []string{"integer", "null"}
	case config.KeyTruth:
		return []string{"boolean", "null"}
	case config.KeyTexts:
		return []string{"array", "null"}
	case config.KeyMapping:
		return []string{"object", "null"}
	case config.KeyText, config.KeyDuration:
	}
	return []string{"string", "number", "boolean", "null"}
}

func defaultOf(k config.Key) any {
	switch k.Type {
	case config.KeyNumber:
		if n, err := strconv.Atoi(k.Default); err == nil {
			return n
		}
	case config.KeyTruth:
		return k.Default == "true"
	case config.KeyTexts:
		return strings.Split(k.Default, ", ")
	case config.KeyText, config.KeyDuration, config.KeyMapping:
	}
	return k.Default
}
