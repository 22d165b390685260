package value_test

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/scim/schema/attribute"
	"github.com/matomo-scim/bridge/scim/schema/jsonobject"
	"github.com/matomo-scim/bridge/scim/schema/value"
)

// sub-attributes, as most lists have them.
func plural() []attribute.Attribute {
	return []attribute.Attribute{
		{Name: "value", Type: attribute.String},
		{Name: "type", Type: attribute.String},
		{Name: "primary", Type: attribute.Boolean},
		{Name: "$ref", Type: attribute.Reference},
		{Name: "shown", Type: attribute.String, Mutability: attribute.ReadOnly},
	}
}

// attributes are one of each shape; the names say which.
func attributes() map[string]*attribute.Attribute {
	out := map[string]*attribute.Attribute{
		"text":      {Type: attribute.String},
		"texts":     {Type: attribute.String, MultiValued: true},
		"flag":      {Type: attribute.Boolean},
		"flags":     {Type: attribute.Boolean, MultiValued: true},
		"whole":     {Type: attribute.Integer},
		"number":    {Type: attribute.Decimal},
		"date":      {Type: attribute.DateTime},
		"link":      {Type: attribute.Reference},
		"bytes":     {Type: attribute.Binary},
		"secret":    {Type: attribute.String, Mutability: attribute.WriteOnly, Returned: attribute.ReturnedNever},
		"emails":    {Type: attribute.Complex, MultiValued: true, SubAttributes: plural()},
		"manager":   {Type: attribute.Complex, SubAttributes: plural()},
		"name":      {Type: attribute.Complex, SubAttributes: []attribute.Attribute{{Name: "first", Type: attribute.String}, {Name: "last", Type: attribute.String}}},
		"addresses": {Type: attribute.Complex, MultiValued: true, SubAttributes: []attribute.Attribute{{Name: "town", Type: attribute.String}, {Name: "primary", Type: attribute.Boolean}}},
		"members": {Type: attribute.Complex, MultiValued: true, SubAttributes: []attribute.Attribute{
			{Name: "value", Type: attribute.String, Required: true, Mutability: attribute.Immutable}, {Name: "display", Type: attribute.String},
		}},
		"kinds": {Type: attribute.Complex, SubAttributes: []attribute.Attribute{
			{Name: "whole", Type: attribute.Integer},
			{Name: "number", Type: attribute.Decimal},
			{Name: "date", Type: attribute.DateTime},
			{Name: "bytes", Type: attribute.Binary},
			{Name: "texts", Type: attribute.String, MultiValued: true},
			{Name: "secret", Type: attribute.String, Returned: attribute.ReturnedNever},
		}},
	}
	for name, a := range out {
		a.Name = name
	}
	return out
}

// read gives a value as Decode does.
func read(t testing.TB, text string) any {
	t.Helper()
	doc, err := jsonobject.Decode([]byte(`{"v":` + text + `}`))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return doc["v"]
}

// shown is an error with all its parts.
func shown(err error) string {
	if err == nil {
		return ""
	}
	e, ok := errors.AsType[*value.Error](err)
	if !ok {
		return "no *value.Error: " + err.Error()
	}
	return e.ScimType + " " + e.Error()
}

