package definition

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/plumbline-dev/plumbline"
)

// Placeholder stands for a secret's value that an export does not hold. A
// definition with it is refused.
const Placeholder = "[fill in]"

// RepairKind is what became of something that an export holds.
type RepairKind string

// The kinds of repairs.
const (
	Tidied   RepairKind = "tidied"   // written otherwise, with the same meaning
	Repaired RepairKind = "repaired" // read otherwise than it is written
	Lost     RepairKind = "lost"     // the export may hold less than there was: to be checked
	Missing  RepairKind = "missing"  // to be filled in before the document is valid
	Left     RepairKind = "skipped"  // not a definition of services
)

// Repair is how ParseExport read a part of a document.
type Repair struct {
	Kind    RepairKind
	At      Pos
	Message string
}

// Export is a document that is about to be written anew.
type Export struct {
	*Document
	Form    Form // "" where it is neither
	Repairs []Repair
}

// ParseExport is Parse that also says what it reads otherwise than it is
// written, and what exports are known to lose: they are read back from the
// cluster. Values of secrets that are not there become Placeholder.
func ParseExport(text []byte) Export {
	var e export
	r := &reader{export: &e}
	return Export{Document: parse(text, r), Form: r.form, Repairs: e.repairs}
}

// export is what is noted while an export is read. A nil one notes nothing.
type export struct{ repairs []Repair }

func (e *export) note(kind RepairKind, at Pos, format string, args ...any) {
	if e != nil {
		e.repairs = append(e.repairs, Repair{kind, at, fmt.Sprintf(format, args...)})
	}
}

// missing makes placeholders of the values of an exported secret that are not
// there: Space Cloud 0.16 blanked all of them, and those of type docker could
// not be read before 0.20.
func (e *export) missing(s *Secret) {
	if e == nil {
		return
	}
	placeholder := plumbline.NewSecretValue(Placeholder)
	var want []string
	have := map[string]bool{}
	for i, d := range s.Data {
		have[d.Key] = true
		if d.Value.Reveal() == "" {
			s.Data[i].Value = placeholder
			want = append(want, d.Key)
		}
	}
	need := []string{"FILL_IN"}
	if s.Type == SecretDocker {
		need = []string{"password", "url", "username"}
	}
	if s.Type == SecretDocker || len(s.Data) == 0 {
		for _, k := range need {
			if !have[k] {
				s.Data = append(s.Data, SecretEntry{Key: k, Value: placeholder, At: s.At})
				want = append(want, k)
			}
		}
	}
	slices.SortFunc(s.Data, func(a, b SecretEntry) int { return cmp.Compare(a.Key, b.Key) })
	if len(want) > 0 {
		e.note(Missing, s.At, "secret %s: the export holds no value of %s: write it where it says %q, the definition is refused until then",
			s.ID.Value, strings.Join(want, ", "), Placeholder)
	}
}

// lossy notes what a reading back of a service loses.
func (e *export) lossy(v *Version) {
	if e == nil {
		return
	}
	if len(v.Whitelist) == 0 {
		e.note(Lost, v.At, "service %s: nobody may call it; an export loses the entry that opens a service to everyone, {projectId: '*', service: '*'}", v.Name())
	}
	pull := 0
	for _, t := range v.Tasks {
		if len(t.Docker.Cmd) == 1 {
			e.note(Lost, t.ID.At, "service %s, task %s: an export holds only the first word of docker.cmd; add the arguments, if there were any", v.Name(), t.ID.Value)
		}
		if t.Docker.Secret.Value != "" {
			pull++
		}
	}
	if pull > 1 {
		e.note(Lost, v.At, "service %s: an export gives all tasks the pull secret of the first", v.Name())
	}
}

// gateway says of a document of the gateway what to use instead.
func (e *export) gateway(at Pos, what string) {
	instead := "Plumbline has no counterpart of Space Cloud's data APIs: keep what needs them on a service of its own"
	switch {
	case strings.Contains(what, "ingress"):
		instead = "write an Istio Gateway and a VirtualService, and let the gateway in by a whitelist entry (docs/migrate.md)"
	case strings.Contains(what, "letsencrypt"):
		instead = "let cert-manager keep the certificate that the Gateway names"
	case strings.Contains(what, "auth-provider"), strings.Contains(what, "user-management"):
		instead = "check users by an Istio RequestAuthentication, or in the service"
	}
	e.note(Left, at, "a gateway document (%s): %s", what, instead)
}
