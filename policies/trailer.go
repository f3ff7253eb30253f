package policies

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/plumbline-dev/plumbline"
)

// TrailerAllowDelete is the commit trailer that lifts the prune budget for the
// run that deploys the commit. Its value is a number of deletes, "all", or one
// object as Kind/name or Kind/namespace/name; it may be repeated. A service is
// named as Service/<id>.
const TrailerAllowDelete = "Plumbline-Allow-Delete"

// Allowance is what the trailers of one commit allow.
type Allowance struct {
	Commit string        `json:"commit"`          // full SHA
	Count  int           `json:"count,omitempty"` // services and plain objects together
	All    bool          `json:"all,omitempty"`   // any number, but no protected kind
	Names  []AllowedName `json:"names,omitempty"`
}

// AllowedName is one object that a trailer names. Namespace is empty where
// the trailer gives none: then any namespace matches.
type AllowedName struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

var (
	trailerLine  = regexp.MustCompile(`^([A-Za-z0-9-]+)[ \t]*:(.*)$`)
	trailerKind  = regexp.MustCompile(`^[A-Z][A-Za-z0-9]*$`)
	trailerName  = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.:_-]*[A-Za-z0-9])?$`)
	trailerCount = regexp.MustCompile(`^[1-9][0-9]{0,4}$`)
)

// ParseAllowDelete reads the trailers of a commit as Git does: from the last
// paragraph of the message, which holds nothing but trailers and is not the
// subject; keys in any case; a line that starts with a blank continues the one
// before. What looks like the trailer but is malformed, or stands elsewhere,
// allows nothing and is in the error, of plumbline.KindInvalid; the
// well-formed ones count nevertheless. ok is false when there is none.
func ParseAllowDelete(c plumbline.Commit) (a Allowance, ok bool, err error) {
	a.Commit = c.SHA
	body, block := splitTrailers(c.Message)
	var errs []error
	for _, line := range body {
		if _, is := allowDeleteValue(line); is {
			errs = append(errs, fmt.Errorf("%q is not in the last paragraph of the message, among trailers only: it allows nothing", line))
		}
	}
	for _, line := range block {
		value, is := allowDeleteValue(line)
		if !is {
			continue
		}
		if err := a.add(value); err != nil {
			errs = append(errs, err)
			continue
		}
		ok = true
	}
	if len(errs) > 0 {
		err = &plumbline.Error{
			Op:   "read trailers of commit " + c.Short(),
			Kind: plumbline.KindInvalid,
			Err:  errors.Join(errs...),
		}
	}
	return a, ok, err
}

func (a *Allowance) add(value string) error {
	switch {
	case strings.EqualFold(value, "all"):
		a.All = true
		return nil
	case trailerCount.MatchString(value):
		n, err := strconv.Atoi(value)
		// A squashed commit may repeat its parts' trailers: the largest counts.
		a.Count = max(a.Count, n)
		return err
	}
	parts := strings.Split(value, "/")
	n := AllowedName{Kind: parts[0], Name: parts[len(parts)-1]}
	valid := trailerKind.MatchString(n.Kind) && trailerName.MatchString(n.Name)
	switch len(parts) {
	case 2:
	case 3:
		n.Namespace = parts[1]
		valid = valid && trailerName.MatchString(n.Namespace)
	default:
		valid = false
	}
	if !valid {
		return fmt.Errorf("%s: %q is not a number from 1 to 99999, \"all\", Kind/name or Kind/namespace/name", TrailerAllowDelete, value)
	}
	a.Names = append(a.Names, n)
	return nil
}

// names tells whether a names u.
func (a Allowance) names(u unit) bool {
	for _, n := range a.Names {
		if u.isService {
			c := u.objects[0]
			if n.Kind == "Service" && n.Name == c.Service && (n.Namespace == "" || n.Namespace == c.Project) {
				return true
			}
			continue
		}
		r := u.objects[0].Ref
		if n.Kind == r.Kind && n.Name == r.Name && (n.Namespace == "" || n.Namespace == r.Namespace) {
			return true
		}
	}
	return false
}

func allowDeleteValue(line string) (string, bool) {
	m := trailerLine.FindStringSubmatch(line)
	if m == nil || !strings.EqualFold(m[1], TrailerAllowDelete) {
		return "", false
	}
	return strings.TrimSpace(m[2]), true
}

// splitTrailers parts a message into the lines before its trailer block and
// the block's own, unfolded. The block is empty unless every line of the last
// paragraph is a trailer.
func splitTrailers(message string) (body, block []string) {
	lines := strings.Split(strings.ReplaceAll(strings.TrimSpace(message), "\r\n", "\n"), "\n")
	start := len(lines)
	for start > 0 && strings.TrimSpace(lines[start-1]) != "" {
		start--
	}
	if start == 0 {
		return lines, nil
	}
	for _, line := range lines[start:] {
		switch {
		case line[0] == ' ' || line[0] == '\t':
			if len(block) == 0 {
				return lines, nil
			}
			block[len(block)-1] += " " + strings.TrimSpace(line)
		case trailerLine.MatchString(line):
			block = append(block, line)
		case strings.HasPrefix(line, "(cherry picked from commit "):
		default:
			return lines, nil
		}
	}
	return lines[:start], block
}
