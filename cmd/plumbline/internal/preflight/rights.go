package preflight

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/rights"
)

// reviewsAtOnce is how many rights are asked for at a time.
const reviewsAtOnce = 8

// rights asks for each right, and is a finding for each.
func (c *checker) rights(ctx context.Context, kinds []rights.Kind) []Finding {
	list := rights.Of(rights.Needs{Namespace: c.o.Namespace, Environments: c.o.Environments, Kinds: kinds, Observe: c.o.Observe, KeySecrets: c.o.KeySecrets})
	if _, err := c.client.CoreV1().Namespaces().Get(ctx, c.o.Namespace, metav1.GetOptions{}); apierrors.IsNotFound(err) && !c.o.Observe {
		list = append(list, rights.Right{Resource: "namespaces", Verbs: []string{"create"}, Why: "make Namespace " + c.o.Namespace + ", which is not there"})
	}
	out := make([]Finding, len(list))
	var g errgroup.Group
	g.SetLimit(reviewsAtOnce)
	for i, r := range list {
		g.Go(func() error {
			out[i] = c.right(ctx, r)
			return nil
		})
	}
	_ = g.Wait() // every finding has its own error
	return out
}

// right asks for one right: whether all of its verbs are granted for all of
// its names.
func (c *checker) right(ctx context.Context, r rights.Right) Finding {
	var lacking []string
	for _, verb := range r.Verbs {
		ok, err := c.granted(ctx, r, verb)
		if err != nil {
			return Warn("right", what(r)+": not known, the API server did not answer", "run the check again")
		}
		if !ok {
			lacking = append(lacking, verb)
		}
	}
	if len(lacking) == 0 {
		return Well("right", fmt.Sprintf("may %s %s", strings.Join(r.Verbs, ", "), what(r)))
	}
	return Lacks("right", fmt.Sprintf("may not %s %s, needed to %s", strings.Join(lacking, ", "), what(r), r.Why),
		"grant what is missing: `plumbline install` prints all that is needed", plumbline.KindDenied)
}

// granted tells whether a verb is granted. Whoever may not write everywhere may
// still write in each namespace that there are objects for; a watch is always
// of all namespaces.
func (c *checker) granted(ctx context.Context, r rights.Right, verb string) (bool, error) {
	names := r.Names
	if len(names) == 0 {
		names = []string{""}
	}
	for _, name := range names {
		ok, err := c.review(ctx, r, verb, r.Namespace, name)
		if err != nil {
			return false, err
		}
		if ok {
			continue
		}
		if r.Namespace != "" || !c.inNamespaces[r.Group+"/"+r.Resource] || len(c.o.Namespaces) == 0 || verb == "list" || verb == "watch" {
			return false, nil
		}
		for _, ns := range c.o.Namespaces {
			if ok, err := c.review(ctx, r, verb, ns, name); err != nil || !ok {
				return false, err
			}
		}
	}
	return true, nil
}

func (c *checker) review(ctx context.Context, r rights.Right, verb, namespace, name string) (bool, error) {
	answer, err := c.client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
			Group: r.Group, Resource: r.Resource, Verb: verb, Namespace: namespace, Name: name,
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		return false, err
	}
	return answer.Status.Allowed, nil
}

// what is the resource of a right in words: "serving.knative.dev/services",
// "secrets plumbline-hash-key in plumbline-system".
func what(r rights.Right) string {
	s := r.Resource
	if r.Group != "" {
		s = r.Group + "/" + s
	}
	if len(r.Names) > 0 {
		s += " " + strings.Join(r.Names, ", ")
	}
	if r.Namespace != "" {
		s += " in " + r.Namespace
	}
	return s
}
