package mapping_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/matomo-scim/bridge/mapping"
	"github.com/matomo-scim/bridge/matomo/access"
)

// twins are sites whose names and groups are hard to tell apart.
var twins = append([]access.Site{{ID: 30, Name: "Twin"}, {ID: 31, Name: " TWIN "}}, five...)

func TestMeaning_SitesThatCannotBeResolved_AreUnknown(t *testing.T) {
	for grant, kind := range map[string]mapping.ProblemKind{
		"site:404:view":          mapping.UnknownSite,
		"site:name=Nowhere:view": mapping.UnknownSite,
		"site:name=twin:view":    mapping.AmbiguousSite,
		"site:group=Nobody:view": mapping.EmptySiteGroup,
	} {
		r := parse(t, one, lines(`group[a] = "site:1:view, `+grant+`"`))
		d := mapping.Decide(r, in("a"), "main", twins, now)
		wantAccess(t, d, "1:view") // other grants go on
		wantKinds(t, d.Problems, kind)
		if len(d.Unknown) != 1 || d.Unknown[0].Rule.Line != 2 || d.Unknown[0].Grant != grant || d.Unknown[0].Kind != kind || d.HoldAdditions {
			t.Errorf("unknown = %+v", d.Unknown)
		}
	}
}

func TestMeaning_SiteListUnread_IsUnknown(t *testing.T) {
	r := parse(t, one, lines(`group[a] = "site:1:view, site:*:view, site:name=Shop:view, superuser"`))
	d := mapping.Decide(r, in("a"), "main", nil, now)
	wantAccess(t, d, "superuser")
	if len(d.WithoutSuperuser.Sites) != 0 || len(d.Unknown) != 3 || d.HoldAdditions {
		t.Errorf("decision = %+v", d)
	}
	wantKinds(t, d.Problems, mapping.UnreadSites, mapping.UnreadSites, mapping.UnreadSites)
}

func TestMeaning_SiteNames_AreFoundWithoutRegardToCase(t *testing.T) {
	wantAccess(t, decide(t, in("a"), `group[a] = "site:name='shop: eu':view, site:group= BRANDS :write"`), "1:write, 2:write, 3:view")
}

func TestMeaning_UnknownNoaccess_HoldsAllAdditionsOfThePeopleItMatches(t *testing.T) {
	rules := []string{`group[a] = "site:1:view"`, `group[b] = "site:name=Nowhere:noaccess"`, `group[c] = "superuser"`}
	d := decide(t, in("a", "b"), rules...)
	wantAccess(t, d, "1:view")
	if !d.HoldAdditions || !d.Unknown[0].Deny {
		t.Errorf("decision = %+v", d)
	}
	if decide(t, in("a"), rules...).HoldAdditions {
		t.Error("additions are held for somebody whom the noaccess does not match")
	}
	// It takes nothing away either: not even superuser, which the caller must
	// not add while additions are held.
	d = decide(t, in("b", "c"), rules...)
	wantAccess(t, d, "superuser")
	if !d.HoldAdditions || d.SuperuserDenied {
		t.Errorf("decision = %+v", d)
	}
}

func TestMeaning_NothingTheBindingHasFromAnUnknownRuleIsTakenAway(t *testing.T) {
	r := parse(t, one, lines(`group[a] = "site:name=Shop:write+x, site:2:view"`))
	recorded := mapping.Decide(r, in("a"), "main", five, now).Origins()

	renamed := append([]access.Site{{ID: 1, Name: "Boutique"}}, five[1:]...)
	d := mapping.Decide(r, in("a"), "main", renamed, now)
	wantAccess(t, d, "2:view")
	if got := d.Keep(recorded).String(); got != "1:write+x" {
		t.Errorf("keeps %q", got)
	}
	// Pass after pass, as long as it stays unknown.
	recorded = d.Record(recorded)
	recorded = mapping.Decide(r, in("a"), "main", nil, now).Record(recorded)
	if got := d.Keep(recorded).String(); got != "1:write+x" {
		t.Errorf("keeps %q after two passes", got)
	}
	// Not for somebody who left the group.
	if got := mapping.Decide(r, in("b"), "main", renamed, now).Keep(recorded); !got.Empty() {
		t.Errorf("somebody who left the group keeps %v", got)
	}
}

func TestMeaning_UntilTheRuleChanges(t *testing.T) {
	old := parse(t, one, lines(`group[a] = "site:name=Shop:write"`))
	recorded := mapping.Decide(old, in("a"), "main", five, now).Origins()
	for name, tc := range map[string]struct{ rule, want string }{
		"moved to another line":   {"; comment\n\ngroup[a] = site:name=Shop:write", "1:write"},
		"another grant beside it": {`group[a] = "site:2:view, site:name=Shop:write"`, "1:write"},
		"spelled differently":     {`group[a]="site:name='Shop':write"`, "1:write"},
		"another role":            {`group[a] = "site:name=Shop:view"`, "no access"},
		"another key":             {`group[A ] = "site:name=Shop:write"`, "no access"},
		"gone":                    {`group[a] = "site:2:view"`, "no access"},
	} {
		d := mapping.Decide(parse(t, one, lines(tc.rule)), in("a"), "main", nil, now)
		if got := d.Keep(recorded).String(); got != tc.want {
			t.Errorf("%s: keeps %s, want %s", name, got, tc.want)
		}
	}
}

