package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	udiff "github.com/aymanbagabas/go-udiff"
	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/reconciler"
	"github.com/plumbline-dev/plumbline/render/encode"
)

func (a *app) diffCommand() *cobra.Command {
	var revision, against string
	var adopted bool
	cmd := a.command(spec{
		use: "diff [DIR]", short: "Show what applying a directory would change",
		long: `
Diff renders DIR (default: the working directory), or a --revision of the clone
that DIR lies in, and compares it

  --against cluster    with the live objects: only those that would be written
                       are read, and a dry-run says what would become of them
  --against git:REV    with another revision of the clone: no cluster is needed

A service that would be run in another mode is named first: it is not reached
for a moment. The values of Secrets are never shown. Exits 1 where there are
differences.

With --adoption it lists instead what is on the cluster already: objects that a
run would take over (adopted), that it would add its labels to (shared), that
stand in its way (refused), and those of Space Cloud whose work others do
(replaced) or that no definition stands for (left). Nothing ever deletes those.`,
		outputs: []string{"text", "json", "markdown"}, args: oneDir,
		run: func(ctx context.Context, args []string) error {
			dir := "."
			if len(args) > 0 {
				dir = args[0]
			}
			if adopted {
				if against != "cluster" {
					return usage("--adoption: it is about the cluster; leave --against out")
				}
				return a.diffAdoption(ctx, dir, revision)
			}
			return a.diff(ctx, dir, revision, against)
		},
	})
	cmd.Flags().StringVar(&revision, "revision", "", "`commit`, branch or tag to read instead of the files")
	cmd.Flags().StringVar(&against, "against", "cluster", "`what`: the cluster, or git:REV")
	cmd.Flags().BoolVar(&adopted, "adoption", false, "say what becomes of what was there before Plumbline")
	return cmd
}

// comparison is all that differs.
type comparison struct {
	objects []difference // in the order of Refs
	modes   []plumbline.ModeChange
}

// difference of one object.
type difference struct {
	plumbline.Change
	// Text is a unified diff of the manifests, without the values of Secrets.
	Text string `json:"diff,omitempty"`
}

func (a *app) diff(ctx context.Context, dir, revision, against string) error {
	var found comparison
	var err error
	base, git := strings.CutPrefix(against, "git:")
	switch {
	case git && base != "":
		found, err = a.diffGit(ctx, dir, revision, base)
	case against == "cluster":
		found, err = a.diffCluster(ctx, dir, revision)
	default:
		return usage("--against: %q is neither cluster nor git:REV", against)
	}
	if err != nil {
		return err
	}
	switch a.output {
	case "json":
		err = writeJSON(a.out, struct {
			items[difference]
			ModeChanges []plumbline.ModeChange `json:"modeChanges,omitempty"`
		}{itemsOf("DiffList", found.objects), found.modes})
	case "markdown":
		err = writeMarkdown(a.out, found)
	default:
		err = a.writeDiff(a.out, found)
	}
	if err != nil {
		return err
	}
	if len(found.objects) > 0 {
		return errDifferent
	}
	a.note("No differences.")
	return nil
}

// diffGit compares two revisions, or files and a revision.
func (a *app) diffGit(ctx context.Context, dir, revision, base string) (comparison, error) {
	s, err := a.settings()
	if err != nil {
		return comparison{}, err
	}
	if _, err := s.one(); err != nil {
		return comparison{}, err
	}
	old, err := a.validObjects(ctx, s, dir, base)
	if err != nil {
		return comparison{}, err
	}
	now, err := a.validObjects(ctx, s, dir, revision)
	if err != nil {
		return comparison{}, err
	}
	return compare(old, now)
}

// validObjects renders one environment, and fails where it has errors.
func (a *app) validObjects(ctx context.Context, s settings, dir, revision string) (plumbline.Objects, error) {
	rs, err := a.renderings(ctx, s, []string{dir}, revision)
	if err != nil {
		return plumbline.Objects{}, err
	}
	a.noteClosed(rs[0].Closed)
	if errs := plumbline.Errors(rs[0].Violations); len(errs) > 0 {
		for _, v := range errs {
			a.writeViolation(a.err, v)
		}
		return plumbline.Objects{}, silent{plumbline.Errorf(plumbline.KindInvalid, "render", "invalid definitions")}
	}
	return rs[0].Objects, nil
}

