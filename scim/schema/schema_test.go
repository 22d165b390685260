package schema_test

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/scim/schema"
)

func TestLookup(t *testing.T) {
	rt := schema.User()
	for _, tc := range []struct {
		name, want string
		short      bool
	}{
		{"userName", "userName", false},
		{"USERNAME", "userName", false},
		{"name.FAMILYNAME", "name.familyName", false},
		{"id", "id", false},
		{"meta.lastmodified", "meta.lastModified", false},
		{"members", "-", false},
		{"nope", "-", false},
		{"name.nope", "-", false},
		{"userName.value", "-", false},
		{coreURN + ":userName", "userName", false},
		{strings.ToUpper(coreURN) + ":name.familyName", "name.familyName", false},
		{coreURN + ":nope", "-", false},
		{coreURN + ":department", "-", false},
		{coreURN, "", false},
		{entURN, entURN, false},
		{strings.ToLower(entURN), entURN, false},
		{entURN + ":department", entURN + ":department", false},
		{entURN + ":manager.value", entURN + ":manager.value", false},
		{entURN + ":manager.$ref", entURN + ":manager.$ref", false},
		{entURN + ":userName", "-", false},
		{"manager", entURN + ":manager", true},
		{"Manager.Value", entURN + ":manager.value", true},
		{"urn:other:User:department", "-", false},
		{"", "-", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ref, ok := rt.LookupName(tc.name)
			if !ok {
				if tc.want != "-" {
					t.Errorf("not found, want %q", tc.want)
				}
				return
			}
			if ref.String() != tc.want || ref.Short != tc.short {
				t.Errorf("%q, short %v; want %q, %v", ref, ref.Short, tc.want, tc.short)
			}
		})
	}
	t.Run("URN that ends in a version", func(t *testing.T) {
		s := custom()
		s.ID = "urn:example:custom:1.0"
		rt, err := schema.NewUser(s)
		if err != nil {
			t.Fatal(err)
		}
		if ref, ok := rt.LookupName("urn:example:custom:1.0"); !ok || ref.Extension != s || ref.Attr != nil {
			t.Errorf("%v, %v", ref, ok)
		}
		if ref, ok := rt.LookupName("urn:example:custom:1.0:badge"); !ok || ref.Attr.Name != "badge" {
			t.Errorf("%v, %v", ref, ok)
		}
	})
}

func TestRef(t *testing.T) {
	rt := schema.User()
	doc := decode(t, `{"userName":"a","name":{"givenName":"b"},"`+entURN+`":{"department":"d"}}`)
	for _, tc := range []struct {
		name     string
		want     any
		readOnly bool
	}{
		{"userName", "a", false},
		{"name.givenName", map[string]any{"givenName": "b"}, false},
		{"title", nil, false},
		{entURN + ":department", "d", false},
		{entURN + ":division", nil, false},
		{entURN, map[string]any{"department": "d"}, false},
		{coreURN, doc, false},
		{"id", nil, true},
		{"groups.value", nil, true},
		{"manager.displayName", nil, true},
	} {
		ref, ok := rt.LookupName(tc.name)
		if !ok || !schema.Equal(ref.Value(doc), tc.want) || ref.ReadOnly() != tc.readOnly {
			t.Errorf("%s: found %v, value %v, read-only %v", tc.name, ok, ref.Value(doc), ref.ReadOnly())
		}
	}
	ref, _ := rt.LookupName(entURN + ":department")
	if got := ref.Value(schema.Document{}); got != nil {
		t.Errorf("value without the extension: %v", got)
	}
}

// TestTables holds the characteristics that other parts rely on.
func TestTables(t *testing.T) {
	user, group := schema.User(), schema.Group()
	for _, tc := range []struct {
		rt    *schema.ResourceType
		name  string
		check func(*schema.Attribute) bool
	}{
		{user, "userName", func(a *schema.Attribute) bool {
			return a.Required && !a.CaseExact && a.Uniqueness == schema.UniqueServer
		}},
		{user, "id", func(a *schema.Attribute) bool {
			return a.CaseExact && a.Mutability == schema.ReadOnly && a.Returned == schema.ReturnedAlways
		}},
		{user, "externalId", func(a *schema.Attribute) bool { return a.CaseExact && a.Mutability == schema.ReadWrite }},
		{user, "password", func(a *schema.Attribute) bool {
			return a.Mutability == schema.WriteOnly && a.Returned == schema.ReturnedNever
		}},
		{user, "meta.created", func(a *schema.Attribute) bool { return a.Type == schema.DateTime && a.Mutability == schema.ReadOnly }},
		{user, "emails.value", func(a *schema.Attribute) bool { return a.Type == schema.String && !a.CaseExact }},
		{user, "emails.primary", func(a *schema.Attribute) bool { return a.Type == schema.Boolean }},
		{user, "emails.type", func(a *schema.Attribute) bool { return len(a.CanonicalValues) == 3 }},
		{user, "photos.value", func(a *schema.Attribute) bool { return a.Type == schema.Reference && a.CaseExact }},
		{user, "x509Certificates.value", func(a *schema.Attribute) bool { return a.Type == schema.Binary && a.CaseExact }},
		{user, "groups", func(a *schema.Attribute) bool { return a.Mutability == schema.ReadOnly && a.MultiValued && !a.Set() }},
		{user, "manager.displayName", func(a *schema.Attribute) bool { return a.Mutability == schema.ReadOnly }},
		{user, "manager.$ref", func(a *schema.Attribute) bool { return a.Type == schema.Reference && a.ReferenceTypes[0] == "User" }},
		{group, "displayName", func(a *schema.Attribute) bool { return a.Required && !a.CaseExact }},
		{group, "members", func(a *schema.Attribute) bool { return a.MultiValued && a.Set() && a.Type == schema.Complex }},
		{group, "members.value", func(a *schema.Attribute) bool { return a.Mutability == schema.Immutable && a.CaseExact && a.Required }},
		{group, "members.type", func(a *schema.Attribute) bool { return len(a.CanonicalValues) == 2 }},
	} {
		ref, ok := tc.rt.LookupName(tc.name)
		if !ok || !tc.check(ref.Leaf()) {
			t.Errorf("%s of %s: %+v", tc.name, tc.rt.Name, ref.Leaf())
		}
	}
	if schema.User() != user || schema.Group() != group {
		t.Error("resource types are built more than once")
	}
	for _, name := range []string{"emails", "phoneNumbers", "ims", "photos", "addresses", "entitlements", "roles", "x509Certificates"} {
		if ref, ok := user.LookupName(name + ".primary"); !ok || !ref.Attr.MultiValued {
			t.Errorf("%s has no primary", name)
		}
	}
}