// TestCanonical_Shapes holds what becomes of each shape for each type. fixups is what was forgiven; strict mode then refuses the value.
func TestCanonical_Shapes(t *testing.T) {
	const id = "" // stays as it is
	for _, tc := range []struct {
		attr, in, want string
		fixups         value.Fixups
	}{
		{"text", `"a"`, id, nil},
		{"text", `""`, id, nil},
		{"text", `null`, `null`, nil},
		{"text", `[]`, `null`, nil},
		{"text", `{}`, `null`, nil},
		{"link", `"../Users/1"`, id, nil},
		{"flag", `true`, id, nil},
		{"flag", `false`, id, nil},
		{"flag", `"True"`, `true`, value.Fixups{value.FixStringBool}},
		{"flag", `"fAlSe"`, `false`, value.Fixups{value.FixStringBool}},
		{"flag", `""`, `null`, value.Fixups{value.FixEmptyValue}},
		{"flags", `[true,"false"]`, `[true,false]`, value.Fixups{value.FixStringBool}},
		{"whole", `-7`, id, nil},
		{"whole", `9223372036854775807`, id, nil},
		{"whole", `""`, `null`, value.Fixups{value.FixEmptyValue}},
		{"number", `1.50`, id, nil},
		{"number", `-1e3`, id, nil},
		{"number", `""`, `null`, value.Fixups{value.FixEmptyValue}},
		{"date", `"2026-01-31T12:00:00Z"`, id, nil},
		{"date", `"2026-01-31T12:00:00.123456789+05:30"`, id, nil},
		{"date", `""`, `null`, value.Fixups{value.FixEmptyValue}},
		{"bytes", `"TUlJ"`, id, nil},

		{"texts", `["a","b","a"]`, id, nil},
		{"texts", `"a"`, `["a"]`, value.Fixups{value.FixSingleValue}},
		{"texts", `""`, `null`, value.Fixups{value.FixEmptyValue}},
		{"texts", `["a",null,"b"]`, `["a","b"]`, value.Fixups{value.FixNullElement}},
		{"texts", `[null]`, `null`, value.Fixups{value.FixNullElement}},

		{"name", `{"first":"a"}`, id, nil},
		{"name", `{"FIRST":"a","last":null}`, `{"first":"a"}`, nil},
		{"name", `{"last":null}`, `null`, nil},
		{"name", `""`, `null`, value.Fixups{value.FixEmptyValue}},
		{"name", `[{"first":"a"}]`, `{"first":"a"}`, value.Fixups{value.FixSingletonArray}},
		{"name", `[null]`, `null`, value.Fixups{value.FixSingletonArray}},
		{"name", `{"first":"a","nick":"b"}`, id, value.Fixups{value.FixUnknownAttribute}},
		{"name", `{"first":"a","nick":null}`, `{"first":"a"}`, nil},
		{"name", `{"value":""}`, `null`, value.Fixups{value.FixUnknownAttribute, value.FixEmptyValue}},

		{"manager", `{"value":"7","$ref":"../Users/7"}`, id, nil},
		{"manager", `"7"`, `{"value":"7"}`, value.Fixups{value.FixBareValue}},
		{"manager", `["7"]`, `{"value":"7"}`, value.Fixups{value.FixSingletonArray, value.FixBareValue}},
		{"manager", `{"managerId":"7"}`, `{"value":"7"}`, value.Fixups{value.FixManagerID}},
		{"manager", `{"MANAGERID":"7"}`, `{"value":"7"}`, value.Fixups{value.FixManagerID}},
		{"manager", `{"shown":"Ada"}`, `null`, nil},
		{"manager", `{"value":"7","shown":{"no":"check"}}`, `{"value":"7"}`, nil},
		{"manager", `""`, `null`, value.Fixups{value.FixEmptyValue}},

		{"emails", `[{"value":"a","primary":true},{"value":"b","primary":false}]`, id, nil},
		{"emails", `{"value":"a"}`, `[{"value":"a"}]`, value.Fixups{value.FixSingleValue}},
		{"emails", `["a"]`, `[{"value":"a"}]`, value.Fixups{value.FixBareValue}},
		{"emails", `[""]`, `null`, value.Fixups{value.FixEmptyValue}},
		{"emails", `""`, `null`, value.Fixups{value.FixEmptyValue}},
		{"emails", `[{},{"value":"a"},{"type":null}]`, `[{"value":"a"}]`, nil},
		{"emails", `[{"value":""}]`, id, nil}, // an address that is empty is one, unlike a manager
		{"emails", `[{"value":"a","shown":"x"}]`, `[{"value":"a"}]`, nil},
		{"emails", `[{"value":"a","primary":"TRUE"}]`, `[{"value":"a","primary":true}]`, value.Fixups{value.FixStringBool}},
		{"members", `"1"`, `[{"value":"1"}]`, value.Fixups{value.FixSingleValue, value.FixBareValue}},
		{
			"emails", `[{"value":"a","primary":true},{"value":"b","primary":true},{"value":"c","primary":true}]`,
			`[{"value":"a","primary":true},{"value":"b","primary":false},{"value":"c","primary":false}]`,
			value.Fixups{value.FixTwoPrimaries},
		},
		{
			"emails", `[{"value":"a","primary":false},{"value":"b","primary":"true"},{"value":"c","primary":true}]`,
			`[{"value":"a","primary":false},{"value":"b","primary":true},{"value":"c","primary":false}]`,
			value.Fixups{value.FixStringBool, value.FixTwoPrimaries},
		},
		{"addresses", `[{"town":"Bonn"},{"town":"Bonn"}]`, id, nil}, // only sets drop what repeats
		{"members", `[{"value":"1"},{"value":"2","display":"b"},{"value":"1","display":"a"}]`, `[{"value":"1"},{"value":"2","display":"b"}]`, nil},
		{"members", `[{"value":"a"},{"value":"A"}]`, id, nil},
		{"members", `[{"display":"a"},{"display":"a"}]`, id, nil}, // Check refuses these

		{"kinds", `{"whole":1,"number":0.5,"date":"2026-01-31T12:00:00Z","bytes":"TUlJ","texts":["a"]}`, id, nil},
		{"kinds", `{"texts":"a"}`, `{"texts":["a"]}`, value.Fixups{value.FixSingleValue}},
		{"kinds", `{"whole":1,"secret":"x"}`, `{"whole":1}`, nil},
		{"kinds", `{"secret":"x"}`, `null`, nil},
	} {
		t.Run(tc.attr+" "+tc.in, func(t *testing.T) {
			a, in := attributes()[tc.attr], read(t, tc.in)
			want := in
			if tc.want != id {
				want = read(t, tc.want)
			}
			before := jsonobject.Clone(in)
			var fixups value.Fixups
			got, err := value.Canonical(a, in, value.Mode{}, &fixups)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if !slices.Equal(fixups, tc.fixups) {
				t.Errorf("fixups %v, want %v", fixups, tc.fixups)
			}
			if diff := cmp.Diff(before, in); diff != "" {
				t.Errorf("the value was changed:\n%s", diff)
			}
			fixups = nil
			got, err = value.Canonical(a, in, value.Mode{Strict: true}, &fixups)
			switch {
			case len(fixups) > 0:
				t.Errorf("strict mode forgave %v", fixups)
			case tc.fixups != nil && err == nil:
				t.Error("strict mode accepts it")
			case tc.fixups == nil && (err != nil || !jsonobject.Equal(got, want)):
				t.Errorf("strict: %v, %v", got, err)
			}
		})
	}
}

