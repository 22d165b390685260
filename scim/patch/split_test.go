package patch_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/scim/filter"
	"github.com/matomo-scim/bridge/scim/patch"
	"github.com/matomo-scim/bridge/scim/schema"
)

// schemaTypeOf gives the scimType of an error, "" when it has none.
func schemaTypeOf(err error) string {
	if e, ok := errors.AsType[*schema.Error](err); ok {
		return e.ScimType
	}
	return ""
}

// checkSteps holds what the store may rely on.
func checkSteps(t testing.TB, steps []patch.MemberOp) {
	t.Helper()
	for i, s := range steps {
		seen := map[string]bool{}
		for _, m := range s.Members {
			if m.Value == "" || seen[m.Value] {
				t.Fatalf("step %d: member %q is empty or there twice", i, m.Value)
			}
			seen[m.Value] = true
		}
		switch s.Kind {
		case patch.ReplaceAll:
			if i != 0 {
				t.Fatalf("a replace is step %d", i)
			}
		case patch.Add, patch.Remove:
			if len(s.Members) == 0 {
				t.Fatalf("step %d does nothing", i)
			}
		case patch.RemoveWhere:
			if s.Where == nil {
				t.Fatalf("step %d has no filter", i)
			}
		default:
			t.Fatalf("kind %q", s.Kind)
		}
		if s.Kind != patch.RemoveWhere && s.Where != nil {
			t.Fatalf("step %d has a filter", i)
		}
	}
}

func ids(values ...string) []patch.Member {
	var m []patch.Member
	for _, v := range values {
		m = append(m, patch.Member{Value: v})
	}
	return m
}

