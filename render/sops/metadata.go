package sops

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Key of a document's block of metadata.
const Key = "sops"

// Kind is a kind of key that data keys are encrypted with.
type Kind string

// The kinds. All but age and PGP are keys of a service, which never leave it.
const (
	KindAge    Kind = "age"
	KindPGP    Kind = "PGP"
	KindAWS    Kind = "AWS KMS"
	KindGCP    Kind = "GCP KMS"
	KindAzure  Kind = "Azure Key Vault"
	KindVault  Kind = "Vault"
	KindHuawei Kind = "Huawei KMS"
)

// Recipient is one key that a data key is encrypted with.
type Recipient struct {
	Kind Kind
	Name string // "age1…", a PGP fingerprint, an ARN, a resource, or the URL of a vault
	// Wrapped is the data key, or a share of it, encrypted; as text.
	Wrapped string

	Role, Profile string            // of AWS
	Context       map[string]string // of AWS: what the data key was encrypted with besides
	Engine        string            // of Vault: the path of its transit engine
	KeyName       string            // of Azure and Vault, below the URL
	Version       string            // of Azure's key
}

func (r Recipient) String() string {
	switch r.Kind {
	case KindAge:
		return r.Name
	case KindAzure:
		return string(r.Kind) + " " + r.Name + "/keys/" + r.KeyName
	case KindVault:
		return string(r.Kind) + " " + r.Name + "/v1/" + r.Engine + "/keys/" + r.KeyName
	}
	return string(r.Kind) + " " + r.Name
}

// remote tells whether the key is one of a service.
func (r Recipient) remote() bool { return r.Kind != KindAge && r.Kind != KindPGP }

// metadata is the block of a document, as far as reading needs it.
type metadata struct {
	at           place
	groups       [][]Recipient
	threshold    int // groups that are needed, where there are several
	lastModified string
	mac          string
	macAt        place
	macEncrypted bool // the code covers encrypted values only
	selects      func(path []string) selection
}

// selection says whether a value is one that SOPS encrypts.
type selection int

const (
	plain     selection = iota
	encrypted           // or empty
	either              // comments decide: whatever looks encrypted is
)

// place of a node.
type place struct{ line, column int }

func placeOf(n *yaml.Node) place { return place{n.Line, n.Column} }

// Is tells whether a document has a block of SOPS, or what is left of one.
func Is(root *yaml.Node) bool { return child(root, Key) != nil }

// child is the value of a key of a mapping, nil where there is none.
func child(n *yaml.Node, key string) *yaml.Node {
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

func text(n *yaml.Node, key string) string {
	c := child(n, key)
	if c == nil || c.Kind != yaml.ScalarNode || c.Tag == "!!null" {
		return ""
	}
	return c.Value
}

// maxRecipients bounds the work on one document.
const maxRecipients = 256

// readMetadata reads the block of a document.
func readMetadata(root *yaml.Node) (metadata, *Problem) {
	block := child(root, Key)
	m := metadata{at: placeOf(block), mac: text(block, "mac"), lastModified: text(block, "lastmodified")}
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value == Key {
			m.at = placeOf(root.Content[i])
		}
	}
	m.macAt = m.at
	if mac := child(block, "mac"); mac != nil {
		m.macAt = placeOf(mac)
	}
	m.macEncrypted = text(block, "mac_only_encrypted") == "true"
	if p := checkVersion(block); p != nil {
		return m, p
	}
	when, err := time.Parse(time.RFC3339, m.lastModified)
	if err != nil {
		return m, problem(m.at, "the sops block has no lastmodified time that can be read: take the file from Git's history, or encrypt it again")
	}
	m.lastModified = when.Format(time.RFC3339)
	if m.mac == "" {
		return m, problem(m.at, "the sops block has no mac: take the file from Git's history, or encrypt it again")
	}
	m.groups = readGroups(block)
	count := 0
	for _, g := range m.groups {
		count += len(g)
	}
	switch {
	case count == 0:
		return m, problem(m.at, "the sops block has no data key for anyone: take the file from Git's history, or encrypt it again")
	case count > maxRecipients:
		return m, problem(m.at, "the sops block has %d recipients; the limit is %d", count, maxRecipients)
	}
	m.threshold = len(m.groups)
	if t, err := strconv.Atoi(text(block, "shamir_threshold")); err == nil && t > 0 {
		m.threshold = t
	}
	var p *Problem
	m.selects, p = readRule(block, m.at)
	return m, p
}

