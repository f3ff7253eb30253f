package definition

import (
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// Affinity says near what, or away from what, the pods of a version run. In
// its Terms all that Space Cloud says by signs and habits is written out.
type Affinity struct {
	Node bool // about nodes; else about the pods of services
	// Away tells, of pods, that the version keeps away from them.
	Away     bool
	Required bool
	Weight   int // of a preference: 1 to 100
	// Topology is the label whose equal values make nodes one place. Pods only.
	Topology string
	Projects []string // of the pods, sorted; none is the version's own
	Terms    []Expression
	At       Pos
}

// Expression compares a label. All expressions of an Affinity must match.
type Expression struct {
	Key      string
	Operator Operator
	Values   []string
	At       Pos
}

// Operator of an Expression, in the words of Kubernetes.
type Operator string

// The operators.
const (
	OperatorIn           Operator = "In"
	OperatorNotIn        Operator = "NotIn"
	OperatorExists       Operator = "Exists"
	OperatorDoesNotExist Operator = "DoesNotExist"
	OperatorGt           Operator = "Gt" // nodes only
	OperatorLt           Operator = "Lt" // nodes only
)

const defaultTopology = "kubernetes.io/hostname"

// affinity reads an entry of affinity.
func (r *reader) affinity(n *yaml.Node, v *Version) {
	a := affinityReader{reader: r, out: Affinity{At: posOf(n)}, weight: Text{At: posOf(n)}}
	known := []string{"type", "weight", "operator", "topologyKey", "projects", "matchExpressions"}
	if r.form == FormSpaceCloud {
		if op := scalar(n, "operator"); op == "==" || op == "!=" {
			r.warnf(CodeIgnored, a.out.At, "this affinity has the shape of before Space Cloud 0.19.3, which had no effect: remove it")
			return
		}
		known = append(known, "id")
	}
	ok := r.mapping(n, "an entry of affinity", known, func(k, v *yaml.Node) bool {
		switch k.Value {
		case "type":
			a.kind = r.text(v, "the affinity's type")
		case "weight":
			a.readWeight(v)
		case "operator":
			a.operator = r.text(v, "the affinity's operator")
		case "topologyKey":
			a.topology = r.text(v, "topologyKey")
		case "projects":
			r.list(v, "projects", func(n *yaml.Node) { a.projects = append(a.projects, r.text(n, "an entry of projects")) })
		case "matchExpressions":
			r.list(v, "matchExpressions", a.expression)
		case "id":
			return contains(known, k.Value)
		default:
			return false
		}
		return true
	})
	for i := range a.projects {
		if a.projects[i].Value == OwnProject {
			a.projects[i].Value = v.Project.Value
		}
	}
	if ok && a.complete() {
		v.Affinity = append(v.Affinity, a.out)
	}
}

// affinityReader is an entry while it is read.
type affinityReader struct {
	*reader
	out                      Affinity
	kind, operator, topology Text
	projects                 []Text
	weight                   Text // as written
	number                   int
	bad                      bool // an expression has a problem
}

func (a *affinityReader) readWeight(v *yaml.Node) {
	n, ok := a.reader.number(v, "the affinity's weight", -100, 100)
	a.number, a.bad = n, a.bad || !ok
	a.weight = Text{strconv.Itoa(n), posOf(v)}
}

func (a *affinityReader) complete() bool {
	switch a.kind.Value {
	case "node":
		a.out.Node = true
	case "service":
	case "":
		a.errorf(CodeMissing, a.out.At, "an affinity needs type: node or service")
		return false
	default:
		a.unknownValue(a.kind, "affinity type", "node", "service")
		return false
	}
	switch a.operator.Value {
	case "required":
		a.out.Required = true
	case "preferred":
	case "":
		a.errorf(CodeMissing, a.out.At, "an affinity needs operator: preferred or required")
		return false
	default:
		a.unknownValue(a.operator, "affinity operator", "preferred", "required")
		return false
	}
	if len(a.out.Terms) == 0 && !a.bad {
		a.errorf(CodeAffinity, a.out.At, "an affinity needs matchExpressions: which nodes or pods are meant")
	}
	if a.bad || len(a.out.Terms) == 0 || !a.weigh() {
		return false
	}
	if a.out.Node {
		return a.node()
	}
	return a.service()
}

// weigh reads the sign of the weight, which says near or away.
func (a *affinityReader) weigh() bool {
	w := a.number
	if w == 0 {
		switch {
		case a.out.Required && (a.out.Node || a.form == FormPlumbline):
			w = 100
		case a.out.Required:
			a.warnf(CodeIgnored, a.weight.At, "a required affinity of weight 0 keeps away from the pods, as in Space Cloud: write the weight -100, or 100 to be near them")
			w = -100
		case a.form == FormSpaceCloud:
			a.warnf(CodeIgnored, a.weight.At, "a preferred affinity of weight 0 has no effect: write a weight from 1 to 100, or from -100 to -1 to keep away")
			return false
		default:
			a.errorf(CodeAffinity, a.weight.At, "a preferred affinity needs a weight from 1 to 100, or from -100 to -1 to keep away")
			return false
		}
	}
	a.out.Away = w < 0
	a.out.Weight = max(w, -w)
	return true
}

// node turns keeping away from nodes into the opposite expression.
func (a *affinityReader) node() bool {
	if a.topology.Value != "" || len(a.projects) > 0 {
		if a.form == FormPlumbline {
			a.errorf(CodeAffinity, a.out.At, "topologyKey and projects are for affinity of type service: remove them")
			return false
		}
	}
	if !a.out.Away {
		return true
	}
	if len(a.out.Terms) > 1 {
		a.errorf(CodeAffinity, a.weight.At, "keeping away from nodes goes by one expression: write one affinity for each, or use the operator NotIn")
		return false
	}
	opposite := map[Operator]Operator{
		OperatorIn: OperatorNotIn, OperatorNotIn: OperatorIn, OperatorExists: OperatorDoesNotExist, OperatorDoesNotExist: OperatorExists,
	}
	t := &a.out.Terms[0]
	o, ok := opposite[t.Operator]
	if !ok {
		a.errorf(CodeAffinity, t.At, "operator %s has no opposite, as a negative weight asks for: use a positive weight", t.Operator)
		return false
	}
	t.Operator, a.out.Away = o, false
	return true
}

func (a *affinityReader) service() bool {
	a.out.Topology = defaultTopology
	ok := true
	if t := a.topology; t.Value != "" {
		if ok = isLabelKey(t.Value); !ok {
			a.badName(t, "topologyKey", "the name of a label of nodes, as kubernetes.io/hostname")
		}
		a.out.Topology = t.Value
	}
	for _, p := range a.projects {
		if !IsLabel(p.Value) {
			a.badName(p, "an entry of projects", "a project's name")
			ok = false
		}
		a.out.Projects = append(a.out.Projects, p.Value)
	}
	slices.Sort(a.out.Projects)
	a.out.Projects = slices.Compact(a.out.Projects)
	for i := range a.out.Terms {
		ok = a.podLabel(&a.out.Terms[i]) && ok
	}
	return ok
}

// podLabel gives a label of pods the name and values that it has here.
func (a *affinityReader) podLabel(t *Expression) bool {
	switch t.Operator {
	case OperatorGt, OperatorLt:
		a.errorf(CodeAffinity, t.At, "operator %s compares labels of nodes only: expected In, NotIn, Exists or DoesNotExist", t.Operator)
		return false
	}
	if a.form == FormSpaceCloud {
		switch t.Key {
		case "app.kubernetes.io/name":
			t.Key = "app"
		case "app.kubernetes.io/version":
			t.Key = "version"
		case "app.kubernetes.io/managed-by", "space-cloud.io/version":
			a.warnf(CodeIgnored, t.At, "pods have no label %s: the expression matches none of them", t.Key)
		}
	}
	if t.Key == "version" {
		for i, v := range t.Values {
			t.Values[i] = Slug(v)
		}
	}
	return true
}

func (a *affinityReader) expression(n *yaml.Node) {
	e := Expression{At: posOf(n)}
	var key, operator Text
	var values []Text
	known := []string{"key", "operator", "values"}
	if a.form == FormSpaceCloud {
		known = append(known, "attribute")
	}
	if !a.mapping(n, "an entry of matchExpressions", known, func(k, v *yaml.Node) bool {
		switch k.Value {
		case "key":
			key = a.text(v, "the expression's key")
		case "operator":
			operator = a.text(v, "the expression's operator")
		case "values":
			a.list(v, "values", func(n *yaml.Node) { values = append(values, a.text(n, "an entry of values")) })
		default:
			return contains(known, k.Value)
		}
		return true
	}) {
		a.bad = true
		return
	}
	e.Key, e.Operator = key.Value, Operator(operator.Value)
	for _, v := range values {
		e.Values = append(e.Values, v.Value)
	}
	if !a.validExpression(e, key, operator, values) {
		a.bad = true
		return
	}
	a.out.Terms = append(a.out.Terms, e)
}

func (a *affinityReader) validExpression(e Expression, key, operator Text, values []Text) bool {
	switch e.Operator {
	case OperatorIn, OperatorNotIn:
		if len(values) == 0 {
			a.errorf(CodeAffinity, e.At, "operator %s needs values", e.Operator)
			return false
		}
	case OperatorExists, OperatorDoesNotExist:
		if len(values) > 0 {
			a.errorf(CodeAffinity, values[0].At, "operator %s takes no values: remove them", e.Operator)
			return false
		}
	case OperatorGt, OperatorLt:
		if len(values) != 1 || !isInteger(values[0].Value) {
			a.errorf(CodeAffinity, e.At, "operator %s needs one value, a whole number", e.Operator)
			return false
		}
	case "":
		a.errorf(CodeMissing, e.At, "an expression needs operator: In, NotIn, Exists or DoesNotExist")
		return false
	default:
		a.unknownValue(operator, "operator", "In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")
		return false
	}
	if !isLabelKey(e.Key) {
		if key.Value == "" {
			a.errorf(CodeMissing, e.At, "an expression needs key: the name of a label")
			return false
		}
		a.badName(key, "the expression's key", "the name of a label")
		return false
	}
	for _, v := range values {
		if v.Value != "" && !isLabelName(v.Value) && e.Key != "version" {
			a.errorf(CodeLabelValue, v.At, "no label has the value %s: expected at most 63 letters, digits, '-', '_', '.', with a letter or digit at both ends", a.shown(v.Value))
			return false
		}
	}
	return true
}

func isInteger(s string) bool {
	_, err := strconv.ParseInt(s, 10, 64)
	return err == nil
}
