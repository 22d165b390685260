package schema_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/matomo-scim/bridge/scim/schema"
)

const (
	userS   = `"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"]`
	bothS   = `"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"]`
	groupS  = `"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"]`
	coreURN = `urn:ietf:params:scim:schemas:core:2.0:User`
	entURN  = `urn:ietf:params:scim:schemas:extension:enterprise:2.0:User`
)

// canonCase is one body, what it becomes, what was forgiven, and what strict
// mode says: a scimType, or nothing when it accepts the body too.
type canonCase struct {
	name, in, want string
	fixups         []schema.Fixup
	strict         string
}

func run(t *testing.T, rt *schema.ResourceType, cases []canonCase) {
	t.Helper()
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			in := decode(t, tc.in)
			before := schema.Clone(in)
			got, fixups, err := rt.Canonicalize(in, schema.Mode{})
			if err != nil {
				t.Fatalf("Canonicalize: %v", err)
			}
			if diff := cmp.Diff(decode(t, tc.want), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if !slices.Equal(fixups, tc.fixups) {
				t.Errorf("fixups %v, want %v", fixups, tc.fixups)
			}
			if diff := cmp.Diff(before, in); diff != "" {
				t.Errorf("the body was changed:\n%s", diff)
			}
			again, fixups, err := rt.Canonicalize(got, schema.Mode{})
			if err != nil || !schema.Equal(again, got) {
				t.Errorf("canonical form is not stable: %v, %v", again, err)
			}
			for _, f := range fixups {
				if f != schema.FixUnknownAttribute && f != schema.FixUnknownSchema {
					t.Errorf("canonical form still needs %s", f)
				}
			}
			strictDoc, strictFixups, err := rt.Canonicalize(in, schema.Mode{Strict: true})
			if tc.strict != "" {
				wantError(t, err, tc.strict, "")
				return
			}
			if err != nil || len(strictFixups) > 0 || !schema.Equal(strictDoc, got) {
				t.Errorf("strict: %v, %v, %v", strictDoc, strictFixups, err)
			}
		})
	}
}

