package definition

import (
	"fmt"

	"github.com/plumbline-dev/plumbline"
)

// The limits of one file and of one document. Whoever may push could otherwise
// use up the memory of the process that watches over everybody's clusters.
const (
	// MaxFile is the largest file that is read, in bytes.
	MaxFile = 32 << 20
	// MaxFileDocuments is how many documents one file holds at most.
	MaxFileDocuments = 50_000
	// MaxDocument is the largest document, in bytes. An API server takes objects
	// up to 1.5 MiB.
	MaxDocument = 3 << 20
	// MaxValues is how many values a document has at most. Aliases count as often
	// as they are used.
	MaxValues = 200_000
	// MaxDepth is how deep the values of a document are nested at most.
	MaxDepth = 100
	// MaxAnnotations is the size of all annotations of an object, keys and values,
	// that Kubernetes takes, in bytes.
	MaxAnnotations = 256 << 10
	// MaxProblems is how many problems of one document are listed.
	MaxProblems = 50
)

// maxMessage is the longest message, in bytes: a name may be as long as a
// document.
const maxMessage = 1000

// Cut keeps the first n violations. One more, at the place of the first that is
// left out, says how many are: an error where one of those is.
func Cut(vs []plumbline.Violation, n int) []plumbline.Violation {
	if len(vs) <= n {
		return vs
	}
	rest := vs[n:]
	more := plumbline.Violation{
		Code: CodeTooMany, Severity: plumbline.SeverityWarning, Origin: rest[0].Origin,
		Message: fmt.Sprintf("%d more problems are not listed: put these right first", len(rest)),
	}
	if len(plumbline.Errors(rest)) > 0 {
		more.Severity = plumbline.SeverityError
	}
	return append(vs[:n:n], more)
}
