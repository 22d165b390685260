package elements_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/matomo-scim/bridge/scim/filter"
	"github.com/matomo-scim/bridge/scim/patch/elements"
	"github.com/matomo-scim/bridge/scim/schema"
)

// read gives a value as Decode does.
func read(t testing.TB, text string) any {
	t.Helper()
	doc, err := schema.Decode([]byte(`{"v":` + text + `}`))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return doc["v"]
}

// attr finds what a name stands for; members are those of a group.
func attr(t testing.TB, name string) schema.Ref {
	t.Helper()
	rt := schema.User()
	if strings.HasPrefix(name, "members") {
		rt = schema.Group()
	}
	ref, ok := rt.LookupName(name)
	if !ok {
		t.Fatalf("%s is not found", name)
	}
	return ref
}

// target takes a path with brackets apart: emails[type eq "work"].value is the value of emails, where type eq "work".
func target(t testing.TB, path string) (schema.Ref, filter.Expr) {
	t.Helper()
	p, err := filter.ParsePath(path, filter.Options{Tolerant: true})
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return attr(t, p.Path.String()), p.Filter
}

// shown is an error with all its parts.
func shown(err error) string {
	if err == nil {
		return ""
	}
	e, ok := errors.AsType[*schema.Error](err)
	if !ok {
		return "no *schema.Error: " + err.Error()
	}
	return e.ScimType + " " + e.Error()
}

// listCase is one operation on a list: what is stored, and what is stored then.
type listCase struct {
	name, path, op, value string // value "" means that there is none
	stored, want          string
	fixups                []schema.Fixup
	strict                string // scimType in strict mode, "" when it does the same
}

func run(t *testing.T, cases []listCase) {
	t.Helper()
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			ref, where := target(t, tc.path)
			operation := func() elements.Operation {
				op := elements.Operation{Op: tc.op}
				if tc.value != "" {
					op.Value = read(t, tc.value)
				}
				return op
			}
			list := func(s *elements.Session) *elements.List {
				values, _ := read(t, tc.stored).([]any)
				return &elements.List{Session: s, Ref: ref, Values: values}
			}
			var s elements.Session
			l, op := list(&s), operation()
			if err := l.Apply(where, op); err != nil {
				t.Fatal(err)
			}
			want, _ := read(t, tc.want).([]any)
			if len(want) == 0 {
				want = nil
			}
			if len(l.Values) == 0 {
				l.Values = nil
			}
			if diff := cmp.Diff(want, l.Values); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if !slices.Equal(s.Fixups, tc.fixups) {
				t.Errorf("fixups %v, want %v", s.Fixups, tc.fixups)
			}
			if diff := cmp.Diff(operation().Value, op.Value); diff != "" {
				t.Errorf("the value of the operation was changed:\n%s", diff)
			}
			exact := elements.Session{Mode: schema.Mode{Strict: true}}
			l = list(&exact)
			err := l.Apply(where, operation())
			switch {
			case len(exact.Fixups) > 0:
				t.Errorf("strict mode forgave %v", exact.Fixups)
			case tc.strict != "":
				if got, _, _ := strings.Cut(shown(err), " "); got != tc.strict {
					t.Errorf("strict: %s, want %s", shown(err), tc.strict)
				}
			case err != nil || len(l.Values)+len(want) > 0 && !cmp.Equal(l.Values, want):
				t.Errorf("strict: %v, %v", l.Values, err)
			}
		})
	}
}

const work = `{"value":"a@work","type":"work","primary":true}`

