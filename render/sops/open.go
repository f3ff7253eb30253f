package sops

import (
	"crypto/sha512"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// What Keys say of a recipient that they do not open.
var (
	// ErrNoKey: the key is not there.
	ErrNoKey = errors.New("no key")
	// ErrRefused: a key service was asked, and does not open it.
	ErrRefused = errors.New("the key service does not open it")
	// ErrAway: a key service could not be asked, which is nobody's fault who
	// wrote the documents.
	ErrAway = errors.New("the key service does not answer")
)

// Keys open data keys.
type Keys interface {
	// DataKey decrypts r.Wrapped with a key at hand. The error is ErrNoKey, or
	// says what is wrong with it and quotes nothing of it.
	DataKey(r Recipient) ([]byte, error)
	// Ask has a key service decrypt r.Wrapped, which no key at hand does. The
	// error is of ErrNoKey where there is no service, of ErrRefused or ErrAway.
	Ask(r Recipient) ([]byte, error)
}

// Problem is why documents cannot be opened.
type Problem struct {
	Docs         []int // indexes of the documents, which are one file to SOPS
	Doc          int   // the one of them that shows it
	Line, Column int   // in that
	NoKey        bool  // with another key they could be
	Away         error // of ErrAway: a key service might have opened them; nil: none
	Message      string
}

func problem(at place, format string, args ...any) *Problem {
	return &Problem{Line: at.line, Column: at.column, Message: fmt.Sprintf(format, args...)}
}

// Opened are the nodes that were encrypted.
type Opened map[*yaml.Node]bool

// In is the first node at or below n that was encrypted, or nil.
func (o Opened) In(n *yaml.Node) *yaml.Node {
	if o[n] {
		return n
	}
	for _, c := range n.Content {
		if found := o.In(c); found != nil {
			return found
		}
	}
	return nil
}

// Open decrypts the documents of one file, of which Is is true, in their order:
// the nodes get their plain values and lose the block of SOPS. SOPS encrypts all
// documents of a file as one; documents that were encrypted apart and joined
// later are opened apart. Where documents have a problem, their nodes are not to
// be used any more.
func Open(docs []*yaml.Node, keys Keys) (Opened, []Problem) {
	opened := Opened{}
	var problems []Problem
	var order []string
	together := map[string][]int{}
	for i, d := range docs {
		mac := text(child(d, Key), "mac")
		if together[mac] == nil {
			order = append(order, mac)
		}
		together[mac] = append(together[mac], i)
	}
	for _, mac := range order {
		at := together[mac]
		if p := openTogether(docs, at, keys, opened); p != nil {
			p.Docs, p.Doc = at, at[p.Doc]
			problems = append(problems, *p)
		}
	}
	return opened, problems
}

// openTogether opens documents that are one file to SOPS. The problem's Doc is
// an index of at.
func openTogether(docs []*yaml.Node, at []int, keys Keys, opened Opened) *Problem {
	m, p := readMetadata(docs[at[0]])
	if p != nil {
		return p
	}
	key, p := m.dataKey(keys)
	if p != nil {
		return p
	}
	c, err := newCipher(key)
	if err != nil {
		return problem(m.at, "the data key is none that sops makes: encrypt the file again")
	}
	mac := sha512.New()
	if m.macEncrypted {
		// So that no code of one way is one of the other; SOPS's own constant,
		// the SHA-256 of "sops".
		start, _ := hex.DecodeString("8a3fd2ad54ce66527b1034f3d147be0b0b975b3bf44f72c6fdadec8176f27d69")
		mac.Write(start)
	}
	w := walker{metadata: &m, cipher: c, mac: mac, opened: opened}
	for i, d := range at {
		root := docs[d]
		for j := 0; j+1 < len(root.Content); j += 2 {
			if root.Content[j].Value == Key {
				root.Content = append(root.Content[:j:j], root.Content[j+2:]...)
				break
			}
		}
		if p := w.mapping(root, nil); p != nil {
			p.Doc = i
			return p
		}
	}
	return m.verify(c, mac)
}

// verify compares the message authentication code.
func (m *metadata) verify(c cipherText, mac hash.Hash) *Problem {
	want, _, err := c.open(m.mac, m.lastModified)
	if err != nil {
		return problem(m.macAt, "the mac of the sops block cannot be decrypted: the block was changed by hand; encrypt the file again")
	}
	if subtle.ConstantTimeCompare(want, fmt.Appendf(nil, "%X", mac.Sum(nil))) != 1 {
		return problem(m.macAt, "the mac does not fit: values were changed, added or removed without sops; edit the file with sops, or encrypt it again")
	}
	return nil
}

// dataKey tries each recipient until one can be opened; of several groups, until
// enough of them can. Keys at hand come first: a service is asked for what is
// still lacking.
func (m *metadata) dataKey(keys Keys) ([]byte, *Problem) {
	need := 1
	if len(m.groups) > 1 {
		need = m.threshold
	}
	var shares [][]byte
	var closed [][]Recipient
	for _, group := range m.groups {
		share, r, err := first(group, keys.DataKey)
		switch {
		case err == nil:
			shares = append(shares, share)
		case errors.Is(err, ErrNoKey):
			closed = append(closed, group)
		default:
			return nil, problem(m.at, "the data key for %s: %s", r, err)
		}
	}
	var l lack
	for _, group := range closed {
		if len(shares) >= need {
			break
		}
		if share, ok := l.ask(group, keys); ok {
			shares = append(shares, share)
		}
	}
	switch {
	case len(m.groups) == 1 && len(shares) == 1:
		return shares[0], nil
	case len(m.groups) > 1 && len(shares) >= need:
		if key, ok := combine(shares); ok {
			return key, nil
		}
		return nil, problem(m.at, "the shares of the data key do not fit together: encrypt the file again")
	}
	p := problem(m.at, "no key for recipient %s", strings.Join(l.recipients, ", "))
	if len(l.recipients) > 1 {
		p.Message = "no key for any of the recipients " + strings.Join(l.recipients, ", ")
	}
	if len(m.groups) > 1 {
		p.Message = fmt.Sprintf("keys for %d of %d key groups, and %d are needed: none for %s", len(shares), len(m.groups), m.threshold, strings.Join(l.recipients, ", "))
	}
	p.Message += l.advice()
	p.NoKey, p.Away = true, l.away
	return nil, p
}

// first is what the first recipient gives for which there is a key, or an error
// other than ErrNoKey with its recipient.
func first(group []Recipient, open func(Recipient) ([]byte, error)) ([]byte, Recipient, error) {
	for _, r := range group {
		if share, err := open(r); !errors.Is(err, ErrNoKey) {
			return share, r, err
		}
	}
	return nil, Recipient{}, ErrNoKey
}

// lack is for whom there is no key, and what a key service says of it.
type lack struct {
	recipients []string
	unasked    bool  // a service's key, and no service to ask
	refused    error // by the service; nil: nothing was
	away       error // nil: it is not
}

// ask has a key service open what one recipient of a group got.
func (l *lack) ask(group []Recipient, keys Keys) ([]byte, bool) {
	for _, r := range group {
		share, err := keys.Ask(r)
		if err == nil {
			return share, true
		}
		l.recipients = append(l.recipients, r.String())
		switch {
		case errors.Is(err, ErrAway):
			l.away = err
		case errors.Is(err, ErrRefused):
			l.refused = err
		default:
			l.unasked = l.unasked || r.remote()
		}
	}
	return nil, false
}

func (l *lack) advice() string {
	switch {
	case l.away != nil:
		return "; " + l.away.Error()
	case l.refused != nil:
		return "; " + l.refused.Error()
	case l.unasked:
		return "; a key service (decryption.keyService) opens keys of clouds and of Vault"
	}
	return ""
}

// walker goes through documents as SOPS does.
type walker struct {
	*metadata
	cipher cipherText
	mac    hash.Hash
	opened Opened
}

func (w *walker) mapping(n *yaml.Node, path []string) *Problem {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if p := w.value(n.Content[i+1], append(path[:len(path):len(path)], n.Content[i].Value)); p != nil {
			return p
		}
	}
	return nil
}

