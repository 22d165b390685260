// Package grant is one grant of a rule: its grammar, its meaning and its sites.
//
//	eu/site:name='Shop: EU':view+tagmanager_write until 2027-03-31
//
// says to which target it goes, on which sites, what it gives there, and until
// when. Parse reads such texts once, when rules are read; a Grant is symbolic and
// does not know whether its sites exist. A rule whose key has variables leaves
// fields open, and Fill puts what a group's name captured into them. Sites
// finds the sites of a Selector in the list of one Matomo.
//
// The order of these steps is the safety of the language: the text of a rule is
// read before any name is known, so that no name of a group or of a site is ever
// read as anything but a name.
package grant

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/matomo-scim/bridge/mapping/match"
	"github.com/matomo-scim/bridge/matomo/access"
)

// SelectorKind says how a Grant names its sites.
type SelectorKind int

// The ways to name sites.
const (
	SelectNone  SelectorKind = iota // no site: superuser
	SelectAll                       // site:*, those created later too
	SelectID                        // site:3
	SelectName                      // site:name=Shop, exactly one site
	SelectGroup                     // site:group=Brands, every site of the group
)

// Selector is the part of a Grant that names sites. Exactly one of ID, Text and
// Var is set, unless the kind needs none of them. Var is the name of a capture
// that fills ID or Text when the rule matches.
type Selector struct {
	Kind SelectorKind
	ID   access.SiteID
	Text string
	Var  string

	quoted bool // Text stood in quotes
}

// Every is the Grant.Target that stands for all targets.
const Every = "*"

// Grant is one symbolic grant of a rule: superuser, or a role on some sites, on
// one target or on all. Which sites that are is only known to Sites. Parse leaves
// Target empty where the text names none; who knows the configuration fills it in.
type Grant struct {
	Target       string // a target's name or Every
	Superuser    bool
	Site         Selector
	Role         access.Role // empty when RoleVar is set, and for superuser
	RoleVar      string      // the capture that says the role
	Capabilities []string    // sorted and unique
	Until        time.Time   // the first moment at which the grant no longer holds; zero: no end

	prefixed bool // the target stood in the text
}

// Deny reports whether the grant takes access away.
func (g Grant) Deny() bool { return g.Role == access.NoAccess }

// For reports whether the grant counts on this target.
func (g Grant) For(target string) bool { return g.Target == Every || g.Target == target }

// Over reports whether the grant has ended at this time.
func (g Grant) Over(now time.Time) bool { return !g.Until.IsZero() && !now.Before(g.Until) }

// String is the grant in the language of rules, always written in the same way
// however it was written in the file. Identities of rules are made of this text,
// so a change of it here would look like a change of every rule: what is recorded
// of rules that cannot be resolved would be lost.
//
//	site:name='Shop':view+b+a  ->  site:name=Shop:view+a+b
//	... until 2027-04-01T00:00Z  ->  ... until 2027-03-31
func (g Grant) String() string {
	var b strings.Builder
	if g.prefixed {
		b.WriteString(g.Target + "/")
	}
	if g.Superuser {
		b.WriteString("superuser")
	} else {
		b.WriteString("site:" + g.Site.String() + ":")
		if g.RoleVar != "" {
			b.WriteString("{" + g.RoleVar + "}")
		}
		b.WriteString(string(g.Role))
		for _, c := range g.Capabilities {
			b.WriteString("+" + c)
		}
	}
	if !g.Until.IsZero() {
		b.WriteString(" until " + untilText(g.Until))
	}
	return b.String()
}

// untilText writes an end as a date if it is the end of a day in UTC.
func untilText(t time.Time) string {
	t = t.UTC()
	if day := t.Truncate(24 * time.Hour); day.Equal(t) {
		return t.AddDate(0, 0, -1).Format(time.DateOnly)
	}
	return t.Format(time.RFC3339)
}

