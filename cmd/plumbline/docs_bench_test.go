package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	benchBegin = "<!-- bench: written by `make bench`, and by `make docs` from docs/bench.json -->\n"
	benchEnd   = "<!-- end of bench -->\n"
)

// benchRecord is docs/bench.json, as fixtures/bench writes it.
type benchRecord struct {
	Date    string
	Machine struct {
		CPU       string
		Cores     int
		MemoryGiB float64
		Kernel    string
	}
	Go       string
	Commit   string
	Services int
	Objects  int
	Pairs    int
	Edits    int
	Pushes   int
	Workers  int

	MemoryAfterSeconds float64
	Rows               []struct {
		Work   string
		Note   string
		Costs  []benchCost
		Checks []struct{ Target, Measured, Verdict string }
	}
}

type benchCost struct {
	By        string
	Requests  struct{ Object, Watch, State, Lease benchCount }
	ClientCPU benchSpread
	ServerCPU benchSpread
	Wall      benchSpread
	MemoryMiB float64
}

type (
	benchCount  struct{ Min, Max int }
	benchSpread struct{ Min, Median, Max float64 }
)

// contender as the table calls it.
func contender(by string) string {
	switch by {
	case "loop":
		return "bare loop"
	case "flux":
		return "Flux's engine"
	}
	return "Plumbline"
}

// benchInto puts the tables of the record between their marks.
func benchInto(old string) (string, error) {
	before, rest, begun := strings.Cut(old, benchBegin)
	_, after, ended := strings.Cut(rest, benchEnd)
	if !begun || !ended {
		return "", fmt.Errorf("the marks of the tables are gone: %q, %q", benchBegin, benchEnd)
	}
	text, err := os.ReadFile(filepath.Join(docsDir, "bench.json"))
	if err != nil {
		return "", err
	}
	var r benchRecord
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return "", fmt.Errorf("decode docs/bench.json: %w", err)
	}
	return before + benchBegin + benchTables(r) + benchEnd + after, nil
}

func benchTables(r benchRecord) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\nMeasured %s at commit %s with %s on %d cores of %s,\n%g GiB, Linux %s, on which the API server and etcd run too: %s services\nof %s objects, %s in turn, %s edits, %s pushes.\n",
		r.Date, r.Commit, r.Go, r.Machine.Cores, r.Machine.CPU, r.Machine.MemoryGiB, r.Machine.Kernel,
		thousands(r.Services), thousands(r.Objects), plural(r.Pairs, "pair"), thousands(r.Edits), thousands(r.Pushes))
	b.WriteString("\n| Work | To be reached | Measured | |\n|---|---|---|---|\n")
	for _, row := range r.Rows {
		work := row.Work
		for _, c := range row.Checks {
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", work, c.Target, c.Measured, c.Verdict)
			work = ""
		}
	}
	fmt.Fprintf(&b, "\nWhat it costs, beside a bare loop of server-side applies with %d workers and Flux's\nengine (`fluxcd/pkg/ssa`, `ApplyAllStaged`) with as many; medians. Memory is anonymous\nmemory %g s after the last write.\n",
		r.Workers, r.MemoryAfterSeconds)
	b.WriteString("\n| Work | | Requests: object, watch, state | CPU s: client + server | Wall s | MiB |\n|---|---|---|---|---|---|\n")
	for _, row := range r.Rows {
		work := row.Work
		for _, c := range row.Costs {
			memory := ""
			if c.MemoryMiB > 0 {
				memory = fmt.Sprintf("%.0f", c.MemoryMiB)
			}
			fmt.Fprintf(&b, "| %s | %s | %s, %s, %s | %s + %s | %s | %s |\n", work, contender(c.By),
				c.Requests.Object, c.Requests.Watch, c.Requests.State, c.ClientCPU, c.ServerCPU, c.Wall, memory)
			work = ""
		}
	}
	b.WriteString("\n")
	for _, row := range r.Rows {
		if row.Note != "" {
			fmt.Fprintf(&b, "- *%s*: %s.\n", row.Work, row.Note)
		}
	}
	b.WriteString("\n")
	return b.String()
}

// String is the number of requests, or the range of several runs.
func (c benchCount) String() string {
	if c.Min == c.Max {
		return thousands(c.Min)
	}
	return thousands(c.Min) + "–" + thousands(c.Max)
}

// String is the median, with as many digits as mean something.
func (s benchSpread) String() string {
	switch {
	case s.Median >= 10:
		return fmt.Sprintf("%.1f", s.Median)
	case s.Median >= 0.1:
		return fmt.Sprintf("%.2f", s.Median)
	}
	return fmt.Sprintf("%.3f", s.Median)
}

func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
