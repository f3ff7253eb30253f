package cluster

import (
	"context"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// ListWatch lists and watches the metadata of one kind, in all namespaces,
// narrowed by a label selector.
func (c *Client) ListWatch(k Kind, selector string) cache.ListerWatcherWithContext {
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			ctx, cancel := context.WithTimeout(ctx, c.timeout)
			defer cancel()
			return c.listOptions(c.request(c.rest.Get(), ClassWatch, k, "", "").SetHeader("Accept", acceptMetadataList), o, selector).Do(ctx).Get()
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.Watch = true
			return listen(ctx, c.silence, func(ctx context.Context) (watch.Interface, error) {
				return c.listOptions(c.request(c.rest.Get(), ClassWatch, k, "", "").SetHeader("Accept", acceptMetadata), o, selector).Watch(ctx)
			})
		},
	}
}

func (c *Client) listOptions(r *rest.Request, o metav1.ListOptions, selector string) *rest.Request {
	r.Param("labelSelector", selector)
	set := func(key, value string) {
		if value != "" {
			r.Param(key, value)
		}
	}
	set("resourceVersion", o.ResourceVersion)
	set("resourceVersionMatch", string(o.ResourceVersionMatch))
	set("continue", o.Continue)
	if o.Limit > 0 {
		set("limit", strconv.FormatInt(o.Limit, 10))
	}
	if o.TimeoutSeconds != nil {
		set("timeoutSeconds", strconv.FormatInt(*o.TimeoutSeconds, 10))
	}
	if o.Watch {
		set("watch", "true")
	}
	if o.AllowWatchBookmarks {
		set("allowWatchBookmarks", "true")
	}
	if o.SendInitialEvents != nil {
		set("sendInitialEvents", strconv.FormatBool(*o.SendInitialEvents))
	}
	return r
}
