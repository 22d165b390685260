package grammar

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/matomo-scim/bridge/scim/schema"
)

// Options limit what is accepted. The zero value is the grammar of the RFC with
// the default limits. The default limits are far above what any identity
// provider sends, whose longest filters have some hundred bytes, and low enough
// that the worst filter is parsed in well under a millisecond.
type Options struct {
	Tolerant bool               // accept what identity providers write beyond the grammar
	MaxLen   int                // bytes; 0 means 16 KiB
	MaxDepth int                // nested parentheses, brackets and nots; 0 means 32
	MaxNodes int                // expressions of all kinds; 0 means 500
	OnFixup  func(schema.Fixup) // called for each tolerance that was needed; may be nil
}

// The default limits. Chains of and and or do not nest, so they are bounded by
// the number of expressions alone.
const (
	defaultLen   = 16 << 10
	defaultDepth = 32
	defaultNodes = 500
)

// withDefaults fills in the limits. There is no way to ask for none at all.
func (o Options) withDefaults() Options {
	if o.MaxLen == 0 {
		o.MaxLen = defaultLen
	}
	if o.MaxDepth == 0 {
		o.MaxDepth = defaultDepth
	}
	if o.MaxNodes == 0 {
		o.MaxNodes = defaultNodes
	}
	return o
}

// Report tells whoever listens that a tolerance was needed.
func (o Options) Report(k schema.Fixup) {
	if o.OnFixup != nil {
		o.OnFixup(k)
	}
}

// Parse reads a filter. Operators are understood in any case, names are kept as
// written. In tolerant mode a value may be a bare word, and emails[type eq
// "work"].value eq "x" is read as emails[type eq "work" and value eq "x"].
//
//	userName Eq "ada"                     as the RFC has it
//	userName eq ada                       tolerant (authentik)
//	emails[type eq "work"].value eq "x"   tolerant (Entra)
//
// The error is an invalidFilter that says at which byte what was expected.
func Parse(s string, opt Options) (Expr, error) {
	p := parser{s: s, opt: opt.withDefaults()}
	if err := p.checkText(); err != nil {
		return nil, err
	}
	e, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.space(); p.pos < len(s) {
		return nil, p.fail("and, or or the end is expected")
	}
	return e, nil
}

// ParsePath reads the path of a PATCH operation: attribute, attribute.sub,
// attribute[filter] or attribute[filter].sub, each with an optional URN. A bare
// URN of a schema is read as URN and attribute, as schema.SplitName does, and
// found again by schema.ResourceType.Lookup. The scimType of an error is
// invalidPath. Blanks around a path are an error, unlike those within its
// brackets, because a name with a blank is a mistake that would otherwise go
// unseen.
func ParsePath(s string, opt Options) (PatchPath, error) {
	p := parser{s: s, opt: opt.withDefaults()}
	path, err := p.patchPath()
	if err != nil {
		err.ScimType = schema.InvalidPath
		err.Detail = strings.Replace(err.Detail, "invalid filter", "invalid path", 1)
		return PatchPath{}, err
	}
	return path, nil
}

// parser is one pass over the text; pos is the next byte to read. There is no
// separate list of tokens: what a word means depends on where it stands, and
// not, and, or and pr are fine names of attributes.
type parser struct {
	s            string
	pos          int
	depth, nodes int
	inBrackets   bool
	opt          Options
}

// fail builds the error for a problem at the present position.
func (p *parser) fail(what string) *schema.Error { return p.failAt(p.pos, what) }

// failAt builds the error for a problem that began earlier, such as at the
// start of a word.
func (p *parser) failAt(pos int, what string) *schema.Error {
	return fail("invalid filter at byte %d: %s", pos, what)
}

// checkText refuses what no part of the parser has to handle then: text that is
// too long, that is no UTF-8, or that holds a NUL, which PostgreSQL cannot
// store.
func (p *parser) checkText() *schema.Error {
	switch {
	case len(p.s) > p.opt.MaxLen:
		return p.failAt(p.opt.MaxLen, "longer than "+strconv.Itoa(p.opt.MaxLen)+" bytes")
	case !utf8.ValidString(p.s):
		return p.fail("not valid UTF-8")
	case strings.IndexByte(p.s, 0) >= 0:
		return p.failAt(strings.IndexByte(p.s, 0), "a NUL")
	default:
		return nil
	}
}

// space skips blanks; the grammar has single ones, but nothing is gained by
// insisting.
func (p *parser) space() {
	for p.pos < len(p.s) && isSpace(p.s[p.pos]) {
		p.pos++
	}
}

// isSpace knows the blanks of JSON.
func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// peek gives the next byte without skipping blanks; 0 at the end.
func (p *parser) peek() byte {
	if p.pos < len(p.s) {
		return p.s[p.pos]
	}
	return 0
}

