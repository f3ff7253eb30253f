package render_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render"
)

func TestErrors(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{"env/a.yaml": {Data: []byte("a: b")}}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		name string
		ctx  context.Context //nolint:containedctx // a table
		fsys fs.FS
		dir  string
		kind plumbline.Kind
		is   error
	}{
		{"no directory", t.Context(), files, "nowhere", plumbline.KindInvalid, nil},
		{"a file", t.Context(), files, "env/a.yaml", plumbline.KindInvalid, nil},
		{"unreadable", t.Context(), unreadable{files}, "env", plumbline.KindTransient, errUnreadable},
		{"ended", ended, files, "env", plumbline.KindTransient, context.Canceled},
	} {
		r := newRenderer(t)
		_, err := r.Render(tt.ctx, tt.fsys, tt.dir)
		if err == nil || plumbline.KindOf(err) != tt.kind || tt.is != nil && !errors.Is(err, tt.is) {
			t.Errorf("%s: %v (%v)", tt.name, err, plumbline.KindOf(err))
		}
		if res := mustRender(t, r, files); len(plumbline.Errors(res.Violations)) > 0 || len(res.Skipped) != 1 {
			t.Errorf("%s: afterwards %+v", tt.name, res)
		}
	}
}

var errUnreadable = errors.New("unreadable")

// unreadable lists files that cannot be read.
type unreadable struct{ fstest.MapFS }

func (u unreadable) ReadFile(string) ([]byte, error) { return nil, errUnreadable }

// TestSecretsStaySecret: a value is in the Secret's body, and in nothing that
// prints, whatever is wrong around it.
func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	const canary = "zq7canary"
	documents := []string{
		"apiVersion: plumbline.dev/v1\nkind: ServiceSecret\nmetadata: {name: a, namespace: shop}\nspec: {type: env, data: {A: %s}}\n",
		"apiVersion: plumbline.dev/v1\nkind: ServiceSecret\nmetadata: {name: a, namespace: shop}\nspec: {type: env, data: {A: [%s]}}\n",
		"apiVersion: plumbline.dev/v1\nkind: ServiceSecret\nmetadata: {name: a, namespace: shop}\nspec: {type: env, data: %s}\n",
		"apiVersion: plumbline.dev/v1\nkind: ServiceSecret\nmetadata: {name: a, namespace: shop}\nspec: {type: %s}\n",
		"apiVersion: plumbline.dev/v1\nkind: ServiceSecret\nmetadata: {name: a, namespace: shop}\nspec: {type: file, rootPath: %s}\n",
		"apiVersion: plumbline.dev/v1\nkind: ServiceSecret\nmetadata: {name: a, namespace: shop}\nspec: {type: env, data: {A: *%s}}\n",
		"apiVersion: plumbline.dev/v1\nkind: ServiceSecret\nmetadata: {name: a, namespace: shop}\nspec: {type: env, data: {A: !%s x}}\n",
		"apiVersion: plumbline.dev/v1\nkind: ServiceSecret\nmetadata: {name: a, namespace: shop}\nspec: {type: env, data: {A: \"%s}}\n",
		"apiVersion: plumbline.dev/v1\nkind: ServiceSecret\nmetadata: {name: a, namespace: shop}\nspec: {type: env, data: {A: x: %s}}\n",
		"api: /v1/runner/shop/secrets/a\nmeta: {}\nspec: {type: docker, data: {username: u, password: %s, url: x}}\n",
		"apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: shop}\nstringData: {A: %s}\n",
		"apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: shop}\nstringData: {A: [%s]}\n",
		"apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: shop}\ndata: {A: '%s!'}\n",
	}
	for i, d := range documents {
		files := fstest.MapFS{"env/a.yaml": {Data: fmt.Appendf(nil, d, canary)}}
		res := mustRender(t, newRenderer(t), files)
		printed := fmt.Sprintf("%v %+v %#v", res, res, res)
		encoded, err := json.Marshal(res)
		if err != nil {
			t.Fatal(err)
		}
		for _, form := range []string{canary, base64.StdEncoding.EncodeToString([]byte(canary))} {
			if strings.Contains(printed+string(encoded), form) {
				t.Errorf("document %d shows the value: %v", i, res.Violations)
			}
		}
		if len(res.Violations) == 0 && res.Objects.Len() == 0 {
			t.Errorf("document %d: nothing came of it", i)
		}
	}
}

// TestHashKey: a secret's change is seen in the checksum and in the pods'
// annotation, and without a key neither tells anything.
func TestHashKey(t *testing.T) {
	t.Parallel()
	files := fleet(1)
	sums := func(key []byte, token string) (string, string) {
		files["env/project-0/secret-00000.yaml"] = &fstest.MapFile{Data: []byte(strings.Replace(fleetSecret("project-0", 0), "example-only-0", token, 1))}
		r, err := render.New(render.Options{HashKey: key})
		if err != nil {
			t.Fatal(err)
		}
		var secret, pod string
		for _, o := range mustRender(t, r, files).Objects.All() {
			switch o.Ref.String() {
			case "Secret project-0/secret-0":
				secret = o.Checksum
			case "serving.knative.dev/Service project-0/service-0-v1":
				_, after, _ := strings.Cut(string(o.Body.Reveal()), `"plumbline.dev/secrets":"`)
				pod, _, _ = strings.Cut(after, `"`)
			}
		}
		return secret, pod
	}
	s1, p1 := sums([]byte("k"), "one")
	s2, p2 := sums([]byte("k"), "two")
	s3, p3 := sums([]byte("other"), "one")
	s4, p4 := sums([]byte("k"), "one")
	if s1 == s2 || p1 == p2 || s1 == s3 || p1 == p3 || s1 != s4 || p1 != p4 || s1 == "" || p1 == "" {
		t.Errorf("%q %q %q %q, %q %q %q %q", s1, s2, s3, s4, p1, p2, p3, p4)
	}
	if s, p := sums(nil, "one"); s != "unkeyed" || p != "unkeyed" {
		t.Errorf("without a key: %q %q", s, p)
	}
}

// TestInWaves: objects are in the order of waves, then of Ref.
func TestInWaves(t *testing.T) {
	t.Parallel()
	for where, res := range everything(t) {
		list := plumbline.InWaves(res.Objects)
		if len(list) != res.Objects.Len() || !slices.IsSortedFunc(list, func(a, b *plumbline.Object) int {
			if a.Wave != b.Wave {
				return int(a.Wave - b.Wave)
			}
			return a.Ref.Compare(b.Ref)
		}) {
			t.Errorf("%s: objects are not sorted", where)
		}
	}
}
