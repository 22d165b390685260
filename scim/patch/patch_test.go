package patch_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/scim/patch"
	"github.com/matomo-scim/bridge/scim/schema"
)

func TestDecode(t *testing.T) {
	const s = `"schemas":["` + schema.PatchOpURN + `"]`
	for _, tc := range []struct {
		name, in string
		want     []patch.Operation
		fixups   []schema.Fixup
	}{
		{"with path", `{` + s + `,"Operations":[{"op":"add","path":"title","value":"x"}]}`, []patch.Operation{{Op: "add", Path: "title", Value: "x"}}, nil},
		{"without path", `{` + s + `,"Operations":[{"op":"replace","value":{"a":true}}]}`, []patch.Operation{{Op: "replace", Value: map[string]any{"a": true}}}, nil},
		{"null and empty paths are none", `{` + s + `,"Operations":[{"op":"add","path":null,"value":{}},{"op":"add","path":"","value":{}}]}`, []patch.Operation{
			{Op: "add", Value: map[string]any{}}, {Op: "add", Value: map[string]any{}},
		}, nil},
		{"remove", `{` + s + `,"Operations":[{"op":"remove","path":"a"}]}`, []patch.Operation{{Op: "remove", Path: "a"}}, nil},
		{"replace with null", `{` + s + `,"Operations":[{"op":"replace","path":"a","value":null}]}`, []patch.Operation{{Op: "replace", Path: "a"}}, nil},
		{
			"PA30 op in any case", `{` + s + `,"Operations":[{"op":"Replace","path":"a","value":1},{"op":"REMOVE","path":"b"}]}`,
			[]patch.Operation{{Op: "replace", Path: "a", Value: number("1")}, {Op: "remove", Path: "b"}},
			[]schema.Fixup{schema.FixOpCase},
		},
		{
			"PA30 names in any case", `{"SCHEMAS":["` + schema.PatchOpURN + `"],"operations":[{"OP":"add","Path":"a","VALUE":"x"}]}`,
			[]patch.Operation{{Op: "add", Path: "a", Value: "x"}},
			nil,
		},
		{"schemas as text", `{"schemas":"` + schema.PatchOpURN + `","Operations":[{"op":"remove","path":"a"}]}`, []patch.Operation{{Op: "remove", Path: "a"}}, nil},
		{"other members are ignored", `{` + s + `,"failOnErrors":1,"Operations":[{"op":"remove","path":"a","comment":"x"}]}`, []patch.Operation{{Op: "remove", Path: "a"}}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, mode := range []schema.Mode{{}, strict} {
				got, fixups, err := patch.Decode([]byte(tc.in), mode)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tc.want, got.Operations); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				if !slices.Equal(fixups, tc.fixups) {
					t.Errorf("fixups %v", fixups)
				}
			}
		})
	}
}

// number is a JSON number as Decode gives it.
func number(text string) any {
	doc, _ := schema.Decode([]byte(`{"n":` + text + `}`))
	return doc["n"]
}

