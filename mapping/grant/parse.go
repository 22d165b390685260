package grant

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/matomo-scim/bridge/mapping/match"
	"github.com/matomo-scim/bridge/matomo/access"
)

// Error is something wrong at a byte offset of the text that was parsed.
type Error struct {
	Off int
	Msg string
}

// Item is a parsed grant and the byte offset at which it begins.
type Item struct {
	Grant Grant
	Off   int
}

// The grammar that this file reads; there is one function for each line:
//
//	grants   = grant { "," grant }
//	grant    = [ target ] ( "superuser" | "site:" site ) [ until ]
//	target   = ( name | "*" ) "/"
//	site     = selector ":" role { "+" name }
//	selector = "*" | digits | variable | ( "name=" | "group=" ) text
//	text     = "'" { character, "'" doubled } "'" | plain characters | variable
//	role     = "admin" | "write" | "view" | "noaccess" | variable
//	until    = blanks "until" blanks ( date | time with zone )
//
// Blanks are allowed around commas and at the ends. Everything is decided by the
// text of the rule alone; captures are put in long after, by Grant.Fill.

// parser walks over the text of grants. In a quoted value it stops at the
// first double quote that is not inside a name in single quotes.
type parser struct {
	s      string
	pos    int
	quoted bool
}

// Parse reads grants separated by commas from s[pos:]. It returns them, the
// offset at which the value ends and every error; after an error it goes on
// behind the next comma.
func Parse(s string, pos int, quoted bool) (items []Item, end int, errs []*Error) {
	p := &parser{s: s, pos: pos, quoted: quoted}
	p.space()
	if p.done() {
		return nil, p.pos, []*Error{{p.pos, "the value is empty: a rule must grant something"}}
	}
	for {
		p.space()
		off := p.pos
		g, err := p.grant()
		if err == nil {
			p.space()
			if !p.done() && !p.peek(",") {
				err = p.fail("unexpected %s after a grant: a comma, until or the end is wanted", p.found())
			}
		}
		if err != nil {
			errs = append(errs, err)
			p.skip()
		} else {
			items = append(items, Item{g, off})
		}
		if p.done() {
			return items, p.pos, errs
		}
		p.pos++ // the comma
	}
}

// done reports whether the value ends here.
func (p *parser) done() bool {
	return p.pos >= len(p.s) || p.quoted && p.s[p.pos] == '"'
}

// peek reports whether the rest begins with word.
func (p *parser) peek(word string) bool { return strings.HasPrefix(p.s[p.pos:], word) }

// take is peek that also steps over the word.
func (p *parser) take(word string) bool {
	if !p.peek(word) {
		return false
	}
	p.pos += len(word)
	return true
}

// space steps over white space and returns how much there was.
func (p *parser) space() int {
	start := p.pos
	for p.pos < len(p.s) && IsSpace(p.s[p.pos]) {
		p.pos++
	}
	return p.pos - start
}

// skip goes to the next comma or the end of the value.
func (p *parser) skip() {
	for !p.done() && p.s[p.pos] != ',' {
		p.pos++
	}
}

// fail makes an error at the current offset.
func (p *parser) fail(format string, args ...any) *Error {
	return &Error{p.pos, fmt.Sprintf(format, args...)}
}

// maxShown is how many characters of the text a message repeats.
const maxShown = 24

// found describes what stands at the current offset.
func (p *parser) found() string {
	if p.done() {
		return "end of the value"
	}
	rest := p.s[p.pos:]
	if i := strings.IndexAny(rest, ",\" \t"); i > 0 {
		rest = rest[:i]
	}
	if long := []rune(rest); len(long) > maxShown {
		rest = string(long[:maxShown]) + "..."
	}
	return fmt.Sprintf("%q", rest)
}

