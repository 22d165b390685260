package grant_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/mapping/grant"
	"github.com/matomo-scim/bridge/matomo/access"
)

// ignore leaves out how a grant was written.
var ignore = cmpopts.IgnoreUnexported(grant.Grant{}, grant.Selector{})

// parse reads one grant.
func parse(t testing.TB, text string) grant.Grant {
	t.Helper()
	items, _, errs := grant.Parse(text, 0, false)
	if len(errs) > 0 || len(items) != 1 {
		t.Fatalf("%q: %v, %v", text, items, show(errs))
	}
	return items[0].Grant
}

// show writes errors as "offset: message".
func show(errs []*grant.Error) []string {
	out := make([]string, len(errs))
	for i, e := range errs {
		out[i] = fmt.Sprintf("%d: %s", e.Off, e.Msg)
	}
	return out
}

// One text for each form of the grammar.
func TestParse_EveryProduction(t *testing.T) {
	site := func(s grant.Selector) grant.Grant { return grant.Grant{Site: s, Role: access.View} }
	day := time.Date(2027, 4, 1, 0, 0, 0, 0, time.UTC)
	for text, want := range map[string]grant.Grant{
		// grant
		"superuser":                     {Superuser: true},
		"site:1:view":                   site(grant.Selector{Kind: grant.SelectID, ID: 1}),
		" site:1:view ":                 site(grant.Selector{Kind: grant.SelectID, ID: 1}),
		"superuser until 2027-03-31":    {Superuser: true, Until: day},
		"superuser \t until 2027-03-31": {Superuser: true, Until: day},
		// target
		"eu/superuser":    {Target: "eu", Superuser: true},
		"*/superuser":     {Target: grant.Every, Superuser: true},
		"E-u_1/superuser": {Target: "E-u_1", Superuser: true},
		"site/superuser":  {Target: "site", Superuser: true},
		"superuser/site:1:view": {
			Target: "superuser", Site: grant.Selector{Kind: grant.SelectID, ID: 1}, Role: access.View,
		},
		// selector
		"site:*:view":                site(grant.Selector{Kind: grant.SelectAll}),
		"site:2147483647:view":       site(grant.Selector{Kind: grant.SelectID, ID: 2147483647}),
		"site:{x}:view":              site(grant.Selector{Kind: grant.SelectID, Var: "x"}),
		"site:name=Shop:view":        site(grant.Selector{Kind: grant.SelectName, Text: "Shop"}),
		"site:name={x}:view":         site(grant.Selector{Kind: grant.SelectName, Var: "x"}),
		"site:name={x} :view":        site(grant.Selector{Kind: grant.SelectName, Text: "{x} "}),
		"site:name='{x}':view":       site(grant.Selector{Kind: grant.SelectName, Text: "{x}"}),
		"site:name='Shop: EU':view":  site(grant.Selector{Kind: grant.SelectName, Text: "Shop: EU"}),
		"site:name='Bob''s, x':view": site(grant.Selector{Kind: grant.SelectName, Text: "Bob's, x"}),
		"site:name='''':view":        site(grant.Selector{Kind: grant.SelectName, Text: "'"}),
		"site:name=a;b=c/d*:view":    site(grant.Selector{Kind: grant.SelectName, Text: "a;b=c/d*"}),
		"site:name= x :view":         site(grant.Selector{Kind: grant.SelectName, Text: " x "}),
		"site:group=Brands:view":     site(grant.Selector{Kind: grant.SelectGroup, Text: "Brands"}),
		"site:group={g}:view":        site(grant.Selector{Kind: grant.SelectGroup, Var: "g"}),
		"site:group='1':view":        site(grant.Selector{Kind: grant.SelectGroup, Text: "1"}),
		// role
		"site:*:admin":    {Site: grant.Selector{Kind: grant.SelectAll}, Role: access.Admin},
		"site:*:write":    {Site: grant.Selector{Kind: grant.SelectAll}, Role: access.Write},
		"site:*:noaccess": {Site: grant.Selector{Kind: grant.SelectAll}, Role: access.NoAccess},
		"site:*:{role}":   {Site: grant.Selector{Kind: grant.SelectAll}, RoleVar: "role"},
		// capabilities
		"site:*:view+b+a+b": {Site: grant.Selector{Kind: grant.SelectAll}, Role: access.View, Capabilities: []string{"a", "b"}},
		"site:*:{r}+x_1-y":  {Site: grant.Selector{Kind: grant.SelectAll}, RoleVar: "r", Capabilities: []string{"x_1-y"}},
		"site:*:view+until": {Site: grant.Selector{Kind: grant.SelectAll}, Role: access.View, Capabilities: []string{"until"}},
		"eu/site:{s}:{r}+c": {Target: "eu", Site: grant.Selector{Kind: grant.SelectID, Var: "s"}, RoleVar: "r", Capabilities: []string{"c"}},
		"*/site:*:{r} until 2027-03-31": {
			Target: grant.Every, Site: grant.Selector{Kind: grant.SelectAll}, RoleVar: "r", Until: day,
		},
	} {
		if diff := cmp.Diff(want, parse(t, text), ignore); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
}

func TestParse_Errors(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "0: value is empty",
		"  ":                           "2: value is empty",
		",":                            "0: a grant is missing",
		"superuser,":                   "10: a grant is missing",
		"superuser superuser":          "10: after a grant: a comma, until or the end",
		"superuserx":                   `0: "superuserx" is no grant`,
		"Superuser":                    "0: is no grant",
		"superuser+x":                  `9: "+x" after a grant`,
		"view":                         "0: is no grant",
		"1:view":                       "0: is no grant",
		"eu /site:1:view":              `0: "eu" is no grant`,
		"eu//site:1:view":              "3: is no grant",
		"1u/superuser":                 "0: is no grant",
		"/superuser":                   "0: is no grant",
		"{t}/site:1:view":              "0: is no grant",
		"Site:1:view":                  "0: is no grant",
		"site :1:view":                 "0: is no grant",
		"site::view":                   "5: names no site",
		"site:01:view":                 "5: names no site",
		"site:0:view":                  "5: names no site",
		"site:-1:view":                 "5: names no site",
		"site:1x:view":                 "6: a colon and a role",
		"site: 1:view":                 "5: names no site",
		"site:all:view":                "5: names no site",
		"site:99999999999:view":        "5: names no site",
		"site:{X}:view":                "5: names no site",
		"site:{x:view":                 "5: names no site",
		"site:name=:view":              "10: name is missing",
		"site:name= :view":             "11: name is missing",
		"site:name='':view":            "10: name is missing",
		"site:name='  ':view":          "10: name is missing",
		"site:name=Bob's:view":         "13: single quotes",
		"site:name='Bob:view":          "10: single quote is never closed",
		"site:name='a'b:view":          "13: a colon and a role",
		"site:name=a,b:view":           "11: a colon and a role",
		"site:Name=a:view":             "5: names no site",
		"site:1:":                      "7: end of the value is no role",
		"site:1":                       "6: a colon and a role",
		"site:1:View":                  "7: is no role",
		"site:1:superuser":             "7: is no role",
		"site:1:viewer":                "7: is no role",
		"site:1: view":                 "7: is no role",
		"site:1:view+":                 "12: name of a capability",
		"site:1:view+1x":               "12: name of a capability",
		"site:1:view+{x}":              "12: name of a capability",
		"site:1:view+a b":              "14: after a grant",
		"site:1:view +a":               "12: after a grant",
		"site:1:noaccess+x":            "15: noaccess takes no capability",
		"site:1:view until":            "17: date is wanted",
		"site:1:view until ":           "18: is no date",
		"site:1:view Until 2027":       "12: after a grant",
		"site:1:viewuntil 2027":        "7: is no role",
		"site:1:view until 1969-12-30": "18: too long ago",
		"superuser until {x}":          "16: is no date",
		strings.Repeat("ä", 40):        `0: "` + strings.Repeat("ä", 24) + `..." is no grant`,
	} {
		_, _, errs := grant.Parse(text, 0, false)
		at, msg, _ := strings.Cut(want, " ")
		got := show(errs)
		if strings.HasPrefix(text, ",") || strings.Contains(text, "a,b") { // and there is an error behind the comma
			got = got[:1]
		}
		if len(got) != 1 || !strings.HasPrefix(got[0], at) || !strings.Contains(got[0], msg) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestParse_GoesOnBehindAnError(t *testing.T) {
	items, end, errs := grant.Parse("site:1:boss, site:2:view ,nothing,, */superuser", 0, false)
	if len(items) != 2 || items[0].Off != 13 || items[1].Off != 36 || end != 47 {
		t.Errorf("items = %+v, end = %d", items, end)
	}
	if len(errs) != 3 || errs[0].Off != 7 || errs[1].Off != 26 || errs[2].Off != 34 {
		t.Errorf("errors = %q", show(errs))
	}
}

// In an INI value the grants stand between double quotes, and text before them
// and behind them.
func TestParse_Quoted(t *testing.T) {
	for text, want := range map[string]int{
		`x = "superuser" ; c`:              14,
		`x = "superuser"`:                  14,
		`x = "superuser`:                   14, // the quote is missing: the reader says so
		`x = "site:name='6"" x':view" ; c`: 27, // quotes inside a name do not end the value
		`x = "site:name=6":view"`:          16,
		`x = ""`:                           5,
	} {
		_, end, _ := grant.Parse(text, 5, true)
		if end != want {
			t.Errorf("%s: the value ends at %d, want %d", text, end, want)
		}
	}
	if _, _, errs := grant.Parse(`superuser"`, 0, false); len(errs) != 1 || errs[0].Off != 9 {
		t.Errorf("a double quote in an unquoted value: %q", show(errs))
	}
}

func TestParse_When(t *testing.T) {
	for when, want := range map[string]time.Time{
		"2027-03-31":                time.Date(2027, 4, 1, 0, 0, 0, 0, time.UTC), // holds through the day
		"2028-02-29":                time.Date(2028, 3, 1, 0, 0, 0, 0, time.UTC),
		"2027-12-31":                time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC),
		"1970-01-01":                time.Date(1970, 1, 2, 0, 0, 0, 0, time.UTC),
		"9999-12-30":                time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC),
		"2027-03-31T18:00Z":         time.Date(2027, 3, 31, 18, 0, 0, 0, time.UTC),
		"2027-03-31T18:00:59Z":      time.Date(2027, 3, 31, 18, 0, 59, 0, time.UTC),
		"2027-03-31T18:00+02:00":    time.Date(2027, 3, 31, 16, 0, 0, 0, time.UTC),
		"2027-03-31T18:00-11:30":    time.Date(2027, 4, 1, 5, 30, 0, 0, time.UTC),
		"2027-03-31T18:00:01+02:00": time.Date(2027, 3, 31, 16, 0, 1, 0, time.UTC),
	} {
		if got := parse(t, "superuser until "+when).Until; !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("until %s is %v, want %v", when, got, want)
		}
	}
	for when, want := range map[string]string{
		"2027-02-30": "is no date", "2027-3-31": "is no date", "31.03.2027": "is no date", "tomorrow": "is no date",
		"2027-03-31T24:00Z": "is no date", "2027-03-31T6:00Z": "is no date", "2027-03-31T18:00:00.5Z": "is no date",
		"2027-03-31T18Z": "is no date", "2027-03-31T18:00+0200": "is no date", "2027-03-31t18:00z": "is no date",
		"2027-03-31T18:00": "has no time zone: write 2027-03-31T18:00Z", "2027-03-31T18:00:00": "has no time zone",
		"0000-12-31": "too long ago", "1969-12-31T23:59Z": "too long ago",
	} {
		_, _, errs := grant.Parse("superuser until "+when, 0, false)
		if len(errs) != 1 || errs[0].Off != 16 || !strings.Contains(errs[0].Msg, want) {
			t.Errorf("until %s: %q, want %q", when, show(errs), want)
		}
	}
}

