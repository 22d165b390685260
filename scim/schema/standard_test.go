package schema_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/matomo-scim/bridge/scim/schema"
)

// The characteristics in the figures of RFC 7643 section 8.7.1, one attribute a line: name, type ("+" for multi-valued, "!" for required), caseExact where it
// has a meaning, mutability, returned, uniqueness where it is not none, then the canonical values or reference types.
const (
	userFigure = `
userName string! readWrite default server
name complex readWrite default
name.formatted string readWrite default
name.familyName string readWrite default
name.givenName string readWrite default
name.middleName string readWrite default
name.honorificPrefix string readWrite default
name.honorificSuffix string readWrite default
displayName string readWrite default
nickName string readWrite default
profileUrl reference readWrite default external
title string readWrite default
userType string readWrite default
preferredLanguage string readWrite default
locale string readWrite default
timezone string readWrite default
active boolean readWrite default
password string writeOnly never
emails complex+ readWrite default
emails.value string readWrite default
emails.display string readWrite default
emails.type string readWrite default work home other
emails.primary boolean readWrite default
phoneNumbers complex+ readWrite default
phoneNumbers.value string readWrite default
phoneNumbers.display string readWrite default
phoneNumbers.type string readWrite default work home mobile fax pager other
phoneNumbers.primary boolean readWrite default
ims complex+ readWrite default
ims.value string readWrite default
ims.display string readWrite default
ims.type string readWrite default aim gtalk icq xmpp msn skype qq yahoo
ims.primary boolean readWrite default
photos complex+ readWrite default
photos.value reference readWrite default external
photos.display string readWrite default
photos.type string readWrite default photo thumbnail
photos.primary boolean readWrite default
addresses complex+ readWrite default
addresses.formatted string readWrite default
addresses.streetAddress string readWrite default
addresses.locality string readWrite default
addresses.region string readWrite default
addresses.postalCode string readWrite default
addresses.country string readWrite default
addresses.type string readWrite default work home other
groups complex+ readOnly default
groups.value string readOnly default
groups.$ref reference readOnly default User Group
groups.display string readOnly default
groups.type string readOnly default direct indirect
entitlements complex+ readWrite default
entitlements.value string readWrite default
entitlements.display string readWrite default
entitlements.type string readWrite default
entitlements.primary boolean readWrite default
roles complex+ readWrite default
roles.value string readWrite default
roles.display string readWrite default
roles.type string readWrite default
roles.primary boolean readWrite default
x509Certificates complex+ readWrite default
x509Certificates.value binary readWrite default
x509Certificates.display string readWrite default
x509Certificates.type string readWrite default
x509Certificates.primary boolean readWrite default
`
	groupFigure = `
displayName string readWrite default
members complex+ readWrite default
members.value string immutable default
members.$ref reference immutable default User Group
members.type string immutable default User Group
`
	enterpriseFigure = `
employeeNumber string readWrite default
costCenter string readWrite default
organization string readWrite default
division string readWrite default
department string readWrite default
manager complex readWrite default
manager.value string readWrite default
manager.$ref reference readWrite default User
manager.displayName string readOnly default
`
	// commonText is section 3.1, which has no figure: "caseExact" there is the word "case-exact" of its text.
	commonText = `
schemas reference+! exact readWrite always uri
id string exact readOnly always server
externalId string exact readWrite default
meta complex readOnly default
meta.resourceType string exact readOnly default
meta.created dateTime readOnly default
meta.lastModified dateTime readOnly default
meta.location reference exact readOnly default uri
meta.version string exact readOnly default
`
)

// deviations are where this service is stricter than a figure, and says so in its own schema documents: URIs, ids and certificates are compared exactly; a group
// has a name of its own; addresses have the primary and members the display that section 2.4 gives to all lists.
var deviations = map[string]string{
	"profileUrl reference readWrite default external":         "profileUrl reference exact readWrite default external",
	"photos.value reference readWrite default external":       "photos.value reference exact readWrite default external",
	"groups.value string readOnly default":                    "groups.value string exact readOnly default",
	"groups.$ref reference readOnly default User Group":       "groups.$ref reference exact readOnly default User Group",
	"x509Certificates.value binary readWrite default":         "x509Certificates.value binary exact readWrite default",
	"manager.value string readWrite default":                  "manager.value string exact readWrite default",
	"manager.$ref reference readWrite default User":           "manager.$ref reference exact readWrite default User",
	"displayName string readWrite default (group)":            "displayName string! readWrite default server",
	"members.value string immutable default":                  "members.value string! exact immutable default",
	"members.$ref reference immutable default User Group":     "members.$ref reference exact immutable default User Group",
	"members.type string immutable default User Group":        "members.type string immutable default User Group\nmembers.display string immutable default",
	"addresses.type string readWrite default work home other": "addresses.type string readWrite default work home other\naddresses.primary boolean readWrite default",
}

