package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/keyservice"
	"github.com/plumbline-dev/plumbline/gitsource/forge/gitea"
	"github.com/plumbline-dev/plumbline/policies"
	"github.com/plumbline-dev/plumbline/policies/guardrail"
)

// MaxEnvironmentName is the longest name of an environment: it becomes part of
// object names.
const MaxEnvironmentName = 40

var (
	dnsLabel     = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
	dnsSubdomain = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`)
	groupKind    = regexp.MustCompile(`^(([a-z0-9.-]+)/)?([A-Z][A-Za-z0-9]*)$`)
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (k *GroupKind) UnmarshalText(text []byte) error {
	m := groupKind.FindSubmatch(text)
	if m == nil {
		return fmt.Errorf("%q is not a kind like \"apiextensions.k8s.io/CustomResourceDefinition\"", text)
	}
	*k = GroupKind{Group: string(m[2]), Kind: string(m[3])}
	return nil
}

// CheckEnvironmentName says what is wrong with a name.
func CheckEnvironmentName(name string) error {
	if len(name) > MaxEnvironmentName || !dnsLabel.MatchString(name) {
		return fmt.Errorf("%q is not a name of at most %d lower-case letters, digits and dashes", name, MaxEnvironmentName)
	}
	return nil
}

// CheckURL says what is wrong with the address of a repository.
func CheckURL(address string) error {
	if address == "" {
		return errors.New("missing: the repository's URL")
	}
	if u, err := url.Parse(address); err == nil && u.User != nil {
		if _, has := u.User.Password(); has {
			return errors.New("holds a password; put it into a file and name that in source.auth.tokenFile")
		}
	}
	return nil
}

func (p *parser) validate(root *yaml.Node, c *Config) {
	if c.APIVersion != plumbline.APIVersion || lookup(root, "apiVersion") == nil {
		p.errorf(lineOf(root, "apiVersion"), "apiVersion: want %s", plumbline.APIVersion)
	}
	if c.Kind != kind || lookup(root, "kind") == nil {
		p.errorf(lineOf(root, "kind"), "kind: want %s", kind)
	}
	p.validateSource(root, c)
	p.validateForge(root, c.Forge)
	if len(c.Environments) == 0 {
		p.errorf(lineOf(root, "environments"), "environments: none; name at least one, with its path")
	}
	for i, n := range items(lookup(root, "environments")) {
		p.validateEnvironment(n, fmt.Sprintf("environments[%d]", i), &c.Environments[i], c.Environments[:i])
	}
	if !dnsLabel.MatchString(c.Namespace) || len(c.Namespace) > 63 {
		p.errorf(lineOf(root, "namespace"), "namespace: %q is not a namespace's name", c.Namespace)
	}
	p.validateKnative(root, c.Knative)
	for i, g := range c.Mesh.Gateways {
		if ns, sa, ok := strings.Cut(g, "/"); !ok || ns == "" || sa == "" || strings.Contains(sa, "/") {
			p.errorf(lineOf(root, "mesh", "gateways"), "mesh.gateways[%d]: %q is not namespace/service-account", i, g)
		}
	}
	for i, ns := range c.Mesh.AlwaysAllowedNamespaces {
		switch {
		case ns == "knative-serving":
			p.errorf(lineOf(root, "mesh", "alwaysAllowedNamespaces"), "mesh.alwaysAllowedNamespaces[%d]: %s would let everyone call every service: its activator hands on the calls of all in its own name; what Knative needs is let in without it", i, ns)
		case ns == "" || strings.ContainsAny(ns, "*/. "):
			p.errorf(lineOf(root, "mesh", "alwaysAllowedNamespaces"), "mesh.alwaysAllowedNamespaces[%d]: %q is not the name of a namespace", i, ns)
		}
	}
	p.validatePolicies(root, &c.Policies)
	if _, err := ParseLevel(c.Log.Level); err != nil {
		p.errorf(lineOf(root, "log", "level"), "log.level: %w", err)
	}
	if err := CheckFormat(c.Log.Format); err != nil {
		p.errorf(lineOf(root, "log", "format"), "log.format: %w", err)
	}
}

func (p *parser) validateSource(root *yaml.Node, c *Config) {
	s := c.Source
	if err := CheckURL(s.URL); err != nil {
		p.errorf(lineOf(root, "source", "url"), "source.url: %w", err)
	}
	if s.Branch == "" {
		p.errorf(lineOf(root, "source", "branch"), "source.branch: empty; leave it out for main")
	}
	p.duration(root, s.Interval, "interval")
	p.duration(root, s.Timeout, "timeout")
}

// validateKnative wants an image of a container, and of nothing else.
func (p *parser) validateKnative(root *yaml.Node, k Knative) {
	if p.refused("knative.metricsProxy") {
		return
	}
	switch container := k.MetricsProxy == "container"; {
	case container && k.MetricsProxyImage == "":
		p.errorf(lineOf(root, "knative", "metricsProxyImage"), "knative.metricsProxyImage: missing: knative.metricsProxy container needs it")
	case !container && k.MetricsProxyImage != "":
		p.errorf(lineOf(root, "knative", "metricsProxyImage"), "knative.metricsProxyImage: knative.metricsProxy %s has none", k.MetricsProxy)
	}
}

// validateForge wants of a forge with an API what finds it, and of the others
// nothing: a key that does nothing is a misunderstanding.
func (p *parser) validateForge(root *yaml.Node, f Forge) {
	if p.refused("forge.kind") {
		return
	}
	api := f.Kind == ForgeGitea
	for _, k := range []struct {
		key, value string
		check      func(string) error
	}{
		{"url", f.URL, gitea.CheckURL},
		{"repository", f.Repository, gitea.CheckRepository},
		{"tokenFile", f.TokenFile, nil},
		{"caFile", f.CAFile, nil},
	} {
		at := lineOf(root, "forge", k.key)
		switch {
		case !api && k.value != "":
			p.errorf(at, "forge.%s: forge.kind %s has none", k.key, f.Kind)
		case !api || k.key == "caFile":
		case k.value == "":
			p.errorf(at, "forge.%s: missing: forge.kind %s needs it", k.key, f.Kind)
		case k.check != nil:
			if err := k.check(k.value); err != nil {
				p.errorf(at, "forge.%s: %w", k.key, err)
			}
		}
	}
}

func (p *parser) validatePolicies(root *yaml.Node, c *Policies) {
	nodes := items(lookup(root, "policies", "rules"))
	taken := map[string]bool{}
	for i, choice := range c.RuleChoices {
		at := fmt.Sprintf("policies.rules[%d]", i)
		rule, err := guardrail.Builtin(guardrail.Choice{
			Name: choice.Name, Severity: plumbline.Severity(choice.Severity), Parameters: choice.Parameters,
		})
		switch {
		case err != nil:
			p.errorf(nodes[i].Line, "%s.%w", at, err)
		case taken[choice.Name]:
			p.errorf(nodes[i].Line, "%s.name: %q a second time", at, choice.Name)
		}
		taken[choice.Name] = true
		c.Rules = append(c.Rules, rule)
	}
	for i, n := range items(lookup(root, "policies", "paths")) {
		if c.Paths[i] == "" {
			p.errorf(n.Line, "policies.paths[%d]: empty; name a file or a directory", i)
		}
	}
}

func (p *parser) duration(root *yaml.Node, d time.Duration, key string) {
	if d < time.Second || d > 24*time.Hour {
		p.errorf(lineOf(root, "source", key), "source.%s: %s is not between 1s and 24h", key, d)
	}
}

func (p *parser) validateEnvironment(n *yaml.Node, at string, e *Environment, before []Environment) {
	bad := func(key, format string, args ...any) {
		p.errorf(lineOf(n, strings.Split(key, ".")...), at+"."+key+": "+format, args...)
	}
	if err := CheckEnvironmentName(e.Name); err != nil {
		bad("name", "%w", err)
	}
	if d := e.Health.Timeout; d < time.Second || d > 24*time.Hour {
		bad("health.timeout", "%s is not between 1s and 24h", d)
	}
	if lookup(n, "path") == nil {
		bad("path", "missing: the environment's directory in the repository (\".\" for all of it)")
	}
	if clean := path.Clean(e.Path); path.IsAbs(clean) || clean == ".." || strings.HasPrefix(clean, "../") {
		bad("path", "%q leaves the repository", e.Path)
	} else {
		e.Path = clean
	}
	if !slices.Contains([]Mode{ModeSync, ModeObserve}, e.Mode) {
		bad("mode", "%q is neither %s nor %s", e.Mode, ModeSync, ModeObserve)
	}
	if !slices.Contains([]DriftAction{DriftHeal, DriftReport}, e.Drift.Action) {
		bad("drift.action", "%q is neither %s nor %s", e.Drift.Action, DriftHeal, DriftReport)
	}
	if !slices.Contains([]DriftForeign{ForeignIgnore, ForeignReport}, e.Drift.Foreign) {
		bad("drift.foreign", "%q is neither %s nor %s", e.Drift.Foreign, ForeignIgnore, ForeignReport)
	}
	if e.Prune.MaxObjects < 0 {
		bad("prune.maxObjects", "%d is negative", e.Prune.MaxObjects)
	}
	if e.StatusContext == "" {
		e.StatusContext = "plumbline/" + e.Name
	}
	if len(e.StatusContext) > 200 || strings.ContainsFunc(e.StatusContext, func(r rune) bool { return r < ' ' }) {
		bad("statusContext", "longer than 200 bytes, or with control characters")
	}
	for _, o := range before {
		if o.Name == e.Name {
			bad("name", "%q a second time", e.Name)
		}
		if o.StatusContext == e.StatusContext && o.Name != e.Name {
			bad("statusContext", "%q is that of %s too", e.StatusContext, o.Name)
		}
	}
	if slices.Contains(e.Decryption.AgeKeyFiles, "") {
		bad("decryption.ageKeyFiles", "an empty name")
	}
	if slices.Contains(e.Decryption.PGPKeyFiles, "") {
		bad("decryption.pgpKeyFiles", "an empty name")
	}
	if name := e.Decryption.Secret; name != "" && (len(name) > 253 || !dnsSubdomain.MatchString(name)) {
		bad("decryption.secret", "%q is not the name of a Secret", name)
	}
	for _, v := range e.Decryption.Vaults {
		if u, err := url.Parse(v); err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" {
			bad("decryption.vaults", "an entry is no URL like https://vault.example.com:8200")
		}
	}
	if len(e.Decryption.Vaults) > 0 && e.Decryption.KeyService == (keyservice.Address{}) {
		bad("decryption.vaults", "a key service asks them, and decryption.keyService names none")
	}
	for i, spec := range e.WindowSpecs {
		if spec.Mode == "" {
			spec.Mode = string(policies.WindowAllow)
		}
		w, err := policies.ParseWindow(policies.WindowSpec{
			Schedule: spec.Schedule, Duration: spec.Duration, Timezone: spec.Timezone, Mode: policies.WindowMode(spec.Mode),
		})
		if err != nil {
			p.errorf(items(lookup(n, "windows"))[i].Line, "%s.windows[%d].%w", at, i, err)
			continue
		}
		e.Windows = append(e.Windows, w)
	}
}

// ParseLevel reads a level of the log: debug, info, warn or error.
func ParseLevel(s string) (slog.Level, error) {
	switch s {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("%q is not debug, info, warn or error", s)
}

// CheckFormat says what is wrong with a format of the log.
func CheckFormat(s string) error {
	if s != "text" && s != "json" {
		return fmt.Errorf("%q is neither text nor json", s)
	}
	return nil
}
