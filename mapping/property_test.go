package mapping_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/mapping"
	"github.com/matomo-scim/bridge/matomo/access"
)

// drawRule draws one valid rule over the groups g0 to g5, templates over t-...,
// DNs and attributes, without superuser from anything but an exact group.
func drawRule(t *rapid.T) string {
	grants := rapid.SliceOfN(rapid.Custom(drawGrant), 1, 3).Draw(t, "grants")
	source := rapid.SampledFrom([]string{"@okta", "@okta", "@ldap", "@entra"}).Draw(t, "source")
	key := rapid.SampledFrom([]string{"g0", "g1", "g2", "G3", `"g4"`, "g5", "cn=g0,dc=x", "CN=g1, DC=x", "t-{v}", "cn={v},dc=x", "filter"}).Draw(t, "key")
	superuser := strings.Contains(strings.Join(grants, ","), "superuser")
	if superuser {
		source = "@okta"
	}
	if key == "filter" || strings.Contains(key, "{") {
		for i, g := range grants {
			if strings.Contains(g, "superuser") {
				grants[i] = "site:1:write"
			}
		}
	}
	value := strings.Join(grants, ",")
	if key == "filter" {
		return "user" + source + "[" + drawUserFilter(t) + `] = "` + value + `"`
	}
	if strings.Contains(key, "{v}") {
		value += "," + rapid.SampledFrom([]string{"site:{v}:view", "site:name={v}:admin", "site:1:{v}", "site:group={v}:noaccess"}).Draw(t, "filled")
	}
	return "group" + source + "[" + key + `] = "` + value + `"`
}

func drawUserFilter(t *rapid.T) string {
	return rapid.SampledFrom([]string{"(department=Sales)", "(!(department=Sales))", "(title=*)", "(|(department=HR)(!(title=Boss)))"}).Draw(t, "filter")
}

// drawSubject draws a person.
func drawSubject(t *rapid.T) mapping.Subject {
	var s mapping.Subject
	names := []string{"g0", "G1", "g2", "g3", "g4", "g5", "cn=G0, dc=X", "cn=g1,dc=x", "t-1", "t-9", "t-Shop", "T-view", "t-*", "t-superuser", "t-Brands", "cn=1,dc=x", `cn=\2a,dc=x`, "other", "g11"}
	for _, name := range rapid.SliceOfN(rapid.SampledFrom(names), 0, 8).Draw(t, "groups") {
		s.Groups = append(s.Groups, mapping.GroupRef{Source: rapid.SampledFrom([]string{"okta", "ldap", "entra"}).Draw(t, "source"), Name: name})
	}
	attrs := map[string][]string{}
	if rapid.Bool().Draw(t, "has department") {
		attrs["department"] = []string{rapid.SampledFrom([]string{"Sales", "HR"}).Draw(t, "department")}
	}
	if rapid.Bool().Draw(t, "has title") {
		attrs["title"] = []string{"Boss"}
	}
	s.Attributes = mapping.SubjectAttributes(attrs)
	s.Sources = rapid.SliceOfN(rapid.SampledFrom([]string{"okta", "ldap"}), 0, 2).Draw(t, "sources")
	return s
}

// drawSites draws what was read of a target: sometimes nothing.
func drawSites(t *rapid.T) []access.Site {
	if rapid.IntRange(0, 5).Draw(t, "unread") == 0 {
		return nil
	}
	out := []access.Site{}
	for _, s := range append(twins, access.Site{ID: 50, Name: "*"}, access.Site{ID: 51, Name: "superuser"}) {
		if rapid.IntRange(0, 3).Draw(t, "site") > 0 {
			out = append(out, s)
		}
	}
	return out
}

// drawFiles draws one to three files of rules.
func drawFiles(t *rapid.T) []mapping.File {
	var files []mapping.File
	for i := range rapid.IntRange(1, 3).Draw(t, "files") {
		rules := rapid.SliceOfN(rapid.Custom(drawRule), 1, 5).Draw(t, "rules")
		files = append(files, mapping.File{Name: fmt.Sprintf("%d.ini", i), Data: []byte(lines(rules...))})
	}
	return files
}

