package reconciler

// Kept is how much a Reconciler that has stopped remembers of single objects,
// besides the inventory and what is desired.
func (r *Reconciler) Kept() int {
	return len(r.drifts) + len(r.history) + len(r.settled) + len(r.askAgain) + len(r.head.tries)
}
