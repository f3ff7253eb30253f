package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/config"
	"github.com/plumbline-dev/plumbline/policies/guardrail"
)

// policyFile is a file of policies; its name is relative to the configuration
// file, or absolute.
type policyFile struct {
	name string
	text []byte
}

// loadGuardrails reads and compiles the rules that a configuration enables; nil
// where it enables none.
func loadGuardrails(configFile string, p config.Policies) (*guardrail.Set, error) {
	files, err := policyFiles(configFile, p.Paths)
	if err != nil {
		return nil, err
	}
	rules := p.Rules
	var errs []error
	for _, f := range files {
		more, err := guardrail.Parse(f.name, f.text)
		rules, errs = append(rules, more...), append(errs, err)
	}
	if err := errors.Join(errs...); err != nil || len(rules) == 0 {
		return nil, err
	}
	return guardrail.Compile(rules)
}

// policyFiles reads the files at paths, in directories those that are YAML or
// JSON, in the order of their names.
func policyFiles(configFile string, paths []string) ([]policyFile, error) {
	var out []policyFile
	for _, name := range paths {
		at := func(rel string) string {
			if filepath.IsAbs(rel) {
				return rel
			}
			return filepath.Join(filepath.Dir(configFile), rel)
		}
		names, err := policyNames(at(name), name)
		if err != nil {
			return nil, plumbline.Errorf(plumbline.KindUsage, "read policies.paths", "%w", err)
		}
		if len(names) == 0 {
			return nil, plumbline.Errorf(plumbline.KindUsage, "read policies.paths", "%s: no *.yaml, *.yml or *.json in this directory", name)
		}
		for _, n := range names {
			text, err := os.ReadFile(at(n))
			if err != nil {
				return nil, plumbline.Errorf(plumbline.KindUsage, "read policies.paths", "%w", err)
			}
			out = append(out, policyFile{n, text})
		}
	}
	return out, nil
}

// policyNames are the files at a path. In a mounted ConfigMap, files are links,
// and what they lead to is hidden.
func policyNames(path, name string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return []string{name}, err
	}
	var names []string
	err = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case p == path:
			return nil
		case strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return nil
		}
		switch filepath.Ext(p) {
		case ".yaml", ".yml", ".json":
			rel, err := filepath.Rel(path, p)
			names = append(names, filepath.Join(name, rel))
			return err
		}
		return nil
	})
	return names, err
}