// grant reads one grant.
func (p *parser) grant() (Grant, *Error) {
	var g Grant
	if p.done() || p.peek(",") {
		return g, p.fail("a grant is missing here")
	}
	p.target(&g)
	switch {
	case p.peek("superuser") && !isWordByte(p.s, p.pos+len("superuser")):
		p.pos += len("superuser")
		g.Superuser = true
	case p.take("site:"):
		if err := p.site(&g); err != nil {
			return g, err
		}
	default:
		return g, p.fail("%s is no grant: superuser or site:SITES:ROLE is wanted", p.found())
	}
	return g, p.until(&g)
}

// target reads "name/" or "*/" if it stands here.
func (p *parser) target(g *Grant) {
	rest := p.s[p.pos:]
	n := NameLength(rest)
	if strings.HasPrefix(rest, "*") {
		n = 1
	}
	if n > 0 && n < len(rest) && rest[n] == '/' {
		g.Target, g.prefixed = rest[:n], true
		p.pos += n + 1
	}
}

// site reads what follows "site:".
func (p *parser) site(g *Grant) *Error {
	if err := p.selector(&g.Site); err != nil {
		return err
	}
	if !p.take(":") {
		return p.fail("unexpected %s: a colon and a role are wanted, as in site:3:view", p.found())
	}
	if err := p.role(g); err != nil {
		return err
	}
	var caps []string
	for p.peek("+") {
		plus := p.pos
		p.pos++
		n := NameLength(p.s[p.pos:])
		if n == 0 {
			return p.fail("unexpected %s: the name of a capability is wanted", p.found())
		}
		if g.Role == access.NoAccess {
			p.pos = plus
			return p.fail("noaccess takes no capability")
		}
		caps = append(caps, p.s[p.pos:p.pos+n])
		p.pos += n
	}
	g.Capabilities = access.Capabilities(caps...)
	return nil
}

// selector reads the sites of a grant.
func (p *parser) selector(s *Selector) *Error {
	switch {
	case p.take("*"):
		s.Kind = SelectAll
	case p.take("name="):
		s.Kind = SelectName
		return p.text(s)
	case p.take("group="):
		s.Kind = SelectGroup
		return p.text(s)
	case match.VarLength(p.s[p.pos:]) > 0:
		s.Kind, s.Var = SelectID, p.variable()
	default:
		start := p.pos
		for p.pos < len(p.s) && isDigit(p.s[p.pos]) {
			p.pos++
		}
		id, ok := parseID(p.s[start:p.pos])
		if !ok {
			p.pos = start
			return p.fail("%s names no site: *, an ID such as 3 (no leading zero), name=... or group=... is wanted", p.found())
		}
		s.Kind, s.ID = SelectID, id
	}
	return nil
}

// text reads the name after "name=" or "group=".
func (p *parser) text(s *Selector) *Error {
	if p.take("'") {
		return p.quotedText(s)
	}
	start := p.pos
	for p.pos < len(p.s) && !strings.ContainsRune(":,'\"", rune(p.s[p.pos])) {
		p.pos++
	}
	s.Text = p.s[start:p.pos]
	if n := match.VarLength(s.Text); n > 0 && n == len(s.Text) {
		s.Text, s.Var = "", s.Text[1:n-1]
		return nil
	}
	if strings.TrimSpace(s.Text) == "" {
		return p.fail("a name is missing here")
	}
	if p.peek("'") {
		return p.fail("a name with an apostrophe stands in single quotes with the apostrophe doubled, as in 'Bob''s'")
	}
	return nil
}

// quotedText reads a name in single quotes whose first quote is behind us.
func (p *parser) quotedText(s *Selector) *Error {
	open := p.pos - 1
	var b strings.Builder
	for p.pos < len(p.s) {
		if p.take("''") {
			b.WriteByte('\'')
			continue
		}
		if p.take("'") {
			s.Text, s.quoted = b.String(), true
			if strings.TrimSpace(s.Text) == "" {
				p.pos = open
				return p.fail("a name is missing here")
			}
			return nil
		}
		b.WriteByte(p.s[p.pos])
		p.pos++
	}
	p.pos = open
	return p.fail("the single quote is never closed")
}