func TestDecode_Errors(t *testing.T) {
	const s = `"schemas":["` + schema.PatchOpURN + `"]`
	for _, tc := range []struct{ name, in, scimType, contains string }{
		{"no JSON", `x`, schema.InvalidSyntax, "JSON object"},
		{"PA32 no schemas", `{"Operations":[{"op":"remove","path":"a"}]}`, schema.InvalidSyntax, "schemas: " + schema.PatchOpURN + " is missing"},
		{"PA32 other schemas", `{"schemas":["` + schema.UserURN + `",5],"Operations":[{"op":"remove","path":"a"}]}`, schema.InvalidSyntax, "schemas"},
		{"PA32 no Operations", `{` + s + `}`, schema.InvalidSyntax, "Operations"},
		{"PA32 empty Operations", `{` + s + `,"Operations":[]}`, schema.InvalidSyntax, "Operations"},
		{"Operations is an object", `{` + s + `,"Operations":{"op":"remove"}}`, schema.InvalidSyntax, "Operations"},
		{"operation is text", `{` + s + `,"Operations":["remove"]}`, schema.InvalidSyntax, "operation 1: an object"},
		{"PA23 unknown op", `{` + s + `,"Operations":[{"op":"remove","path":"a"},{"op":"move","path":"a"}]}`, schema.InvalidSyntax, "op: operation 2: add, replace or remove"},
		{"PA23 no op", `{` + s + `,"Operations":[{"path":"a","value":1}]}`, schema.InvalidSyntax, "op"},
		{"op is a number", `{` + s + `,"Operations":[{"op":1}]}`, schema.InvalidSyntax, "op"},
		{"path is a number", `{` + s + `,"Operations":[{"op":"add","path":1,"value":1}]}`, schema.InvalidPath, "path: operation 1: a string"},
		{"two spellings of value", `{` + s + `,"Operations":[{"op":"replace","path":"active","Value":true,"VALUE":false}]}`, schema.InvalidSyntax, "value: operation 1: the name is there twice"},
		{"two spellings of Operations", `{` + s + `,"Operations":[{"op":"remove","path":"a"}],"operations":[{"op":"remove","path":"b"}]}`, schema.InvalidSyntax, "operations: the name is there twice"},
		{"add without value", `{` + s + `,"Operations":[{"op":"add","path":"a"}]}`, schema.InvalidValue, "value: operation 1: add needs a value"},
		{"replace without value", `{` + s + `,"Operations":[{"op":"Replace","path":"a"}]}`, schema.InvalidValue, "replace needs a value"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, _, err := patch.Decode([]byte(tc.in), schema.Mode{})
			wantError(t, err, tc.scimType, tc.contains)
		})
	}
}

// pieces from which random operations are made.
var (
	somePaths = []string{
		"userName", "title", "name", "name.givenName", "emails", "emails.type", `emails[type eq "work"]`, `emails[type eq "work"].value`, `emails[primary eq true].display`,
		`emails[value co "a"]`, "active", "password", "id", "schemas", "manager", entURN, entURN + ":department", entURN + ":manager.value", "nope", "urn:custom:User:x", "roles",
	}
	someValues = []string{
		`null`, `""`, `"a"`, `"work"`, `"true"`, `true`, `5`, `[]`, `{}`, `["a"]`, `{"value":"a"}`, `[{"value":"a","type":"work"}]`, `[{"value":"b","primary":true},null]`,
		`{"givenName":"g","familyName":null}`, `{"department":"d"}`, `{"title":"t","name.givenName":"g","emails":[{"value":"c","primary":true}],"id":"9"}`,
		`{"` + entURN + `":{"manager":"m"},"unknown":{"x":[1]}}`, `{"value":"a","type":"work","primary":"True"}`,
	}
)

func randomRequest(t *rapid.T) patch.Request {
	n := rapid.IntRange(1, 4).Draw(t, "operations")
	var req patch.Request
	for range n {
		op := patch.Operation{Op: rapid.SampledFrom([]string{patch.OpAdd, patch.OpReplace, patch.OpRemove}).Draw(t, "op")}
		op.Value = number(rapid.SampledFrom(someValues).Draw(t, "value"))
		if rapid.IntRange(0, 3).Draw(t, "path-less") > 0 {
			op.Path = rapid.SampledFrom(somePaths).Draw(t, "path")
		}
		req.Operations = append(req.Operations, op)
	}
	return req
}

// TestApply_AnyRequest checks on random operations what holds for all: neither document nor request change, the result is valid and canonical, Changed says
// the truth, strict mode forgives nothing, and what strict mode does tolerant mode does too.
func TestApply_AnyRequest(t *testing.T) {
	start := document(t, user(`"active":true`))
	rapid.Check(t, func(t *rapid.T) {
		req := randomRequest(t)
		doc, before := schema.Clone(start), fmt.Sprintf("%v", req)
		res, err := patch.Apply(schema.User(), doc, req, schema.Mode{})
		if !schema.Equal(doc, start) || fmt.Sprintf("%v", req) != before {
			t.Fatal("document or request changed")
		}
		exact, strictErr := patch.Apply(schema.User(), doc, req, strict)
		if err != nil {
			if strictErr == nil {
				t.Fatalf("strict mode accepts what tolerant mode refuses: %v", err)
			}
			return
		}
		if strictErr == nil && (len(exact.Fixups) > 0 || len(res.Fixups) == 0 && !schema.Equal(exact.Doc, res.Doc)) {
			t.Fatalf("strict gives %v, tolerant %v", exact, res)
		}
		if err := schema.User().Validate(res.Doc); err != nil {
			t.Fatalf("invalid result: %v", err)
		}
		if res.Changed == schema.Equal(res.Doc, doc) {
			t.Fatalf("Changed is %v: %v", res.Changed, res.Doc)
		}
		canon, _, err := schema.User().Canonicalize(res.Doc, schema.Mode{})
		if err != nil {
			t.Fatalf("the result is not canonical: %v", err)
		}
		canon["id"] = "1" // read-only attributes are left out of a body
		if !schema.Equal(canon, res.Doc) {
			t.Fatalf("the result is not canonical:\n%v\n%v", res.Doc, canon)
		}
	})
}

