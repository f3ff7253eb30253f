package reconciler

import (
	"encoding/json"
	"time"

	"github.com/plumbline-dev/plumbline"
)

// healed is the memory of heals on the deployed commit. Its JSON form is kept
// in the environment's record.
type healed struct {
	sha   string
	count int
	at    time.Time
	last  plumbline.Verdict
	said  bool // the drift status of sha was ever wanted
}

type wireHealed struct {
	SHA   string            `json:"sha,omitempty"`
	Count int               `json:"count,omitempty"`
	At    time.Time         `json:"at,omitzero"`
	Last  plumbline.Verdict `json:"last,omitzero"`
	Said  bool              `json:"said,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (h healed) MarshalJSON() ([]byte, error) {
	return json.Marshal(wireHealed{h.sha, h.count, h.at, h.last, h.said})
}

// UnmarshalJSON implements json.Unmarshaler.
func (h *healed) UnmarshalJSON(b []byte) error {
	var w wireHealed
	if err := json.Unmarshal(b, &w); err != nil {
		return err
	}
	*h = healed{w.SHA, w.Count, w.At, w.Last, w.Said}
	return nil
}

// driftReport wants the drift status of the deployed commit, once there is
// something to say. It is when it will say something else by itself.
func (r *Reconciler) driftReport() time.Time {
	if r.o.Reporter == nil || r.rec.Applied == "" {
		return time.Time{}
	}
	var list []*drifted
	for _, d := range r.drifts {
		if d.verdict.State != plumbline.StateSuspect {
			list = append(list, d)
		}
	}
	if r.heals.sha != r.rec.Applied {
		r.heals = healed{sha: r.rec.Applied}
	}
	s, next := driftStatus(r.o.Context, list, r.heals, r.watch.Failing(), r.o.Now())
	s = r.foreignStatus(r.shifts.status(s, r.o.Now()))
	if s.State == plumbline.StatusSuccess && r.heals.count == 0 && (!r.heals.said || len(list) > 0) {
		return next // never drifted, or on its way to be healed: nothing to say yet
	}
	if !s.Equal(r.lastDrift) {
		r.lastDrift = s
		r.heals.said = true
		r.want(s)
	}
	return next
}
