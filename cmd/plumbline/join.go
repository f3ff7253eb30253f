package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"time"

	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/config"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/keyring"
	"github.com/plumbline-dev/plumbline/gitsource"
	"github.com/plumbline-dev/plumbline/gitsource/forge"
	"github.com/plumbline-dev/plumbline/gitsource/forge/gitea"
	"github.com/plumbline-dev/plumbline/gitsource/forge/notes"
	"github.com/plumbline-dev/plumbline/policies"
	"github.com/plumbline-dev/plumbline/policies/guardrail"
	"github.com/plumbline-dev/plumbline/reconciler"
	"github.com/plumbline-dev/plumbline/reconciler/cluster"
	inventory "github.com/plumbline-dev/plumbline/reconciler/state"
	"github.com/plumbline-dev/plumbline/render"
	"github.com/plumbline-dev/plumbline/render/definition"
)

// joining says what to join for one environment.
type joining struct {
	settings    settings
	environment config.Environment
	source      reconciler.Source // nil: the repository of the settings
	noReports   bool              // post no statuses, whatever the settings say
	cache       string            // a directory for mirrors, of this process alone
	requests    func(class cluster.Class, verb string, code int)
	logger      *slog.Logger
	now         func() time.Time
}

// joined is an environment that is ready to run.
type joined struct {
	reconciler.Options
	core     corev1client.CoreV1Interface
	renderer *renderer
	closers  []func() error
}

