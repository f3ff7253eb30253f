package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/plumbline-dev/plumbline/policies/guardrail"
)

const (
	rulesBegin = "<!-- rules: written by `make docs` from the code; edit that -->\n"
	rulesEnd   = "<!-- end of rules -->\n"
)

// rulesInto puts the built-in rules between their marks.
func rulesInto(old string) (string, error) {
	before, rest, begun := strings.Cut(old, rulesBegin)
	_, after, ended := strings.Cut(rest, rulesEnd)
	if !begun || !ended {
		return "", fmt.Errorf("the marks of the rules are gone: %q, %q", rulesBegin, rulesEnd)
	}
	var b bytes.Buffer
	for _, r := range guardrail.Catalogue() {
		fmt.Fprintf(&b, "\n### %s\n\n%s\n\n```cel\n%s\n```\n", r.Name, r.About, strings.ReplaceAll(r.Expression.Text, " && ", "\n  && "))
	}
	b.WriteByte('\n')
	return before + rulesBegin + b.String() + rulesEnd + after, nil
}

// What docs/policies.md shows of policies compiles.
func TestPoliciesInDocsCompile(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(docsDir, "policies.md"))
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?s)```yaml policy\n(.*?)```").FindAllSubmatch(page, -1)
	if len(examples) == 0 {
		t.Fatal("no example")
	}
	for _, e := range examples {
		rules, err := guardrail.Parse("policies.md", e[1])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := guardrail.Compile(rules); err != nil {
			t.Error(err)
		}
	}
}