func TestCanonicalize_Rules(t *testing.T) {
	run(t, schema.User(), []canonCase{
		{
			name: "nothing to do",
			in:   `{` + userS + `,"userName":"a","name":{"givenName":"b"},"emails":[{"value":"c","type":"work","primary":true}],"active":false}`,
			want: `{` + userS + `,"userName":"a","name":{"givenName":"b"},"emails":[{"value":"c","type":"work","primary":true}],"active":false}`,
		},
		{
			name: "C11 names in any case",
			in:   `{"SCHEMAS":["` + coreURN + `"],"USERNAME":"a","Name":{"GIVENNAME":"b"},"eMails":[{"VALUE":"c","Primary":true}],"ACTIVE":true}`,
			want: `{` + userS + `,"userName":"a","name":{"givenName":"b"},"emails":[{"value":"c","primary":true}],"active":true}`,
		},
		{
			name: "C03 read-only attributes are ignored",
			in: `{` + userS + `,"userName":"a","id":17,"meta":{"resourceType":"User","created":"yesterday"},"groups":[{"value":"g"}],` +
				`"` + entURN + `":{"manager":{"displayName":"B"}}}`,
			want: `{` + userS + `,"userName":"a"}`,
		},
		{
			name: "C07 password is dropped",
			in:   `{` + userS + `,"userName":"a","password":"x9Kq2!"}`,
			want: `{` + userS + `,"userName":"a"}`,
		},
		{
			name: "a password is dropped wherever it stands",
			in: `{` + userS + `,"userName":"a","userPassword":"x9Kq2!","name":{"givenName":"b","Password":"x9Kq2!"},"emails":[{"value":"e","password":"x9Kq2!"}],` +
				`"` + entURN + `":{"password":"x9Kq2!"},"urn:x:1":{"password":"x9Kq2!"},"urn:x:2":{"a":[{"password":"x9Kq2!","b":null}]},"urn:x:3:password":"x9Kq2!"}`,
			want:   `{"schemas":["` + coreURN + `","urn:x:2"],"userName":"a","name":{"givenName":"b"},"emails":[{"value":"e"}],"urn:x:2":{"a":[{"b":null}]}}`,
			fixups: []schema.Fixup{schema.FixUnknownAttribute, schema.FixUnknownSchema}, strict: schema.InvalidSyntax,
		},
		{
			name: "C14 null and [] are absent, empty objects too",
			in:   `{` + userS + `,"userName":"a","title":null,"emails":[],"roles":[{}],"name":{"givenName":null},"photos":null,"addresses":[{"type":null}]}`,
			want: `{` + userS + `,"userName":"a"}`,
		},
		{
			name: "empty strings stay",
			in:   `{` + userS + `,"userName":"a","title":"","name":{"familyName":""},"emails":[{"value":""}]}`,
			want: `{` + userS + `,"userName":"a","title":"","name":{"familyName":""},"emails":[{"value":""}]}`,
		},
		{
			name: "C15 schemas names the extension in use, in canonical spelling",
			in: `{"schemas":["URN:ietf:params:scim:schemas:core:2.0:user","` + entURN + `"],"userName":"a",` +
				`"URN:IETF:params:scim:schemas:extension:enterprise:2.0:USER":{"DEPARTMENT":"d"}}`,
			want: `{` + bothS + `,"userName":"a","` + entURN + `":{"department":"d"}}`,
		},
		{
			name: "C15 an extension without data is not in use",
			in:   `{` + bothS + `,"userName":"a","` + entURN + `":{"department":null,"manager":null}}`,
			want: `{` + userS + `,"userName":"a"}`,
		},
		{
			name: "C16 externalId is kept",
			in:   `{` + userS + `,"userName":"a","externalId":"00u"}`,
			want: `{` + userS + `,"userName":"a","externalId":"00u"}`,
		},
		{
			name: "C19 canonical types are suggestions",
			in:   `{` + userS + `,"userName":"a","emails":[{"value":"c","type":"beach"}]}`,
			want: `{` + userS + `,"userName":"a","emails":[{"value":"c","type":"beach"}]}`,
		},
		{
			name: "binary values",
			in:   `{` + userS + `,"userName":"a","x509Certificates":[{"value":"TUlJ"}]}`,
			want: `{` + userS + `,"userName":"a","x509Certificates":[{"value":"TUlJ"}]}`,
		},
	})
}

