package schema_test

import (
	"testing"

	"github.com/matomo-scim/bridge/scim/schema"
)

func TestValidate(t *testing.T) {
	for _, tc := range []struct{ name, in, contains string }{
		{"complete", `{"userName":"a","name":{"givenName":"b"},"emails":[{"value":"c","primary":true},{"value":"d"}],"active":true}`, ""},
		{"read-only and unknown attributes", `{"userName":"a","id":"1","meta":{"created":"2026-01-01T00:00:00Z"},"groups":[{"value":"g"}],"x":{"y":1}}`, ""},
		{"C06 no userName", `{}`, "userName: the attribute is required"},
		{"C06 empty userName", `{"userName":""}`, "userName"},
		{"C06 blank userName", `{"userName":" \t"}`, "userName"},
		{"C12 userName is a number", `{"userName":1}`, "userName: a string"},
		{"C12 list", `{"userName":"a","emails":{"value":"b"}}`, "emails: a list"},
		{"C12 element", `{"userName":"a","emails":["b"]}`, "emails: an object"},
		{"C12 sub-attribute", `{"userName":"a","emails":[{"value":"a"},{"value":1}]}`, "emails.value: a string"},
		{"C12 boolean", `{"userName":"a","active":"true"}`, "active: true or false"},
		{"C12 object", `{"userName":"a","name":[]}`, "name: an object"},
		{"C12 date", `{"userName":"a","meta":{"created":"today"}}`, "meta.created: a date"},
		{"C12 date is a number", `{"userName":"a","meta":{"created":1}}`, "meta.created: a date"},
		{"C13 two primaries", `{"userName":"a","emails":[{"value":"a","primary":true},{"value":"b","primary":true}]}`, "emails: more than one"},
		{"extension", `{"userName":"a","` + entURN + `":{"department":"d","manager":{"value":"m"}}}`, ""},
		{"extension is no object", `{"userName":"a","` + entURN + `":[]}`, entURN + ": an object"},
		{"inside the extension", `{"userName":"a","` + entURN + `":{"manager":{"value":1}}}`, entURN + ":manager.value: a string"},
		{"first error in order", `{"userName":"a","title":1,"active":1,"nickName":1}`, "active"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := schema.User().Validate(decode(t, tc.in))
			if tc.contains != "" {
				wantError(t, err, schema.InvalidValue, tc.contains)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestValidate_Group(t *testing.T) {
	for _, tc := range []struct{ name, in, contains string }{
		{"complete", `{"displayName":"g","members":[{"value":"1"}]}`, ""},
		{"schemas written by a Go program", `{"displayName":"g"}`, ""},
		{"C20 no displayName", `{"members":[]}`, "displayName: the attribute is required"},
		{"C20 blank displayName", `{"displayName":" "}`, "displayName"},
		{"member without value", `{"displayName":"g","members":[{"display":"x"}]}`, "members.value: the sub-attribute is required"},
		{"member with a blank value", `{"displayName":"g","members":[{"value":""}]}`, "members.value"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			doc := decode(t, tc.in)
			doc["schemas"] = []string{schema.GroupURN}
			err := schema.Group().Validate(doc)
			if tc.contains != "" {
				wantError(t, err, schema.InvalidValue, tc.contains)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

// custom is an extension as a configuration may declare it, with every type and
// trait the standard schemas do not use.
func custom() *schema.Schema {
	return &schema.Schema{
		ID: "urn:example:custom:1.0:User", Name: "Custom",
		Attributes: []schema.Attribute{
			{Name: "badge", Type: schema.String, Required: true, Mutability: schema.Immutable},
			{Name: "level", Type: schema.Integer},
			{Name: "share", Type: schema.Decimal},
			{Name: "since", Type: schema.DateTime},
			{Name: "tags", Type: schema.String, MultiValued: true},
			{Name: "pin", Type: schema.String, Mutability: schema.WriteOnly, Returned: schema.ReturnedNever},
			{Name: "notes", Type: schema.String, Returned: schema.ReturnedRequest},
			{Name: "desk", Type: schema.Complex, SubAttributes: []schema.Attribute{
				{Name: "room", Type: schema.String, Mutability: schema.Immutable},
				{Name: "phone", Type: schema.String, Returned: schema.ReturnedRequest},
				{Name: "tags", Type: schema.String, MultiValued: true},
			}},
		},
	}
}

func customUser(t testing.TB) *schema.ResourceType {
	t.Helper()
	rt, err := schema.NewUser(custom())
	if err != nil {
		t.Fatal(err)
	}
	return rt
}

func TestCustomExtension(t *testing.T) {
	const id = "urn:example:custom:1.0:User"
	rt := customUser(t)
	body := func(ext string) string {
		return `{"schemas":["` + coreURN + `","` + id + `"],"userName":"a","` + id + `":` + ext + `}`
	}
	for _, tc := range []struct{ name, ext, contains string }{
		{"every type", `{"badge":"b","level":-3,"share":0.25,"since":"2026-01-31T12:00:00+02:00","tags":["x"],"pin":"1","desk":{"room":"7","tags":["y"]}}`, ""},
		{"required", `{"level":1}`, id + ":badge: the attribute is required"},
		{"whole number", `{"badge":"b","level":1.5}`, id + ":level: a whole number"},
		{"whole number as text", `{"badge":"b","level":"1"}`, id + ":level: a whole number"},
		{"number", `{"badge":"b","share":"1"}`, id + ":share: a number"},
		{"date", `{"badge":"b","since":"31.1.2026"}`, id + ":since: a date"},
		{"list of numbers", `{"badge":"b","tags":[1]}`, id + ":tags: a string"},
		{"object in a list of text", `{"badge":"b","tags":{"value":"x"}}`, id + ":tags: a list"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			doc, _, err := rt.Canonicalize(decode(t, body(tc.ext)), schema.Mode{})
			if err == nil {
				err = rt.Validate(doc)
			}
			if tc.contains != "" {
				wantError(t, err, schema.InvalidValue, tc.contains)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, kept := doc[id].(map[string]any)["pin"]; kept {
				t.Error("a value that is never returned was kept")
			}
		})
	}
	t.Run("empty text for numbers and dates", func(t *testing.T) {
		doc, fixups, err := rt.Canonicalize(decode(t, body(`{"badge":"b","level":"","since":""}`)), schema.Mode{})
		if err != nil || len(fixups) != 1 || fixups[0] != schema.FixEmptyValue || len(doc[id].(map[string]any)) != 1 {
			t.Errorf("%v, %v, %v", doc, fixups, err)
		}
	})
}

func TestCheckImmutable(t *testing.T) {
	const id = "urn:example:custom:1.0:User"
	rt := customUser(t)
	doc := func(ext string) schema.Document { return decode(t, `{"userName":"a","`+id+`":`+ext+`}`) }
	for _, tc := range []struct{ name, before, after, contains string }{
		{"same", `{"badge":"1"}`, `{"badge":"1"}`, ""},
		{"set once", `{}`, `{"badge":"1"}`, ""},
		{"other attributes move", `{"badge":"1","level":1}`, `{"badge":"1","level":2}`, ""},
		{"changed", `{"badge":"1"}`, `{"badge":"2"}`, id + ":badge: the attribute is immutable"},
		{"removed", `{"badge":"1"}`, `{}`, id + ":badge"},
		{"sub-attribute changed", `{"desk":{"room":"1"}}`, `{"desk":{"room":"2"}}`, id + ":desk.room"},
		{"with its attribute removed", `{"desk":{"room":"1"}}`, `{}`, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := rt.CheckImmutable(doc(tc.before), doc(tc.after))
			if tc.contains != "" {
				wantError(t, err, schema.Mutability, tc.contains)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("members of a group come and go", func(t *testing.T) {
		before, after := decode(t, `{"members":[{"value":"1"}]}`), decode(t, `{"members":[{"value":"2"}]}`)
		if err := schema.Group().CheckImmutable(before, after); err != nil {
			t.Error(err)
		}
	})
}
