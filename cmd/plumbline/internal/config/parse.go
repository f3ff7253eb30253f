package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/plumbline-dev/plumbline"
)

const (
	kind   = "Config"
	opRead = "read configuration"
)

// MaxBytes is the largest configuration.
const MaxBytes = 4 << 20

// Load reads the configuration from a file.
func Load(file string) (Config, error) {
	f, err := os.Open(file)
	if err != nil {
		return Config{}, plumbline.Errorf(plumbline.KindUsage, opRead, "%w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, MaxBytes+1))
	switch {
	case err != nil:
		return Config{}, plumbline.Errorf(plumbline.KindUsage, opRead, "%w", err)
	case len(text) > MaxBytes:
		return Config{}, plumbline.Errorf(plumbline.KindUsage, opRead, "%s is larger than %d MiB", file, MaxBytes>>20)
	}
	return Parse(file, text)
}

// Parse reads a configuration. The error joins one plumbline.Error of
// KindUsage, with file and line, for every mistake.
func Parse(file string, text []byte) (Config, error) {
	p := parser{file: file}
	root := p.document(text)
	if root == nil {
		return Config{}, p.err()
	}
	p.check(root, schemaOf(Config{}), "")
	p.wrong = make(map[string]bool, len(p.errs))
	for _, e := range p.errs {
		p.wrong[keyOf(e.Err)] = true
	}
	c := Default()
	if p.decode(root, &c) {
		p.validate(root, &c)
	}
	return c, p.err()
}

// parser gathers the mistakes of one file.
type parser struct {
	file  string
	errs  []*plumbline.Error
	wrong map[string]bool // the keys at which the schema found a mistake
}

// errorf adds a mistake, unless the schema refused its key: what is not there
// because it could not be read is not missing too.
func (p *parser) errorf(line int, format string, args ...any) {
	err := fmt.Errorf(format, args...)
	if p.refused(keyOf(err)) {
		return
	}
	p.errs = append(p.errs, &plumbline.Error{
		Op: opRead, Kind: plumbline.KindUsage,
		Origin: plumbline.Origin{Path: p.file, Line: line},
		Err:    err,
	})
}

// refused tells whether the schema found a mistake at a key, or at one above it.
func (p *parser) refused(key string) bool {
	for i, c := range key {
		if (c == '.' || c == '[') && p.wrong[key[:i]] {
			return true
		}
	}
	return p.wrong[key]
}

// keyOf is the key that a mistake is about, with which its message begins.
func keyOf(err error) string {
	key, _, _ := strings.Cut(err.Error(), ": ")
	return key
}

func (p *parser) err() error {
	slices.SortStableFunc(p.errs, func(a, b *plumbline.Error) int { return a.Origin.Compare(b.Origin) })
	errs := make([]error, 0, len(p.errs))
	for _, e := range p.errs {
		errs = append(errs, e)
	}
	return errors.Join(errs...)
}

// document is the one mapping that a configuration file holds.
func (p *parser) document(text []byte) *yaml.Node {
	line := 1
	for l := range bytes.Lines(text) {
		if !utf8.Valid(l) { // UTF-16 is not, though the YAML package would read it
			p.errorf(line, "not UTF-8 text: save the file as UTF-8")
			return nil
		}
		line++
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	var doc, second yaml.Node
	switch err := d.Decode(&doc); {
	case errors.Is(err, io.EOF):
		p.errorf(0, "the file is empty")
		return nil
	case err != nil:
		p.yamlError(err)
		return nil
	}
	if err := d.Decode(&second); !errors.Is(err, io.EOF) {
		p.errorf(second.Line, "a second document; a configuration is one")
		return nil
	}
	root := doc.Content[0]
	switch {
	case root.Tag == "!!null": // its line is behind the last one
		p.errorf(0, "the file is empty")
		return nil
	case root.Kind != yaml.MappingNode:
		p.errorf(root.Line, "not a mapping")
		return nil
	}
	return root
}

// yamlError takes the lines out of the YAML package's messages.
func (p *parser) yamlError(err error) {
	messages := []string{strings.TrimPrefix(err.Error(), "yaml: ")}
	var types *yaml.TypeError
	if errors.As(err, &types) {
		messages = types.Errors
	}
	for _, m := range messages {
		line := 0
		if _, err := fmt.Sscanf(m, "line %d: ", &line); err == nil {
			_, m, _ = strings.Cut(m, ": ")
		}
		if strings.Contains(m, "cannot start any token") {
			m += ": indent with blanks, not with tabs, and put a value that begins with @, ` or % in quotes"
		}
		p.errorf(line, "%s", m)
	}
}

// decode fills c, and every environment with its own defaults first. Values that
// the schema refused are gone by then; what is left can be read.
func (p *parser) decode(root *yaml.Node, c *Config) bool {
	if err := root.Decode(c); err != nil {
		p.yamlError(err)
		return false
	}
	for i, n := range items(lookup(root, "environments")) {
		e := DefaultEnvironment(c.Environments[i].Name)
		if err := n.Decode(&e); err != nil {
			p.yamlError(err)
			return false
		}
		c.Environments[i] = e
	}
	return true
}

// lookup is the node below n at keys, or nil.
func lookup(n *yaml.Node, keys ...string) *yaml.Node {
	for _, key := range keys {
		n = value(n, key)
	}
	return n
}

func value(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func items(n *yaml.Node) []*yaml.Node {
	if n == nil || n.Kind != yaml.SequenceNode {
		return nil
	}
	return n.Content
}

// lineOf is the line of the node at keys, or of the nearest that is there.
func lineOf(n *yaml.Node, keys ...string) int {
	line := 0
	for _, key := range append([]string{""}, keys...) {
		if key != "" {
			n = value(n, key)
		}
		if n == nil {
			return line
		}
		line = n.Line
	}
	return line
}
