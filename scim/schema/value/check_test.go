package value_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/matomo-scim/bridge/scim/schema/value"
)

func TestCheck(t *testing.T) {
	for _, tc := range []struct{ attr, in, want string }{
		{"text", `"a"`, ""},
		{"text", `""`, ""},
		{"text", `1`, `invalidValue a string is expected, not the number 1`},
		{"text", `null`, `invalidValue a string is expected, not null`},
		{"text", `["a"]`, `invalidValue a string is expected, not a list`},
		{"flag", `true`, ""},
		{"flag", `"true"`, `invalidValue true or false is expected, not the string "true"`},
		{"whole", `1`, ""},
		{"whole", `1.0`, `invalidValue a whole number is expected, not the number 1.0`},
		{"number", `1.0`, ""},
		{"number", `true`, `invalidValue a number is expected, not the boolean true`},
		{"date", `"2026-01-31T12:00:00"`, ""},
		{"date", `"noon"`, `invalidValue a date and time such as 2026-01-31T12:00:00Z is expected, not the string "noon"`},
		{"texts", `["a"]`, ""},
		{"texts", `[]`, ""},
		{"texts", `"a"`, `invalidValue a list is expected, not the string "a"`},
		{"texts", `["a",null]`, `invalidValue a string is expected, not null`},
		{"name", `{"first":"a","nick":7}`, ""}, // nobody knows what nick is
		{"name", `{}`, ""},
		{"name", `"Ada"`, `invalidValue an object is expected, not the string "Ada"`},
		{"name", `{"last":1,"first":1}`, `invalidValue first: a string is expected, not the number 1`}, // in the order of the table
		{"name", `{"first":null}`, `invalidValue first: a string is expected, not null`},
		{"emails", `[{"value":"a","primary":true},{"value":"b","primary":false},{"value":"c"}]`, ""},
		{"emails", `[{"primary":true},{"primary":true}]`, `invalidValue more than one value is primary`},
		{"emails", `{"value":"a"}`, `invalidValue a list is expected, not an object`},
		{"emails", `["a"]`, `invalidValue an object is expected, not the string "a"`},
		{"emails", `[{"value":"a"},{"type":1}]`, `invalidValue type: a string is expected, not the number 1`},
		{"members", `[{"value":"1"}]`, ""},
		{"members", `[{"display":"a"}]`, `invalidValue value: the sub-attribute is required`},
		{"members", `[{"value":" "}]`, `invalidValue value: the sub-attribute is required`},
		{"kinds", `{"texts":["a"],"date":"2026-01-31T12:00:00Z"}`, ""},
		{"kinds", `{"texts":["a",1]}`, `invalidValue texts: a string is expected, not the number 1`},
	} {
		got := ""
		if err := value.Check(attributes()[tc.attr], read(t, tc.in)); err != nil {
			got = shown(err)
		}
		if got != tc.want {
			t.Errorf("%s %s: %s, want %s", tc.attr, tc.in, got, tc.want)
		}
	}
	t.Run("a list that a Go program wrote", func(t *testing.T) {
		if err := value.Check(attributes()["texts"], []string{"a"}); err != nil {
			t.Error(err)
		}
		if err := value.Check(attributes()["emails"], []string{"a"}); err == nil {
			t.Error("text is no address")
		}
	})
}

func TestBlank(t *testing.T) {
	for _, v := range []any{nil, "", " ", "\t\n\u00a0", []any{}, map[string]any{}} {
		if !value.Blank(v) {
			t.Errorf("%#v is worth the name", v)
		}
	}
	for _, v := range []any{"a", " a ", false, json.Number("0"), []any{""}, map[string]any{"a": ""}} {
		if value.Blank(v) {
			t.Errorf("%#v is not worth the name", v)
		}
	}
}

func TestParseTime(t *testing.T) {
	base, _ := value.ParseTime("2015-10-10T21:38:21.8617979Z")
	for in, want := range map[string]bool{
		"2015-10-10T14:38:21.8617979-07:00": true, "2015-10-10T21:38:21.8617979": true, "2015-10-11T03:08:21.8617979+05:30": true,
		"2015-10-10T21:38:21Z": false, "2015-10-10": false, "": false, "now": false, "2015-10-10 21:38:21.8617979Z": false, "2015-13-10T21:38:21Z": false,
	} {
		got, ok := value.ParseTime(in)
		if (ok && got.Equal(base)) != want {
			t.Errorf("ParseTime(%q) = %v, %v", in, got, ok)
		}
	}
}

func TestError(t *testing.T) {
	e := value.Errorf(value.InvalidValue, "", "%d is too many", 3)
	if got := e.Error(); got != "3 is too many" {
		t.Errorf("%q", got)
	}
	if got := e.Under("value", ".").Under("emails", ".").Under("urn:x", ":").Error(); got != "urn:x:emails.value: 3 is too many" {
		t.Errorf("%q", got)
	}
	if e.Path != "urn:x:emails.value" || e.Detail != "3 is too many" || e.ScimType != "invalidValue" {
		t.Errorf("%+v", *e)
	}
}

func TestFixups(t *testing.T) {
	var f value.Fixups
	f.Add(value.FixOpCase, value.FixStringBool, value.FixOpCase)
	f.Add(value.FixStringBool)
	f.Add()
	if !slices.Equal(f, value.Fixups{value.FixOpCase, value.FixStringBool}) {
		t.Errorf("%v", f)
	}
}

// A kind that is declared and not listed would be counted and never documented.
func TestKinds_AreAllDeclared(t *testing.T) {
	src, err := os.ReadFile("fixup.go")
	if err != nil {
		t.Fatal(err)
	}
	var declared []value.Fixup
	for _, m := range regexp.MustCompile(`(?m)^\tFix\w+ +Fixup = "(\w+)"$`).FindAllSubmatch(src, -1) {
		declared = append(declared, value.Fixup(m[1]))
	}
	if kinds := value.Kinds(); len(kinds) < 20 || !slices.Equal(slices.Sorted(slices.Values(kinds)), slices.Sorted(slices.Values(declared))) {
		t.Errorf("listed %v, declared %v", kinds, declared)
	}
}
