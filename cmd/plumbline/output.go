package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/plumbline-dev/plumbline"
)

// items is the shape of all JSON output.
type items[T any] struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Items      []T    `json:"items"`
}

// writeItems prints JSON for machines: an empty list, never null.
func writeItems[T any](w io.Writer, kind string, list []T) error {
	return streamItems(w, kind, func(yield func(T, error) bool) {
		for _, v := range list {
			if !yield(v, nil) {
				return
			}
		}
	})
}

// streamItems is writeItems of items that are made one by one: no more than one
// of them is held as text. The first error ends it.
func streamItems[T any](w io.Writer, kind string, list iter.Seq2[T, error]) error {
	buf := bufio.NewWriterSize(w, 1<<16) // keeps the first error for Flush
	fmt.Fprintf(buf, "{\n  \"apiVersion\": %q,\n  \"kind\": %q,\n  \"items\": [", plumbline.APIVersion, kind)
	var item bytes.Buffer
	e := json.NewEncoder(&item)
	e.SetEscapeHTML(false)
	e.SetIndent("    ", "  ")
	end := ""
	for v, err := range list {
		if err != nil {
			return errors.Join(err, buf.Flush())
		}
		item.Reset()
		if err := e.Encode(v); err != nil {
			return errors.Join(err, buf.Flush())
		}
		if end != "" {
			_ = buf.WriteByte(',')
		}
		_, _ = buf.WriteString("\n    ")
		_, _ = buf.Write(bytes.TrimSuffix(item.Bytes(), []byte{'\n'}))
		end = "\n  "
	}
	_, _ = buf.WriteString(end + "]\n}\n")
	return buf.Flush()
}

func itemsOf[T any](kind string, list []T) items[T] {
	if list == nil {
		list = []T{}
	}
	return items[T]{APIVersion: plumbline.APIVersion, Kind: kind, Items: list}
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// note tells people something that is no result.
func (a *app) note(format string, args ...any) {
	if !a.quiet {
		fmt.Fprintf(a.err, format+"\n", args...)
	}
}

// Colours of a terminal.
const (
	red    = "31"
	yellow = "33"
	green  = "32"
)

// paint colours text for w, if w is a terminal that may be coloured.
func (a *app) paint(w io.Writer, colour, text string) string {
	if a.color == "never" || a.color == "auto" && (os.Getenv("NO_COLOR") != "" || !terminal(w)) {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
