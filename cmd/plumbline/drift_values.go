package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	kjson "k8s.io/apimachinery/pkg/util/json"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/config"
	"github.com/plumbline-dev/plumbline/gitsource"
	"github.com/plumbline-dev/plumbline/reconciler/cluster"
	"github.com/plumbline-dev/plumbline/reconciler/drift"
)

// driftValues finds out what drifted fields are and should be. What it could
// not find out it says once, and leaves out.
type driftValues struct {
	app     *app
	cache   string
	desired map[string]*desiredObjects // by environment
	told    map[string]bool
}

// desiredObjects are those of the commit that an environment's cluster is
// brought to.
type desiredObjects struct {
	sha     string
	objects plumbline.Objects
	client  *cluster.Client
}

func (a *app) newDriftValues() *driftValues {
	return &driftValues{app: a, desired: map[string]*desiredObjects{}, told: map[string]bool{}}
}

func (v *driftValues) close() {
	if v.cache != "" {
		_ = os.RemoveAll(v.cache)
	}
}

// fill reads the values of all fields that drifted.
func (v *driftValues) fill(ctx context.Context, in inspected, items []driftItem) {
	for i := range items {
		item := &items[i]
		if item.State != plumbline.StateDrifted || len(item.Fields) == 0 {
			continue
		}
		if isSecret(item.Ref) {
			redactFields(item.Fields)
			continue
		}
		d, err := v.of(ctx, in)
		if err == nil {
			err = d.fill(ctx, item)
		}
		if err != nil && ctx.Err() == nil {
			v.tell(in.environment.Name + ": values are not shown: " + message(err))
		}
	}
}

func (v *driftValues) tell(text string) {
	if !v.told[text] {
		v.told[text] = true
		v.app.note("%s", text)
	}
}

func redactFields(fields []driftField) {
	for i := range fields {
		fields[i].Desired, fields[i].Live = json.RawMessage(`"[redacted]"`), json.RawMessage(`"[redacted]"`)
	}
}

// of renders the commit that is applied, once.
func (v *driftValues) of(ctx context.Context, in inspected) (*desiredObjects, error) {
	name, sha := in.environment.Name, in.Record.Applied
	if d := v.desired[name]; d != nil && d.sha == sha {
		return d, nil
	}
	if in.settings.Source.URL == "" {
		return nil, errors.New("no repository is named; give --config FILE, or --repo URL")
	}
	if v.cache == "" {
		dir, err := os.MkdirTemp(os.Getenv("PLUMBLINE_CACHE"), "drift-")
		if err != nil {
			return nil, err
		}
		v.cache = dir
	}
	env := in.environment
	env.Mode = config.ModeObserve // not even a hash key is made
	j, err := join(joining{settings: in.settings, environment: env, noReports: true, cache: v.cache, logger: logger(v.app.err, quieter(in.settings.Log)), now: v.app.now})
	if err != nil {
		return nil, err
	}
	d, err := desiredAt(ctx, j, sha)
	if err = errors.Join(err, j.close()); err != nil {
		return nil, err
	}
	v.desired[name] = d
	return d, nil
}

func desiredAt(ctx context.Context, j *joined, sha string) (*desiredObjects, error) {
	if _, err := j.Source.Fetch(ctx); err != nil {
		return nil, err
	}
	snapshot, err := j.Source.Snapshot(ctx, sha)
	if errors.Is(err, gitsource.ErrUnknownCommit) {
		return nil, fmt.Errorf("%s is no commit of the repository's branch: files were applied by hand, or its history is gone", plumbline.Commit{SHA: sha}.Short())
	}
	if err != nil {
		return nil, err
	}
	rendered, err := j.Renderer.Render(ctx, snapshot)
	if err != nil {
		return nil, err
	}
	return &desiredObjects{sha: sha, objects: rendered.Objects, client: j.Client}, nil
}

// fill reads the live object and takes the values of both.
func (d *desiredObjects) fill(ctx context.Context, item *driftItem) error {
	o, ok := d.objects.Get(item.Ref)
	if !ok {
		return nil // it waits to be pruned, and should be nothing
	}
	live, sent, err := d.client.Live(ctx, *o)
	if err != nil {
		return err
	}
	var is, should any
	if err := errors.Join(kjson.Unmarshal(live, &is), kjson.Unmarshal(sent, &should)); err != nil {
		return err
	}
	for i := range item.Fields {
		f := &item.Fields[i]
		if f.Desired, err = valueAt(should, f.Path); err != nil {
			return err
		}
		if f.Live, err = valueAt(is, f.Path); err != nil {
			return err
		}
	}
	return nil
}

// valueAt is a value as JSON, null where there is none.
func valueAt(object any, path string) (json.RawMessage, error) {
	value, _ := drift.Value(object, path)
	return json.Marshal(value)
}
