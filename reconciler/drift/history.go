package drift

import (
	"time"

	"github.com/plumbline-dev/plumbline"
)

// Limits of healing.
const (
	backoffFirst = time.Second
	backoffMax   = 5 * time.Minute
	calm         = 10 * time.Minute // without drift, after which an object counts as new

	fightShort, fightShortCount = 10 * time.Minute, 5
	fightLong, fightLongCount   = 24 * time.Hour, 6
)

// Taken is one field that one manager took from us, once.
type Taken struct {
	At      time.Time
	Manager string
	Path    string
}

// History is what is remembered of the heals of one object. The zero value is
// an object that never drifted.
type History struct {
	Attempts int       // heals since the object was last calm
	Last     time.Time // of the last heal
	Taken    []Taken   // within fightLong
	Fight    *Taken    // set while the object is in a fight: healing has stopped
}

// NextHeal is when the object may be healed again: the zero time for at once.
// The first heal is immediate, the next wait 1 s, 2 s, 4 s … up to 5 minutes.
func (h History) NextHeal() time.Time {
	if h.Attempts == 0 {
		return time.Time{}
	}
	wait := backoffMax
	if n := h.Attempts - 1; n < 9 {
		wait = min(backoffFirst<<n, backoffMax)
	}
	return h.Last.Add(wait)
}

// Drifted returns h with a drift seen at now added: it ends the memory of a
// calm object and finds a fight, which is the same field taken by the same
// manager 5 times within 10 minutes or 6 times within 24 hours.
func (h History) Drifted(v plumbline.Verdict, now time.Time) History {
	if h.Attempts > 0 && now.Sub(h.Last) > calm {
		h.Attempts = 0
	}
	kept := make([]Taken, 0, len(h.Taken)+len(v.Fields))
	for _, t := range h.Taken {
		if now.Sub(t.At) < fightLong {
			kept = append(kept, t)
		}
	}
	fields := v.Fields
	if v.State == plumbline.StateMissing {
		fields = []plumbline.Field{{Path: "(deleted)"}}
	}
	for _, f := range fields {
		kept = append(kept, Taken{At: now, Manager: f.Manager, Path: f.Path})
	}
	const most = 64
	if len(kept) > most {
		kept = kept[len(kept)-most:]
	}
	h.Taken = kept
	h.Fight = fight(kept, now)
	return h
}

// Healed returns h with a heal at now added.
func (h History) Healed(now time.Time) History {
	h.Attempts++
	h.Last = now
	return h
}

func fight(taken []Taken, now time.Time) *Taken {
	type key struct{ manager, path string }
	short, long := map[key]int{}, map[key]int{}
	for i := range taken {
		t := taken[i]
		k := key{t.Manager, t.Path}
		long[k]++
		if now.Sub(t.At) < fightShort {
			short[k]++
		}
		if short[k] >= fightShortCount || long[k] >= fightLongCount {
			return &t
		}
	}
	return nil
}