// compare tells what differs.
func compare(old, now plumbline.Objects) (comparison, error) {
	var list []difference
	var leaving []reconciler.Candidate
	for ref := range old.Diff(now) {
		was, before := old.Get(ref)
		is, after := now.Get(ref)
		var d difference
		var a, b []byte
		if before {
			a = was.Body.Reveal()
			d.Change = plumbline.Change{Ref: ref, Op: plumbline.OpDelete, Origin: was.Origin, Wave: plumbline.WavePrune, Reason: "no longer defined"}
		}
		if before && !after {
			leaving = append(leaving, reconciler.Candidate{Ref: ref, Project: was.Project, Service: was.Service})
		}
		if after {
			b = is.Body.Reveal()
			d.Change = plumbline.Change{Ref: ref, Op: plumbline.OpCreate, Origin: is.Origin, Wave: is.Wave, Reason: "new"}
		}
		if before && after {
			if bytes.Equal(a, b) {
				continue
			}
			d.Op, d.Reason = plumbline.OpConfigure, "changed"
		}
		var err error
		if d.Text, err = textDiff(ref, a, b); err != nil {
			return comparison{}, err
		}
		list = append(list, d)
	}
	modes := reconciler.ModeChanges(leaving, func(ref plumbline.Ref) bool {
		_, ok := old.Get(ref)
		return ok
	}, now)
	return comparison{list, modes}, nil
}

// diffCluster asks what a reconcile would do, and for what it would write what
// would become of it.
func (a *app) diffCluster(ctx context.Context, dir, revision string) (found comparison, err error) {
	once, err := a.prepareOnce(ctx, dir, applyFlags{revision: revision, dryRun: true, prune: true})
	if err != nil {
		return comparison{}, err
	}
	defer func() {
		if e := once.close(); err == nil {
			err = e
		}
	}()
	drifted := map[plumbline.Ref]plumbline.Verdict{}
	once.Progress = func(e reconciler.Event) {
		if e.Kind == reconciler.EventDrift {
			drifted[e.Verdict.Ref] = e.Verdict
		}
	}
	res, err := reconciler.New(once.Options).Run(ctx)
	for _, v := range once.source.tree.placed(plumbline.Errors(res.Violations)) {
		a.writeViolation(a.err, v)
	}
	if len(plumbline.Errors(res.Violations)) > 0 {
		return comparison{}, silent{err}
	}
	if err != nil {
		return comparison{}, err
	}
	desired := once.renderer.last.Objects
	changes := slices.DeleteFunc(res.Plan.Changes, func(c plumbline.Change) bool { return c.Op == plumbline.OpKeep })
	for _, c := range changes {
		delete(drifted, c.Ref)
	}
	for ref, v := range drifted {
		c := plumbline.Change{Ref: ref, Op: plumbline.OpConfigure, Reason: strings.TrimPrefix(v.String(), ref.Short()+" ")}
		if o, ok := desired.Get(ref); ok {
			c.Origin, c.Wave = o.Origin, o.Wave
		}
		changes = append(changes, c)
	}
	slices.SortFunc(changes, func(x, y plumbline.Change) int { return x.Ref.Compare(y.Ref) })
	found.modes = res.Plan.ModeChanges
	found.objects, err = a.describeChanges(ctx, once, changes, desired)
	return found, err
}