// close gives back what join opened.
func (j *joined) close() error {
	var errs []error
	for _, c := range j.closers {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}

// join puts source, renderer, checks, prune budget, windows, statuses and
// cluster of one environment behind the ports that the reconciler declares. It
// does no I/O.
func join(in joining) (*joined, error) {
	client, err := connect(in.environment.Cluster, in.requests)
	if err != nil {
		return nil, err
	}
	core, err := client.Core()
	if err != nil {
		return nil, err
	}
	s, env := in.settings, in.environment
	observe := env.Mode == config.ModeObserve
	j := &joined{core: core, renderer: &renderer{
		settings: s, environment: env, key: hashKey{client: core, namespace: s.Namespace, readOnly: observe},
		keyring: clusterKeys(env, core, s.Namespace),
	}}
	source, reporter, err := j.repository(in)
	if err != nil {
		return nil, err
	}
	j.Options = reconciler.Options{
		Environment:  env.Name,
		Namespace:    s.Namespace,
		Interval:     s.Source.Interval,
		Jitter:       func(d time.Duration) time.Duration { return gitsource.Interval(d, rand.Float64()) }, //nolint:gosec // spreading load is no secret
		Context:      statusContext(env),
		ReadOnly:     observe,
		Drift:        reconciler.DriftAction(env.Drift.Action),
		Foreign:      reconciler.Foreign{Report: env.Drift.Foreign == config.ForeignReport, Known: env.Drift.KnownControllers},
		Adopt:        env.Allow.Adopt,
		ReadyTimeout: env.Health.Limit(),
		Source:       source,
		Renderer:     j.renderer,
		Stale:        j.renderer.stale,
		Reporter:     reporter,
		Outbox:       &outbox{},
		Prune:        pruner(env.Prune),
		Gate:         gate(env.Windows),
		Heal:         mayHeal,
		Client:       client,
		Store:        inventory.New(core.ConfigMaps(s.Namespace), env.Name),
		Orders:       inventory.NewOrders(core.ConfigMaps(s.Namespace), env.Name),
		Logger:       in.logger,
		Now:          in.now,
	}
	return j, nil
}

// connect makes the client of a cluster; it sends nothing. Requests, where it is
// not nil, is told of each.
func connect(at config.Cluster, requests func(cluster.Class, string, int)) (*cluster.Client, error) {
	rc, err := restConfig(at)
	if err != nil {
		return nil, err
	}
	return cluster.New(cluster.Options{Config: rc, Version: version, Observe: requests})
}

// statusContext of an environment's sync status.
func statusContext(env config.Environment) string {
	if env.StatusContext != "" {
		return env.StatusContext
	}
	return "plumbline/" + env.Name
}

// repository opens the source and the forge.
func (j *joined) repository(in joining) (reconciler.Source, reconciler.Reporter, error) {
	src, env := in.settings.Source, in.environment
	auth := gitsource.Auth{
		Username: src.Auth.Username, TokenFile: src.Auth.TokenFile, CAFile: src.Auth.CAFile,
		SSHKeyFile: src.Auth.SSHKeyFile, KnownHostsFile: src.Auth.KnownHostsFile,
	}
	source := in.source
	if source == nil {
		branch := env.Branch
		if branch == "" {
			branch = src.Branch
		}
		m, err := gitsource.New(gitsource.Options{
			URL: src.URL, Branch: branch, Auth: auth, Timeout: src.Timeout, Logger: in.logger,
			Dir: filepath.Join(in.cache, "mirror-"+digest(src.URL, branch, env.Name)),
		})
		if err != nil {
			return nil, nil, err
		}
		j.closers = append(j.closers, m.Close)
		source = m
	}
	reporter, err := j.reporter(in, auth)
	return source, reporter, err
}

// reporter opens the forge; nil where no statuses are posted.
func (j *joined) reporter(in joining, auth gitsource.Auth) (reconciler.Reporter, error) {
	if in.noReports {
		return nil, nil
	}
	src, f := in.settings.Source, in.settings.Forge
	switch f.Kind {
	case config.ForgeNotes:
		n, err := notes.New(notes.Options{
			URL: src.URL, Auth: auth, Timeout: src.Timeout, Now: in.now, Logger: in.logger,
			Dir: filepath.Join(in.cache, "notes-"+digest(src.URL, in.environment.Name)),
		})
		if err != nil {
			return nil, err
		}
		j.closers = append(j.closers, n.Close)
		return n, nil
	case config.ForgeGitea:
		g, err := gitea.New(gitea.Options{
			URL: f.URL, Repository: f.Repository, TokenFile: f.TokenFile, CAFile: f.CAFile,
			Timeout: src.Timeout, UserAgent: "plumbline/" + version, Now: in.now,
		})
		if err != nil {
			return nil, err
		}
		return g, nil
	}
	return nil, nil
}

func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(p))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// renderer renders an environment's directory and checks what comes out. It
// keeps what did not change between two commits.
type renderer struct {
	settings    settings
	environment config.Environment
	key         hashKey
	keyring     *keyring.Keyring  // nil: none
	render      *render.Renderer  // nil until the key is known
	last        render.Result     // for commands that show more of it than a reconciler needs
	allowed     policies.Allowed  // of the last objects
	checked     guardrail.Checked // of the last objects and definitions
}

func (r *renderer) open(key []byte) (err error) {
	r.allowed = policies.Allow(plumbline.Objects{}, nil, r.environment.Allow.Options(r.settings.Namespace))
	r.checked = r.settings.guardrails.Start(r.environment.Name)
	var o opening
	if r.keyring != nil {
		o.keys = r.keyring
	}
	r.render, err = newRenderer(r.settings, r.environment, key, o)
	return err
}

// Render implements reconciler.Renderer.
func (r *renderer) Render(ctx context.Context, s plumbline.Snapshot) (reconciler.Rendered, error) {
	if r.render == nil {
		key, err := r.key.read(ctx)
		if err != nil {
			return reconciler.Rendered{}, err
		}
		if err := r.open(key); err != nil {
			return reconciler.Rendered{}, err
		}
	}
	if r.keyring != nil {
		defer r.keyring.Close()
	}
	res, err := r.render.Render(ctx, s.FS, r.environment.Path)
	if err != nil {
		return reconciler.Rendered{}, err
	}
	if len(plumbline.Errors(res.Violations)) == 0 {
		r.allowed = r.allowed.Next(res.Objects, res.Projects)
		if r.checked, err = r.checked.Next(ctx, res.Objects, res.Definitions); err != nil {
			return reconciler.Rendered{}, err
		}
		res.Violations = withBreaches(res.Violations, r.allowed, r.checked)
	}
	r.last = res
	return reconciler.Rendered{Objects: res.Objects, Violations: res.Violations}, nil
}