func TestCanonicalize_Fixups(t *testing.T) {
	const invalid, syntax = schema.InvalidValue, schema.InvalidSyntax
	run(t, schema.User(), []canonCase{
		{
			"booleans as text", `{` + userS + `,"userName":"a","active":"False","emails":[{"value":"c","primary":"TRUE"}]}`,
			`{` + userS + `,"userName":"a","active":false,"emails":[{"value":"c","primary":true}]}`,
			[]schema.Fixup{schema.FixStringBool},
			invalid,
		},
		{
			"one object for a list", `{` + userS + `,"userName":"a","emails":{"value":"c"}}`,
			`{` + userS + `,"userName":"a","emails":[{"value":"c"}]}`,
			[]schema.Fixup{schema.FixSingleValue},
			invalid,
		},
		{
			"plain values in a list", `{` + userS + `,"userName":"a","roles":["admin",{"value":"user"}]}`,
			`{` + userS + `,"userName":"a","roles":[{"value":"admin"},{"value":"user"}]}`,
			[]schema.Fixup{schema.FixBareValue},
			invalid,
		},
		{
			"null in a list", `{` + userS + `,"userName":"a","emails":[null,{"value":"c"}]}`,
			`{` + userS + `,"userName":"a","emails":[{"value":"c"}]}`,
			[]schema.Fixup{schema.FixNullElement},
			invalid,
		},
		{
			"C13 two primaries", `{` + userS + `,"userName":"a","emails":[{"value":"c"},{"value":"d","primary":true},{"value":"e","primary":true}]}`,
			`{` + userS + `,"userName":"a","emails":[{"value":"c"},{"value":"d","primary":true},{"value":"e","primary":false}]}`,
			[]schema.Fixup{schema.FixTwoPrimaries},
			invalid,
		},
		{
			"empty text where no text can be",
			`{` + userS + `,"userName":"a","active":"","emails":"","name":"","` + entURN + `":{"manager":""}}`,
			`{` + userS + `,"userName":"a"}`,
			[]schema.Fixup{schema.FixEmptyValue},
			invalid,
		},
		{
			"manager as text", `{` + bothS + `,"userName":"a","` + entURN + `":{"manager":"m"}}`,
			`{` + bothS + `,"userName":"a","` + entURN + `":{"manager":{"value":"m"}}}`,
			[]schema.Fixup{schema.FixBareValue},
			invalid,
		},
		{
			"manager as a list of one", `{` + bothS + `,"userName":"a","` + entURN + `":{"manager":[{"value":"m","$ref":"../Users/m"}]}}`,
			`{` + bothS + `,"userName":"a","` + entURN + `":{"manager":{"value":"m","$ref":"../Users/m"}}}`,
			[]schema.Fixup{schema.FixSingletonArray},
			invalid,
		},
		{
			"managerId", `{` + bothS + `,"userName":"a","` + entURN + `":{"manager":{"managerId":"m"}}}`,
			`{` + bothS + `,"userName":"a","` + entURN + `":{"manager":{"value":"m"}}}`,
			[]schema.Fixup{schema.FixManagerID},
			invalid,
		},
		{
			"unknown attributes are kept",
			`{` + userS + `,"userName":"a","favouriteColour":"red","name":{"nick":"x"},"emails":[{"value":"c","verified":true}],"gone":null}`,
			`{` + userS + `,"userName":"a","favouriteColour":"red","name":{"nick":"x"},"emails":[{"value":"c","verified":true}]}`,
			[]schema.Fixup{schema.FixUnknownAttribute},
			syntax,
		},
		{
			"unknown schemas are kept with their data, and dropped without",
			`{"schemas":["` + coreURN + `","urn:custom:1.0:User","http://schemas.example/Group"],"userName":"a","urn:custom:1.0:User":{"x":1}}`,
			`{"schemas":["` + coreURN + `","urn:custom:1.0:User"],"userName":"a","urn:custom:1.0:User":{"x":1}}`,
			[]schema.Fixup{schema.FixUnknownSchema},
			syntax,
		},
		{
			"unknown schema that is only named", `{"schemas":["` + coreURN + `","http://schemas.example/Group"],"userName":"a"}`,
			`{` + userS + `,"userName":"a"}`,
			[]schema.Fixup{schema.FixUnknownSchema},
			invalid,
		},
		{
			"no schemas", `{"userName":"a"}`, `{` + userS + `,"userName":"a"}`, []schema.Fixup{schema.FixSchemasMissing}, invalid,
		},
		{
			"schemas as text", `{"schemas":"` + coreURN + `","userName":"a"}`, `{` + userS + `,"userName":"a"}`,
			[]schema.Fixup{schema.FixSingleValue},
			invalid,
		},
		{
			"schemas without the extension", `{` + userS + `,"userName":"a","` + entURN + `":{"department":"d"}}`,
			`{` + bothS + `,"userName":"a","` + entURN + `":{"department":"d"}}`,
			[]schema.Fixup{schema.FixSchemaUnlisted},
			invalid,
		},
		{
			"dotted names join what stands there", `{` + userS + `,"userName":"a","name":{"givenName":"g"},"name.familyName":"f"}`,
			`{` + userS + `,"userName":"a","name":{"givenName":"g","familyName":"f"}}`,
			[]schema.Fixup{schema.FixDottedKey},
			invalid,
		},
		{
			"names with URN", `{` + bothS + `,"` + coreURN + `:userName":"a","` + entURN + `:department":"d","` + entURN + `:manager.value":"m"}`,
			`{` + bothS + `,"userName":"a","` + entURN + `":{"department":"d","manager":{"value":"m"}}}`,
			[]schema.Fixup{schema.FixURNKey},
			invalid,
		},
		{
			"core schema as an object", `{` + userS + `,"` + coreURN + `":{"userName":"a","title":"t"}}`,
			`{` + userS + `,"userName":"a","title":"t"}`,
			nil,
			"",
		},
		{
			"extension attribute at the top", `{` + bothS + `,"userName":"a","department":"d","manager":{"value":"m"}}`,
			`{` + bothS + `,"userName":"a","` + entURN + `":{"department":"d","manager":{"value":"m"}}}`,
			[]schema.Fixup{schema.FixShortExtension},
			invalid,
		},
		{
			"dotted name of a list is no name", `{` + userS + `,"userName":"a","emails.value":"x"}`,
			`{` + userS + `,"userName":"a","emails.value":"x"}`,
			[]schema.Fixup{schema.FixUnknownAttribute},
			syntax,
		},
		{
			"dotted names of read-only attributes", `{` + userS + `,"userName":"a","meta.version":"x"}`,
			`{` + userS + `,"userName":"a"}`,
			[]schema.Fixup{schema.FixDottedKey},
			invalid,
		},
	})
	t.Run("manager with an empty value is cleared", func(t *testing.T) {
		got, fixups, err := schema.User().Canonicalize(decode(t, `{`+bothS+`,"userName":"a","`+entURN+`":{"manager":{"value":""}}}`), schema.Mode{})
		if err != nil || got[entURN] != nil || !slices.Equal(fixups, []schema.Fixup{schema.FixEmptyValue}) {
			t.Errorf("%v, %v, %v", got, fixups, err)
		}
	})
}

