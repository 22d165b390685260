package rulefile

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/matomo-scim/bridge/mapping/grant"
	"github.com/matomo-scim/bridge/mapping/match"
)

// sectionState says what the reader does with the lines of a section.
type sectionState int

const (
	beforeSections sectionState = iota // nothing but comments may stand here
	readSection
	skipSection
)

// byteOrderMark may begin a file and means nothing.
const byteOrderMark = "\ufeff"

// The forms of a line, leading blanks aside:
//
//	[RoleMapping] ; comment                    a section; its name decides whether it is read
//	; comment                                  so is "; <?php exit; ?>"
//	group[key] = "grants" ; comment            a rule
//	user@source[filter] = grants ; comment     a rule; without quotes it ends at ";"
//
// In sections that are not read only the next "[" is looked for: what other
// programs keep there follows their rules, not ours.

// iniReader reads the INI form line by line. Each line stands for itself, so an
// error in one hides nothing in the next.
type iniReader struct {
	errs   *Errors
	file   string
	line   int
	text   string
	state  sectionState
	name   string // of the section
	rules  []Rule
	strays []Stray
}

// readINI reads a file in the form of Matomo's config.ini.php.
func readINI(errs *Errors, f File) ([]Rule, []Stray) {
	if bytes.HasPrefix(f.Data, []byte("\xff\xfe")) || bytes.HasPrefix(f.Data, []byte("\xfe\xff")) {
		errs.Add(f.Name, Position{1, 1}, "the file is in UTF-16: save it as UTF-8")
		return nil, nil
	}
	r := &iniReader{errs: errs, file: f.Name}
	for r.text = range strings.SplitSeq(strings.TrimPrefix(string(f.Data), byteOrderMark), "\n") {
		r.line++
		r.text = strings.TrimSuffix(r.text, "\r")
		r.readLine()
	}
	return r.rules, r.strays
}

// at is the place of a byte offset in the current line.
func (r *iniReader) at(off int) Position {
	return Position{r.line, utf8.RuneCountInString(r.text[:off]) + 1}
}

// fail notes an error at a byte offset of the current line.
func (r *iniReader) fail(off int, format string, args ...any) {
	r.errs.Add(r.file, r.at(off), format, args...)
}

// readLine reads one line: a section, a comment, a rule or nothing.
func (r *iniReader) readLine() {
	start := skipSpace(r.text, 0)
	if start == len(r.text) || r.text[start] == ';' {
		return
	}
	if r.text[start] == '[' {
		r.section(start)
		return
	}
	switch r.state {
	case skipSection:
		if kind, ok := ruleKind(r.text[start:]); ok {
			r.strays = append(r.strays, Stray{File: r.file, Line: r.line, Kind: kind, Text: strings.TrimSpace(r.text), Section: r.name})
		}
	case beforeSections:
		r.fail(start, "this line stands before any section: rules stand below [RoleMapping]")
	case readSection:
		for i, c := range r.text {
			if c == '\t' {
				continue
			}
			_, n := utf8.DecodeRuneInString(r.text[i:])
			if bad := match.BadRune(r.text[i : i+n]); bad != "" {
				r.fail(i, "the line holds %s", bad)
				return
			}
		}
		r.rule(start)
	}
}

// section reads a line that begins with "[". A broken one is an error wherever
// it stands: the rules below it would otherwise be skipped in silence.
func (r *iniReader) section(start int) {
	name, rest, ok := strings.Cut(r.text[start+1:], "]")
	if !ok {
		r.fail(start, "a section must end with ]")
		return
	}
	if rest = strings.TrimLeft(rest, " \t"); rest != "" && rest[0] != ';' {
		r.fail(len(r.text)-len(rest), "unexpected text behind a section")
		return
	}
	r.name = strings.TrimSpace(name)
	r.state = skipSection
	switch folded := match.Fold(r.name); {
	case isRuleSection(folded):
		r.state = readSection
	case strings.HasSuffix(folded, "mapping"):
		r.fail(start, "unknown section [%s]: rules stand in [RoleMapping], [LoginSAML_RoleMapping] or [LoginLdap_RoleMapping]", r.name)
	}
}

// isRuleSection reports whether rules are read from the section of this folded
// name. Which of them it is means nothing.
func isRuleSection(folded string) bool {
	return folded == "rolemapping" || folded == "loginsaml_rolemapping" || folded == "loginldap_rolemapping"
}

// ruleKind returns the first word of a line if a rule may begin with it. It judges
// lines of sections that are not read, so it is generous: a warning about a line
// that is none of ours costs less than a rule in the wrong section.
func ruleKind(s string) (string, bool) {
	for _, kind := range []string{KindGroup, KindUser} {
		rest, ok := strings.CutPrefix(s, kind)
		if !ok {
			continue
		}
		if after, at := strings.CutPrefix(rest, "@"); at {
			rest = after[grant.NameLength(after):]
		}
		if strings.HasPrefix(strings.TrimLeft(rest, " \t"), "[") {
			return kind, true
		}
	}
	return "", false
}

