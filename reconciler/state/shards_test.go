package state

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"unique"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"pgregory.net/rapid"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/drift"
)

// writes holds ConfigMaps in memory, notes those that are written, and fails the
// nth from now.
type writes struct {
	corev1client.ConfigMapInterface // what is not used is nil
	held                            map[string]*corev1.ConfigMap
	names                           []string
	bytes                           int
	failAt                          int // 0: none
	version                         int
}

var errWrite = errors.New("the connection is gone")

func newWrites() *writes { return &writes{held: map[string]*corev1.ConfigMap{}} }

func (w *writes) write(cm *corev1.ConfigMap) (*corev1.ConfigMap, error) {
	w.names = append(w.names, strings.TrimPrefix(cm.Name, "plumbline-inventory-"))
	w.bytes += len(cm.BinaryData[keyEntries])
	if w.failAt == len(w.names) {
		return nil, errWrite
	}
	w.version++
	cm.ResourceVersion = strconv.Itoa(w.version)
	w.held[cm.Name] = cm.DeepCopy()
	return cm, nil
}

func (w *writes) Create(_ context.Context, cm *corev1.ConfigMap, _ metav1.CreateOptions) (*corev1.ConfigMap, error) {
	return w.write(cm)
}

func (w *writes) Update(_ context.Context, cm *corev1.ConfigMap, _ metav1.UpdateOptions) (*corev1.ConfigMap, error) {
	return w.write(cm)
}

func (w *writes) List(context.Context, metav1.ListOptions) (*corev1.ConfigMapList, error) {
	list := &corev1.ConfigMapList{}
	for _, cm := range w.held {
		list.Items = append(list.Items, *cm)
	}
	return list, nil
}

func (w *writes) save(tb testing.TB, s *Store, inv *Inventory) []string {
	tb.Helper()
	w.names, w.bytes = nil, 0
	if err := s.Save(tb.Context(), inv, nil, true); err != nil {
		tb.Fatal(err)
	}
	return w.names
}

// serviceEntry is object o of service i.
func serviceEntry(i, o int) Entry {
	e := entry(i*10 + o)
	e.Service = fmt.Sprintf("s%05d", i)
	return e
}

// fleet is n services of six objects, saved.
func fleet(tb testing.TB, n int) (*writes, *Store, *Inventory) {
	tb.Helper()
	w := newWrites()
	s, inv := New(w, "prod"), NewInventory()
	for i := range n {
		for o := range 6 {
			inv.Put(serviceEntry(i, o))
		}
	}
	w.save(tb, s, inv)
	return w, s, inv
}

// TestOneServiceIsOneShard: what is written for one changed service does not
// grow with the number of services.
func TestOneServiceIsOneShard(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ services, shards int }{{85, 1}, {500, 8}, {5000, 64}} {
		w, s, inv := fleet(t, c.services)
		if len(w.names) != c.shards {
			t.Errorf("%d services are %d shards, want %d", c.services, len(w.names), c.shards)
		}
		for o := range 6 {
			e := serviceEntry(7, o)
			e.Checksum = "changed"
			inv.Put(e)
		}
		if got := w.save(t, s, inv); len(got) != 1 || w.bytes > 64<<10 {
			t.Errorf("%d services: %v are written, %d bytes", c.services, got, w.bytes)
		}
		if got := w.save(t, s, inv); len(got) != 0 {
			t.Errorf("%d services: %v are written again", c.services, got)
		}
	}
}

// TestLargeShardsBecomeMore: entries that do not compress do not fit into one
// ConfigMap, though they are few.
func TestLargeShardsBecomeMore(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	w := newWrites()
	s, inv := New(w, "prod"), NewInventory()
	for i := range 400 {
		e := serviceEntry(i, 0)
		noise := make([]byte, 4<<10)
		for j := range noise {
			noise[j] = byte('!' + rng.IntN(90))
		}
		e.Verified.Fields = unique.Make(string(noise))
		inv.Put(e)
	}
	if got := w.save(t, s, inv); len(got) < 2 || got[len(got)-1] != "prod.shop" {
		t.Errorf("written: %v", got)
	}
	sameInventory(t, w, inv)
}

