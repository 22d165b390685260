package mapping

import (
	"fmt"
	"slices"
	"strings"

	"github.com/matomo-scim/bridge/mapping/grant"
	"github.com/matomo-scim/bridge/mapping/match"
	"github.com/matomo-scim/bridge/mapping/rulefile"
	"github.com/matomo-scim/bridge/matomo/access"
)

// What is checked here rather than while reading is everything that depends on
// the configuration (sources, targets, who may confer superuser) or on the key and
// the grants together (captures). The readers know the form, this file the sense.

// complete fills in defaults and reports options that cannot be worked with.
func (o Options) complete(errs *rulefile.Errors) Options {
	if len(o.Targets) == 0 {
		errs.Add("", rulefile.Position{}, "no target is configured")
	}
	if o.DefaultTarget == "" && len(o.Targets) == 1 {
		o.DefaultTarget = o.Targets[0]
	}
	if o.DefaultTarget != "" && !slices.Contains(o.Targets, o.DefaultTarget) {
		errs.Add("", rulefile.Position{}, "the default target %q is none of the targets (%s)", o.DefaultTarget, strings.Join(o.Targets, ", "))
	}
	if o.SuperuserSources == nil && len(o.Sources) == 1 {
		o.SuperuserSources = o.Sources
	}
	return o
}

// ParseGrant reads one grant that stands alone, such as an elevation asked for on
// the command line. Captures are an error. The text may be
// "eu/site:3:admin until 2027-03-31".
func ParseGrant(text string, opt Options) (Grant, error) {
	errs := &rulefile.Errors{}
	opt = opt.complete(errs)
	fail := func(msg string) { errs.Add("", rulefile.Position{}, "grant %q: %s", text, msg) }
	items, _, wrong := grant.Parse(text, 0, false)
	for _, e := range wrong {
		fail(e.Msg)
	}
	if len(wrong) == 0 && len(items) != 1 {
		fail("exactly one grant is wanted")
	}
	if err := errs.Err(); err != nil {
		return Grant{}, err
	}
	g := items[0].Grant
	for _, msg := range append(resolveTarget(&g, opt), g.CheckCaptures(nil)...) {
		fail(msg)
	}
	return g, errs.Err()
}

// compile checks the meaning of a rule that was read. Everything wrong goes into
// errs; a rule with an error is not used.
func compile(errs *rulefile.Errors, raw rulefile.Rule, opt Options) (rule, bool) {
	before := errs.Len()
	if bad := match.BadRune(raw.Text); bad != "" {
		errs.Add(raw.File, raw.KeyAt, "the key holds %s", bad)
	}
	if raw.Source != "" && !slices.Contains(opt.Sources, raw.Source) {
		errs.Add(raw.File, raw.SourceAt, "unknown source %q; the sources are: %s", raw.Source, listOf(opt.Sources))
	}
	var c rule
	c.Ref = RuleRef{File: raw.File, Line: raw.Line, Kind: raw.Kind, Source: raw.Source, Key: raw.Key}
	keyErr := c.setKey(raw)
	if keyErr != nil {
		errs.Add(raw.File, raw.KeyAt, "%s", keyErr)
	}
	parts := []string{raw.Kind, raw.Source, raw.Key}
	for _, g := range raw.Grants {
		problems := resolveTarget(&g.Grant, opt)
		if keyErr == nil {
			problems = append(problems, g.Grant.CheckCaptures(c.key.Vars())...)
			problems = append(problems, c.checkPower(g.Grant, opt)...)
		}
		for _, p := range problems {
			errs.Add(raw.File, g.At, "%s", p)
		}
		text := g.Grant.String()
		ref := c.Ref
		ref.ID = hashOf(raw.Kind, raw.Source, raw.Key, text)
		c.Grants = append(c.Grants, g.Grant)
		c.grants = append(c.grants, boundGrant{Grant: g.Grant, ref: ref, text: text})
		parts = append(parts, text)
	}
	c.Ref.ID = hashOf(parts...)
	return c, errs.Len() == before
}

// setKey compiles the key: a filter for a person, else one of the forms of a
// group's name.
func (r *rule) setKey(raw rulefile.Rule) (err error) {
	if raw.Kind == KindUser {
		r.filter, err = match.ParseFilter(raw.Text)
	} else {
		r.key, err = match.ParseKey(raw.Text, raw.Quoted)
	}
	return err
}

// exact reports whether the rule is about one group and nobody else.
func (r *rule) exact() bool { return r.filter == nil && r.key.Exact() }

// resolveTarget gives a grant its target and says what is wrong with it.
func resolveTarget(g *Grant, opt Options) []string {
	switch {
	case g.Target == grant.Every:
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
func (r *rule) checkPower(g Grant, opt Options) []string {
	everywhere := g.Site.Kind == grant.SelectAll && (g.Role == access.Admin || g.RoleVar != "")
	if !g.Superuser && !everywhere {
		return nil
	}
	var out []string
	source := r.Ref.Source
	if source == "" && len(opt.Sources) > 1 {
		what := "admin on every site"
		if g.Superuser {
			what = "superuser"
		}
		out = append(out, fmt.Sprintf("with several sources a rule that grants %s must name its source, as in %s@%s[...]", what, r.Ref.Kind, opt.Sources[0]))
	}
	if !g.Superuser {
		return out
	}
	if !r.exact() {
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