// word reads up to a blank, a bracket, a parenthesis or a quote. Dots and
// colons belong to it: it is a name, an operator or a plain value.
func (p *parser) word() string {
	start := p.pos
	for p.pos < len(p.s) && !isSpace(p.s[p.pos]) && strings.IndexByte(`()[]"`, p.s[p.pos]) < 0 {
		p.pos++
	}
	return p.s[start:p.pos]
}

// node counts an expression. The number bounds the work of everybody who
// evaluates the filter later, once for each document or as a part of SQL.
func (p *parser) node() *schema.Error {
	if p.nodes++; p.nodes > p.opt.MaxNodes {
		return p.fail("more than " + strconv.Itoa(p.opt.MaxNodes) + " expressions")
	}
	return nil
}

// enter counts a level; the caller leaves it with p.depth--. It consumes the
// bracket or parenthesis.
func (p *parser) enter() *schema.Error {
	if p.depth++; p.depth > p.opt.MaxDepth {
		return p.fail("nested deeper than " + strconv.Itoa(p.opt.MaxDepth) + " levels")
	}
	p.pos++
	return nil
}

// keyword consumes a word such as "and" when it comes next. Otherwise it
// consumes nothing.
func (p *parser) keyword(want string) bool {
	start := p.pos
	p.space()
	if schema.EqualName(p.word(), want) {
		return true
	}
	p.pos = start
	return false
}

// or reads expressions joined by or, which binds weakest. a or b and c is a or
// (b and c) (F12).
func (p *parser) or() (Expr, *schema.Error) {
	l, err := p.and()
	for err == nil && p.keyword("or") {
		var r Expr
		if r, err = p.and(); err == nil {
			l, err = Or{L: l, R: r}, p.node()
		}
	}
	return l, err
}

// and reads expressions joined by and. Chains are loops, so that only nesting
// makes the stack grow.
func (p *parser) and() (Expr, *schema.Error) {
	l, err := p.unary()
	for err == nil && p.keyword("and") {
		var r Expr
		if r, err = p.unary(); err == nil {
			l, err = And{L: l, R: r}, p.node()
		}
	}
	return l, err
}

// unary reads a group, not (...), a value path or a comparison. The word not is
// a name unless a parenthesis follows: not pr asks whether an attribute "not"
// has a value.
func (p *parser) unary() (Expr, *schema.Error) {
	p.space()
	if p.peek() == '(' {
		return p.group()
	}
	start := p.pos
	name := p.word()
	if schema.EqualName(name, "not") {
		p.space()
		if p.peek() == '(' {
			x, err := p.group()
			if err != nil {
				return nil, err
			}
			return Not{X: x}, p.node()
		}
	}
	path, err := p.path(start, name)
	switch {
	case err != nil:
		return nil, err
	case p.peek() == '[':
		return p.valuePath(path, start)
	}
	return p.comparison(path)
}

// group reads an expression in parentheses.
func (p *parser) group() (Expr, *schema.Error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	e, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.space(); p.peek() != ')' {
		return nil, p.fail("a closing parenthesis is expected")
	}
	p.pos++
	p.depth--
	return e, nil
}

// path takes a name apart and checks it. In brackets there are sub-attributes
// only, which have no URN.
func (p *parser) path(start int, name string) (Path, *schema.Error) {
	urn, attr, sub := schema.SplitName(name)
	path := Path{URN: urn, Attr: attr, Sub: sub}
	switch {
	case name == "":
		return path, p.fail("an attribute name is expected")
	case urn == "" && validName(name, attr, sub):
		return path, nil
	case urn != "" && p.inBrackets:
		return path, p.failAt(start, "a sub-attribute is expected")
	case len(urn) > len("urn:") && schema.EqualName(urn[:len("urn:")], "urn:") && urnLike(name):
		return path, nil
	default:
		return path, p.failAt(start, "a malformed attribute name")
	}
}

// validName checks a name without URN: attribute and at most one sub-attribute,
// no dot at the end.
func validName(name, attr, sub string) bool {
	return schema.ValidName(attr) && (schema.ValidName(sub) || sub == "" && !strings.HasSuffix(name, "."))
}