func TestList_Add(t *testing.T) {
	run(t, []listCase{
		{name: "the first", path: "emails", op: "add", value: `[{"value":"a"}]`, stored: `[]`, want: `[{"value":"a"}]`},
		{name: "PA03 another", path: "emails", op: "add", value: `[{"value":"b"}]`, stored: `[` + work + `]`, want: `[` + work + `,{"value":"b"}]`},
		{name: "PA04 the same", path: "emails", op: "add", value: `[` + work + `]`, stored: `[` + work + `]`, want: `[` + work + `]`},
		{name: "PA04 the same in another case", path: "emails", op: "add", value: `[{"value":"A@WORK"}]`, stored: `[` + work + `]`, want: `[{"value":"A@WORK","type":"work","primary":true}]`},
		{name: "the same twice in one request", path: "emails", op: "add", value: `[{"value":"b"},{"value":"B","display":"x"}]`, stored: `[]`, want: `[{"value":"B","display":"x"}]`},
		{name: "same value, another type", path: "emails", op: "add", value: `[{"value":"a@work","type":"home"}]`, stored: `[` + work + `]`, want: `[` + work + `,{"value":"a@work","type":"home"}]`},
		{name: "what is there is completed", path: "emails", op: "add", value: `[{"value":"a@work","display":"A"}]`, stored: `[` + work + `]`, want: `[{"value":"a@work","type":"work","primary":true,"display":"A"}]`},
		{
			name: "PA06 a new primary", path: "emails", op: "add", value: `[{"value":"b","primary":true}]`,
			stored: `[` + work + `]`, want: `[{"value":"a@work","type":"work","primary":false},{"value":"b","primary":true}]`,
		},
		{
			name: "PA06 what is there becomes primary", path: "emails", op: "add", value: `[{"value":"b","primary":true}]`,
			stored: `[` + work + `,{"value":"b"}]`, want: `[{"value":"a@work","type":"work","primary":false},{"value":"b","primary":true}]`,
		},
		{name: "nothing", path: "emails", op: "add", value: `[]`, stored: `[` + work + `]`, want: `[` + work + `]`},
		{name: "null", path: "emails", op: "add", value: `null`, stored: `[` + work + `]`, want: `[` + work + `]`},
		{
			name: "one object", path: "emails", op: "add", value: `{"value":"b"}`, stored: `[]`, want: `[{"value":"b"}]`,
			fixups: []schema.Fixup{schema.FixSingleValue}, strict: schema.InvalidValue,
		},
		{
			name: "plain text", path: "roles", op: "add", value: `["admin"]`, stored: `[{"value":"ADMIN","type":"x"}]`, want: `[{"value":"admin","type":"x"}]`,
			fixups: []schema.Fixup{schema.FixBareValue}, strict: schema.InvalidValue,
		},
		{
			name: "addresses are known by all their parts", path: "addresses", op: "add", value: `[{"locality":"Bonn"},{"locality":"Bonn","region":"NRW"}]`,
			stored: `[{"locality":"Bonn","type":"work"}]`, want: `[{"locality":"Bonn","type":"work"},{"locality":"Bonn","region":"NRW"}]`,
		},
		{
			name: "an address that says nothing is another one", path: "addresses", op: "add", value: `[{"primary":false}]`,
			stored: `[{"locality":"Bonn"}]`, want: `[{"locality":"Bonn"},{"primary":false}]`,
		},
		{
			name: "members are a set", path: "members", op: "add", value: `[{"value":"1","display":"x"},{"value":"2"},{"value":"2"}]`,
			stored: `[{"value":"1"}]`, want: `[{"value":"1"},{"value":"2"}]`,
		},
		{name: "members are ids", path: "members", op: "add", value: `[{"value":"A"}]`, stored: `[{"value":"a"}]`, want: `[{"value":"a"},{"value":"A"}]`},
	})
}