func TestKeep_OneTemplateTwoGroups(t *testing.T) {
	r := parse(t, one, lines(`group[B {b}] = "site:name={b}:view"`))
	recorded := mapping.Decide(r, in("B Shop", "B Blog"), "main", five, now).Origins()
	d := mapping.Decide(r, in("b SHOP"), "main", nil, now)
	if got := d.Keep(recorded).String(); got != "1:view" {
		t.Errorf("keeps %s: the group for site 2 was left", got)
	}
}

func TestKeep_NotWhatNoaccessDenies(t *testing.T) {
	r := parse(t, one, lines(`group[a] = "site:name=Shop:view"`, `group[b] = "site:1:noaccess"`))
	recorded := mapping.Decide(r, in("a"), "main", five, now).Origins()
	renamed := append([]access.Site{{ID: 1, Name: "Boutique"}}, five[1:]...)
	d := mapping.Decide(r, in("a", "b"), "main", renamed, now)
	if got := d.Keep(recorded); !got.Empty() {
		t.Errorf("keeps %v", got)
	}
	if got := d.Record(recorded); len(got) != 0 {
		t.Errorf("records %v", got)
	}
}

func TestKeep_NeverSuperuser(t *testing.T) {
	r := parse(t, one, lines(`group[a] = "site:name=Shop:view"`))
	id := mapping.Decide(r, in("a"), "main", nil, now).Unknown[0].Rule.ID
	d := mapping.Decide(r, in("a"), "main", nil, now)
	if got := d.Keep([]mapping.GrantOrigin{{Superuser: true, Rule: id}}); !got.Empty() {
		t.Errorf("keeps %v", got)
	}
}

func TestOrigins(t *testing.T) {
	d := decide(t, in("a", "b", "no"), `group[a] = "site:1:view, site:9:view"`, `group[b] = "site:1:admin+x"`, `group[no] = "site:9:noaccess"`)
	ids := map[string]string{}
	for _, r := range d.Reasons {
		ids[r.Grant] = r.Rule.ID
	}
	want := []mapping.GrantOrigin{
		{Site: 1, Role: access.View, Rule: ids["site:1:view"]}, // hidden by admin, but would count without it
		{Site: 1, Role: access.Admin, Capabilities: []string{"x"}, Rule: ids["site:1:admin+x"]},
	}
	if diff := cmp.Diff(want, d.Origins()); diff != "" {
		t.Error(diff)
	}
	d = decide(t, in("root"), `group[root] = "superuser"`, `group[Root] = "superuser"`)
	if got := d.Origins(); len(got) != 2 || !got[0].Superuser || got[0].Site != 0 {
		t.Errorf("origins = %+v", got)
	}
	d = decide(t, in("root", "no"), `group[root] = "superuser"`, `group[no] = "site:9:noaccess"`)
	if got := d.Origins(); len(got) != 0 {
		t.Errorf("a superuser grant that was denied is recorded: %+v", got)
	}
}

func TestExtra_GrantsAddUpAndAreDeniedLikeOthers(t *testing.T) {
	grant := func(text string) mapping.Grant {
		g, err := mapping.ParseGrant(text, one)
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	r := parse(t, one, lines(`group[a] = "site:1:view"`, `group[no] = "site:9:noaccess"`))
	s := in("a")
	s.Extra = []mapping.Grant{grant("site:1:admin until 2026-11-24T14:00Z"), grant("site:9:view")}
	d := mapping.Decide(r, s, "main", five, now)
	wantAccess(t, d, "1:admin, 9:view")
	if want := time.Date(2026, 11, 24, 14, 0, 0, 0, time.UTC); !d.ValidUntil.Equal(want) {
		t.Errorf("valid until %v", d.ValidUntil)
	}
	if got := d.Reasons[1].Rule; got.Kind != mapping.KindExtra || got.ID == "" {
		t.Errorf("rule of an extra grant: %+v", got)
	}
	s.Groups = in("a", "no").Groups
	wantAccess(t, mapping.Decide(r, s, "main", five, now), "1:admin")
	s.Extra = []mapping.Grant{grant("superuser")}
	wantAccess(t, mapping.Decide(r, s, "main", five, now), "1:view")
}

func TestParseGrant_Errors(t *testing.T) {
	for _, text := range []string{"", "site:1", "site:{x}:view", "site:1:view, site:2:view", "us/site:1:view", "site:1:{role}", `site:1:view"`} {
		if g, err := mapping.ParseGrant(text, one); err == nil {
			t.Errorf("ParseGrant(%q) = %v", text, g)
		}
	}
}