// rule reads a line such as `group@okta[Admins] = "site:1:admin" ; comment`. The
// parts are read from left to right, and the first that is wrong ends it: what
// follows could only be guessed.
func (r *iniReader) rule(start int) {
	raw := Rule{File: r.file, Line: r.line}
	pos, ok := r.head(&raw, start)
	if !ok {
		return
	}
	if pos, ok = r.key(&raw, pos); !ok {
		return
	}
	r.value(&raw, pos)
	r.rules = append(r.rules, raw) // with errors in the value too: the key wants checking all the same
}

// head reads the kind, the source and the bracket.
func (r *iniReader) head(raw *Rule, pos int) (int, bool) {
	rest := r.text[pos:]
	switch {
	case strings.HasPrefix(rest, KindGroup):
		raw.Kind = KindGroup
	case strings.HasPrefix(rest, KindUser):
		raw.Kind = KindUser
	}
	if next := pos + len(raw.Kind); raw.Kind == "" || next >= len(r.text) || r.text[next] != '[' && r.text[next] != '@' {
		r.fail(pos, `this is no rule, section or comment: group[NAME] = "GRANTS" is wanted (comments begin with ;)`)
		return 0, false
	}
	pos += len(raw.Kind)
	raw.SourceAt = r.at(pos)
	if r.text[pos] == '@' {
		n := grant.NameLength(r.text[pos+1:])
		if n == 0 {
			r.fail(pos+1, "the name of a source is wanted after @")
			return 0, false
		}
		raw.Source = r.text[pos+1 : pos+1+n]
		raw.SourceAt = r.at(pos + 1)
		pos += 1 + n
	}
	if !strings.HasPrefix(r.text[pos:], "[") {
		r.fail(pos, "[ is wanted here")
		return 0, false
	}
	return pos + 1, true
}

// key reads up to and including the equals sign. A key in quotes ends at its
// quote, any other at the first "]" that an equals sign follows, because names of
// groups hold brackets, semicolons and equals signs, and DNs are full of them:
//
//	group[cn=a,ou=b] = ...       key cn=a,ou=b
//	group[Team [EU]; all] = ...  key Team [EU]; all
//	group["x] = y"] = ...        key x] = y
func (r *iniReader) key(raw *Rule, pos int) (int, bool) {
	pos = skipSpace(r.text, pos)
	raw.KeyAt = r.at(pos)
	end, next := pos, 0
	if strings.HasPrefix(r.text[pos:], `"`) {
		_, rest, ok := cutQuoted(r.text[pos:])
		end = len(r.text) - len(rest)
		if ok {
			next = equalsBehind(r.text, skipSpace(r.text, end))
		}
		if next == 0 {
			r.fail(pos, `a key in double quotes must be followed by ] and = (a quote inside is doubled)`)
			return 0, false
		}
	} else {
		for ; end < len(r.text) && next == 0; end++ {
			next = equalsBehind(r.text, end)
		}
		if next == 0 {
			r.fail(pos, "the key has no end: ] and = are wanted after it")
			return 0, false
		}
		end--
	}
	if msg := raw.setKey(strings.TrimRight(r.text[pos:max(end, pos)], " \t")); msg != "" {
		r.fail(pos, "%s", msg)
		return 0, false
	}
	return next, true
}

// equalsBehind returns the offset behind "] =" if that stands at pos, else 0.
func equalsBehind(s string, pos int) int {
	if pos >= len(s) || s[pos] != ']' {
		return 0
	}
	if pos = skipSpace(s, pos+1); pos < len(s) && s[pos] == '=' {
		return pos + 1
	}
	return 0
}

// value reads the grants and what may follow them. In quotes they end at the quote,
// else at a semicolon, which an unquoted value therefore cannot hold.
func (r *iniReader) value(raw *Rule, pos int) {
	pos = skipSpace(r.text, pos)
	quoted := strings.HasPrefix(r.text[pos:], `"`)
	line := r.text
	if quoted {
		pos++
	} else if i := strings.IndexByte(line[pos:], ';'); i >= 0 {
		line = line[:pos+i]
	}
	if i := strings.IndexByte(line[pos:], '"'); !quoted && i >= 0 {
		r.fail(pos+i, "a double quote inside a value that does not begin with one")
		return
	}
	items, end, errs := grant.Parse(line, pos, quoted)
	for _, e := range errs {
		r.fail(e.Off, "%s", e.Msg)
	}
	for _, it := range items {
		raw.Grants = append(raw.Grants, Grant{it.Grant, r.at(it.Off)})
	}
	if !quoted {
		return
	}
	if end >= len(line) {
		r.fail(pos-1, "the double quote is never closed")
		return
	}
	if rest := skipSpace(line, end+1); rest < len(line) && line[rest] != ';' {
		r.fail(rest, "unexpected text behind the value (a comment begins with ;)")
	}
}

// skipSpace returns the offset of the first byte from pos on that is no blank.
func skipSpace(s string, pos int) int {
	for pos < len(s) && grant.IsSpace(s[pos]) {
		pos++
	}
	return pos
}
