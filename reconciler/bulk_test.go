package reconciler_test

import (
	"fmt"
	"maps"
	"net/http"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestManyWrites applies many objects at once, which have connections of their
// own, and then one. That the connections are closed after it is TestMain's to
// find.
func TestManyWrites(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var mu sync.Mutex
	answers := map[string]int{}
	w.between = func(r *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
		resp, err := send()
		if err == nil {
			mu.Lock()
			defer mu.Unlock()
			what := "other"
			if r.Method == http.MethodPatch {
				what = "PATCH"
			}
			answers[what+" "+resp.Proto]++
		}
		return resp, err
	}
	files := map[string]string{}
	for i := range 150 {
		name := fmt.Sprintf("m-%03d", i)
		files[name+".yaml"] = configMap(name, "1")
	}
	for _, c := range []struct {
		change map[string]string
		want   map[string]int
	}{
		{files, map[string]int{"PATCH HTTP/1.1": 150}},
		{map[string]string{"m-000.yaml": configMap("m-000", "2")}, map[string]int{"PATCH HTTP/2.0": 1}},
	} {
		maps.Copy(files, c.change)
		w.commit(files)
		clear(answers)
		if _, err := w.once(); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		delete(answers, "other HTTP/2.0")
		if diff := cmp.Diff(c.want, answers); diff != "" {
			t.Errorf("answers by protocol (-want +got):\n%s", diff)
		}
		mu.Unlock()
	}
}
