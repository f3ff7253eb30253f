package reconciler_test

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestManyWrites applies as many objects as 100 services are, which have
// connections of their own, and then changes one. That the connections are
// closed after it is TestMain's to find. Of the state one request is sent before,
// and of the result one a shard and the record.
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
	for i := range 700 {
		name := fmt.Sprintf("m-%03d", i)
		files[name+".yaml"] = configMap(name, "1")
	}
	for _, c := range []struct {
		change map[string]string
		want   map[string]int
		states []string
	}{
		{files, map[string]int{"PATCH HTTP/1.1": 700}, []string{
			"CREATE configmaps plumbline-inventory-ENV", "CREATE configmaps plumbline-inventory-ENV.shop",
			"CREATE configmaps plumbline-inventory-ENV.shop", "UPDATE configmaps plumbline-inventory-ENV",
		}},
		{map[string]string{"m-000.yaml": configMap("m-000", "2")}, map[string]int{"PATCH HTTP/2.0": 1}, []string{
			"UPDATE configmaps plumbline-inventory-ENV", "UPDATE configmaps plumbline-inventory-ENV.shop", "UPDATE configmaps plumbline-inventory-ENV",
		}},
	} {
		maps.Copy(files, c.change)
		w.commit(files)
		clear(answers)
		mark := w.cluster.Mark(t)
		if _, err := w.once(); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		delete(answers, "other HTTP/2.0")
		if diff := cmp.Diff(c.want, answers); diff != "" {
			t.Errorf("answers by protocol (-want +got):\n%s", diff)
		}
		mu.Unlock()
		var states []string
		for _, r := range w.requests(mark) {
			if strings.Contains(r, "plumbline-inventory-") {
				states = append(states, strings.TrimSuffix(r, ".2")) // one of the two shards
			}
		}
		if diff := cmp.Diff(c.states, states); diff != "" {
			t.Errorf("writes of the state (-want +got):\n%s", diff)
		}
	}
}
