package definition

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// load parses one document into nodes that are safe to walk, aliases
// included. It returns nil where it is not, with the violation added to p.
func load(text []byte, p *problems) *yaml.Node {
	if len(text) > MaxDocument {
		p.errorf(CodeTooLarge, Pos{1, 1}, "the document has %d bytes; the limit is %d: split it", len(text), MaxDocument)
		return nil
	}
	if line := crowded(text, 2*MaxValues); line > 0 { // a comma and a colon each, in JSON
		p.errorf(CodeTooLarge, Pos{line, 0}, tooManyValues, MaxValues)
		return nil
	}
	root := simple(text)
	if root == nil {
		root = parsed(text, p)
	}
	if root == nil {
		return nil
	}
	before := len(p.found)
	s := safety{p: p}
	s.node(root, 0)
	p.values = s.nodes
	if len(p.found) > before {
		return nil
	}
	return root
}

const tooManyValues = "the document has more than %d values, counting each use of an alias: split it, or write out less by aliases"

// parsed is what the parser of all YAML makes of a document; nil for nothing, or
// with the violation added to p.
func parsed(text []byte, p *problems) *yaml.Node {
	var doc yaml.Node
	if err := unmarshal(text, &doc); err != nil {
		if strings.Contains(err.Error(), "exceeded max depth") {
			// The parser's own limit is the higher one, and it does not say where.
			p.errorf(CodeTooDeep, Pos{1, 1}, "values are nested more than %d deep", MaxDepth)
			return nil
		}
		line, message := explain(err, text)
		p.errorf(CodeSyntax, Pos{line, 0}, "%s", message)
		return nil
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) == 0 {
		return nil
	}
	return doc.Content[0]
}

// unmarshal fences the parser: whatever it does with hostile text is an error.
func unmarshal(text []byte, into *yaml.Node) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("yaml: the parser gave up")
		}
	}()
	if i := bytes.Index(text, []byte("%YAML")); i == 0 || i > 0 && text[i-1] == '\n' {
		// The parser knows version 1.1 only, and reads 1.2 all the same.
		text = bytes.Clone(text)
		text[i] = '#'
	}
	return yaml.Unmarshal(text, into)
}

// explain takes the line out of the parser's message, and leaves out what could
// be a part of the text: an unquoted password that begins with * is an alias to
// it.
func explain(err error, text []byte) (int, string) {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 0
	if m := regexp.MustCompile(`^line (\d+): `).FindStringSubmatch(message); m != nil {
		line, _ = strconv.Atoi(m[1])
		message = message[len(m[0]):]
	}
	if m := regexp.MustCompile(`^unknown anchor '(.*)' referenced`).FindStringSubmatch(message); m != nil {
		if i := bytes.Index(text, []byte("*"+m[1])); i >= 0 {
			line = bytes.Count(text[:i], []byte{'\n'}) + 1
		}
		message = "a value that begins with * is an alias, and its anchor is not there: quote the value"
	}
	// Of what the parser expected it quotes its own words, of all else the text.
	if i := strings.IndexAny(message, "'\"`"); i >= 0 && !strings.HasPrefix(message, "did not find expected ") {
		message = strings.TrimSpace(message[:i])
	}
	return line, "not valid YAML: " + message + remedy(message)
}

// remedy is what most often puts right what the parser stumbled over.
func remedy(message string) string {
	switch message {
	case "mapping values are not allowed in this context":
		return ": put a value that holds a colon and a blank in quotes, or look at the indentation"
	case "found character that cannot start any token":
		return ": indent with blanks, not with tabs, and put a value that begins with @, ` or % in quotes"
	case "did not find expected ',' or '}'", "did not find expected ',' or ']'":
		return ": close what { or [ opened here or on a line above"
	case "did not find expected '-' indicator":
		return ": look at the indentation of the list"
	case "did not find expected key":
		return ": look at the indentation of this line and the one above"
	}
	return ""
}

// safety walks a document as its readers will, and refuses what would not end
// or not fit.
type safety struct {
	p     *problems
	nodes int
	over  bool
}

func (s *safety) node(n *yaml.Node, depth int) {
	s.nodes++
	switch {
	case s.over:
		return
	case s.nodes > MaxValues:
		s.over = true
		s.p.errorf(CodeTooLarge, posOf(n), tooManyValues, MaxValues)
		return
	case depth > MaxDepth:
		s.over = true
		s.p.errorf(CodeTooDeep, posOf(n), "values are nested more than %d deep, or an alias lies inside its own anchor", MaxDepth)
		return
	}
	switch n.Kind {
	case yaml.AliasNode:
		s.node(n.Alias, depth+1)
	case yaml.MappingNode:
		s.keys(n)
		for i := 1; i < len(n.Content); i += 2 {
			s.node(n.Content[i], depth+1)
		}
	case yaml.SequenceNode:
		for _, c := range n.Content {
			s.node(c, depth+1)
		}
	}
}

// keys refuses keys that are not plain scalars, and keys that are there twice.
func (s *safety) keys(n *yaml.Node) {
	for i := 0; i < len(n.Content); i += 2 {
		if k := n.Content[i]; k.Kind != yaml.ScalarNode {
			s.p.errorf(CodeType, posOf(k), "the key of a mapping must be a plain word")
			s.over = true
			return
		}
	}
	if len(n.Content) <= 32 {
		for i := 2; i < len(n.Content); i += 2 {
			for j := 0; j < i; j += 2 {
				if n.Content[i].Value == n.Content[j].Value {
					s.duplicate(n.Content[i], n.Content[j])
					break
				}
			}
		}
		return
	}
	seen := make(map[string]*yaml.Node, len(n.Content)/2)
	for i := 0; i < len(n.Content); i += 2 {
		k := n.Content[i]
		if first, ok := seen[k.Value]; ok {
			s.duplicate(k, first)
			continue
		}
		seen[k.Value] = k
	}
}

func (s *safety) duplicate(k, first *yaml.Node) {
	key := "this key"
	if isDataKey(k.Value) { // what is no key may be a secret value without its blank
		key = "key " + strconv.Quote(k.Value)
	}
	s.p.errorf(CodeDuplicateKey, posOf(k), "%s is there twice: remove one", key)
	s.p.relate(posOf(first))
}

func posOf(n *yaml.Node) Pos { return Pos{n.Line, n.Column} }

// resolve follows an alias. Documents that load returns have no circles.
func resolve(n *yaml.Node) *yaml.Node {
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}
