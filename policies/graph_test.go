package policies

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plumbline-dev/plumbline"
)

// peer is a service, "shop/web" or "shop/web@v1", with lists like "shop/cart ops/*". The line of an entry is
// its place in its list, that of the service 0.
func peer(name, upstreams, whitelist string) plumbline.Peer {
	refs := func(list, file string) (out []plumbline.PeerRef) {
		for i, s := range strings.Fields(list) {
			project, service, _ := strings.Cut(s, "/")
			out = append(out, plumbline.PeerRef{Project: project, Service: service, Origin: plumbline.Origin{Path: name + file, Line: i + 1}})
		}
		return out
	}
	p := plumbline.Peer{Origin: plumbline.Origin{Path: name}, Upstreams: refs(upstreams, "/up"), Whitelist: refs(whitelist, "/white")}
	name, p.Version, _ = strings.Cut(name, "@")
	p.Service.Project, p.Service.Service, _ = strings.Cut(name, "/")
	return p
}

// unrouted is a peer to which no route leads.
func unrouted(p plumbline.Peer) plumbline.Peer {
	p.Reach = plumbline.ReachUnrouted
	return p
}

// calls is "a>b" for each call.
func calls(g Graph) string {
	var out []string
	for _, n := range g.Nodes {
		for _, c := range n.Calls {
			out = append(out, n.Endpoint.String()+">"+c.Endpoint.String())
		}
	}
	return strings.Join(out, " ")
}