// role reads a role or the capture that says it.
func (p *parser) role(g *Grant) *Error {
	if match.VarLength(p.s[p.pos:]) > 0 {
		g.RoleVar = p.variable()
		return nil
	}
	n := 0
	for isWordByte(p.s, p.pos+n) {
		n++
	}
	role, ok := access.ParseRole(p.s[p.pos : p.pos+n])
	if !ok {
		return p.fail("%s is no role: admin, write, view or noaccess is wanted", p.found())
	}
	g.Role = role
	p.pos += n
	return nil
}

// variable reads the capture that stands here and returns its name.
func (p *parser) variable() string {
	n := match.VarLength(p.s[p.pos:])
	name := p.s[p.pos+1 : p.pos+n-1]
	p.pos += n
	return name
}

// until reads the end of a grant if one stands here.
func (p *parser) until(g *Grant) *Error {
	start := p.pos
	if p.space() == 0 || !p.peek("until") {
		p.pos = start
		return nil
	}
	p.pos += len("until")
	if p.space() == 0 {
		return p.fail("a date is wanted after until, as in until 2027-03-31")
	}
	n := 0
	for p.pos+n < len(p.s) && !strings.ContainsRune(", \t\"", rune(p.s[p.pos+n])) {
		n++
	}
	end, msg := parseWhen(p.s[p.pos : p.pos+n])
	if msg != "" {
		return p.fail("%s", msg)
	}
	g.Until = end
	p.pos += n
	return nil
}

// The forms of a time; the text must have exactly one of the lengths, because
// time.Parse alone is generous with digits.
var whenForms = []struct {
	layout  string
	lengths []int
}{
	{"2006-01-02T15:04Z07:00", []int{len("2006-01-02T15:04Z"), len("2006-01-02T15:04+07:00")}},
	{"2006-01-02T15:04:05Z07:00", []int{len("2006-01-02T15:04:05Z"), len("2006-01-02T15:04:05+07:00")}},
}

// parseWhen returns the moment at which "until s" ends: the end of that day in
// UTC, or the time itself. The message is empty if all is well. A time without
// zone is refused, because the server's is not the administrator's; a year before
// 1970 is a slip such as 0207, and would end the grant at once.
func parseWhen(s string) (time.Time, string) {
	t, msg := readWhen(s)
	if msg == "" && t.Year() < 1970 {
		return time.Time{}, fmt.Sprintf("%q is too long ago to be meant", s)
	}
	return t, msg
}

// readWhen is parseWhen without the check for sense.
func readWhen(s string) (time.Time, string) {
	if t, err := time.Parse(time.DateOnly, s); err == nil && len(s) == len(time.DateOnly) {
		return t.AddDate(0, 0, 1), ""
	}
	for _, f := range whenForms {
		if t, err := time.Parse(f.layout, s); err == nil && slices.Contains(f.lengths, len(s)) {
			return t.UTC(), ""
		}
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05"} {
		if _, err := time.Parse(layout, s); err == nil {
			return time.Time{}, fmt.Sprintf("%q has no time zone: write %sZ or %s+02:00", s, s, s)
		}
	}
	return time.Time{}, fmt.Sprintf("%q is no date: 2027-03-31 or 2027-03-31T18:00Z is wanted", s)
}

// isWordByte reports whether s has a letter, a digit, "_" or "-" at i.
func isWordByte(s string, i int) bool {
	return i < len(s) && (isLetter(s[i]) || isDigit(s[i]) || s[i] == '_' || s[i] == '-')
}

// IsName reports whether s is a name as the grammar wants it for targets,
// sources and capabilities: a letter, then letters, digits, "_" and "-".
func IsName(s string) bool { return s != "" && NameLength(s) == len(s) }

// NameLength returns how many bytes at the start of s are such a name; 0 if none
// begins there.
func NameLength(s string) int {
	if s == "" || !isLetter(s[0]) {
		return 0
	}
	n := 1
	for isWordByte(s, n) {
		n++
	}
	return n
}

// IsSpace reports whether c may separate the words of a rule: blank or tab.
func IsSpace(c byte) bool { return c == ' ' || c == '\t' }

// isLetter and isDigit are ASCII only: the words of the language are.
func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