// TestApply_Twice checks that an idempotent PATCH, one operation that adds, replaces or removes the same, changes nothing the second time.
func TestApply_Twice(t *testing.T) {
	start := document(t, user(""))
	rapid.Check(t, func(t *rapid.T) {
		req := randomRequest(t)
		req.Operations = req.Operations[:1]
		if p := req.Operations[0].Path; p == "emails.type" || p == `emails[type eq "work"]` || p == `emails[value co "a"]` || p == `emails[primary eq true].display` {
			return // what the filter finds, or what makes two values one, may differ the second time
		}
		once, err := patch.Apply(schema.User(), start, req, schema.Mode{})
		if err != nil {
			return
		}
		twice, err := patch.Apply(schema.User(), once.Doc, req, schema.Mode{})
		if err != nil || twice.Changed {
			t.Fatalf("%v\nonce:  %v\ntwice: %v, %v", req, once.Doc, twice.Doc, err)
		}
	})
}

// FuzzApply feeds arbitrary PATCH bodies: no crash, errors are *schema.Error, results are valid, originals stay, Split and Apply agree on what is refused in
// the members.
func FuzzApply(f *testing.F) {
	for _, ops := range []string{
		`{"op":"add","path":"title","value":"x"}`, `{"op":"Replace","path":"emails[type eq \"work\"].value","value":"x"}`, `{"op":"remove","path":"emails","value":[{"value":"a@home"}]}`,
		`{"op":"replace","value":{"name.givenName":"x","` + entURN + `:manager":"m","id":"2","foo":{}}}`, `{"op":"add","path":"members","value":[{"value":"1","$ref":null}]}`,
		`{"op":"remove","path":"members[value eq \"1\" or type eq \"User\"]"}`, `{"op":"replace","path":"members[value eq \"1\"]","value":{"value":"2"}}`,
	} {
		f.Add(body(ops))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, mode := range []schema.Mode{{}, strict} {
			req, _, err := patch.Decode(data, mode)
			if err != nil {
				mustBeOurs(t, err)
				continue
			}
			doc := document(t, user(`"active":true`))
			res, err := patch.Apply(schema.User(), doc, req, mode)
			if !schema.Equal(doc, document(t, user(`"active":true`))) {
				t.Fatal("the document was changed")
			}
			if err != nil {
				mustBeOurs(t, err)
			} else if err := schema.User().Validate(res.Doc); err != nil {
				t.Fatalf("invalid result %v: %v", res.Doc, err)
			}
			head, members, _, err := patch.Split(schema.Group(), req, mode)
			if err != nil {
				mustBeOurs(t, err)
				continue
			}
			checkSteps(t, members)
			group := document(t, `{"displayName":"g","members":[{"value":"1"}]}`)
			if res, err := patch.Apply(schema.Group(), group, head, mode); err == nil && !schema.Equal(res.Doc["members"], group["members"]) {
				t.Fatalf("the head %v changes members: %v", head, res.Doc)
			}
		}
	})
}

func mustBeOurs(t testing.TB, err error) {
	t.Helper()
	known := []string{schema.InvalidSyntax, schema.InvalidValue, schema.InvalidPath, schema.InvalidFilter, schema.NoTarget, schema.Mutability}
	wantError(t, err, schemaTypeOf(err), "")
	if !slices.Contains(known, schemaTypeOf(err)) {
		t.Fatalf("scimType of %v", err)
	}
}