func (w *walker) value(n *yaml.Node, path []string) *Problem {
	switch n.Kind {
	case yaml.MappingNode:
		return w.mapping(n, path)
	case yaml.SequenceNode:
		kept := n.Content[:0:0]
		for _, c := range n.Content {
			if p := w.value(c, path); p != nil {
				return p
			}
			if c.Tag != commentTag {
				kept = append(kept, c)
			}
		}
		n.Content = kept
		return nil
	case yaml.ScalarNode:
		return w.scalar(n, path)
	}
	return problem(placeOf(n), "an alias: sops writes none; encrypt the file again")
}

// commentTag marks a comment in a list, which SOPS keeps as an item.
const commentTag = "!sops-comment"

func (w *walker) scalar(n *yaml.Node, path []string) *Problem {
	if n.Tag == "!!null" {
		return nil
	}
	how := w.selects(path)
	if how == either {
		how = plain
		if IsValue(n.Value) {
			how = encrypted
		}
	}
	if how == plain {
		if w.macEncrypted {
			return nil
		}
		covered, ok := macBytes(n)
		if !ok {
			return problem(placeOf(n), "a value that sops does not take: encrypt the file again")
		}
		w.mac.Write(covered)
		return nil
	}
	if n.Value == "" && n.Tag == "!!str" {
		return nil // SOPS leaves empty texts as they are
	}
	if !IsValue(n.Value) {
		return problem(placeOf(n), "the value of %s is not encrypted, and the sops block says that it is: edit the file with sops", where(path))
	}
	raw, typ, err := w.cipher.open(n.Value, strings.Join(path, ":")+":")
	if err != nil {
		return problem(placeOf(n), "the value of %s cannot be decrypted: it was changed or moved; take it from Git's history, or encrypt the file again", where(path))
	}
	if !setPlain(n, raw, typ) {
		return problem(placeOf(n), "the value of %s is of a type that is not known: %q", where(path), typ)
	}
	w.opened[n] = true
	if n.Tag != commentTag {
		covered, _ := macBytes(n)
		w.mac.Write(covered)
	}
	return nil
}