func TestList_Replace(t *testing.T) {
	run(t, []listCase{
		{name: "PA15 all", path: "emails", op: "replace", value: `[{"value":"b"}]`, stored: `[` + work + `,{"value":"c"}]`, want: `[{"value":"b"}]`},
		{name: "with nothing", path: "emails", op: "replace", value: `[]`, stored: `[` + work + `]`, want: `[]`},
		{name: "PA39 with null", path: "emails", op: "replace", value: `null`, stored: `[` + work + `]`, want: `[]`},
		{name: "what is not there", path: "emails", op: "replace", value: `[{"value":"b"}]`, stored: `[]`, want: `[{"value":"b"}]`},
		{
			name: "two primaries", path: "emails", op: "replace", value: `[{"value":"b","primary":true},{"value":"c","primary":true}]`, stored: `[]`,
			want:   `[{"value":"b","primary":true},{"value":"c","primary":false}]`,
			fixups: []schema.Fixup{schema.FixTwoPrimaries}, strict: schema.InvalidValue,
		},
		{name: "members", path: "members", op: "replace", value: `[{"value":"2"},{"value":"2"}]`, stored: `[{"value":"1"}]`, want: `[{"value":"2"}]`},
	})
}

func TestList_Remove(t *testing.T) {
	fixed := []schema.Fixup{schema.FixValueArrayRemove}
	run(t, []listCase{
		{name: "PA07 all", path: "emails", op: "remove", stored: `[` + work + `]`, want: `[]`},
		{name: "all of nothing", path: "emails", op: "remove", stored: `[]`, want: `[]`},
		{name: "PA35 by value", path: "emails", op: "remove", value: `[{"value":"A@WORK"}]`, stored: `[` + work + `,{"value":"b"}]`, want: `[{"value":"b"}]`, fixups: fixed, strict: schema.InvalidValue},
		{name: "PA35 by value and type", path: "emails", op: "remove", value: `[{"value":"a","type":"home"}]`, stored: `[{"value":"a","type":"work"},{"value":"a","type":"HOME"}]`, want: `[{"value":"a","type":"work"}]`, fixups: fixed, strict: schema.InvalidValue},
		{name: "PA35 what is not there", path: "emails", op: "remove", value: `[{"value":"z"}]`, stored: `[` + work + `]`, want: `[` + work + `]`, fixups: fixed, strict: schema.InvalidValue},
		{name: "PA35 nothing", path: "emails", op: "remove", value: `[]`, stored: `[` + work + `]`, want: `[` + work + `]`, fixups: fixed, strict: schema.InvalidValue},
		{name: "PA35 one object", path: "emails", op: "remove", value: `{"value":"b"}`, stored: `[` + work + `,{"value":"b"}]`, want: `[` + work + `]`, fixups: fixed, strict: schema.InvalidValue},
		{name: "PA35 an address", path: "addresses", op: "remove", value: `[{"locality":"Bonn"}]`, stored: `[{"locality":"Bonn","region":"NRW"},{"locality":"Berlin"}]`, want: `[{"locality":"Berlin"}]`, fixups: fixed, strict: schema.InvalidValue},
		{name: "PA35 members", path: "members", op: "remove", value: `[{"value":"2"},{"value":"9"}]`, stored: `[{"value":"1"},{"value":"2"},{"value":"3"}]`, want: `[{"value":"1"},{"value":"3"}]`, fixups: fixed, strict: schema.InvalidValue},
		{
			name: "PA35 text", path: "members", op: "remove", value: `"2"`, stored: `[{"value":"1"},{"value":"2"}]`, want: `[{"value":"1"}]`,
			fixups: []schema.Fixup{schema.FixValueArrayRemove, schema.FixBareValue}, strict: schema.InvalidValue,
		},
	})
}