func TestCanonicalize_Groups(t *testing.T) {
	run(t, schema.Group(), []canonCase{
		{
			name: "members with and without the rest",
			in:   `{` + groupS + `,"displayName":"g","members":[{"value":"1","type":"User","$ref":"../Users/1"},{"value":"2","display":"b","$ref":null}]}`,
			want: `{` + groupS + `,"displayName":"g","members":[{"value":"1","type":"User","$ref":"../Users/1"},{"value":"2","display":"b"}]}`,
		},
		{
			name: "members are a set",
			in:   `{` + groupS + `,"displayName":"g","members":[{"value":"1"},{"value":"2"},{"value":"1","display":"x"},{"value":"A"},{"value":"a"}]}`,
			want: `{` + groupS + `,"displayName":"g","members":[{"value":"1"},{"value":"2"},{"value":"A"},{"value":"a"}]}`,
		},
		{
			name: "no members", in: `{` + groupS + `,"displayName":"g","members":[]}`, want: `{` + groupS + `,"displayName":"g"}`,
		},
		{
			name: "members as text", in: `{` + groupS + `,"displayName":"g","members":["1"]}`,
			want: `{` + groupS + `,"displayName":"g","members":[{"value":"1"}]}`, fixups: []schema.Fixup{schema.FixBareValue}, strict: schema.InvalidValue,
		},
	})
}

