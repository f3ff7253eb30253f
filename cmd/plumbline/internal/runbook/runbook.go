// Package runbook says of each code of a violation what it means and how to
// put it right. docs/codes.md is written from it.
package runbook

// Entry is what to know about one code.
type Entry struct {
	Code  string
	Title string
	Means string // what is wrong, and why it matters
	Fix   string // what to do
}

// Chapter is the codes of one thousand.
type Chapter struct {
	Title   string
	Entries []Entry
}

// Chapters are all codes, in order.
func Chapters() []Chapter {
	return []Chapter{
		{"PL0: what the operator does not allow", allowed()},
		{"PL1: files and YAML", files()},
		{"PL2: the shape of a document", shapes()},
		{"PL3: names", names()},
		{"PL4: the content of a service", contents()},
		{"PL5: secrets", secrets()},
		{"PL6: routes", routes()},
		{"PL7: how a service is run", running()},
		{"PL8: calls between services and to the cluster's API", calls()},
		{"PL9: plain Kubernetes objects", plain()},
	}
}
