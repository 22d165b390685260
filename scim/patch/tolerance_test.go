package patch_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/matomo-scim/bridge/scim/patch"
	"github.com/matomo-scim/bridge/scim/schema"
)

func TestApply_Extensions(t *testing.T) {
	const none = `{` + userS + `,"userName":"a"}`
	ext := func(obj string) string { return `{` + bothS + `,"userName":"a","` + entURN + `":` + obj + `}` }
	runApply(t, schema.User(), []applyCase{
		{name: "PA26", doc: none, ops: `{"op":"add","path":"` + entURN + `:department","value":"d"}`, want: ext(`{"department":"d"}`)},
		{name: "PA26 any case", doc: none, ops: `{"op":"add","path":"` + strings.ToUpper(entURN) + `:DEPARTMENT","value":"d"}`, want: ext(`{"department":"d"}`)},
		{name: "PA26 remove the last", doc: ext(`{"department":"d"}`), ops: `{"op":"remove","path":"` + entURN + `:department"}`, want: none},
		{name: "PA27 add", doc: ext(`{"department":"d"}`), ops: `{"op":"add","path":"` + entURN + `","value":{"division":"v"}}`, want: ext(`{"department":"d","division":"v"}`)},
		{name: "PA27 replace keeps what is not named", doc: ext(`{"department":"d"}`), ops: `{"op":"replace","path":"` + entURN + `","value":{"division":"v"}}`, want: ext(`{"department":"d","division":"v"}`)},
		{name: "PA27 remove", doc: ext(`{"department":"d"}`), ops: `{"op":"remove","path":"` + entURN + `"}`, want: none},
		{name: "PA27 replace with null", doc: ext(`{"department":"d"}`), ops: `{"op":"replace","path":"` + entURN + `","value":null}`, want: none},
		{name: "PA27 add null", doc: ext(`{"department":"d"}`), ops: `{"op":"add","path":"` + entURN + `","value":null}`, want: ext(`{"department":"d"}`)},
		{name: "PA28", doc: none, ops: `{"op":"add","value":{"` + entURN + `":{"department":"d","manager":{"value":"m"}}}}`, want: ext(`{"department":"d","manager":{"value":"m"}}`)},
		{name: "PA29 core URN", doc: none, ops: `{"op":"replace","path":"` + coreURN + `:name.familyName","value":"K"}`, want: `{` + userS + `,"userName":"a","name":{"familyName":"K"}}`},
		{name: "PA29 bare core URN", doc: none, ops: `{"op":"replace","path":"` + coreURN + `","value":{"title":"t"}}`, want: `{` + userS + `,"userName":"a","title":"t"}`},
		{
			name: "manager as text", doc: ext(`{"manager":{"value":"m","$ref":"../Users/m","displayName":"M"}}`), ops: `{"op":"add","path":"` + entURN + `:manager","value":"n"}`,
			want: ext(`{"manager":{"value":"n"}}`), fixups: []schema.Fixup{schema.FixBareValue}, strict: schema.InvalidValue,
		},
		{
			name: "manager as a list", doc: none, ops: `{"op":"add","path":"` + entURN + `:manager","value":[{"$ref":"r","value":"n"}]}`,
			want: ext(`{"manager":{"value":"n","$ref":"r"}}`), fixups: []schema.Fixup{schema.FixSingletonArray}, strict: schema.InvalidValue,
		},
		{
			name: "manager without URN", doc: none, ops: `{"op":"replace","path":"manager","value":{"value":"n"}}`,
			want: ext(`{"manager":{"value":"n"}}`), fixups: []schema.Fixup{schema.FixShortExtension}, strict: schema.InvalidPath,
		},
		{
			name: "manager cleared by empty text", doc: ext(`{"department":"d","manager":{"value":"m"}}`), ops: `{"op":"add","path":"` + entURN + `:manager","value":""}`,
			want: ext(`{"department":"d"}`), fixups: []schema.Fixup{schema.FixEmptyValue}, strict: schema.InvalidValue,
		},
		{
			name: "null for what is read-only changes nothing", doc: ext(`{"manager":{"value":"m","displayName":"M"}}`),
			ops:  `{"op":"replace","path":"` + entURN + `:manager","value":{"displayName":null,"$ref":null}}`,
			want: ext(`{"manager":{"value":"m","displayName":"M"}}`),
		},
		{name: "the same manager keeps its reference", doc: ext(`{"manager":{"value":"m","$ref":"r"}}`), ops: `{"op":"replace","path":"` + entURN + `:manager.value","value":"m"}`, want: ext(`{"manager":{"value":"m","$ref":"r"}}`)},
		{name: "another manager by sub-attribute", doc: ext(`{"manager":{"value":"m","$ref":"r"}}`), ops: `{"op":"replace","path":"` + entURN + `:manager.value","value":"n"}`, want: ext(`{"manager":{"value":"n"}}`)},
		{name: "manager removed", doc: ext(`{"department":"d","manager":{"value":"m"}}`), ops: `{"op":"remove","path":"` + entURN + `:manager"}`, want: ext(`{"department":"d"}`)},
	})
	t.Run("manager with an empty value is cleared, and kept in strict mode", func(t *testing.T) {
		req := request(t, `{"op":"replace","path":"`+entURN+`:manager","value":{"value":""}}`)
		res, err := patch.Apply(schema.User(), document(t, ext(`{"manager":{"value":"m"}}`)), req, schema.Mode{})
		if err != nil || !schema.Equal(res.Doc, document(t, none)) || !slices.Equal(res.Fixups, []schema.Fixup{schema.FixEmptyValue}) {
			t.Errorf("%v, %v", res, err)
		}
		res, err = patch.Apply(schema.User(), document(t, none), req, strict)
		if err != nil || !schema.Equal(res.Doc, document(t, ext(`{"manager":{"value":""}}`))) {
			t.Errorf("%v, %v", res, err)
		}
	})
}