// TestCanonical_Errors holds the whole text with the path, as a client reads it.
func TestCanonical_Errors(t *testing.T) {
	for _, tc := range []struct{ attr, in, want string }{
		{"text", `1`, `invalidValue text: a string is expected, not the number 1`},
		{"text", `true`, `invalidValue text: a string is expected, not the boolean true`},
		{"text", `["a"]`, `invalidValue text: a string is expected, not a list`},
		{"text", `{"a":1}`, `invalidValue text: a string is expected, not an object`},
		{"link", `1`, `invalidValue link: a string is expected, not the number 1`},
		{"bytes", `1`, `invalidValue bytes: a string is expected, not the number 1`},
		{"flag", `1`, `invalidValue flag: true or false is expected, not the number 1`},
		{"flag", `"yes"`, `invalidValue flag: true or false is expected, not the string "yes"`},
		{"flag", `"true "`, `invalidValue flag: true or false is expected, not the string "true "`},
		{"flag", `[true]`, `invalidValue flag: true or false is expected, not a list`},
		{"whole", `1.5`, `invalidValue whole: a whole number is expected, not the number 1.5`},
		{"whole", `1e2`, `invalidValue whole: a whole number is expected, not the number 1e2`},
		{"whole", `9223372036854775808`, `invalidValue whole: a whole number is expected, not the number 9223372036854775808`},
		{"whole", `"1"`, `invalidValue whole: a whole number is expected, not the string "1"`},
		{"number", `"1"`, `invalidValue number: a number is expected, not the string "1"`},
		{"date", `"31.1.2026"`, `invalidValue date: a date and time such as 2026-01-31T12:00:00Z is expected, not the string "31.1.2026"`},
		{"date", `"2026-01-31"`, `invalidValue date: a date and time such as 2026-01-31T12:00:00Z is expected, not the string "2026-01-31"`},
		{"date", `0`, `invalidValue date: a date and time is expected, not the number 0`},
		{"texts", `{"value":"a"}`, `invalidValue texts: a list is expected, not an object`},
		{"texts", `[{"value":"a"}]`, `invalidValue texts: a string is expected, not an object`},
		{"texts", `["a",["b"]]`, `invalidValue texts: a string is expected, not a list`},
		{"flags", `[true,"no"]`, `invalidValue flags: true or false is expected, not the string "no"`},
		{"name", `"Ada"`, `invalidValue name: an object is expected, not the string "Ada"`},
		{"name", `1`, `invalidValue name: an object is expected, not the number 1`},
		{"name", `[{"first":"a"},{"first":"b"}]`, `invalidValue name: an object is expected, not a list`},
		{"name", `[[{"first":"a"}]]`, `invalidValue name: an object is expected, not a list`},
		{"name", `{"first":1}`, `invalidValue name.first: a string is expected, not the number 1`},
		{"name", `{"first":"a","FIRST":"b"}`, `invalidSyntax name.first: the sub-attribute is there twice`},
		{"manager", `7`, `invalidValue manager: an object is expected, not the number 7`},
		{"manager", `{"managerId":"7","value":"8"}`, `invalidSyntax manager.value: the sub-attribute is there twice`},
		{"emails", `"a"`, `invalidValue emails: a list is expected, not the string "a"`},
		{"emails", `true`, `invalidValue emails: a list is expected, not the boolean true`},
		{"emails", `[1]`, `invalidValue emails: an object is expected, not the number 1`},
		{"emails", `[[{"value":"a"}]]`, `invalidValue emails: an object is expected, not a list`},
		{"emails", `[{"value":"a"},{"value":["b"]}]`, `invalidValue emails.value: a string is expected, not a list`},
		{"emails", `[{"primary":1}]`, `invalidValue emails.primary: true or false is expected, not the number 1`},
		{"addresses", `["Bonn"]`, `invalidValue addresses: an object is expected, not the string "Bonn"`},
		{"members", `[{"value":"1"},{"value":null}]`, `invalidValue members.value: the sub-attribute is required`},
		{"members", `[{}]`, `invalidValue members.value: the sub-attribute is required`},
		{"members", `[null]`, `invalidValue members.value: the sub-attribute is required`},
		{"members", `[""]`, `invalidValue members.value: the sub-attribute is required`},
		{"kinds", `{"whole":"1"}`, `invalidValue kinds.whole: a whole number is expected, not the string "1"`},
		{"kinds", `{"texts":[1]}`, `invalidValue kinds.texts: a string is expected, not the number 1`},
		{"secret", `{"password":"hunter2"}`, `invalidValue secret: a value of type string is expected`},
		{"secret", `918273645`, `invalidValue secret: a value of type string is expected`},
	} {
		for _, mode := range []value.Mode{{}, {Strict: true}} {
			var fixups value.Fixups
			got, err := value.Canonical(attributes()[tc.attr], read(t, tc.in), mode, &fixups)
			if mode.Strict && err != nil {
				continue // there a tolerance that was on the way may be what is refused
			}
			if shown(err) != tc.want || got != nil {
				t.Errorf("%s %s (strict %v): %v, %s\nwant %s", tc.attr, tc.in, mode.Strict, got, shown(err), tc.want)
			}
		}
	}
}

