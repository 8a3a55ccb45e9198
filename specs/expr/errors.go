package expr

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/agnivade/levenshtein"
	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
)

// Nearest is the name that comes nearest to got, by its letters, as its beginning or by its initials; "" where none is near.
func Nearest(got string, names []string) string {
	best, distance := "", max(2, len(got)/3)+1
	for _, n := range names {
		if got != "" && strings.EqualFold(got, initials(n)) {
			return n
		}
		if len(got) > 3 && strings.HasPrefix(n, got) && best == "" {
			best = n
		}
		d := levenshtein.ComputeDistance(strings.ToLower(got), strings.ToLower(n))
		if d == 2 && sameLetters(got, n) { // two in the wrong order are one slip
			d = 1
		}
		if d < distance && d < max(len(got), len(n)) {
			best, distance = n, d
		}
	}
	if best != "" {
		return best
	}
	for _, n := range names {
		if rest, begins := strings.CutPrefix(got, n); begins && len(n) > len(best) && strings.ContainsAny(rest[:1], "_-.0123456789") {
			best = n
		}
	}
	return best
}

func sameLetters(a, b string) bool {
	x, y := []byte(strings.ToLower(a)), []byte(strings.ToLower(b))
	slices.Sort(x)
	slices.Sort(y)
	return string(x) == string(y)
}

// initials are those of a name's words: lr of learning_rate, as people shorten it; "" where it has only one.
func initials(name string) string {
	words := strings.FieldsFunc(name, func(r rune) bool { return r == '_' || r == '-' })
	out := ""
	for _, w := range words {
		out += w[:1]
	}
	if len(words) < 2 {
		return ""
	}
	return out
}

var (
	missing    = regexp.MustCompile(`missing '(.*)' at '(.*)'`)
	mismatched = regexp.MustCompile(`(?:mismatched|extraneous) input (.*?) expecting|no viable alternative at input (.*)|token recognition error at: (.*)`)
	overload   = regexp.MustCompile(`found no matching overload for '(.*)' applied to '(.*)'`)
	undeclared = regexp.MustCompile(`undeclared reference to '([^']*)'`)
	undefined  = regexp.MustCompile(`undefined field '([^']*)'`)
)

// digitName is a step of a chain of names that begins with a digit.
var digitName = regexp.MustCompile(`([A-Za-z_][\w.-]*)\.(\d[\w-]*)`)

// syntaxProblems is the first mistake of a text that is no CEL: what a parser says after it is rarely right.
func syntaxProblems(text string, issues *cel.Issues) []*Problem {
	if p := unbalanced(text); p != nil {
		return []*Problem{p}
	}
	first := issues.Errors()[0]
	at := offset(text, first.Location.Line(), first.Location.Column())
	p := &Problem{Span: Span{at, at + 1}, Summary: "this is no CEL: " + strings.TrimPrefix(first.Message, "Syntax error: ")}
	if m := mismatched.FindStringSubmatch(first.Message); m != nil {
		found := strings.Trim(m[1]+m[2]+m[3], "'")
		p.Summary = fmt.Sprintf("this is no CEL: unexpected %q", found)
		if found == "<EOF>" {
			p.Summary = "this is no CEL: it ends too early"
		}
		p.Note = habit(found, text)
	}
	if m := missing.FindStringSubmatch(first.Message); m != nil {
		p.Summary = fmt.Sprintf("this is no CEL: a %s is missing", m[1])
	}
	if m := digitName.FindStringSubmatchIndex(text); m != nil && at >= utf8.RuneCountInString(text[:m[0]]) && at <= utf8.RuneCountInString(text[:m[1]]) {
		p.Expected = text[m[2]:m[3]] + `["` + text[m[4]:m[5]] + `"]`
		p.Note = "a name that begins with a digit is written in brackets and quotes"
	}
	if m := doubled.FindStringSubmatch(text); m != nil {
		p.Expected = "${" + strings.TrimSpace(m[1]) + "}"
		p.Note = "one { }: ${{ }} belongs to other programs"
	}
	if strings.TrimSpace(text) == "" {
		p.Summary = "an empty expression"
	}
	return []*Problem{p}
}

// doubled is what ${{ }} has inside the outer braces.
var doubled = regexp.MustCompile(`^ *\{([^:{}]*)\} *$`)