func TestList_Where(t *testing.T) {
	const two = `[` + work + `,{"value":"b","type":"home"}]`
	run(t, []listCase{
		{name: "PA09 remove", path: `emails[type eq "work"]`, op: "remove", stored: two, want: `[{"value":"b","type":"home"}]`},
		{name: "remove what is not there", path: `emails[type eq "other"]`, op: "remove", stored: two, want: two},
		{name: "remove takes a value for nothing", path: `emails[type eq "work"]`, op: "remove", value: `[{"value":"b"}]`, stored: two, want: `[{"value":"b","type":"home"}]`},
		{name: "PA11 remove a sub-attribute", path: `emails[type eq "work"].primary`, op: "remove", stored: two, want: `[{"value":"a@work","type":"work"},{"value":"b","type":"home"}]`},
		{name: "remove the last sub-attribute", path: `emails[value eq "c"].value`, op: "remove", stored: `[{"value":"c"},{"value":"b"}]`, want: `[{"value":"b"}]`},
		{name: "PA10 remove a sub-attribute of all", path: "emails.type", op: "remove", stored: two, want: `[{"value":"a@work","primary":true},{"value":"b"}]`},
		{name: "PA17 replace a sub-attribute", path: `emails[type eq "home"].value`, op: "replace", value: `"c"`, stored: two, want: `[` + work + `,{"value":"c","type":"home"}]`},
		{name: "replace a sub-attribute of all", path: "emails.type", op: "replace", value: `"x"`, stored: two, want: `[{"value":"a@work","type":"x","primary":true},{"value":"b","type":"x"}]`},
		{name: "clear a sub-attribute", path: `emails[type eq "home"].type`, op: "replace", value: `null`, stored: two, want: `[` + work + `,{"value":"b"}]`},
		{name: "add null to a sub-attribute", path: `emails[type eq "home"].type`, op: "add", value: `null`, stored: two, want: two},
		{name: "PA06 primary of one", path: `emails[type eq "home"].primary`, op: "add", value: `true`, stored: two, want: `[{"value":"a@work","type":"work","primary":false},{"value":"b","type":"home","primary":true}]`},
		{name: "PA06 primary of all is that of the first", path: "emails.primary", op: "replace", value: `true`, stored: two, want: two},
		{name: "primary false of all", path: "emails.primary", op: "replace", value: `false`, stored: two, want: `[{"value":"a@work","type":"work","primary":false},{"value":"b","type":"home","primary":false}]`},
		{name: "PA18 replace an element", path: `emails[type eq "work"]`, op: "replace", value: `{"value":"c"}`, stored: two, want: `[{"value":"c"},{"value":"b","type":"home"}]`},
		{name: "add to an element", path: `emails[type eq "work"]`, op: "add", value: `{"display":"A"}`, stored: two, want: `[{"value":"a@work","type":"work","primary":true,"display":"A"},{"value":"b","type":"home"}]`},
		{name: "replace an element with null", path: `emails[type eq "work"]`, op: "replace", value: `null`, stored: two, want: `[{"value":"b","type":"home"}]`},
		{name: "add null to an element", path: `emails[type eq "work"]`, op: "add", value: `null`, stored: two, want: two},
		{
			name: "replace an element by a list of one", path: `emails[type eq "work"]`, op: "replace", value: `[{"value":"c"}]`, stored: two, want: `[{"value":"c"},{"value":"b","type":"home"}]`,
			fixups: []schema.Fixup{schema.FixSingletonArray}, strict: schema.InvalidValue,
		},
		{
			name: "replace an element by text", path: `emails[type eq "work"]`, op: "replace", value: `"c"`, stored: two, want: `[{"value":"c","type":"work","primary":true},{"value":"b","type":"home"}]`,
			fixups: []schema.Fixup{schema.FixBareValue}, strict: schema.InvalidValue,
		},
		{
			name: "PA37 boolean as text", path: `emails[type eq "home"].primary`, op: "replace", value: `"False"`, stored: two, want: `[` + work + `,{"value":"b","type":"home","primary":false}]`,
			fixups: []schema.Fixup{schema.FixStringBool}, strict: schema.InvalidValue,
		},
		{name: "PA33 a member", path: `members[value eq "1"]`, op: "remove", stored: `[{"value":"1"},{"value":"2"}]`, want: `[{"value":"2"}]`},
		{name: "two members become one", path: `members[value eq "1"]`, op: "replace", value: `{"value":"2"}`, stored: `[{"value":"1"},{"value":"2"},{"value":"3"}]`, want: `[{"value":"2"},{"value":"3"}]`},
		{name: "all members become one", path: `members[value pr]`, op: "replace", value: `{"value":"9"}`, stored: `[{"value":"1"},{"value":"2"}]`, want: `[{"value":"9"}]`},
	})
}

