package jsonobject_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/scim/schema/jsonobject"
)

// anyValue draws what Decode can give.
func anyValue() *rapid.Generator[any] {
	text := rapid.StringOfN(rapid.RuneFrom([]rune("aZé😀\"\\/ \n\x01\u2028<&")), 0, 6, -1)
	leaf := rapid.OneOf(
		rapid.SampledFrom([]any{nil, true, false, json.Number("0"), json.Number("-1.50"), json.Number("12345678901234567890")}),
		rapid.Map(text, func(s string) any { return s }),
	)
	value := leaf
	for range 3 {
		below := value
		value = rapid.OneOf(
			leaf,
			rapid.Map(rapid.SliceOfN(below, 0, 3), func(l []any) any { return append([]any{}, l...) }),
			rapid.Map(rapid.MapOfN(text, below, 0, 3), func(m map[string]any) any { return m }),
		)
	}
	return value
}

// TestDecode_RoundTrip checks that what encoding/json writes is read as the same value, and that blanks between tokens change nothing.
func TestDecode_RoundTrip(t *testing.T) {
	value := anyValue()
	rapid.Check(t, func(t *rapid.T) {
		want := jsonobject.Object{"v": value.Draw(t, "value")}
		for _, indent := range []string{"", "\t", " \r\n"} {
			data, err := json.MarshalIndent(want, indent, indent)
			if err != nil {
				t.Fatal(err)
			}
			got, err := jsonobject.Decode(data)
			if err != nil {
				t.Fatalf("%s: %v", data, err)
			}
			if !jsonobject.Equal(want, got) {
				t.Fatalf("%s is read as %v", data, got)
			}
		}
	})
}

// TestDecode_CutOff checks that no beginning of a body is a body.
func TestDecode_CutOff(t *testing.T) {
	for i := range len(bodyEntra) - 1 {
		if _, err := jsonobject.Decode([]byte(bodyEntra[:i])); err == nil {
			t.Fatalf("the first %d bytes are accepted: %s", i, bodyEntra[:i])
		}
	}
}

// TestDecode_KeepsNoBody checks that a document does not change with the buffer that it was read from.
func TestDecode_KeepsNoBody(t *testing.T) {
	data := []byte(`{"userName":"ada"}`)
	obj, err := jsonobject.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	for i := range data {
		data[i] = 'x'
	}
	if obj["userName"] != "ada" {
		t.Errorf("%v", obj)
	}
}

// TestSyntaxError holds whole sentences, with the offset in bytes, as clients read them.
func TestSyntaxError(t *testing.T) {
	for _, tc := range []struct {
		in     string
		offset int
		want   string
	}{
		{"", 0, "the body is empty"},
		{" \n", 2, "the body is empty"},
		{"\xff", 0, "the body is not valid UTF-8"},
		{`[]`, 0, "invalid JSON at byte 0: the body must be a JSON object"},
		{`{"a":1 "b":2}`, 7, "invalid JSON at byte 7: a comma or } is expected"},
		{`{"a":[1 2]}`, 8, "invalid JSON at byte 8: a comma or ] is expected"},
		{`{"a" 1}`, 5, "invalid JSON at byte 5: a colon is expected"},
		{`{1:2}`, 1, "invalid JSON at byte 1: a quoted name is expected"},
		{`{"é":tru}`, 6, "invalid JSON at byte 6: a value is expected"},
		{`{"a":-}`, 5, "invalid JSON at byte 5: a malformed number"},
		{`{"a":1e400}`, 5, "invalid JSON at byte 5: a number out of range"},
		{`{"a":"x`, 7, "invalid JSON at byte 7: a string without end"},
		{`{"a":"é\q"}`, 8, "invalid JSON at byte 8: an unknown escape"},
		{`{"a":"\u00`, 6, "invalid JSON at byte 6: a malformed \\u escape, a lone surrogate or NUL"},
		{"{\"a\":\"\t\"}", 6, "invalid JSON at byte 6: a control character in a string"},
		{`{"a":1} x`, 8, "invalid JSON at byte 8: data after the object"},
		{`{"a":1,"a":2}`, 7, `invalid JSON at byte 7: the name "a" is there twice`},
		{`{"a":{"b":0,"c":0,"b":0}}`, 18, `invalid JSON at byte 18: the name "b" is there twice`},
		{`{"` + strings.Repeat("n", 50) + `":1,"` + strings.Repeat("n", 50) + `":1}`, 56, `invalid JSON at byte 56: the name "` + strings.Repeat("n", 40) + `…" is there twice`},
	} {
		_, err := jsonobject.Decode([]byte(tc.in))
		e, ok := err.(*jsonobject.SyntaxError) //nolint:errorlint // the documented type itself, not wrapped
		if !ok || e.Offset != tc.offset || e.Error() != tc.want {
			t.Errorf("Decode(%q): %#v\nwant %d, %s", tc.in, err, tc.offset, tc.want)
		}
	}
}

