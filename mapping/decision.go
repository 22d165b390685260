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

// GroupRef names a group of one source.
type GroupRef struct {
	Source string `json:"source,omitempty"`
	Name   string `json:"name"`
}

// String is "okta:Admins".
func (g GroupRef) String() string {
	if g.Source == "" {
		return g.Name
	}
	return g.Source + ":" + g.Name
}

// Subject is what a decision knows about one person.
type Subject struct {
	// Groups are all groups of all sources the person is in, in any order.
	Groups []GroupRef
	// Attributes are the values by attribute name as SubjectAttributes makes them.
	Attributes map[string][]string
	// Sources are the sources that know this person. A rule user@okta[...] matches
	// only people of that source; without this list that is undefined.
	Sources []string
	// Extra are grants that no rule gives, such as an elevation for two hours.
	Extra []Grant
}

// SubjectAttributes makes the attributes of a Subject out of what several
// sources say, in the order in which they count: the first one that has an
// attribute provides all its values. Names may be SCIM names without their URN
// (department, name.familyName, emails.value) or the names of an LDAP source; they
// lose their case. Attributes without values are as good as absent.
func SubjectAttributes(sources ...map[string][]string) map[string][]string {
	out := map[string][]string{}
	for _, attrs := range sources {
		names := make([]string, 0, len(attrs))
		for name, values := range attrs {
			if len(values) > 0 {
				names = append(names, name)
			}
		}
		slices.Sort(names) // two spellings of one name in one source: always the same one wins
		for _, name := range names {
			if _, ok := out[match.Fold(name)]; !ok {
				out[match.Fold(name)] = attrs[name]
			}
		}
	}
	return out
}

// Decision is what the rules say about one person on one target.
type Decision struct {
	// Access is what the person should have. For a superuser it has no sites,
	// because Matomo keeps none for them.
	Access access.Access
	// WithoutSuperuser is the same for the case that superuser is not given: by
	// a guard, or because a rule denies it.
	WithoutSuperuser access.Access
	// SuperuserDenied says that noaccess contradicts superuser, which is therefore
	// not in Access.
	SuperuserDenied bool
	// Denied are the sites that noaccess takes away, in order.
	Denied []access.SiteID
	// Reasons are all grants that matched and could be resolved, one entry per
	// site, in the order of rules.
	Reasons []Reason
	// Problems are what should be looked at; they take nothing back that stands in
	// the other fields.
	Problems []Problem
	// Unknown are grants whose sites could not be found: nothing new comes from
	// them, and nothing they gave earlier is to be taken away (Keep).
	Unknown []UnknownGrant
	// HoldAdditions says that a noaccess is among them: as long as nobody knows
	// what it denies, nothing may be added to this person's access.
	HoldAdditions bool
	// ValidUntil is the first moment at which the decision changes by time alone;
	// zero if it never does.
	ValidUntil time.Time
}

// Reason is one grant on one site, or of superuser.
type Reason struct {
	Rule  *RuleRef // shared with other reasons: not to be changed
	Group GroupRef // the group that the rule matched; empty for User and extra grants
	User  bool     // the rule matched attributes of the person
	// Effective says that the result would be less, or for noaccess more, without
	// grants like this one: it is not denied, and has the highest role on its site
	// or a capability. Sites are judged as in WithoutSuperuser.
	Effective bool
	Grant     string // in the language of rules, captures filled in
	// Site is 0 for superuser.
	Site         access.SiteID
	Role         access.Role
	Capabilities []string
}

// ProblemKind is the kind of a Problem, from a closed set (it labels a metric).
type ProblemKind string

// The kinds of problem. Decide reports those of the first block, Lint and its
// siblings may report all but the captures and the contradiction.
const (
	UnknownSite                 = ProblemKind(grant.UnknownSite)    // no site has this ID or name
	AmbiguousSite               = ProblemKind(grant.AmbiguousSite)  // several sites have this name
	EmptySiteGroup              = ProblemKind(grant.EmptySiteGroup) // no site is in this group
	UnreadSites                 = ProblemKind(grant.UnreadSites)    // the target's sites could not be read
	CaptureUnfit    ProblemKind = "capture_unfit"                   // what a template captured is no ID, name or role
	Contradiction   ProblemKind = "contradiction"                   // superuser and noaccess
	Over            ProblemKind = "over"                            // the end of an "until" has passed
	SuperuserSource ProblemKind = "superuser_source"                // the group's source may not confer superuser

	UntilOnDeny        ProblemKind = "until_on_noaccess"   // access comes back by itself then
	UnreadRule         ProblemKind = "unread_rule"         // a rule in a section that is not read
	UnknownCapability  ProblemKind = "unknown_capability"  // Matomo has no such capability
	UnknownAttribute   ProblemKind = "unknown_attribute"   // no source has this attribute
	AmbiguousAttribute ProblemKind = "ambiguous_attribute" // two sources mean different things by it
)

