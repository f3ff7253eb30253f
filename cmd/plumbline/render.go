package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render/encode"
	"github.com/plumbline-dev/plumbline/render/sops"
)

type renderFlags struct {
	revision    string
	splitDir    string
	showSecrets bool
	verbose     bool
}

func (a *app) renderCommand() *cobra.Command {
	var f renderFlags
	cmd := a.command(spec{
		use: "render [DIR]", short: "Print the objects that the definitions stand for",
		long: `Print the manifests of one environment in the order in which they are applied.
The same definitions give the same bytes. The values of Secrets are redacted.

Hashes that depend on secret values read "unkeyed": the key lies on the
cluster.`,
		outputs: []string{"yaml", "json"}, projects: true, args: oneDir,
		run: func(ctx context.Context, args []string) error { return a.render(ctx, args, f) },
	})
	cmd.Flags().StringVar(&f.revision, "revision", "", "`commit`, branch or tag to read instead of the files")
	cmd.Flags().StringVar(&f.splitDir, "split-dir", "", "write one file an object into this empty `directory`")
	cmd.Flags().BoolVar(&f.showSecrets, "show-secrets", false, "print the values of Secrets")
	cmd.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "also say how each service is run, and why")
	return cmd
}

func (a *app) render(ctx context.Context, args []string, f renderFlags) error {
	s, err := a.settings()
	if err != nil {
		return err
	}
	if _, err := s.one(); err != nil {
		return err
	}
	rs, err := a.renderings(ctx, s, args, f.revision)
	if err != nil {
		return err
	}
	r := rs[0]
	a.noteClosed(r.Closed)
	if err := a.sayViolations(r.Violations); err != nil {
		return err
	}
	if f.verbose {
		for _, m := range r.Services {
			a.note("%s/%s: %s: %s", m.Project, m.Service, m.Mode, m.Why)
		}
	}
	if err := knownProjects(s.projects, r); err != nil {
		return err
	}
	ms := manifests(r, s.projects, f.showSecrets)
	switch {
	case f.splitDir != "":
		return writeSplit(f.splitDir, ms, a.output)
	case a.output == "json":
		return streamItems(a.out, "ObjectList", func(yield func(json.RawMessage, error) bool) {
			for m, err := range ms {
				if !yield(m.json, err) {
					return
				}
			}
		})
	}
	return writeYAML(a.out, ms)
}

// manifest is an object as it is shown.
type manifest struct {
	ref  plumbline.Ref
	json []byte
}

// manifests are the objects in the order in which they are applied, made one by
// one.
func manifests(r rendering, projects []string, showSecrets bool) iter.Seq2[manifest, error] {
	return func(yield func(manifest, error) bool) {
		for _, o := range plumbline.InWaves(r.Objects) {
			if len(projects) > 0 && !slices.Contains(projects, o.Project) {
				continue
			}
			m := manifest{ref: o.Ref, json: o.Body.Reveal()}
			var err error
			if isSecret(o.Ref) && (!showSecrets || len(r.Closed) > 0) {
				if m.json, err = redactSecret(m.json, showSecrets); err != nil {
					err = &plumbline.Error{Op: "redact", Kind: plumbline.KindInternal, Ref: o.Ref, Origin: o.Origin, Err: err}
				}
			}
			if !yield(m, err) {
				return
			}
		}
	}
}

// closedValue stands for a value that no key has opened. It is no base64, so
// that a manifest with it is not applied by mistake.
const closedValue = "[encrypted]"

// redactSecret replaces the values of a Secret, or if they are to be shown those
// that are still encrypted.
func redactSecret(body []byte, show bool) ([]byte, error) {
	return plumbline.RedactSecret(body, func(value any) any {
		switch {
		case isClosed(value):
			return closedValue
		case !show:
			return plumbline.SecretValue{}
		}
		return value
	})
}

// isClosed tells whether a value of data is SOPS's text, or several of them.
func isClosed(value any) bool {
	text, _ := value.(string)
	raw, err := base64.StdEncoding.DecodeString(text)
	return err == nil && len(raw) > 0 && sops.IsValue(string(raw))
}

func writeYAML(w io.Writer, ms iter.Seq2[manifest, error]) error {
	buf := bufio.NewWriterSize(w, 1<<16) // keeps the first error for Flush
	between := ""
	for m, err := range ms {
		if err != nil {
			return errors.Join(err, buf.Flush())
		}
		_, _ = buf.WriteString(between)
		between = "---\n"
		text, err := m.yaml()
		if err != nil {
			return errors.Join(err, buf.Flush())
		}
		_, _ = buf.Write(text)
	}
	return buf.Flush()
}

func (m manifest) yaml() ([]byte, error) {
	text, err := yaml.JSONToYAML(encode.ForYAML(m.json))
	if err != nil {
		return nil, &plumbline.Error{Op: "write YAML", Kind: plumbline.KindInternal, Ref: m.ref, Err: errors.New("the body is no JSON")}
	}
	return text, nil
}

// writeSplit writes one file an object into an empty directory:
// <namespace>/<kind>[.<group>]_<name>, objects without a namespace in
// "_cluster".
func writeSplit(dir string, ms iter.Seq2[manifest, error], format string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case err == nil && len(entries) > 0:
		return usage("--split-dir: %s is not empty", dir)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return usage("--split-dir: %w", err)
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return usage("--split-dir: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return usage("--split-dir: %w", err)
	}
	defer root.Close() //nolint:errcheck // its files are closed
	for m, err := range ms {
		if err != nil {
			return err
		}
		var text []byte
		if format == "json" {
			text, err = indented(m.json)
		} else {
			text, err = m.yaml()
		}
		name := splitName(m.ref) + "." + format
		if err == nil {
			err = root.MkdirAll(path.Dir(name), 0o750)
		}
		if err == nil {
			err = root.WriteFile(name, text, 0o600)
		}
		if err != nil {
			return usage("--split-dir: %w", err)
		}
	}
	return nil
}

func indented(text []byte) ([]byte, error) {
	var buf bytes.Buffer
	err := json.Indent(&buf, text, "", "  ")
	buf.WriteByte('\n')
	return buf.Bytes(), err
}

func splitName(r plumbline.Ref) string {
	dir, kind := r.Namespace, strings.ToLower(r.Kind)
	if dir == "" {
		dir = "_cluster"
	}
	if r.Group != "" {
		kind += "." + r.Group
	}
	return dir + "/" + kind + "_" + r.Name
}
