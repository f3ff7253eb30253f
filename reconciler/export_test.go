package reconciler

// PendingStatus is what is wanted before the first write of a run. Where the next
// one is wanted before it was sent, it is not posted.
var PendingStatus = pendingStatus

// Kept is how much a Reconciler that has stopped remembers of single objects,
// besides the inventory and what is desired.
func (r *Reconciler) Kept() int {
	return len(r.drifts) + len(r.history) + len(r.settled) + len(r.askAgain) + len(r.head.tries) + len(r.aside.jobs) + len(r.aside.slow)
}

// Open is how many objects a Reconciler that has stopped still holds a decision
// to write of.
func (r *Reconciler) Open() int { return r.planned.open.Len() }
