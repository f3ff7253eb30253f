package state

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/plumbline-dev/plumbline"
)

// Labels and keys of the ConfigMaps. None of the labels of managed objects is
// among them, so the watch of ConfigMaps does not see the state.
const (
	labelEnvironment = "plumbline.dev/state"
	labelProject     = "plumbline.dev/state-project"

	keyRecord  = "record"
	keyEntries = "entries"
	keyPlanned = "planned" // beside the record: see Plan
)

// Store keeps the state of one environment. It is not safe for concurrent use:
// each environment has one loop, and the loop has the store.
type Store struct {
	client      corev1client.ConfigMapInterface
	environment string
	versions    map[string]string // resourceVersion by ConfigMap name
	shards      map[string]sharding
	full        int    // entries of a full shard
	room        int    // bytes for what is planned
	record      []byte // as it was last read or written
	planned     []byte // to be written with it; nil for nothing
	plan        string // names the last plan
}

// New makes a Store on the ConfigMaps of Plumbline's namespace; it sends
// nothing.
func New(client corev1client.ConfigMapInterface, environment string) *Store {
	return &Store{client: client, environment: environment, versions: map[string]string{}, shards: map[string]sharding{}, full: fullShard, room: maxPlanned}
}

// Name of the ConfigMap of a project's shard; project "" is for the environment
// as a whole. No two are named alike: neither environments nor projects have
// dots in their names.
func (s *Store) name(project string, shard int) string {
	n := "plumbline-inventory-" + s.environment
	if project != "" {
		n += "." + project
	}
	if shard > 0 {
		n += "." + strconv.Itoa(shard+1)
	}
	if shard > 0 && project == "" {
		n += ownShard
	}
	return n
}

// ownShard tells the second shard of an environment from a project named "2".
const ownShard = ".own"

// Loaded is what Load found.
type Loaded struct {
	Inventory *Inventory
	Record    Record
	// Found is false where no state is kept yet, or where it was deleted.
	Found bool
	// Damaged says what of the inventory could not be read; its objects are
	// unknown, so nothing of them may be pruned.
	Damaged error
	// Rewound says that this Store has seen newer state than the cluster has:
	// the cluster was restored from an older one.
	Rewound bool
}

// loadTimeout bounds the list, as the API server itself bounds every request.
const loadTimeout = time.Minute

// Load reads the whole state: one list.
func (s *Store) Load(ctx context.Context) (Loaded, error) {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	list, err := s.client.List(ctx, metav1.ListOptions{LabelSelector: labelEnvironment + "=" + s.environment})
	if err != nil {
		return Loaded{}, classify("read inventory", err)
	}
	var out Loaded
	for _, version := range s.versions {
		c, err := resourceversion.CompareResourceVersion(list.ResourceVersion, version)
		out.Rewound = out.Rewound || (err == nil && c < 0)
	}
	clear(s.versions)
	clear(s.shards)
	var damaged []error
	var planned []Entry
	s.plan = ""
	read := map[string][]shard{}
	for i := range list.Items {
		cm := &list.Items[i]
		project := cm.Labels[labelProject]
		s.versions[cm.Name] = cm.ResourceVersion
		if data, ok := cm.BinaryData[keyRecord]; ok {
			s.record = data
			if err := unpack(data, &out.Record); err != nil {
				damaged = append(damaged, fmt.Errorf("ConfigMap %s: %w", cm.Name, err))
			} else {
				out.Found = true
			}
		}
		if data, ok := cm.BinaryData[keyPlanned]; ok {
			var err error
			if planned, s.plan, err = decodeShard(data, ""); err != nil {
				damaged = append(damaged, fmt.Errorf("ConfigMap %s: %w", cm.Name, err))
			}
		}
		entries, plan, err := decodeShard(cm.BinaryData[keyEntries], project)
		if err != nil {
			damaged = append(damaged, fmt.Errorf("ConfigMap %s: %w", cm.Name, err))
		}
		read[project] = append(read[project], shard{s.index(project, cm.Name), plan, entries})
	}
	damaged = append(damaged, s.missing(out.Record.Shards)...)
	var all []Entry
	for _, project := range slices.Sorted(maps.Keys(read)) {
		entries, divided := gather(read[project])
		s.shards[project] = divided
		all = append(all, entries...)
	}
	planned = slices.DeleteFunc(planned, func(e Entry) bool {
		return s.shards[e.Project].holds(groupOf(&e), s.plan, read[e.Project])
	})
	out.Inventory = inventoryOf(append(all, planned...)) // what was planned last counts
	for i := range planned {
		out.Inventory.dirty[groupOf(&planned[i])] = true // it is in no shard yet
	}
	out.Damaged = errors.Join(damaged...)
	return out, nil
}

// Plan puts on record what must not be lost once objects are written: all of inv
// that no shard holds yet, in one request, beside the record. The next Save puts
// it into its shards. What is too large for that is saved as by Save.
func (s *Store) Plan(ctx context.Context, inv *Inventory, rec *Record) error {
	s.plan = rand.Text()
	planned, err := encodePlan(inv.unsaved(), s.plan)
	if err != nil {
		return &plumbline.Error{Op: "write inventory", Kind: plumbline.KindInternal, Err: err}
	}
	if len(planned) > s.room {
		return s.Save(ctx, inv, rec, false)
	}
	s.planned = planned
	own := map[group]bool{}
	for g := range inv.dirty {
		if g.project == "" {
			own[g] = true
		}
	}
	return s.saveProject(ctx, inv, "", own, rec)
}

