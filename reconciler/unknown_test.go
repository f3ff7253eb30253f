package reconciler_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline-dev/plumbline"
)

// TestUnknownFieldIsRefused applies fields that no schema has: the API server
// refuses them by the schema that it merges by, though it is not asked
// to validate fields. A one-shot run tries a few times: the schema may be new.
func TestUnknownFieldIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	installWidgets(t, w.cluster)
	files := map[string]string{"settings.yaml": settingsIs("blue")}
	wrong := map[string]string{
		"dta":     "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: built-in, namespace: NS}\ndta: {a: b}\n",
		"anotate": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: marked, namespace: NS, anotate: {a: b}}\n",
		"colour":  "apiVersion: reconciler.test/v1\nkind: Widget\nmetadata: {name: custom, namespace: NS}\nspec: {size: S, colour: red}\n",
		"lables":  "apiVersion: reconciler.test/v1\nkind: Widget\nmetadata: {name: marked, namespace: NS, lables: {a: b}}\nspec: {size: S}\n",
		"specs":   "apiVersion: reconciler.test/v1\nkind: Widget\nmetadata: {name: top, namespace: NS}\nspecs: {size: S}\n",
	}
	for field, file := range wrong {
		files[field+".yaml"] = file
	}
	w.commit(files)
	_, err := w.once()
	for field := range wrong {
		if plumbline.KindOf(err) != plumbline.KindInvalid || !strings.Contains(err.Error(), field+": field not declared in schema") {
			t.Errorf("%s: %v", field, err)
		}
	}
	if diff := cmp.Diff([]string{"ConfigMap settings"}, w.live(configMaps)); diff != "" {
		t.Errorf("live ConfigMaps (-want +got):\n%s", diff)
	}
}
