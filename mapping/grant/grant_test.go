package grant_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/mapping/grant"
	"github.com/matomo-scim/bridge/mapping/match"
)

// However a grant is written, it is shown in one way, which is also what its
// identity is made of.
func TestString(t *testing.T) {
	for text, want := range map[string]string{
		"superuser":                                "superuser",
		"eu/superuser":                             "eu/superuser",
		"*/site:*:view":                            "*/site:*:view",
		" site:3:view+b+a ":                        "site:3:view+a+b",
		"site:name='Shop':view":                    "site:name=Shop:view",
		"site:name=Shop: EU:view":                  "",
		"site:name='Shop: EU':view":                "site:name='Shop: EU':view",
		"site:name=ä:view":                         "site:name='ä':view",
		"site:name='Bob''s':view":                  "site:name='Bob''s':view",
		"site:group=a b:view":                      "site:group=a b:view",
		"site:group= a :view":                      "site:group=' a ':view",
		"site:name='{x}':view":                     "site:name='{x}':view",
		"site:name={x}:{role}+c":                   "site:name={x}:{role}+c",
		"site:{x}:view":                            "site:{x}:view",
		"site:1:view until 2027-03-31":             "site:1:view until 2027-03-31",
		"site:1:view  until 2027-04-01T00:00Z":     "site:1:view until 2027-03-31", // the same moment
		"site:1:view until 2027-03-31T18:00+02:00": "site:1:view until 2027-03-31T16:00:00Z",
	} {
		if want == "" {
			continue
		}
		if got := parse(t, text).String(); got != want {
			t.Errorf("%q is written %q, want %q", text, got, want)
		}
	}
	if got := (grant.Selector{}).String(); got != "" {
		t.Errorf("no sites are written %q", got)
	}
}

func TestFor(t *testing.T) {
	for target, want := range map[string]string{"main": "main", "eu": "eu", grant.Every: "main eu"} {
		g := grant.Grant{Target: target}
		var got []string
		for _, name := range []string{"main", "eu"} {
			if g.For(name) {
				got = append(got, name)
			}
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("a grant to %q is for %q", target, s)
		}
	}
}

func TestOver(t *testing.T) {
	end := time.Date(2027, 4, 1, 0, 0, 0, 0, time.UTC)
	g := parse(t, "site:1:view until 2027-03-31")
	if g.Over(end.Add(-1)) || !g.Over(end) || !g.Over(end.AddDate(1, 0, 0)) {
		t.Error("a grant ends at its time, not before and not after")
	}
	if parse(t, "site:1:view").Over(end.AddDate(1000, 0, 0)) {
		t.Error("a grant without end is over")
	}
}

func TestDenyAndOpen(t *testing.T) {
	for text, want := range map[string][2]bool{
		"superuser":            {false, false},
		"site:1:view":          {false, false},
		"site:1:noaccess":      {true, false},
		"site:{s}:noaccess":    {true, true},
		"site:name={s}:view":   {false, true},
		"site:1:{r}":           {false, true},
		"site:name='{s}':view": {false, false},
	} {
		g := parse(t, text)
		if got := [2]bool{g.Deny(), g.Open()}; got != want {
			t.Errorf("%s: Deny, Open = %v, want %v", text, got, want)
		}
	}
}

func TestFill(t *testing.T) {
	for _, tc := range []struct{ text, capture, want string }{
		{"site:{x}:view", "3", "site:3:view"},
		{"site:{x}:view", "2147483647", "site:2147483647:view"},
		{"site:name={x}:view", "Shop", "site:name=Shop:view"},
		{"site:name={x}:view", "{x}", "site:name='{x}':view"},
		{"site:name={x}:view", "'", "site:name='''':view"},
		{"site:name={x}:view", "*", "site:name='*':view"},
		{"site:name={x}:view", "1:admin,superuser", "site:name='1:admin,superuser':view"},
		{"site:group={x}:noaccess", "group=Brands", "site:group='group=Brands':noaccess"},
		{"eu/site:1:{x}+cap until 2027-03-31", "Admin", "eu/site:1:admin+cap until 2027-03-31"},
		{"site:1:{x}", "VIEW", "site:1:view"},
		{"site:{x}:{x}", "1", ""},
		{"site:1:view", "ignored", "site:1:view"},
	} {
		g, err := parse(t, tc.text).Fill(match.Captures{{Var: "x", Value: tc.capture}})
		if tc.want == "" {
			if err == nil {
				t.Errorf("%s with %q is %s", tc.text, tc.capture, g)
			}
			continue
		}
		if err != nil || g.String() != tc.want || g.Open() {
			t.Errorf("%s with %q is %s (%v), want %s", tc.text, tc.capture, g, err, tc.want)
		}
	}
}

