package main

import (
	"context"
	"net"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/config"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/install"
	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/rights"
)

func (a *app) installCommand() *cobra.Command {
	image := "plumbline:" + version
	cmd := a.command(spec{
		use: "install [DIR]", short: "Print the manifests for running in a cluster",
		long: `
Install prints what a cluster needs to run Plumbline: Namespace, ServiceAccount,
rights, the configuration of --config as a ConfigMap, and a Deployment of one
replica. No cluster is asked and nothing is applied; read it, and then

  plumbline install --config plumbline.yaml DIR |
    kubectl apply --server-side -f -

The rights are those for the kinds that the environments of --config are
rendered to, each at its path in DIR, and no others. So a commit that brings a
new kind is refused until the rights were printed and applied again; and while
objects of a kind that left the repository are still to be pruned, keep its
rights. Without DIR they are for every kind that definitions can be rendered
to, and for none that the repository holds as plain objects.

Files that the configuration names are mounted from the Secret
plumbline-credentials, which is yours to make. Environments with
cluster.kubeconfig live on other clusters, whose rights this does not print.

A repository that holds Roles or ClusterRoles needs Plumbline to have every
right that they give, or the verbs escalate and bind, which is as much as all
rights. Neither is printed.`,
		args: oneDir,
		run:  func(ctx context.Context, args []string) error { return a.install(ctx, args, image) },
	})
	cmd.Flags().StringVar(&image, "image", image, "`name` of the container image")
	return cmd
}

func (a *app) install(ctx context.Context, args []string, image string) error {
	switch {
	case a.flags.config == "":
		return usage("install: which configuration? Give --config FILE")
	case a.kubeconfig != "" || a.context != "" || a.repo != "" || a.branch != "" || a.path != "":
		return usage("install: the pod reads nothing but the file of --config; say it there, not with flags")
	case a.namespace != "":
		return usage("install: the pod reads its namespace in the configuration; set namespace there")
	}
	s, err := a.settings()
	if err != nil {
		return err
	}
	if len(a.environments) > 0 {
		return usage("--environment: the pod keeps all environments of the configuration")
	}
	text, err := os.ReadFile(a.flags.config)
	if err != nil {
		return plumbline.Errorf(plumbline.KindUsage, "read configuration", "%w", err)
	}
	o := install.Options{Namespace: s.Namespace, Image: image, Config: string(text)}
	if o.Port, err = listenPort(s.Server.Listen); err != nil {
		return err
	}
	if o.Files, err = namedFiles(s.Config); err != nil {
		return err
	}
	if o.Policies, err = podPolicies(a.flags.config, s.Policies.Paths); err != nil {
		return err
	}
	needs, err := a.needs(ctx, s, args)
	if err != nil {
		return err
	}
	o.Observe, o.Rights = needs.Observe, rights.Of(needs)
	out, err := install.YAML(install.Manifests(o))
	if err != nil {
		return &plumbline.Error{Op: "install", Kind: plumbline.KindInternal, Err: err}
	}
	if _, err := a.out.Write(out); err != nil {
		return err
	}
	a.sayCredentials(s.Namespace, o.Files)
	return nil
}

// sayCredentials says how to make the Secret that the pod waits for.
func (a *app) sayCredentials(namespace string, files []string) {
	if len(files) == 0 {
		return
	}
	var from []string
	for _, f := range files {
		from = append(from, "--from-file="+path.Base(f)+"=…")
	}
	a.note("The pod waits for the Secret %s:\n  kubectl -n %s create secret generic %s %s", install.Credentials, namespace, install.Credentials, strings.Join(from, " "))
}

