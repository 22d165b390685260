package filter_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/scim/filter"
	"github.com/matomo-scim/bridge/scim/schema"
)

const (
	coreURN = "urn:ietf:params:scim:schemas:core:2.0:User"
	entURN  = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
)

var tolerant = filter.Options{Tolerant: true}

func wantError(t testing.TB, err error, scimType, contains string) {
	t.Helper()
	var e *schema.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v is no *schema.Error", err)
	}
	if e.ScimType != scimType || !strings.Contains(e.Error(), contains) {
		t.Errorf("%s %q, want %s %q", e.ScimType, e.Error(), scimType, contains)
	}
}

func document(t testing.TB, text string) schema.Document {
	t.Helper()
	doc, err := schema.Decode([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return doc
}

func parse(t testing.TB, text string) filter.Expr {
	t.Helper()
	e, err := filter.Parse(text, tolerant)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return e
}

// people are the users that the filters of the checklist are asked of.
func people(t testing.TB) []schema.Document {
	return []schema.Document{
		document(t, `{"id":"1","userName":"Zeta@y.net","externalId":"Ext-1","name":{"familyName":"Zeta","givenName":"Ada"},"title":"Boss","active":true,
			"emails":[{"value":"z@y.net","type":"work","primary":true},{"value":"z@home.org","type":"home"}],
			"meta":{"resourceType":"User","created":"2026-01-01T10:00:00Z","lastModified":"2026-02-01T10:00:00.5Z"},
			"schemas":["`+coreURN+`","`+entURN+`"],
			"`+entURN+`":{"department":"Eng","employeeNumber":"17","manager":{"value":"m-1","displayName":"Max"}}}`),
		document(t, `{"id":"2","userName":"abel","externalId":"ext-1","name":{"familyName":"Abel"},"title":"Sa\"y","active":false,
			"emails":[{"value":"a@y.net","type":"home"},{"value":"a@work.org","type":"work"}],
			"meta":{"resourceType":"User","created":"2014-01-01T10:00:00+02:00","lastModified":"2014-01-01T10:00:00Z"},"schemas":["`+coreURN+`"]}`),
		document(t, `{"id":"3","userName":"young","name":{"familyName":"Young"},"title":"","password":"secret","kept":"x",
			"roles":[{"value":"r"}],"meta":{"resourceType":"User","created":"2026-01-01T12:00:00+02:00"}}`),
		document(t, `{"id":"4","userName":"bare"}`),
	}
}

// TestMatch asks each filter of all people; want has the ids of those it finds.
func TestMatch(t *testing.T) {
	all := people(t)
	for _, tc := range []struct{ id, in, want string }{
		{"F01", `name.familyName eq "Zeta"`, "1"},
		{"F02", `name.familyName ne "Zeta"`, "234"},
		{"F03", `name.familyName co "oun"`, "3"},
		{"F04", `name.familyName sw "Ab"`, "2"},
		{"F05", `name.familyName ew "ta"`, "1"},
		{"F06", `title pr`, "12"},
		{"F06 of an object", `name pr`, "123"},
		{"F06 of a list", `emails pr`, "12"},
		{"F06 of a boolean that is false", `active pr`, "12"},
		{"F07", `not (title pr)`, "34"},
		{"F08", `name.familyName gt "M"`, "13"},
		{"F08 ge", `name.familyName ge "young"`, "13"},
		{"F08 lt", `name.familyName lt "zeta"`, "23"},
		{"F09", `name.familyName le "Young"`, "23"},
		{"F10", `meta.created gt "2015-10-10T14:38:21.8617979-07:00"`, "13"},
		{"F11", `meta.lastModified lt "2015-10-10T14:38:21Z"`, "2"},
		{"dates are instants", `meta.created eq "2026-01-01T05:00:00-05:00"`, "13"},
		{"dates are instants, ne", `meta.created ne "2026-01-01T05:00:00-05:00"`, "24"},
		{"dates with decimals", `meta.lastModified ge "2026-02-01T10:00:00.500Z"`, "1"},
		{"dates with decimals, gt", `meta.lastModified gt "2026-02-01T10:00:00.500Z"`, ""},
		{"dates with le", `meta.lastModified le "2026-02-01T10:00:00.5Z"`, "12"},
		{"dates as text", `meta.created sw "2026-01"`, "13"},
		{"F12", `name.familyName eq "Abel" or name.familyName eq "Zeta" and title eq "none"`, "2"},
		{"F13", `(name.familyName eq "Abel" or name.familyName eq "Zeta") and title eq "Boss"`, "1"},
		{"F14", `not (name.familyName eq "Abel" or name.familyName eq "Zeta")`, "34"},
		{"F15", `emails[type eq "work" and value co "@y.net"]`, "1"},
		{"F16", `emails[type eq "home" and value co "@y.net"]`, "2"},
		{"value path with not", `emails[not (type eq "work") and value co "@y.net"]`, "2"},
		{"value path with pr", `emails[primary pr]`, "1"},
		{"value path of plain values", `schemas[value eq "` + entURN + `"]`, "1"},
		{"F17", `emails.value ew "@y.net"`, "12"},
		{"F17 ne: any value differs", `emails.type ne "work"`, "1234"},
		{"F18", `name.familyName EQ "Zeta" AND title Pr`, "1"},
		{"F19", `NAME.FAMILYNAME eq "Zeta"`, "1"},
		{"F20", `name.familyName eq "ZETA"`, "1"},
		{"F20 co", `name.familyName co "ET"`, "1"},
		{"F21", `userName eq "zeta@Y.NET"`, "1"},
		{"F22", `externalId eq "Ext-1"`, "1"},
		{"F22 ne", `externalId ne "Ext-1"`, "234"},
		{"F22 co", `externalId sw "ext"`, "2"},
		{"F23", coreURN + `:name.familyName eq "Zeta"`, "1"},
		{"F24", entURN + `:department eq "Eng"`, "1"},
		{"F24 any case", `URN:IETF:params:scim:schemas:extension:enterprise:2.0:USER:Department eq "ENG"`, "1"},
		{"F25", entURN + `:manager.value eq "m-1"`, "1"},
		{"manager alone is its value", entURN + `:manager eq "m-1"`, "1"},
		{"Entra's reference check", `id eq 1 and manager eq "m-1"`, "1"},
		{"F26", `active eq false`, "2"},
		{"F26 ne", `active ne true`, "234"},
		{"F26 as text", `active eq "False"`, "2"},
		{"F26 in brackets as text", `emails[primary eq "True"]`, "1"},
		{"F27", `title eq "Sa\"y"`, "2"},
		{"F28", `emails co "@y.net"`, "12"},
		{"F28 eq", `roles eq "r"`, "3"},
		{"F29", `nope eq "x"`, ""},
		{"F29 ne", `nope ne "x"`, "1234"},
		{"F29 pr", `nope pr`, ""},
		{"F29 null", `nope eq null`, "1234"},
		{"F29 unknown schema", `urn:x:y:z eq "x"`, ""},
		{"F29 unknown sub-attribute", `name.nope pr or emails[nope eq "x"]`, ""},
		{"F29 brackets", `nope[a pr]`, ""},
		{"F29 attributes that were only kept", `kept eq "x"`, ""},
		{"F32 eq", `password eq "secret"`, ""},
		{"F32 pr", `password pr`, ""},
		{"F32 not", `not (password pr)`, "1234"},
		{"F32 ne", `password ne "secret"`, "1234"},
		{"F32 co", `password co "s" or password gt "a" or password lt "z"`, ""},
		{"F32 null", `password eq null`, "1234"},
		{"F34", `emails[type eq "work"].value eq "A@WORK.org"`, "2"},
		{"F35", `userName eq "nobody"`, ""},
		{"F37", `id pr`, "1234"},
		{"F37 eq", `id eq "2"`, "2"},
		{"F38", `((((name.familyName eq "Zeta"))))`, "1"},
		{"F39", `meta.resourceType eq "User"`, "123"},
		{"schemas", `schemas eq "` + entURN + `"`, "1"},
		{"eq null", `title eq null`, "4"},
		{"ne null", `title ne null`, "123"},
		{"eq null of a list", `emails eq null`, "34"},
		{"ne null of a sub-attribute", `emails.primary ne null`, "1"},
		{"empty text", `title eq ""`, "3"},
		{"number for text", entURN + `:employeeNumber eq 17`, "1"},
		{"words", `userName eq abel`, "2"},
	} {
		t.Run(tc.id, func(t *testing.T) {
			e := parse(t, tc.in)
			got := ""
			for _, doc := range all {
				ok, err := filter.Match(e, schema.User(), doc)
				if err != nil {
					t.Fatal(err)
				}
				if ok {
					got += doc["id"].(string)
				}
			}
			if got != tc.want {
				t.Errorf("%s finds %q, want %q", tc.in, got, tc.want)
			}
		})
	}
}

func TestMatch_F33(t *testing.T) {
	doc := document(t, `{"displayName":"Analysts","members":[{"value":"u-1","type":"User"},{"value":"u-2"}]}`)
	for in, want := range map[string]bool{
		`members.value eq "u-2"`: true, `members eq "u-1"`: true, `members.value eq "u-3"`: false, `members.value eq "U-1"`: false,
		`members[value eq "u-1" and type eq "user"]`: true, `members[value eq "u-2" and type eq "User"]`: false, `displayName eq "ANALYSTS"`: true,
	} {
		if got, err := filter.Match(parse(t, in), schema.Group(), doc); got != want || err != nil {
			t.Errorf("%s: %v, %v", in, got, err)
		}
	}
}

// TestBind_F31 holds which comparisons are refused, whatever the document.
func TestBind_F31(t *testing.T) {
	for _, tc := range []struct{ name, in, contains string }{
		{"gt on a boolean", `active gt true`, "active: a boolean can only be compared with eq and ne"},
		{"ge on a boolean", `active ge true`, "active"},
		{"lt on a boolean as text", `active lt "true"`, "active"},
		{"le on a boolean", `active le false`, "active"},
		{"co on a boolean", `active co "tr"`, "active"},
		{"a boolean and a word", `active eq "maybe"`, "active: true or false"},
		{"a boolean and a number", `active eq 1`, "active: true or false"},
		{"gt on a binary", `x509Certificates.value gt "a"`, "x509Certificates.value: binary values have no order"},
		{"gt on a binary without sub-attribute", `x509Certificates le "a"`, "x509Certificates"},
		{"gt null", `title gt null`, "title: null"},
		{"gt null on nothing", `nope co null`, "nope: null"},
		{"date that is none", `meta.created gt "yesterday"`, "meta.created: a date"},
		{"date that is a number", `meta.created gt 5`, "meta.created: a date"},
		{"complex without value", `name eq "x"`, "name: a sub-attribute"},
		{"list without value", `addresses co "x"`, "addresses: a sub-attribute"},
		{"brackets behind a single value", `name[familyName eq "x"]`, "name: brackets"},
		{"brackets behind text", `userName[value eq "x"]`, "userName: brackets"},
		{"inside brackets", `emails[primary gt true]`, "primary"},
		{"inside not", `not (active gt true)`, "active"},
		{"where evaluation would not get", `id eq "x" and active gt true`, "active"},
		{"left of or", `active gt true or id pr`, "active"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := parse(t, tc.in)
			_, err := filter.Bind(e, schema.User(), tolerant)
			wantError(t, err, schema.InvalidFilter, tc.contains)
			_, err = filter.Match(e, schema.User(), schema.Document{})
			wantError(t, err, schema.InvalidFilter, tc.contains)
		})
	}
}

// TestBind holds the canonical form that a store gets, and what strict mode refuses.
func TestBind(t *testing.T) {
	for _, tc := range []struct {
		name, in, want string
		fixup          schema.Fixup // strict mode refuses it, unless it is FixShortExtension: then the name is unknown
	}{
		{"spelling", `USERNAME Eq "A" and Name.FAMILYNAME pr`, `userName eq "A" and name.familyName pr`, ""},
		{"core URN goes", coreURN + `:userName eq "a"`, `userName eq "a"`, ""},
		{"extension URN stays", `urn:ietf:PARAMS:scim:schemas:extension:enterprise:2.0:user:DEPARTMENT eq "a"`, entURN + `:department eq "a"`, ""},
		{"value is spelt out", `emails co "x" or roles pr`, `emails.value co "x" or roles pr`, ""},
		{"no value for null", `emails eq null`, `emails eq null`, ""},
		{"brackets", `EMAILS[TYPE eq "work" and not (PRIMARY eq true)]`, `emails[type eq "work" and not (primary eq true)]`, ""},
		{"unknown names stay", `Foo.Bar eq "x" and urn:x:Y pr`, `Foo.Bar eq "x" and urn:x:Y pr`, ""},
		{"unknown brackets stay", `Foo[Bar pr]`, `Foo[Bar pr]`, ""},
		{"extension without URN", `department eq "a"`, entURN + `:department eq "a"`, schema.FixShortExtension},
		{"boolean as text", `active eq "TRUE"`, `active eq true`, schema.FixStringBool},
		{"number for text", `externalId eq 17`, `externalId eq "17"`, schema.FixUnquotedValue},
		{"boolean for text", `title eq true`, `title eq "true"`, schema.FixUnquotedValue},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := parse(t, tc.in)
			var fixups schema.Fixups
			b, err := filter.Bind(e, schema.User(), filter.Options{Tolerant: true, OnFixup: func(k schema.Fixup) { fixups.Add(k) }})
			if err != nil {
				t.Fatal(err)
			}
			if b.Expr.String() != tc.want {
				t.Errorf("%s, want %s", b.Expr, tc.want)
			}
			if tc.fixup != "" != slices.Equal(fixups, schema.Fixups{tc.fixup}) {
				t.Errorf("fixups %v", fixups)
			}
			strict, err := filter.Bind(e, schema.User(), filter.Options{})
			switch {
			case tc.fixup == schema.FixShortExtension:
				if err != nil || strict.Expr.String() != tc.in {
					t.Errorf("strict: %v, %v", strict.Expr, err)
				}
			case tc.fixup != "":
				wantError(t, err, schema.InvalidFilter, "")
			case err != nil || strict.Expr.String() != tc.want:
				t.Errorf("strict: %v, %v", strict.Expr, err)
			}
		})
	}
}

