package guardrail

import (
	"errors"
	"fmt"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/ext"

	"github.com/plumbline-dev/plumbline"
)

// The limits of expressions. A unit of cost is about that of one step, as
// the comparison of two numbers.
const (
	// MaxCost is the most that one evaluation may take, in units.
	MaxCost = 200_000
	// MaxTotal is the most that all rules on all objects may take, in units.
	MaxTotal = 20_000_000

	maxExpression = 8 << 10 // characters
	maxNesting    = 100
	maxNodes      = 5_000 // after macros
	maxRegex      = 5_000 // instructions
	// assumedSize is how many items, or characters, a list, a map or a text of an
	// object is taken to have at most when the cost of a rule is estimated.
	assumedSize = 32
	// checkEvery is how many steps of a loop pass between two looks at whether
	// the evaluation was given up.
	checkEvery = 1_000
)

// The variables of rules.
const (
	varObject     = "object"     // the rendered object
	varDefinition = "definition" // the definition, in the form of plumbline.dev/v1
	varProject    = "project"    // name, environment
	varParams     = "params"     // the policy's parameters
	varPod        = "pod"        // the pod's spec of the object, empty where it has none
	varContainers = "containers" // all containers of that pod
)

// Set is compiled rules. It is safe for concurrent use.
type Set struct {
	objects     []*compiled
	definitions []*compiled
	maxTotal    uint64
}

// compiled is a rule that can be evaluated.
type compiled struct {
	Rule
	kinds   map[plumbline.GroupKind]bool
	holds   cel.Program
	message cel.Program // nil where there is no expression for it
	params  map[string]any
}

// Compile checks the types and the cost of all rules. The error joins one
// plumbline.Error of KindUsage, with its line, for every mistake.
func Compile(rules []Rule) (*Set, error) {
	env, err := environment()
	if err != nil {
		return nil, &plumbline.Error{Op: "compile policies", Kind: plumbline.KindInternal, Err: err}
	}
	s := &Set{maxTotal: MaxTotal}
	var errs []error
	first := map[string]plumbline.Origin{}
	for _, r := range rules {
		if at, taken := first[r.Name]; taken {
			errs = append(errs, compileError(r, r.Origin, fmt.Errorf("the name is taken by the rule at %s", at)))
			continue
		}
		first[r.Name] = r.Origin
		c, of, err := compile(env, r)
		switch {
		case err != nil:
			errs = append(errs, err)
		case of == varDefinition:
			s.definitions = append(s.definitions, c)
		default:
			s.objects = append(s.objects, c)
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return s, nil
}

// Definitions tells whether any rule is about definitions.
func (s *Set) Definitions() bool { return s != nil && len(s.definitions) > 0 }

func environment() (*cel.Env, error) {
	values, err := newAdapter()
	if err != nil {
		return nil, err
	}
	object := cel.MapType(cel.StringType, cel.DynType)
	return cel.NewEnv(
		cel.CustomTypeAdapter(values),
		cel.Variable(varObject, object),
		cel.Variable(varDefinition, object),
		cel.Variable(varProject, cel.MapType(cel.StringType, cel.StringType)),
		cel.Variable(varParams, object),
		cel.Variable(varPod, object),
		cel.Variable(varContainers, cel.ListType(object)),
		cel.OptionalTypes(),
		cel.CrossTypeNumericComparisons(true),
		cel.DefaultUTCTimeZone(true),
		ext.Strings(), ext.Lists(), ext.Sets(), ext.Math(),
		cel.ParserExpressionSizeLimit(maxExpression),
		cel.ParserRecursionLimit(maxNesting),
		cel.ExpressionNodeLimit(maxNodes),
		cel.RegexProgramSizeLimit(maxRegex),
	)
}

// compile compiles one rule, and tells whether it is about objects or
// definitions.
func compile(env *cel.Env, r Rule) (*compiled, string, error) {
	c := &compiled{Rule: r, params: r.Parameters}
	if c.params == nil {
		c.params = map[string]any{}
	}
	if len(r.Kinds) > 0 {
		c.kinds = make(map[plumbline.GroupKind]bool, len(r.Kinds))
		for _, k := range r.Kinds {
			c.kinds[k] = true
		}
	}
	program, used, err := expression(env, r, r.Expression, cel.BoolType)
	if err != nil {
		return nil, "", err
	}
	c.holds = program
	if strings.TrimSpace(r.MessageExpression.Text) != "" {
		program, more, err := expression(env, r, r.MessageExpression, cel.StringType)
		if err != nil {
			return nil, "", err
		}
		c.message = program
		for name := range more {
			used[name] = true
		}
	}
	object := used[varObject] || used[varPod] || used[varContainers]
	switch {
	case object == used[varDefinition]:
		return nil, "", compileError(r, r.Expression.Origin, errors.New("a rule is about one of: an object (object, pod, containers) or a definition (definition)"))
	case object:
		return c, varObject, nil
	}
	return c, varDefinition, nil
}

// expression compiles one expression; used are the variables in it.
func expression(env *cel.Env, r Rule, src Source, want *cel.Type) (cel.Program, map[string]bool, error) {
	tree, issues := env.Compile(src.Text)
	if issues != nil && issues.Err() != nil {
		var errs []error
		for _, e := range issues.Errors() {
			errs = append(errs, compileError(r, src.at(e.Location.Line(), e.Location.Column()), errors.New(strings.TrimSuffix(e.Message, " (in container '')"))))
		}
		return nil, nil, errors.Join(errs...)
	}
	if t := tree.OutputType(); !t.IsExactType(want) && !t.IsExactType(cel.DynType) {
		return nil, nil, compileError(r, src.Origin, fmt.Errorf("the expression is a %s; expected a %s", t, want))
	}
	estimate, err := env.EstimateCost(tree, sizes{})
	if err == nil && estimate.Max > MaxCost {
		err = fmt.Errorf("it may cost %d units on lists of %d items; the limit is %d: nest fewer loops", estimate.Max, assumedSize, MaxCost)
	}
	if err != nil {
		return nil, nil, compileError(r, src.Origin, err)
	}
	program, err := env.Program(tree, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(MaxCost), cel.InterruptCheckFrequency(checkEvery))
	if err != nil {
		return nil, nil, compileError(r, src.Origin, err)
	}
	used := map[string]bool{}
	ast.PreOrderVisit(tree.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.IdentKind {
			used[e.AsIdent()] = true
		}
	}))
	return program, used, nil
}

// at is the place of a line (from 1) and column (from 0) of the expression.
func (s Source) at(line, column int) plumbline.Origin {
	o := s.Origin
	o.Line += line - 1
	if line > 1 || o.Column == 0 {
		o.Column = 0 // the text's indentation is not known
	} else {
		o.Column += column
	}
	return o
}

func compileError(r Rule, at plumbline.Origin, err error) error {
	return &plumbline.Error{Op: "rule " + r.Name, Kind: plumbline.KindUsage, Origin: at, Err: err}
}

// sizes tells how large what a rule looks at is taken to be.
type sizes struct{}

// EstimateSize implements checker.CostEstimator.
func (sizes) EstimateSize(checker.AstNode) *checker.SizeEstimate {
	return &checker.SizeEstimate{Min: 0, Max: assumedSize}
}

// EstimateCallCost implements checker.CostEstimator.
func (sizes) EstimateCallCost(string, string, *checker.AstNode, []checker.AstNode) *checker.CallEstimate {
	return nil
}
