package mapping

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/matomo-scim/bridge/matomo/access"
)

// rawRule is what a reader found in a file, before its meaning is checked.
type rawRule struct {
	file   string
	line   int
	kind   string // KindGroup or KindUser
	source string
	key    string // as written, with its quotes
	text   string // the key without quotes
	quoted bool
	grants []rawGrant

	keyAt, sourceAt position
}

// rawGrant is a grant and its place in the file.
type rawGrant struct {
	grant Grant
	at    position
}

// setKey takes a key as written. The message says what is wrong with it.
func (r *rawRule) setKey(key string) string {
	r.key, r.text = key, key
	switch {
	case key == "":
		return "the key is empty"
	case key[0] == ']':
		return `a key that begins with "]" stands in double quotes`
	case key[0] != '"':
		return ""
	}
	text, rest, ok := cutQuoted(key)
	if !ok || rest != "" {
		return `a key that begins with a double quote must end with one (a quote inside is doubled)`
	}
	r.text, r.quoted = text, true
	if text == "" {
		return "the key is empty"
	}
	return ""
}

// cutQuoted reads a text in double quotes at the start of s, in which a quote is
// doubled, and returns what follows it.
func cutQuoted(s string) (text, rest string, ok bool) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] != '"' {
			b.WriteByte(s[i])
			continue
		}
		if i+1 < len(s) && s[i+1] == '"' {
			b.WriteByte('"')
			i++
			continue
		}
		return b.String(), s[i+1:], true
	}
	return "", "", false
}

// matchKind is the way a rule's key is compared.
type matchKind int

const (
	matchText       matchKind = iota // the whole name, folded
	matchDN                          // a distinguished name
	matchTemplate                    // a name with captures
	matchDNTemplate                  // a distinguished name with captures
	matchFilter                      // attributes of the person
)

// matcher is a compiled key.
type matcher struct {
	kind   matchKind
	text   string // matchText, matchDN: the key of the index
	tmpl   *template
	dn     *dnTemplate
	filter *filter
}

// exact reports whether the key names one group and nothing else, which is what
// a rule for superuser must do.
func (m matcher) exact() bool { return m.kind == matchText || m.kind == matchDN }

// checkOptions fills in defaults and reports options that cannot be worked with.
func checkOptions(d *diag, opt Options) Options {
	if len(opt.Targets) == 0 {
		d.add("", position{}, "no target is configured")
	}
	if opt.DefaultTarget == "" && len(opt.Targets) == 1 {
		opt.DefaultTarget = opt.Targets[0]
	}
	if opt.DefaultTarget != "" && !slices.Contains(opt.Targets, opt.DefaultTarget) {
		d.add("", position{}, "the default target %q is none of the targets (%s)", opt.DefaultTarget, strings.Join(opt.Targets, ", "))
	}
	if opt.SuperuserSources == nil && len(opt.Sources) == 1 {
		opt.SuperuserSources = opt.Sources
	}
	return opt
}

// What is checked here rather than while reading is everything that depends on
// the configuration (sources, targets, who may confer superuser) or on the key and
// the grants together (captures). The readers know the form, this file the sense.

// compile checks the meaning of a raw rule. Everything wrong goes into d.
func compile(d *diag, raw rawRule, opt Options) (rule, bool) {
	before := len(d.errs)
	if bad := badRune(raw.text); bad != "" {
		d.add(raw.file, raw.keyAt, "the key holds %s", bad)
	}
	if raw.source != "" && !slices.Contains(opt.Sources, raw.source) {
		d.add(raw.file, raw.sourceAt, "unknown source %q; the sources are: %s", raw.source, listOf(opt.Sources))
	}
	m, msg := compileKey(raw)
	if msg != "" {
		d.add(raw.file, raw.keyAt, "%s", msg)
	}
	c := rule{match: m}
	c.Ref = RuleRef{File: raw.file, Line: raw.line, Kind: raw.kind, Source: raw.source, Key: raw.key}
	parts := []string{raw.kind, raw.source, raw.key}
	for _, g := range raw.grants {
		problems := resolveTarget(&g.grant, opt)
		if msg == "" {
			problems = append(problems, checkCaptures(g.grant, keyVars(raw))...)
			problems = append(problems, checkPower(g.grant, c, opt)...)
		}
		for _, p := range problems {
			d.add(raw.file, g.at, "%s", p)
		}
		text := g.grant.String()
		ref := c.Ref
		ref.ID = hashOf(raw.kind, raw.source, raw.key, text)
		c.Grants = append(c.Grants, g.grant)
		c.grants = append(c.grants, boundGrant{Grant: g.grant, ref: ref, text: text})
		parts = append(parts, text)
	}
	c.Ref.ID = hashOf(parts...)
	return c, len(d.errs) == before
}

