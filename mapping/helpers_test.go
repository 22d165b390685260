package mapping_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/matomo-scim/bridge/mapping"
	"github.com/matomo-scim/bridge/matomo/access"
)

// now is the moment of every decision that does not say otherwise.
var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// five are the sites of most tests.
var five = []access.Site{
	{ID: 1, Name: "Shop", Group: "Brands"},
	{ID: 2, Name: "Blog", Group: "Brands"},
	{ID: 3, Name: "Shop: EU"},
	{ID: 9, Name: "Payroll", Group: "Internal"},
	{ID: 11, Name: "Eleven"},
}

// one is the configuration with one target and one source.
var one = mapping.Options{Targets: []string{"main"}, Sources: []string{"scim"}}

// many is a configuration with two targets and three sources.
var many = mapping.Options{
	Targets: []string{"main", "eu"}, DefaultTarget: "main",
	Sources: []string{"okta", "ldap", "entra"}, SuperuserSources: []string{"okta"},
}

// lines puts rules into a section.
func lines(rules ...string) string {
	return "[RoleMapping]\n" + strings.Join(rules, "\n") + "\n"
}

// parse reads one INI text.
func parse(t testing.TB, opt mapping.Options, text string) *mapping.Rules {
	t.Helper()
	r, err := mapping.Parse([]mapping.File{{Name: "m.ini", Data: []byte(text)}}, opt)
	if err != nil {
		t.Fatalf("parse:\n%v\n%s", err, text)
	}
	return r
}

// parseErrors returns the messages of a text that must not parse, as "line:col: msg".
func parseErrors(t testing.TB, opt mapping.Options, name, text string) []string {
	t.Helper()
	_, err := mapping.Parse([]mapping.File{{Name: name, Data: []byte(text)}}, opt)
	var list *mapping.ErrorList
	if !errors.As(err, &list) {
		t.Fatalf("error = %v, want an *ErrorList for\n%s", err, text)
	}
	var out []string
	for _, e := range list.Errors {
		out = append(out, strings.TrimPrefix(e.Error(), name+":"))
	}
	return out
}

// wantError asserts that a text has exactly one error, at this place and with
// this in its message.
func wantError(t testing.TB, opt mapping.Options, text, want string) {
	t.Helper()
	at, msg, _ := strings.Cut(want, " ")
	got := parseErrors(t, opt, "m.ini", text)
	if len(got) != 1 || !strings.HasPrefix(got[0], at) || !strings.Contains(got[0], msg) {
		t.Errorf("errors = %q, want one at %s with %q, for\n%s", got, at, msg, text)
	}
}

// in makes a subject of groups of the only source.
func in(groups ...string) mapping.Subject { return from("scim", groups...) }

// from makes a subject of groups of one source.
func from(source string, groups ...string) mapping.Subject {
	var s mapping.Subject
	for _, g := range groups {
		s.Groups = append(s.Groups, mapping.GroupRef{Source: source, Name: g})
	}
	return s
}

// decide decides with the one configuration and five sites.
func decide(t testing.TB, s mapping.Subject, rules ...string) mapping.Decision {
	t.Helper()
	return mapping.Decide(parse(t, one, lines(rules...)), s, "main", five, now)
}

// wantAccess compares what a decision gives with its notation.
func wantAccess(t testing.TB, d mapping.Decision, want string) {
	t.Helper()
	if got := d.Access.String(); got != want {
		t.Errorf("access = %q, want %q (problems: %v)", got, want, d.Problems)
	}
}

// wantKinds compares the kinds of problems.
func wantKinds(t testing.TB, problems []mapping.Problem, want ...mapping.ProblemKind) {
	t.Helper()
	var got []mapping.ProblemKind
	for _, p := range problems {
		got = append(got, p.Kind)
		if p.Detail == "" || p.Rule.Key == "" {
			t.Errorf("problem %v does not say what or where", p)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("problems: %s", diff)
	}
}