// TestCanonical_Strict holds what strict mode says about each tolerance.
func TestCanonical_Strict(t *testing.T) {
	for _, tc := range []struct{ attr, in, want string }{
		{"flag", `"true"`, `invalidValue flag: true is expected, not a string`},
		{"flag", `"FALSE"`, `invalidValue flag: false is expected, not a string`},
		{"flag", `""`, `invalidValue flag: true or false is expected, not ""`},
		{"whole", `""`, `invalidValue whole: a value is expected, not ""`},
		{"texts", `"a"`, `invalidValue texts: a list is expected`},
		{"texts", `""`, `invalidValue texts: a list is expected, not ""`},
		{"texts", `[null]`, `invalidValue texts: null in a list`},
		{"name", `""`, `invalidValue name: an object is expected, not ""`},
		{"name", `[{"first":"a"}]`, `invalidValue name: an object is expected, not a list`},
		{"name", `{"nick":"a"}`, `invalidSyntax name.nick: no schema has this sub-attribute`},
		{"manager", `"7"`, `invalidValue manager: an object is expected, not a string`},
		{"manager", `{"managerId":"7"}`, `invalidValue manager.managerId: the manager is named by value`},
		{"emails", `["a"]`, `invalidValue emails: an object is expected, not a string`},
		{"emails", `[{"primary":true},{"primary":true}]`, `invalidValue emails: more than one value is primary`},
		{"bytes", `"not base64!"`, `invalidValue bytes: base64 is expected`},
		{"bytes", `"TUl"`, `invalidValue bytes: base64 is expected`},
	} {
		var fixups value.Fixups
		_, err := value.Canonical(attributes()[tc.attr], read(t, tc.in), value.Mode{Strict: true}, &fixups)
		if shown(err) != tc.want || len(fixups) > 0 {
			t.Errorf("%s %s: %s, %v\nwant %s", tc.attr, tc.in, shown(err), fixups, tc.want)
		}
	}
	t.Run("an empty manager is cleared in tolerant mode", func(t *testing.T) {
		var fixups value.Fixups
		got, err := value.Canonical(attributes()["manager"], read(t, `{"value":""}`), value.Mode{}, &fixups)
		if got != nil || err != nil || !slices.Equal(fixups, value.Fixups{value.FixEmptyValue}) {
			t.Errorf("%v, %v, %v", got, err, fixups)
		}
	})
	t.Run("an empty manager is an object like any other", func(t *testing.T) {
		var fixups value.Fixups
		got, err := value.Canonical(attributes()["manager"], read(t, `{"value":""}`), value.Mode{Strict: true}, &fixups)
		if diff := cmp.Diff(read(t, `{"value":""}`), got); diff != "" || err != nil {
			t.Errorf("%v\n%s", err, diff)
		}
	})
}

