package extension

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/matomo-scim/bridge/scim/schema"
)

const urn = "urn:example:acme:2.0:User"

// acme is a declaration that is right.
func acme() []Schema {
	return []Schema{{
		ID: urn, Name: "AcmeUser", Description: "about people", Attributes: []Attribute{
			{Name: "costUnit", MultiValued: true, CanonicalValues: []string{"north"}, Description: "who pays"},
			{Name: "badge", Type: "integer", Mutability: "immutable", Required: true},
			{Name: "pin", Mutability: "writeOnly"},
			{Name: "floorPlan", Type: "reference"},
			{Name: "desk", Type: "complex", SubAttributes: []SubAttribute{{Name: "building"}, {Name: "floor", Type: "integer"}}},
		},
	}, {
		ID: "urn:example:acme:2.0:Group", Name: "AcmeGroup", Resource: "Group",
		Attributes: []Attribute{{Name: "owner", CaseExact: true}, {Name: "department"}},
	}}
}

func TestCheck(t *testing.T) {
	if found := Check(acme()); len(found) > 0 {
		t.Fatalf("right, and yet: %v", found)
	}
	if found := Check(nil); len(found) > 0 {
		t.Fatalf("nothing is declared: %v", found)
	}
	for name, tc := range map[string]struct {
		change func([]Schema)
		want   []string
	}{
		"no id":             {func(s []Schema) { s[0].ID = "" }, []string{"[0].id: the URN is missing"}},
		"no URN":            {func(s []Schema) { s[0].ID = "acme" }, []string{`[0].id: "acme" is no URN`}},
		"blank in the URN":  {func(s []Schema) { s[0].ID = "urn:a b" }, []string{`[0].id: "urn:a b" is no URN`}},
		"a standard URN":    {func(s []Schema) { s[0].ID = strings.ToUpper(schema.EnterpriseURN) }, []string{"[0].id: such URNs belong to the standard"}},
		"the same URN":      {func(s []Schema) { s[1].ID = strings.ToUpper(urn) }, []string{"[1].id: is already the id of schemas[0]"}},
		"no name":           {func(s []Schema) { s[1].Name = "" }, []string{"[1].name: the name is missing"}},
		"unknown resource":  {func(s []Schema) { s[1].Resource = "Device" }, []string{`[1].resource: "Device" is no resource`, `[1].attributes[1].name: "department" is an attribute of the standard already`}},
		"no attributes":     {func(s []Schema) { s[0].Attributes = nil }, []string{"[0].attributes: the schema has no attributes"}},
		"no attribute name": {func(s []Schema) { s[0].Attributes[1].Name = "" }, []string{"[0].attributes[1].name: the name is missing"}},
		"odd name":          {func(s []Schema) { s[0].Attributes[1].Name = "a.b" }, []string{`[0].attributes[1].name: "a.b" is no name`}},
		"declared twice":    {func(s []Schema) { s[0].Attributes[1].Name = "COSTUNIT" }, []string{`[0].attributes[1].name: "COSTUNIT" is already declared by schemas[0].attributes[0]`}},
		"declared by another schema": {
			func(s []Schema) { s[1].Resource, s[1].Attributes = "User", []Attribute{{Name: "Desk"}} },
			[]string{`[1].attributes[0].name: "Desk" is already declared by schemas[0].attributes[4]`},
		},
		"a core attribute":       {func(s []Schema) { s[0].Attributes[0].Name = "Title" }, []string{`[0].attributes[0].name: "Title" is an attribute of the standard already`}},
		"an enterprise one":      {func(s []Schema) { s[0].Attributes[0].Name = "department" }, []string{`[0].attributes[0].name: "department" is an attribute of the standard already`}},
		"unknown type":           {func(s []Schema) { s[0].Attributes[0].Type = "text" }, []string{`[0].attributes[0].type: "text" is no type here`}},
		"unknown mutability":     {func(s []Schema) { s[0].Attributes[0].Mutability = "never" }, []string{`[0].attributes[0].mutability: "never" is not known here`}},
		"canonical numbers":      {func(s []Schema) { s[0].Attributes[0].Type = "integer" }, []string{`[0].attributes[0].canonical_values: only text has canonical values`}},
		"complex without subs":   {func(s []Schema) { s[0].Attributes[4].SubAttributes = nil }, []string{"[0].attributes[4].sub_attributes: a complex attribute needs some"}},
		"subs without complex":   {func(s []Schema) { s[0].Attributes[4].Type = "" }, []string{"[0].attributes[4].sub_attributes: only a complex attribute has some"}},
		"complex within complex": {func(s []Schema) { s[0].Attributes[4].SubAttributes[0].Type = "complex" }, []string{`[0].attributes[4].sub_attributes[0].type: "complex" is no type here`}},
		"sub twice":              {func(s []Schema) { s[0].Attributes[4].SubAttributes[1].Name = "Building" }, []string{`[0].attributes[4].sub_attributes[1].name: "Building" is already declared by schemas[0].attributes[4].sub_attributes[0]`}},
		"several at once":        {func(s []Schema) { s[0].Name, s[1].ID = "", "x" }, []string{"[0].name: the name is missing", `[1].id: "x" is no URN`}},
	} {
		list := acme()
		tc.change(list)
		var got []string
		for _, p := range Check(list) {
			got = append(got, p.Path+": "+p.Msg)
			if p.Hint == "" {
				t.Errorf("%s: nothing is said about what to do", name)
			}
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s\ngot  %q\nwant %q", name, got, tc.want)
		}
	}
}

