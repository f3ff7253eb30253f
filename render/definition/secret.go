package definition

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/plumbline-dev/plumbline"
)

// maxSecret is the largest Secret that Kubernetes takes, in bytes of data.
const maxSecret = 1 << 20

// secret reads a secret. From here on no value gets into a message.
func (r *reader) secret(e envelope) *Secret {
	out := &Secret{Project: e.project, ID: e.id, Control: e.control, At: e.at}
	r.private = true
	defer func() { r.private = false }()

	known := []string{"type", "rootPath", "data"}
	if r.form == FormSpaceCloud {
		known = append(known, "id", "name", "secretID", "rootpath", "project", "projectId")
	}
	var typ, root Text
	r.mapping(e.spec, "the secret", known, func(k, n *yaml.Node) bool {
		switch k.Value {
		case "type":
			typ = r.text(n, "type")
		case "rootPath", "rootpath":
			root = r.text(n, "rootPath")
			return contains(known, k.Value)
		case "data":
			r.secretData(n, out)
		default:
			return contains(known, k.Value)
		}
		return true
	})
	out.Type = SecretType(typ.Value)
	if r.form == FormSpaceCloud {
		r.export.missing(out)
	}
	r.secretShape(out, typ, root)
	ok := r.projectName(out.Project)
	if !isSubdomain(out.ID.Value) {
		if out.ID.Value != "" {
			r.private = false
			r.badName(out.ID, "the secret's id", "lower case letters, digits, '-' and '.', at most 63 between dots and 253 in all")
		}
		ok = false
	}
	if !ok {
		return nil
	}
	return out
}

func (r *reader) secretData(n *yaml.Node, out *Secret) {
	n = resolve(n)
	if n.Kind != yaml.MappingNode {
		r.wrongType(n, "data", "a mapping of keys to values")
		return
	}
	size := 0
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if !isDataKey(k.Value) {
			r.badKey(posOf(k))
			continue
		}
		v := r.text(n.Content[i+1], "data."+k.Value)
		size += len(v.Value)
		if v.Value == Placeholder && r.export == nil {
			r.errorf(CodePlaceholder, posOf(k), "the value of %s is missing: the export that was imported did not hold it; write it, and encrypt the file with sops", k.Value)
		} else { // what is not there yet is no value for everyone to read
			r.sealed(&out.Sealing, k, n.Content[i+1])
		}
		out.Data = append(out.Data, SecretEntry{Key: k.Value, Value: plumbline.NewSecretValue(v.Value), At: posOf(k)})
	}
	if size > maxSecret {
		r.errorf(CodeSecretSize, posOf(n), "data has %d bytes; a Secret holds at most %d", size, maxSecret)
	}
	slices.SortFunc(out.Data, func(a, b SecretEntry) int { return cmp.Compare(a.Key, b.Key) })
}

// badKey does not show the key: a value that slipped into its place looks the
// same.
func (r *reader) badKey(at Pos) {
	r.errorf(CodeSecretKey, at, "this is no key of a Secret: expected letters, digits, '-', '_' and '.', then a colon and a blank")
}

// secretShape checks that path and keys fit the type.
func (r *reader) secretShape(out *Secret, typ, root Text) {
	switch out.Type {
	case SecretEnv:
		for _, d := range out.Data {
			if !isEnvVarName(d.Key) {
				r.errorf(CodeSecretKey, d.At, "%q is no name of an environment variable, as a secret of type env needs", d.Key)
			}
		}
	case SecretFile:
		out.Path = path.Clean(root.Value)
		switch {
		case root.Value == "":
			r.errorf(CodeMissing, out.At, "a secret of type file needs rootPath: the directory of its files")
		case !path.IsAbs(root.Value) || isSystemPath(out.Path):
			r.errorf(CodeMountPath, root.At, "rootPath must be an absolute path other than /, /dev, /proc, /sys and the token's directory")
		case strings.Contains(out.Path, ":"):
			r.errorf(CodeMountPath, root.At, "rootPath must not hold a colon")
		}
	case SecretDocker:
		r.dockerKeys(out)
	case "":
		r.errorf(CodeMissing, out.At, "a secret needs type: env, file or docker")
	default:
		r.errorf(CodeEnum, typ.At, "unknown type of secret: expected env, file, docker")
	}
}

func (r *reader) dockerKeys(out *Secret) {
	want := []string{"password", "url", "username"}
	for _, k := range want {
		if !slices.ContainsFunc(out.Data, func(d SecretEntry) bool { return d.Key == k }) {
			r.errorf(CodeSecretShape, out.At, "a secret of type docker needs data.%s", k)
		}
	}
	for _, d := range out.Data {
		if !contains(want, d.Key) {
			r.errorf(CodeSecretShape, d.At, "a secret of type docker has the keys username, password and url, not %q", d.Key)
		}
	}
}

func isSystemPath(p string) bool {
	switch p {
	case "/", "/dev", "/dev/log", "/proc", "/sys", "/var/run/secrets/kubernetes.io/serviceaccount":
		return true
	}
	return false
}
