// Package cluster is Plumbline's way to a Kubernetes API server.
//
// It sends the few kinds of requests that Plumbline makes, each marked with
// its class in the user agent, asks for metadata only wherever bodies are not
// needed, and turns every failure into a plumbline.Error whose text cannot
// hold the value of a Secret. It decides nothing and keeps nothing but the
// discovery of kinds.
package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metainternalversionscheme "k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	coordinationv1client "k8s.io/client-go/kubernetes/typed/coordination/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"github.com/plumbline-dev/plumbline"
)

// Class tells what a request is for. It stands in the user agent, so that an
// audit log can count requests by class.
type Class string

// The classes of requests.
const (
	ClassObject Class = "object" // reads and writes of managed objects
	ClassWatch  Class = "watch"
	ClassState  Class = "state" // inventory, environment record, orders, Events, discovery, installation
	ClassLease  Class = "lease" // leader election
)

const partial = "as=PartialObjectMetadata;g=meta.k8s.io;v=v1"

// acceptMetadata asks for metadata and nothing else: no fallback to whole
// objects is offered.
const (
	acceptMetadata     = "application/vnd.kubernetes.protobuf;" + partial + ",application/json;" + partial
	acceptMetadataList = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
)

// Options of a Client.
type Options struct {
	Config    *rest.Config
	Version   string // Plumbline's own, for the user agent
	UserAgent string // appended to the user agent; tests tell their requests apart by it
	// Observe, if set, is told of every request that was answered.
	Observe func(class Class, verb string, code int)

	// Timeout bounds every request but a watch; 0 means 60 s, which is the API
	// server's own limit. A write that runs into it may have been done.
	Timeout time.Duration
	// Silence is how long a watch may say nothing before it is opened anew; 0
	// means 3 min. An API server that lives sends a bookmark each minute.
	Silence time.Duration
}

const (
	defaultTimeout = 60 * time.Second
	defaultSilence = 3 * time.Minute
)

// Client sends requests to one API server. It is safe for concurrent use.
type Client struct {
	rest   *rest.RESTClient
	bulk   *bulk
	config *rest.Config // for discovery
	http   *http.Client
	kinds  *kinds
	agents map[Class]string

	timeout, silence time.Duration
}

// New makes a Client; it sends nothing.
func New(o Options) (*Client, error) {
	cfg := rest.CopyConfig(o.Config)
	cfg.WarningHandler = rest.NoWarnings{} // warnings quote what they warn of
	cfg.QPS = -1                           // the API server's own priority and fairness is the limit
	cfg.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	cfg.ContentType = "application/json"
	cfg.NegotiatedSerializer = metainternalversionscheme.Codecs.WithoutConversion()
	cfg.GroupVersion = &schema.GroupVersion{}
	cfg.APIPath = "/unused"
	agents := map[Class]string{}
	for _, c := range []Class{ClassObject, ClassWatch, ClassState, ClassLease} {
		agents[c] = fmt.Sprintf("plumbline/%s (%s)%s", o.Version, c, o.UserAgent)
	}
	cfg.UserAgent = agents[ClassState]
	if o.Observe != nil {
		cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
			return &observer{next: next, observe: o.Observe, agents: agents}
		})
	}
	hc, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, &plumbline.Error{Op: "connect to cluster", Kind: plumbline.KindUsage, Err: err}
	}
	rc, err := rest.RESTClientForConfigAndClient(cfg, hc)
	if err != nil {
		return nil, &plumbline.Error{Op: "connect to cluster", Kind: plumbline.KindUsage, Err: err}
	}
	many, err := newBulk(cfg)
	if err != nil {
		return nil, &plumbline.Error{Op: "connect to cluster", Kind: plumbline.KindUsage, Err: err}
	}
	return &Client{
		rest: rc, bulk: many, config: cfg, http: hc, kinds: newKinds(), agents: agents,
		timeout: cmp.Or(o.Timeout, defaultTimeout), silence: cmp.Or(o.Silence, defaultSilence),
	}, nil
}

// Core is the typed client of Plumbline's own ConfigMaps, Secret and Events:
// the same connections, requests of class state. Their watches are of class
// watch.
func (c *Client) Core() (corev1client.CoreV1Interface, error) {
	cfg, hc := c.typed(ClassState)
	core, err := corev1client.NewForConfigAndClient(cfg, hc)
	if err != nil {
		return nil, &plumbline.Error{Op: "connect to cluster", Kind: plumbline.KindUsage, Err: err}
	}
	return core, nil
}

// Leases is the typed client of Leases.
func (c *Client) Leases() (coordinationv1client.CoordinationV1Interface, error) {
	cfg, hc := c.typed(ClassLease)
	leases, err := coordinationv1client.NewForConfigAndClient(cfg, hc)
	if err != nil {
		return nil, &plumbline.Error{Op: "connect to cluster", Kind: plumbline.KindUsage, Err: err}
	}
	return leases, nil
}

