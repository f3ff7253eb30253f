package drift

import (
	"strconv"
	"strings"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/value"
)

// Value follows the path of a Field in a decoded object. The form of paths does
// not say where a key with dots in it ends (".metadata.labels.example.com/a"):
// of the keys that are there, the longest that fits is taken.
func Value(object any, path string) (any, bool) {
	for path != "" {
		var ok bool
		if object, path, ok = step(object, path); !ok {
			return nil, false
		}
	}
	return object, true
}

// step follows the first step of a path, and is what is left of it.
func step(at any, path string) (next any, rest string, ok bool) {
	switch at := at.(type) {
	case map[string]any:
		name, found := strings.CutPrefix(path, ".")
		if !found {
			return nil, "", false
		}
		best := ""
		for key := range at {
			if tail, fits := strings.CutPrefix(name, key); fits && len(key) > len(best) && (tail == "" || tail[0] == '.' || tail[0] == '[') {
				best = key
			}
		}
		next, ok = at[best]
		return next, strings.TrimPrefix(name, best), ok && best != ""
	case []any:
		for i, item := range at {
			if tail, fits := entry(path, i, item); fits {
				return item, tail, true
			}
		}
	}
	return nil, "", false
}

// entry tells whether a path begins with the step to an item of a list: its
// index, its value, or its keys.
func entry(path string, i int, item any) (rest string, ok bool) {
	if tail, ok := strings.CutPrefix(path, "["+strconv.Itoa(i)+"]"); ok {
		return tail, true
	}
	v := value.NewValueInterface(item)
	if tail, ok := strings.CutPrefix(path, fieldpath.PathElement{Value: &v}.String()); ok {
		return tail, true
	}
	m, isMap := item.(map[string]any)
	rest, ok = strings.CutPrefix(path, "[")
	if !isMap || !ok {
		return "", false
	}
	matched := false
	for {
		key, after, found := strings.Cut(rest, "=")
		if !found {
			return "", false
		}
		want := literal(after)
		// A key that the item does not have is one that the API server defaults.
		if have, there := m[key]; there {
			if value.ToString(value.NewValueInterface(have)) != want {
				return "", false
			}
			matched = true
		}
		rest = after[len(want):]
		if tail, end := strings.CutPrefix(rest, "]"); end {
			return tail, matched
		}
		if rest, found = strings.CutPrefix(rest, ","); !found {
			return "", false
		}
	}
}

// literal is the scalar that text begins with.
func literal(text string) string {
	if quoted, err := strconv.QuotedPrefix(text); err == nil {
		return quoted
	}
	if end := strings.IndexAny(text, ",]"); end >= 0 {
		return text[:end]
	}
	return text
}