func TestCanonicalize_Errors(t *testing.T) {
	for _, tc := range []struct{ name, in, scimType, contains string }{
		{"C12 number for text", `{"userName":17}`, schema.InvalidValue, "userName: a string is expected, not the number 17"},
		{"C12 object for text", `{"userName":{"a":1}}`, schema.InvalidValue, "userName: a string is expected, not an object"},
		{"C12 text for a boolean", `{"userName":"a","active":"maybe"}`, schema.InvalidValue, `active: true or false is expected, not the string "maybe"`},
		{"C12 number for a boolean", `{"active":1}`, schema.InvalidValue, "active"},
		{"C12 text for a list", `{"emails":"a@b"}`, schema.InvalidValue, "emails: a list is expected"},
		{"C12 text for an object", `{"name":"Ada"}`, schema.InvalidValue, "name: an object is expected"},
		{"C12 list for an object", `{"name":[{"givenName":"a"},{"givenName":"b"}]}`, schema.InvalidValue, "name: an object is expected, not a list"},
		{"C12 inside a list", `{"emails":[{"value":true}]}`, schema.InvalidValue, "emails.value: a string is expected, not the boolean true"},
		{"C12 inside an object", `{"name":{"givenName":[1]}}`, schema.InvalidValue, "name.givenName: a string is expected, not a list"},
		{"C12 number in a list", `{"emails":[5]}`, schema.InvalidValue, "emails: an object is expected"},
		{"C12 text in a list of objects without value", `{"addresses":["x"]}`, schema.InvalidValue, "addresses"},
		{"C12 inside an extension", `{"` + entURN + `":{"department":1}}`, schema.InvalidValue, entURN + ":department: a string"},
		{"C12 extension is no object", `{"` + entURN + `":"x"}`, schema.InvalidValue, entURN + ": an object"},
		{"C12 schemas of numbers", `{"schemas":[1]}`, schema.InvalidValue, "schemas: a string"},
		{"C12 long values are cut", `{"active":"` + string(make([]byte, 0)) + `aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeee"}`, schema.InvalidValue, `dddddddddd…"`},
		{"twice in two cases", `{"userName":"a","USERNAME":"b"}`, schema.InvalidSyntax, "userName: the attribute is there twice"},
		{"sub-attribute twice in two cases", `{"name":{"givenName":"a","GivenName":"b"}}`, schema.InvalidSyntax, "name.givenName"},
		{"twice, dotted", `{"name":{"givenName":"a"},"name.givenName":"b"}`, schema.InvalidSyntax, "name.givenName: the attribute is there twice"},
		{"extension twice in two cases", `{"` + entURN + `":{"department":"a"},"` + "URN" + entURN[3:] + `":{"division":"b"}}`, schema.InvalidSyntax, "twice"},
		{"manager and managerId", `{"` + entURN + `":{"manager":{"value":"a","managerId":"b"}}}`, schema.InvalidSyntax, "twice"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, _, err := schema.User().Canonicalize(decode(t, tc.in), schema.Mode{})
			wantError(t, err, tc.scimType, tc.contains)
		})
	}
	t.Run("an error never repeats a password", func(t *testing.T) {
		_, _, err := schema.User().Canonicalize(decode(t, `{"userName":"a","password":918273645}`), schema.Mode{})
		wantError(t, err, schema.InvalidValue, "password: a value of type string is expected")
		if got := err.Error(); containsAny(got, []string{"918273645"}) {
			t.Errorf("%q", got)
		}
	})
	t.Run("the first error does not depend on the order of the map", func(t *testing.T) {
		for range 50 {
			_, _, err := schema.User().Canonicalize(decode(t, `{"active":1,"emails":1,"name":1,"title":1,"userName":1}`), schema.Mode{})
			wantError(t, err, schema.InvalidValue, "active")
		}
	})
	t.Run("strict mode checks base64", func(t *testing.T) {
		in := decode(t, `{`+userS+`,"userName":"a","x509Certificates":[{"value":"no base64!"}]}`)
		if _, _, err := schema.User().Canonicalize(in, schema.Mode{}); err != nil {
			t.Error(err)
		}
		_, _, err := schema.User().Canonicalize(in, schema.Mode{Strict: true})
		wantError(t, err, schema.InvalidValue, "base64")
	})
}

func TestCanonicalValue(t *testing.T) {
	ref, _ := schema.User().LookupName("emails")
	var fixups schema.Fixups
	got, err := schema.CanonicalValue(ref.Attr, decode(t, `{"v":{"VALUE":"a","primary":"true"}}`)["v"], schema.Mode{}, &fixups)
	want := []any{map[string]any{"value": "a", "primary": true}}
	if diff := cmp.Diff(any(want), got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if !slices.Equal(fixups, schema.Fixups{schema.FixSingleValue, schema.FixStringBool}) {
		t.Errorf("fixups %v", fixups)
	}
	one, err := schema.CanonicalElement(ref.Attr, "a", schema.Mode{}, &fixups)
	if diff := cmp.Diff(any(map[string]any{"value": "a"}), one); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if got, err := schema.CanonicalValue(ref.Attr, nil, schema.Mode{}, &fixups); got != nil || err != nil {
		t.Errorf("null gives %v, %v", got, err)
	}
	_, err = schema.CanonicalElement(ref.Attr, true, schema.Mode{}, &fixups)
	wantError(t, err, schema.InvalidValue, "emails")
	password, _ := schema.User().LookupName("password")
	_, err = schema.CanonicalValue(password.Attr, map[string]any{"secret": "918"}, schema.Mode{}, &fixups)
	wantError(t, err, schema.InvalidValue, "password: a value of type string is expected")
}