// TestList_Create holds what is made when a filter matches nothing.
func TestList_Create(t *testing.T) {
	made := []schema.Fixup{schema.FixFilteredCreate}
	run(t, []listCase{
		{name: "PA20 add a sub-attribute", path: `phoneNumbers[type eq "work"].value`, op: "add", value: `"1"`, stored: `[]`, want: `[{"type":"work","value":"1"}]`},
		{name: "PA20 beside others", path: `phoneNumbers[type eq "work"].value`, op: "add", value: `"1"`, stored: `[{"value":"2","type":"home"}]`, want: `[{"value":"2","type":"home"},{"type":"work","value":"1"}]`},
		{name: "PA20 add an element", path: `emails[type eq "work"]`, op: "add", value: `{"value":"a"}`, stored: `[]`, want: `[{"type":"work","value":"a"}]`},
		{name: "the value wins over the filter", path: `emails[type eq "work"]`, op: "add", value: `{"value":"a","type":"home"}`, stored: `[]`, want: `[{"type":"home","value":"a"}]`},
		{name: "PA40 and", path: `emails[type eq "work" and primary eq true].value`, op: "add", value: `"b"`, stored: `[{"value":"c","primary":true}]`, want: `[{"value":"c","primary":false},{"type":"work","primary":true,"value":"b"}]`},
		{name: "the same said twice", path: `emails[type eq "work" and type eq "work"].value`, op: "add", value: `"b"`, stored: `[]`, want: `[{"type":"work","value":"b"}]`},
		{name: "PA19 replace", path: `emails[type eq "work"].value`, op: "replace", value: `"b"`, stored: `[]`, want: `[{"type":"work","value":"b"}]`, fixups: made, strict: schema.NoTarget},
		{name: "PA19 replace an element", path: `emails[type eq "work"]`, op: "replace", value: `{"value":"b"}`, stored: `[]`, want: `[{"type":"work","value":"b"}]`, fixups: made, strict: schema.NoTarget},
		{name: "PA19 replace with null makes nothing", path: `emails[type eq "work"].value`, op: "replace", value: `null`, stored: `[]`, want: `[]`, fixups: made, strict: schema.NoTarget},
		{name: "add of nothing makes nothing", path: `emails[type eq "work"]`, op: "add", value: `{}`, stored: `[]`, want: `[]`},
		{name: "a sub-attribute of nobody", path: "emails.value", op: "add", value: `"a"`, stored: `[]`, want: `[{"value":"a"}]`},
		{
			name: "a member that is there with another type is not added again", path: `members[value eq "1" and type eq "Group"]`, op: "add", value: `{"display":"x"}`,
			stored: `[{"value":"1","type":"User"}]`, want: `[{"value":"1","type":"Group","display":"x"}]`,
		},
		{
			name: "Entra's validator", path: `roles[primary eq "True"].value`, op: "replace", value: `"admin"`, stored: `[]`, want: `[{"primary":true,"value":"admin"}]`,
			fixups: []schema.Fixup{schema.FixStringBool, schema.FixFilteredCreate}, strict: schema.InvalidFilter,
		},
	})
}

