package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plumbline-dev/plumbline"
	"github.com/plumbline-dev/plumbline/render/definition"
	"github.com/plumbline-dev/plumbline/render/importer"
)

type importFlags struct {
	to    string
	form  string
	adopt bool
	force bool
}

func (a *app) importCommand() *cobra.Command {
	var f importFlags
	cmd := a.command(spec{
		use: "import DIR|FILE...", short: "Turn an export of Space Cloud into clean definitions",
		long: `
Import reads what space-cli exported (get all, of every release): files,
directories, or standard input as "-". It writes one directory a project and one
file a service, with its routes and roles beside it, and says on standard error

  repaired     what an export gets wrong, and is put right
  tidied       what is written otherwise, and means the same
  lost         what an export may not hold, for you to check
  missing      values of secrets that are not there: [fill in] stands in their
               place, and is refused until you do
  plaintext    secrets to encrypt before they are committed
  kept         what is copied as it is, because SOPS encrypted it
  skipped      the gateway's documents, and what to use instead

With -o json the notes are the output. What it writes renders to the same
objects as the export itself. Nothing is written where there are errors, and no
file that exists is touched without --force. Without --to the definitions go to
standard output.

docs/migrate.md leads through the whole way from Space Cloud to Plumbline.`,
		outputs: []string{"text", "json"}, args: someFiles,
		run: func(_ context.Context, args []string) error { return a.importFiles(args, f) },
	})
	cmd.Flags().StringVar(&f.to, "to", "", "write the definitions into this `directory`")
	cmd.Flags().StringVar(&f.form, "form", "plumbline", "`form`: plumbline or space-cloud")
	cmd.Flags().BoolVar(&f.adopt, "adopt", false, "mark definitions to take over what Space Cloud made")
	cmd.Flags().BoolVar(&f.force, "force", false, "overwrite files that exist")
	return cmd
}

// someFiles takes one argument or more.
func someFiles(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return nil
	}
	return see(cmd, errors.New("name the files or directories of the export, or - for standard input"))
}

func (a *app) importFiles(args []string, f importFlags) error {
	options := importer.Options{Adopt: f.adopt}
	switch f.form {
	case "plumbline":
	case "space-cloud":
		options.Form = definition.FormSpaceCloud
	default:
		return usage("--form: %q is neither plumbline nor space-cloud", f.form)
	}
	if a.output == "json" && f.to == "" {
		return usage("--output json: the definitions would stand between the notes; give --to")
	}
	files, err := a.exportFiles(args)
	if err != nil {
		return err
	}
	res := importer.Import(files, options)
	if err := a.sayNotes(res.Notes); err != nil {
		return err
	}
	for _, v := range res.Violations {
		a.writeViolation(a.err, v)
	}
	if len(res.Violations) > 0 {
		a.note("Nothing is written: %s.", plural(len(res.Violations), "error"))
		return silent{plumbline.Errorf(plumbline.KindInvalid, "import", "invalid definitions")}
	}
	if len(res.Files) == 0 {
		return plumbline.Errorf(plumbline.KindDenied, "import", "there is no definition in %s", strings.Join(args, ", "))
	}
	if f.to == "" {
		return writeStream(a.out, res.Files)
	}
	if err := writeImported(f.to, res.Files, f.force); err != nil {
		return err
	}
	a.note("%s written to %s. Next: plumbline validate %s", plural(len(res.Files), "file"), f.to, f.to)
	return nil
}

// sayNotes prints notes: as the output, or beside it.
func (a *app) sayNotes(notes []importer.Note) error {
	if a.output == "json" {
		return writeItems(a.out, "ImportNoteList", notes)
	}
	for _, n := range notes {
		a.note("%s", n)
	}
	return nil
}

// exportFiles reads files, directories and, as "-", standard input.
func (a *app) exportFiles(args []string) ([]importer.File, error) {
	var files []importer.File
	seen := map[string]bool{}
	for _, arg := range args {
		if arg == "-" {
			text, err := readLimited(a.in)
			if err != nil {
				return nil, plumbline.Errorf(plumbline.KindInvalid, "read standard input", "%w", err)
			}
			files = append(files, importer.File{Path: "stdin", Text: text})
			continue
		}
		paths, err := exportPaths(arg)
		if err != nil {
			return nil, noDirectory(arg, err)
		}
		for _, p := range paths {
			if seen[p] {
				continue
			}
			seen[p] = true
			text, err := readFile(p)
			if err != nil {
				return nil, plumbline.Errorf(plumbline.KindInvalid, "read export", "%w", err)
			}
			files = append(files, importer.File{Path: filepath.ToSlash(p), Text: text})
		}
	}
	return files, nil
}

// exportPaths are arg, or the files with definitions below it.
func exportPaths(arg string) ([]string, error) {
	info, err := os.Stat(arg)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{filepath.Clean(arg)}, nil
	}
	var out []string
	err = filepath.WalkDir(arg, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case p != arg && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
		case d.Type().IsRegular() && slices.Contains([]string{".yaml", ".yml", ".json"}, path.Ext(d.Name())):
			out = append(out, p)
		}
		return nil
	})
	return out, err
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readLimited(f)
}

// readLimited reads one byte more than a file may have, so that too large a one
// shows as such.
func readLimited(r io.Reader) ([]byte, error) {
	return io.ReadAll(io.LimitReader(r, definition.MaxFile+1))
}

// writeStream writes all definitions as one stream of documents.
func writeStream(w io.Writer, files []importer.File) error {
	for i, f := range files {
		if i > 0 {
			if _, err := io.WriteString(w, "---\n"); err != nil {
				return err
			}
		}
		if _, err := w.Write(f.Text); err != nil {
			return err
		}
	}
	return nil
}

// writeImported writes files below dir: all of them, or none where one is there
// already.
func writeImported(dir string, files []importer.File, force bool) (err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // definitions are for everyone of the team
		return usage("--to: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return usage("--to: %w", err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	if !force {
		var there []string
		for _, f := range files {
			if _, err := root.Lstat(f.Path); err == nil {
				there = append(there, f.Path)
			}
		}
		if len(there) > 0 {
			return usage("--to: %s already in %s: %s; nothing is written (--force overwrites)", plural(len(there), "file"), dir, strings.Join(there, ", "))
		}
	}
	for _, f := range files {
		mode := fs.FileMode(0o644)
		if f.Secret {
			mode = 0o600
		}
		err := root.MkdirAll(path.Dir(f.Path), 0o755)
		if err == nil {
			err = root.WriteFile(f.Path, f.Text, mode)
		}
		if err != nil {
			return usage("--to: %w", err)
		}
	}
	return nil
}