// String is the selector in the language of rules, without "site:".
func (s Selector) String() string {
	text := quoteText(s.Text)
	if s.Var != "" {
		text = "{" + s.Var + "}"
	}
	switch s.Kind {
	case SelectAll:
		return "*"
	case SelectID:
		if s.Var != "" {
			return text
		}
		return strconv.Itoa(int(s.ID))
	case SelectName:
		return "name=" + text
	case SelectGroup:
		return "group=" + text
	case SelectNone:
	}
	return ""
}

// quoteText puts a name into quotes unless it is certainly plain. More names than
// need it are quoted: that reads as the same, and a name with braces must never
// come back as a variable.
func quoteText(s string) string {
	plain := s != ""
	for i := range len(s) {
		c := s[i]
		inner := c == ' ' && i > 0 && i < len(s)-1
		if !isLetter(c) && !isDigit(c) && !inner && !strings.ContainsRune("_-.", rune(c)) {
			plain = false
		}
	}
	if plain {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}

// Open reports whether captures are still missing from the grant.
func (g Grant) Open() bool { return g.Site.Var != "" || g.RoleVar != "" }

// vars returns the captures that the grant uses.
func (g Grant) vars() []string {
	var out []string
	if g.Site.Var != "" {
		out = append(out, g.Site.Var)
	}
	if g.RoleVar != "" {
		out = append(out, g.RoleVar)
	}
	return out
}

// Fill puts captures into the fields they belong to. The grant was parsed long
// before: a capture becomes one ID, one name or one role and nothing else. The
// error says why a capture does not fit.
//
//	site:{site}:view         {site} = 3          site:3:view
//	site:{site}:view         {site} = *          error: it is no ID
//	site:name={b}:view       {b} = 1,superuser   the site that has this name
//	site:group={g}:view      {g} = " "           error: not the sites without group
//	site:1:{role}            {role} = NoAccess   error: a name cannot deny
func (g Grant) Fill(c match.Captures) (Grant, error) {
	if v := g.Site.Var; v != "" {
		value := c.Get(v)
		g.Site.Var = ""
		if g.Site.Kind == SelectID {
			id, ok := parseID(value)
			if !ok {
				return g, fmt.Errorf("{%s} is %q, which is no site ID", v, value)
			}
			g.Site.ID = id
		} else if g.Site.Text, g.Site.quoted = value, true; siteKey(value) == "" {
			return g, fmt.Errorf("{%s} is %q, which is no name", v, value)
		}
	}
	if v := g.RoleVar; v != "" {
		role, ok := access.ParseRole(match.Fold(c.Get(v)))
		if !ok || role == access.NoAccess {
			return g, fmt.Errorf("{%s} is %q, which is none of admin, write and view", v, c.Get(v))
		}
		g.Role, g.RoleVar = role, ""
	}
	return g, nil
}

// parseID reads a site ID: digits without a leading zero, so that one site is
// named in one way, and nothing that strconv takes beyond that ("+3", "0x3").
func parseID(s string) (access.SiteID, bool) {
	if s == "" || s[0] == '0' || strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' }) {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 32)
	return access.SiteID(n), err == nil
}

// CheckCaptures says what is wrong with the captures of a grant whose key has
// these; nothing if it says nothing. A name with a variable inside, as in
// site:name=Shop-{x}, is refused rather than read as text, because whoever wrote it
// expects it to be filled.
func (g Grant) CheckCaptures(inKey []string) []string {
	var out []string
	for _, v := range g.vars() {
		if !slices.Contains(inKey, v) {
			out = append(out, "{"+v+"} does not occur in the key (a key in quotes, and a user[...] key, has no captures)")
		}
	}
	if !g.Site.quoted && g.Site.Var == "" {
		for _, v := range match.Vars(g.Site.Text) {
			if slices.Contains(inKey, v) {
				out = append(out, "{"+v+"} must be the whole name; a name that really contains braces stands in single quotes")
			}
		}
	}
	return out
}
