package plumbline

// Peer is one version of a service as the call graph sees it: who it is, whom it
// calls, who may call it. An edge A → B exists when A's upstreams include B, B's
// whitelist includes A, and calls of A get there.
type Peer struct {
	Service   PeerRef   `json:"service"`
	Version   string    `json:"version,omitempty"` // as written; empty: the only one
	Origin    Origin    `json:"origin"`
	Reach     Reach     `json:"reach,omitempty"`
	Away      bool      `json:"away,omitempty"` // routes of the service lead calls out of the mesh
	Upstreams []PeerRef `json:"upstreams,omitempty"`
	Whitelist []PeerRef `json:"whitelist,omitempty"`
}

// Reach is how a version of a service is called.
type Reach string

// The ways in which a version is called.
const (
	ReachRouted   Reach = ""         // by the service's name, and by a host of its own
	ReachUnrouted Reach = "unrouted" // no route leads to it: only by a host of its own
	ReachPortless Reach = "portless" // it has no port to call
)

// PeerRef names a service, or with "*" every service of a project, or every
// project. Origin is the line of the entry, zero for Peer.Service.
type PeerRef struct {
	Project string `json:"project"`
	Service string `json:"service"`
	Origin  Origin `json:"origin,omitzero"`
}