// where names a value by its keys, which SOPS leaves readable. What is no
// word is not shown.
func where(path []string) string {
	for _, key := range path {
		if strings.Trim(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != "" {
			return "this key"
		}
	}
	return strings.Join(path, ".")
}

// setPlain gives a node its decrypted value.
func setPlain(n *yaml.Node, raw []byte, typ string) bool {
	n.Style, n.Value = 0, string(raw)
	switch typ {
	case "str", "bytes":
		n.Tag, n.Style = "!!str", yaml.DoubleQuotedStyle
	case "int":
		n.Tag = "!!int"
	case "float":
		n.Tag = "!!float"
	case "bool":
		n.Tag, n.Value = "!!bool", strings.ToLower(n.Value)
	case "time":
		n.Tag = "!!timestamp"
	case "comment":
		n.Tag = commentTag
	default:
		return false
	}
	return true
}

// macBytes are what SOPS's authentication code covers of a value.
func macBytes(n *yaml.Node) ([]byte, bool) {
	if n.Tag == "!!str" {
		return []byte(n.Value), true
	}
	var v any
	if n.Decode(&v) != nil {
		return nil, false
	}
	switch v := v.(type) {
	case string:
		return []byte(v), true
	case int:
		return strconv.AppendInt(nil, int64(v), 10), true
	case float64:
		return strconv.AppendFloat(nil, v, 'f', -1, 64), true
	case bool:
		if v {
			return []byte("True"), true
		}
		return []byte("False"), true
	case time.Time:
		b, err := v.MarshalText()
		return b, err == nil
	}
	return nil, false
}