func TestApply_Tolerances(t *testing.T) {
	const none = `{` + userS + `,"userName":"a"}`
	runApply(t, schema.User(), []applyCase{
		{
			name: "PA37", doc: none, ops: `{"op":"replace","path":"active","value":"False"}`, want: `{` + userS + `,"userName":"a","active":false}`,
			fixups: []schema.Fixup{schema.FixStringBool}, strict: schema.InvalidValue,
		},
		{
			name: "PA37 without path", doc: none, ops: `{"op":"replace","value":{"active":"true"}}`, want: `{` + userS + `,"userName":"a","active":true}`,
			fixups: []schema.Fixup{schema.FixStringBool}, strict: schema.InvalidValue,
		},
		{
			name: "PA38", doc: `{` + userS + `,"userName":"a","name":{"familyName":"F"}}`,
			ops: `{"op":"replace","value":{"displayName":"D","name.givenName":"G","` + entURN + `:employeeNumber":"7","` + entURN + `:manager.value":"m"}}`,
			want: `{` + bothS + `,"userName":"a","displayName":"D","name":{"familyName":"F","givenName":"G"},"` + entURN +
				`":{"employeeNumber":"7","manager":{"value":"m"}}}`,
			fixups: []schema.Fixup{schema.FixDottedKey, schema.FixURNKey}, strict: schema.InvalidPath,
		},
		{
			name: "PA38 a nested object and a dotted key: the key comes last", doc: none, ops: `{"op":"replace","value":{"name.givenName":"B","name":{"givenName":"A","familyName":"F"}}}`,
			want: `{` + userS + `,"userName":"a","name":{"givenName":"B","familyName":"F"}}`, fixups: []schema.Fixup{schema.FixDottedKey}, strict: schema.InvalidPath,
		},
		{
			name: "PA38 a key with brackets", doc: none, ops: `{"op":"add","value":{"emails[type eq \"work\"].value":"x"}}`,
			want: `{` + userS + `,"userName":"a","emails":[{"type":"work","value":"x"}]}`, fixups: []schema.Fixup{schema.FixDottedKey}, strict: schema.InvalidPath,
		},
		{
			name: "PA38 core URN in a key", doc: none, ops: `{"op":"add","value":{"` + coreURN + `:title":"t"}}`,
			want: `{` + userS + `,"userName":"a","title":"t"}`, fixups: []schema.Fixup{schema.FixURNKey}, strict: schema.InvalidPath,
		},
		{
			name: "extension attribute without URN in a value", doc: none, ops: `{"op":"add","value":{"department":"d"}}`,
			want: `{` + bothS + `,"userName":"a","` + entURN + `":{"department":"d"}}`, fixups: []schema.Fixup{schema.FixShortExtension}, strict: schema.InvalidSyntax,
		},
		{
			name: "PA30 names in any case", doc: none, ops: `{"op":"add","path":"NAME.GIVENNAME","value":"G"},{"op":"add","value":{"TITLE":"t","Emails":[{"VALUE":"x"}]}}`,
			want: `{` + userS + `,"userName":"a","name":{"givenName":"G"},"title":"t","emails":[{"value":"x"}]}`,
		},
		{
			name: "read-only attributes in a value are ignored", doc: user(""), ops: `{"op":"replace","value":{"id":"2","meta":{"version":"x"},"groups":[{"value":"g"}],"schemas":["urn:x"],"title":"Countess"}}`,
			want: user(""), fixups: []schema.Fixup{schema.FixReadOnlyIgnored}, strict: schema.Mutability,
		},
		{name: "read-only attributes that say what is stored", doc: user(""), ops: `{"op":"replace","value":{"id":"1","groups":[],"meta":null,"nickName":"A"}}`, want: user(`"nickName":"A"`)},
		{
			name: "unknown attributes in a value are kept", doc: none, ops: `{"op":"add","value":{"colour":"red","name":{"nick":"x"},"` + entURN + `":{"desk":"7"}}}`,
			want:   `{` + bothS + `,"userName":"a","colour":"red","name":{"nick":"x"},"` + entURN + `":{"desk":"7"}}`,
			fixups: []schema.Fixup{schema.FixUnknownAttribute}, strict: schema.InvalidSyntax,
		},
		{
			name: "unknown attributes that are stored can be named", doc: `{` + userS + `,"userName":"a","colour":"red","tags":["x"],"gone":1}`,
			ops:  `{"op":"replace","path":"COLOUR","value":"blue"},{"op":"add","path":"tags","value":["x","y"]},{"op":"remove","path":"gone"},{"op":"add","path":"colour","value":null}`,
			want: `{` + userS + `,"userName":"a","colour":"blue","tags":["x","y"]}`, fixups: []schema.Fixup{schema.FixUnknownAttribute}, strict: schema.InvalidPath,
		},
		{
			name: "unknown attribute of an extension that is stored", doc: `{` + bothS + `,"userName":"a","` + entURN + `":{"desk":"7"}}`, ops: `{"op":"remove","path":"` + entURN + `:desk"}`,
			want: none, fixups: []schema.Fixup{schema.FixUnknownAttribute}, strict: schema.InvalidPath,
		},
		{
			name: "unknown schemas are kept", doc: none,
			ops:  `{"op":"add","path":"urn:custom:User:colour","value":"red"},{"op":"replace","path":"urn:CUSTOM:User:Colour","value":"blue"},{"op":"add","path":"urn:custom:User:size","value":7}`,
			want: `{"schemas":["` + coreURN + `","urn:custom:User"],"userName":"a","urn:custom:User":{"colour":"blue","size":7}}`, fixups: []schema.Fixup{schema.FixUnknownAttribute}, strict: schema.InvalidPath,
		},
		{
			name: "unknown schema in a value", doc: none, ops: `{"op":"add","value":{"urn:custom:User":{"colour":"red"}}}`,
			want:   `{"schemas":["` + coreURN + `","urn:custom:User"],"userName":"a","urn:custom:User":{"colour":"red"}}`,
			fixups: []schema.Fixup{schema.FixUnknownSchema}, strict: schema.InvalidSyntax,
		},
		{
			name: "names nobody can have", doc: none, ops: `{"op":"add","value":{"a b":1}}`, want: `{` + userS + `,"userName":"a","a b":1}`,
			fixups: []schema.Fixup{schema.FixUnknownAttribute}, strict: schema.InvalidSyntax,
		},
		{
			name: "words without quotes in a path", doc: user(""), ops: `{"op":"remove","path":"emails[type eq other]"}`, want: user(""),
			fixups: []schema.Fixup{schema.FixUnquotedValue}, strict: schema.InvalidPath,
		},
		{
			name: "an object for a list", doc: none, ops: `{"op":"add","path":"emails","value":{"value":"x"}}`, want: `{` + userS + `,"userName":"a","emails":[{"value":"x"}]}`,
			fixups: []schema.Fixup{schema.FixSingleValue}, strict: schema.InvalidValue,
		},
	})
}

