package gitsource

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/plumbline-dev/plumbline/gitsource/gittest"
)

const benchFiles = 5000

// benchRepo has 5,000 definitions in 50 directories.
func benchRepo(b *testing.B) (*gittest.Repo, string) {
	b.Helper()
	repo := gittest.New(b)
	for i := range benchFiles {
		repo.Write(benchPath(i), benchFile(i, 0))
	}
	sha := repo.Commit("5,000 files")
	repo.Push()
	repo.Bare("gc", "-q")
	return repo, sha
}

func benchPath(i int) string { return fmt.Sprintf("env/p%02d/service-%04d.yaml", i%50, i) }

func benchFile(i, version int) string {
	return fmt.Sprintf("api: /v1/config/projects/{project}/services\ntype: service\nmeta:\n  project: p%02d\n  serviceId: s%04d\n  version: v%d\nspec:\n  tasks:\n  - id: main\n    docker: {image: registry.example.com/s%04d:1.%d}\n    ports: [{name: http, protocol: http, port: 8080}]\n    env: {A: b, C: d}\n", i%50, i, version, i, version)
}

func BenchmarkSnapshotRead5000(b *testing.B) {
	repo, sha := benchRepo(b)
	m := open(b, repo.URL())
	fetch(b, m)
	b.ReportAllocs()
	for b.Loop() {
		m.store.Release() // nothing is open or cached
		f := snapshot(b, m, sha)
		n := 0
		must(b, fs.WalkDir(f, ".", func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			_, err = f.ReadFile(p)
			n++
			return err
		}))
		if n != benchFiles {
			b.Fatal(n)
		}
	}
}

func BenchmarkSnapshotWalk5000(b *testing.B) {
	repo, sha := benchRepo(b)
	m := open(b, repo.URL())
	fetch(b, m)
	b.ReportAllocs()
	for b.Loop() {
		m.store.Release()
		must(b, fs.WalkDir(snapshot(b, m, sha), ".", func(_ string, _ fs.DirEntry, err error) error { return err }))
	}
}

// benchFetch times the fetch of one changed file.
func benchFetch(b *testing.B, repo *gittest.Repo, m *Mirror) {
	b.Helper()
	fetch(b, m)
	b.ReportAllocs()
	for n := 1; b.Loop(); n++ {
		b.StopTimer()
		repo.CommitFiles(benchPath(n%benchFiles), benchFile(n, n))
		b.StartTimer()
		fetch(b, m)
	}
}

func BenchmarkFetchIncrementalFile(b *testing.B) {
	repo, _ := benchRepo(b)
	benchFetch(b, repo, open(b, repo.URL()))
}

func BenchmarkFetchIncrementalHTTPS(b *testing.B) {
	repo, _ := benchRepo(b)
	benchFetch(b, repo, openHTTPS(b, gittest.Serve(b, repo, gittest.Settings{Token: token})))
}

func BenchmarkFetchUnchangedHTTPS(b *testing.B) {
	repo, _ := benchRepo(b)
	m := openHTTPS(b, gittest.Serve(b, repo, gittest.Settings{Token: token}))
	fetch(b, m)
	b.ReportAllocs()
	for b.Loop() {
		fetch(b, m)
	}
}

func benchClone(b *testing.B, open func(dir string) *Mirror) {
	b.Helper()
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		m := open(filepath.Join(b.TempDir(), fmt.Sprint(n)))
		fetch(b, m)
		must(b, m.Close())
	}
}

func BenchmarkCloneFile(b *testing.B) {
	repo := benchHistory(b)
	benchClone(b, func(dir string) *Mirror { return open(b, repo.URL(), func(o *Options) { o.Dir = dir }) })
}

func BenchmarkCloneHTTPS(b *testing.B) {
	repo := benchHistory(b)
	srv := gittest.Serve(b, repo, gittest.Settings{Token: token})
	benchClone(b, func(dir string) *Mirror { return openHTTPS(b, srv, func(o *Options) { o.Dir = dir }) })
}

// benchHistory has 100 commits on top of the 5,000 files.
func benchHistory(b *testing.B) *gittest.Repo {
	b.Helper()
	repo, _ := benchRepo(b)
	for i := range 100 {
		repo.Write(benchPath(i*37%benchFiles), benchFile(i, i+1))
		repo.Commit("change")
	}
	repo.Push()
	repo.Bare("gc", "-q")
	return repo
}