// Save writes the shards of inv that must be written, and with soft those that
// are worth it; and the record, in the same request as the shard of the objects
// without a project. With a nil record that shard is written only if it must be.
//
// The environment's own shard comes last, so that a record never speaks of
// entries that were not written.
func (s *Store) Save(ctx context.Context, inv *Inventory, rec *Record, soft bool) error {
	due := map[string]map[group]bool{}
	add := func(g group) {
		if due[g.project] == nil {
			due[g.project] = map[group]bool{}
		}
		due[g.project][g] = true
	}
	for g := range inv.dirty {
		add(g)
	}
	if soft {
		for g := range inv.soft {
			add(g)
		}
	}
	own := due[""]
	delete(due, "")
	for _, p := range slices.Sorted(maps.Keys(due)) {
		if err := s.saveProject(ctx, inv, p, due[p], nil); err != nil {
			return err
		}
	}
	if len(own) > 0 || rec != nil {
		s.planned = nil // all of it is in its shard now
		return s.saveProject(ctx, inv, "", own, rec)
	}
	return nil
}

func (s *Store) saveProject(ctx context.Context, inv *Inventory, project string, due map[group]bool, rec *Record) error {
	shards, err := s.layout(inv, project, func(shard, n int) bool {
		if rec != nil && shard == 0 {
			return true
		}
		for g := range due {
			if g.shard(n) == shard {
				return true
			}
		}
		return false
	})
	if err != nil {
		return &plumbline.Error{Op: "write inventory", Kind: plumbline.KindInternal, Err: err}
	}
	if rec != nil {
		rec.Shards = s.divided(rec.Shards, shards.n)
		if s.record, err = pack(rec); err != nil {
			return &plumbline.Error{Op: "write record", Kind: plumbline.KindInternal, Err: err}
		}
	}
	s.shards[project] = sharding{n: shards.n, anew: shards.all}
	// The last first: what moves to another shard, because there are more of
	// them now, is there before it is gone from where it was.
	for i := shards.n - 1; i >= 0; i-- {
		data, due := shards.encoded[i]
		if !due {
			continue
		}
		binary := map[string][]byte{keyEntries: data}
		if project == "" && i == 0 {
			binary[keyRecord] = s.record
			if s.planned != nil {
				binary[keyPlanned] = s.planned
			}
		}
		if err := s.put(ctx, s.name(project, i), project, binary); err != nil {
			return err
		}
		inv.written(project, shards.n, i)
	}
	s.shards[project] = sharding{n: shards.n}
	return nil
}

// missing are the ConfigMaps that a record tells of and that are not there.
func (s *Store) missing(told map[string]int) []error {
	var out []error
	for _, project := range slices.Sorted(maps.Keys(told)) {
		for i := range told[project] {
			if name := s.name(project, i); s.versions[name] == "" {
				out = append(out, fmt.Errorf("ConfigMap %s is not there any more", name))
			}
		}
	}
	return out
}

// divided is what a record tells of the shards, own of them those of the
// environment: never fewer than before.
func (s *Store) divided(before map[string]int, own int) map[string]int {
	out := maps.Clone(before)
	if out == nil {
		out = map[string]int{}
	}
	out[""] = max(out[""], own)
	for project, d := range s.shards {
		if project != "" && !d.anew {
			out[project] = max(out[project], d.n)
		}
	}
	return out
}

func (s *Store) put(ctx context.Context, name, project string, binary map[string][]byte) error {
	cm := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Name:            name,
			ResourceVersion: s.versions[name],
			Labels:          map[string]string{plumbline.LabelManagedBy: plumbline.ManagedBy, labelEnvironment: s.environment},
		},
		BinaryData: binary,
	}
	if project != "" {
		cm.Labels[labelProject] = project
	}
	var saved *corev1.ConfigMap
	var err error
	if cm.ResourceVersion == "" {
		saved, err = s.client.Create(ctx, cm, metav1.CreateOptions{FieldManager: plumbline.FieldManager})
	} else {
		saved, err = s.client.Update(ctx, cm, metav1.UpdateOptions{FieldManager: plumbline.FieldManager})
		if apierrors.IsNotFound(err) {
			cm.ResourceVersion = ""
			saved, err = s.client.Create(ctx, cm, metav1.CreateOptions{FieldManager: plumbline.FieldManager})
		}
	}
	if err != nil {
		return classify("write inventory", err)
	}
	s.versions[name] = saved.ResourceVersion
	return nil
}

func classify(op string, err error) error {
	e := &plumbline.Error{Op: op, Kind: plumbline.KindTransient, Err: err}
	switch {
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		e.Kind = plumbline.KindDenied
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err):
		e.Kind = plumbline.KindDenied
		e.Err = fmt.Errorf("%w: another Plumbline keeps this environment; stop one of them", ErrTaken)
	case apierrors.IsNotFound(err) && strings.Contains(err.Error(), "namespaces"):
		e.Kind = plumbline.KindWaiting
	}
	return e
}

// ErrTaken marks a write that was refused because the state changed under us:
// it must be loaded again before anything else is done.
var ErrTaken = errors.New("the inventory was changed by someone else")