func TestApply_Errors(t *testing.T) {
	for _, tc := range []struct{ name, ops, scimType, contains string }{
		{"PA08", `{"op":"remove"}`, schema.NoTarget, "operation 1: remove needs a path"},
		{"PA08 with a value", `{"op":"remove","value":{"title":"x"}}`, schema.NoTarget, "path"},
		{"PA12", `{"op":"remove","path":"userName"}`, schema.InvalidValue, "userName: the attribute is required"},
		{"PA12 by null", `{"op":"replace","value":{"userName":null}}`, schema.InvalidValue, "userName"},
		{"PA12 by empty text", `{"op":"replace","path":"userName","value":" "}`, schema.InvalidValue, "userName"},
		{"PA19 a filter that says nothing about the value", `{"op":"add","path":"emails[value co \"x\"].type","value":"work"}`, schema.NoTarget, "matches no value"},
		{"PA19 a filter with or", `{"op":"add","path":"emails[type eq \"x\" or type eq \"y\"].value","value":"a"}`, schema.NoTarget, ""},
		{"PA19 a filter that contradicts itself", `{"op":"add","path":"emails[type eq \"x\" and type eq \"y\"].value","value":"a"}`, schema.NoTarget, ""},
		{"PA19 a filter with null", `{"op":"add","path":"emails[type eq null].value","value":"a"}`, schema.NoTarget, ""},
		{"PA21 the second operation", `{"op":"replace","path":"title","value":"x"},{"op":"replace","path":"active","value":"maybe"}`, schema.InvalidValue, "active: operation 2"},
		{"PA22 id", `{"op":"replace","path":"id","value":"1"}`, schema.Mutability, "id: operation 1: the attribute is read-only"},
		{"PA22 meta", `{"op":"add","path":"meta.version","value":"x"}`, schema.Mutability, "meta.version"},
		{"PA22 groups", `{"op":"add","path":"groups","value":[{"value":"g"}]}`, schema.Mutability, "groups"},
		{"PA22 groups with brackets", `{"op":"remove","path":"groups[value eq \"g\"]"}`, schema.Mutability, "groups"},
		{"PA22 sub-attribute", `{"op":"replace","path":"` + entURN + `:manager.displayName","value":"x"}`, schema.Mutability, "manager.displayName"},
		{"PA24", `{"op":"add","path":"emails[type eq","value":"x"}`, schema.InvalidPath, "operation 1: invalid path at byte"},
		{"PA24 remove", `{"op":"remove","path":"a..b"}`, schema.InvalidPath, ""},
		{"PA25", `{"op":"add","path":"nope","value":"x"}`, schema.InvalidPath, "nope: operation 1: no schema has this attribute"},
		{"PA25 remove", `{"op":"remove","path":"nope"}`, schema.InvalidPath, ""},
		{"PA25 sub-attribute", `{"op":"add","path":"name.nope","value":"x"}`, schema.InvalidPath, "name.nope"},
		{"PA25 in the core schema", `{"op":"add","path":"` + coreURN + `:nope","value":"x"}`, schema.InvalidPath, ""},
		{"PA25 in the extension", `{"op":"add","path":"` + entURN + `:nope","value":"x"}`, schema.InvalidPath, ""},
		{"PA25 with brackets", `{"op":"add","path":"nope[a eq \"b\"]","value":"x"}`, schema.InvalidPath, ""},
		{"PA25 unknown schema with brackets", `{"op":"add","path":"urn:x:y[a eq \"b\"]","value":"x"}`, schema.InvalidPath, ""},
		{"brackets behind a single attribute", `{"op":"remove","path":"name[givenName eq \"b\"]"}`, schema.InvalidPath, "brackets"},
		{"brackets behind an extension", `{"op":"remove","path":"` + entURN + `[department pr]"}`, schema.InvalidPath, "brackets"},
		{"filter that compares what has no order", `{"op":"remove","path":"emails[primary gt true]"}`, schema.InvalidFilter, "primary"},
		{"type of a value", `{"op":"replace","path":"title","value":5}`, schema.InvalidValue, "title: operation 1: a string"},
		{"type of a list", `{"op":"add","path":"emails","value":"a@b"}`, schema.InvalidValue, "emails"},
		{"type of an element", `{"op":"add","path":"emails","value":[{"value":1}]}`, schema.InvalidValue, "emails.value"},
		{"type under a filter", `{"op":"replace","path":"emails[type eq \"work\"].value","value":1}`, schema.InvalidValue, "value: operation 1"},
		{"type of an element under a filter", `{"op":"replace","path":"emails[type eq \"work\"]","value":1}`, schema.InvalidValue, "emails"},
		{"type of a new element", `{"op":"add","path":"emails[type eq \"x\"].value","value":1}`, schema.InvalidValue, "emails"},
		{"several values under a filter", `{"op":"replace","path":"emails[type eq \"work\"]","value":[{"value":"a"},{"value":"b"}]}`, schema.InvalidValue, ""},
		{"type of an object", `{"op":"replace","path":"name","value":"Ada"}`, schema.InvalidValue, "name"},
		{"type of an extension", `{"op":"replace","path":"` + entURN + `","value":"x"}`, schema.InvalidValue, "object"},
		{"type of an extension in a value", `{"op":"replace","value":{"` + entURN + `":[1]}}`, schema.InvalidValue, "object"},
		{"type in an extension", `{"op":"replace","value":{"` + entURN + `":{"department":1}}}`, schema.InvalidValue, "department"},
		{"type of a password, without repeating it", `{"op":"replace","path":"password","value":918273}`, schema.InvalidValue, "a value of type string"},
		{"path-less text", `{"op":"replace","value":"x"}`, schema.InvalidValue, "must be an object"},
		{"path-less list", `{"op":"add","value":[{"title":"x"}]}`, schema.InvalidValue, "must be an object"},
		{"core removed", `{"op":"remove","path":"` + coreURN + `"}`, schema.NoTarget, "core"},
		{"remove of values that say nothing", `{"op":"remove","path":"emails","value":[{"type":"work"}]}`, schema.InvalidValue, "not clear"},
		{"remove of null values", `{"op":"remove","path":"emails","value":[null]}`, schema.InvalidValue, "not clear"},
		{"remove of empty addresses", `{"op":"remove","path":"addresses","value":[{"primary":true}]}`, schema.InvalidValue, "not clear"},
		{"remove of numbers", `{"op":"remove","path":"emails","value":[1]}`, schema.InvalidValue, "emails"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			doc := document(t, user(""))
			res, err := patch.Apply(schema.User(), doc, request(t, tc.ops), schema.Mode{})
			wantError(t, err, tc.scimType, tc.contains)
			if res.Doc != nil || !schema.Equal(doc, document(t, user(""))) {
				t.Error("PA21: something was done in spite of the error")
			}
			if _, err := patch.Apply(schema.User(), doc, request(t, tc.ops), strict); err == nil {
				t.Error("strict mode accepts it")
			}
		})
	}
	t.Run("op nobody knows", func(t *testing.T) {
		_, err := patch.Apply(schema.User(), document(t, user("")), patch.Request{Operations: []patch.Operation{{Op: "Add", Path: "title", Value: "x"}}}, schema.Mode{})
		wantError(t, err, schema.InvalidSyntax, "add, replace or remove")
	})
	t.Run("too many values", func(t *testing.T) {
		var values []any
		for i := range 1001 {
			values = append(values, map[string]any{"value": fmt.Sprint(i)})
		}
		for _, op := range []string{patch.OpAdd, patch.OpReplace, patch.OpRemove} {
			req := patch.Request{Operations: []patch.Operation{{Op: op, Path: "emails", Value: values}}}
			_, err := patch.Apply(schema.User(), document(t, user("")), req, schema.Mode{})
			wantError(t, err, schema.InvalidValue, "more than 1000 values")
		}
	})
}

