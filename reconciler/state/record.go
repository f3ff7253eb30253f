package state

import (
	"encoding/json"
	"time"
)

// Record is what is remembered of an environment as a whole. Values of other
// packages are kept as JSON: this package does not know what they mean.
type Record struct {
	Applied string `json:"applied,omitempty"` // SHA of the last commit that was applied, in part or whole: what is healed to
	Good    string `json:"good,omitempty"`    // SHA of the last commit that was applied as a whole
	From    string `json:"from,omitempty"`    // SHA that was applied before Applied
	Run     int64  `json:"run"`               // number of the last run that wrote
	// Cluster is the uid of the Namespace kube-system: another one means that
	// the verified records are of another cluster.
	Cluster string `json:"cluster,omitempty"`
	// Definitions tell, by kind, which CustomResourceDefinition the verified
	// records were made under.
	Definitions map[string]string `json:"definitions,omitempty"`
	// Deletes are the times of deletes that the prune budget still counts.
	Deletes json.RawMessage `json:"deletes,omitempty"`
	// Outbox holds the statuses that are wanted and those that were accepted.
	Outbox json.RawMessage `json:"outbox,omitempty"`
	// Drifts are the objects that drifted and were not healed yet, and the last
	// heal: what the drift status says.
	Drifts json.RawMessage `json:"drifts,omitempty"`
	// Shards is how many ConfigMaps each project's entries are in, "" for those of
	// none: fewer than that were deleted by somebody. Save keeps it; whoever has
	// made good what was lost sets it to nil.
	Shards map[string]int `json:"shards,omitempty"`
	// Saved is when the record was written, for `plumbline status`.
	Saved time.Time `json:"saved,omitzero"`
}

// Deploy notes that the cluster is becoming what commit sha says, and tells
// whether that is news.
func (r *Record) Deploy(sha string) bool {
	if r.Applied == sha {
		return false
	}
	r.From, r.Applied = r.Applied, sha
	return true
}
