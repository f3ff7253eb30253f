package definition

import (
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode"
)

const (
	// maxRegex is the longest expression, in bytes, that a matcher may have.
	maxRegex = 1024
	// maxProgram is the largest program, in instructions, that Istio lets a proxy
	// make of an expression (re2.max_program_size.error_level). A proxy refuses all
	// of its routes for one that is larger, those of other services too.
	maxProgram = 32768
)

// regex checks an expression: Envoy and Go read the same language, RE2, but for
// names of classes; and Envoy takes less of it.
func (r *reader) regex(t Text) {
	if len(t.Value) > maxRegex {
		r.errorf(CodeMatcher, t.At, "the regex has %d bytes; the limit is %d", len(t.Value), maxRegex)
		return
	}
	if _, err := regexp.Compile(t.Value); err != nil {
		r.errorf(CodeMatcher, t.At, "%s is no regex: %s", r.shown(t.Value), strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		return
	}
	if class := unknownClass(t.Value); class != "" {
		r.errorf(CodeMatcher, t.At, "%s is no regex that Envoy reads: it does not know the class %s", r.shown(t.Value), r.shown(class))
		return
	}
	if tree, err := syntax.Parse(t.Value, syntax.Perl); err == nil && program(tree) > maxProgram {
		r.errorf(CodeMatcher, t.At, "the regex is larger than Envoy takes, with its repetitions written out: repeat less, or leave out classes of letters as \\pL")
	}
}

// unknownClass is the first class, as \p{Greek}, of which only Go knows the name.
func unknownClass(expr string) string {
	for i := 0; i+2 < len(expr); i++ {
		if expr[i] != '\\' {
			continue
		}
		if i++; expr[i] == 'Q' { // up to \E there are only letters
			end := strings.Index(expr[i:], `\E`)
			if end < 0 {
				return ""
			}
			i += end + 1
			continue
		}
		if expr[i] != 'p' && expr[i] != 'P' || expr[i+1] != '{' {
			continue
		}
		end := strings.IndexByte(expr[i:], '}')
		if end < 0 {
			return ""
		}
		name := strings.TrimPrefix(expr[i+2:i+end], "^")
		_, category := unicode.Categories[name]
		_, script := unicode.Scripts[name]
		if !script && name != "Any" && (!category || len(name) > 2 || name == "Cn" || name == "LC") {
			return expr[i-1 : i+end+1]
		}
	}
	return ""
}

// program is about how many instructions RE2 makes of an expression. It works on
// bytes: a character beyond ASCII is several.
func program(re *syntax.Regexp) int {
	size := 0
	for _, sub := range re.Sub {
		size += program(sub)
	}
	switch re.Op {
	case syntax.OpLiteral:
		for _, c := range re.Rune {
			size += len(string(c))
		}
	case syntax.OpCharClass:
		for i := 0; i+1 < len(re.Rune); i += 2 {
			size += spans(re.Rune[i], re.Rune[i+1])
		}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		size = spans(0, unicode.MaxRune)
	case syntax.OpRepeat:
		if re.Max < 0 {
			return max(re.Min, 1)*size + 1
		}
		return re.Max*size + re.Max - re.Min
	case syntax.OpCapture:
		size += 2
	default: // a branch for each, or a step
		size += max(len(re.Sub)-1, 1)
	}
	return size
}

// spans is about how many ranges of bytes a range of characters takes.
func spans(low, high rune) int {
	size := 0
	for n, last := range []rune{0x7f, 0x7ff, 0xffff, unicode.MaxRune} {
		if low <= last {
			size += n + 1 + min(n, 1)
			low = last + 1
		}
		if high <= last {
			break
		}
	}
	return size
}