// typed is what a typed client needs to send requests of a class.
func (c *Client) typed(class Class) (*rest.Config, *http.Client) {
	cfg := rest.CopyConfig(c.config)
	cfg.NegotiatedSerializer, cfg.GroupVersion, cfg.APIPath, cfg.ContentType = nil, nil, "", ""
	cfg.UserAgent = c.agents[class]
	hc := *c.http
	hc.Transport = classed{next: c.http.Transport, agent: c.agents[class], watch: c.agents[ClassWatch]}
	return cfg, &hc
}

// classed names the class of requests that a typed client sends: it knows one
// user agent, and watches are a class of their own.
type classed struct {
	next         http.RoundTripper
	agent, watch string
}

// RoundTrip implements http.RoundTripper.
func (c classed) RoundTrip(r *http.Request) (*http.Response, error) {
	agent := c.agent
	if r.URL.Query().Get("watch") == "true" {
		agent = c.watch
	}
	out := r.Clone(r.Context())
	out.Header.Set("User-Agent", agent)
	return c.next.RoundTrip(out)
}

// discover makes a client for discovery whose requests end with ctx: its own
// methods take none.
func (c *Client) discover(ctx context.Context) (discovery.DiscoveryInterface, error) {
	hc := *c.http
	hc.Transport = bound{ctx: ctx, next: c.http.Transport}
	dc, err := discovery.NewDiscoveryClientForConfigAndClient(c.config, &hc)
	if err != nil {
		return nil, &plumbline.Error{Op: "discover kinds", Kind: plumbline.KindUsage, Err: err}
	}
	return dc, nil
}

// bound sends every request in one context.
type bound struct {
	ctx  context.Context //nolint:containedctx // the caller of the round trip has none to give
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (b bound) RoundTrip(r *http.Request) (*http.Response, error) {
	return b.next.RoundTrip(r.WithContext(b.ctx))
}

// observer tells of every answered request.
type observer struct {
	next    http.RoundTripper
	observe func(Class, string, int)
	agents  map[Class]string
}

// WrappedRoundTripper implements utilnet.RoundTripperWrapper.
func (o *observer) WrappedRoundTripper() http.RoundTripper { return o.next }

// RoundTrip implements http.RoundTripper.
func (o *observer) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := o.next.RoundTrip(r)
	if err != nil {
		return resp, err
	}
	class := ClassState
	for c, agent := range o.agents {
		if r.UserAgent() == agent {
			class = c
		}
	}
	o.observe(class, r.Method, resp.StatusCode)
	return resp, nil
}

// request prepares a request for the object, or with no name for the
// collection, of ref.
func (c *Client) request(r *rest.Request, class Class, k Kind, ns, name string) *rest.Request {
	path := []string{"apis", k.Group, k.Version}
	if k.Group == "" {
		path = []string{"api", k.Version}
	}
	if k.Namespaced && ns != "" {
		path = append(path, "namespaces", ns)
	}
	path = append(path, k.Resource)
	if name != "" {
		path = append(path, name)
	}
	return r.AbsPath(path...).SetHeader("User-Agent", c.agents[class])
}

// do sends a request once and waits for its answer, not longer than the
// timeout. client-go would wait and send again where the API server asks for
// it; whoever calls us has others to serve meanwhile, and tries again himself.
func (c *Client) do(ctx context.Context, r *rest.Request) rest.Result {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	return r.MaxRetries(0).Do(ctx)
}

// Apply describes one server-side apply.
type Apply struct {
	Ref     plumbline.Ref
	Version string // API version to apply in, without its group
	Body    []byte // the whole request body
	Force   bool
	DryRun  bool
	Bulk    bool // it is one of many: see EndBulk
}

// Apply sends one server-side apply and returns the metadata of the object
// after it, and whether the apply created it.
//
// Fields that the schema does not have are refused by the merge itself. What
// strict validation would add is to look for keys that are there twice, which
// canonical JSON has none of; for that the API server parses the body once
// more, a sixth of all that an apply costs it.
func (c *Client) Apply(ctx context.Context, a Apply) (*metav1.ObjectMeta, bool, error) {
	k, err := c.Kind(ctx, a.Ref.GroupKind(), a.Version)
	if err != nil {
		return nil, false, err
	}
	via := c.rest
	if a.Bulk {
		via = c.bulk.rest
	}
	r := c.request(via.Patch(types.ApplyPatchType), ClassObject, k, a.Ref.Namespace, a.Ref.Name).
		Param("fieldManager", plumbline.FieldManager).
		Param("fieldValidation", metav1.FieldValidationIgnore).
		SetHeader("Accept", acceptMetadata).
		Body(a.Body)
	if a.Force {
		r.Param("force", "true")
	}
	if a.DryRun {
		r.Param("dryRun", metav1.DryRunAll)
	}
	code := 0
	m, err := metaOf(a.Ref, c.do(ctx, r).StatusCode(&code))
	if err != nil {
		return nil, false, Classify("apply", a.Ref, err)
	}
	return m, code == http.StatusCreated, nil
}