// TestApply_Members holds that a whole group document works too; the store uses Split.
func TestApply_Members(t *testing.T) {
	const s = `"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"]`
	group := func(members string) string { return `{` + s + `,"displayName":"g"` + members + `}` }
	runApply(t, schema.Group(), []applyCase{
		{name: "add", doc: group(`,"members":[{"value":"1"}]`), ops: `{"op":"add","path":"members","value":[{"value":"1","display":"x"},{"value":"2"}]}`, want: group(`,"members":[{"value":"1"},{"value":"2"}]`)},
		{name: "PA33", doc: group(`,"members":[{"value":"1"},{"value":"2"}]`), ops: `{"op":"remove","path":"members[value eq \"1\"]"}`, want: group(`,"members":[{"value":"2"}]`)},
		{name: "PA34", doc: group(`,"members":[{"value":"1"},{"value":"2"}]`), ops: `{"op":"remove","path":"members"}`, want: group(``)},
		{
			name: "PA35", doc: group(`,"members":[{"value":"1"},{"value":"2"}]`), ops: `{"op":"remove","path":"members","value":[{"$ref":null,"value":"1"},{"value":"3"}]}`, want: group(`,"members":[{"value":"2"}]`),
			fixups: []schema.Fixup{schema.FixValueArrayRemove}, strict: schema.InvalidValue,
		},
		{name: "replace one by another that is there", doc: group(`,"members":[{"value":"1"},{"value":"2"}]`), ops: `{"op":"replace","path":"members[value eq \"1\"]","value":{"value":"2"}}`, want: group(`,"members":[{"value":"2"}]`)},
		{name: "rename", doc: group(`,"members":[{"value":"1"}]`), ops: `{"op":"replace","value":{"displayName":"g"}}`, want: group(`,"members":[{"value":"1"}]`)},
	})
	for _, tc := range []struct{ ops, scimType string }{
		{`{"op":"replace","path":"members[value eq \"1\"].value","value":"2"}`, schema.Mutability},
		{`{"op":"replace","path":"members.type","value":"User"}`, schema.Mutability},
		{`{"op":"add","path":"members","value":[{"display":"x"}]}`, schema.InvalidValue},
		{`{"op":"remove","path":"members","value":[{"display":"x"}]}`, schema.InvalidValue},
		{`{"op":"remove","path":"displayName"}`, schema.InvalidValue},
	} {
		_, err := patch.Apply(schema.Group(), document(t, group(`,"members":[{"value":"1"}]`)), request(t, tc.ops), schema.Mode{})
		wantError(t, err, tc.scimType, "")
	}
}

