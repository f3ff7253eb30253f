package main

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// fault answers a write of a Secret in the API server's place. What it answers
// quotes the request, as API servers, webhooks and proxies do.
type fault func(w http.ResponseWriter, body []byte)

// refusal is a Status that says body wherever a Status has room for words.
func refusal(code int, reason metav1.StatusReason) fault {
	return func(w http.ResponseWriter, body []byte) {
		said := string(body)
		answer(w, code, metav1.Status{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure,
			Code: int32(code), Reason: reason, Message: "admission webhook denied the request: " + said,
			Details: &metav1.StatusDetails{
				Name: "session", Kind: "secrets",
				Causes: []metav1.StatusCause{{Type: metav1.CauseTypeFieldValueInvalid, Field: "data", Message: said}},
			},
		})
	}
}

func answer(w http.ResponseWriter, code int, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(text)
}

// faults by name. Those that Plumbline tries again are over after a while.
func faults() map[string]fault {
	all := map[string]fault{
		"400": refusal(http.StatusBadRequest, metav1.StatusReasonBadRequest),
		"401": refusal(http.StatusUnauthorized, metav1.StatusReasonUnauthorized),
		"403": refusal(http.StatusForbidden, metav1.StatusReasonForbidden),
		"404": refusal(http.StatusNotFound, metav1.StatusReasonNotFound),
		"409": refusal(http.StatusConflict, metav1.StatusReasonConflict),
		"413": refusal(http.StatusRequestEntityTooLarge, metav1.StatusReasonRequestEntityTooLarge),
		"422": refusal(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid),
		"429": refusal(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests),
		"500": refusal(http.StatusInternalServerError, metav1.StatusReasonInternalError),
		"504": refusal(http.StatusGatewayTimeout, metav1.StatusReasonTimeout),
		"the body as reason, type and field": func(w http.ResponseWriter, body []byte) {
			said := string(body)
			answer(w, http.StatusUnprocessableEntity, metav1.Status{
				TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: http.StatusUnprocessableEntity,
				Reason: metav1.StatusReason(said), Message: said,
				Details: &metav1.StatusDetails{Name: said, Kind: said, Group: said, Causes: []metav1.StatusCause{
					{Type: metav1.CauseType(said), Field: said, Message: said}, {Type: metav1.CauseTypeFieldManagerConflict, Field: "." + said, Message: said},
				}},
			})
		},
		"a conflict with managers named like values": func(w http.ResponseWriter, body []byte) {
			said := string(body)
			answer(w, http.StatusConflict, metav1.Status{
				TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: http.StatusConflict,
				Reason: metav1.StatusReasonConflict, Message: said,
				Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: metav1.CauseTypeFieldManagerConflict, Field: ".data.SESSION_KEY", Message: said}}},
			})
		},
		"plain text": func(w http.ResponseWriter, body []byte) { http.Error(w, string(body), http.StatusBadGateway) },
		"a page": func(w http.ResponseWriter, body []byte) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusForbidden)
			_, _ = fmt.Fprintf(w, "<h1>%s</h1>", body)
		},
		"a type that is none": func(w http.ResponseWriter, body []byte) {
			w.Header().Set("Content-Type", "application/"+url.QueryEscape(string(body))[:200])
			_, _ = w.Write(body)
		},
		"broken JSON": func(w http.ResponseWriter, body []byte) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusOK)
			_, _ = w.Write(body[:len(body)-3])
		},
		"a warning": func(w http.ResponseWriter, body []byte) {
			w.Header().Set("Warning", fmt.Sprintf("299 - %q", body))
			refusal(http.StatusBadRequest, metav1.StatusReasonBadRequest)(w, body)
		},
		"a redirect": func(w http.ResponseWriter, body []byte) {
			w.Header().Set("Location", "https://127.0.0.1:1/"+url.PathEscape(string(body)))
			w.WriteHeader(http.StatusTemporaryRedirect)
		},
		"the whole object": func(w http.ResponseWriter, body []byte) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusOK)
			_, _ = w.Write(body)
		},
		"a cut connection": func(w http.ResponseWriter, _ []byte) { panic(http.ErrAbortHandler) },
		"a connection cut in the answer": func(w http.ResponseWriter, body []byte) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", fmt.Sprint(len(body)+100))
			_, _ = w.Write(body)
			panic(http.ErrAbortHandler)
		},
	}
	return all
}