func mustParse(t *rapid.T, files []mapping.File) *mapping.Rules {
	r, err := mapping.Parse(files, many)
	if err != nil {
		t.Fatalf("%v\n%s", err, files)
	}
	return r
}

func shuffled[T any](t *rapid.T, in []T) []T {
	if in == nil {
		return nil
	}
	out := append([]T{}, in...)
	r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "shuffle"), 0))
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// I6: a decision is a function of (rules, subject, sites, now).
func TestI6_DecideIsAFunction(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		files, s, sites := drawFiles(t), drawSubject(t), drawSites(t)
		r := mustParse(t, files)
		want := mapping.Decide(r, s, "main", sites, now)

		if diff := cmp.Diff(want, mapping.Decide(r, s, "main", sites, now)); diff != "" {
			t.Fatal("same input, another decision:", diff)
		}
		mixed := s
		mixed.Groups = shuffled(t, append(s.Groups, s.Groups...))
		if diff := cmp.Diff(want, mapping.Decide(r, mixed, "main", shuffled(t, sites), now)); diff != "" {
			t.Fatal("the order of groups or sites counts, or how often a group is named:", diff)
		}
		if diff := cmp.Diff(want, mapping.Decide(mustParse(t, shuffled(t, files)), s, "main", sites, now)); diff != "" {
			t.Fatal("the order of files counts:", diff)
		}
		// Rules moved between and within files: the same access from other lines.
		var rules []string
		for _, f := range files {
			rules = append(rules, strings.Split(strings.TrimSpace(string(f.Data)), "\n")[1:]...)
		}
		moved := mapping.Decide(mustParse(t, []mapping.File{{Name: "m.ini", Data: []byte(lines(shuffled(t, rules)...))}}), s, "main", sites, now)
		if !moved.Access.Equal(want.Access) || !moved.WithoutSuperuser.Equal(want.WithoutSuperuser) || moved.HoldAdditions != want.HoldAdditions ||
			!moved.ValidUntil.Equal(want.ValidUntil) || !cmp.Equal(moved.Denied, want.Denied) || len(moved.Unknown) != len(want.Unknown) {
			t.Fatalf("the order of rules counts: %+v and %+v", want, moved)
		}
	})
}

// Noaccess beats everything, whatever else is granted.
func TestProperty_NoaccessBeatsAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		files, s, sites := drawFiles(t), drawSubject(t), drawSites(t)
		files = append(files, mapping.File{Name: "deny.ini", Data: []byte(lines(`group[denied] = "site:9:noaccess"`))})
		s.Groups = append(s.Groups, mapping.GroupRef{Source: "ldap", Name: "Denied"})
		d := mapping.Decide(mustParse(t, files), s, "main", sites, now)
		known := false
		for _, site := range sites {
			known = known || site.ID == 9
		}
		if !known {
			if !d.HoldAdditions {
				t.Fatal("an unknown noaccess does not hold additions")
			}
			return
		}
		if _, ok := d.Access.Sites[9]; ok || d.Access.Superuser || d.WithoutSuperuser.Superuser {
			t.Fatalf("noaccess was beaten: %v", d.Access)
		}
	})
}

// Nothing that is unknown grants: access is never more than the rules that could
// be resolved give, and never on a site that was not read.
func TestProperty_UnknownNeverGrants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, s, sites := mustParse(t, drawFiles(t)), drawSubject(t), drawSites(t)
		d := mapping.Decide(r, s, "main", sites, now)
		unknown := map[string]bool{}
		for _, u := range d.Unknown {
			unknown[u.Rule.ID] = true
		}
		var sum access.Access
		for _, reason := range d.Reasons {
			if unknown[reason.Rule.ID] {
				t.Fatalf("%v is unknown and gives a reason", reason.Rule)
			}
			if reason.Site != 0 {
				sum = access.Merge(sum, access.Access{Sites: map[access.SiteID]access.SiteAccess{reason.Site: {Role: reason.Role, Capabilities: reason.Capabilities}}})
			}
		}
		for id, got := range d.WithoutSuperuser.Sites {
			read := false
			for _, site := range sites {
				read = read || site.ID == id
			}
			if !read || !got.Equal(sum.Sites[id]) {
				t.Fatalf("site %d: %v, reasons say %v, read: %v", id, got, sum.Sites[id], read)
			}
		}
	})
}