func sameInventory(tb testing.TB, w *writes, want *Inventory) {
	tb.Helper()
	l, err := New(w, "prod").Load(tb.Context())
	if err != nil || l.Damaged != nil {
		tb.Fatal(err, l.Damaged)
	}
	if diff := cmp.Diff(entriesOf(want), entriesOf(l.Inventory), byFields); diff != "" {
		tb.Fatalf("(-kept +read)\n%s", diff)
	}
}

func entriesOf(inv *Inventory) map[plumbline.Ref]Entry {
	out := map[plumbline.Ref]Entry{}
	for ref, e := range inv.Entries().All() {
		out[ref] = *e
	}
	return out
}

// TestSavesThatBreakOff: whatever happens to an inventory, and wherever a save
// of it ends, what the next process reads holds all that was saved before and
// not dropped since; and after a save that did not end, just what was saved.
func TestSavesThatBreakOff(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWrites()
		open := func() *Store {
			s := New(w, "prod")
			s.full = 16
			return s
		}
		s, inv := open(), NewInventory()
		saved := map[plumbline.Ref]bool{}
		for range rapid.IntRange(1, 6).Draw(t, "saves") {
			from, services := rapid.IntRange(0, 9).Draw(t, "first service"), rapid.IntRange(0, 14).Draw(t, "services")
			drop := rapid.IntRange(0, 3).Draw(t, "drop") == 0
			content := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "content")
			for i := from; i < from+services; i++ {
				for o := range 6 {
					e := serviceEntry(i, o)
					if drop {
						inv.Drop(e.Ref)
						delete(saved, e.Ref)
					} else {
						e.Checksum = content
						inv.Put(e)
					}
				}
			}
			w.names, w.failAt = nil, rapid.IntRange(0, 6).Draw(t, "fails at")
			plan := rapid.Bool().Draw(t, "plan")
			var err error
			if plan {
				err = s.Plan(context.WithoutCancel(t.Context()), inv, &Record{})
			} else {
				err = s.Save(context.WithoutCancel(t.Context()), inv, &Record{}, true)
			}
			w.failAt = 0
			l, loadErr := New(w, "prod").Load(context.WithoutCancel(t.Context()))
			if loadErr != nil || l.Damaged != nil {
				t.Fatal(loadErr, l.Damaged)
			}
			for ref := range saved {
				if _, ok := l.Inventory.Get(ref); !ok {
					t.Fatalf("%s was saved and is lost, after %v (%v)", ref, w.names, err)
				}
			}
			if err != nil {
				if rapid.Bool().Draw(t, "restart") {
					s = open()
					if l, err = s.Load(context.WithoutCancel(t.Context())); err != nil {
						t.Fatal(err)
					}
					inv = l.Inventory
					saved = refsOf(inv)
				}
				continue
			}
			if plan { // what was struck out may still be there
				if len(w.names) > 1 {
					t.Fatalf("a plan wrote %v", w.names)
				}
				for ref := range l.Inventory.Entries().All() {
					if _, ok := inv.Get(ref); !ok {
						l.Inventory.Drop(ref)
					}
				}
			}
			if diff := cmp.Diff(entriesOf(inv), entriesOf(l.Inventory), byFields); diff != "" {
				t.Fatalf("(-kept +read)\n%s", diff)
			}
			saved = refsOf(inv)
		}
	})
}

// TestPlan counts what is written before and after objects are, of a small
// inventory and of one whose plan is too large for one ConfigMap.
func TestPlan(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		services, room int
		plan, result   int // ConfigMaps
	}{{1, maxPlanned, 1, 2}, {5000, maxPlanned, 1, 65}, {1000, 64, 17, 17}} {
		w := newWrites()
		s, inv, rec := New(w, "prod"), NewInventory(), &Record{Run: 1}
		s.room = c.room
		for i := range c.services {
			for o := range 6 {
				e := serviceEntry(i, o)
				e.Checksum, e.UID, e.Verified = "", "", drift.Record{}
				inv.Put(e)
			}
		}
		if err := s.Plan(t.Context(), inv, rec); err != nil {
			t.Fatal(err)
		}
		if len(w.names) != c.plan {
			t.Errorf("%d services: the plan is %d writes, want %d", c.services, len(w.names), c.plan)
		}
		w.names = nil
		for i := range c.services {
			for o := range 6 {
				inv.Put(serviceEntry(i, o))
			}
		}
		if err := s.Save(t.Context(), inv, rec, false); err != nil {
			t.Fatal(err)
		}
		if len(w.names) != c.result {
			t.Errorf("%d services: the result is %d writes, want %d", c.services, len(w.names), c.result)
		}
		if len(w.held["plumbline-inventory-prod"].BinaryData[keyPlanned]) != 0 {
			t.Errorf("%d services: the plan is kept", c.services)
		}
	}
}