// urnLike accepts names with a URN. The part after the last colon may look
// unlike an attribute when the whole is the URN of a schema.
// urn:example:custom:1.0 is such a whole: its last part reads as an attribute
// "1" with a sub-attribute "0".
func urnLike(name string) bool {
	for i := range len(name) {
		c := name[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && strings.IndexByte(":._-$", c) < 0 {
			return false
		}
	}
	return !strings.ContainsAny(name[len(name)-1:], ":.") && !strings.Contains(name, "::") && !strings.Contains(name, ":.")
}

// valuePath reads attr[filter], and in tolerant mode the comparison of a
// sub-attribute after it. No value path stands in another: complex attributes
// do not nest (RFC 7643 section 2.3.8).
func (p *parser) valuePath(path Path, start int) (Expr, *schema.Error) {
	f, err := p.brackets(path, start)
	if err != nil {
		return nil, err
	}
	if p.peek() == '.' {
		if f, err = p.suffix(f); err != nil {
			return nil, err
		}
	}
	return ValuePath{Path: path, Filter: f}, p.node()
}

// suffix reads what Entra writes behind a value path. It is read as one more
// condition on the same value, which is what Entra expects to find by it (F34).
func (p *parser) suffix(f Expr) (Expr, *schema.Error) {
	if !p.opt.Tolerant {
		return nil, p.fail("nothing may follow a value path")
	}
	p.pos++
	start := p.pos
	sub := p.word()
	if !schema.ValidName(sub) {
		return nil, p.failAt(start, "a sub-attribute is expected")
	}
	c, err := p.comparison(Path{Attr: sub})
	if err != nil {
		return nil, err
	}
	p.opt.Report(schema.FixValuePathSuffix)
	return And{L: f, R: c}, p.node()
}

// brackets reads [filter] behind an attribute.
func (p *parser) brackets(path Path, start int) (Expr, *schema.Error) {
	if p.inBrackets || path.Sub != "" {
		return nil, p.failAt(start, "a value path is not possible here")
	}
	if err := p.enter(); err != nil {
		return nil, err
	}
	p.inBrackets = true
	f, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.space(); p.peek() != ']' {
		return nil, p.fail("a closing bracket is expected")
	}
	p.pos++
	p.depth--
	p.inBrackets = false
	return f, nil
}

// comparison reads operator and value behind a name.
func (p *parser) comparison(path Path) (Expr, *schema.Error) {
	p.space()
	start := p.pos
	op := Op(strings.ToLower(p.word()))
	switch op {
	case "pr":
		return Present{Path: path}, p.node()
	case Eq, Ne, Co, Sw, Ew, Gt, Ge, Lt, Le:
	case "":
		return nil, p.fail("an operator is expected")
	default:
		return nil, p.failAt(start, "an unknown operator")
	}
	v, err := p.value()
	if err != nil {
		return nil, err
	}
	return Compare{Path: path, Op: op, Value: v}, p.node()
}

// value reads a JSON value that is no object and no list; in tolerant mode also
// a word without quotes.
func (p *parser) value() (any, *schema.Error) {
	if !isSpace(p.peek()) {
		return nil, p.fail("a blank and a value are expected")
	}
	p.space()
	start := p.pos
	if p.peek() == '"' {
		s, size, err := schema.Unquote(p.s[p.pos:])
		p.pos += size
		if err != nil {
			return nil, p.fail("a malformed string")
		}
		if c := p.peek(); c != 0 && !isSpace(c) && c != ')' && c != ']' {
			return nil, p.fail("a blank is expected after a value")
		}
		return s, nil
	}
	w := p.word()
	switch {
	case w == "":
		return nil, p.fail("a value is expected")
	case w == "true" || w == "false":
		return w == "true", nil
	case w == "null":
		return nil, nil
	case isNumber(w):
		return json.Number(w), nil
	// 'work' is meant as text and would be one with the quotes in it, which nothing is
	// equal to: a look-up would find nobody, and a PATCH create what it was to change.
	case w[0] == '\'':
		return nil, p.failAt(start, "a value in quotes such as \"work\" is expected")
	case !p.opt.Tolerant || strings.IndexByte(`(["`, p.peek()) >= 0 && p.pos < len(p.s):
		return nil, p.failAt(start, "a value in quotes is expected")
	default:
		p.opt.Report(schema.FixUnquotedValue)
		return w, nil
	}
}

// isNumber reports whether w is a JSON number that a float64 can hold. 1e999 is
// none then, but a word, which tolerant mode takes as text.
func isNumber(w string) bool {
	if c := w[0]; c != '-' && (c < '0' || c > '9') || !json.Valid([]byte(w)) {
		return false
	}
	_, err := strconv.ParseFloat(w, 64)
	return err == nil
}

// patchPath reads a whole path. Errors carry the scimType of filters; ParsePath
// exchanges it.
func (p *parser) patchPath() (PatchPath, *schema.Error) {
	if err := p.checkText(); err != nil {
		return PatchPath{}, err
	}
	path, err := p.path(0, p.word())
	if err != nil {
		return PatchPath{}, err
	}
	out := PatchPath{Path: path}
	if p.peek() == '[' {
		if out.Filter, err = p.brackets(path, 0); err != nil {
			return PatchPath{}, err
		}
		if p.peek() == '.' {
			p.pos++
			start := p.pos
			if out.Sub = p.word(); !schema.ValidName(out.Sub) {
				return PatchPath{}, p.failAt(start, "a sub-attribute is expected")
			}
		}
	}
	if p.pos < len(p.s) {
		return PatchPath{}, p.fail("the end is expected")
	}
	return out, nil
}