func TestTypes(t *testing.T) {
	users, groups, err := Types(acme())
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		urn + ":costUnit":                   "string true false false readWrite default",
		urn + ":badge":                      "integer false true false immutable default",
		urn + ":pin":                        "string false false false writeOnly never",
		urn + ":floorPlan":                  "reference false false true readWrite default",
		urn + ":desk":                       "complex false false false readWrite default",
		urn + ":desk.floor":                 "integer false false false readWrite default",
		"urn:example:acme:2.0:Group:owner":  "string false false true readWrite default",
		"URN:EXAMPLE:ACME:2.0:GROUP:OWNER":  "string false false true readWrite default",
		"urn:example:acme:2.0:Group:ownerX": "",
	} {
		rt := users
		if strings.Contains(strings.ToLower(name), "group") {
			rt = groups
		}
		got := ""
		if ref, ok := rt.LookupName(name); ok {
			a := ref.Leaf()
			got = fmt.Sprintf("%s %t %t %t %s %s", a.Type, a.MultiValued, a.Required, a.CaseExact, or(a.Mutability, "readWrite"), or(a.Returned, "default"))
		}
		if got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if users, groups, err = Types(nil); err != nil || len(users.Extensions) != 1 || len(groups.Extensions) != 0 {
		t.Errorf("nothing declared: %v", err)
	}
	for _, wrong := range [][]Schema{{{ID: "x"}}, {{ID: "x", Resource: "Group"}}} {
		if _, _, err := Types(wrong); err == nil {
			t.Errorf("%v was accepted", wrong)
		}
	}
}

// What Check finds right, Types can build.
func TestTypes_AgreesWithCheck(t *testing.T) {
	for _, kind := range types {
		for _, mutability := range mutabilities {
			list := []Schema{{ID: urn, Name: "n", Attributes: []Attribute{{Name: "a1", Type: kind, Mutability: mutability}}}}
			if kind == "complex" {
				list[0].Attributes[0].SubAttributes = []SubAttribute{{Name: "sub", Mutability: mutability}}
			}
			if found := Check(list); len(found) > 0 {
				t.Errorf("%s %s: %v", kind, mutability, found)
			}
			if _, _, err := Types(list); err != nil {
				t.Errorf("%s %s: %v", kind, mutability, err)
			}
		}
	}
}

func or(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}
