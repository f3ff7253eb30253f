package odb

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/osfs"
	format "github.com/go-git/go-git/v5/plumbing/format/config"
	"github.com/go-git/go-git/v5/storage/filesystem/dotgit"

	"github.com/plumbline-dev/plumbline"
)

// ErrNoRepository says that there is no repository where one is looked for.
var ErrNoRepository = errors.New("no Git repository")

// Location is where the parts of somebody's repository are.
type Location struct {
	Git    string // what is its own: HEAD
	Common string // what linked work trees share: objects, references, configuration
	Tree   string // the root of the work tree; empty where there is none
}

// Locate finds the repository that dir is: the root of a work tree, a linked one
// or a submodule's among them, a .git directory or a bare repository. Of its
// configuration only that is read which says how it is stored; a form that
// cannot be read is Invalid.
func Locate(dir string) (Location, error) {
	l := Location{Git: filepath.Join(dir, ".git"), Tree: dir}
	info, err := os.Stat(l.Git)
	switch {
	case isAbsent(err):
		l, err = Location{Git: dir}, nil
	case err == nil && !info.IsDir():
		l.Git, err = gitFile(l.Git)
	}
	if err != nil {
		return Location{}, err
	}
	head, err := os.Stat(filepath.Join(l.Git, "HEAD"))
	if isAbsent(err) || err == nil && (head.IsDir() || head.Size() == 0) {
		return Location{}, ErrNoRepository
	}
	if err == nil {
		l.Common, err = commonDir(l.Git)
	}
	if err == nil {
		err = checkFormat(filepath.Join(l.Common, "config"))
	}
	if err != nil {
		return Location{}, err
	}
	return l, nil
}

func isAbsent(err error) bool {
	return errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// gitFile is the directory that a .git file names.
func gitFile(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	dir, ok := strings.CutPrefix(strings.TrimSpace(string(b)), "gitdir: ")
	if !ok {
		return "", plumbline.Errorf(plumbline.KindInvalid, "read "+path, "it names no directory")
	}
	return relativeTo(filepath.Dir(path), dir), nil
}

// commonDir is where a linked work tree's .git directory has what it shares.
func commonDir(gitDir string) (string, error) {
	b, err := os.ReadFile(filepath.Join(gitDir, "commondir"))
	if errors.Is(err, os.ErrNotExist) {
		return gitDir, nil
	}
	return relativeTo(gitDir, strings.TrimSpace(string(b))), err
}

func relativeTo(base, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(base, path)
}

// checkFormat refuses repositories that are stored in a way that is not read here.
// What else their owner configures is no concern of ours.
func checkFormat(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	refuse := func(form string, args ...any) error {
		return plumbline.Errorf(plumbline.KindInvalid, "read "+path, form, args...)
	}
	c := format.New()
	if err := format.NewDecoder(f).Decode(c); err != nil {
		return refuse("%w", err)
	}
	version := c.Section("core").Option("repositoryformatversion")
	if version != "" && version != "0" && version != "1" {
		return refuse("repositories of version %s are not supported", version)
	}
	for _, o := range c.Section("extensions").Options {
		value := strings.ToLower(o.Value)
		switch name := strings.ToLower(o.Key); name {
		case "objectformat":
			if value != "sha1" {
				return refuse("object format %s is not supported: use a repository with SHA-1", value)
			}
		case "refstorage":
			if value != "files" {
				return refuse("references in a %s are not supported: git refs migrate --ref-format=files", value)
			}
		case "noop", "noop-v1", "partialclone", "preciousobjects", "worktreeconfig", "relativeworktrees", "compatobjectformat":
			// objects and references are where they always are
		default:
			if version == "1" {
				return refuse("extension %s is not supported", name)
			}
		}
	}
	return nil
}

// Files are the repository's files, as Wrap reads them.
func (l Location) Files() billy.Filesystem {
	if l.Common == l.Git {
		return osfs.New(l.Git)
	}
	return dotgit.NewRepositoryFilesystem(osfs.New(l.Git), osfs.New(l.Common))
}