// A date holds through its day whichever it is, and is written as it was read; a
// time is the moment that its offset makes it.
func TestParse_WhenOfEveryDay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		day := time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, rapid.IntRange(0, 200_000).Draw(t, "day"))
		text := "superuser until " + day.Format(time.DateOnly)
		items, _, errs := grant.Parse(text, 0, false)
		if len(errs) > 0 {
			t.Fatalf("%q: %q", text, show(errs))
		}
		g := items[0].Grant
		if g.Over(day.AddDate(0, 0, 1).Add(-1)) || !g.Over(day.AddDate(0, 0, 1)) || g.String() != text {
			t.Fatalf("%q ends at %v and is written %q", text, g.Until, g)
		}
		zone := time.FixedZone("", 60*rapid.IntRange(-14*60, 14*60).Draw(t, "offset"))
		moment := day.AddDate(1, 0, 0).Add(time.Duration(rapid.IntRange(0, 86399).Draw(t, "second")) * time.Second).In(zone)
		items, _, errs = grant.Parse("superuser until "+moment.Format("2006-01-02T15:04:05Z07:00"), 0, false)
		if len(errs) > 0 || !items[0].Grant.Until.Equal(moment) {
			t.Fatalf("%v is read as %v (%q)", moment, items, show(errs))
		}
	})
}

