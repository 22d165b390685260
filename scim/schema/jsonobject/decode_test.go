package jsonobject_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/matomo-scim/bridge/scim/schema/jsonobject"
)

// decode reads an object in a test.
func decode(t testing.TB, text string) jsonobject.Object {
	t.Helper()
	obj, err := jsonobject.Decode([]byte(text))
	if err != nil {
		t.Fatalf("Decode(%s): %v", text, err)
	}
	return obj
}

// wantError checks that err is a *SyntaxError whose text contains something.
func wantError(t testing.TB, err error, contains string) {
	t.Helper()
	var e *jsonobject.SyntaxError
	if !errors.As(err, &e) {
		t.Fatalf("error %v is no *SyntaxError", err)
	}
	if !strings.Contains(e.Error(), contains) {
		t.Errorf("error %q does not say %q", e.Error(), contains)
	}
}

func TestDecode(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		want     jsonobject.Object
	}{
		{"empty object", `{}`, jsonobject.Object{}},
		{"blanks around everything", " \r\n\t{ \"a\" : 1 , \"b\" : [ ] } \n", jsonobject.Object{"a": json.Number("1"), "b": []any{}}},
		{"literals", `{"t":true,"f":false,"n":null}`, jsonobject.Object{"t": true, "f": false, "n": nil}},
		{"number text survives", `{"a":-0,"b":1.50,"c":12345678901234567890,"d":1E+2,"e":0e-1}`, jsonobject.Object{
			"a": json.Number("-0"), "b": json.Number("1.50"), "c": json.Number("12345678901234567890"),
			"d": json.Number("1E+2"), "e": json.Number("0e-1"),
		}},
		{"nesting", `{"a":[{"b":[[]]},{}]}`, jsonobject.Object{
			"a": []any{map[string]any{"b": []any{[]any{}}}, map[string]any{}},
		}},
		{"simple escapes", `{"a":"\"\\\/\b\f\n\r\t"}`, jsonobject.Object{"a": "\"\\/\b\f\n\r\t"}},
		{"unicode escapes", `{"a":"\u00e9\u20AC x"}`, jsonobject.Object{"a": "é€ x"}},
		{"surrogate pair", `{"a":"\ud83d\ude00"}`, jsonobject.Object{"a": "😀"}},
		{"raw unicode", `{"ä":"ß😀"}`, jsonobject.Object{"ä": "ß😀"}},
		{"escaped name", `{"user\u004eame":"x"}`, jsonobject.Object{"userName": "x"}},
		{"empty name and text", `{"":""}`, jsonobject.Object{"": ""}},
		{"names that differ in case are two names", `{"a":1,"A":2}`, jsonobject.Object{"a": json.Number("1"), "A": json.Number("2")}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := decode(t, tc.in)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("Decode(%s) (-want +got):\n%s", tc.in, diff)
			}
		})
	}
}

func TestDecode_Errors(t *testing.T) {
	deep := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	for _, tc := range []struct{ name, in, contains string }{
		{"C08 empty", ``, "empty"},
		{"C08 blank", ` `, "empty"},
		{"C08 not JSON", `<xml/>`, "byte 0: the body must be a JSON object"},
		{"C08 a list", `[]`, "must be a JSON object"},
		{"C08 a string", `"x"`, "must be a JSON object"},
		{"cut off", `{"a":`, "byte 5: the body ends too early"},
		{"cut off after the name", `{"a"`, "colon"},
		{"cut off in a list", `{"a":[1`, "comma or ]"},
		{"cut off in an object", `{"a":1`, "comma or }"},
		{"comma at the end", `{"a":1,}`, "byte 7: a quoted name"},
		{"comma at the end of a list", `{"a":[1,]}`, "a value is expected"},
		{"two commas", `{"a":1,,"b":2}`, "quoted name"},
		{"name without quotes", `{a:1}`, "quoted name"},
		{"single quotes", `{'a':1}`, "quoted name"},
		{"comment", `{"a":1}//`, "data after the object"},
		{"second object", `{"a":1}{}`, "byte 7: data after the object"},
		{"duplicate name", `{"a":1,"b":2,"a":3}`, `byte 13: the name "a" is there twice`},
		{"duplicate by escape", `{"a":1,"\u0061":3}`, "is there twice"},
		{"duplicate deep down", `{"x":[{"a":1,"a":1}]}`, "is there twice"},
		{"NaN", `{"a":NaN}`, "a value is expected"},
		{"Infinity", `{"a":-Infinity}`, "malformed number"},
		{"plus sign", `{"a":+1}`, "a value is expected"},
		{"leading zero", `{"a":01}`, "malformed number"},
		{"dot without digits", `{"a":1.}`, "malformed number"},
		{"dot at the start", `{"a":.5}`, "a value is expected"},
		{"exponent without digits", `{"a":1e}`, "malformed number"},
		{"minus alone", `{"a":-}`, "malformed number"},
		{"number nobody can hold", `{"a":1e999}`, "out of range"},
		{"half a literal", `{"a":tru}`, "a value is expected"},
		{"literal with a tail", `{"a":nullx}`, "comma or }"},
		{"string without end", `{"a":"x`, "string without end"},
		{"string without end after an escape", `{"a":"\n`, "string without end"},
		{"backslash at the end", `{"a":"\`, "unknown escape"},
		{"raw newline", "{\"a\":\"x\ny\"}", "control character"},
		{"raw newline after an escape", "{\"a\":\"\\tx\ny\"}", "control character"},
		{"raw NUL", "{\"a\":\"x\x00\"}", "control character"},
		{"escaped NUL", `{"a":"\u0000"}`, "NUL"},
		{"NUL between tokens", "{\x00}", "quoted name"},
		{"unknown escape", `{"a":"\x"}`, "unknown escape"},
		{"short escape", `{"a":"\u12"}`, "malformed"},
		{"escape with letters beyond f", `{"a":"\u00zz"}`, "malformed"},
		{"lone high surrogate", `{"a":"\ud83d"}`, "lone surrogate"},
		{"lone low surrogate", `{"a":"\ude00"}`, "lone surrogate"},
		{"high surrogate and a letter", `{"a":"\ud83d\u0041"}`, "lone surrogate"},
		{"invalid UTF-8", "{\"a\":\"\xff\"}", "not valid UTF-8"},
		{"invalid UTF-8 in a name", "{\"\xc3(\":1}", "not valid UTF-8"},
		{"byte order mark", "\ufeff{}", "must be a JSON object"},
		{"M06 33 levels", deep(33), "nested deeper than 32 levels"},
		{"M06 2000 lists", `{"a":` + strings.Repeat("[", 2000), "nested deeper than 32 levels"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := jsonobject.Decode([]byte(tc.in))
			wantError(t, err, tc.contains)
		})
	}
	t.Run("32 levels are fine", func(t *testing.T) { decode(t, deep(32)) })
	t.Run("levels side by side do not add up", func(t *testing.T) {
		decode(t, `{"a":[`+strings.TrimSuffix(strings.Repeat(`{"b":[]},`, 100), ",")+`]}`)
	})
}

func TestUnquote(t *testing.T) {
	for _, tc := range []struct {
		in, want string
		size     int
	}{
		{`"abc" tail`, "abc", 5},
		{`""`, "", 2},
		{`"a\"b"]`, `a"b`, 6},
	} {
		got, size, err := jsonobject.Unquote(tc.in)
		if err != nil || got != tc.want || size != tc.size {
			t.Errorf("Unquote(%s) = %q, %d, %v; want %q, %d", tc.in, got, size, err, tc.want, tc.size)
		}
	}
	_, size, err := jsonobject.Unquote(`"ab\x"`)
	wantError(t, err, "byte 3")
	if size != 3 {
		t.Errorf("size %d, want the place of the problem, 3", size)
	}
}

// oracle reads one object with encoding/json, which is laxer in the ways that
// Decode documents.
func oracle(data []byte) (jsonobject.Object, bool) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var doc jsonobject.Object
	if d.Decode(&doc) != nil || doc == nil {
		return nil, false
	}
	_, err := d.Token()
	return doc, errors.Is(err, io.EOF)
}

