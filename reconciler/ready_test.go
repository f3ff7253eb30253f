package reconciler

import (
	"slices"
	"testing"

	"github.com/plumbline-dev/plumbline"
)

// Whether an object is ready is read from its status, of its newest generation.
func TestReadiness(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, live, why string }{
		{"not seen", `{"kind": "Service", "metadata": {"generation": 2}, "status": {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True"}]}}`, "its controller has not seen it yet"},
		{"new", `{"kind": "Deployment", "metadata": {"generation": 1}}`, "its controller has not seen it yet"},
		{"ready", `{"kind": "Service", "metadata": {"generation": 2}, "status": {"observedGeneration": 2, "latestCreatedRevisionName": "a", "latestReadyRevisionName": "a", "conditions": [{"type": "Ready", "status": "True"}]}}`, ""},
		{"ready with the revision before", `{"kind": "Service", "metadata": {"generation": 2}, "status": {"observedGeneration": 2, "latestCreatedRevisionName": "b", "latestReadyRevisionName": "a", "conditions": [{"type": "Ready", "status": "True"}]}}`, "it is not Ready"},
		{"not ready", `{"kind": "Route", "metadata": {"generation": 1}, "status": {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "False", "reason": "RevisionMissing", "message": "no revision"}]}}`, "it is not Ready: RevisionMissing: no revision"},
		{"not known", `{"kind": "Route", "metadata": {"generation": 1}, "status": {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "Unknown", "reason": "Deploying"}]}}`, "it is not Ready: Deploying"},
		{"a Route", `{"kind": "Route", "metadata": {"generation": 1}, "status": {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True"}]}}`, ""},
		{"available", `{"kind": "Deployment", "metadata": {"generation": 1}, "spec": {"replicas": 2}, "status": {"observedGeneration": 1, "updatedReplicas": 2, "availableReplicas": 2}}`, ""},
		{"one by default", `{"kind": "Deployment", "metadata": {"generation": 1}, "status": {"observedGeneration": 1, "updatedReplicas": 1, "availableReplicas": 0}}`, "0 of 1 pods are available"},
		{"old pods are available", `{"kind": "Deployment", "metadata": {"generation": 1}, "spec": {"replicas": 2}, "status": {"observedGeneration": 1, "updatedReplicas": 1, "availableReplicas": 2}}`, "1 of 2 pods are available"},
		{"no progress", `{"kind": "Deployment", "metadata": {"generation": 1}, "status": {"observedGeneration": 1, "conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out"}]}}`, "0 of 1 pods are available: ProgressDeadlineExceeded: timed out"},
		{"none wanted", `{"kind": "Deployment", "metadata": {"generation": 1}, "spec": {"replicas": 0}, "status": {"observedGeneration": 1}}`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ready, why, err := readiness([]byte(tt.live))
			if err != nil || why != tt.why || ready != (tt.why == "") {
				t.Errorf("ready %t, %q, error %v, want %q", ready, why, err, tt.why)
			}
		})
	}
	if _, _, err := readiness([]byte("{")); err == nil {
		t.Error("what is no JSON was read")
	}
}

// What is ready first is asked once for each service, before the first step that
// gives something up, and again before the rest of the mode before goes.
func TestNeedsReady(t *testing.T) {
	t.Parallel()
	ref := func(group, kind, name string) plumbline.Ref {
		return plumbline.Ref{Group: group, Kind: kind, Namespace: "shop", Name: name}
	}
	route, svc := ref("serving.knative.dev", "Route", "web"), ref("", "Service", "web")
	ksvc, deploy := ref("serving.knative.dev", "Service", "web-v1"), ref("apps", "Deployment", "web-v1")
	vs := ref("networking.istio.io", "VirtualService", "web")
	objects := func(refs ...plumbline.Ref) plumbline.Objects {
		var out plumbline.Objects
		for _, r := range refs {
			out = out.With(r, &plumbline.Object{Ref: r, Project: "shop", Service: "web"})
		}
		return out
	}
	change := func(op plumbline.Op, wave plumbline.Wave, r plumbline.Ref) plumbline.Change {
		return plumbline.Change{Op: op, Wave: wave, Ref: r}
	}
	release, claim, follow, replaced := plumbline.WaveRelease, plumbline.WaveClaim, plumbline.WaveFollow, plumbline.WaveReplaced
	for _, tt := range []struct {
		name    string
		desired plumbline.Objects
		changes []plumbline.Change
		want    map[plumbline.Wave][]plumbline.Ref
	}{
		{
			"to Knative", objects(ksvc, route),
			[]plumbline.Change{change(plumbline.OpDelete, release, svc), change(plumbline.OpCreate, claim, route), change(plumbline.OpDelete, replaced, deploy)},
			map[plumbline.Wave][]plumbline.Ref{release: {ksvc}, replaced: {route, ksvc}},
		},
		{
			"from Knative", objects(deploy, svc, vs),
			[]plumbline.Change{
				change(plumbline.OpDelete, release, route), change(plumbline.OpCreate, claim, svc), change(plumbline.OpCreate, follow, vs),
				change(plumbline.OpDelete, replaced, ksvc),
			},
			map[plumbline.Wave][]plumbline.Ref{release: {deploy}, replaced: {deploy}},
		},
		{
			"the name is free", objects(deploy, svc, vs),
			[]plumbline.Change{change(plumbline.OpCreate, claim, svc), change(plumbline.OpDelete, replaced, ksvc)},
			map[plumbline.Wave][]plumbline.Ref{replaced: {deploy}},
		},
		{
			"the name stays", objects(deploy, svc, vs),
			[]plumbline.Change{change(plumbline.OpConfigure, claim, svc), change(plumbline.OpConfigure, follow, vs), change(plumbline.OpDelete, replaced, ksvc)},
			map[plumbline.Wave][]plumbline.Ref{claim: {deploy}, replaced: {deploy}},
		},
		{
			"held by something else", objects(deploy, svc),
			[]plumbline.Change{change(plumbline.OpSkip, claim, svc), change(plumbline.OpKeep, replaced, ksvc)},
			map[plumbline.Wave][]plumbline.Ref{},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			of := service{"shop", "web"}
			p := plumbline.Plan{ModeChanges: []plumbline.ModeChange{{Project: "shop", Service: "web"}}, Changes: tt.changes}
			s := newSteps(plumbline.Plan{ModeChanges: p.ModeChanges}, func(plumbline.Ref) service { return of })
			for i := range tt.changes {
				got, want := s.needsReady(tt.changes[i:], 1, tt.desired)[of], tt.want[tt.changes[i].Wave]
				if len(got) != len(want) {
					t.Fatalf("in wave %d %v, want %v", tt.changes[i].Wave, got, want)
				}
				for _, r := range want {
					if !slices.Contains(got, r) {
						t.Errorf("in wave %d %v, want %v", tt.changes[i].Wave, got, want)
					}
				}
			}
		})
	}
}
