package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/config"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/preflight"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/rights"
	"github.com/plumbline-dev/plumbline/gitsource"
	"github.com/plumbline-dev/plumbline/gitsource/forge/gitea"
	"github.com/plumbline-dev/plumbline/gitsource/forge/notes"
	"github.com/plumbline-dev/plumbline/render"
	"github.com/plumbline-dev/plumbline/render/sops"
)

// checkRun is one run of check. It reads the repository first: what that says
// is what the clusters are asked for.
type checkRun struct {
	settings settings
	cache    string
	now      func() time.Time
	opening  opening                  // of the environment that is rendered next
	rendered map[string]render.Result // by environment, where it could be rendered
}

// environments checks what each environment needs besides its cluster.
func (c *checkRun) environments(ctx context.Context) []preflight.Finding {
	c.rendered = map[string]render.Result{}
	var out []preflight.Finding
	for i, env := range c.settings.Environments {
		found := c.decryption(ctx, env)
		found = append(found, c.repository(ctx, i, env)...)
		found = append(found, c.statuses(ctx, i))
		for j := range found {
			found[j].Environment = "environment " + env.Name
		}
		out = append(out, found...)
	}
	return out
}

func (c *checkRun) auth() gitsource.Auth {
	a := c.settings.Source.Auth
	return gitsource.Auth{Username: a.Username, TokenFile: a.TokenFile, CAFile: a.CAFile, SSHKeyFile: a.SSHKeyFile, KnownHostsFile: a.KnownHostsFile}
}

// repository fetches and renders.
func (c *checkRun) repository(ctx context.Context, i int, env config.Environment) []preflight.Finding {
	const subject = "repository"
	src := c.settings.Source
	if src.URL == "" {
		return []preflight.Finding{preflight.Lacks(subject, "none is named", "give --config FILE, or --repo URL", plumbline.KindUsage)}
	}
	branch := env.Branch
	if branch == "" {
		branch = src.Branch
	}
	m, err := gitsource.New(gitsource.Options{
		URL: src.URL, Branch: branch, Auth: c.auth(), Timeout: src.Timeout, Dir: filepath.Join(c.cache, "mirror-"+strconv.Itoa(i)),
	})
	if err != nil {
		return []preflight.Finding{preflight.Lacks(subject, message(err), "mend source.url", plumbline.KindOf(err))}
	}
	defer m.Close() //nolint:errcheck // a temporary directory
	head, err := m.Fetch(ctx)
	if err != nil {
		return []preflight.Finding{preflight.Lacks(subject, message(err), fetchAdvice(err), plumbline.KindOf(err))}
	}
	out := []preflight.Finding{preflight.Well(subject, fmt.Sprintf("branch %s is at %s", branch, head.Short()))}
	snapshot, err := m.Snapshot(ctx, head.SHA)
	if err != nil {
		return append(out, preflight.Lacks("definitions", message(err), "see the message", plumbline.KindOf(err)))
	}
	return append(out, c.definitions(ctx, env, snapshot))
}

func fetchAdvice(err error) string {
	switch plumbline.KindOf(err) {
	case plumbline.KindDenied:
		return "see that source.auth names credentials that may read the repository"
	case plumbline.KindInvalid:
		return "mend source.url and source.branch, or push to that branch"
	}
	return "see that source.url is right, and that the server can be reached from here"
}

// definitions renders what the environment's directory says.
func (c *checkRun) definitions(ctx context.Context, env config.Environment, s plumbline.Snapshot) preflight.Finding {
	const subject = "definitions"
	r, err := renderEnvironment(ctx, tree{fs: s.FS, dir: env.Path}, c.settings, env, c.opening)
	if errors.Is(err, sops.ErrAway) {
		return preflight.Lacks(subject, env.Path+" holds encrypted documents, which nobody opens now", "mend what is said of decryption", plumbline.KindOf(err))
	}
	if err != nil {
		return preflight.Lacks(subject, message(err), "see that the environment's path names the directory that holds its definitions", plumbline.KindOf(err))
	}
	if errs := plumbline.Errors(r.Violations); len(errs) > 0 {
		more := ""
		if len(errs) > 1 {
			more = fmt.Sprintf(" (+%d)", len(errs)-1)
		}
		return preflight.Lacks(subject, errs[0].String()+more, "`plumbline validate` in a clone lists all", plumbline.KindInvalid)
	}
	c.rendered[env.Name] = r.Result
	if len(r.Closed) > 0 {
		return preflight.Lacks(subject, fmt.Sprintf("%s: %s", r.Closed[0].Origin, r.Closed[0].Reason),
			"name its key in environments[].decryption, or add a recipient whose key is there", plumbline.KindInvalid)
	}
	detail := fmt.Sprintf("%s: %s, %s", env.Path, plural(len(r.Services), "service"), plural(r.Objects.Len(), "object"))
	if n := len(r.Violations); n > 0 {
		return preflight.Warn(subject, detail+", "+plural(n, "warning"), "`plumbline validate` in a clone lists them")
	}
	return preflight.Well(subject, detail)
}