func TestSplit(t *testing.T) {
	const groupURN = "urn:ietf:params:scim:schemas:core:2.0:Group"
	rename := patch.Operation{Op: patch.OpReplace, Path: "displayName", Value: "n"}
	for _, tc := range []struct {
		name, ops string
		head      []patch.Operation
		members   []patch.MemberOp
		fixups    []schema.Fixup
		strict    string
	}{
		{name: "nothing about members", ops: `{"op":"replace","path":"displayName","value":"n"}`, head: []patch.Operation{rename}},
		{name: "add", ops: `{"op":"add","path":"members","value":[{"value":"1"},{"value":"2"}]}`, members: []patch.MemberOp{{Kind: patch.Add, Members: ids("1", "2")}}},
		{
			name: "add with everything", ops: `{"op":"add","path":"MEMBERS","value":[{"VALUE":"1","display":"a","type":"User","$ref":"../Users/1"}]}`,
			members: []patch.MemberOp{{Kind: patch.Add, Members: []patch.Member{{Value: "1", Display: "a", Type: "User", Ref: "../Users/1"}}}},
		},
		{name: "add with $ref null", ops: `{"op":"add","path":"members","value":[{"$ref":null,"value":"1"}]}`, members: []patch.MemberOp{{Kind: patch.Add, Members: ids("1")}}},
		{name: "add nobody", ops: `{"op":"add","path":"members","value":[]},{"op":"add","path":"members","value":null}`},
		{name: "add with a core URN", ops: `{"op":"add","path":"` + groupURN + `:members","value":[{"value":"1"}]}`, members: []patch.MemberOp{{Kind: patch.Add, Members: ids("1")}}},
		{
			name: "authentik: one operation a member", ops: `{"op":"add","path":"members","value":[{"value":"1"}]},{"op":"add","path":"members","value":[{"value":"2"}]},{"op":"add","path":"members","value":[{"value":"1"}]}`,
			members: []patch.MemberOp{{Kind: patch.Add, Members: ids("1", "2")}},
		},
		{name: "replace", ops: `{"op":"replace","path":"members","value":[{"value":"1"},{"value":"1"}]}`, members: []patch.MemberOp{{Kind: patch.ReplaceAll, Members: ids("1")}}},
		{name: "replace with nobody", ops: `{"op":"replace","path":"members","value":[]}`, members: []patch.MemberOp{{Kind: patch.ReplaceAll}}},
		{name: "PA34", ops: `{"op":"remove","path":"members"}`, members: []patch.MemberOp{{Kind: patch.ReplaceAll}}},
		{name: "PA34 with null", ops: `{"op":"remove","path":"members","value":null}`, members: []patch.MemberOp{{Kind: patch.ReplaceAll}}},
		{name: "PA39 replace with null", ops: `{"op":"replace","path":"members","value":null}`, members: []patch.MemberOp{{Kind: patch.ReplaceAll}}},
		{
			name: "PA35", ops: `{"op":"remove","path":"members","value":[{"$ref":null,"value":"1"},{"value":"2"}]}`,
			members: []patch.MemberOp{{Kind: patch.Remove, Members: ids("1", "2")}}, fixups: []schema.Fixup{schema.FixValueArrayRemove}, strict: schema.InvalidValue,
		},
		{
			name: "PA35 one object", ops: `{"op":"remove","path":"members","value":{"value":"1"}}`,
			members: []patch.MemberOp{{Kind: patch.Remove, Members: ids("1")}}, fixups: []schema.Fixup{schema.FixValueArrayRemove}, strict: schema.InvalidValue,
		},
		{
			name: "PA35 text", ops: `{"op":"remove","path":"members","value":"1"}`,
			members: []patch.MemberOp{{Kind: patch.Remove, Members: ids("1")}}, fixups: []schema.Fixup{schema.FixValueArrayRemove, schema.FixBareValue}, strict: schema.InvalidValue,
		},
		{
			name: "PA35 an empty list removes nobody", ops: `{"op":"remove","path":"members","value":[]}`,
			fixups: []schema.Fixup{schema.FixValueArrayRemove}, strict: schema.InvalidValue,
		},
		{name: "PA33", ops: `{"op":"remove","path":"members[value eq \"1\"]"}`, members: []patch.MemberOp{{Kind: patch.Remove, Members: ids("1")}}},
		{name: "PA33 several by or", ops: `{"op":"remove","path":"members[value eq \"1\" or VALUE eq \"2\"]"}`, members: []patch.MemberOp{{Kind: patch.Remove, Members: ids("1", "2")}}},
		{
			name: "PA33 by another filter", ops: `{"op":"remove","path":"members[TYPE eq \"Group\" and value sw \"x\"]"}`,
			members: []patch.MemberOp{{Kind: patch.RemoveWhere, Where: filter.And{
				L: filter.Compare{Path: filter.Path{Attr: "type"}, Op: filter.Eq, Value: "Group"}, R: filter.Compare{Path: filter.Path{Attr: "value"}, Op: filter.Sw, Value: "x"},
			}}},
		},
		{
			name: "remove and add", ops: `{"op":"remove","path":"members[value eq \"1\"]"},{"op":"remove","path":"members[value eq \"2\"]"},{"op":"add","path":"members","value":[{"value":"3"}]}`,
			members: []patch.MemberOp{{Kind: patch.Remove, Members: ids("1", "2")}, {Kind: patch.Add, Members: ids("3")}},
		},
		{
			name: "everybody but one", ops: `{"op":"remove","path":"members[value ne \"1\"]"}`,
			members: []patch.MemberOp{{Kind: patch.RemoveWhere, Where: filter.Compare{Path: filter.Path{Attr: "value"}, Op: filter.Ne, Value: "1"}}},
		},
		{
			name: "ids that begin alike", ops: `{"op":"remove","path":"members[value sw \"1\"]"}`,
			members: []patch.MemberOp{{Kind: patch.RemoveWhere, Where: filter.Compare{Path: filter.Path{Attr: "value"}, Op: filter.Sw, Value: "1"}}},
		},
		{
			name: "one by id or any by another way", ops: `{"op":"remove","path":"members[value eq \"1\" or value ew \"1\"]"}`,
			members: []patch.MemberOp{{Kind: patch.RemoveWhere, Where: filter.Or{L: filter.Compare{Path: filter.Path{Attr: "value"}, Op: filter.Eq, Value: "1"}, R: filter.Compare{Path: filter.Path{Attr: "value"}, Op: filter.Ew, Value: "1"}}}},
		},
		{
			name: "remove all and add is a replace", ops: `{"op":"add","path":"members","value":[{"value":"9"}]},{"op":"remove","path":"members"},{"op":"add","path":"members","value":[{"value":"1"}]},{"op":"add","path":"members","value":[{"value":"2"}]}`,
			members: []patch.MemberOp{{Kind: patch.ReplaceAll, Members: ids("1", "2")}},
		},
		{
			name: "a replace and what comes after", ops: `{"op":"replace","path":"members","value":[{"value":"1"},{"value":"2"}]},{"op":"remove","path":"members[value eq \"1\"]"}`,
			members: []patch.MemberOp{{Kind: patch.ReplaceAll, Members: ids("1", "2")}, {Kind: patch.Remove, Members: ids("1")}},
		},
		{
			name: "replace of one member", ops: `{"op":"replace","path":"members[value eq \"1\"]","value":{"value":"2"}}`,
			members: []patch.MemberOp{{Kind: patch.Remove, Members: ids("1")}, {Kind: patch.Add, Members: ids("2")}},
		},
		{name: "replace of one member with null", ops: `{"op":"replace","path":"members[value eq \"1\"]","value":null}`, members: []patch.MemberOp{{Kind: patch.Remove, Members: ids("1")}}},
		{
			name: "PA20 add of one member by a filter", ops: `{"op":"add","path":"members[value eq \"1\"]","value":{"type":"User"}}`,
			members: []patch.MemberOp{{Kind: patch.Add, Members: []patch.Member{{Value: "1", Type: "User"}}}},
		},
		{
			name: "without path", ops: `{"op":"replace","value":{"id":"7","displayName":"n","members":[{"value":"1"}]}}`,
			head:    []patch.Operation{{Op: patch.OpReplace, Value: map[string]any{"id": "7", "displayName": "n"}}},
			members: []patch.MemberOp{{Kind: patch.ReplaceAll, Members: ids("1")}},
		},
		{name: "without path, members alone", ops: `{"op":"add","value":{"Members":[{"value":"1"}]}}`, members: []patch.MemberOp{{Kind: patch.Add, Members: ids("1")}}},
		{name: "without path, members null", ops: `{"op":"replace","value":{"members":null}}`, members: []patch.MemberOp{{Kind: patch.ReplaceAll}}},
		{name: "complaint 6: without path, members not named", ops: `{"op":"replace","value":{"displayName":"n"}}`, head: []patch.Operation{{Op: patch.OpReplace, Value: map[string]any{"displayName": "n"}}}},
		{
			name: "PA38 without path, with a URN", ops: `{"op":"add","value":{"` + groupURN + `:members":[{"value":"1"}]}}`,
			members: []patch.MemberOp{{Kind: patch.Add, Members: ids("1")}}, fixups: []schema.Fixup{schema.FixURNKey}, strict: schema.InvalidPath,
		},
		{
			name: "PA38 without path, with brackets", ops: `{"op":"add","value":{"members[value eq \"1\"]":{"display":"x"}}}`,
			members: []patch.MemberOp{{Kind: patch.Add, Members: []patch.Member{{Value: "1", Display: "x"}}}}, fixups: []schema.Fixup{schema.FixDottedKey}, strict: schema.InvalidPath,
		},
		{
			name: "members as text", ops: `{"op":"add","path":"members","value":["1"]}`,
			members: []patch.MemberOp{{Kind: patch.Add, Members: ids("1")}}, fixups: []schema.Fixup{schema.FixBareValue}, strict: schema.InvalidValue,
		},
		{
			name: "a word without quotes", ops: `{"op":"remove","path":"members[value eq 12-34]"}`,
			members: []patch.MemberOp{{Kind: patch.Remove, Members: ids("12-34")}}, fixups: []schema.Fixup{schema.FixUnquotedValue}, strict: schema.InvalidPath,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			req := request(t, tc.ops)
			before := fmt.Sprintf("%v", req)
			head, members, fixups, err := patch.Split(schema.Group(), req, schema.Mode{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.head, head.Operations); diff != "" {
				t.Errorf("head (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.members, members, cmp.Transformer("none", none)); diff != "" {
				t.Errorf("members (-want +got):\n%s", diff)
			}
			if !slices.Equal(fixups, tc.fixups) {
				t.Errorf("fixups %v, want %v", fixups, tc.fixups)
			}
			if fmt.Sprintf("%v", req) != before {
				t.Error("the request was changed")
			}
			checkSteps(t, members)
			_, _, fixups, err = patch.Split(schema.Group(), req, strict)
			switch {
			case tc.strict != "":
				wantError(t, err, tc.strict, "")
			case err != nil || len(fixups) > 0:
				t.Errorf("strict: %v, %v", fixups, err)
			}
		})
	}
}

// none makes an empty list of members the same as no list.
func none(m []patch.Member) []patch.Member {
	if len(m) == 0 {
		return nil
	}
	return append([]patch.Member{}, m...)
}

func TestSplit_Errors(t *testing.T) {
	for _, tc := range []struct{ name, ops, scimType, contains string }{
		{"PA24", `{"op":"add","path":"members[","value":1}`, schema.InvalidPath, "operation 1"},
		{"second operation", `{"op":"remove","path":"members"},{"op":"add","path":"members.value","value":"1"}`, schema.Mutability, "members.value: operation 2"},
		{"sub-attribute of one", `{"op":"replace","path":"members[value eq \"1\"].display","value":"x"}`, schema.Mutability, "members.display"},
		{"sub-attribute removed", `{"op":"remove","path":"members[value eq \"1\"].type"}`, schema.Mutability, "immutable"},
		{"member without value", `{"op":"add","path":"members","value":[{"display":"x"}]}`, schema.InvalidValue, "members.value"},
		{"member with a blank value", `{"op":"replace","path":"members","value":[{"value":" "}]}`, schema.InvalidValue, "members.value"},
		{"member with a number", `{"op":"add","path":"members","value":[{"value":7}]}`, schema.InvalidValue, "members.value"},
		{"members as a number", `{"op":"add","path":"members","value":1}`, schema.InvalidValue, "members: operation 1: a list"},
		{"remove of what says nothing", `{"op":"remove","path":"members","value":[{"display":"x"}]}`, schema.InvalidValue, "not clear"},
		{"remove of null", `{"op":"remove","path":"members","value":[null]}`, schema.InvalidValue, "members.value"},
		{"replace by members that are nobody", `{"op":"replace","path":"members","value":[{"value":null},{}]}`, schema.InvalidValue, "members.value: operation 1: the sub-attribute is required"},
		{"replace by a filter that names nobody", `{"op":"replace","path":"members[type eq \"User\"]","value":{"value":"1"}}`, schema.NoTarget, "which member"},
		{"filter that does not fit", `{"op":"remove","path":"members[value gt null]"}`, schema.InvalidFilter, "null"},
		{"two values by a filter", `{"op":"add","path":"members[value eq \"1\"]","value":[{"value":"1"},{"value":"2"}]}`, schema.InvalidValue, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, _, _, err := patch.Split(schema.Group(), request(t, tc.ops), schema.Mode{})
			wantError(t, err, tc.scimType, tc.contains)
		})
	}
	t.Run("what the head is for is left to Apply", func(t *testing.T) {
		head, members, _, err := patch.Split(schema.Group(), request(t, `{"op":"replace","value":"x"},{"op":"remove"},{"op":"add","value":{}}`), schema.Mode{})
		if err != nil || len(head.Operations) != 3 || members != nil {
			t.Errorf("%v, %v, %v", head, members, err)
		}
	})
}