// needs are those of the environments on the cluster around the pod.
func (a *app) needs(ctx context.Context, s settings, args []string) (rights.Needs, error) {
	n := rights.Needs{Namespace: s.Namespace, Observe: true}
	for _, e := range s.Environments {
		if e.Cluster.Kubeconfig != "" {
			a.note("environment %s lives on another cluster: its rights there are not printed", e.Name)
			continue
		}
		n.Environments = append(n.Environments, e.Name)
		if e.Decryption.Secret != "" {
			n.KeySecrets = append(n.KeySecrets, e.Decryption.Secret)
		}
		n.Observe = n.Observe && e.Mode == config.ModeObserve
		kinds, err := a.kindsIn(ctx, s, e, args)
		if err != nil {
			return n, err
		}
		for _, k := range kinds {
			n.Kinds = append(n.Kinds, rights.Named(k))
		}
	}
	if len(n.Environments) == 0 {
		return n, usage("install: every environment has a cluster.kubeconfig; leave it out where Plumbline is to run in that cluster")
	}
	return n, nil
}

// kindsIn are the kinds that an environment is rendered to in DIR.
func (a *app) kindsIn(ctx context.Context, s settings, e config.Environment, args []string) ([]plumbline.GroupKind, error) {
	if len(args) == 0 {
		return rights.Rendered(s.HasKEDA(e)), nil
	}
	t, err := openTree(args[0])
	if err != nil {
		return nil, err
	}
	t.dir = path.Join(t.dir, e.Path)
	r, err := renderEnvironment(ctx, t, s, e, fileKeys(e))
	if err != nil {
		return nil, err
	}
	if errs := plumbline.Errors(r.Violations); len(errs) > 0 {
		for _, v := range errs {
			a.writeViolation(a.err, v)
		}
		return nil, silent{plumbline.Errorf(plumbline.KindInvalid, "install", "invalid definitions")}
	}
	return r.Objects.Kinds(), nil
}

// listenPort is the port of an address; 0 where nothing listens.
func listenPort(address string) (int32, error) {
	if address == "" {
		return 0, nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return 0, usage("server.listen: %q is no address like :8080", address)
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() || host == "localhost" {
		return 0, usage("server.listen: %s is not reached by the probes of a pod; leave the host out, as in :8080", address)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n < 1024 {
		return 0, usage("server.listen: %q is not a port from 1024 on, which whoever is not root may open", port)
	}
	return int32(n), nil
}

// podPolicies are the files of policies, which the pod finds beside its
// configuration.
func podPolicies(configFile string, paths []string) ([]install.File, error) {
	files, err := policyFiles(configFile, paths)
	if err != nil {
		return nil, err
	}
	out := make([]install.File, 0, len(files))
	for _, f := range files {
		name := filepath.ToSlash(f.name)
		if !filepath.IsLocal(f.name) || name == install.ConfigName {
			return nil, usage("policies.paths: %s: a pod finds policies beside its configuration; name them by a path below its directory", f.name)
		}
		out = append(out, install.File{Name: path.Clean(name), Text: string(f.text)})
	}
	return out, nil
}

// namedFiles are the files that the configuration names. In a pod they have no
// working directory to be relative to.
func namedFiles(c config.Config) ([]string, error) {
	a := c.Source.Auth
	files := []string{a.TokenFile, a.SSHKeyFile, a.KnownHostsFile, a.CAFile, c.Forge.TokenFile, c.Forge.CAFile, c.Forge.WebhookSecretFile}
	for _, e := range c.Environments {
		files = append(files, e.Cluster.Kubeconfig)
		files = append(append(files, e.Decryption.AgeKeyFiles...), e.Decryption.PGPKeyFiles...)
	}
	files = slices.DeleteFunc(files, func(f string) bool { return f == "" })
	byKey := map[string]string{}
	for _, f := range files {
		if !path.IsAbs(f) || path.Dir(f) == "/" {
			return nil, usage("%s: a pod finds files by their full path, as /etc/plumbline/%s", f, path.Base(f))
		}
		key := path.Base(f)
		if other, used := byKey[key]; used && other != f {
			return nil, usage("%s and %s: both would be %s in the Secret %s; name one of them otherwise", other, f, key, install.Credentials)
		}
		byKey[key] = f
	}
	slices.Sort(files)
	return slices.Compact(files), nil
}