// unbalanced finds a quote without another that ends its text, and a bracket without its counterpart.
func unbalanced(text string) *Problem {
	runes := []rune(text)
	if at := OpenQuote(text); at >= 0 {
		return &Problem{Span: Span{at, at + 1}, Summary: fmt.Sprintf("this is no CEL: this %c has no other that ends its text", runes[at])}
	}
	closers := map[rune]rune{'(': ')', '[': ']', '{': '}'}
	var open []int
	for i := 0; i < len(runes); i++ {
		switch c := runes[i]; {
		case c == '"' || c == '\'':
			i = quoteEnd(runes, i) - 1
		case closers[c] != 0:
			open = append(open, i)
		case strings.ContainsRune(")]}", c):
			if len(open) == 0 {
				return &Problem{Span: Span{i, i + 1}, Summary: fmt.Sprintf("this is no CEL: this %c closes nothing", c)}
			}
			if closers[runes[open[len(open)-1]]] != c {
				return unclosed(runes, open, closers)
			}
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		return unclosed(runes, open, closers)
	}
	return nil
}

// hidden finds // in an expression of one line, of which CEL takes the rest for a comment. Python divides so.
func hidden(text string) *Problem {
	if strings.Contains(strings.TrimSpace(text), "\n") {
		return nil
	}
	runes := []rune(text)
	for i := 0; i+1 < len(runes); i++ {
		switch {
		case runes[i] == '"' || runes[i] == '\'':
			end := quoteEnd(runes, i)
			if end < 0 {
				return nil
			}
			i = end - 1
		case runes[i] == '/' && runes[i+1] == '/':
			return &Problem{Span: Span{i, i + 2}, Summary: "// begins a comment, which hides the rest of the expression",
				Note: "/ divides, whole numbers too; int(a / b) is what // gives in Python"}
		}
	}
	return nil
}

func unclosed(text []rune, open []int, closers map[rune]rune) *Problem {
	at := open[len(open)-1]
	return &Problem{Span: Span{at, at + 1}, Summary: fmt.Sprintf("this is no CEL: this %c has no %c", text[at], closers[text[at]])}
}

// OpenQuote is the character of a quote that nothing ends, -1 where text has none.
func OpenQuote(text string) int {
	runes := []rune(text)
	for i := 0; i < len(runes); i++ {
		if runes[i] != '"' && runes[i] != '\'' {
			continue
		}
		end := quoteEnd(runes, i)
		if end < 0 {
			return i
		}
		i = end - 1
	}
	return -1
}

// quoteEnd is the character after the text in quotes that begins at text[i], -1 where it does not end.
func quoteEnd(text []rune, i int) int {
	raw := i > 0 && strings.ContainsRune("rR", text[i-1]) && (i == 1 || !IsName(string(text[i-2])))
	quote := string(text[i])
	if strings.HasPrefix(string(text[i:]), strings.Repeat(quote, 3)) {
		quote = strings.Repeat(quote, 3)
	}
	for j := i + len(quote); j < len(text); j++ {
		switch {
		case text[j] == '\\' && !raw:
			j++
		case text[j] == '\n' && len(quote) == 1:
			return -1
		case strings.HasPrefix(string(text[j:min(j+3, len(text))]), quote):
			return j + len(quote)
		}
	}
	return -1
}

// habit is what another language's way of writing is in CEL.
func habit(found, text string) string {
	switch strings.TrimSpace(found) {
	case "=":
		return "CEL compares with =="
	case "and":
		return "CEL writes && for and"
	case "or":
		return "CEL writes || for or"
	case "if", "else":
		return "CEL writes a choice as: condition ? value : other"
	case "*":
		return "CEL has no powers: write x * x"
	case "&":
		return "CEL writes && for and"
	case "|":
		return "CEL writes || for or"
	case "“", "”", "„", "‘", "’", "«", "»":
		return "CEL's quotes are ' and \""
	}
	if strings.HasPrefix(strings.TrimSpace(text), "not ") || strings.Contains(text, " not ") || strings.Contains(text, "(not ") {
		return "CEL writes ! for not, and !(x in list) for not in"
	}
	if strings.Contains(text, " = ") {
		return "CEL compares with =="
	}
	return ""
}

// offset is the character at a line (from 1) and column (from 0) of text.
func offset(text string, line, column int) int {
	at := 0
	for i, l := range strings.SplitAfter(text, "\n") {
		if i == line-1 {
			break
		}
		at += len([]rune(l))
	}
	return at + max(column, 0)
}

// typeProblems are the mistakes that CEL's checker found, in plain words.
func typeProblems(e *Env, res *resolution, issues *cel.Issues) []*Problem {
	var out []*Problem
	for _, err := range issues.Errors() {
		p := &Problem{Span: Span{0, len(res.text)}, Summary: err.Message}
		if at, ok := res.tree.SourceInfo().GetOffsetRange(err.ExprID); ok {
			p.Span = widen(res.text, Span{int(at.Start), max(int(at.Stop), int(at.Start)+1)})
		}
		if m := overload.FindStringSubmatch(err.Message); m != nil {
			p.Summary = overloadText(m[1], m[2])
		}
		if m := undeclared.FindStringSubmatch(err.Message); m != nil {
			p.Summary = fmt.Sprintf("unknown function %s()", m[1])
			p.Nearest = Nearest(m[1], functionNames(e))
			p.Note = foreign[m[1]]
			if p.Note != "" {
				p.Nearest = ""
			}
		}
		if m := undefined.FindStringSubmatch(err.Message); m != nil {
			p.Summary = fmt.Sprintf("this has no field %q", m[1])
		}
		out = append(out, p)
	}
	return out
}

// foreign is how CEL writes functions of other languages.
var foreign = map[string]string{
	"len": "CEL writes size(x)", "length": "CEL writes size(x)", "count": "CEL writes size(x)",
	"str": "CEL writes string(x)", "float": "CEL writes double(x)",
	"min": "CEL writes math.least(x, y)", "max": "CEL writes math.greatest(x, y)", "abs": "CEL writes math.abs(x)",
	"round": "CEL writes math.round(x)", "floor": "CEL writes math.floor(x)", "ceil": "CEL writes math.ceil(x)",
	"sum": "CEL has no sum of a list: write a + b + c",
}

// functionNames are the functions that people can write, without operators.
func functionNames(e *Env) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(e.base.Functions())), func(name string) bool { return strings.ContainsAny(name, "@_!") })
}

