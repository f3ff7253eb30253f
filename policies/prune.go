package policies

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/plumbline-dev/plumbline"
)

// Candidate is an object that prune would delete: ours, owned, no longer
// desired.
type Candidate struct {
	Ref     plumbline.Ref `json:"ref"`
	Project string        `json:"project,omitempty"`
	Service string        `json:"service,omitempty"` // empty: a plain object, counted by itself
	Mark    Mark          `json:"mark,omitempty"`
}

// Mark is what makes a Candidate special. Where several hold, the first of
// this order counts.
type Mark string

// The marks.
const (
	MarkKeep        Mark = "keep"        // plumbline.Control.KeepOnPrune: never deleted
	MarkAdopted     Mark = "adopted"     // it was there before us, or may have been: such a Namespace is never deleted
	MarkReplacement Mark = "replacement" // part of a change of mode: outside the budget
)

// Spent is one delete that was allowed: what counts against the budget of
// later runs.
type Spent struct {
	// Unit is what was counted: "service shop/cart", or a Ref's string.
	Unit string    `json:"unit"`
	Time time.Time `json:"time"`
	// Commit is the full SHA whose trailer allowed it, empty when the budget
	// did. It counts against that trailer's number only, so that a run that was
	// killed half way cannot use the number twice.
	Commit string `json:"commit,omitempty"`
}

// PruneInput is all that a prune decision depends on.
type PruneInput struct {
	Budget     Budget
	Services   int // services of the environment before this prune
	Candidates []Candidate
	History    []Spent
	Allowances []Allowance // of the commits in (last applied, head], if the operator takes trailers
	Now        time.Time
}

// PruneDecision says what may be deleted. Every candidate is in exactly one of
// Allowed, Blocked and Kept, each in a fixed order.
type PruneDecision struct {
	Allowed []Candidate `json:"allowed,omitempty"`
	Blocked []Blocked   `json:"blocked,omitempty"` // pending until someone allows them
	Kept    []Blocked   `json:"kept,omitempty"`    // never deleted, by Git's or the design's rule
	// History replaces PruneInput.History. It is to be saved before the first
	// delete.
	History []Spent `json:"history,omitempty"`
	// Summary is one sentence for a status, empty when nothing is blocked.
	Summary string `json:"summary,omitempty"`
}

// Blocked is a candidate that stays, and why.
type Blocked struct {
	Candidate
	Reason string `json:"reason"`
}

// Prune decides which candidates may be deleted now. A service is one unit
// although it has many objects: all of them may go, or none. What a trailer
// names does not burden the budget; beyond the budget a trailer's number
// counts. Namespaces, CustomResourceDefinitions and PersistentVolumeClaims go
// only when a trailer names them.
func Prune(in PruneInput) PruneDecision {
	p := pruner{in: in, services: in.Budget.Services.Of(in.Services), objects: in.Budget.Objects}
	p.replay()
	for _, u := range units(in.Candidates) {
		p.decide(u)
	}
	slices.SortFunc(p.out.History, func(a, b Spent) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Unit, b.Unit))
	})
	p.out.Summary = p.summary()
	return p.out
}

// unit is what the budget counts: all candidates of one service, or one plain
// object.
type unit struct {
	name      string // as in Spent.Unit
	isService bool
	objects   []Candidate
}

func units(cs []Candidate) []unit {
	byName := map[string]*unit{}
	for _, c := range cs {
		name, isService := c.Ref.String(), false
		if c.Service != "" && !protected(c.Ref) {
			name, isService = "service "+c.Project+"/"+c.Service, true
		}
		u := byName[name]
		if u == nil {
			u = &unit{name: name, isService: isService}
			byName[name] = u
		}
		u.objects = append(u.objects, c)
	}
	out := make([]unit, 0, len(byName))
	for _, u := range byName {
		slices.SortFunc(u.objects, func(a, b Candidate) int { return a.Ref.Compare(b.Ref) })
		out = append(out, *u)
	}
	slices.SortFunc(out, func(a, b unit) int { return cmp.Compare(a.name, b.name) })
	return out
}

// protected kinds take other people's data with them when they go.
func protected(r plumbline.Ref) bool {
	switch (plumbline.GroupKind{Group: r.Group, Kind: r.Kind}) {
	case plumbline.GroupKind{Kind: "Namespace"},
		plumbline.GroupKind{Kind: "PersistentVolumeClaim"},
		plumbline.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}:
		return true
	}
	return false
}

type pruner struct {
	in                PruneInput
	services, objects int            // what is left of the budget
	byTrailer         map[string]int // commit → what is left of its number
	out               PruneDecision
	overServices      int
	overObjects       int
	protected         []string
}