// TestDecode_Depth checks that lists and objects count alike, and that the last level may be empty.
func TestDecode_Depth(t *testing.T) {
	nested := func(depth int, last string) string {
		var open, end strings.Builder
		for i := 1; i < depth; i++ { // the object around it is the first level
			if i%2 == 0 {
				open.WriteString(`{"a":`)
				end.WriteString(`}`)
			} else {
				open.WriteString(`[`)
				end.WriteString(`]`)
			}
		}
		closing := []byte(end.String())
		slices.Reverse(closing)
		return `{"a":` + open.String() + last + string(closing) + `}`
	}
	decode(t, nested(32, "1"))
	decode(t, `{"a":[`+strings.TrimSuffix(strings.Repeat(`[1],{"b":[{}]},`, 100), ",")+`]}`) // side by side
	decode(t, nested(31, "{}"))
	decode(t, nested(31, "[]"))
	for _, in := range []string{nested(33, "1"), nested(32, "{}"), nested(32, "[]")} {
		_, err := jsonobject.Decode([]byte(in))
		wantError(t, err, "nested deeper than 32 levels")
	}
}

// FuzzUnquote compares with encoding/json, which is laxer with surrogates and NUL.
func FuzzUnquote(f *testing.F) {
	for _, s := range []string{`"abc" x`, `"\u00e9\ud83d\ude00\n"`, `"\ud83d"`, `"a\"b`, `"\u0000"`, "\"\x01\"", `""`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !strings.HasPrefix(s, `"`) || strings.ToValidUTF8(s, "") != s {
			t.Skip("Unquote is only called at a quote, in valid UTF-8")
		}
		got, size, err := jsonobject.Unquote(s)
		if err != nil {
			wantError(t, err, "invalid string at byte")
			if size < 0 || size > len(s) {
				t.Fatalf("%q: problem at %d", s, size)
			}
			return
		}
		var want string
		if err := json.Unmarshal([]byte(s[:size]), &want); err != nil || want != got {
			t.Fatalf("%q: %q, encoding/json %q, %v", s[:size], got, want, err)
		}
		if strings.ContainsRune(got, 0) {
			t.Fatalf("%q gives a NUL", s)
		}
	})
}