func TestElement(t *testing.T) {
	for _, tc := range []struct {
		attr, in, want, problem string
		fixups                  value.Fixups
	}{
		{"emails", `{"VALUE":"a"}`, `{"value":"a"}`, "", nil},
		{"emails", `"a"`, `{"value":"a"}`, "", value.Fixups{value.FixBareValue}},
		{"emails", `{}`, `null`, "", nil},
		{"emails", `null`, `null`, "", nil},
		{"emails", `[{"value":"a"}]`, `null`, `invalidValue emails: an object is expected, not a list`, nil},
		{"emails", `{"value":1}`, `null`, `invalidValue emails.value: a string is expected, not the number 1`, nil},
		{"texts", `"a"`, `"a"`, "", nil},
		{"texts", `["a"]`, `null`, `invalidValue texts: a string is expected, not a list`, nil},
		{"name", `{"first":"a"}`, `{"first":"a"}`, "", nil},
		{"flag", `"true"`, `true`, "", value.Fixups{value.FixStringBool}},
		{"secret", `1`, `null`, `invalidValue secret: a value of type string is expected`, nil},
	} {
		var fixups value.Fixups
		got, err := value.Element(attributes()[tc.attr], read(t, tc.in), value.Mode{}, &fixups)
		if diff := cmp.Diff(read(t, tc.want), got); diff != "" || shown(err) != tc.problem || !slices.Equal(fixups, tc.fixups) {
			t.Errorf("%s %s: %s, %v\n%s", tc.attr, tc.in, shown(err), fixups, diff)
		}
	}
	t.Run("fixups are added to those that are there", func(t *testing.T) {
		fixups := value.Fixups{value.FixOpCase, value.FixBareValue}
		if _, err := value.Element(attributes()["emails"], "a", value.Mode{}, &fixups); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(fixups, value.Fixups{value.FixOpCase, value.FixBareValue}) {
			t.Errorf("%v", fixups)
		}
	})
}