func TestMembersOf(t *testing.T) {
	got, err := patch.MembersOf(document(t, `{"members":[{"value":"1","display":"a"},{"value":"2"},{"value":"1"}]}`))
	want := []patch.Member{{Value: "1", Display: "a"}, {Value: "2"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if got, err := patch.MembersOf(schema.Document{}); len(got) != 0 || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	_, err = patch.MembersOf(document(t, `{"members":[{"display":"a"}]}`))
	wantError(t, err, schema.InvalidValue, "members.value")
}

// perform carries out member steps on a set as the store does on rows.
func perform(t *rapid.T, members []string, steps []patch.MemberOp) []string {
	ref, _ := schema.Group().LookupName("members")
	for _, s := range steps {
		switch s.Kind {
		case patch.ReplaceAll:
			members = nil
			fallthrough
		case patch.Add:
			for _, m := range s.Members {
				if !slices.Contains(members, m.Value) {
					members = append(members, m.Value)
				}
			}
		case patch.Remove:
			for _, m := range s.Members {
				members = slices.DeleteFunc(members, func(v string) bool { return v == m.Value })
			}
		case patch.RemoveWhere:
			b, err := filter.BindValues(s.Where, ref.Attr, filter.Options{})
			if err != nil {
				t.Fatal(err)
			}
			members = slices.DeleteFunc(members, func(v string) bool { return b.Match(map[string]any{"value": v}) })
		}
	}
	return members
}

// TestSplit_AgreesWithApply checks that the steps of Split give the members that Apply gives on the whole document.
func TestSplit_AgreesWithApply(t *testing.T) {
	operations := []string{
		`{"op":"add","path":"members","value":[{"value":"1"},{"value":"2"}]}`, `{"op":"add","path":"members","value":[{"value":"3"}]}`, `{"op":"replace","path":"members","value":[{"value":"2"},{"value":"4"}]}`,
		`{"op":"replace","path":"members","value":[]}`, `{"op":"remove","path":"members"}`, `{"op":"remove","path":"members","value":[{"value":"1"},{"value":"9"}]}`, `{"op":"remove","path":"members[value eq \"2\"]"}`,
		`{"op":"remove","path":"members[value eq \"3\" or value eq \"4\"]"}`, `{"op":"remove","path":"members[not (value eq \"1\")]"}`, `{"op":"replace","value":{"members":[{"value":"5"}],"displayName":"n"}}`,
		`{"op":"add","value":{"members":[{"value":"6"}]}}`, `{"op":"add","path":"members[value eq \"7\"]","value":{"type":"User"}}`, `{"op":"replace","path":"displayName","value":"m"}`,
	}
	rapid.Check(t, func(t *rapid.T) {
		ops := rapid.SliceOfN(rapid.SampledFrom(operations), 1, 6).Draw(t, "operations")
		var req patch.Request
		for _, op := range ops {
			one, _, err := patch.Decode(body(op), schema.Mode{})
			if err != nil {
				t.Fatal(err)
			}
			req.Operations = append(req.Operations, one.Operations...)
		}
		start := rapid.SliceOfDistinct(rapid.SampledFrom([]string{"1", "2", "3", "4", "8"}), func(s string) string { return s }).Draw(t, "members")
		doc := schema.Document{"schemas": []any{schema.GroupURN}, "displayName": "g"}
		if len(start) > 0 {
			var list []any
			for _, v := range start {
				list = append(list, map[string]any{"value": v})
			}
			doc["members"] = list
		}
		whole, err := patch.Apply(schema.Group(), doc, req, schema.Mode{})
		if err != nil {
			t.Fatal(err)
		}
		head, steps, _, err := patch.Split(schema.Group(), req, schema.Mode{})
		if err != nil {
			t.Fatal(err)
		}
		got := perform(t, slices.Clone(start), steps)
		want, err := patch.MembersOf(whole.Doc)
		if err != nil {
			t.Fatal(err)
		}
		var wantIDs []string
		for _, m := range want {
			wantIDs = append(wantIDs, m.Value)
		}
		slices.Sort(got)
		slices.Sort(wantIDs)
		if !slices.Equal(got, wantIDs) {
			t.Fatalf("Split gives %v, Apply %v", got, wantIDs)
		}
		apart, err := patch.Apply(schema.Group(), doc, head, schema.Mode{})
		if err != nil || apart.Doc["displayName"] != whole.Doc["displayName"] || !schema.Equal(apart.Doc["members"], doc["members"]) {
			t.Fatalf("head: %v, %v", apart, err)
		}
	})
}

// BenchmarkSplit adds a thousand members one by one, as authentik does.
func BenchmarkSplit(b *testing.B) {
	var req patch.Request
	for i := range 1000 {
		req.Operations = append(req.Operations, patch.Operation{Op: patch.OpAdd, Path: "members", Value: []any{map[string]any{"value": fmt.Sprint(i)}}})
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, members, _, err := patch.Split(schema.Group(), req, schema.Mode{}); err != nil || len(members) != 1 {
			b.Fatal(err)
		}
	}
}