// FuzzDecode compares Decode with encoding/json: what Decode accepts, the
// standard library reads as the same value; what only the standard library
// accepts has one of the reasons that Decode documents.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"a":[1,-2.5e+3,true,null,"x\u00e9\ud83d\ude00"]}`, `{"a":1,"a":2}`, `{"a":"\u0000"}`, `[{}]`, `{"a":{"b":{"c":[]}}} `,
		bodyEntra,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := jsonobject.Decode(data)
		want, ok := oracle(data)
		if err == nil {
			if !ok {
				t.Fatalf("accepts %q, encoding/json does not", data)
			}
			if !jsonobject.Equal(want, got) {
				t.Fatalf("%q: %v, encoding/json: %v", data, got, want)
			}
			again, err := json.Marshal(got)
			if err != nil {
				t.Fatalf("cannot be written again: %v", err)
			}
			if back, err := jsonobject.Decode(again); err != nil || !jsonobject.Equal(back, got) {
				t.Fatalf("%q: round trip gives %v, %v", again, back, err)
			}
			return
		}
		var e *jsonobject.SyntaxError
		if !errors.As(err, &e) || e.Offset < 0 || e.Offset > len(data) {
			t.Fatalf("error %v", err)
		}
		stricter := []string{"twice", "surrogate", "range", "deeper"}
		if ok && utf8.Valid(data) && !containsAny(err.Error(), stricter) {
			t.Fatalf("refuses %q: %v", data, err)
		}
	})
}

func containsAny(s string, parts []string) bool {
	for _, p := range parts {
		if strings.Contains(s, p) {
			return true
		}
	}
	return false
}

// bodyEntra is what Entra sends for a joiner.
const bodyEntra = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],` +
	`"externalId":"0a21f0f2","userName":"eve@example.com","active":"True","displayName":"Eve Curie",` +
	`"emails":[{"primary":true,"type":"work","value":"eve@example.com"}],"meta":{"resourceType":"User"},` +
	`"name":{"formatted":"Eve Curie","familyName":"Curie","givenName":"Eve"},"roles":[],"addresses":null,"title":null,` +
	`"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"Research","manager":null}}`

func BenchmarkDecode(b *testing.B) {
	data := []byte(bodyEntra)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := jsonobject.Decode(data); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDecode_Standard is what Decode is measured against: encoding/json
// into a map, without the check for duplicate names.
func BenchmarkDecode_Standard(b *testing.B) {
	data := []byte(bodyEntra)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := oracle(data); !ok {
			b.Fatal("not read")
		}
	}
}

// BenchmarkDecode_Group reads the members of a large group.
func BenchmarkDecode_Group(b *testing.B) {
	member := `{"value":"0198c0de-0000-7000-8000-000000000000","display":"ada@example.com"},`
	data := []byte(`{"displayName":"x","members":[` + strings.TrimSuffix(strings.Repeat(member, 1000), ",") + `]}`)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := jsonobject.Decode(data); err != nil {
			b.Fatal(err)
		}
	}
}