// TestCoercer_Shares checks that what is canonical already is handed back, not copied, and that the report about it is true.
func TestCoercer_Shares(t *testing.T) {
	for _, tc := range []struct {
		attr, in string
		changed  bool
	}{
		{"emails", `[{"value":"a","type":"work","primary":true}]`, false},
		{"members", `[{"value":"1"},{"value":"2"}]`, false},
		{"texts", `["a","b"]`, false},
		{"name", `{"first":"a"}`, false},
		{"text", `"a"`, false},
		{"text", `null`, false},
		{"text", `[]`, true},
		{"emails", `[{"Value":"a"}]`, true},
		{"emails", `[{"value":"a"},null]`, true},
		{"members", `[{"value":"1"},{"value":"1"}]`, true},
		{"flag", `"true"`, true},
		{"manager", `"7"`, true},
	} {
		c := value.Coercer{}
		in := read(t, tc.in)
		got, changed, err := c.Value(attributes()[tc.attr], in)
		if err != nil || changed != tc.changed {
			t.Errorf("%s %s: changed %v, %v", tc.attr, tc.in, changed, err)
		}
		if !changed && !jsonobject.Equal(got, in) {
			t.Errorf("%s %s: reported as unchanged, but %v", tc.attr, tc.in, got)
		}
	}
	t.Run("values that stay are shared when others change", func(t *testing.T) {
		c := value.Coercer{}
		in := []any{map[string]any{"value": "a"}, map[string]any{"VALUE": "b"}}
		got, _, err := c.Value(attributes()["emails"], in)
		if err != nil {
			t.Fatal(err)
		}
		in[0].(map[string]any)["type"] = "seen"
		if got.([]any)[0].(map[string]any)["type"] != "seen" {
			t.Error("the first value was copied")
		}
	})
}

// anyShape draws values that may or may not fit.
func anyShape() *rapid.Generator[any] {
	leaf := rapid.SampledFrom([]any{nil, "", "a", "b", "true", "False", true, false, json.Number("1"), json.Number("0.5"), "2026-01-31T12:00:00Z", "TUlJ"})
	keys := rapid.SampledFrom([]string{"value", "VALUE", "type", "primary", "$ref", "shown", "first", "last", "town", "managerId", "whole", "date", "texts", "secret", "other"})
	object := rapid.Map(rapid.MapOfN(keys, leaf, 0, 4), func(m map[string]any) any { return m })
	one := rapid.OneOf(leaf, object)
	return rapid.OneOf(one, rapid.Map(rapid.SliceOfN(one, 0, 4), func(l []any) any { return append([]any{}, l...) }))
}

// TestCanonical_Any checks for any attribute and any value that the canonical form is stable and passes Check, that strict mode is a part of tolerant mode,
// and that the value itself is left alone.
func TestCanonical_Any(t *testing.T) {
	all := attributes()
	names := slices.Sorted(maps.Keys(all))
	shape := anyShape()
	rapid.Check(t, func(t *rapid.T) {
		a, in := all[rapid.SampledFrom(names).Draw(t, "attribute")], shape.Draw(t, "value")
		before := jsonobject.Clone(in)
		var fixups, strictFixups, again value.Fixups
		got, err := value.Canonical(a, in, value.Mode{}, &fixups)
		exact, strictErr := value.Canonical(a, in, value.Mode{Strict: true}, &strictFixups)
		if diff := cmp.Diff(before, in); diff != "" {
			t.Fatalf("the value was changed:\n%s", diff)
		}
		if err != nil {
			if strictErr == nil {
				t.Fatalf("strict mode accepts what tolerant mode refuses: %v", err)
			}
			return
		}
		if strictErr == nil && (len(strictFixups) > 0 || a.Name != "manager" && !jsonobject.Equal(exact, got)) {
			t.Fatalf("strict gives %v with %v, tolerant %v", exact, strictFixups, got)
		}
		twice, err := value.Canonical(a, got, value.Mode{}, &again)
		if err != nil || !jsonobject.Equal(got, twice) {
			t.Fatalf("not stable: %v gives %v, %v", got, twice, err)
		}
		for _, f := range again {
			if f != value.FixUnknownAttribute {
				t.Fatalf("the canonical form still needs %s: %v", f, got)
			}
		}
		if err := value.Check(a, got); got != nil && a.Name != "members" && err != nil {
			t.Fatalf("the canonical form %v does not pass: %v", got, err)
		}
	})
}

// BenchmarkCanonical takes values that need no work, and some that do.
func BenchmarkCanonical(b *testing.B) {
	for name, in := range map[string]string{
		"canonical": `[{"value":"a@x","type":"work","primary":true},{"value":"b@x"}]`, "coerced": `[{"Value":"a@x","Primary":"True"}]`,
	} {
		b.Run(name, func(b *testing.B) {
			a, v := attributes()["emails"], read(b, in)
			b.ReportAllocs()
			for b.Loop() {
				var fixups value.Fixups
				if _, err := value.Canonical(a, v, value.Mode{}, &fixups); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