// faultProxy stands in front of the API server.
type faultProxy struct {
	next http.Handler

	mu     sync.Mutex
	fault  fault // of writes of Secrets; nil: none
	left   int   // that often
	quoted int   // writes that met the fault
}

// newFaultProxy starts a proxy for the site, which from then on uses it.
func newFaultProxy(t *testing.T, s *canarySite) *faultProxy {
	t.Helper()
	cfg := s.cluster.Config()
	target, err := url.Parse(cfg.Host)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TransportFor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	p := &faultProxy{next: &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     transport,
		FlushInterval: -1,
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}}
	server := httptest.NewTLSServer(p)
	t.Cleanup(server.CloseClientConnections)
	t.Cleanup(server.Close)
	kc := clientcmdapi.NewConfig()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	kc.Clusters["proxy"] = &clientcmdapi.Cluster{Server: server.URL, CertificateAuthorityData: ca}
	kc.AuthInfos["admin"] = &clientcmdapi.AuthInfo{Token: cfg.BearerToken}
	kc.Contexts["proxy"] = &clientcmdapi.Context{Cluster: "proxy", AuthInfo: "admin"}
	kc.CurrentContext = "proxy"
	s.kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*kc, s.kubeconfig); err != nil {
		t.Fatal(err)
	}
	return p
}

// ServeHTTP implements http.Handler.
func (p *faultProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPatch && strings.Contains(r.URL.Path, "/secrets/") {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		if f := p.take(); f != nil {
			f(w, body)
			return
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	}
	p.next.ServeHTTP(w, r)
}

func (p *faultProxy) take() fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fault == nil || p.left == 0 {
		return nil
	}
	p.left--
	p.quoted++
	return p.fault
}

// set makes the next writes of Secrets meet f, and is how many met the fault
// before.
func (p *faultProxy) set(f fault, left int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.quoted
	p.fault, p.left, p.quoted = f, left, 0
	return n
}

// Errors that quote the request, of creates, of changes and of heals: what
// apply says of them, the daemon's log, and the statuses that it posts. The
// faults are dealt to sites side by side, because most of the time is spent
// waiting for another try.
func TestCanariesInAPIErrors(t *testing.T) {
	t.Parallel()
	all := faults()
	names := slices.Sorted(maps.Keys(all))
	for hand := range slices.Chunk(names, 3) {
		t.Run(strings.Join(hand, ", "), func(t *testing.T) {
			t.Parallel()
			s := newCanarySite(t)
			p := newFaultProxy(t, s)
			for i, name := range hand {
				what := "a create that meets "
				if i > 0 {
					what = "a change that meets "
					writeFiles(t, s.repo, secretsOf(s.c, s.project))
				}
				p.set(all[name], 5) // each Secret once; what is tried again, works then
				o := plumblineIn(t, s.repo, append([]string{"apply"}, s.flags()...)...)
				s.c.none(t, what+name, o.all())
				if n := p.set(nil, 0); n == 0 {
					t.Errorf("%s%s: no write of a Secret met it", what, name)
				}
			}
			s.quiet(0, "apply")
			s.underDaemon(p, all, hand)
			s.search()
		})
	}
}

// underDaemon lets a daemon meet the faults, in commits and in a heal.
func (s *canarySite) underDaemon(p *faultProxy, all map[string]fault, names []string) {
	s.t.Helper()
	d := startCanaryDaemon(s.t, "--config", s.config())
	d.waitFor("in sync")
	p.set(all[names[0]], 1)
	s.editSecret("session", "SESSION_KEY")
	d.waitFor("not healed", "session")
	for _, name := range names {
		p.set(all[name], 5)
		sha := s.commit(secretsOf(s.c, s.project))
		d.waitFor("not applied as a whole", sha[:7])
		if n := p.set(nil, 0); n == 0 {
			s.t.Errorf("no write of a Secret met %s", name)
		}
	}
	sha := s.commit(secretsOf(s.c, s.project))
	d.waitFor("in sync", sha[:7])
	s.c.none(s.t, "the daemon", d.stop())
}