// newest is the newest major version of SOPS whose format is known.
const newest = 3

func checkVersion(block *yaml.Node) *Problem {
	version := text(block, "version")
	major, _, _ := strings.Cut(version, ".")
	n, err := strconv.Atoi(major)
	at := placeOf(block)
	if v := child(block, "version"); v != nil {
		at = placeOf(v)
	}
	switch {
	case err != nil:
		return problem(at, "the sops block does not say by which version of sops it was written: encrypt the file again")
	case n > newest:
		return problem(at, "encrypted by sops %d, and this version of Plumbline reads what sops %d and older wrote", n, newest)
	}
	return nil
}

// readGroups are the recipients: one group, or several of which each has a
// share of the data key.
func readGroups(block *yaml.Node) [][]Recipient {
	if own := readGroup(block); len(own) > 0 {
		return [][]Recipient{own}
	}
	groups := child(block, "key_groups")
	if groups == nil || groups.Kind != yaml.SequenceNode {
		return nil
	}
	var out [][]Recipient
	for _, g := range groups.Content {
		out = append(out, readGroup(g))
	}
	return out
}

func readGroup(n *yaml.Node) []Recipient {
	kinds := []struct {
		key  string
		kind Kind
		name string // the key of the recipient's name
	}{
		{"age", KindAge, "recipient"},
		{"pgp", KindPGP, "fp"},
		{"kms", KindAWS, "arn"},
		{"gcp_kms", KindGCP, "resource_id"},
		{"azure_kv", KindAzure, "vault_url"},
		{"hc_vault", KindVault, "vault_address"},
		{"hckms", KindHuawei, "key_id"},
	}
	var out []Recipient
	for _, k := range kinds {
		list := child(n, k.key)
		if list == nil || list.Kind != yaml.SequenceNode {
			continue
		}
		for _, r := range list.Content {
			recipient := Recipient{Kind: k.kind, Name: text(r, k.name), Wrapped: text(r, "enc")}
			switch k.kind {
			case KindAWS:
				recipient.Role, recipient.Profile, recipient.Context = text(r, "role"), text(r, "aws_profile"), texts(child(r, "context"))
			case KindAzure:
				recipient.KeyName, recipient.Version = text(r, "name"), text(r, "version")
			case KindVault:
				recipient.Engine, recipient.KeyName = text(r, "engine_path"), text(r, "key_name")
			}
			out = append(out, recipient)
		}
	}
	return out
}

// texts are the entries of a mapping; nil where it is none, or empty.
func texts(n *yaml.Node) map[string]string {
	if n == nil || n.Kind != yaml.MappingNode || len(n.Content) == 0 {
		return nil
	}
	out := map[string]string{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		out[n.Content[i].Value] = text(n, n.Content[i].Value)
	}
	return out
}

// readRule is what says which values are encrypted. The rules look at every
// key on the way to a value.
func readRule(block *yaml.Node, at place) (func(path []string) selection, *Problem) {
	var rule func(path []string) selection
	rules := 0
	for _, r := range []struct {
		key       string
		hit       selection
		otherwise selection
	}{
		{"unencrypted_suffix", plain, encrypted},
		{"encrypted_suffix", encrypted, plain},
		{"unencrypted_regex", plain, encrypted},
		{"encrypted_regex", encrypted, plain},
		{"unencrypted_comment_regex", either, either},
		{"encrypted_comment_regex", either, either},
	} {
		value := text(block, r.key)
		if value == "" {
			continue
		}
		rules++
		matches := func(key string) bool { return strings.HasSuffix(key, value) }
		if strings.HasSuffix(r.key, "_regex") {
			re, err := regexp.Compile(value)
			if err != nil {
				return nil, problem(at, "%s of the sops block is no regular expression", r.key)
			}
			matches = re.MatchString
		}
		rule = func(path []string) selection {
			for _, key := range path {
				if matches(key) {
					return r.hit
				}
			}
			return r.otherwise
		}
	}
	switch rules {
	case 0:
		return func(path []string) selection {
			for _, key := range path {
				if strings.HasSuffix(key, "_unencrypted") {
					return plain
				}
			}
			return encrypted
		}, nil
	case 1:
		return rule, nil
	}
	return nil, problem(at, "the sops block has several rules for what is encrypted, and sops writes one")
}