func TestFill_WhatDoesNotFit(t *testing.T) {
	for text, captures := range map[string][]string{
		"site:{x}:view":       {"", "*", "0", "01", "+1", "-1", " 1", "1 ", "1.0", "0x1", "٣", "2147483648", "99999999999999999999", "1:admin", "name=Shop", "{x}"},
		"site:1:{x}":          {"", "noaccess", "NoAccess", "superuser", "owner", "view+x", " view", "view ", "{x}", "admins"},
		"site:name={x}:view":  {"", " ", " \t "},
		"site:group={x}:view": {"", "  "}, // which are not the sites without a group
	} {
		for _, capture := range captures {
			if g, err := parse(t, text).Fill(match.Captures{{Var: "x", Value: capture}}); err == nil || !strings.Contains(err.Error(), "{x} is ") {
				t.Errorf("%s with %q is %s (%v)", text, capture, g, err)
			}
		}
	}
}

// A capture fills one field: whatever a name contains, the grant keeps its kind,
// target, capabilities and end, and what is shown of it reads as just that grant.
func TestFill_NeverBecomesSyntax(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		items, _, _ := grant.Parse(draw(t, true), 0, false)
		before := items[0].Grant
		capture := rapid.OneOf(rapid.StringMatching(`[ -~äß]{0,8}`), rapid.SampledFrom([]string{"*", "superuser", "1", "view", "noaccess", "*/site:1"}), rapid.Custom(func(t *rapid.T) string { return draw(t, false) })).Draw(t, "capture")
		after, err := before.Fill(match.Captures{{Var: "s", Value: capture}, {Var: "r", Value: rapid.SampledFrom([]string{"view", "admin"}).Draw(t, "role")}})
		if err != nil {
			return
		}
		if after.Superuser != before.Superuser || after.Target != before.Target || after.Site.Kind != before.Site.Kind || after.Deny() != before.Deny() ||
			!after.Until.Equal(before.Until) || !cmp.Equal(after.Capabilities, before.Capabilities) || after.Open() {
			t.Fatalf("%s with %q became %s", before, capture, after)
		}
		again, _, errs := grant.Parse(after.String(), 0, false)
		if len(errs) > 0 || len(again) != 1 {
			t.Fatalf("%s with %q is shown as %q (%q)", before, capture, after, show(errs))
		}
		if diff := cmp.Diff(after, again[0].Grant, ignore); diff != "" {
			t.Fatalf("%s with %q is shown as %q: %s", before, capture, after, diff)
		}
	})
}

func TestFill_LeavesTheGrantAlone(t *testing.T) {
	g := parse(t, "site:{s}:{r}")
	if _, err := g.Fill(match.Captures{{Var: "s", Value: "1"}, {Var: "r", Value: "view"}}); err != nil {
		t.Fatal(err)
	}
	if g.String() != "site:{s}:{r}" {
		t.Errorf("the grant of the rule became %s", g)
	}
}

func TestCheckCaptures(t *testing.T) {
	for text, want := range map[string][]string{
		"site:1:view":              nil,
		"site:{a}:{b}":             nil,
		"site:{c}:view":            {"{c} does not occur in the key"},
		"site:{c}:{d}":             {"{c} does not occur", "{d} does not occur"},
		"site:name={a}:view":       nil,
		"site:name=x{a}:view":      {"{a} must be the whole name"},
		"site:name={a}-{b}:view":   {"{a} must be the whole name", "{b} must be the whole name"},
		"site:name=x{c}:view":      nil, // no variable of this key: a name with braces
		"site:name='x{a}':view":    nil,
		"site:group=x{a}:noaccess": {"{a} must be the whole name"},
		"superuser":                nil,
	} {
		got := parse(t, text).CheckCaptures([]string{"a", "b"})
		if len(got) != len(want) {
			t.Errorf("%s: %q, want %q", text, got, want)
			continue
		}
		for i := range got {
			if !strings.Contains(got[i], want[i]) {
				t.Errorf("%s: %q, want %q", text, got[i], want[i])
			}
		}
	}
}
