package state

import (
	"bytes"
	"fmt"
	"testing"
	"unique"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler/drift"
)

func entry(i int) Entry {
	return Entry{
		Ref:     plumbline.Ref{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: fmt.Sprintf("web-%04d", i)},
		Version: "v1", Project: "shop", Service: "web", Origin: plumbline.Origin{Path: "web.yaml", Line: i + 1},
		Checksum: fmt.Sprintf("c%d", i), UID: fmt.Sprintf("u%d", i), Keep: i%2 == 0, Shared: i%3 == 0,
		Verified: drift.Record{
			UID: fmt.Sprintf("u%d", i), Fields: unique.Make(fmt.Sprintf(`{"f:spec":{"f:%d":{}}}`, i%3)), Time: 10,
			Generation: 1, ResourceVersion: "100", Others: "o", Status: "s",
		},
	}
}

// handles of equal field sets are equal, and print as nothing.
var byFields = cmp.Comparer(func(a, b drift.FieldSet) bool { return a == b })

func TestShardRoundTrip(t *testing.T) {
	t.Parallel()
	planned := Entry{Ref: plumbline.Ref{Kind: "Secret", Namespace: "shop", Name: "token"}, Version: "v1", Project: "shop"}
	want := []Entry{entry(0), entry(1), entry(2), entry(3), planned}
	data, err := encodeShard(want, "")
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := decodeShard(data, "shop")
	if err != nil {
		t.Fatal(err)
	}
	// The zero Record has no field set at all.
	if diff := cmp.Diff(want, got, cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Fields" }, byFields)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	again, err := encodeShard(got, "")
	if err != nil || !bytes.Equal(data, again) {
		t.Errorf("the same entries encode to other bytes, or not: %v", err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	packed := func(v any) []byte {
		b, err := pack(v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, c := range []struct {
		data []byte
		want string
	}{
		{nil, "read state: empty"},
		{[]byte{9, 1, 2}, "read state: format 9, this version of Plumbline reads 1"},
		{[]byte{format, 1, 2}, "read state: unexpected EOF"},
		{packed("text"), "read state: json: cannot unmarshal string into Go value of type state.wireShard"},
		{packed(wireShard{Entries: []wireEntry{{Kind: "Secret"}}}), "read inventory: an entry has no kind or no name"},
		{packed(wireShard{Entries: []wireEntry{{Kind: "Secret", Name: "x", Verified: &wireRecord{Set: 1}}}}), "read inventory: Secret x points at field set 1 of 0"},
	} {
		if _, _, err := decodeShard(c.data, ""); err == nil || err.Error() != c.want {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

func TestInventoryKnowsWhatMustBeWritten(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		change    func(*Inventory)
		must, may bool
	}{
		{"nothing", func(inv *Inventory) { inv.Put(entry(1)) }, false, false},
		{"another place in the repository", func(inv *Inventory) {
			e := entry(1)
			e.Origin.Line = 99
			inv.Put(e)
		}, false, true},
		{"another record", func(inv *Inventory) {
			e := entry(1)
			e.Verified.ResourceVersion = "101"
			inv.Put(e)
		}, false, true},
		{"another checksum", func(inv *Inventory) {
			e := entry(1)
			e.Checksum = "x"
			inv.Put(e)
		}, true, false},
		{"dropped", func(inv *Inventory) { inv.Drop(entry(1).Ref) }, true, false},
		{"dropped what is not there", func(inv *Inventory) { inv.Drop(entry(2).Ref) }, false, false},
	} {
		inv := NewInventory()
		inv.set(entry(1))
		c.change(inv)
		if must, may := inv.Dirty(); must != c.must || may != c.may {
			t.Errorf("%s: must %v, may %v", c.name, must, may)
		}
	}
}

func TestServicesCountsEachOnce(t *testing.T) {
	t.Parallel()
	inv := NewInventory()
	for i, s := range []struct{ project, service string }{{"shop", "web"}, {"shop", "web"}, {"shop", "cart"}, {"admin", "web"}, {"shop", ""}} {
		e := entry(i)
		e.Project, e.Service = s.project, s.service
		inv.Put(e)
	}
	if got := inv.Services(); got != 3 {
		t.Errorf("%d services, want 3", got)
	}
}

// FuzzDecodeShard feeds what a damaged or hostile ConfigMap might hold. What is
// accepted survives a round trip.
func FuzzDecodeShard(f *testing.F) {
	for _, entries := range [][]Entry{nil, {entry(0)}, {entry(1), entry(2)}} {
		data, err := encodeShard(entries, "")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte{})
	f.Add([]byte{format})
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, _, err := decodeShard(data, "shop")
		if err != nil {
			return
		}
		again, err := encodeShard(entries, "")
		if err != nil {
			t.Fatal(err)
		}
		back, _, err := decodeShard(again, "shop")
		if err != nil || len(back) != len(entries) {
			t.Fatalf("%d entries became %d: %v", len(entries), len(back), err)
		}
		for i := range entries {
			if entries[i].Ref != back[i].Ref {
				t.Fatalf("%s became %s", entries[i].Ref, back[i].Ref)
			}
		}
	})
}
