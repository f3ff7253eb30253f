package cluster

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"

	"github.com/plumbline-dev/plumbline"
)

// Kind is how the API server serves a kind of object in one version.
type Kind struct {
	Group      string
	Version    string
	Name       string // "Deployment"
	Resource   string // "deployments"
	Namespaced bool
}

// GroupKind of k.
func (k Kind) GroupKind() plumbline.GroupKind {
	return plumbline.GroupKind{Group: k.Group, Kind: k.Name}
}

// kinds caches discovery.
type kinds struct {
	mu     sync.Mutex
	loaded bool
	served map[plumbline.GroupKind][]Kind // preferred version first
	failed map[string]error               // by group: its discovery failed
}

func newKinds() *kinds {
	return &kinds{served: map[plumbline.GroupKind][]Kind{}, failed: map[string]error{}}
}

// notServedRetry is how soon a kind that is not served is worth asking for
// again.
const notServedRetry = 2 * time.Second

// Kind finds how gk is served, in the given version or, with version "", in
// the API server's preferred one. Discovery is read once, at the first call; a
// kind that is not served is a KindWaiting error until Refresh finds it.
func (c *Client) Kind(ctx context.Context, gk plumbline.GroupKind, version string) (Kind, error) {
	c.kinds.mu.Lock()
	loaded := c.kinds.loaded
	c.kinds.mu.Unlock()
	if !loaded {
		if err := c.Refresh(ctx); err != nil {
			return Kind{}, err
		}
	}
	c.kinds.mu.Lock()
	defer c.kinds.mu.Unlock()
	served := c.kinds.served[gk]
	for _, k := range served {
		if version == "" || k.Version == version {
			return k, nil
		}
	}
	if err := c.kinds.failed[gk.Group]; err != nil {
		return Kind{}, &plumbline.Error{Op: "discover " + gk.String(), Kind: plumbline.KindWaiting, After: notServedRetry, Err: err}
	}
	if len(served) > 0 {
		return Kind{}, &plumbline.Error{
			Op: "discover " + gk.String(), Kind: plumbline.KindWaiting, After: notServedRetry,
			Err: plumbline.Errorf(plumbline.KindWaiting, "", "version %s is not served, but %s is", version, served[0].Version),
		}
	}
	return Kind{}, &plumbline.Error{
		Op: "discover " + gk.String(), Kind: plumbline.KindWaiting, After: notServedRetry,
		Err: plumbline.Errorf(plumbline.KindWaiting, "", "the cluster does not serve this kind; is its CustomResourceDefinition installed?"),
	}
}

// Refresh reads discovery again: two requests.
func (c *Client) Refresh(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	dc, err := c.discover(ctx)
	if err != nil {
		return err
	}
	groups, lists, err := dc.ServerGroupsAndResources()
	failed := map[string]error{}
	if err != nil {
		broken, partly := discovery.GroupDiscoveryFailedErrorGroups(err)
		if !partly {
			return Classify("discover kinds", plumbline.Ref{}, err)
		}
		for gv, err := range broken {
			failed[gv.Group] = err
		}
	}
	served := read(groups, lists)
	c.kinds.mu.Lock()
	defer c.kinds.mu.Unlock()
	c.kinds.served, c.kinds.failed, c.kinds.loaded = served, failed, true
	return nil
}

// read turns discovery documents into kinds, preferred versions first.
func read(groups []*metav1.APIGroup, lists []*metav1.APIResourceList) map[plumbline.GroupKind][]Kind {
	preferred := map[string]string{}
	for _, g := range groups {
		preferred[g.Name] = g.PreferredVersion.Version
	}
	served := map[plumbline.GroupKind][]Kind{}
	for _, list := range lists {
		group, version, ok := strings.Cut(list.GroupVersion, "/")
		if !ok {
			group, version = "", list.GroupVersion
		}
		for i := range list.APIResources {
			r := &list.APIResources[i]
			if strings.Contains(r.Name, "/") || !slices.Contains(r.Verbs, "patch") {
				continue
			}
			k := Kind{Group: group, Version: version, Name: r.Kind, Resource: r.Name, Namespaced: r.Namespaced}
			gk := k.GroupKind()
			if version == preferred[group] {
				served[gk] = slices.Insert(served[gk], 0, k)
			} else {
				served[gk] = append(served[gk], k)
			}
		}
	}
	return served
}

// mustJSON encodes a value that cannot fail to encode.
func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}