// TestList_Errors holds whole texts. The caller puts the number of the operation in front.
func TestList_Errors(t *testing.T) {
	const stored = `[` + work + `]`
	for _, tc := range []struct{ path, op, value, want string }{
		{"emails", "add", `"a"`, `invalidValue emails: a list is expected, not the string "a"`},
		{"emails", "add", `[{"value":1}]`, `invalidValue emails.value: a string is expected, not the number 1`},
		{"emails", "replace", `[true]`, `invalidValue emails: an object is expected, not the boolean true`},
		{"emails", "remove", `[{"type":"work"}]`, `invalidValue emails: it is not clear which values to remove`},
		{"emails", "remove", `[{"value":"a"},{"value":""}]`, `invalidValue emails: it is not clear which values to remove`},
		{"emails", "remove", `[null]`, `invalidValue emails: it is not clear which values to remove`},
		{"addresses", "remove", `[{"primary":true}]`, `invalidValue addresses: it is not clear which values to remove`},
		{"emails", "remove", `7`, `invalidValue emails: an object is expected, not the number 7`},
		{`emails[primary gt true]`, "remove", ``, `invalidFilter primary: a boolean can only be compared with eq and ne`},
		{`emails[type eq "work"]`, "replace", `1`, `invalidValue emails: an object is expected, not the number 1`},
		{`emails[type eq "work"]`, "add", `[{"value":"a"},{"value":"b"}]`, `invalidValue emails: an object is expected, not a list`},
		{`emails[type eq "work"].value`, "replace", `1`, `invalidValue value: a string is expected, not the number 1`},
		{`emails[type eq "work"].primary`, "replace", `"yes"`, `invalidValue primary: true or false is expected, not the string "yes"`},
		{`emails[type eq "x"].value`, "add", `1`, `invalidValue emails.value: a string is expected, not the number 1`},
		{`emails[value co "x"].type`, "add", `"y"`, `noTarget the path matches no value, and it does not say what a new one would be`},
		{`emails[type eq "x" or type eq "y"].value`, "add", `"z"`, `noTarget the path matches no value, and it does not say what a new one would be`},
		{`emails[type eq "x" and type eq "y"].value`, "add", `"z"`, `noTarget the path matches no value, and it does not say what a new one would be`},
		{`emails[not (value pr)].value`, "add", `"z"`, `noTarget the path matches no value, and it does not say what a new one would be`},
		{`members[value eq "1"].display`, "replace", `"x"`, `mutability members.display: the attribute is immutable; remove the value and add another`},
		{"members.value", "remove", ``, `mutability members.value: the attribute is immutable; remove the value and add another`},
		{`schemas[value eq "a"]`, "replace", `"b"`, `invalidPath schemas: its values can only be removed by brackets, not changed`},
	} {
		ref, where := target(t, tc.path)
		values, _ := read(t, stored).([]any)
		op := elements.Operation{Op: tc.op}
		if tc.value != "" {
			op.Value = read(t, tc.value)
		}
		l := elements.List{Session: &elements.Session{}, Ref: ref, Values: values}
		if err := l.Apply(where, op); shown(err) != tc.want {
			t.Errorf("%s %s %s: %s\nwant %s", tc.op, tc.path, tc.value, shown(err), tc.want)
		}
	}
}

// TestList_Limit checks that lists searched value by value stay short, and that groups need not.
func TestList_Limit(t *testing.T) {
	many := func(n int) []any {
		var out []any
		for i := range n {
			out = append(out, map[string]any{"value": fmt.Sprint(i)})
		}
		return out
	}
	for _, tc := range []struct {
		path, op      string
		stored, value int
		want          string
	}{
		{"emails", "add", 0, 1000, ""},
		{"emails", "add", 0, 1001, "invalidValue emails: more than 1000 values"},
		{"emails", "replace", 0, 1000, ""},
		{"emails", "replace", 0, 1001, "invalidValue emails: more than 1000 values"},
		{"emails", "remove", 10, 1000, ""},
		{"emails", "remove", 10, 1001, "invalidValue emails: more than 1000 values"},
		{"members", "add", 2000, 5000, ""},
		{"members", "replace", 0, 5000, ""},
		{"members", "remove", 2000, 5000, ""},
	} {
		l := elements.List{Session: &elements.Session{}, Ref: attr(t, tc.path), Values: many(tc.stored)}
		err := l.Apply(nil, elements.Operation{Op: tc.op, Value: many(tc.value)})
		if shown(err) != tc.want {
			t.Errorf("%s of %d %s: %s", tc.op, tc.value, tc.path, shown(err))
		}
	}
}
