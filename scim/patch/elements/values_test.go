package elements_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/scim/filter"
	"github.com/matomo-scim/bridge/scim/patch/elements"
	"github.com/matomo-scim/bridge/scim/schema"
)

func TestSession(t *testing.T) {
	var s elements.Session
	if err := s.Tolerate(schema.FixDottedKey, schema.InvalidPath, "no dots"); err != nil {
		t.Fatal(err)
	}
	if _, err := filter.Parse(`a eq b`, s.Options()); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.Fixups, schema.Fixups{schema.FixDottedKey, schema.FixUnquotedValue}) {
		t.Errorf("%v", s.Fixups)
	}
	s = elements.Session{Mode: schema.Mode{Strict: true}}
	if err := s.Tolerate(schema.FixDottedKey, schema.InvalidPath, "100 % no dots"); shown(err) != "invalidPath 100 % no dots" {
		t.Errorf("%s", shown(err))
	}
	if _, err := filter.Parse(`a eq b`, s.Options()); err == nil {
		t.Error("strict mode reads a word without quotes")
	}
	if len(s.Fixups) != 0 {
		t.Errorf("%v", s.Fixups)
	}
}

func TestText(t *testing.T) {
	for _, tc := range []struct {
		element any
		want    string
	}{
		{map[string]any{"value": "a"}, "a"},
		{map[string]any{"VALUE": "a"}, ""}, // documents are canonical
		{map[string]any{"value": json.Number("1")}, ""},
		{map[string]any{}, ""},
		{"a", ""},
		{nil, ""},
	} {
		if got := elements.Text(tc.element, "value"); got != tc.want {
			t.Errorf("%v: %q", tc.element, got)
		}
	}
}

func TestStore(t *testing.T) {
	for _, tc := range []struct {
		value any
		kept  bool
	}{
		{"a", true}, {"", true}, {false, true}, {[]any{nil}, true}, {nil, false}, {[]any{}, false}, {[]any(nil), false}, {map[string]any{}, false},
	} {
		obj := map[string]any{"a": "old", "b": "other"}
		elements.Store(obj, "a", tc.value)
		if _, kept := obj["a"]; kept != tc.kept || obj["b"] != "other" {
			t.Errorf("%#v: %v", tc.value, obj)
		}
	}
}