// A grant in a list is wrong or right for itself alone.
func TestParse_AnErrorHidesNothingElse(t *testing.T) {
	bad := []string{"nothing", "site:1", "site:0:view", "site:1:boss", "site:1:view+", "superuser until now", "site:name=:view", "superuser x"}
	rapid.Check(t, func(t *rapid.T) {
		var all []string
		var want []string
		for range rapid.IntRange(1, 5).Draw(t, "grants") {
			if rapid.Bool().Draw(t, "good") {
				g := draw(t, true)
				all = append(all, g)
				items, _, _ := grant.Parse(g, 0, false)
				want = append(want, items[0].Grant.String())
				continue
			}
			all = append(all, rapid.SampledFrom(bad).Draw(t, "broken"))
		}
		items, _, errs := grant.Parse(strings.Join(all, ","), 0, false)
		got := make([]string, len(items))
		for i, it := range items {
			got[i] = it.Grant.String()
		}
		if len(errs) != len(all)-len(want) || strings.Join(got, ",") != strings.Join(want, ",") {
			t.Fatalf("%q: %q and %q", all, got, show(errs))
		}
	})
}

func TestNames(t *testing.T) {
	for s, want := range map[string]int{
		"": 0, "a": 1, "Eu-1_x": 6, "a/b": 1, "1a": 0, "_a": 0, "-": 0, "ä": 0, "aä": 1, "a b": 1, "a.b": 1, "okta]": 4,
	} {
		if got := grant.NameLength(s); got != want {
			t.Errorf("NameLength(%q) = %d, want %d", s, got, want)
		}
		if got := grant.IsName(s); got != (want > 0 && want == len(s)) {
			t.Errorf("IsName(%q) = %v", s, got)
		}
	}
	for c, want := range map[byte]bool{' ': true, '\t': true, '\n': false, '\r': false, 'a': false, 0xa0: false} {
		if grant.IsSpace(c) != want {
			t.Errorf("IsSpace(%q) = %v", c, !want)
		}
	}
}

