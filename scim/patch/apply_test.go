package patch_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/matomo-scim/bridge/scim/patch"
	"github.com/matomo-scim/bridge/scim/schema"
)

const (
	coreURN = "urn:ietf:params:scim:schemas:core:2.0:User"
	entURN  = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	userS   = `"schemas":["` + coreURN + `"]`
	bothS   = `"schemas":["` + coreURN + `","` + entURN + `"]`
)

var strict = schema.Mode{Strict: true}

func document(t testing.TB, text string) schema.Document {
	t.Helper()
	doc, err := schema.Decode([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return doc
}

// request reads operations as they stand in a body.
func request(t testing.TB, operations string) patch.Request {
	t.Helper()
	req, _, err := patch.Decode(body(operations), schema.Mode{})
	if err != nil {
		t.Fatalf("%s: %v", operations, err)
	}
	return req
}

func body(operations string) []byte {
	return []byte(`{"schemas":["` + schema.PatchOpURN + `"],"Operations":[` + operations + `]}`)
}

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

// applyCase is one PATCH of a user: what is stored, the operations, what is stored then, what was forgiven, and what strict mode says: a scimType, or
// nothing when it does the same.
type applyCase struct {
	name, doc, ops, want string
	fixups               []schema.Fixup
	strict               string
}

// ada is the user most cases begin with.
const ada = `"id":"1","userName":"ada","title":"Countess","name":{"givenName":"Ada","familyName":"King"},` +
	`"emails":[{"value":"a@work","type":"work","primary":true},{"value":"a@home","type":"home"}]`

func user(rest string) string {
	if rest != "" {
		rest = "," + rest
	}
	return `{` + userS + `,` + ada + rest + `}`
}

func runApply(t *testing.T, rt *schema.ResourceType, cases []applyCase) {
	t.Helper()
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			doc, req := document(t, tc.doc), request(t, tc.ops)
			reqBefore := fmt.Sprintf("%v", req)
			res, err := patch.Apply(rt, doc, req, schema.Mode{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(document(t, tc.want), res.Doc); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if changed := tc.doc != tc.want; res.Changed != changed {
				t.Errorf("Changed = %v", res.Changed)
			}
			if !slices.Equal(res.Fixups, tc.fixups) {
				t.Errorf("fixups %v, want %v", res.Fixups, tc.fixups)
			}
			if !schema.Equal(doc, document(t, tc.doc)) || fmt.Sprintf("%v", req) != reqBefore {
				t.Error("the document or the request was changed")
			}
			got, err := patch.Apply(rt, doc, req, strict)
			if tc.strict != "" {
				wantError(t, err, tc.strict, "")
				return
			}
			if err != nil || len(got.Fixups) > 0 || !schema.Equal(got.Doc, res.Doc) {
				t.Errorf("strict: %v, %v", got, err)
			}
		})
	}
}

func TestApply_Add(t *testing.T) {
	runApply(t, schema.User(), []applyCase{
		{name: "PA01 a simple attribute", doc: user(""), ops: `{"op":"add","path":"nickName","value":"A"}`, want: user(`"nickName":"A"`)},
		{
			name: "PA02 without path", doc: `{` + userS + `,"userName":"a","name":{"givenName":"b"},"emails":[{"value":"x"}]}`,
			ops:  `{"op":"add","value":{"title":"t","name":{"familyName":"c"},"emails":[{"value":"y"}]}}`,
			want: `{` + userS + `,"userName":"a","title":"t","name":{"givenName":"b","familyName":"c"},"emails":[{"value":"x"},{"value":"y"}]}`,
		},
		{
			name: "PA03 appends", doc: `{` + userS + `,"userName":"a","emails":[{"value":"x"}]}`,
			ops:  `{"op":"add","path":"emails","value":[{"value":"y","type":"home"},{"value":"z"}]}`,
			want: `{` + userS + `,"userName":"a","emails":[{"value":"x"},{"value":"y","type":"home"},{"value":"z"}]}`,
		},
		{
			name: "PA04 a value already there", doc: user(""), ops: `{"op":"add","path":"emails","value":[{"value":"A@WORK","type":"work"},{"value":"a@home"}]}`,
			want: `{` + userS + `,"id":"1","userName":"ada","title":"Countess","name":{"givenName":"Ada","familyName":"King"},` +
				`"emails":[{"value":"A@WORK","type":"work","primary":true},{"value":"a@home","type":"home"}]}`,
		},
		{name: "PA04 exactly the same", doc: user(""), ops: `{"op":"add","path":"emails","value":[{"value":"a@home","type":"home"}]}`, want: user("")},
		{name: "PA04 the same simple value", doc: user(""), ops: `{"op":"add","path":"title","value":"Countess"}`, want: user("")},
		{
			name: "PA04 addresses have no value", doc: `{` + userS + `,"userName":"a","addresses":[{"type":"work","country":"GB"}]}`,
			ops:  `{"op":"add","path":"addresses","value":[{"type":"work","country":"GB"},{"type":"home"}]}`,
			want: `{` + userS + `,"userName":"a","addresses":[{"type":"work","country":"GB"},{"type":"home"}]}`,
		},
		{
			name: "the same value of another type", doc: `{` + userS + `,"userName":"a","emails":[{"value":"x","type":"work"}]}`,
			ops:  `{"op":"add","path":"emails","value":[{"value":"x","type":"home"}]}`,
			want: `{` + userS + `,"userName":"a","emails":[{"value":"x","type":"work"},{"value":"x","type":"home"}]}`,
		},
		{
			name: "PA05 replaces a single value", doc: `{` + userS + `,"userName":"a","title":"t"}`, ops: `{"op":"add","path":"title","value":"u"}`,
			want: `{` + userS + `,"userName":"a","title":"u"}`,
		},
		{
			name: "PA06 a new primary value", doc: `{` + userS + `,"userName":"a","emails":[{"value":"x","primary":true},{"value":"y"}]}`,
			ops:  `{"op":"add","path":"emails","value":[{"value":"z","primary":true}]}`,
			want: `{` + userS + `,"userName":"a","emails":[{"value":"x","primary":false},{"value":"y"},{"value":"z","primary":true}]}`,
		},
		{
			name: "PA06 an old value becomes primary", doc: `{` + userS + `,"userName":"a","emails":[{"value":"x","primary":true},{"value":"y"}]}`,
			ops:  `{"op":"add","path":"emails","value":[{"value":"y","primary":true}]}`,
			want: `{` + userS + `,"userName":"a","emails":[{"value":"x","primary":false},{"value":"y","primary":true}]}`,
		},
		{
			name: "PA06 by a path", doc: `{` + userS + `,"userName":"a","emails":[{"value":"x","primary":true},{"value":"y"}]}`,
			ops:  `{"op":"replace","path":"emails[value eq \"y\"].primary","value":true}`,
			want: `{` + userS + `,"userName":"a","emails":[{"value":"x","primary":false},{"value":"y","primary":true}]}`,
		},
		{
			name: "PA06 two values by one path: the first", doc: `{` + userS + `,"userName":"a","emails":[{"value":"x","type":"w"},{"value":"y","type":"w"}]}`,
			ops:  `{"op":"replace","path":"emails[type eq \"w\"].primary","value":true}`,
			want: `{` + userS + `,"userName":"a","emails":[{"value":"x","type":"w","primary":true},{"value":"y","type":"w"}]}`,
		},
		{
			name: "PA20 erratum 8097", doc: `{` + userS + `,"userName":"a"}`,
			ops: `{"op":"add","path":"addresses[type eq \"work\"].country","value":"GB"},` +
				`{"op":"add","path":"addresses[type eq \"work\"].streetAddress","value":"1 New Row"},` +
				`{"op":"add","path":"phoneNumbers[type eq \"mobile\" and primary eq true]","value":{"value":"1"}}`,
			want: `{` + userS + `,"userName":"a","addresses":[{"type":"work","country":"GB","streetAddress":"1 New Row"}],` +
				`"phoneNumbers":[{"type":"mobile","primary":true,"value":"1"}]}`,
		},
		{
			name: "a filtered add completes what it finds", doc: `{` + userS + `,"userName":"a","emails":[{"value":"x","type":"work"}]}`,
			ops:  `{"op":"add","path":"emails[type eq \"work\"]","value":{"display":"X"}}`,
			want: `{` + userS + `,"userName":"a","emails":[{"value":"x","type":"work","display":"X"}]}`,
		},
		{name: "null adds nothing", doc: user(""), ops: `{"op":"add","path":"title","value":null},{"op":"add","path":"emails","value":[]},{"op":"add","path":"name","value":null},{"op":"add","path":"emails[type eq \"x\"].value","value":null},{"op":"add","path":"emails[type eq \"work\"].display","value":null}`, want: user("")},
		{
			name: "a sub-attribute of an absent attribute", doc: `{` + userS + `,"userName":"a"}`, ops: `{"op":"add","path":"name.givenName","value":"b"}`,
			want: `{` + userS + `,"userName":"a","name":{"givenName":"b"}}`,
		},
		{
			name: "a sub-attribute of all values", doc: user(""), ops: `{"op":"replace","path":"emails.display","value":"d"}`,
			want: `{` + userS + `,"id":"1","userName":"ada","title":"Countess","name":{"givenName":"Ada","familyName":"King"},` +
				`"emails":[{"value":"a@work","type":"work","primary":true,"display":"d"},{"value":"a@home","type":"home","display":"d"}]}`,
		},
	})
}

func TestApply_Remove(t *testing.T) {
	const noEmails = `{` + userS + `,"id":"1","userName":"ada","title":"Countess","name":{"givenName":"Ada","familyName":"King"}`
	runApply(t, schema.User(), []applyCase{
		{name: "PA07", doc: `{` + userS + `,"userName":"a","title":"t"}`, ops: `{"op":"remove","path":"title"}`, want: `{` + userS + `,"userName":"a"}`},
		{name: "PA07 a list", doc: user(""), ops: `{"op":"remove","path":"emails"}`, want: noEmails + `}`},
		{name: "PA07 null is no value", doc: user(""), ops: `{"op":"remove","path":"emails","value":null}`, want: noEmails + `}`},
		{name: "PA07 what is not there", doc: user(""), ops: `{"op":"remove","path":"nickName"},{"op":"remove","path":"roles"},{"op":"remove","path":"` + entURN + `:manager.value"}`, want: user("")},
		{name: "PA09", doc: user(""), ops: `{"op":"remove","path":"emails[type eq \"home\"]"}`, want: noEmails + `,"emails":[{"value":"a@work","type":"work","primary":true}]}`},
		{name: "PA09 the last one", doc: user(""), ops: `{"op":"remove","path":"emails[value pr]"}`, want: noEmails + `}`},
		{name: "PA09 no match", doc: user(""), ops: `{"op":"remove","path":"emails[type eq \"x\"]"},{"op":"remove","path":"roles[type eq \"x\"].display"}`, want: user("")},
		{name: "PA10", doc: `{` + userS + `,"userName":"a","name":{"givenName":"b","familyName":"c"}}`, ops: `{"op":"remove","path":"name.givenName"}`, want: `{` + userS + `,"userName":"a","name":{"familyName":"c"}}`},
		{name: "PA10 the last one", doc: `{` + userS + `,"userName":"a","name":{"givenName":"b"}}`, ops: `{"op":"remove","path":"name.givenName"}`, want: `{` + userS + `,"userName":"a"}`},
		{name: "PA10 of all values", doc: user(""), ops: `{"op":"remove","path":"emails.type"}`, want: noEmails + `,"emails":[{"value":"a@work","primary":true},{"value":"a@home"}]}`},
		{name: "PA11", doc: user(""), ops: `{"op":"remove","path":"emails[type eq \"work\"].primary"}`, want: noEmails + `,"emails":[{"value":"a@work","type":"work"},{"value":"a@home","type":"home"}]}`},
		{name: "PA11 nothing is left", doc: `{` + userS + `,"userName":"a","emails":[{"value":"x"}]}`, ops: `{"op":"remove","path":"emails[value eq \"x\"].value"}`, want: `{` + userS + `,"userName":"a"}`},
		{
			name: "PA35 named values of a list", doc: user(""), ops: `{"op":"remove","path":"emails","value":[{"value":"A@HOME"}]}`,
			want: noEmails + `,"emails":[{"value":"a@work","type":"work","primary":true}]}`, fixups: []schema.Fixup{schema.FixValueArrayRemove}, strict: schema.InvalidValue,
		},
		{
			name: "PA35 value and type", doc: user(""), ops: `{"op":"remove","path":"emails","value":[{"value":"a@home","type":"work"}]}`,
			want: user(""), fixups: []schema.Fixup{schema.FixValueArrayRemove}, strict: schema.InvalidValue,
		},
		{
			name: "PA35 one object", doc: user(""), ops: `{"op":"remove","path":"emails","value":{"value":"a@home"}}`,
			want: noEmails + `,"emails":[{"value":"a@work","type":"work","primary":true}]}`, fixups: []schema.Fixup{schema.FixValueArrayRemove}, strict: schema.InvalidValue,
		},
		{
			name: "PA35 plain text", doc: user(""), ops: `{"op":"remove","path":"emails","value":"a@home"}`,
			want:   noEmails + `,"emails":[{"value":"a@work","type":"work","primary":true}]}`,
			fixups: []schema.Fixup{schema.FixValueArrayRemove, schema.FixBareValue}, strict: schema.InvalidValue,
		},
		{
			name: "PA35 an empty list removes nobody", doc: user(""), ops: `{"op":"remove","path":"emails","value":[]}`,
			want: user(""), fixups: []schema.Fixup{schema.FixValueArrayRemove}, strict: schema.InvalidValue,
		},
		{
			name: "PA35 addresses by what they say", doc: `{` + userS + `,"userName":"a","addresses":[{"type":"work","country":"GB"},{"type":"home","country":"GB"}]}`,
			ops:  `{"op":"remove","path":"addresses","value":[{"type":"home"}]}`,
			want: `{` + userS + `,"userName":"a","addresses":[{"type":"work","country":"GB"}]}`, fixups: []schema.Fixup{schema.FixValueArrayRemove}, strict: schema.InvalidValue,
		},
		{
			name: "a value on a single attribute does not matter", doc: `{` + userS + `,"userName":"a","title":"t"}`, ops: `{"op":"remove","path":"title","value":"x"}`,
			want: `{` + userS + `,"userName":"a"}`,
		},
	})
}

func TestApply_Replace(t *testing.T) {
	runApply(t, schema.User(), []applyCase{
		{name: "PA13", doc: user(""), ops: `{"op":"replace","path":"nickName","value":"A"}`, want: user(`"nickName":"A"`)},
		{name: "PA13 there before", doc: user(`"nickName":"B"`), ops: `{"op":"replace","path":"nickName","value":"A"}`, want: user(`"nickName":"A"`)},
		{
			name: "PA14", doc: `{` + userS + `,"userName":"a","name":{"givenName":"b","familyName":"c"}}`, ops: `{"op":"replace","path":"name","value":{"familyName":"d"}}`,
			want: `{` + userS + `,"userName":"a","name":{"givenName":"b","familyName":"d"}}`,
		},
		{
			name: "PA14 null in it clears", doc: `{` + userS + `,"userName":"a","name":{"givenName":"b","familyName":"c"}}`, ops: `{"op":"replace","path":"name","value":{"familyName":null}}`,
			want: `{` + userS + `,"userName":"a","name":{"givenName":"b"}}`,
		},
		{
			name: "PA15", doc: `{` + userS + `,"userName":"a","emails":[{"value":"x"},{"value":"y"}]}`, ops: `{"op":"replace","path":"emails","value":[{"value":"z"}]}`,
			want: `{` + userS + `,"userName":"a","emails":[{"value":"z"}]}`,
		},
		{name: "PA15 with nothing", doc: `{` + userS + `,"userName":"a","emails":[{"value":"x"}]}`, ops: `{"op":"replace","path":"emails","value":[]}`, want: `{` + userS + `,"userName":"a"}`},
		{
			name: "PA16", doc: `{` + userS + `,"userName":"a","name":{"givenName":"b"},"emails":[{"value":"x"},{"value":"y"}]}`,
			ops:  `{"op":"replace","value":{"emails":[{"value":"z"}],"name":{"familyName":"c"},"title":"t"}}`,
			want: `{` + userS + `,"userName":"a","title":"t","name":{"givenName":"b","familyName":"c"},"emails":[{"value":"z"}]}`,
		},
		{
			name: "PA17", doc: `{` + userS + `,"userName":"a","emails":[{"value":"x","type":"work"},{"value":"y","type":"home"}]}`, ops: `{"op":"replace","path":"emails[type eq \"work\"].value","value":"z"}`,
			want: `{` + userS + `,"userName":"a","emails":[{"value":"z","type":"work"},{"value":"y","type":"home"}]}`,
		},
		{
			name: "PA17 with null", doc: `{` + userS + `,"userName":"a","emails":[{"value":"x","type":"work"}]}`, ops: `{"op":"replace","path":"emails[type eq \"work\"].type","value":null}`,
			want: `{` + userS + `,"userName":"a","emails":[{"value":"x"}]}`,
		},
		{
			name: "PA18", doc: `{` + userS + `,"userName":"a","emails":[{"value":"x","type":"work","display":"X"},{"value":"y"}]}`,
			ops:  `{"op":"replace","path":"emails[type eq \"work\"]","value":{"value":"z","type":"other"}}`,
			want: `{` + userS + `,"userName":"a","emails":[{"value":"z","type":"other"},{"value":"y"}]}`,
		},
		{
			name: "PA18 with null", doc: `{` + userS + `,"userName":"a","emails":[{"value":"x","type":"work"},{"value":"y"}]}`, ops: `{"op":"replace","path":"emails[type eq \"work\"]","value":null}`,
			want: `{` + userS + `,"userName":"a","emails":[{"value":"y"}]}`,
		},
		{
			name: "PA18 as a list of one", doc: `{` + userS + `,"userName":"a","emails":[{"value":"x","type":"work"}]}`, ops: `{"op":"replace","path":"emails[type eq \"work\"]","value":[{"value":"z"}]}`,
			want: `{` + userS + `,"userName":"a","emails":[{"value":"z"}]}`, fixups: []schema.Fixup{schema.FixSingletonArray}, strict: schema.InvalidValue,
		},
		{
			name: "PA18 as text keeps the rest", doc: `{` + userS + `,"userName":"a","emails":[{"value":"x","type":"work"}]}`, ops: `{"op":"replace","path":"emails[type eq \"work\"]","value":"z"}`,
			want: `{` + userS + `,"userName":"a","emails":[{"value":"z","type":"work"}]}`, fixups: []schema.Fixup{schema.FixBareValue}, strict: schema.InvalidValue,
		},
		{
			name: "PA19 Entra wants it made, the RFC noTarget", doc: `{` + userS + `,"userName":"a"}`, ops: `{"op":"replace","path":"phoneNumbers[type eq \"work\"].value","value":"555"}`,
			want: `{` + userS + `,"userName":"a","phoneNumbers":[{"type":"work","value":"555"}]}`, fixups: []schema.Fixup{schema.FixFilteredCreate}, strict: schema.NoTarget,
		},
		{
			name: "PA19 Entra's validator", doc: `{` + userS + `,"userName":"a"}`, ops: `{"op":"replace","path":"roles[primary eq \"True\"].display","value":"d"}`,
			want: `{` + userS + `,"userName":"a","roles":[{"primary":true,"display":"d"}]}`, fixups: []schema.Fixup{schema.FixStringBool, schema.FixFilteredCreate}, strict: schema.InvalidFilter,
		},
		{
			name: "PA39 null", doc: user(`"nickName":"A"`), ops: `{"op":"replace","path":"nickName","value":null}`, want: user(""),
		},
		{
			name: "PA39 null of everything", doc: `{` + bothS + `,"userName":"a","title":"t","name":{"givenName":"b"},"emails":[{"value":"x"}],"` + entURN + `":{"department":"d"}}`,
			ops:  `{"op":"replace","value":{"title":null,"name":null,"emails":null,"` + entURN + `":null}}`,
			want: `{` + userS + `,"userName":"a"}`,
		},
		{
			name: "PA40 and in a path", doc: `{` + userS + `,"userName":"a","emails":[{"value":"x","type":"work","primary":true},{"value":"y","type":"work"}]}`,
			ops:  `{"op":"replace","path":"emails[type eq \"work\" and primary eq true].value","value":"z"}`,
			want: `{` + userS + `,"userName":"a","emails":[{"value":"z","type":"work","primary":true},{"value":"y","type":"work"}]}`,
		},
		{name: "the same again is no change", doc: user(""), ops: `{"op":"replace","path":"title","value":"Countess"},{"op":"replace","path":"name.givenName","value":"Ada"}`, want: user("")},
		{name: "there and back is no change", doc: user(""), ops: `{"op":"remove","path":"title"},{"op":"add","path":"title","value":"Countess"}`, want: user("")},
		{name: "empty text stays", doc: user(""), ops: `{"op":"replace","path":"nickName","value":""}`, want: user(`"nickName":""`)},
		{name: "schemas follows the data, not the client", doc: user(""), ops: `{"op":"replace","path":"schemas","value":["urn:x"]},{"op":"remove","path":"schemas"}`, want: user("")},
		{
			name: "password of what no schema has", doc: `{` + userS + `,"userName":"a","urn:x:1":{"a":1}}`,
			ops:  `{"op":"add","path":"urn:x:1:password","value":"x"},{"op":"replace","value":{"userPassword":"x","urn:x:2":{"password":"x"},"urn:x:1":{"a":1,"password":"x"},"` + entURN + `":{"password":"x"}}}`,
			want: `{` + userS + `,"userName":"a","urn:x:1":{"a":1}}`, fixups: []schema.Fixup{schema.FixUnknownAttribute, schema.FixUnknownSchema}, strict: schema.InvalidPath,
		},
		{name: "password is dropped", doc: user(""), ops: `{"op":"replace","value":{"password":"N3w!"}},{"op":"add","path":"password","value":"x"},{"op":"remove","path":"password"}`, want: user("")},
	})
}