// TestDocuments_D02 checks what /Schemas and /ResourceTypes show (D02 to D05):
// no nulls, every characteristic, sub-attributes.
func TestDocuments_D02(t *testing.T) {
	for _, rt := range []*schema.ResourceType{schema.User(), schema.Group(), customUser(t)} {
		for _, s := range rt.Schemas() {
			data, err := json.Marshal(s.Document("https://x.example/scim/v2"))
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(data), "null") {
				t.Errorf("%s has nulls: %s", s.ID, data)
			}
			doc := decode(t, string(data))
			if loc := doc["meta"].(map[string]any)["location"]; loc != "https://x.example/scim/v2/Schemas/"+s.ID {
				t.Errorf("location %v", loc)
			}
			checkAttributes(t, s.ID, doc["attributes"].([]any))
		}
	}
}

func checkAttributes(t *testing.T, where string, attrs []any) {
	t.Helper()
	if len(attrs) == 0 {
		t.Errorf("%s: no attributes", where)
	}
	for _, e := range attrs {
		a := e.(map[string]any)
		name := where + "/" + a["name"].(string)
		for _, trait := range []string{"type", "multiValued", "description", "required", "mutability", "returned"} {
			if v, ok := a[trait]; !ok || v == "" && trait != "description" {
				t.Errorf("%s lacks %s", name, trait)
			}
		}
		_, hasCase := a["caseExact"]
		switch a["type"] {
		case "complex":
			checkAttributes(t, name, a["subAttributes"].([]any))
		case "string", "reference", "binary", "dateTime":
			if !hasCase || a["uniqueness"] == nil {
				t.Errorf("%s lacks caseExact or uniqueness", name)
			}
		default:
			if hasCase {
				t.Errorf("%s has caseExact", name)
			}
		}
		if _, ok := a["referenceTypes"]; a["type"] == "reference" != ok {
			t.Errorf("%s: referenceTypes %v", name, ok)
		}
	}
}

func TestDocuments_D04(t *testing.T) {
	user, group := schema.User().Document("https://x.example"), schema.Group().Document("https://x.example")
	if user["endpoint"] != "/Users" || user["schema"] != schema.UserURN || group["endpoint"] != "/Groups" {
		t.Errorf("%v\n%v", user, group)
	}
	ext := user["schemaExtensions"].([]any)[0].(map[string]any)
	if ext["schema"] != schema.EnterpriseURN || ext["required"] != false {
		t.Errorf("extension %v", ext)
	}
	if _, ok := group["schemaExtensions"]; ok {
		t.Error("groups have no extension")
	}
}

// TestCanonicalize_AnyBody checks on bodies made of real names and odd values
// that canonicalising twice changes nothing, that the body is left alone, and
// that strict mode never accepts what tolerant mode refuses.
func TestCanonicalize_AnyBody(t *testing.T) {
	names := []string{"userName", "USERNAME", "name", "emails", "active", "id", "meta", "schemas", "title", "manager", "name.givenName", "foo", "roles", entURN, coreURN, entURN + ":department", "urn:x:y"}
	subs := []string{"value", "VALUE", "type", "primary", "givenName", "department", "manager", "foo", "$ref", "displayName"}
	scalar := rapid.SampledFrom([]any{nil, "", "a", "true", true, false, json.Number("1"), schema.UserURN})
	object := rapid.Map(rapid.MapOfN(rapid.SampledFrom(subs), scalar, 0, 4), func(m map[string]any) any { return m })
	one := rapid.OneOf(scalar, object)
	value := rapid.OneOf(one, rapid.Map(rapid.SliceOfN(one, 0, 3), func(l []any) any { return l }))
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.MapOfN(rapid.SampledFrom(names), value, 0, 6).Draw(t, "body")
		before := schema.Clone(body)
		got, _, err := schema.User().Canonicalize(body, schema.Mode{})
		if !schema.Equal(before, body) {
			t.Fatal("the body was changed")
		}
		_, fixups, strictErr := schema.User().Canonicalize(body, schema.Mode{Strict: true})
		if err != nil {
			if strictErr == nil {
				t.Fatalf("strict mode accepts what tolerant mode refuses: %v", err)
			}
			return
		}
		if strictErr == nil && len(fixups) > 0 {
			t.Fatalf("strict mode forgave %v", fixups)
		}
		again, _, err := schema.User().Canonicalize(got, schema.Mode{})
		if err != nil || !schema.Equal(again, got) {
			t.Fatalf("not stable: %v\n%v\n%v", err, got, again)
		}
		if _, ok := got["password"]; ok {
			t.Fatal("password kept")
		}
	})
}
