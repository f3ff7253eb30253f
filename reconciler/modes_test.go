package reconciler

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/drift"
	"github.com/plumbline-dev/plumbline/reconciler/observe"
	"github.com/plumbline-dev/plumbline/reconciler/state"
)

// named is the Ref of "Kind name", where a Knative Service is "ksvc".
func named(text string) plumbline.Ref {
	kind, name, _ := strings.Cut(text, " ")
	group := map[string]string{
		"ksvc": "serving.knative.dev", "Route": "serving.knative.dev", "Deployment": "apps",
		"VirtualService": "networking.istio.io", "AuthorizationPolicy": "security.istio.io",
	}[kind]
	if kind == "ksvc" {
		kind = "Service"
	}
	return plumbline.Ref{Group: group, Kind: kind, Namespace: "shop", Name: name}
}

func nameOf(r plumbline.Ref) string {
	return strings.NewReplacer("kroute", "Route", "shop/", "").Replace(r.Short())
}

// What a service has in each mode, and a worker, which nobody calls.
const (
	asKnative    = "ServiceAccount ledger, ksvc ledger-v1, Route ledger"
	asDirect     = "ServiceAccount ledger, ksvc ledger-v1, Service ledger, Service ledger-v1-internal, VirtualService ledger"
	asDeployment = "ServiceAccount ledger, Deployment ledger-v1, Service ledger, Service ledger-v1-internal, VirtualService ledger"
	asWorker     = "ServiceAccount ledger, Deployment ledger-v1"
)

// changeOf is the input of a plan for one service, ledger, that has objects
// before, and is to have objects after. All that is owned is live.
func changeOf(before, after string) planInput {
	in := planInput{Environment: "e", Installation: "i"}
	var live []drift.Observation
	kinds := map[plumbline.GroupKind]bool{}
	for _, name := range strings.Split(before, ", ") {
		ref := named(name)
		o := observed(ref, "uid of "+name, "1")
		live = append(live, o)
		kinds[ref.GroupKind()] = true
		in.Inventory = in.Inventory.With(ref, &state.Entry{
			Ref: ref, Project: "shop", Service: "ledger", UID: o.UID, Checksum: before, Verified: drift.Verify(o),
		})
	}
	for _, name := range strings.Split(after, ", ") {
		ref := named(name)
		kinds[ref.GroupKind()] = true
		sum := before
		if ref.GroupKind() == (plumbline.GroupKind{Kind: "Service"}) || ref.Kind == "VirtualService" || ref.Kind == "AuthorizationPolicy" {
			sum = after // other ports
		}
		in.Desired = in.Desired.With(ref, &plumbline.Object{
			Ref: ref, Project: "shop", Service: "ledger", Checksum: sum, Wave: plumbline.WaveOf(ref.GroupKind()),
			Origin: plumbline.Origin{Path: "ledger.yaml", Line: 1},
		})
	}
	in.Observed = observe.ViewOf(slices.Collect(maps.Keys(kinds)), live...)
	return in
}