// line writes an attribute as the figures above do.
func line(prefix string, a *schema.Attribute) string {
	words := []string{prefix + a.Name, string(a.Type)}
	if a.MultiValued {
		words[1] += "+"
	}
	if a.Required {
		words[1] += "!"
	}
	if a.CaseExact {
		words = append(words, "exact")
	}
	words = append(words, a.Mutability, a.Returned)
	if a.Uniqueness != schema.UniqueNone {
		words = append(words, a.Uniqueness)
	}
	return strings.Join(append(append(words, a.CanonicalValues...), a.ReferenceTypes...), " ")
}

// lines writes attributes with their sub-attributes.
func lines(prefix string, attrs []schema.Attribute) []string {
	var out []string
	for i := range attrs {
		out = append(out, line(prefix, &attrs[i]))
		out = append(out, lines(prefix+attrs[i].Name+".", attrs[i].SubAttributes)...)
	}
	return out
}

// TestFigures compares the tables with the figures of the RFC, attribute by attribute and in their order, but for the deviations, each of which must be in use.
func TestFigures(t *testing.T) {
	used := map[string]bool{}
	expected := func(figure, mark string) []string {
		var out []string
		for l := range strings.SplitSeq(strings.TrimSpace(figure), "\n") {
			for _, key := range []string{l + mark, l} {
				if ours, ok := deviations[key]; ok {
					used[key] = true
					l = ours
					break
				}
			}
			out = append(out, strings.Split(l, "\n")...)
		}
		return out
	}
	user, group := schema.User(), schema.Group()
	for name, tc := range map[string]struct{ want, got []string }{
		"user":       {expected(userFigure, ""), lines("", user.Core.Attributes)},
		"group":      {expected(groupFigure, " (group)"), lines("", group.Core.Attributes)},
		"enterprise": {expected(enterpriseFigure, ""), lines("", user.Extensions[0].Attributes)},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, tc.got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	for key := range deviations {
		if !used[key] {
			t.Errorf("deviation from a line that no figure has: %s", key)
		}
	}
	for name, rt := range map[string]*schema.ResourceType{"user": user, "group": group} {
		t.Run("common attributes of a "+name, func(t *testing.T) {
			var got []string
			for _, common := range []string{"schemas", "id", "externalId", "meta"} {
				ref, ok := rt.LookupName(common)
				if !ok {
					t.Fatalf("%s is not found", common)
				}
				got = append(got, line("", ref.Attr))
				got = append(got, lines(common+".", ref.Attr.SubAttributes)...)
			}
			if diff := cmp.Diff(strings.Split(strings.TrimSpace(commonText), "\n"), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestStandard_Described checks that every attribute says what it is, in a sentence of its own, and that common attributes are in no schema document.
func TestStandard_Described(t *testing.T) {
	var check func(where string, attrs []schema.Attribute)
	check = func(where string, attrs []schema.Attribute) {
		for _, a := range attrs {
			if a.Description == "" || !strings.HasSuffix(a.Description, ".") {
				t.Errorf("%s.%s is described as %q", where, a.Name, a.Description)
			}
			if a.Name == "id" || a.Name == "externalId" || a.Name == "meta" || a.Name == "schemas" {
				t.Errorf("%s.%s is not part of a schema (RFC 7643 section 3.1)", where, a.Name)
			}
			check(where+"."+a.Name, a.SubAttributes)
		}
	}
	for _, rt := range []*schema.ResourceType{schema.User(), schema.Group()} {
		for _, s := range rt.Schemas() {
			if s.Name == "" || s.Description == "" {
				t.Errorf("%s has no name or description", s.ID)
			}
			check(s.Name, s.Attributes)
		}
	}
}

// TestWords checks that the words that schema lends from the packages below are the ones of the RFC.
func TestWords(t *testing.T) {
	for want, got := range map[string]string{
		"invalidFilter": schema.InvalidFilter, "invalidSyntax": schema.InvalidSyntax, "invalidPath": schema.InvalidPath, "invalidValue": schema.InvalidValue,
		"invalidVers": schema.InvalidVers, "noTarget": schema.NoTarget, "mutability": schema.Mutability, "uniqueness": schema.Uniqueness,
		"tooMany": schema.TooMany, "sensitive": schema.Sensitive,
		"readOnly": schema.ReadOnly, "readWrite": schema.ReadWrite, "immutable": schema.Immutable, "writeOnly": schema.WriteOnly,
		"always": schema.ReturnedAlways, "never": schema.ReturnedNever, "default": schema.ReturnedDefault, "request": schema.ReturnedRequest,
		"none": schema.UniqueNone, "server": schema.UniqueServer, "global": schema.UniqueGlobal,
		"string": string(schema.String), "boolean": string(schema.Boolean), "decimal": string(schema.Decimal), "integer": string(schema.Integer),
		"dateTime": string(schema.DateTime), "reference": string(schema.Reference), "complex": string(schema.Complex), "binary": string(schema.Binary),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if !schema.Empty([]any{}) || schema.Empty("") || !schema.EqualName("$REF", "$ref") || !schema.ValidName("$ref") || schema.Fold("ÄB") != "äb" {
		t.Error("a function is not the one of the package below")
	}
	if urn, attr, sub := schema.SplitName("urn:a:b.c"); urn != "urn:a" || attr != "b" || sub != "c" {
		t.Errorf("%q, %q, %q", urn, attr, sub)
	}
	if at, ok := schema.ParseTime("2026-01-31T13:00:00+01:00"); !ok || at.UTC().Hour() != 12 {
		t.Errorf("%v, %v", at, ok)
	}
	c := schema.Clone(schema.Document{"a": []any{"b"}})
	if !schema.Equal(c, schema.Document{"a": []any{"b"}}) {
		t.Errorf("%v", c)
	}
}

// TestDecode_Error checks that what is no JSON is an invalidSyntax to the client, with the text of the decoder.
func TestDecode_Error(t *testing.T) {
	_, err := schema.Decode([]byte(`{"a":1,"a":2}`))
	wantError(t, err, schema.InvalidSyntax, `invalid JSON at byte 7: the name "a" is there twice`)
	text, size, err := schema.Unquote(`"a\x"`)
	wantError(t, err, schema.InvalidSyntax, "invalid string at byte 2: an unknown escape")
	if text != "" || size != 2 {
		t.Errorf("%q, %d", text, size)
	}
	if text, size, err = schema.Unquote(`"a\n" x`); text != "a\n" || size != 5 || err != nil {
		t.Errorf("%q, %d, %v", text, size, err)
	}
}

// TestNewResourceTypes checks which URNs are taken, and that what is built has the extensions in order.
func TestNewResourceTypes(t *testing.T) {
	other := custom()
	other.ID = "urn:example:other"
	for _, tc := range []struct {
		name  string
		build func(...*schema.Schema) (*schema.ResourceType, error)
		extra []*schema.Schema
		want  []string // URNs of the schemas; nil for an error
	}{
		{"user", schema.NewUser, nil, []string{schema.UserURN, schema.EnterpriseURN}},
		{"group", schema.NewGroup, nil, []string{schema.GroupURN}},
		{"user with two", schema.NewUser, []*schema.Schema{custom(), other}, []string{schema.UserURN, schema.EnterpriseURN, custom().ID, other.ID}},
		{"group with one", schema.NewGroup, []*schema.Schema{other}, []string{schema.GroupURN, other.ID}},
		{"same twice", schema.NewUser, []*schema.Schema{custom(), custom()}, nil},
		{"user core", schema.NewUser, []*schema.Schema{{ID: strings.ToUpper(schema.UserURN)}}, nil},
		{"user enterprise", schema.NewUser, []*schema.Schema{{ID: schema.EnterpriseURN}}, nil},
		{"group core", schema.NewGroup, []*schema.Schema{{ID: schema.GroupURN}}, nil},
		{"no URN", schema.NewGroup, []*schema.Schema{{ID: "custom"}}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rt, err := tc.build(tc.extra...)
			if (err != nil) != (tc.want == nil) {
				t.Fatalf("%v", err)
			}
			if err != nil {
				return
			}
			var got []string
			for _, s := range rt.Schemas() {
				got = append(got, s.ID)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	t.Run("a group may have the enterprise extension", func(t *testing.T) {
		if _, err := schema.NewGroup(&schema.Schema{ID: schema.EnterpriseURN, Attributes: custom().Attributes}); err != nil {
			t.Error(err)
		}
	})
}