// TestApply_CustomExtension covers what the standard schemas lack: immutable attributes and lists of plain values.
func TestApply_CustomExtension(t *testing.T) {
	rt, err := schema.NewUser(&schema.Schema{ID: "urn:x:c", Attributes: []schema.Attribute{
		{Name: "badge", Type: schema.String, Mutability: schema.Immutable},
		{Name: "tags", Type: schema.String, MultiValued: true},
	}})
	if err != nil {
		t.Fatal(err)
	}
	doc := func(ext string) string {
		return `{"schemas":["` + coreURN + `","urn:x:c"],"userName":"a","urn:x:c":` + ext + `}`
	}
	runApply(t, rt, []applyCase{
		{name: "immutable is set once", doc: doc(`{"tags":["x"]}`), ops: `{"op":"add","path":"urn:x:c:badge","value":"1"}`, want: doc(`{"tags":["x"],"badge":"1"}`)},
		{name: "immutable with the same value", doc: doc(`{"badge":"1"}`), ops: `{"op":"replace","path":"urn:x:c:badge","value":"1"}`, want: doc(`{"badge":"1"}`)},
		{name: "plain values", doc: doc(`{"tags":["x"]}`), ops: `{"op":"add","path":"urn:x:c:tags","value":["X","y"]}`, want: doc(`{"tags":["x","y"]}`)},
		{name: "remove a plain value", doc: doc(`{"tags":["x","y"]}`), ops: `{"op":"remove","path":"urn:x:c:tags[value eq \"y\"]"}`, want: doc(`{"tags":["x"]}`)},
		{
			name: "remove plain values", doc: doc(`{"tags":["x","y"]}`), ops: `{"op":"remove","path":"urn:x:c:tags","value":["y"]}`, want: doc(`{"tags":["x"]}`),
			fixups: []schema.Fixup{schema.FixValueArrayRemove}, strict: schema.InvalidValue,
		},
	})
	for _, tc := range []struct{ ops, scimType string }{
		{`{"op":"replace","path":"urn:x:c:badge","value":"2"}`, schema.Mutability},
		{`{"op":"remove","path":"urn:x:c:badge"}`, schema.Mutability},
		{`{"op":"replace","path":"urn:x:c:tags[value eq \"x\"]","value":"z"}`, schema.InvalidPath},
	} {
		_, err := patch.Apply(rt, document(t, doc(`{"badge":"1","tags":["x"]}`)), request(t, tc.ops), schema.Mode{})
		wantError(t, err, tc.scimType, "")
	}
}

func BenchmarkApply(b *testing.B) {
	for name, ops := range map[string]string{
		"leaver": `{"op":"Replace","path":"active","value":"False"}`,
		"entra": `{"op":"Replace","path":"emails[type eq \"work\"].value","value":"x"},{"op":"Replace","path":"name.familyName","value":"y"},` +
			`{"op":"Add","path":"` + entURN + `:department","value":"z"}`,
	} {
		b.Run(name, func(b *testing.B) {
			doc, data := document(b, user("")), body(ops)
			b.ReportAllocs()
			for b.Loop() {
				req, _, err := patch.Decode(data, schema.Mode{})
				if err != nil {
					b.Fatal(err)
				}
				if res, err := patch.Apply(schema.User(), doc, req, schema.Mode{}); err != nil || !res.Changed {
					b.Fatal(res, err)
				}
			}
		})
	}
}