// Patch sends a JSON patch and returns the metadata of the object after it. A
// test operation that fails is ErrConflict.
func (c *Client) Patch(ctx context.Context, ref plumbline.Ref, version string, body []byte) (*metav1.ObjectMeta, error) {
	k, err := c.Kind(ctx, ref.GroupKind(), version)
	if err != nil {
		return nil, err
	}
	m, err := metaOf(ref, c.do(ctx, c.request(c.rest.Patch(types.JSONPatchType), ClassObject, k, ref.Namespace, ref.Name).
		Param("fieldManager", plumbline.FieldManager).
		SetHeader("Accept", acceptMetadata).
		Body(body)))
	if apierrors.IsInvalid(err) {
		return nil, &plumbline.Error{Op: "patch", Ref: ref, Err: ErrConflict}
	}
	if err != nil {
		return nil, Classify("patch", ref, err)
	}
	return m, nil
}

// Precondition of a delete: what the object must still be.
type Precondition struct {
	UID             string
	ResourceVersion string // any, when empty
}

// Delete deletes the object of ref if it still is what pre says. It returns
// nil metadata when the object is gone, and its metadata when finalizers are
// pending.
func (c *Client) Delete(ctx context.Context, ref plumbline.Ref, version string, pre Precondition) (*metav1.ObjectMeta, error) {
	k, err := c.Kind(ctx, ref.GroupKind(), version)
	if err != nil {
		return nil, err
	}
	uid := types.UID(pre.UID)
	opts := metav1.DeleteOptions{
		TypeMeta:      metav1.TypeMeta{APIVersion: "v1", Kind: "DeleteOptions"},
		Preconditions: &metav1.Preconditions{UID: &uid},
	}
	if pre.ResourceVersion != "" {
		opts.Preconditions.ResourceVersion = &pre.ResourceVersion
	}
	policy := metav1.DeletePropagationBackground
	opts.PropagationPolicy = &policy
	res := c.do(ctx, c.request(c.rest.Delete(), ClassObject, k, ref.Namespace, ref.Name).
		SetHeader("Accept", acceptMetadata+",application/json").
		SetHeader("Content-Type", "application/json").
		Body(mustJSON(opts)))
	obj, err := res.Get()
	if err != nil {
		return nil, Classify("delete", ref, err)
	}
	switch o := obj.(type) {
	case *metav1.Status:
		return nil, nil
	case *metav1.PartialObjectMetadata:
		switch {
		case !about(o, ref):
			return nil, &plumbline.Error{Op: "delete", Ref: ref, Err: errOther}
		case o.DeletionTimestamp != nil:
			return &o.ObjectMeta, nil
		default:
			return nil, nil
		}
	default:
		return nil, &plumbline.Error{Op: "delete", Ref: ref, Err: fmt.Errorf("the API server answered with %T", obj)}
	}
}

// Get reads the metadata of one object.
func (c *Client) Get(ctx context.Context, ref plumbline.Ref, version string) (*metav1.ObjectMeta, error) {
	k, err := c.Kind(ctx, ref.GroupKind(), version)
	if err != nil {
		return nil, err
	}
	m, err := metaOf(ref, c.do(ctx, c.request(c.rest.Get(), ClassObject, k, ref.Namespace, ref.Name).
		SetHeader("Accept", acceptMetadata)))
	if err != nil {
		return nil, Classify("read", ref, err)
	}
	return m, nil
}

// List reads the metadata of every object of a kind, in one namespace or with
// ns "" in all of them. It is the present state, not that of a cache behind it,
// and whole or an error: whoever answers in parts is asked for all of them.
func (c *Client) List(ctx context.Context, k Kind, ns string) ([]metav1.PartialObjectMetadata, error) {
	var items []metav1.PartialObjectMetadata
	for part := ""; ; {
		r := c.request(c.rest.Get(), ClassObject, k, ns, "").SetHeader("Accept", acceptMetadataList)
		if part != "" {
			r.Param("continue", part)
		}
		obj, err := c.do(ctx, r).Get()
		if err != nil {
			return nil, Classify("list", plumbline.Ref{Group: k.Group, Kind: k.Name}, err)
		}
		list, ok := obj.(*metav1.PartialObjectMetadataList)
		if !ok {
			return nil, plumbline.Errorf(plumbline.KindInternal, "list "+k.GroupKind().String(), "the API server answered with %T, not metadata", obj)
		}
		items = append(items, list.Items...)
		if part = list.Continue; part == "" {
			return items, nil
		}
	}
}

func metaOf(ref plumbline.Ref, r rest.Result) (*metav1.ObjectMeta, error) {
	obj, err := r.Get()
	if err != nil {
		if runtime.IsNotRegisteredError(err) {
			return nil, errors.New("the API server answered with a whole object where metadata was asked for")
		}
		return nil, err
	}
	p, ok := obj.(*metav1.PartialObjectMetadata)
	if !ok {
		return nil, fmt.Errorf("the API server answered with %T, not metadata", obj)
	}
	if !about(p, ref) {
		return nil, errOther
	}
	return &p.ObjectMeta, nil
}

// errOther is of an answer that must have come from elsewhere.
var errOther = errors.New("the API server answered about another object")

func about(p *metav1.PartialObjectMetadata, ref plumbline.Ref) bool {
	return p.Name == ref.Name && p.Namespace == ref.Namespace && p.UID != ""
}
