// Package overlay builds a kustomization in process. It is the one place that
// calls kustomize.
//
// In go a repository's tree and the directory of a kustomization file; out
// comes one YAML stream of everything it holds. Before kustomize sees anything,
// the package reads the kustomization files itself, checks every reference, and
// copies what can be reached into a file system in memory. So nothing outside
// the repository is read, nothing is fetched and nothing is run, whatever
// kustomize would make of a reference: a name that it might take for a
// repository's address reaches it as "./name".
package overlay
