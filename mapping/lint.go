package mapping

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/matomo-scim/bridge/mapping/grant"
	"github.com/matomo-scim/bridge/mapping/match"
	"github.com/matomo-scim/bridge/matomo/access"
)

// Lint looks at all rules without any person, for the command check: sites that
// cannot be found on their target, "until" on noaccess, grants already over, and
// rules in sections that are not read. Sites are by target; a target that is
// absent or nil was not read, and its sites are not judged. What templates will
// capture cannot be known here.
func (r *Rules) Lint(sites map[string][]access.Site, now time.Time) []Problem {
	var out []Problem
	index := map[string]*grant.Sites{}
	for _, target := range r.opt.Targets {
		if sites[target] != nil {
			index[target] = grant.NewSites(sites[target])
		}
	}
	for i := range r.rules {
		for j := range r.rules[i].grants {
			out = append(out, r.lintGrant(&r.rules[i].grants[j], index, now)...)
		}
	}
	for _, s := range r.strays {
		ref := RuleRef{File: s.File, Line: s.Line, Kind: s.Kind, Key: s.Text}
		out = append(out, Problem{Kind: UnreadRule, Rule: ref, Detail: fmt.Sprintf("this looks like a rule, but section [%s] is not read", s.Section)})
	}
	return out
}

// lintGrant looks at one grant.
func (r *Rules) lintGrant(g *boundGrant, index map[string]*grant.Sites, now time.Time) []Problem {
	var out []Problem
	add := func(kind ProblemKind, target, detail string) {
		out = append(out, Problem{Kind: kind, Rule: g.ref, Grant: g.text, Target: target, Detail: detail})
	}
	if g.Deny() && !g.Until.IsZero() {
		add(UntilOnDeny, "", "noaccess ends by itself: what it denies comes back at "+g.Until.UTC().Format(time.RFC3339))
	}
	if g.Over(now) {
		add(Over, "", "over since "+g.Until.UTC().Format(time.RFC3339))
		return out
	}
	if g.Superuser || g.Site.Var != "" {
		return out
	}
	for _, target := range r.opt.Targets {
		x, read := index[target]
		if !read || !g.For(target) {
			continue
		}
		if _, miss := x.Find(g.Site); miss != nil {
			add(ProblemKind(miss.Kind), target, miss.Detail)
		}
	}
	return out
}

// LintAttributes looks at the attribute names of user[...] rules. Known are the
// names that exist, by where they come from (such as "scim", and the name of each
// LDAP source). A name that nobody has is never defined; a name that several have
// may mean different things, and is ambiguous.
func (r *Rules) LintAttributes(known map[string][]string) []Problem {
	owners := map[string][]string{}
	for owner, names := range known {
		for _, name := range names {
			if o := owners[match.Fold(name)]; !slices.Contains(o, owner) {
				owners[match.Fold(name)] = append(o, owner)
			}
		}
	}
	var out []Problem
	for _, i := range r.users {
		ref := r.rules[i].Ref
		for _, name := range r.rules[i].filter.Attributes() {
			o := owners[match.Fold(name)]
			slices.Sort(o)
			switch {
			case len(o) == 0:
				out = append(out, Problem{Kind: UnknownAttribute, Rule: ref, Detail: fmt.Sprintf("no source has an attribute %q", name)})
			case len(o) > 1:
				out = append(out, Problem{Kind: AmbiguousAttribute, Rule: ref, Detail: fmt.Sprintf("attribute %q is known to several: %s", name, strings.Join(o, ", "))})
			}
		}
	}
	return out
}

// LintCapabilities looks for capabilities that the target does not have. Known
// are the IDs of UsersManager.getAvailableCapabilities.
func (r *Rules) LintCapabilities(target string, known []string) []Problem {
	var out []Problem
	for i := range r.rules {
		for _, g := range r.rules[i].grants {
			if !g.For(target) {
				continue
			}
			for _, c := range g.Capabilities {
				if !slices.Contains(known, c) {
					out = append(out, Problem{Kind: UnknownCapability, Rule: g.ref, Grant: g.text, Target: target, Detail: fmt.Sprintf("there is no capability %q; there are: %s", c, listOf(known))})
				}
			}
		}
	}
	return out
}