func TestUnquote_Errors(t *testing.T) {
	for _, tc := range []struct {
		in, want string
		size     int
	}{
		{`"`, "invalid string at byte 1: a string without end", 1},
		{`"abc`, "invalid string at byte 4: a string without end", 4},
		{`"a\`, "invalid string at byte 2: an unknown escape", 2},
		{`"a\n`, "invalid string at byte 4: a string without end", 4},
		{`"\ud83d\n"`, "invalid string at byte 1: a malformed \\u escape, a lone surrogate or NUL", 1},
		{`"\ude00\ud83d"`, "invalid string at byte 1: a malformed \\u escape, a lone surrogate or NUL", 1},
		{`"\u000g"`, "invalid string at byte 1: a malformed \\u escape, a lone surrogate or NUL", 1},
		{"\"a\x1f\"", "invalid string at byte 2: a control character in a string", 2},
	} {
		got, size, err := jsonobject.Unquote(tc.in)
		wantError(t, err, tc.want)
		if got != "" || size != tc.size {
			t.Errorf("Unquote(%q) = %q, %d", tc.in, got, size)
		}
	}
}

func TestEmpty(t *testing.T) {
	for _, v := range []any{nil, []any{}, []any(nil), map[string]any{}, map[string]any(nil)} {
		if !jsonobject.Empty(v) {
			t.Errorf("%#v is a value", v)
		}
	}
	for _, v := range []any{"", false, json.Number("0"), []any{nil}, []any{[]any{}}, map[string]any{"a": nil}} {
		if jsonobject.Empty(v) {
			t.Errorf("%#v is no value", v)
		}
	}
}

func TestSortedKeys(t *testing.T) {
	obj := jsonobject.Object{"name.givenName": 1, "name": 2, "Name": 3, "urn:a:name": 4, "": 5}
	want := []string{"", "Name", "name", "name.givenName", "urn:a:name"} // a plain name before what reaches into it
	for range 10 {
		if got := jsonobject.SortedKeys(obj, nil); !slices.Equal(got, want) {
			t.Fatalf("%q", got)
		}
	}
	var buf [8]string
	if got := jsonobject.SortedKeys(obj, buf[:0]); &got[0] != &buf[0] {
		t.Error("the buffer is not used")
	}
	if got := jsonobject.SortedKeys(nil, nil); len(got) != 0 {
		t.Errorf("%q", got)
	}
}

func TestClone(t *testing.T) {
	doc := decode(t, bodyEntra)
	c := jsonobject.Clone(doc)
	if !jsonobject.Equal(doc, c) {
		t.Fatal("the copy differs")
	}
	c["name"].(map[string]any)["givenName"] = "X"
	c["emails"].([]any)[0].(map[string]any)["value"] = "X"
	if !jsonobject.Equal(doc, decode(t, bodyEntra)) {
		t.Error("writing into the copy changed the document")
	}
	if got := jsonobject.Clone[any](nil); got != nil {
		t.Errorf("Clone(nil) = %v", got)
	}
	if got := jsonobject.Clone([]any(nil)); got != nil {
		t.Errorf("Clone of a nil list = %#v", got)
	}
	if got := jsonobject.Clone(map[string]any(nil)); got != nil {
		t.Errorf("Clone of a nil object = %#v", got)
	}
	if got := jsonobject.Clone("a"); got != "a" {
		t.Errorf("Clone of text = %q", got)
	}
}

// scribble writes into every part of a value.
func scribble(v any) {
	switch t := v.(type) {
	case map[string]any:
		for _, e := range t {
			scribble(e)
		}
		t["scribbled"] = true
	case []any:
		for i := range t {
			scribble(t[i])
			t[i] = "scribbled"
		}
	}
}

// TestClone_Any checks that a copy is equal, and that nothing written into it reaches the original.
func TestClone_Any(t *testing.T) {
	value := anyValue()
	rapid.Check(t, func(t *rapid.T) {
		v := value.Draw(t, "value")
		before, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		c := jsonobject.Clone(v)
		if diff := cmp.Diff(v, c); diff != "" {
			t.Fatalf("the copy differs:\n%s", diff)
		}
		scribble(c)
		if after, err := json.Marshal(v); err != nil || string(after) != string(before) {
			t.Fatalf("the original was changed: %s, %v", after, err)
		}
	})
}

// TestEqual_Any checks that Equal is an equivalence that agrees with the text encoding/json writes.
func TestEqual_Any(t *testing.T) {
	value := anyValue()
	rapid.Check(t, func(t *rapid.T) {
		a, b := value.Draw(t, "a"), value.Draw(t, "b")
		x, errX := json.Marshal(a) // names in order
		y, errY := json.Marshal(b)
		if errX != nil || errY != nil {
			t.Fatal(errX, errY)
		}
		if got := jsonobject.Equal(a, b); got != (string(x) == string(y)) || got != jsonobject.Equal(b, a) {
			t.Fatalf("Equal(%s, %s) = %v", x, y, got)
		}
		if !jsonobject.Equal(a, jsonobject.Clone(a)) {
			t.Fatalf("%s differs from its copy", x)
		}
	})
}

func TestDescribe(t *testing.T) {
	long := strings.Repeat("ä", 40)
	for _, tc := range []struct {
		v    any
		want string
	}{
		{nil, "null"},
		{"", `the string ""`},
		{`say "hi"`, `the string "say \"hi\""`},
		{"a\nb", `the string "a\nb"`},
		{long, `the string "` + long + `"`},
		{long + "x", `the string "` + long + `…"`},
		{true, "the boolean true"},
		{false, "the boolean false"},
		{json.Number("1.50"), "the number 1.50"},
		{[]any{1}, "a list"},
		{map[string]any{}, "an object"},
		{1, "int"}, // a program's mistake, which no body can make
	} {
		if got := jsonobject.Describe(tc.v); got != tc.want {
			t.Errorf("Describe(%#v) = %s, want %s", tc.v, got, tc.want)
		}
	}
}

func TestEqual(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want bool
	}{
		{`{"a":1,"b":[1,{"c":null}]}`, `{"b":[1,{"c":null}],"a":1}`, true},
		{`{"a":1}`, `{"a":1.0}`, false},
		{`{"a":"1"}`, `{"a":1}`, false},
		{`{"a":[1,2]}`, `{"a":[2,1]}`, false},
		{`{"a":[1]}`, `{"a":[1,1]}`, false},
		{`{"a":null}`, `{}`, false},
		{`{"a":null}`, `{"b":null}`, false},
		{`{"a":{}}`, `{"a":[]}`, false},
		{`{"a":"x"}`, `{"a":{}}`, false},
		{`{"a":[]}`, `{"a":"x"}`, false},
	} {
		if got := jsonobject.Equal(decode(t, tc.a), decode(t, tc.b)); got != tc.want {
			t.Errorf("Equal(%s, %s) = %v", tc.a, tc.b, got)
		}
	}
	if !jsonobject.Equal([]string{"a"}, []string{"a"}) || jsonobject.Equal([]string{"a"}, []any{"a"}) || jsonobject.Equal("a", []string{"a"}) {
		t.Error("lists of Go strings")
	}
}