// compileKey turns the key into a matcher: in quotes a literal text, with a
// variable a template, otherwise a DN if it reads as one, otherwise a text.
func compileKey(raw rawRule) (m matcher, msg string) {
	if raw.kind == KindUser {
		f, err := parseFilter(raw.text)
		if err != nil {
			return m, err.Error()
		}
		return matcher{kind: matchFilter, filter: f}, ""
	}
	if raw.quoted {
		return matcher{kind: matchText, text: fold(raw.text)}, ""
	}
	if len(varsIn(raw.text)) > 0 {
		if m.dn, msg = newDNTemplate(raw.text); m.dn != nil || msg != "" {
			m.kind = matchDNTemplate
			return m, msg
		}
		m.kind = matchTemplate
		m.tmpl, msg = newTemplate(raw.text)
		return m, msg
	}
	if key, ok := dnKey(raw.text); ok {
		return matcher{kind: matchDN, text: key}, ""
	}
	return matcher{kind: matchText, text: fold(raw.text)}, ""
}

// keyVars returns the captures that grants of this rule may use.
func keyVars(raw rawRule) []string {
	if raw.kind == KindUser || raw.quoted {
		return nil
	}
	return varsIn(raw.text)
}

// resolveTarget gives a grant its target and says what is wrong with it.
func resolveTarget(g *Grant, opt Options) []string {
	switch {
	case g.Target == EveryTarget:
	case g.Target == "" && opt.DefaultTarget == "":
		return []string{"with several targets and no mapping.default_target a grant must name its target, as in " + exampleTarget(opt) + "/" + g.String()}
	case g.Target == "":
		g.Target = opt.DefaultTarget
	case !slices.Contains(opt.Targets, g.Target):
		return []string{fmt.Sprintf("unknown target %q; the targets are: %s", g.Target, listOf(opt.Targets))}
	}
	return nil
}

// exampleTarget is a target's name for an error message.
func exampleTarget(opt Options) string {
	if len(opt.Targets) == 0 {
		return "main"
	}
	return opt.Targets[0]
}

// checkPower says whether the rule may grant so much: superuser only from an
// exact group and a source that may confer it; with several sources superuser
// and admin everywhere only from a rule that names its source.
func checkPower(g Grant, c rule, opt Options) []string {
	everywhere := g.Site.Kind == SelectAll && (g.Role == access.Admin || g.RoleVar != "")
	if !g.Superuser && !everywhere {
		return nil
	}
	var out []string
	source := c.Ref.Source
	if source == "" && len(opt.Sources) > 1 {
		what := "admin on every site"
		if g.Superuser {
			what = "superuser"
		}
		out = append(out, fmt.Sprintf("with several sources a rule that grants %s must name its source, as in %s@%s[...]", what, c.Ref.Kind, opt.Sources[0]))
	}
	if !g.Superuser {
		return out
	}
	if !c.match.exact() {
		out = append(out, "superuser needs an exact group: neither a template nor a user[...] filter can grant it")
	}
	if source == "" && len(opt.Sources) == 1 {
		source = opt.Sources[0]
	}
	if !slices.Contains(opt.Sources, source) {
		return out // unknown, and reported as such; or there is no list to check against
	}
	if opt.SuperuserSources != nil && !slices.Contains(opt.SuperuserSources, source) {
		out = append(out, fmt.Sprintf("source %q may not confer superuser; guards.superuser_sources has: %s", source, listOf(opt.SuperuserSources)))
	}
	if opt.SuperuserSources == nil {
		out = append(out, "no source may confer superuser: name those that may in guards.superuser_sources")
	}
	return out
}

// mayConferSuperuser reports whether groups of this source may, at all.
func (o Options) mayConferSuperuser(source string) bool {
	if o.SuperuserSources == nil && len(o.Sources) == 0 {
		return true
	}
	return slices.Contains(o.SuperuserSources, source)
}

// listOf joins names for a message.
func listOf(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// badRune describes the first character of s that no name has: bytes that are
// no UTF-8, control characters, and what Unicode reserves for programs.
func badRune(s string) string {
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], string(utf8.RuneError)):
			return "a byte that is no UTF-8"
		case unicode.IsControl(r), firstPlaceholder <= r && r <= lastPlaceholder:
			return fmt.Sprintf("the character U+%04X", r)
		}
	}
	return ""
}