// replay takes what was spent within the window off the budget, and forgets
// the rest; what a trailer paid counts against its number for as long as there is
// that trailer. A time in the future (a clock that jumped back) still counts.
func (p *pruner) replay() {
	p.byTrailer = map[string]int{}
	for _, a := range p.in.Allowances {
		p.byTrailer[a.Commit] = a.Count
	}
	for _, s := range p.in.History {
		_, allowed := p.byTrailer[s.Commit]
		if p.in.Now.Sub(s.Time) >= BudgetWindow && !allowed {
			continue
		}
		p.out.History = append(p.out.History, s)
		switch {
		case s.Commit != "":
			p.byTrailer[s.Commit]--
		case strings.HasPrefix(s.Unit, "service "):
			p.services--
		default:
			p.objects--
		}
	}
}

func (p *pruner) decide(u unit) {
	var counted []Candidate
	for _, c := range u.objects {
		switch {
		case c.Mark == MarkKeep:
			p.keep(c, "kept: "+plumbline.AnnotationPrune+": disabled")
		case c.Mark == MarkAdopted && isNamespace(c.Ref):
			p.keep(c, "kept: the Namespace was there before Plumbline, or may have been")
		case c.Mark == MarkReplacement && !protected(c.Ref):
			p.out.Allowed = append(p.out.Allowed, c)
		default:
			counted = append(counted, c)
		}
	}
	if len(counted) == 0 {
		return
	}
	u.objects = counted
	if reason := p.take(u); reason != "" {
		for _, c := range counted {
			p.out.Blocked = append(p.out.Blocked, Blocked{Candidate: c, Reason: reason})
		}
		return
	}
	p.out.Allowed = append(p.out.Allowed, counted...)
}

func (p *pruner) keep(c Candidate, reason string) {
	p.out.Kept = append(p.out.Kept, Blocked{Candidate: c, Reason: reason})
}

// take finds who pays for u, and is the reason why nobody does.
func (p *pruner) take(u unit) string {
	if p.again(u) {
		return ""
	}
	for _, a := range p.in.Allowances {
		if a.names(u) {
			p.spend(u, a.Commit)
			return ""
		}
	}
	ref := u.objects[0].Ref
	if protected(ref) {
		p.protected = append(p.protected, ref.Kind+"/"+ref.Name)
		return fmt.Sprintf("a %s is deleted only by name: %s: %s/%s", ref.Kind, TrailerAllowDelete, ref.Kind, ref.Name)
	}
	left := &p.objects
	if u.isService {
		left = &p.services
	}
	if *left > 0 {
		*left--
		p.spend(u, "")
		return ""
	}
	if commit, ok := p.allowance(); ok {
		p.spend(u, commit)
		return ""
	}
	return p.over(u)
}

// again tells whether u is counted already: an earlier run did not get to the
// end of it, or it came back. Its time moves on, so that the budget holds for
// every stretch of 24 h.
func (p *pruner) again(u unit) bool {
	if protected(u.objects[0].Ref) {
		return false // only by name, each time
	}
	i := slices.IndexFunc(p.out.History, func(s Spent) bool { return s.Unit == u.name })
	if i < 0 {
		return false
	}
	p.out.History[i].Time = p.in.Now
	return true
}

func (p *pruner) spend(u unit, commit string) {
	p.out.History = append(p.out.History, Spent{Unit: u.name, Time: p.in.Now, Commit: commit})
}

// allowance is a commit whose trailer covers one more unit.
func (p *pruner) allowance() (commit string, ok bool) {
	for _, a := range p.in.Allowances {
		if a.All {
			return a.Commit, true
		}
		if p.byTrailer[a.Commit] > 0 {
			p.byTrailer[a.Commit]--
			return a.Commit, true
		}
	}
	return "", false
}

func (p *pruner) over(u unit) string {
	if u.isService {
		p.overServices++
		return fmt.Sprintf("over the budget of %s in 24 h", count(p.in.Budget.Services.Of(p.in.Services), "service"))
	}
	p.overObjects++
	return fmt.Sprintf("over the budget of %s in 24 h", count(p.in.Budget.Objects, "object"))
}

// summary names what is blocked and the way out. The whole must fit a commit
// status next to other news, so it counts instead of listing.
func (p *pruner) summary() string {
	var what, how []string
	if p.overServices > 0 {
		what = append(what, count(p.overServices, "service"))
	}
	if p.overObjects > 0 {
		what = append(what, count(p.overObjects, "object"))
	}
	if n := p.overServices + p.overObjects; n > 0 {
		how = append(how, fmt.Sprint(n))
	}
	if len(p.protected) > 0 {
		what = append(what, p.protected[0])
		if more := len(p.protected) - 1; more > 0 {
			what[len(what)-1] += fmt.Sprintf(" (+%d)", more)
		}
		how = append(how, p.protected[0])
	}
	if len(what) == 0 {
		return ""
	}
	return fmt.Sprintf("deletes blocked: %s; allow with %s: %s", strings.Join(what, ", "), TrailerAllowDelete, strings.Join(how, " and "))
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
