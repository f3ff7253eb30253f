package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/config"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/install"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/orphan"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/rights"
	"github.com/plumbline-dev/plumbline/reconciler/cluster"
	inventory "github.com/plumbline-dev/plumbline/reconciler/state"
)

// freeAtOnce is how many objects are freed at a time.
const freeAtOnce = 16

// ownClient reads and deletes what Plumbline keeps for itself.
func ownClient(at config.Cluster) (*rest.Config, kubernetes.Interface, error) {
	rc, err := restConfig(at)
	if err != nil {
		return nil, nil, err
	}
	cfg := rest.CopyConfig(rc)
	cfg.UserAgent = fmt.Sprintf("plumbline/%s (%s)", version, cluster.ClassState)
	cfg.QPS = -1
	cfg.WarningHandler = rest.NoWarnings{}
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return nil, nil, plumbline.Errorf(plumbline.KindUsage, "connect to cluster", "%w", err)
	}
	return rc, client, nil
}

// uninstallEnvironment frees the objects of an environment, and then deletes
// its state.
func (a *app) uninstallEnvironment(ctx context.Context, s settings, env config.Environment, write bool) error {
	rc, own, err := ownClient(env.Cluster)
	if err != nil {
		return err
	}
	objects, err := cluster.New(cluster.Options{Config: rc, Version: version})
	if err != nil {
		return err
	}
	l, err := newLease(objects, s.Namespace, env.Name, a.now, logger(a.err, quieter(s.Log)))
	if err != nil {
		return err
	}
	l.once = true
	if err := l.free(ctx); err != nil {
		return err
	}
	work := func(ctx context.Context) error {
		loaded, err := inventory.New(own.CoreV1().ConfigMaps(s.Namespace), env.Name).Load(ctx)
		if err != nil {
			return err
		}
		if loaded.Damaged != nil {
			return plumbline.Errorf(plumbline.KindDenied, "read inventory", "%w; let the daemon mend it first", loaded.Damaged)
		}
		if err := a.freeAll(ctx, objects, loaded.Inventory, write); err != nil {
			return err
		}
		return a.dropState(ctx, own, s.Namespace, env.Name, write)
	}
	if !write {
		return work(ctx)
	}
	if err := l.hold(ctx, work); err != nil {
		return err
	}
	err = own.CoordinationV1().Leases(s.Namespace).Delete(ctx, rights.LeaseName(env.Name), metav1.DeleteOptions{})
	return deleted("Lease "+rights.LeaseName(env.Name), err)
}

// freeAll frees every object that the inventory lists.
func (a *app) freeAll(ctx context.Context, c *cluster.Client, inv *inventory.Inventory, write bool) error {
	refs := inv.Refs()
	results := make([]error, len(refs))
	freed := make([]bool, len(refs))
	var g errgroup.Group
	g.SetLimit(freeAtOnce)
	for i, ref := range refs {
		g.Go(func() error {
			e, _ := inv.Get(ref)
			freed[i], results[i] = free(ctx, c, e, write)
			return nil
		})
	}
	_ = g.Wait() // every object has its own error
	for i, ref := range refs {
		if freed[i] {
			a.step(write, "orphan", "%s", ref)
		}
	}
	return errors.Join(results...)
}

// step tells of a step: one that would be taken is the plan, and output; one that
// is taken is progress.
func (a *app) step(write bool, verb, format string, args ...any) {
	line := fmt.Sprintf("%-10s "+format, slices.Insert(args, 0, any(verb))...)
	if write {
		a.note("%s", line)
		return
	}
	fmt.Fprintln(a.out, line)
}

// freeTries is how often an object is read again that changed meanwhile.
const freeTries = 4

// free takes our marks off one object, if it is still the one of the inventory.
func free(ctx context.Context, c *cluster.Client, e inventory.Entry, write bool) (bool, error) {
	for try := 1; ; try++ {
		m, err := c.Get(ctx, e.Ref, "")
		switch {
		case errors.Is(err, cluster.ErrNotFound), err == nil && e.Owned() && string(m.UID) != e.UID:
			return false, nil
		case err != nil:
			return false, err
		}
		patch, err := orphan.Patch(m)
		if err != nil || patch == nil || !write {
			return patch != nil, err
		}
		_, err = c.Patch(ctx, e.Ref, "", patch)
		if !errors.Is(err, cluster.ErrConflict) || try == freeTries {
			return err == nil, err
		}
	}
}

