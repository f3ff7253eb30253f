package plumbline

// Peer is one service as the call graph sees it: who it is, whom it calls, who
// may call it. An edge A → B exists when A's upstreams include B and B's
// whitelist includes A.
type Peer struct {
	Service   PeerRef   `json:"service"`
	Origin    Origin    `json:"origin"`
	Upstreams []PeerRef `json:"upstreams,omitempty"`
	Whitelist []PeerRef `json:"whitelist,omitempty"`
}

// PeerRef names a service, or with "*" every service of a project, or every
// project. Origin is the line of the entry, zero for Peer.Service.
type PeerRef struct {
	Project string `json:"project"`
	Service string `json:"service"`
	Origin  Origin `json:"origin,omitzero"`
}
