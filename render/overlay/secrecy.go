package overlay

import (
	"errors"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/types"
	sigsyaml "sigs.k8s.io/yaml"
)

// Values of secrets are decrypted by the time that kustomize sees them. What
// would copy one to where everything is printed, or tell whether it is what
// somebody guessed, is refused.

const (
	keepHere = "the value of a secret must not be copied to where it is printed: name the secret in the service's tasks"
	noGuess  = "the value of a secret must not be compared: an error would tell whether it was guessed"
	keepKind = "a secret must not become an object of another kind, in which its values are printed: say in the target of which kind the objects are that this is for"
)

func isSecretKind(kind string) bool { return kind == "Secret" || kind == "ServiceSecret" }

// copiesSecret tells whether a replacement may take a secret's value elsewhere.
func copiesSecret(r types.Replacement) bool {
	switch {
	case r.Source == nil:
		return false
	case r.Source.Kind == "" && !holdsValues("/"+strings.ReplaceAll(r.Source.FieldPath, ".", "/")),
		r.Source.Kind != "" && !isSecretKind(r.Source.Kind):
		return false
	}
	if top, _, _ := strings.Cut(r.Source.FieldPath, "."); slices.Contains([]string{"", "metadata", "apiVersion", "kind"}, top) {
		return false
	}
	return slices.ContainsFunc(r.Targets, func(t *types.TargetSelector) bool {
		return t == nil || t.Select == nil || !isSecretKind(t.Select.Kind) || slices.ContainsFunc(t.FieldPaths, func(field string) bool {
			return !slices.ContainsFunc([]string{"data.", "stringData.", "spec.data."}, func(values string) bool { return strings.HasPrefix(field, values) })
		})
	})
}

// replacement refuses what copies a secret.
func (w walker) replacement(r types.ReplacementField, written string) {
	if r.Path == "" {
		if copiesSecret(r.Replacement) {
			w.l.problem(w.ref("replacements", r.Source.FieldPath), keepHere)
		}
		return
	}
	for _, one := range replacementsIn(w.l.raws[path.Join(w.dir, r.Path)]) {
		if copiesSecret(one) {
			w.l.problem(w.ref("replacements", written), keepHere)
		}
	}
}

// replacementsIn are those in a file of their own, read as kustomize reads them:
// a list, or one. Nothing is returned for what it does not understand.
func replacementsIn(text []byte) []types.Replacement {
	var list []types.Replacement
	if sigsyaml.Unmarshal(text, &list) == nil {
		return list
	}
	var one types.Replacement
	if sigsyaml.Unmarshal(text, &one) != nil {
		return nil
	}
	return []types.Replacement{one}
}

// leaks says why a patch must not be applied to what may be a secret.
func leaks(p *types.Patch, docs []*yaml.Node) error {
	if p.Target == nil || !mayBeSecret(p.Target.Kind) {
		return nil
	}
	if p.Options != nil && p.Options.AllowKindChange {
		return errors.New(keepKind)
	}
	for _, doc := range docs {
		for _, op := range items(doc.Content[0]) {
			if value(op, "path") != nil && changesKind(scalar(op, "op"), scalar(op, "path")) {
				return errors.New(keepKind)
			}
			switch scalar(op, "op") {
			case "copy", "move":
				if holdsValues(scalar(op, "from")) {
					return errors.New(keepHere)
				}
			case "test":
				if holdsValues(scalar(op, "path")) {
					return errors.New(noGuess)
				}
			}
		}
	}
	return nil
}

// changesKind tells of an operation of a JSON patch that makes an object one of
// another kind.
func changesKind(op, path string) bool {
	switch strings.TrimSuffix(path, "/") {
	case "", "/kind", "/apiVersion":
		return op != "test"
	}
	return false
}

// mayBeSecret tells whether a target's kind, a regular expression, takes in
// secrets.
func mayBeSecret(kind string) bool {
	if kind == "" {
		return true
	}
	whole, err := regexp.Compile("^(?:" + kind + ")$")
	return err == nil && (whole.MatchString("Secret") || whole.MatchString("ServiceSecret"))
}

// holdsValues tells of a JSON pointer at what may be a secret's values, or at a
// part of the object that holds them.
func holdsValues(pointer string) bool {
	switch strings.TrimSuffix(pointer, "/") {
	case "", "/spec":
		return true
	}
	fields := strings.Split(pointer, "/")
	return slices.Contains(fields, "data") || slices.Contains(fields, "stringData")
}
