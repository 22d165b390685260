package mapping_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/matomo-scim/bridge/mapping"
	"github.com/matomo-scim/bridge/matomo/access"
)

// checkPlaces fails if an error lies outside its file, and otherwise that what
// parsed survives storage.
func checkPlaces(t *testing.T, name string, data []byte) {
	t.Helper()
	r, err := mapping.Parse([]mapping.File{{Name: name, Data: data}}, exampleOptions)
	if err == nil {
		checkStored(t, r)
		return
	}
	var list *mapping.ErrorList
	if !errors.As(err, &list) || len(list.Errors) == 0 {
		t.Fatalf("error %T: %v", err, err)
	}
	text := strings.Split(strings.TrimPrefix(string(data), "\ufeff"), "\n")
	for _, e := range list.Errors {
		if e.File != name || e.Line < 1 || e.Line > len(text) || e.Col < 1 || e.Msg == "" {
			t.Fatalf("error outside the file of %d lines: %v", len(text), e)
		}
		if name == "f.ini" && e.Col > utf8.RuneCountInString(text[e.Line-1])+1 {
			t.Fatalf("error outside its line %q: %v", text[e.Line-1], e)
		}
	}
}

// checkStored fails if the rules are not the same after storing.
func checkStored(t *testing.T, r *mapping.Rules) {
	t.Helper()
	if len(r.All()) == 0 {
		t.Fatal("no rules and no error")
	}
	text, err := r.Text()
	if err != nil {
		t.Fatal(err)
	}
	files, err := mapping.Unmarshal(text)
	if err != nil {
		t.Fatal(err)
	}
	again, err := mapping.Parse(files, exampleOptions)
	if err != nil {
		t.Fatalf("stored rules do not parse: %v\n%s", err, text)
	}
	a, b := r.All(), again.All()
	if len(a) != len(b) || r.Hash() != again.Hash() {
		t.Fatalf("%d rules became %d", len(a), len(b))
	}
	for i := range a {
		if diff := cmp.Diff(a[i].Ref, b[i].Ref); diff != "" {
			t.Fatal(diff)
		}
		for _, g := range a[i].Grants {
			if len(g.Site.Var)+len(g.RoleVar) > 0 {
				continue
			}
			back, err := mapping.ParseGrant(g.String(), exampleOptions)
			if err != nil || back.String() != g.String() {
				t.Fatalf("grant %q is written so that it reads as %q (%v)", g, back, err)
			}
		}
	}
}

func FuzzParseINI(f *testing.F) {
	for _, seed := range []string{
		example, configINI, "", "\ufeff[RoleMapping]\ngroup[a]=superuser", "[x", "group[",
		lines(`group["a""b"] = "site:name='x''y"":':view+a+b until 2027-01-01T00:00:00+02:00" ; c`),
		lines(`user[(a=\28*)] = site:group={x}:{y}`), lines("group[cn={a}+uid={b},dc=#0401ff] = site:{a}:{b}"),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) { checkPlaces(t, "f.ini", data) })
}

func FuzzParseYAML(f *testing.F) {
	for _, seed := range []string{
		yamlExample, "", "rules: [{group: a, grants: [superuser]}]\n---\n", "rules:\n- &a {group: a}\n- *a\n- <<: *a", "? [", "!!binary x", "%TAG ! x\n---\n\"\\", "rules: [{user: \"(a=b)\", grants: [!!str 1, |\n  x\n]}]",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) { checkPlaces(t, "f.yaml", data) })
}

// FuzzDecide looks at one person whom the fuzzer invents with rules it invents.
func FuzzDecide(f *testing.F) {
	f.Add(`group[Matomo-{site}-Viewers] = "site:{site}:view"`, "Matomo-9-Viewers", "cn=a,dc=b", "department", "Sales", true)
	f.Add(`group[cn={a},dc=b] = "site:name={a}:{a}, superuser"`, "CN=x\\2c, DC=#040141", "", "", "", false)
	f.Add(`user[(&(department=S*)(!(x>=1)))] = "site:*:admin, site:9:noaccess"`, "a", "b", "Department", "sales", true)
	f.Add(example[13:], "Matomo-SuperUsers", "Brand Shop view", "userType", "x", true)
	f.Fuzz(func(t *testing.T, rules, group, other, attr, value string, read bool) {
		r, err := mapping.Parse([]mapping.File{{Name: "f.ini", Data: []byte(lines(rules))}}, exampleOptions)
		if err != nil {
			return
		}
		s := from("okta", group, other)
		s.Attributes = mapping.SubjectAttributes(map[string][]string{attr: {value}})
		sites := five
		if !read {
			sites = nil
		}
		d := mapping.Decide(r, s, "main", sites, now)
		turned := from("okta", other, group)
		turned.Attributes = s.Attributes
		if diff := cmp.Diff(d, mapping.Decide(r, turned, "main", sites, now)); diff != "" {
			t.Fatal("the order of groups counts:", diff)
		}
		checkDecision(t, d, sites)
	})
}

// checkDecision fails if a decision contradicts itself.
func checkDecision(t *testing.T, d mapping.Decision, sites []access.Site) {
	t.Helper()
	if d.Access.Superuser && (d.SuperuserDenied || len(d.Access.Sites) > 0 || len(d.Denied) > 0) {
		t.Fatalf("superuser against noaccess, or with sites: %+v", d)
	}
	if d.WithoutSuperuser.Superuser || !d.Access.Superuser && !d.Access.Equal(d.WithoutSuperuser) {
		t.Fatalf("without superuser %v, with %v", d.WithoutSuperuser, d.Access)
	}
	if len(d.WithoutSuperuser.Sites) > len(sites) {
		t.Fatalf("sites out of nowhere: %v", d.WithoutSuperuser)
	}
	if !d.ValidUntil.IsZero() && !d.ValidUntil.After(now) {
		t.Fatalf("valid until the past: %v", d.ValidUntil)
	}
	if got := d.Keep(d.Origins()); !access.Merge(d.WithoutSuperuser, got).Equal(d.WithoutSuperuser) {
		t.Fatalf("keeps %v beyond what it gives, %v", got, d.WithoutSuperuser)
	}
}