// What a decision gives is what its origins add up to, so nothing is recorded
// that was not given, and nothing given goes unrecorded.
func TestProperty_OriginsAddUpToTheAccess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := mapping.Decide(mustParse(t, drawFiles(t)), drawSubject(t), "main", drawSites(t), now)
		var sum access.Access
		for _, o := range d.Origins() {
			if o.Superuser {
				sum.Superuser = true
				continue
			}
			sum = access.Merge(sum, access.Access{Sites: map[access.SiteID]access.SiteAccess{o.Site: {Role: o.Role, Capabilities: o.Capabilities}}})
		}
		if sum.Superuser != d.Access.Superuser {
			t.Fatalf("superuser: origins say %v, access %v", sum.Superuser, d.Access.Superuser)
		}
		sum.Superuser = false
		if !sum.Equal(d.WithoutSuperuser) {
			t.Fatalf("origins add up to %v, access is %v", sum, d.WithoutSuperuser)
		}
	})
}

// A name that a template matches can only ever fill one field.
func TestProperty_CapturesNeverBecomeStarOrSuperuser(t *testing.T) {
	r := parse(t, one, lines(`group[c-{v}] = "site:{v}:view, site:name={v}:view, site:group={v}:view, site:2:{v}"`))
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.OneOf(
			rapid.String(),
			rapid.SampledFrom([]string{"*", "superuser", "1:admin", "1,superuser", "name=Shop", "*/site:1", "noaccess", "1 until 2099-01-01", "view+x", "'Shop'"}),
			rapid.Custom(drawGrant),
		).Draw(t, "capture")
		d := mapping.Decide(r, in("c-"+v), "main", five, now)
		if d.Access.Superuser || len(d.Denied) > 0 {
			t.Fatalf("%q became superuser or noaccess: %v", v, d.Access)
		}
		// At most: one site by ID, one by name, the two of the group Brands, and site 2.
		if len(d.Access.Sites) > 5-1 {
			t.Fatalf("%q became every site: %v", v, d.Access)
		}
		for id, got := range d.Access.Sites {
			if len(got.Capabilities) > 0 || got.Role != access.View && id != 2 {
				t.Fatalf("%q became more than one field: %v", v, d.Access)
			}
		}
	})
}

// A name is matched as a whole, or not at all.
func TestProperty_NothingIsAPrefixMatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[A-Za-z0-9äß_.-]{1,8}`).Draw(t, "name")
		more := rapid.StringMatching(`[A-Za-z0-9 =,_.-]{1,3}`).Draw(t, "more")
		for _, rule := range []string{"group[" + name + "]", `group["` + name + `"]`, "group[cn=" + name + ",dc=x]"} {
			r, err := mapping.Parse([]mapping.File{{Name: "m.ini", Data: []byte(lines(rule + ` = "site:1:view"`))}}, one)
			if err != nil {
				t.Fatal(err)
			}
			for _, other := range []string{name + more, more + name, "cn=" + name + more + ",dc=x", "cn=" + name + ",dc=x" + more, more + "cn=" + name + ",dc=x"} {
				a := mapping.Decide(r, in(other), "main", five, now).Access
				same := strings.TrimSpace(more) == "" && strings.HasPrefix(rule, "group[cn=") // spaces around a value do not count
				if !a.Empty() && !same {
					t.Fatalf("%s matches %q", rule, other)
				}
			}
		}
	})
}