// dropState deletes the inventory of an environment.
func (a *app) dropState(ctx context.Context, own kubernetes.Interface, namespace, environment string, write bool) error {
	maps := own.CoreV1().ConfigMaps(namespace)
	list, err := maps.List(ctx, metav1.ListOptions{LabelSelector: stateSelector + "=" + environment})
	if err != nil {
		return deleted("inventories", err)
	}
	for i := range list.Items {
		name := list.Items[i].Name
		a.step(write, "delete", "ConfigMap %s/%s", namespace, name)
		if !write {
			continue
		}
		if err := deleted("ConfigMap "+name, maps.Delete(ctx, name, metav1.DeleteOptions{})); err != nil {
			return err
		}
	}
	orders := inventory.OrdersName(environment)
	if _, err := maps.Get(ctx, orders, metav1.GetOptions{}); err != nil {
		return deleted("ConfigMap "+orders, err)
	}
	a.step(write, "delete", "ConfigMap %s/%s", namespace, orders)
	if !write {
		return nil
	}
	return deleted("ConfigMap "+orders, maps.Delete(ctx, orders, metav1.DeleteOptions{}))
}

// uninstallInstallation deletes what all environments share, where none is left.
func (a *app) uninstallInstallation(ctx context.Context, s settings, at config.Cluster, write bool) error {
	_, own, err := ownClient(at)
	if err != nil {
		return err
	}
	left, err := own.CoreV1().ConfigMaps(s.Namespace).List(ctx, metav1.ListOptions{LabelSelector: stateSelector})
	if err != nil {
		return deleted("inventories", err)
	}
	gone := map[string]bool{}
	for _, e := range s.Environments {
		gone[e.Name] = !write // or they are gone already
	}
	for i := range left.Items {
		if name := left.Items[i].Labels[stateSelector]; !gone[name] {
			a.step(write, "keep", "%s: environment %s is kept there", s.Namespace, name)
			return nil
		}
	}
	ns, err := own.CoreV1().Namespaces().Get(ctx, s.Namespace, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return deleted("Namespace "+s.Namespace, err)
	}
	role := install.ClusterRole(s.Namespace)
	steps := []struct {
		what string
		do   func() error
	}{
		{"ClusterRoleBinding " + role, func() error {
			return own.RbacV1().ClusterRoleBindings().Delete(ctx, role, metav1.DeleteOptions{})
		}},
		{"ClusterRole " + role, func() error { return own.RbacV1().ClusterRoles().Delete(ctx, role, metav1.DeleteOptions{}) }},
		{"Secret " + s.Namespace + "/" + hashKeySecret, func() error {
			return own.CoreV1().Secrets(s.Namespace).Delete(ctx, hashKeySecret, metav1.DeleteOptions{})
		}},
		{"Namespace " + s.Namespace, func() error {
			return own.CoreV1().Namespaces().Delete(ctx, s.Namespace, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &ns.UID}})
		}},
	}
	if ns.Labels[plumbline.LabelManagedBy] != plumbline.ManagedBy {
		a.step(write, "keep", "Namespace %s, which Plumbline did not make", s.Namespace)
		steps = steps[:len(steps)-1]
	}
	for _, step := range steps {
		a.step(write, "delete", "%s", step.what)
		if !write {
			continue
		}
		if err := deleted(step.what, step.do()); err != nil {
			return err
		}
	}
	return nil
}

// deleted is the error of deleting something, nil where it was gone.
func deleted(what string, err error) error {
	switch {
	case err == nil, apierrors.IsNotFound(err):
		return nil
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return plumbline.Errorf(plumbline.KindDenied, "delete "+what, "%w", err)
	}
	return plumbline.Errorf(plumbline.KindTransient, "delete "+what, "%w", err)
}
