package cluster

import (
	"fmt"
	"regexp"
)

// VersionGoneError marks an apply that was refused because fields of the object
// are owned in an API version that is not served any more.
type VersionGoneError struct {
	APIVersion string // "example.com/v1"
	Err        error
}

// Error implements error.
func (e *VersionGoneError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *VersionGoneError) Unwrap() error { return e.Err }

// versionGone is how the API server says so; it has no reason of its own for it.
var versionGone = regexp.MustCompile(`request to convert CR to an invalid group/version: ([-.a-z0-9]+/[a-z0-9]+)`)

// VersionBody is the JSON patch that gives entries of managedFields another
// apiVersion, if the object still is of that resourceVersion.
func VersionBody(resourceVersion string, entries []int, apiVersion string) []byte {
	type op struct {
		Op    string `json:"op"`
		Path  string `json:"path"`
		Value string `json:"value"`
	}
	patch := []op{{Op: "test", Path: "/metadata/resourceVersion", Value: resourceVersion}}
	for _, i := range entries {
		patch = append(patch, op{Op: "replace", Path: fmt.Sprintf("/metadata/managedFields/%d/apiVersion", i), Value: apiVersion})
	}
	return mustJSON(patch)
}