// draw draws the text of a valid grant; with captures, it may have them.
func draw(t *rapid.T, captures bool) string {
	pick := func(label string, from ...string) string { return rapid.SampledFrom(from).Draw(t, label) }
	until := pick("until", "", "", " until 2027-03-31", " until 2030-01-01T10:00+02:00", "\tuntil  2020-02-29")
	prefix := pick("target", "", "", "eu/", "*/", "main/")
	if rapid.IntRange(0, 9).Draw(t, "superuser") == 0 {
		return prefix + "superuser" + until
	}
	name := "'" + strings.ReplaceAll(rapid.StringMatching(`[A-Za-zß:,'"; {}+-]{0,5}[a-z]`).Draw(t, "name"), "'", "''") + "'"
	sites := []string{"*", "1", "404", "name=Shop", "group= x y ", "name=" + name, "group=" + name}
	roles := []string{"view", "write", "admin", "noaccess"}
	if captures {
		sites, roles = append(sites, "{s}", "name={s}", "group={s}"), append(roles, "{r}", "{r}")
	}
	role := pick("role", roles...)
	if role != "noaccess" {
		role += pick("caps", "", "", "+b+a", "+a")
	}
	return prefix + "site:" + pick("sites", sites...) + ":" + role + until
}

// What String writes is read as the same grant, and written in the same way.
func TestString_ParsesToTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := draw(t, true)
		items, _, errs := grant.Parse(text, 0, false)
		if len(errs) > 0 || len(items) != 1 {
			t.Fatalf("%q: %q", text, show(errs))
		}
		first := items[0].Grant
		items, _, errs = grant.Parse(first.String(), 0, false)
		if len(errs) > 0 || len(items) != 1 || items[0].Grant.String() != first.String() {
			t.Fatalf("%q is written %q, which reads as %v (%q)", text, first, items, show(errs))
		}
		if diff := cmp.Diff(first, items[0].Grant, ignore); diff != "" {
			t.Fatalf("%q is written %q: %s", text, first, diff)
		}
	})
}

