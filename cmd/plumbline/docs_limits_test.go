package main

import (
	"bytes"
	"fmt"

	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/config"
	"github.com/plumbline-dev/plumbline/gitsource"
	"github.com/plumbline-dev/plumbline/policies/guardrail"
	"github.com/plumbline-dev/plumbline/render"
	"github.com/plumbline-dev/plumbline/render/definition"
)

// limits are a section of docs/limits.md.
type limits struct {
	title string
	over  string // what happens to what is over one
	rows  [][2]string
}

func limitsPage() string {
	mebibytes := func(n int) string { return fmt.Sprintf("%g MiB", float64(n)/(1<<20)) }
	var b bytes.Buffer
	b.WriteString("# Limits\n\n" + generated + "\nWhoever may push decides what Plumbline reads. So everything has a limit: a commit over\none is refused with a message that names the place and the limit, and the last good\ncommit stays and is healed. None of them can be configured.\n")
	for _, section := range []limits{
		{"Git", "The fetch, or the reading of the file, ends with an error that says so.", [][2]string{
			{"what one fetch transfers", mebibytes(gitsource.DefaultMaxPackBytes)},
			{"a file that is read", mebibytes(gitsource.DefaultMaxFileBytes)},
		}},
		{"One file, one document", "Over one of them is an error (PL1003, PL1004, PL1012) at its line, beside all others of the commit.", [][2]string{
			{"a file", mebibytes(definition.MaxFile)},
			{"documents in a file", thousands(definition.MaxFileDocuments)},
			{"a document", mebibytes(definition.MaxDocument)},
			{"values in a document; an alias counts each time that it is used", thousands(definition.MaxValues)},
			{"values inside each other", thousands(definition.MaxDepth)},
			{"annotations of an object, keys and values", mebibytes(definition.MaxAnnotations)},
			{"an object that comes of it, as JSON", mebibytes(render.MaxObject)},
			{"problems of one document that are listed; the others are counted", thousands(definition.MaxProblems)},
		}},
		{"One environment", "The reading ends there, with an error that names the file at which it was noticed. What an overlay puts out counts likewise, beside the files that it reads: a base that is used twice counts twice. That error names the kustomization.", [][2]string{
			{"files below its directory, hidden ones included", thousands(render.MaxFiles)},
			{"bytes of those that may hold definitions", mebibytes(render.MaxBytes)},
			{"values in all documents, counted likewise", thousands(render.MaxValues)},
			{"definitions and plain objects; items of a List count", thousands(render.MaxDefinitions)},
			{"problems in them", thousands(render.MaxProblems)},
			{"objects that come of them", thousands(render.MaxObjects)},
		}},
		{"Guardrails", "A file over its limit is an error of the configuration. A rule over its own does not hold for that object (PL0007). Where all together are over theirs, one error (PL0007) names the rule that took the most.", [][2]string{
			{"a file of policies", mebibytes(guardrail.MaxPolicy)},
			{"one rule on one object, in CEL's units of cost", thousands(guardrail.MaxCost)},
			{"all rules on all objects of an environment, in units", thousands(guardrail.MaxTotal)},
		}},
		{"The operator's configuration", "An error of the configuration.", [][2]string{
			{"the file", mebibytes(config.MaxBytes)},
		}},
	} {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| | Limit |\n|---|---|\n", section.title, section.over)
		for _, r := range section.rows {
			fmt.Fprintf(&b, "| %s | %s |\n", r[0], r[1])
		}
	}
	return b.String()
}