func refsOf(inv *Inventory) map[plumbline.Ref]bool {
	out := map[plumbline.Ref]bool{}
	for ref := range inv.Entries().All() {
		out[ref] = true
	}
	return out
}

// TestNamesOfShards: environments whose names begin alike, with projects that are
// named like the rest of them, have ConfigMaps of their own.
func TestNamesOfShards(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, env := range []string{"prod", "prod-eu", "prod-eu-shop"} {
		for _, project := range []string{"", "eu", "eu-shop", "shop", "2", "own"} {
			for shard := range 4 {
				s := New(nil, env)
				what, name := fmt.Sprintf("shard %d of %q in %s", shard, project, env), s.name(project, shard)
				if other, taken := seen[name]; taken {
					t.Errorf("%s and %s are both %s", other, what, name)
				}
				seen[name] = what
				if got := s.index(project, name); got != shard {
					t.Errorf("%s is taken for that of shard %d", name, got)
				}
			}
		}
	}
}

// TestDeletedShards deletes each ConfigMap of an inventory in turn: it is missed,
// and still is by whoever saves a record before that was made good.
func TestDeletedShards(t *testing.T) {
	t.Parallel()
	_, _, inv := fleet(t, 200)
	env := entry(0)
	env.Project, env.Service = "", ""
	inv.Put(env)
	first := newWrites()
	if err := New(first, "prod").Save(t.Context(), inv, &Record{}, true); err != nil {
		t.Fatal(err)
	}
	if len(first.held) < 4 {
		t.Fatalf("%d ConfigMaps: too few to mean something", len(first.held))
	}
	for name := range first.held {
		if name == "plumbline-inventory-prod" {
			continue // the record is in it: then nothing is known
		}
		w := newWrites()
		w.version = first.version
		for n, cm := range first.held {
			if n != name {
				w.held[n] = cm.DeepCopy()
			}
		}
		for range 2 {
			s := New(w, "prod")
			l, err := s.Load(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if l.Damaged == nil || !strings.Contains(l.Damaged.Error(), name) || !l.Found {
				t.Fatalf("without %s: damaged %v, found %v", name, l.Damaged, l.Found)
			}
			if err := s.Save(t.Context(), l.Inventory, &l.Record, true); err != nil {
				t.Fatal(err)
			}
		}
		s := New(w, "prod")
		l, err := s.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entriesOf(inv) {
			l.Inventory.Put(e)
		}
		l.Record.Shards = nil
		if err := s.Save(t.Context(), l.Inventory, &l.Record, true); err != nil {
			t.Fatal(err)
		}
		if l, err = New(w, "prod").Load(t.Context()); err != nil || l.Damaged != nil || l.Inventory.Len() != inv.Len() {
			t.Errorf("made good without %s: %d of %d entries, %v, %v", name, l.Inventory.Len(), inv.Len(), l.Damaged, err)
		}
	}
}

// BenchmarkSaveOneService encodes and hands over what changes with one service.
func BenchmarkSaveOneService(b *testing.B) {
	for _, n := range []int{500, 5000} {
		b.Run(fmt.Sprintf("services=%d", n), func(b *testing.B) {
			w, s, inv := fleet(b, n)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				i++
				e := serviceEntry(7, 1)
				e.Checksum = fmt.Sprint("changed", i)
				inv.Put(e)
				w.save(b, s, inv)
			}
			b.ReportMetric(float64(w.bytes), "bytes/op")
		})
	}
}