func (a *app) describeChanges(ctx context.Context, once *oneShot, changes []plumbline.Change, desired plumbline.Objects) ([]difference, error) {
	list := make([]difference, 0, len(changes))
	for _, c := range changes {
		d := difference{Change: c}
		var live, then []byte
		var err error
		o, wanted := desired.Get(c.Ref)
		switch {
		case isSecret(c.Ref): // its body stays where it is
		case c.Op == plumbline.OpCreate && wanted:
			then = o.Body.Reveal()
		case c.Op == plumbline.OpConfigure && wanted:
			live, then, err = once.Client.Preview(ctx, *o)
		}
		if err != nil {
			return nil, err
		}
		if live != nil || then != nil {
			if d.Text, err = textDiff(c.Ref, live, then); err != nil {
				return nil, err
			}
		}
		list = append(list, d)
	}
	return list, nil
}

func isSecret(r plumbline.Ref) bool { return r.Group == "" && r.Kind == "Secret" }

// textDiff compares two manifests as YAML; nil is none. Values of Secrets are
// redacted, so where nothing but them differs, it says only that.
func textDiff(ref plumbline.Ref, old, now []byte) (string, error) {
	a, err := readable(ref, old)
	if err != nil {
		return "", err
	}
	b, err := readable(ref, now)
	if err != nil {
		return "", err
	}
	if a == b && isSecret(ref) {
		return "values differ\n", nil
	}
	return udiff.Unified("before", "after", a, b), nil
}

// readable is a manifest as people read it: YAML, without what the API server
// keeps books with.
func readable(ref plumbline.Ref, body []byte) (string, error) {
	if body == nil {
		return "", nil
	}
	if isSecret(ref) {
		redacted, err := redactSecret(body, false)
		if err != nil {
			return "", &plumbline.Error{Op: "redact", Kind: plumbline.KindInternal, Ref: ref, Err: err}
		}
		body = redacted
	}
	var m map[string]any
	if err := json.Unmarshal(body, &m); err != nil {
		return "", &plumbline.Error{Op: "read manifest", Kind: plumbline.KindInternal, Ref: ref, Err: err}
	}
	delete(m, "status")
	if md, ok := m["metadata"].(map[string]any); ok {
		for _, key := range []string{"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp"} {
			delete(md, key)
		}
		if labels, ok := md["labels"].(map[string]any); ok {
			delete(labels, plumbline.LabelInstallation)
		}
	}
	body, err := json.Marshal(m)
	if err != nil {
		return "", &plumbline.Error{Op: "write manifest", Kind: plumbline.KindInternal, Ref: ref, Err: err}
	}
	out, err := yaml.JSONToYAML(encode.ForYAML(body))
	return string(out), err
}

func (a *app) writeDiff(w io.Writer, found comparison) error {
	for _, m := range found.modes {
		if _, err := fmt.Fprintln(w, a.paint(w, yellow, m.String())); err != nil {
			return err
		}
	}
	for _, d := range found.objects {
		if _, err := fmt.Fprintf(w, "%s %s (%s)\n", d.Op, d.Ref, d.Reason); err != nil {
			return err
		}
		for _, line := range strings.SplitAfter(d.Text, "\n") {
			switch {
			case line == "", strings.HasPrefix(line, "--- before"), strings.HasPrefix(line, "+++ after"):
				continue
			case strings.HasPrefix(line, "+"):
				line = a.paint(w, green, strings.TrimSuffix(line, "\n")) + "\n"
			case strings.HasPrefix(line, "-"):
				line = a.paint(w, red, strings.TrimSuffix(line, "\n")) + "\n"
			}
			if _, err := io.WriteString(w, "  "+line); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeMarkdown prints what a comment would show. A fence longer than any run
// of backticks inside keeps the diff text.
func writeMarkdown(w io.Writer, found comparison) error {
	for _, m := range found.modes {
		if _, err := fmt.Fprintf(w, "**%s**\n\n", m); err != nil {
			return err
		}
	}
	for _, d := range found.objects {
		fence := "```"
		for strings.Contains(d.Text, fence) {
			fence += "`"
		}
		if _, err := fmt.Fprintf(w, "**%s** `%s` (%s)\n\n%sdiff\n%s%s\n\n", d.Op, d.Ref, d.Reason, fence, d.Text, fence); err != nil {
			return err
		}
	}
	return nil
}
