package policies

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plumbline-dev/plumbline"
)

// TestAllowNext: whatever happens to objects and projects, checking what
// differs finds what checking everything finds.
func TestAllowNext(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		kept := Allow(plumbline.Objects{}, nil, AllowOptions{})
		var objects plumbline.Objects
		for range rapid.IntRange(1, 6).Draw(t, "commits") {
			before := objects
			for range rapid.IntRange(0, 6).Draw(t, "edits") {
				o := &plumbline.Object{
					Ref: plumbline.Ref{
						Kind:      rapid.SampledFrom([]string{"ConfigMap", "Namespace"}).Draw(t, "kind"),
						Namespace: rapid.SampledFrom([]string{"", "shop", "bank", "kube-system"}).Draw(t, "namespace"),
						Name:      fmt.Sprint(rapid.IntRange(0, 3).Draw(t, "name")),
					},
					Origin:  plumbline.Origin{Path: "x.yaml", Line: rapid.IntRange(1, 9).Draw(t, "line")},
					Control: plumbline.Control{Adopt: rapid.Bool().Draw(t, "adopt")},
				}
				if rapid.Bool().Draw(t, "add") {
					objects = objects.With(o.Ref, o)
				} else {
					objects = objects.Without(o.Ref)
				}
			}
			projects := rapid.SampledFrom([][]string{{"shop"}, {"bank", "shop"}}).Draw(t, "projects")
			same := len(kept.projects) == len(projects)
			kept = kept.Next(objects, projects)
			fresh := Allow(objects, projects, AllowOptions{})
			if diff := cmp.Diff(fresh.Violations(), kept.Violations()); diff != "" {
				t.Fatalf("(-fresh +kept)\n%s", diff)
			}
			differ := 0
			for range before.Diff(objects) {
				differ++
			}
			if same && kept.looked != differ {
				t.Fatalf("looked at %d objects, and %d differ", kept.looked, differ)
			}
		}
	})
}
