package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/adoption"
	"github.com/plumbline-dev/plumbline/reconciler"
)

// diffAdoption tells what would become of the objects that were there before.
func (a *app) diffAdoption(ctx context.Context, dir, revision string) (err error) {
	if a.output == "markdown" {
		return usage("--output: --adoption is shown as text or json")
	}
	once, err := a.prepareOnce(ctx, dir, applyFlags{revision: revision, dryRun: true, prune: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, once.close()) }()
	plan, err := a.planOnce(ctx, once)
	if err != nil {
		return err
	}
	desired := once.renderer.last.Objects
	immutable, err := refusedAdoptions(ctx, once, plan, desired)
	if err != nil {
		return err
	}
	live, err := a.madeBefore(ctx, once)
	if err != nil {
		return err
	}
	list := adoption.List(plan, desired, live, immutable)
	if a.output == "json" {
		err = writeItems(a.out, "AdoptionList", list)
	} else {
		err = writeAdoption(a.out, list)
	}
	if err != nil {
		return err
	}
	for _, m := range plan.ModeChanges {
		a.note("%s.", m)
	}
	count := map[adoption.Fate]int{}
	for _, s := range list {
		count[s.Fate]++
	}
	a.note("%d adopted, %d shared, %d refused, %d replaced, %d left. Nothing was written.",
		count[adoption.Adopted], count[adoption.Shared], count[adoption.Refused], count[adoption.Replaced], count[adoption.Left])
	if len(list) > 0 {
		return errDifferent
	}
	return nil
}

// planOnce is what a run would do. What it would be denied is a part of it.
func (a *app) planOnce(ctx context.Context, once *oneShot) (plumbline.Plan, error) {
	res, err := reconciler.New(once.Options).Run(ctx)
	errs := plumbline.Errors(res.Violations)
	for _, v := range once.source.tree.placed(errs) {
		a.writeViolation(a.err, v)
	}
	switch {
	case len(errs) > 0:
		return res.Plan, silent{err}
	case plumbline.KindOf(err) == plumbline.KindDenied && len(res.Plan.Changes) > 0:
		return res.Plan, nil
	}
	return res.Plan, err
}

// refusedAdoptions are the objects that the API server would not let an
// adoption change, and why. Secrets are not asked for.
func refusedAdoptions(ctx context.Context, once *oneShot, p plumbline.Plan, desired plumbline.Objects) (map[plumbline.Ref]string, error) {
	out := map[plumbline.Ref]string{}
	for _, c := range p.Changes {
		o, wanted := desired.Get(c.Ref)
		if !wanted || c.Op != plumbline.OpConfigure || c.Reason != reconciler.ReasonAdopt || isSecret(c.Ref) {
			continue
		}
		switch _, _, err := once.Client.Preview(ctx, *o); {
		case plumbline.KindOf(err) == plumbline.KindInvalid:
			out[c.Ref] = err.Error()
		case err != nil:
			return nil, err
		}
	}
	return out, nil
}

// madeBefore lists what Space Cloud made in the environment's projects.
func (a *app) madeBefore(ctx context.Context, once *oneShot) ([]adoption.Live, error) {
	var out []adoption.Live
	projects := once.renderer.last.Projects
	for _, gk := range adoption.Kinds() {
		k, err := once.Client.Kind(ctx, gk, "")
		if plumbline.KindOf(err) == plumbline.KindWaiting {
			continue // not served here
		}
		if err != nil {
			return nil, err
		}
		namespaces := projects
		if !k.Namespaced {
			namespaces = []string{""}
		}
		for _, ns := range slices.Compact(slices.Sorted(slices.Values(namespaces))) {
			items, err := patiently(ctx, func() ([]metav1.PartialObjectMetadata, error) { return once.Client.List(ctx, k, ns) })
			if plumbline.KindOf(err) == plumbline.KindDenied {
				a.note("%s: may not be listed in %q, so what is there is not known", gk, ns)
				continue
			}
			if err != nil {
				return nil, err
			}
			for i := range items {
				m := &items[i].ObjectMeta
				if adoption.Made(m) {
					out = append(out, adoption.Live{Ref: plumbline.Ref{Group: gk.Group, Kind: gk.Kind, Namespace: m.Namespace, Name: m.Name}, Meta: m})
				}
			}
		}
	}
	return out, nil
}

// patiently asks again, three times, where the API server says when: as it does
// for a kind that nobody has asked for yet.
func patiently[T any](ctx context.Context, ask func() (T, error)) (T, error) {
	for attempt := 0; ; attempt++ {
		answer, err := ask()
		var e *plumbline.Error
		if attempt == 3 || !errors.As(err, &e) || e.After <= 0 {
			return answer, err
		}
		t := time.NewTimer(e.After)
		select {
		case <-ctx.Done():
			t.Stop()
			return answer, err
		case <-t.C:
		}
	}
}

func writeAdoption(w io.Writer, list []adoption.Standing) error {
	if len(list) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "FATE\tOBJECT\tWHY")
	for _, s := range list {
		fmt.Fprintf(t, "%s\t%s\t%s\n", s.Fate, s.Ref, s.Reason)
	}
	return t.Flush()
}