func TestCallGraph(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		peers []plumbline.Peer
		want  string
	}{
		"both sides":           {[]plumbline.Peer{peer("shop/web", "shop/cart", ""), peer("shop/cart", "", "shop/web")}, "shop/web>shop/cart"},
		"only upstream":        {[]plumbline.Peer{peer("shop/web", "shop/cart", ""), peer("shop/cart", "", "")}, ""},
		"only whitelist":       {[]plumbline.Peer{peer("shop/web", "", ""), peer("shop/cart", "", "shop/web")}, ""},
		"every service":        {[]plumbline.Peer{peer("shop/web", "shop/*", ""), peer("shop/cart", "", "shop/*"), peer("bank/vault", "shop/*", "shop/*")}, "shop/web>shop/cart"},
		"every project":        {[]plumbline.Peer{peer("shop/web", "*/*", "*/*"), peer("bank/vault", "*/x", "*/")}, "bank/vault>shop/web shop/web>bank/vault"},
		"one name elsewhere":   {[]plumbline.Peer{peer("shop/web", "shop/cart", ""), peer("bank/cart", "", "shop/web")}, ""},
		"itself":               {[]plumbline.Peer{peer("shop/web", "*/*", "*/*")}, ""},
		"two versions, merged": {[]plumbline.Peer{peer("shop/web", "shop/cart", ""), peer("shop/web", "shop/cart", ""), peer("shop/cart", "", "shop/web"), peer("shop/cart", "", "")}, "shop/web>shop/cart"},
		"nobody defines it":    {[]plumbline.Peer{peer("shop/web", "shop/ghost", "")}, ""},
		"always allowed":       {[]plumbline.Peer{peer("ops/probe", "shop/cart", ""), peer("shop/cart", "ops/probe", "")}, "ops/probe>shop/cart"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, calls(CallGraph(tt.peers, []string{"ops"}))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Of each call the graph names the two lines that allow it, of each half the
// line that is there and the service where the other is missing.
func TestCallGraphNamesLines(t *testing.T) {
	t.Parallel()
	g := CallGraph([]plumbline.Peer{
		peer("shop/web", "shop/cart shop/ledger", "*/*"),
		peer("shop/cart", "", "shop/search shop/web istio-system/*"),
		peer("shop/ledger", "", ""),
		peer("shop/search", "", "shop/*"),
	}, nil)
	at := func(path string, line int) plumbline.Origin { return plumbline.Origin{Path: path, Line: line} }
	half := func(service string, origin, missing plumbline.Origin) []Half {
		return []Half{{Endpoint: Endpoint{"shop", service}, Origin: origin, Missing: missing}}
	}
	one, only := []Version{{}}, Versions{From: []string{""}, To: []string{""}}
	want := []Node{
		{
			Endpoint: Endpoint{"shop", "cart"}, Origin: at("shop/cart", 0), Versions: one, Calls: []Call{},
			Outside: []plumbline.PeerRef{{Project: "istio-system", Service: "*", Origin: at("shop/cart/white", 3)}},
			Unused:  half("search", at("shop/cart/white", 1), at("shop/search", 0)),
		},
		{Endpoint: Endpoint{"shop", "ledger"}, Origin: at("shop/ledger", 0), Versions: one, Calls: []Call{}, Closed: true},
		{Endpoint: Endpoint{"shop", "search"}, Origin: at("shop/search", 0), Versions: one, Calls: []Call{}},
		{
			Endpoint: Endpoint{"shop", "web"}, Origin: at("shop/web", 0), Versions: one, Open: true, OpenAt: at("shop/web/white", 1),
			Calls:   []Call{{Endpoint: Endpoint{"shop", "cart"}, Upstream: at("shop/web/up", 1), Whitelist: at("shop/cart/white", 2), Versions: only}},
			Refused: half("ledger", at("shop/web/up", 2), at("shop/ledger", 0)),
		},
	}
	if diff := cmp.Diff(want, g.Nodes); diff != "" {
		t.Error(diff)
	}
	var said []string
	for _, v := range g.Warnings() {
		said = append(said, v.Code+" "+v.String())
	}
	if diff := cmp.Diff([]string{
		"PL8102 shop/search: warning: shop/search has a whitelist, and nobody in it has shop/search among its upstreams: nobody may call it",
		"PL8101 shop/web/white:1: warning: shop/web is open to everyone in the mesh",
	}, said); diff != "" {
		t.Error(diff)
	}
}

// versions is "a>b" for each call with the versions that may: those by name, and
// after "|" those by hosts of their own.
func versions(g Graph) string {
	var out []string
	pairs := func(v Versions) string {
		return fmt.Sprintf("%s>%s", strings.Join(v.From, "+"), strings.Join(v.To, "+"))
	}
	for _, n := range g.Nodes {
		for _, c := range n.Calls {
			s := fmt.Sprintf("%s>%s %s", n.Service, c.Service, pairs(c.Versions))
			if !c.Straight.None() {
				s += "|" + pairs(c.Straight)
			}
			out = append(out, s)
		}
	}
	return strings.Join(out, ", ")
}

// A call is one of a version that has it among its upstreams, to a version that
// admits it and to which it gets.
func TestCallGraphVersions(t *testing.T) {
	t.Parallel()
	web := []plumbline.Peer{peer("s/web@v1", "s/cart", ""), peer("s/web@v2", "s/*", ""), peer("s/web@v3", "", "")}
	portless := peer("s/cart@v1", "", "s/web")
	portless.Reach = plumbline.ReachPortless
	away := unrouted(peer("s/cart@v1", "", "s/web"))
	away.Away = true
	for name, tt := range map[string]struct {
		from, to []plumbline.Peer
		want     string
		refused  bool
	}{
		"one that lists it":       {web[:1], []plumbline.Peer{peer("s/cart@v1", "", "s/web")}, "web>cart v1>v1", false},
		"not all list it":         {web, []plumbline.Peer{peer("s/cart@v1", "", "s/web")}, "web>cart v1+v2>v1|v2>v1", false},
		"not all admit it":        {web[:1], []plumbline.Peer{peer("s/cart@v1", "", "s/web"), peer("s/cart@v2", "", "")}, "web>cart v1>v1", false},
		"no route leads to one":   {web[:1], []plumbline.Peer{peer("s/cart@v1", "", "s/web"), unrouted(peer("s/cart@v2", "", "s/web"))}, "web>cart v1>v1", false},
		"by a host of its own":    {web[1:2], []plumbline.Peer{unrouted(peer("s/cart@v2", "", "s/web"))}, "web>cart v2>|v2>v2", false},
		"the routed one does not": {web[:1], []plumbline.Peer{peer("s/cart@v1", "", ""), unrouted(peer("s/cart@v2", "", "s/web"))}, "", true},
		"no port":                 {web[:1], []plumbline.Peer{portless}, "", true},
		"out of the mesh":         {web[:1], []plumbline.Peer{away}, "web>cart v1>", false},
		"always allowed":          {[]plumbline.Peer{peer("ops/probe@v1", "s/cart", "")}, []plumbline.Peer{peer("s/cart@v1", "", ""), unrouted(peer("s/cart@v2", "", ""))}, "probe>cart v1>v1", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := CallGraph(slices.Concat(tt.from, tt.to), []string{"ops"})
			if diff := cmp.Diff(tt.want, versions(g)); diff != "" {
				t.Error(diff)
			}
			said := slices.ContainsFunc(g.Warnings(), func(v plumbline.Violation) bool { return v.Code == CodeUnreached })
			if said != tt.refused {
				t.Errorf("that the call is refused is said: %t", said)
			}
		})
	}
}

func TestOnly(t *testing.T) {
	t.Parallel()
	g := CallGraph([]plumbline.Peer{
		peer("a/x", "b/x", ""), peer("b/x", "c/x", "a/x"), peer("c/x", "d/x", "b/x"), peer("d/x", "", "c/x"), peer("b/lone", "", ""),
	}, nil)
	for projects, want := range map[string]string{
		"":    "a/x>b/x b/x>c/x c/x>d/x | a/x b/lone b/x c/x d/x",
		"b":   "a/x>b/x b/x>c/x | a/x b/lone b/x c/x",
		"a d": "a/x>b/x c/x>d/x | a/x b/x c/x d/x",
		"z":   " | ",
	} {
		only := g.Only(strings.Fields(projects))
		var names []string
		for _, n := range only.Nodes {
			names = append(names, n.Endpoint.String())
		}
		if got := calls(only) + " | " + strings.Join(names, " "); got != want {
			t.Errorf("only %q: %s, want %s", projects, got, want)
		}
	}
}

// The graph is what its sentence says, for all sets of services: an edge
// exists when a version names the other and one of that, to which calls get,
// admits it.
func TestCallGraphIsItsDefinition(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		names := []string{"a/x", "a/y", "b/x", "b/y"}
		rules := rapid.SliceOfN(rapid.SampledFrom(append(slices.Clone(names), "a/*", "b/*", "*/*", "c/*", "a/z")), 0, 3)
		var peers []plumbline.Peer
		for _, n := range names {
			for _, version := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"v1", "v2"}), 1, 2, rapid.ID).Draw(t, "versions") {
				p := peer(n+"@"+version, strings.Join(rules.Draw(t, "upstreams"), " "), strings.Join(rules.Draw(t, "whitelist"), " "))
				p.Reach = rapid.SampledFrom([]plumbline.Reach{plumbline.ReachRouted, plumbline.ReachUnrouted, plumbline.ReachPortless}).Draw(t, "reach")
				peers = append(peers, p)
			}
		}
		names1 := func(rules []plumbline.PeerRef, e string) bool {
			project, _, _ := strings.Cut(e, "/")
			return slices.ContainsFunc(rules, func(r plumbline.PeerRef) bool {
				rule := r.Project + "/" + r.Service
				return rule == "*/*" || rule == project+"/*" || rule == e
			})
		}
		var want []string
		for _, from := range peers {
			for _, to := range peers {
				a, b := from.Service.Project+"/"+from.Service.Service, to.Service.Project+"/"+to.Service.Service
				reached := to.Reach == plumbline.ReachRouted || to.Reach == plumbline.ReachUnrouted && names1(from.Upstreams, to.Service.Project+"/*")
				if a != b && names1(from.Upstreams, b) && names1(to.Whitelist, a) && reached {
					want = append(want, a+">"+b)
				}
			}
		}
		slices.Sort(want)
		want = slices.Compact(want)
		if got := calls(CallGraph(peers, nil)); got != strings.Join(want, " ") {
			t.Fatalf("%s\nwant %s\npeers %s", got, strings.Join(want, " "), fmt.Sprint(peers))
		}
	})
}
