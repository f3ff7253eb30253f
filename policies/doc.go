// Package policies decides what is allowed: how much may be deleted, when may
// be written, which objects a repository may hold, who may call whom.
//
// Values go in (objects, histories, a time), verdicts come out. Nothing here
// does I/O, keeps state or reads a clock, so every decision can be repeated
// from what was logged. The package imports the vocabulary, the standard
// library and cron's schedule parser; it never touches a cluster or a
// repository. The operator's own rules are in package guardrail.
package policies
