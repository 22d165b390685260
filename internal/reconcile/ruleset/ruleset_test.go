package ruleset_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/reconcile/ruleset"
	"github.com/matomo-scim/bridge/mapping"
)

// row is the active row.
type row struct {
	set bindings.RuleSet
	err error
}

func (r *row) ActiveRules(context.Context) (bindings.RuleSet, error) { return r.set, r.err }

// activate makes an INI text the active rules.
func (r *row) activate(t *testing.T, text string) {
	t.Helper()
	files := []mapping.File{{Name: "rules.ini", Data: []byte(text)}}
	stored, err := mapping.Marshal(files)
	if err != nil {
		t.Fatal(err)
	}
	r.set = bindings.RuleSet{Hash: text, Text: stored}
}

const one, two = "[RoleMapping]\ngroup[A] = \"site:1:view\"\n", "[RoleMapping]\ngroup[A] = \"site:1:view\"\ngroup[B] = \"site:2:view\"\n"

func TestCache_ParsesEachContentOnce(t *testing.T) {
	var r row
	loaded := 0
	c := ruleset.New(&r, mapping.Options{Targets: []string{"main"}}, func(*mapping.Rules) { loaded++ })
	if _, err := c.Active(t.Context()); !errors.Is(err, ruleset.ErrNone) {
		t.Fatalf("no row: %v", err)
	}
	for i, text := range []string{one, one, two, two} {
		r.activate(t, text)
		rules, err := c.Active(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if want := i/2 + 1; len(rules.All()) != want || loaded != want {
			t.Errorf("look %d: %d rules, parsed %d times", i, len(rules.All()), loaded)
		}
	}
}

func TestCache_FailuresAreNeverNoRules(t *testing.T) {
	r := row{err: errors.New("no answer")}
	c := ruleset.New(&r, mapping.Options{Targets: []string{"main"}}, func(*mapping.Rules) {})
	if rules, err := c.Active(t.Context()); rules != nil || !errors.Is(err, r.err) {
		t.Errorf("database: %v, %v", rules, err)
	}
	r = row{set: bindings.RuleSet{Hash: "h", Text: "{"}}
	if rules, err := c.Active(t.Context()); rules != nil || err == nil || !strings.Contains(err.Error(), "active rules h") {
		t.Errorf("text: %v, %v", rules, err)
	}
	r.activate(t, "[RoleMapping]\ngroup[A] = \"nonsense\"\n")
	if rules, err := c.Active(t.Context()); rules != nil || err == nil {
		t.Errorf("rules: %v, %v", rules, err)
	}
}

func TestCache_UseWinsOverTheRow(t *testing.T) {
	var r row
	c := ruleset.New(&r, mapping.Options{Targets: []string{"main"}}, func(*mapping.Rules) {})
	r.activate(t, one)
	rules, err := mapping.Parse([]mapping.File{{Name: "rules.ini", Data: []byte(two)}}, mapping.Options{Targets: []string{"main"}})
	if err != nil {
		t.Fatal(err)
	}
	c.Use(rules)
	if got, err := c.Active(t.Context()); got != rules || err != nil {
		t.Errorf("%v, %v", got, err)
	}
}

// Who may confer superuser is no part of the row: other options mean reading it anew.
func TestCache_ReparseUsesTheNewOptions(t *testing.T) {
	var r row
	opt := mapping.Options{Targets: []string{"main"}, Sources: []string{"okta"}, SuperuserSources: []string{"okta"}}
	c := ruleset.New(&r, opt, func(*mapping.Rules) {})
	r.activate(t, "[RoleMapping]\ngroup[A] = \"superuser\"\n")
	if _, err := c.Active(t.Context()); err != nil {
		t.Fatal(err)
	}
	opt.SuperuserSources = []string{}
	c.Reparse(opt)
	if rules, err := c.Active(t.Context()); err == nil {
		t.Errorf("%d rules, want an error: no source may confer superuser any more", len(rules.All()))
	}
}

// What is logged of a change is bounded, and a rule that only moved is not in it.
func TestDiff(t *testing.T) {
	parse := func(text string) *mapping.Rules {
		t.Helper()
		rules, err := mapping.Parse([]mapping.File{{Name: "rules.ini", Data: []byte("[RoleMapping]\n" + text)}}, mapping.Options{Targets: []string{"main"}})
		if err != nil {
			t.Fatal(err)
		}
		return rules
	}
	const a, b = "group[A] = \"site:1:view\"\n", "group[B] = \"site:2:view\"\n"
	if added, removed := ruleset.Diff(parse(a+b), parse("; sorted anew\n"+b+a)); added != nil || removed != nil {
		t.Errorf("moved: added %q, removed %q", added, removed)
	}
	added, removed := ruleset.Diff(parse(a), parse(b))
	if len(added) != 1 || added[0] != "rules.ini:2 group[B] = site:2:view" || len(removed) != 1 || removed[0] != "rules.ini:2 group[A] = site:1:view" {
		t.Errorf("added %q, removed %q", added, removed)
	}
	var many strings.Builder
	for i := range ruleset.MaxDiff + 5 {
		many.WriteString("group[G" + strings.Repeat("x", i) + "] = \"site:1:view\"\n")
	}
	if added, removed = ruleset.Diff(nil, parse(many.String())); len(added) != ruleset.MaxDiff+1 || added[ruleset.MaxDiff] != "and more" || removed != nil {
		t.Errorf("%d lines added, %d removed", len(added), len(removed))
	}
}