func TestBindValues(t *testing.T) {
	ref, _ := schema.User().LookupName("emails")
	b, err := filter.BindValues(parse(t, `TYPE eq "WORK" and value ew "@y.net"`), ref.Attr, filter.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if want := `type eq "WORK" and value ew "@y.net"`; b.Expr.String() != want {
		t.Errorf("%s, want %s", b.Expr, want)
	}
	for text, want := range map[string]bool{
		`{"value":"a@y.net","type":"work"}`: true, `{"value":"a@y.net"}`: false, `{"value":"a@x.net","type":"work"}`: false, `{}`: false,
	} {
		if got := b.Match(document(t, text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	_, err = filter.BindValues(parse(t, `primary gt true`), ref.Attr, filter.Options{})
	wantError(t, err, schema.InvalidFilter, "primary")
	b, err = filter.BindValues(parse(t, `emails.value eq "x" or urn:x:value pr`), ref.Attr, filter.Options{})
	if err != nil || b.Match(document(t, `{"value":"x"}`)) {
		t.Errorf("names with more than one part match: %v", err)
	}
}

// TestMatch_Numbers uses an extension with numbers, which the standard schemas lack.
func TestMatch_Numbers(t *testing.T) {
	rt, err := schema.NewUser(&schema.Schema{ID: "urn:x:n", Attributes: []schema.Attribute{
		{Name: "level", Type: schema.Integer},
		{Name: "share", Type: schema.Decimal},
		{Name: "tags", Type: schema.String, MultiValued: true},
	}})
	if err != nil {
		t.Fatal(err)
	}
	doc := document(t, `{"urn:x:n":{"level":9007199254740993,"share":0.5,"tags":["Red","blue"]}}`)
	for in, want := range map[string]bool{
		`urn:x:n:level eq 9007199254740993`: true, `urn:x:n:level eq 9007199254740992`: false, `urn:x:n:level gt 9007199254740992`: true,
		`urn:x:n:level ge 1`: true, `urn:x:n:level lt 10`: false, `urn:x:n:level le 1e300`: true, `urn:x:n:share eq 5e-1`: true, `urn:x:n:share ne 0.50`: false,
		`urn:x:n:share gt 0`: true, `urn:x:n:tags eq "red"`: true, `urn:x:n:tags co "lu"`: true, `urn:x:n:tags eq "green"`: false,
		`urn:x:n:tags[value sw "b"]`: true, `urn:x:n:tags pr`: true,
	} {
		if got, err := filter.Match(parse(t, in), rt, doc); got != want || err != nil {
			t.Errorf("%s: %v, %v", in, got, err)
		}
	}
	for _, in := range []string{`urn:x:n:level eq "1"`, `urn:x:n:level co 1`, `urn:x:n:share gt true`} {
		_, err := filter.Match(parse(t, in), rt, doc)
		wantError(t, err, schema.InvalidFilter, "number")
	}
}

// TestMatch_OddDocuments holds that values which do not fit the schema are different from everything, and crash nothing.
func TestMatch_OddDocuments(t *testing.T) {
	doc := schema.Document{
		"userName": json.Number("1"), "emails": "x", "name": []any{"x"}, "active": "true", "meta": map[string]any{"created": "x"},
		"roles": []any{"r", nil, []any{}}, entURN: "x",
	}
	for in, want := range map[string]bool{
		`userName eq "1"`: false, `userName ne "1"`: true, `emails.value eq "x"`: false, `emails[value eq "x"]`: false, `name.familyName eq "x"`: false,
		`active eq true`: false, `active ne true`: true, `meta.created gt "2026-01-01T00:00:00Z"`: false, `meta.created ne "2026-01-01T00:00:00Z"`: true,
		`roles.value eq "r"`: false, entURN + `:department eq "x"`: false, `roles pr`: true,
	} {
		if got, err := filter.Match(parse(t, in), schema.User(), doc); got != want || err != nil {
			t.Errorf("%s: %v, %v", in, got, err)
		}
	}
	var none filter.Bound
	if none.Match(doc) {
		t.Error("an empty filter matches")
	}
}

// TestMatch_Boolean checks the algebra on filters of any shape.
func TestMatch_Boolean(t *testing.T) {
	docs := people(t)
	leaves := []filter.Expr{
		parse(t, `userName eq "abel"`), parse(t, `title pr`), parse(t, `active eq true`), parse(t, `emails[type eq "work"]`), parse(t, `password pr`),
	}
	match := func(t *rapid.T, e filter.Expr, doc schema.Document) bool {
		ok, err := filter.Match(e, schema.User(), doc)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.SampledFrom(leaves).Draw(t, "a"), rapid.SampledFrom(leaves).Draw(t, "b")
		doc := rapid.SampledFrom(docs).Draw(t, "doc")
		both := match(t, filter.And{L: a, R: b}, doc)
		deMorgan := match(t, filter.Not{X: filter.Or{L: filter.Not{X: a}, R: filter.Not{X: b}}}, doc)
		if both != deMorgan || both != (match(t, a, doc) && match(t, b, doc)) {
			t.Fatalf("%s and %s on %v", a, b, doc)
		}
	})
}

func TestBind_KeepsTheOriginal(t *testing.T) {
	e := parse(t, `EMAILS eq "x" and DEPARTMENT pr`)
	before := e.String()
	if _, err := filter.Bind(e, schema.User(), tolerant); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, e.String()); diff != "" {
		t.Error(diff)
	}
}

// FuzzBind checks on any text that parses that binding it and matching it crash nothing, that Match is Bind and then Match, that what Bind gives needs no
// tolerance any more, and that a filter and its negation share the documents between them.
func FuzzBind(f *testing.F) {
	for _, s := range []string{
		`userName eq "a"`, `emails[type eq "work"].value eq "x"`, entURN + `:manager.value ne null`, `meta.created le "2015-10-10T14:38:21.8617979-07:00"`,
		`not(active eq "True")or roles co b`, `password pr or nope[a pr]`, `emails[primary eq "true" and value ew "X"] and department sw 5`, `x509Certificates eq "TUlJ"`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := filter.Parse(s, tolerant)
		if err != nil {
			return // FuzzParse looks at these
		}
		bound, err := filter.Bind(e, schema.User(), tolerant)
		if err != nil {
			wantError(t, err, schema.InvalidFilter, "")
			return
		}
		doc := schema.Document{"userName": "a", "emails": []any{map[string]any{"value": "x", "type": "work"}}}
		direct, err := filter.Match(e, schema.User(), doc)
		if err != nil || direct != bound.Match(doc) {
			t.Fatalf("%q: Match gives %v, %v", s, direct, err)
		}
		twice, err := filter.Bind(bound.Expr, schema.User(), filter.Options{})
		if err != nil || !reflect.DeepEqual(bound.Expr, twice.Expr) {
			t.Fatalf("%q: bound twice gives %v, %v", s, twice.Expr, err)
		}
		if b, err := filter.Match(filter.Not{X: e}, schema.User(), doc); err != nil || b == direct {
			t.Fatalf("%q: the negation gives %v too, %v", s, b, err)
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	doc := people(b)[0]
	for _, in := range []string{`userName eq "zeta@y.net"`, `emails[type eq "work" and value co "@y.net"] and active eq true`} {
		bound, err := filter.Bind(parse(b, in), schema.User(), tolerant)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprint(len(in)), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !bound.Match(doc) {
					b.Fatal("no match")
				}
			}
		})
	}
}