func TestMerge(t *testing.T) {
	manager, emails := attr(t, "manager").Attr, attr(t, "emails").Attr
	for _, tc := range []struct {
		name                string
		attr                *schema.Attribute
		current, next, want string
	}{
		{"onto nothing", emails, `{}`, `{"value":"a"}`, `{"value":"a"}`},
		{"nothing", emails, `{"value":"a"}`, `{}`, `{"value":"a"}`},
		{"what is named wins", emails, `{"value":"a","type":"work"}`, `{"type":"home"}`, `{"value":"a","type":"home"}`},
		{"a list keeps what describes its values", emails, `{"value":"a","display":"A"}`, `{"value":"b"}`, `{"value":"b","display":"A"}`},
		{"another manager", manager, `{"value":"1","$ref":"../Users/1","displayName":"Ada"}`, `{"value":"2"}`, `{"value":"2"}`},
		{"another manager with a name", manager, `{"value":"1","$ref":"../Users/1"}`, `{"value":"2","$ref":"../Users/2"}`, `{"value":"2","$ref":"../Users/2"}`},
		{"the same manager", manager, `{"value":"1","$ref":"../Users/1"}`, `{"value":"1"}`, `{"value":"1","$ref":"../Users/1"}`},
		{"no manager named", manager, `{"value":"1","$ref":"../Users/1"}`, `{"$ref":"x"}`, `{"value":"1","$ref":"x"}`},
		{"what no schema has stays", manager, `{"value":"1","display":"Ada"}`, `{"value":"2"}`, `{"value":"2","display":"Ada"}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			current, _ := read(t, tc.current).(map[string]any)
			next, _ := read(t, tc.next).(map[string]any)
			got := elements.Merge(tc.attr, current, next)
			if diff := cmp.Diff(read(t, tc.want), any(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			got["value"], got["written"] = "x", true
			if diff := cmp.Diff(read(t, tc.current), any(current)); diff != "" {
				t.Errorf("the value that was there changed:\n%s", diff)
			}
			if diff := cmp.Diff(read(t, tc.next), any(next)); diff != "" {
				t.Errorf("the value of the operation changed:\n%s", diff)
			}
		})
	}
}

func TestSeed(t *testing.T) {
	for in, want := range map[string]string{
		`type eq "work"`:                            `{"type":"work"}`,
		`type eq "work" and primary eq true`:        `{"type":"work","primary":true}`,
		`(type eq "a" and value eq "b") and n eq 1`: `{"type":"a","value":"b","n":1}`,
		`type eq "a" and type eq "a"`:               `{"type":"a"}`,
		`type eq "a" and type eq "b"`:               "",
		`type eq "a" or type eq "b"`:                "",
		`not (type eq "a")`:                         "",
		`type ne "a"`:                               "",
		`type co "a"`:                               "",
		`type sw "a" and value eq "b"`:              "",
		`type pr`:                                   "",
		`type eq null`:                              "",
		`emails.type eq "a"`:                        "",
		`urn:x:y:type eq "a"`:                       "",
		`emails[type eq "a"]`:                       "",
		`value eq "b" and (type eq "a" or type pr)`: "",
	} {
		e, err := filter.Parse(in, filter.Options{})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]any{}
		ok := elements.Seed(e, got)
		if ok != (want != "") {
			t.Errorf("%s: %v", in, ok)
		}
		if ok && !schema.Equal(read(t, want), got) {
			t.Errorf("%s: %v", in, got)
		}
	}
	if got := map[string]any{}; !elements.Seed(nil, got) || len(got) != 0 {
		t.Error("no filter says nothing, which is fine")
	}
}

func TestElement(t *testing.T) {
	for _, tc := range []struct{ attr, in, want, problem string }{
		{"emails", `{"VALUE":"a"}`, `{"value":"a"}`, ""},
		{"emails", `[{"value":"a"}]`, `{"value":"a"}`, ""},
		{"emails", `"a"`, `{"value":"a"}`, ""},
		{"emails", `["a"]`, `{"value":"a"}`, ""},
		{"emails", `null`, `null`, ""},
		{"emails", `{}`, `null`, ""},
		{"emails", `[]`, `null`, ""},
		{"emails", `[null]`, `null`, ""},
		{"emails", `""`, `null`, ""},
		{"emails", `{"value":null}`, `null`, ""},
		{"addresses", `"Bonn"`, `null`, `invalidValue addresses: an object is expected, not the string "Bonn"`},
		{"emails", `[{"value":"a"},{"value":"b"}]`, `null`, `invalidValue emails: an object is expected, not a list`},
	} {
		l := elements.List{Session: &elements.Session{}, Ref: attr(t, tc.attr)}
		got, err := l.Element(read(t, tc.in))
		want, _ := read(t, tc.want).(map[string]any)
		if diff := cmp.Diff(want, got); diff != "" || shown(err) != tc.problem {
			t.Errorf("%s %s: %s\n%s", tc.attr, tc.in, shown(err), diff)
		}
	}
}

// anyList draws a canonical list of addresses.
func anyList() *rapid.Generator[[]any] {
	one := rapid.Custom(func(t *rapid.T) any {
		obj := map[string]any{"value": rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "value")}
		if kind := rapid.SampledFrom([]string{"", "work", "home"}).Draw(t, "type"); kind != "" {
			obj["type"] = kind
		}
		return obj
	})
	return rapid.Custom(func(t *rapid.T) []any {
		list := rapid.SliceOfN(one, 0, 4).Draw(t, "list")
		if i := rapid.IntRange(0, 4).Draw(t, "primary"); i < len(list) {
			obj, _ := list[i].(map[string]any)
			obj["primary"] = true
		}
		return list
	})
}

// primaries counts the values that are primary.
func primaries(list []any) int {
	n := 0
	for _, e := range list {
		if obj, ok := e.(map[string]any); ok && obj["primary"] == true {
			n++
		}
	}
	return n
}

// TestList_Any checks for any list and any operation on it that it is idempotent, that at most one value is primary, that the value of the operation is left
// alone, and that what was added can be removed.
func TestList_Any(t *testing.T) {
	lists, ref := anyList(), attr(t, "emails")
	rapid.Check(t, func(t *rapid.T) {
		stored, value := lists.Draw(t, "stored"), lists.Draw(t, "value")
		op := elements.Operation{Op: rapid.SampledFrom([]string{"add", "replace", "remove"}).Draw(t, "op"), Value: schema.Clone(any(value))}
		l := elements.List{Session: &elements.Session{}, Ref: ref, Values: schema.Clone(stored)}
		if err := l.Apply(nil, op); err != nil {
			t.Fatal(err)
		}
		if !schema.Equal(op.Value, any(value)) {
			t.Fatalf("the value was changed: %v", op.Value)
		}
		if primaries(l.Values) > 1 {
			t.Fatalf("more than one value is primary: %v", l.Values)
		}
		once := schema.Clone(l.Values)
		if err := l.Apply(nil, op); err != nil {
			t.Fatal(err)
		}
		if op.Op != "add" && !schema.Equal(any(l.Values), any(once)) && len(l.Values)+len(once) > 0 {
			t.Fatalf("%s is not idempotent: %v, then %v", op.Op, once, l.Values)
		}
		if op.Op == "add" && len(l.Values) != len(once) {
			t.Fatalf("values that are there were added: %v, then %v", once, l.Values)
		}
		if op.Op == "remove" || len(value) == 0 {
			return
		}
		before := len(l.Values)
		if err := l.Apply(nil, elements.Operation{Op: "remove", Value: schema.Clone(any(value))}); err != nil {
			t.Fatal(err)
		}
		if len(l.Values) >= before {
			t.Fatalf("%v was added and cannot be removed from %v", value, l.Values)
		}
	})
}

// TestList_Set compares operations on the members of a group with those on a set of ids.
func TestList_Set(t *testing.T) {
	ref := attr(t, "members")
	ids := rapid.SliceOfN(rapid.SampledFrom([]string{"1", "2", "3", "4", "a", "A"}), 0, 5)
	objects := func(values []string) []any {
		out := []any{}
		for _, v := range values {
			out = append(out, map[string]any{"value": v})
		}
		return out
	}
	rapid.Check(t, func(t *rapid.T) {
		want := map[string]bool{}
		l := elements.List{Session: &elements.Session{}, Ref: ref}
		for range rapid.IntRange(1, 5).Draw(t, "operations") {
			op, values := rapid.SampledFrom([]string{"add", "replace", "remove"}).Draw(t, "op"), ids.Draw(t, "ids")
			if op == "replace" {
				clear(want)
			}
			for _, v := range values {
				if op == "remove" {
					delete(want, v)
				} else {
					want[v] = true
				}
			}
			if err := l.Apply(nil, elements.Operation{Op: op, Value: objects(values)}); err != nil {
				t.Fatal(err)
			}
		}
		if len(l.Values) != len(want) {
			t.Fatalf("%v, want %v", l.Values, want)
		}
		for _, e := range l.Values {
			if !want[elements.Text(e, "value")] {
				t.Fatalf("%v, want %v", l.Values, want)
			}
		}
	})
}

// BenchmarkList adds a thousand members to a thousand.
func BenchmarkList(b *testing.B) {
	var stored, more []any
	for i := range 1000 {
		stored = append(stored, map[string]any{"value": fmt.Sprint("a", i)})
		more = append(more, map[string]any{"value": fmt.Sprint("b", i)})
	}
	ref := attr(b, "members")
	b.ReportAllocs()
	for b.Loop() {
		l := elements.List{Session: &elements.Session{}, Ref: ref, Values: slices.Clone(stored)}
		if err := l.Apply(nil, elements.Operation{Op: "add", Value: more}); err != nil || len(l.Values) != 2000 {
			b.Fatal(err, len(l.Values))
		}
	}
}