// statuses asks whether statuses can be posted, as far as that can be told
// without posting one.
func (c *checkRun) statuses(ctx context.Context, i int) preflight.Finding {
	const subject = "statuses"
	src := c.settings.Source
	switch {
	case c.settings.Forge.Kind == config.ForgeNone:
		return preflight.Well(subject, "forge.kind is none: none are posted")
	case c.settings.Forge.Kind == config.ForgeGitea:
		return c.gitea(ctx)
	case src.URL == "":
		return preflight.Warn(subject, "there is no repository to keep notes in", "")
	}
	n, err := notes.New(notes.Options{URL: src.URL, Auth: c.auth(), Timeout: src.Timeout, Now: c.now, Dir: filepath.Join(c.cache, "notes-"+strconv.Itoa(i))})
	if err == nil {
		err = n.MayPush(ctx)
	}
	if err != nil {
		return preflight.Warn(subject, message(err), "or set forge.kind: none; applying goes on without statuses")
	}
	return preflight.Well(subject, "the repository takes pushes, so notes can be kept in "+notes.Ref)
}

// gitea asks the forge, as its token.
func (c *checkRun) gitea(ctx context.Context) preflight.Finding {
	const subject = "statuses"
	f := c.settings.Forge
	g, err := gitea.New(gitea.Options{
		URL: f.URL, Repository: f.Repository, TokenFile: f.TokenFile, CAFile: f.CAFile,
		Timeout: c.settings.Source.Timeout, UserAgent: "plumbline/" + version, Now: c.now,
	})
	if err == nil {
		err = g.MayPost(ctx)
	}
	if err != nil {
		return preflight.Warn(subject, message(err), "applying goes on without statuses")
	}
	return preflight.Well(subject, fmt.Sprintf("the token may post them on %s at %s", f.Repository, f.URL))
}

// clusters checks each cluster once, for all environments that are kept on it.
func (c *checkRun) clusters(ctx context.Context) []preflight.Finding {
	var order []config.Cluster
	groups := map[config.Cluster][]config.Environment{}
	for _, env := range c.settings.Environments {
		if _, known := groups[env.Cluster]; !known {
			order = append(order, env.Cluster)
		}
		groups[env.Cluster] = append(groups[env.Cluster], env)
	}
	var out []preflight.Finding
	for _, at := range order {
		found, names := c.cluster(ctx, at, groups[at])
		for i := range found {
			found[i].Environment = "cluster of " + strings.Join(names, ", ")
		}
		out = append(out, found...)
	}
	return out
}

func (c *checkRun) cluster(ctx context.Context, at config.Cluster, envs []config.Environment) (found []preflight.Finding, names []string) {
	o := preflight.Options{
		Version: version, Namespace: c.settings.Namespace, Observe: true, Features: c.settings.Knative.Features,
		InjectionLabel: c.settings.Mesh.Injection.Label, InjectionValue: c.settings.Mesh.Injection.Value,
	}
	for _, e := range envs {
		names = append(names, e.Name)
		if e.Decryption.Secret != "" {
			o.KeySecrets = append(o.KeySecrets, e.Decryption.Secret)
		}
		o.Observe = o.Observe && e.Mode == config.ModeObserve
	}
	o.Environments = names
	o.Kinds, o.Namespaces = c.kinds(envs)
	rc, err := restConfig(at)
	if err != nil {
		return []preflight.Finding{preflight.Lacks("kubeconfig", message(err), "", plumbline.KindUsage)}, names
	}
	o.Config = rc
	return preflight.Cluster(ctx, o), names
}

// kinds are those that environments apply, and the namespaces that they do it
// in: all that definitions can be rendered to, where it is not known.
func (c *checkRun) kinds(envs []config.Environment) (kinds []plumbline.GroupKind, namespaces []string) {
	for _, e := range envs {
		res, ok := c.rendered[e.Name]
		if !ok {
			return rights.Rendered(c.settings.HasKEDA(e)), nil
		}
		kinds = append(kinds, res.Objects.Kinds()...)
		for ref := range res.Objects.All() {
			if ref.Namespace != "" {
				namespaces = append(namespaces, ref.Namespace)
			}
		}
	}
	slices.Sort(namespaces)
	return kinds, slices.Compact(namespaces)
}

// message is an error in one line.
func message(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
