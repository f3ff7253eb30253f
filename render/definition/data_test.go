package definition

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Definitions as data are alike, whatever they were written in, and hold no
// value of a secret.
func TestDataOf(t *testing.T) {
	t.Parallel()
	const cart = `plumbline.dev/ServiceVersion shop/cart-1-10 at 1 {"apiVersion":"plumbline.dev/v1","kind":"ServiceVersion","metadata":{"name":"cart-1-10","namespace":"shop"},` +
		`"spec":{"id":"cart","tasks":[{"docker":{"image":"app:1"},"env":{"SC_RUNTIME":""},"id":"a"}],"version":"1.10"}}`
	for name, tt := range map[string]struct {
		text string
		want []string
	}{
		"space cloud": {
			"{api: /v1/runner/shop/x, type: service, meta: {project: shop, id: cart, version: 1.10}, spec: {tasks: [{id: a, docker: {image: 'app:1'}}], ghost: 1}}",
			[]string{cart},
		},
		"plumbline": {
			"{apiVersion: plumbline.dev/v1, kind: ServiceVersion, metadata: {name: cart-1-10, namespace: shop}, spec: {id: cart, version: 1.10, tasks: [{id: a, docker: {image: 'app:1'}, env: {SC_RUNTIME: ''}}]}}",
			[]string{cart},
		},
		"a secret": {
			"{apiVersion: plumbline.dev/v1, kind: ServiceSecret, metadata: {name: s, namespace: shop, annotations: {plumbline.dev/prune: disabled}}, spec: {type: env, data: {KEY: hunter2}}}",
			[]string{`plumbline.dev/ServiceSecret shop/s at 1 {"apiVersion":"plumbline.dev/v1","kind":"ServiceSecret","metadata":{"name":"s","namespace":"shop"},"spec":{"data":{"KEY":"[redacted]"},"type":"env"}}`},
		},
		"a secret of space cloud": {
			"{api: /v1/runner/shop/x, type: secret, meta: {project: shop, id: s}, spec: {type: docker, data: {username: hunter2, password: hunter2, url: hunter2}}}",
			[]string{`plumbline.dev/ServiceSecret shop/s at 1 {"apiVersion":"plumbline.dev/v1","kind":"ServiceSecret","metadata":{"name":"s","namespace":"shop"},"spec":{"data":{"password":"[redacted]","url":"[redacted]","username":"[redacted]"},"type":"docker"}}`},
		},
		"a list": {
			"kind: List\napiVersion: v1\nitems:\n- {apiVersion: plumbline.dev/v1, kind: Project, metadata: {name: shop}}\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: shop}}\n- {apiVersion: plumbline.dev/v1, kind: Project, metadata: {name: bank}}\n",
			[]string{
				`plumbline.dev/Project shop at 4 {"apiVersion":"plumbline.dev/v1","kind":"Project","metadata":{"name":"shop"}}`,
				`plumbline.dev/Project bank at 6 {"apiVersion":"plumbline.dev/v1","kind":"Project","metadata":{"name":"bank"}}`,
			},
		},
		"an encrypted secret": {
			"apiVersion: plumbline.dev/v1\nkind: ServiceSecret\nmetadata: {name: s, namespace: shop}\nspec: {type: env, data: {KEY: 'ENC[AES256_GCM,data:aHVudGVyMg==,iv:x,tag:x,type:str]'}}\nsops: {mac: hunter2, version: 3.13.3}\n",
			[]string{`plumbline.dev/ServiceSecret shop/s at 1 {"apiVersion":"plumbline.dev/v1","kind":"ServiceSecret","metadata":{"name":"s","namespace":"shop"},"spec":{"data":{"KEY":"[redacted]"},"type":"env"}}`},
		},
		"behind an overlay": {
			"{apiVersion: plumbline.dev/v1, kind: Project, metadata: {name: shop, annotations: {config.kubernetes.io/origin: 'path: x', internal.plumbline.dev/encrypted: a, plumbline.dev/prune: disabled}}}",
			[]string{`plumbline.dev/Project shop at 1 {"apiVersion":"plumbline.dev/v1","kind":"Project","metadata":{"annotations":{"plumbline.dev/prune":"disabled"},"name":"shop"}}`},
		},
		"a plain secret":  {"{apiVersion: v1, kind: Secret, metadata: {name: s, namespace: shop}, stringData: {KEY: hunter2}}", nil},
		"one with errors": {"{apiVersion: plumbline.dev/v1, kind: ServiceVersion, metadata: {name: cart-1, namespace: shop}, spec: {id: cart, version: 1, tasks: []}}", nil},
		"no YAML":         {"{{", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, d := range DataOf([]byte(tt.text)) {
				got = append(got, strings.TrimSpace(fmt.Sprintf("%s at %d %s", d.Ref, d.At.Line, d.JSON)))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if strings.Contains(strings.Join(got, ""), "hunter2") {
				t.Error("a secret is shown")
			}
		})
	}
}
