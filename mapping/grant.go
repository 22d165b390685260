package mapping

import (
	"slices"
	"strconv"
	"strings"
	"time"

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

// EveryTarget is the Grant.Target that stands for all targets.
const EveryTarget = "*"

// Grant is one symbolic grant of a rule: superuser, or a role on some sites, on
// one target or on all. Which sites that are is only known to Decide.
type Grant struct {
	Target       string // a target's name or EveryTarget
	Superuser    bool
	Site         Selector
	Role         access.Role // empty when RoleVar is set, and for superuser
	RoleVar      string      // the capture that says the role
	Capabilities []string    // sorted and unique
	Until        time.Time   // the first moment at which the grant no longer holds; zero: no end

	prefixed bool // the target stood in the text
}

// ParseGrant reads one grant that stands alone, such as an elevation asked for on
// the command line. Captures are an error. The text may be
// "eu/site:3:admin until 2027-03-31".
func ParseGrant(text string, opt Options) (Grant, error) {
	d := &diag{}
	opt = checkOptions(d, opt)
	items, _, errs := parseGrants(text, 0, false)
	for _, e := range errs {
		d.add("", position{}, "grant %q: %s", text, e.msg)
	}
	if len(errs) == 0 && len(items) != 1 {
		d.add("", position{}, "grant %q: exactly one grant is wanted", text)
	}
	if err := d.err(); err != nil {
		return Grant{}, err
	}
	g := items[0].grant
	for _, msg := range append(resolveTarget(&g, opt), checkCaptures(g, nil)...) {
		d.add("", position{}, "grant %q: %s", text, msg)
	}
	return g, d.err()
}

// Deny reports whether the grant takes access away.
func (g Grant) Deny() bool { return g.Role == access.NoAccess }

// For reports whether the grant counts on this target.
func (g Grant) For(target string) bool { return g.Target == EveryTarget || g.Target == target }

// Over reports whether the grant has ended at this time.
func (g Grant) Over(now time.Time) bool { return !g.Until.IsZero() && !now.Before(g.Until) }

// String is the grant in the language of rules, always written in the same way
// however it was written in the file.
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

// quoteText puts a name into quotes unless it is certainly plain.
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

// fill puts captures into the fields they belong to. The grant was parsed long
// before: a capture becomes one ID, one name or one role and nothing else. The
// second result says why a capture does not fit, and is empty if all do.
func (g Grant) fill(c captures) (Grant, string) {
	if v := g.Site.Var; v != "" {
		value := c[v]
		g.Site.Var = ""
		if g.Site.Kind == SelectID {
			id, ok := parseID(value)
			if !ok {
				return g, "{" + v + "} is " + strconv.Quote(value) + ", which is no site ID"
			}
			g.Site.ID = id
		} else {
			g.Site.Text, g.Site.quoted = value, true
		}
	}
	if v := g.RoleVar; v != "" {
		role, ok := access.ParseRole(fold(c[v]))
		if !ok || role == access.NoAccess {
			return g, "{" + v + "} is " + strconv.Quote(c[v]) + ", which is none of admin, write and view"
		}
		g.Role, g.RoleVar = role, ""
	}
	return g, ""
}

// parseID reads a site ID: digits without a leading zero.
func parseID(s string) (access.SiteID, bool) {
	if s == "" || s[0] == '0' || strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' }) {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 32)
	return access.SiteID(n), err == nil
}

// checkCaptures says what is wrong with the captures of a grant whose key has
// these.
func checkCaptures(g Grant, inKey []string) []string {
	var out []string
	for _, v := range g.vars() {
		if !slices.Contains(inKey, v) {
			out = append(out, "{"+v+"} does not occur in the key (a key in quotes, and a user[...] key, has no captures)")
		}
	}
	if !g.Site.quoted && g.Site.Var == "" {
		for _, v := range varsIn(g.Site.Text) {
			if slices.Contains(inKey, v) {
				out = append(out, "{"+v+"} must be the whole name; a name that really contains braces stands in single quotes")
			}
		}
	}
	return out
}
