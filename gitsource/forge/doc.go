// Package forge reports commit statuses. It holds what all forges share and
// what is decided without them: the outbox and how a description is cut. Each
// forge has a subpackage with an adapter that passes the suite of forgetest.
//
// The outbox is a value: statuses that are wanted go in, the next one to send
// and the time to wait come out, and what the forge said goes back in. It does
// no I/O and knows no clock; whoever owns it stores its JSON form, so that no
// status is lost to a restart.
package forge
