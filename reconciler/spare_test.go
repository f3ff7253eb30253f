package reconciler

import (
	"log/slog"
	"testing"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/state"
)

func TestMeshOfOthersNamespacesIsSpared(t *testing.T) {
	t.Parallel()
	namespace := plumbline.Ref{Kind: "Namespace", Name: "shop"}
	mtls := plumbline.Ref{Group: "security.istio.io", Kind: "PeerAuthentication", Namespace: "shop", Name: "default"}
	for _, c := range []struct {
		name   string
		entry  *state.Entry
		reason string // of the Namespace's change
		adopt  bool
		system bool
		want   plumbline.Op
	}{
		{"our own Namespace", nil, reasonNew, false, true, plumbline.OpCreate},
		{"theirs, first run", nil, ReasonShared, false, true, plumbline.OpKeep},
		{"theirs, later", &state.Entry{Ref: namespace, UID: "u", Shared: true}, "", false, true, plumbline.OpKeep},
		{"theirs, adoption allowed", nil, ReasonShared, true, true, plumbline.OpCreate},
		{"theirs, written down in Git", nil, ReasonShared, false, false, plumbline.OpCreate},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := New(Options{Adopt: c.adopt, Logger: slog.New(slog.DiscardHandler)})
			if c.entry != nil {
				r.inv.Put(*c.entry)
			}
			all := plumbline.ObjectsOf(&plumbline.Object{Ref: namespace, System: true}, &plumbline.Object{Ref: mtls, System: c.system})
			p := plumbline.Plan{Changes: []plumbline.Change{{Ref: mtls, Op: plumbline.OpCreate}}}
			if c.reason != "" {
				p.Changes = append(p.Changes, plumbline.Change{Ref: namespace, Op: plumbline.OpConfigure, Reason: c.reason})
			}
			r.spare(&p, all)
			if got := p.Changes[0].Op; got != c.want {
				t.Errorf("PeerAuthentication: %s (%s), want %s", got, p.Changes[0].Reason, c.want)
			}
		})
	}
}