// TestModeChangePlan: the plan of each change of mode.
func TestModeChangePlan(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ before, after, want string }{
		{asKnative, asDeployment, `
			shop/ledger changes from knative to deployment: short outage
			500 create Deployment ledger-v1
			710 delete Route ledger
			720 create Service ledger
			720 create Service ledger-v1-internal
			730 create VirtualService ledger
			740 delete ksvc ledger-v1`},
		{asKnative, asDirect, `
			shop/ledger changes from knative to knative-direct: short outage
			710 delete Route ledger
			720 create Service ledger
			720 create Service ledger-v1-internal
			730 create VirtualService ledger`},
		{asDirect, asKnative, `
			shop/ledger changes from knative-direct to knative: short outage
			710 delete Service ledger
			710 delete VirtualService ledger
			720 create Route ledger
			740 delete Service ledger-v1-internal`},
		{asDirect, asDeployment, `
			shop/ledger changes from knative-direct to deployment: short outage
			500 create Deployment ledger-v1
			720 configure Service ledger
			720 configure Service ledger-v1-internal
			730 configure VirtualService ledger
			740 delete ksvc ledger-v1`},
		{asDeployment, asKnative, `
			shop/ledger changes from deployment to knative: short outage
			500 create ksvc ledger-v1
			710 delete Service ledger
			710 delete VirtualService ledger
			720 create Route ledger
			740 delete Service ledger-v1-internal
			740 delete Deployment ledger-v1`},
		{asDeployment, asDirect, `
			shop/ledger changes from deployment to knative-direct: short outage
			500 create ksvc ledger-v1
			720 configure Service ledger
			720 configure Service ledger-v1-internal
			730 configure VirtualService ledger
			740 delete Deployment ledger-v1`},
		{asKnative, asWorker, `
			shop/ledger changes from knative to deployment: short outage
			500 create Deployment ledger-v1
			710 delete Route ledger
			740 delete ksvc ledger-v1`},
		{asWorker, asKnative, `
			shop/ledger changes from deployment to knative: short outage
			500 create ksvc ledger-v1
			720 create Route ledger
			740 delete Deployment ledger-v1`},
		// The policy of what is called now stays until another is called, and a new
		// pod has one before it runs.
		{asKnative + ", AuthorizationPolicy ledger", asDeployment + ", AuthorizationPolicy ledger, AuthorizationPolicy ledger-v1", `
			shop/ledger changes from knative to deployment: short outage
			400 create AuthorizationPolicy ledger-v1
			500 create Deployment ledger-v1
			710 delete Route ledger
			720 create Service ledger
			720 create Service ledger-v1-internal
			720 configure AuthorizationPolicy ledger
			730 create VirtualService ledger
			740 delete ksvc ledger-v1`},
		// The Route was deleted, and what Knative made for it stands yet.
		{"ServiceAccount ledger, ksvc ledger-v1, Deployment ledger-v1, Service ledger-v1-internal", asDeployment, `
			shop/ledger changes from knative to deployment: short outage
			720 create Service ledger
			720 configure Service ledger-v1-internal
			730 create VirtualService ledger
			740 delete ksvc ledger-v1`},
		// No change of mode: a version less, a service less, one more, other ports.
		{asKnative + ", ksvc ledger-v0", asKnative, `700 delete ksvc ledger-v0`},
		{asDeployment + ", Service ledger-v0-internal, Deployment ledger-v0", asDeployment, `
			500 configure Service ledger
			500 configure Service ledger-v1-internal
			600 configure VirtualService ledger
			700 delete Service ledger-v0-internal
			700 delete Deployment ledger-v0`},
		{asDeployment, asWorker, `
			700 delete Service ledger
			700 delete Service ledger-v1-internal
			700 delete VirtualService ledger`},
		{asKnative, "ServiceAccount ledger", `
			700 delete Route ledger
			700 delete ksvc ledger-v1`},
		{"ServiceAccount ledger", asKnative, `
			500 create ksvc ledger-v1
			600 create Route ledger`},
	} {
		t.Run(c.before+" to "+c.after, func(t *testing.T) {
			t.Parallel()
			p := planAnew(changeOf(c.before, c.after))
			var got []string
			for _, m := range p.ModeChanges {
				got = append(got, m.String())
				if m.Origin.Path != "ledger.yaml" {
					t.Errorf("origin %v", m.Origin)
				}
			}
			for _, ch := range p.Changes {
				got = append(got, fmt.Sprintf("%d %s %s", ch.Wave, ch.Op, nameOf(ch.Ref)))
			}
			if diff := cmp.Diff(lines(c.want), got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func lines(text string) []string {
	var out []string
	for line := range strings.Lines(strings.TrimSpace(text)) {
		out = append(out, strings.TrimSpace(line))
	}
	return out
}

// TestModeChangeSteps: what is done, and what waits, where a step of a change
// from Knative to a Deployment, or back, does not come to its end. Another
// service has a change in each wave, and never waits.
func TestModeChangeSteps(t *testing.T) {
	t.Parallel()
	const forth, back = "forth", "back"
	for _, c := range []struct {
		name, way string
		edit      func(*plumbline.Change) // before the run, as a look at the cluster does
		result    map[string]applied      // of what does not succeed
		want      string                  // what was done, and what has to wait
	}{
		{name: "all goes well", way: forth, want: `
			create Deployment ledger-v1
			delete Route ledger
			create Service ledger
			create Service ledger-v1-internal
			create VirtualService ledger
			delete ksvc ledger-v1`},
		{name: "the new workload fails", way: forth, result: map[string]applied{"Deployment ledger-v1": failed()}, want: `
			create Deployment ledger-v1
			waits Route ledger: ` + reasonHeld + `
			waits Service ledger: ` + reasonHeld + `
			waits Service ledger-v1-internal: ` + reasonHeld + `
			waits VirtualService ledger: ` + reasonHeld + `
			waits ksvc ledger-v1: ` + reasonHeld},
		{name: "the new workload fails, and Knative's Service is there", way: forth, edit: to("Service ledger", plumbline.OpSkip, reasonInPlace), result: map[string]applied{"Deployment ledger-v1": failed()}, want: `
			create Deployment ledger-v1
			waits Route ledger: ` + reasonHeld + `
			waits Service ledger: ` + reasonHeld + `
			waits Service ledger-v1-internal: ` + reasonHeld + `
			waits VirtualService ledger: ` + reasonHeld + `
			waits ksvc ledger-v1: ` + reasonHeld},
		{name: "it failed before", way: forth, edit: to("Deployment ledger-v1", plumbline.OpSkip, reasonLater), want: `
			waits Deployment ledger-v1: ` + reasonLater + `
			waits Route ledger: ` + reasonHeld + `
			waits Service ledger: ` + reasonHeld + `
			waits Service ledger-v1-internal: ` + reasonHeld + `
			waits VirtualService ledger: ` + reasonHeld + `
			waits ksvc ledger-v1: ` + reasonHeld},
		{name: "Knative's Service stands yet", way: forth, edit: to("Service ledger", plumbline.OpSkip, reasonInPlace), want: `
			create Deployment ledger-v1
			delete Route ledger
			waits Service ledger: ` + reasonInPlace + `
			create Service ledger-v1-internal
			waits VirtualService ledger: ` + reasonHeld + `
			waits ksvc ledger-v1: ` + reasonHeld},
		{name: "somebody has a Service of the name", way: forth, edit: to("Service ledger", plumbline.OpConflict, reasonForeign), want: `
			create Deployment ledger-v1
			waits Route ledger: ` + reasonHeld + `
			waits Service ledger: ` + reasonForeign + `
			waits Service ledger-v1-internal: ` + reasonHeld + `
			waits VirtualService ledger: ` + reasonHeld + `
			waits ksvc ledger-v1: ` + reasonHeld},
		{name: "the Route has a finalizer", way: forth, result: map[string]applied{"Route ledger": pending()}, want: `
			create Deployment ledger-v1
			delete Route ledger
			waits Service ledger: ` + reasonInPlace + `
			waits Service ledger-v1-internal: ` + reasonInPlace + `
			waits VirtualService ledger: ` + reasonHeld + `
			waits ksvc ledger-v1: ` + reasonHeld},
		{name: "the new Service fails", way: forth, result: map[string]applied{"Service ledger": failed()}, want: `
			create Deployment ledger-v1
			delete Route ledger
			create Service ledger
			create Service ledger-v1-internal
			waits VirtualService ledger: ` + reasonHeld + `
			waits ksvc ledger-v1: ` + reasonHeld},
		{name: "the Route is to be kept", way: forth, edit: func(c *plumbline.Change) {
			to("Route ledger", plumbline.OpKeep, "kept: so it says")(c)
			to("Service ledger", plumbline.OpSkip, reasonInPlace)(c)
		}, want: `
			create Deployment ledger-v1
			waits Route ledger: kept: so it says
			waits Service ledger: Route ledger must go first, and stays: kept: so it says
			waits Service ledger-v1-internal: ` + reasonHeld + `
			waits VirtualService ledger: ` + reasonHeld + `
			waits ksvc ledger-v1: ` + reasonHeld},
		{name: "all goes well", way: back, want: `
			create ksvc ledger-v1
			delete Service ledger
			delete VirtualService ledger
			create Route ledger
			delete Service ledger-v1-internal
			delete Deployment ledger-v1`},
		{name: "the Service has a finalizer", way: back, edit: to("Service ledger", plumbline.OpKeep, reasonFinalizer), want: `
			create ksvc ledger-v1
			waits Service ledger: ` + reasonFinalizer + `
			delete VirtualService ledger
			waits Route ledger: ` + reasonInPlace + `
			waits Service ledger-v1-internal: ` + reasonHeld + `
			waits Deployment ledger-v1: ` + reasonHeld},
		{name: "the Service is to be kept", way: back, edit: to("Service ledger", plumbline.OpKeep, "kept: so it says"), want: `
			create ksvc ledger-v1
			waits Service ledger: kept: so it says
			waits VirtualService ledger: ` + reasonHeld + `
			waits Route ledger: Service ledger must go first, and stays: kept: so it says
			waits Service ledger-v1-internal: ` + reasonHeld + `
			waits Deployment ledger-v1: ` + reasonHeld},
		{name: "the new Route fails", way: back, result: map[string]applied{"Route ledger": failed()}, want: `
			create ksvc ledger-v1
			delete Service ledger
			delete VirtualService ledger
			create Route ledger
			waits Service ledger-v1-internal: ` + reasonHeld + `
			waits Deployment ledger-v1: ` + reasonHeld},
	} {
		t.Run(c.way+": "+c.name, func(t *testing.T) {
			t.Parallel()
			in := changeOf(asKnative, asDeployment)
			if c.way == back {
				in = changeOf(asDeployment, asKnative)
			}
			p := planAnew(in)
			if c.edit != nil {
				for i := range p.Changes {
					c.edit(&p.Changes[i])
				}
			}
			refuseNames(&p)
			if diff := cmp.Diff(lines(c.want), playSteps(in, p, c.result)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// to edits one change.
func to(name string, op plumbline.Op, reason string) func(*plumbline.Change) {
	return func(c *plumbline.Change) {
		if nameOf(c.Ref) == name {
			c.Op, c.Reason = op, reason
		}
	}
}

func failed() applied { return applied{Outcome: plumbline.Outcome{Err: errors.New("no")}} }
func pending() applied {
	return applied{Outcome: plumbline.Outcome{Action: plumbline.ActionDeleted, Health: plumbline.HealthTerminating}}
}

// playSteps goes through a plan as a run does, with a change of another service
// in each wave.
func playSteps(in planInput, p plumbline.Plan, results map[string]applied) []string {
	other := plumbline.Ref{Kind: "Service", Namespace: "shop", Name: "other"}
	in.Desired = in.Desired.With(other, &plumbline.Object{Ref: other, Project: "shop", Service: "other"})
	order := newSteps(p, in.serviceOf)
	var got []string
	for len(p.Changes) > 0 {
		n := 1
		for n < len(p.Changes) && p.Changes[n].Wave == p.Changes[0].Wave {
			n++
		}
		wave := append(slices.Clone(p.Changes[:n]), plumbline.Change{Ref: other, Op: plumbline.OpConfigure, Wave: p.Changes[0].Wave})
		p.Changes = p.Changes[n:]
		order.hold(wave)
		if o := wave[n]; o.Op != plumbline.OpConfigure {
			got = append(got, "the other service waits: "+o.Reason)
		}
		var out []applied
		for _, c := range wave[:n] {
			switch c.Op {
			case plumbline.OpCreate, plumbline.OpConfigure, plumbline.OpDelete:
				got = append(got, string(c.Op)+" "+nameOf(c.Ref))
				a := results[nameOf(c.Ref)]
				a.Ref = c.Ref
				out = append(out, a)
			default:
				got = append(got, "waits "+nameOf(c.Ref)+": "+c.Reason)
			}
		}
		order.took(wave, append(out, applied{Outcome: plumbline.Outcome{Ref: other, Err: errors.New("no")}}))
	}
	return got
}
