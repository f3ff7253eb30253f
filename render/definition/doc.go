// Package definition is the language in which services are defined: it splits
// files into documents, parses each into a type that cannot be wrong, and says
// with line and column what is wrong with the others.
//
// In goes the text of one document, out come values of the types Version,
// Routes, Secret, Project and Plain, and violations. Both spellings of the
// language give the same types: Space Cloud's (api, type, meta, spec) and
// plumbline.dev/v1. What concerns more than one document is left to package
// render. The package does no I/O, and a value that may be secret never gets
// into a message.
package definition
