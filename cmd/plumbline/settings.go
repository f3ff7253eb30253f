package main

import (
	"io"
	"log/slog"
	"path"
	"slices"
	"strings"

	"github.com/plumbline-dev/plumbline/cmd/plumbline/internal/config"
	"github.com/plumbline-dev/plumbline/policies/guardrail"
)

// settings are the configuration with the flags over it, and the environments
// that the command works on.
type settings struct {
	config.Config          // its Environments are those that were chosen
	fromFile      bool     // there is a configuration file
	projects      []string // empty: all
	guardrails    *guardrail.Set
}

// settings reads the configuration, or makes one of the flags alone.
func (a *app) settings() (settings, error) {
	s := settings{Config: config.Default(), projects: a.projects}
	if a.flags.config != "" {
		c, err := config.Load(a.flags.config)
		if err != nil {
			return s, err
		}
		s.Config, s.fromFile = c, true
		if s.guardrails, err = loadGuardrails(a.flags.config, c.Policies); err != nil {
			return s, err
		}
	}
	if err := a.chooseEnvironments(&s); err != nil {
		return s, err
	}
	a.override(&s)
	if a.path != "" {
		dir := path.Clean(a.path)
		switch {
		case len(s.Environments) != 1:
			return s, usage("--path: choose one environment with -e")
		case path.IsAbs(dir) || dir == ".." || strings.HasPrefix(dir, "../"):
			return s, usage("--path: %q leaves the repository", a.path)
		}
		s.Environments[0].Path = dir
	}
	if a.repo != "" {
		if err := config.CheckURL(a.repo); err != nil {
			return s, usage("--repo: %w", err)
		}
	}
	return s, nil
}

// override lays the flags over s.
func (a *app) override(s *settings) {
	if a.repo != "" {
		s.Source.URL = a.repo
	}
	if a.branch != "" {
		s.Source.Branch = a.branch
		for i := range s.Environments {
			s.Environments[i].Branch = ""
		}
	}
	if a.namespace != "" {
		s.Namespace = a.namespace
	}
	for i := range s.Environments {
		if a.kubeconfig != "" {
			s.Environments[i].Cluster = config.Cluster{Kubeconfig: a.kubeconfig}
		}
		if a.context != "" {
			s.Environments[i].Cluster.Context = a.context
		}
	}
	if a.logLevel != "" {
		s.Log.Level = a.logLevel
	}
	if a.logFormat != "" {
		s.Log.Format = a.logFormat
	}
}

func (a *app) chooseEnvironments(s *settings) error {
	if !s.fromFile {
		name := "default"
		switch len(a.environments) {
		case 0:
		case 1:
			name = a.environments[0]
		default:
			return usage("--environment: without --config there is one")
		}
		if err := config.CheckEnvironmentName(name); err != nil {
			return usage("--environment: %w", err)
		}
		s.Environments = []config.Environment{config.DefaultEnvironment(name)}
		return nil
	}
	if len(a.environments) == 0 {
		return nil
	}
	var known []string
	var chosen []config.Environment
	for _, e := range s.Environments {
		known = append(known, e.Name)
		if slices.Contains(a.environments, e.Name) {
			chosen = append(chosen, e)
		}
	}
	for _, name := range a.environments {
		if !slices.Contains(known, name) {
			return usage("--environment: %s has no %q, only %s", a.flags.config, name, strings.Join(known, ", "))
		}
	}
	s.Environments = chosen
	return nil
}

// one is the environment of a command that works on one.
func (s settings) one() (config.Environment, error) {
	if len(s.Environments) == 1 {
		return s.Environments[0], nil
	}
	var names []string
	for _, e := range s.Environments {
		names = append(names, e.Name)
	}
	return config.Environment{}, usage("choose one environment with -e: %s", strings.Join(names, ", "))
}

// logger logs to w as configured.
func logger(w io.Writer, c config.Log) *slog.Logger {
	level, err := config.ParseLevel(c.Level)
	if err != nil {
		level = slog.LevelInfo // checked where it was read
	}
	o := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// quieter is c with errors as the least that is logged, unless the operator
// asked for more: a command that says itself what it does needs no log of it.
func quieter(c config.Log) config.Log {
	if level, err := config.ParseLevel(c.Level); err == nil && level == slog.LevelInfo {
		c.Level = "error"
	}
	return c
}
