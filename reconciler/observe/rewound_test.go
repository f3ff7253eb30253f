package observe

import (
	"context"
	"errors"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// TestRewoundByWatch opens a watch at version 100 again, of a cluster that is at
// another version now: it is asked for only after an attempt that failed.
func TestRewoundByWatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		failed  bool
		version string
		moved   bool
		want    bool
	}{
		{"the watch ended", false, "50", false, false},
		{"an outage", true, "120", false, false},
		{"a restore", true, "50", false, true},
		{"another cluster", true, "120", true, true},
	} {
		lists, away, rewound := 0, c.failed, false
		r := &reporting{
			ListerWatcherWithContext: &cache.ListWatch{
				ListWithContextFunc: func(context.Context, metav1.ListOptions) (runtime.Object, error) {
					lists++
					return &metav1.PartialObjectMetadataList{ListMeta: metav1.ListMeta{ResourceVersion: c.version}}, nil
				},
				WatchFuncWithContext: func(context.Context, metav1.ListOptions) (watch.Interface, error) {
					if away {
						return nil, errors.New("connection refused")
					}
					return watch.NewFake(), nil
				},
			},
			failed: func(error) {}, opened: func() {}, rewound: func() { rewound = true },
			elsewhere: func(context.Context) bool { return c.moved },
		}
		at := metav1.ListOptions{ResourceVersion: "100"}
		if _, err := r.WatchWithContext(t.Context(), at); (err != nil) != c.failed {
			t.Errorf("%s: %v", c.name, err)
		}
		away = false
		_, err := r.WatchWithContext(t.Context(), at)
		if rewound != c.want || apierrors.IsResourceExpired(err) != c.want {
			t.Errorf("%s: rewound %t, %v", c.name, rewound, err)
		}
		if (lists > 0) != (c.failed && !c.moved) {
			t.Errorf("%s: %d lists", c.name, lists)
		}
	}
}

// TestRewoundByList lists a kind of an older time than before: what was
// answered meanwhile does not count either.
func TestRewoundByList(t *testing.T) {
	t.Parallel()
	w, s := watched()
	if err := s.Replace([]any{object("a", "u", "90")}, "100"); err != nil || w.Rewound() {
		t.Fatal(err, w.Rewound())
	}
	w.Set(seen("b", "v", "110"))
	if err := s.Replace([]any{object("a", "u", "40")}, "50"); err != nil || !w.Rewound() {
		t.Error(err, w.Rewound())
	}
	if all := w.All(); len(all) != 1 || all[0].ResourceVersion != "40" {
		t.Errorf("observed %v", all)
	}
}