// stale is reconciler.Options.Stale: whether what was refused for want of a
// key would be opened now. While nothing is refused it asks nobody.
func (r *renderer) stale(ctx context.Context) bool {
	refused := slices.ContainsFunc(r.last.Violations, func(v plumbline.Violation) bool { return v.Code == definition.CodeEncrypted })
	if !refused || r.keyring == nil {
		return false
	}
	defer r.keyring.Close()
	return r.keyring.Changed(ctx)
}

// gate opens and closes by the environment's windows.
func gate(windows []policies.Window) reconciler.Gate {
	return func(now time.Time) (bool, time.Time, string) { return policies.Open(windows, now) }
}

// pruner decides by the environment's budget.
func pruner(p config.Prune) func(reconciler.PruneRequest) reconciler.PruneDecision {
	return func(q reconciler.PruneRequest) reconciler.PruneDecision {
		in := policies.PruneInput{Budget: p.Budget(), Services: q.Services, Now: q.Now}
		if len(q.History) > 0 {
			// A history that cannot be read counts as none: the budget is small.
			_ = json.Unmarshal(q.History, &in.History)
		}
		var notes []string
		if p.Trailer {
			for _, c := range q.Commits {
				a, ok, err := policies.ParseAllowDelete(c)
				if ok {
					in.Allowances = append(in.Allowances, a)
				}
				if err != nil {
					notes = append(notes, err.Error())
				}
			}
		}
		for _, c := range q.Candidates {
			mark := policies.Mark("")
			switch {
			case c.Keep:
				mark = policies.MarkKeep
			case c.Adopted:
				mark = policies.MarkAdopted
			case c.Replaced:
				mark = policies.MarkReplacement
			}
			in.Candidates = append(in.Candidates, policies.Candidate{Ref: c.Ref, Project: c.Project, Service: c.Service, Mark: mark})
		}
		return decision(policies.Prune(in), notes)
	}
}

func decision(d policies.PruneDecision, notes []string) reconciler.PruneDecision {
	out := reconciler.PruneDecision{
		Summary: d.Summary,
		Blocked: map[plumbline.Ref]string{},
		Kept:    map[plumbline.Ref]string{},
	}
	for _, c := range d.Allowed {
		out.Allowed = append(out.Allowed, c.Ref)
	}
	for _, b := range d.Blocked {
		out.Blocked[b.Ref] = b.Reason
	}
	for _, b := range d.Kept {
		out.Kept[b.Ref] = b.Reason
	}
	if out.Summary != "" && len(notes) > 0 {
		out.Summary += "; " + notes[0]
	}
	if h, err := json.Marshal(d.History); err == nil && len(d.History) > 0 {
		out.History = h
	}
	return out
}

// outbox is forge.Outbox with the clock of its statuses.
type outbox struct{ forge.Outbox }

// Want implements reconciler.Outbox.
func (o *outbox) Want(s plumbline.Status, now time.Time) {
	s.Time = now
	o.Outbox.Want(s)
}

// Accepted implements reconciler.Outbox.
func (o *outbox) Accepted(s plumbline.Status, _ time.Time) { o.Outbox.Accepted(s.Key(), s) }

// Failed implements reconciler.Outbox.
func (o *outbox) Failed(s plumbline.Status, err error, now time.Time) {
	o.Outbox.Failed(s.Key(), err, now)
}

// MarshalJSON implements json.Marshaler.
func (o *outbox) MarshalJSON() ([]byte, error) { return json.Marshal(o.Outbox) }

// UnmarshalJSON implements json.Unmarshaler.
func (o *outbox) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &o.Outbox) }