// A list of grants is its grants.
func TestParse_ListIsItsParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string { return draw(t, true) }), 1, 4).Draw(t, "grants")
		list := strings.Join(texts, rapid.SampledFrom([]string{",", " ,", ", ", "\t,\t"}).Draw(t, "comma"))
		items, end, errs := grant.Parse(list, 0, false)
		if len(errs) > 0 || len(items) != len(texts) || end != len(list) {
			t.Fatalf("%q: %d items, %q, ends at %d", list, len(items), show(errs), end)
		}
		for i, it := range items {
			if !strings.HasPrefix(list[it.Off:], texts[i]) {
				t.Fatalf("grant %d of %q begins at %d", i, list, it.Off)
			}
			alone, _, _ := grant.Parse(texts[i], 0, false)
			if diff := cmp.Diff(alone[0].Grant, it.Grant, ignore); diff != "" {
				t.Fatalf("%q alone: %s", texts[i], diff)
			}
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"superuser", "eu/site:name='a''b':{r}+x until 2027-03-31", "site:{s}:view,*/site:group=x:noaccess", `site:name="x`, "site:'", ","} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, s string, quoted bool) {
		items, end, errs := grant.Parse(s, 0, quoted)
		if len(items)+len(errs) == 0 || end > len(s) || end < len(s) && (!quoted || s[end] != '"') {
			t.Fatalf("%q: %v, %q, ends at %d", s, items, show(errs), end)
		}
		for _, e := range errs {
			if e.Off < 0 || e.Off > end || e.Msg == "" {
				t.Fatalf("%q: error outside the value: %+v", s, e)
			}
		}
		for _, it := range items {
			again, _, wrong := grant.Parse(it.Grant.String(), 0, false)
			if len(wrong) > 0 || len(again) != 1 || again[0].Grant.String() != it.Grant.String() {
				t.Fatalf("%q is written %q, which reads as %v (%q)", s, it.Grant, again, show(wrong))
			}
		}
	})
}