// Problem is something about a rule that a person should look at.
type Problem struct {
	Kind   ProblemKind
	Rule   RuleRef
	Group  GroupRef // set by Decide, if the rule matched a group
	Grant  string
	Target string
	Detail string
}

// String is one line for people.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.Rule.String() + ": ")
	if p.Grant != "" {
		b.WriteString(p.Grant + ": ")
	}
	b.WriteString(p.Detail)
	if p.Target != "" {
		_, _ = fmt.Fprintf(&b, " (target %s)", p.Target)
	}
	return b.String()
}

// UnknownGrant is a grant that matched but whose sites could not be found.
type UnknownGrant struct {
	Rule         RuleRef
	Group        GroupRef
	Grant        string
	Kind         ProblemKind // why
	Role         access.Role
	Capabilities []string
	Deny         bool
}

// How Unknown, Keep and Record work together, for a rule site:name=Shop:view:
//
//	pass 1  Shop is site 3             Access 3:view   Record stores {3, view, rule}
//	pass 2  Shop was renamed: Unknown  Access empty    Keep(stored) is 3:view, so the
//	        caller leaves site 3 alone; Record stores {3, view, rule} once more
//	pass 3  the rule names the new name: its ID changed, the stored origin belongs
//	        to no rule any more, and the new grant gives 3:view by itself
//
// Had the person left the group before pass 2, the rule would not match, would
// not be Unknown, and nothing would be kept.

// GrantOrigin is where one piece of somebody's access came from: what is stored
// with a binding, so that Keep can tell later what a rule once gave. Rule is the
// RuleRef.ID of the Reason.
type GrantOrigin struct {
	Site         access.SiteID `json:"site,omitempty"`
	Superuser    bool          `json:"superuser,omitempty"`
	Role         access.Role   `json:"role,omitempty"`
	Capabilities []string      `json:"capabilities,omitempty"`
	Rule         string        `json:"rule"`
}

// Origins lists what the decision gives and by which rule, one entry per rule and
// site, also where a higher role of another rule hides it. What noaccess takes
// away is not among them.
func (d Decision) Origins() []GrantOrigin {
	type key struct {
		rule string
		site access.SiteID
	}
	var out []GrantOrigin
	seen := make(map[key]bool, len(d.Reasons))
	for _, r := range d.Reasons {
		o := GrantOrigin{Site: r.Site, Superuser: r.Site == 0, Role: r.Role, Capabilities: r.Capabilities, Rule: r.Rule.ID}
		switch {
		case r.Role == access.NoAccess, o.Superuser && d.SuperuserDenied, !o.Superuser && d.denies(r.Site):
			continue
		}
		if k := (key{o.Rule, o.Site}); !seen[k] {
			seen[k] = true
			out = append(out, o)
		}
	}
	return out
}

// equal reports whether both say the same.
func (o GrantOrigin) equal(p GrantOrigin) bool {
	return o.Site == p.Site && o.Superuser == p.Superuser && o.Role == p.Role && o.Rule == p.Rule &&
		slices.Equal(o.Capabilities, p.Capabilities)
}

// Keep returns the access that recorded grants gave whose rule still matches but
// cannot be resolved now, less what noaccess denies. It is what must not be taken
// away; it is nothing to grant anew, so callers keep of it what the account has.
func (d Decision) Keep(recorded []GrantOrigin) access.Access {
	var out access.Access
	for _, o := range recorded {
		if !d.keeps(o) {
			continue
		}
		if out.Sites == nil {
			out.Sites = map[access.SiteID]access.SiteAccess{}
		}
		had, ok := out.Sites[o.Site]
		if !ok {
			had.Role = o.Role
		}
		out.Sites[o.Site] = access.MergeSite(had, access.SiteAccess{Role: o.Role, Capabilities: o.Capabilities})
	}
	return out
}

// Record returns what the binding has to store after this decision was carried
// out: its own origins, and of those recorded before the ones that Keep kept.
// Without these a rule that stays unresolved would be forgotten after one pass.
func (d Decision) Record(recorded []GrantOrigin) []GrantOrigin {
	out := d.Origins()
	for _, o := range recorded {
		if d.keeps(o) && !slices.ContainsFunc(out, o.equal) {
			out = append(out, o)
		}
	}
	return out
}

// keeps reports whether a recorded grant is one of a rule that is unknown now.
func (d Decision) keeps(o GrantOrigin) bool {
	if o.Superuser || d.denies(o.Site) {
		return false
	}
	return slices.ContainsFunc(d.Unknown, func(u UnknownGrant) bool { return !u.Deny && u.Rule.ID == o.Rule })
}

// denies reports whether noaccess takes this site away.
func (d Decision) denies(id access.SiteID) bool {
	_, ok := slices.BinarySearch(d.Denied, id)
	return ok
}