// overloadText says which types an operator or function does not take.
func overloadText(function, signature string) string {
	name, args := opName(function), signature
	if before, after, ok := strings.Cut(signature, ".("); ok {
		args = strings.Trim(after, ")")
		return fmt.Sprintf("%s() does not go with %s", name, plainTypes(before+", "+args))
	}
	args = strings.Trim(args, "()")
	if strings.HasPrefix(function, "_") || strings.HasPrefix(function, "@") || function == "!_" || function == "-_" {
		return fmt.Sprintf("%s does not go with %s", name, plainTypes(args))
	}
	return fmt.Sprintf("%s() does not take %s", name, plainTypes(args))
}

var typeWords = map[string]string{
	"int": "a number", "double": "a number", "uint": "a number", "string": "a text", "bool": "true or false", "null": "null", "null_type": "null",
	"dyn": "a value", "artifact": "an artifact",
}

func plainTypes(args string) string {
	var words []string
	for _, a := range strings.Split(args, ", ") {
		words = append(words, typeWord(a))
	}
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), " and ")
}

func typeWord(t string) string {
	switch {
	case typeWords[t] != "":
		return typeWords[t]
	case strings.HasPrefix(t, "list"):
		return "a list"
	case strings.HasPrefix(t, "map"):
		return "a map"
	}
	return t
}

// TypeWord is t in plain words.
func TypeWord(t *cel.Type) string { return typeWord(t.String()) }

// mismatches are comparisons of values that can never be equal.
func (r *resolution) mismatches(checked *ast.AST) []*Problem {
	var out []*Problem
	for _, p := range r.pairs {
		a, b := checked.GetType(p.left.ID()), checked.GetType(p.right.ID())
		if kind := b.Kind(); p.in && (kind == types.ListKind || kind == types.MapKind) {
			b = b.Parameters()[0]
		}
		if x, y := TypeWord(a), TypeWord(b); x != y && basic(x) && basic(y) {
			found := &Problem{Span: Span{r.span(p.left).Start, r.span(p.right).End}, Summary: fmt.Sprintf("%s is never equal to %s", x, y)}
			if x == "a list" || y == "a list" {
				found.Note = "whether a list has an element is asked by: ELEMENT in LIST"
			}
			out = append(out, found)
		}
	}
	return out
}

func basic(word string) bool {
	return word == "a number" || word == "a text" || word == "true or false" || word == "a list" || word == "a map"
}

// explain is an error of evaluation in plain words.
func explain(err error) string {
	text := err.Error()
	switch {
	case strings.Contains(text, "no such key: "):
		_, key, _ := strings.Cut(text, "no such key: ")
		return fmt.Sprintf("there is no %q here", key)
	case strings.Contains(text, "index out of bounds: "):
		_, index, _ := strings.Cut(text, "index out of bounds: ")
		return "the list has no element " + index
	case strings.Contains(text, "operation cancelled: actual cost limit exceeded"):
		return "this takes too many steps"
	}
	return text
}
