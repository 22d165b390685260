package match

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// keyOf returns the key of a DN; empty if it is none.
func keyOf(s string) string {
	attrs, ok := parseDN(nil, s)
	if !ok {
		return ""
	}
	return string(appendKey(nil, attrs))
}

// Reading plain forms without the library must agree with reading them with it.
func TestPlainDN_AgreesWithTheParser(t *testing.T) {
	plain := 0
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(
			rapid.StringMatching(`[a-zA-Z][a-z0-9-]{0,3}=[a-zA-Z0-9][a-zA-Z0-9 _.-]{0,4}(,[a-z]{1,3}=[A-Z0-9 =+_.-]{1,4}){0,2}`),
			rapid.StringMatching(`[a-zA-C0-9=,+ ;\\#"._-]{0,24}`),
		).Draw(t, "dn")
		if !plainDN(s) {
			return
		}
		plain++
		long, ok := parseFullDN(nil, s)
		if !ok {
			t.Fatalf("%q is plain, but no DN", s)
		}
		short := splitPlainDN(nil, s)
		same := func(a, b attribute) bool { return Fold(a.typ) == b.typ && a.value == b.value && a.joined == b.joined }
		if !slices.EqualFunc(short, long, same) {
			t.Fatalf("%q is %v the short way and %v the long way", s, short, long)
		}
	})
	if plain < 10 {
		t.Errorf("only %d of the names were plain: the test shows nothing", plain)
	}
}

func TestPlainDN(t *testing.T) {
	for s, want := range map[string]bool{
		"cn=a":                             true,
		"CN=Web Team,OU=Groups,DC=example": true,
		"cn=a.b_c-d 1,o=x":                 true,
		"c2=a":                             true,
		"cn=1":                             true,
		"":                                 false,
		"cn":                               false,
		"cn=":                              false,
		"=a":                               false,
		"2.5.4.3=a":                        false, // an OID is left to the parser
		"cn=a, ou=b":                       false,
		"cn=a,":                            false,
		"cn= a":                            false,
		"cn=a ":                            false,
		"cn=a  b":                          false,
		"cn=a ,ou=b":                       false,
		"cn=a+uid=b":                       false,
		"cn=a=b":                           false,
		`cn=a\2C`:                          false,
		"cn=ä":                             false,
		"c n=a":                            false,
	} {
		if got := plainDN(s); got != want {
			t.Errorf("plainDN(%q) = %v", s, got)
		}
	}
}

func TestKey_Examples(t *testing.T) {
	for s, want := range map[string]string{
		"CN=Web  Team, OU=Groups":     "cn=web team,ou=groups",
		"uid=1+cn=a":                  "cn=a+uid=1",
		`cn=a\2Cou=b`:                 `cn=a\,ou=b`,
		`cn=a\+b`:                     `cn=a\+b`,
		`cn=a\\b`:                     `cn=a\\b`,
		`cn=\20a\20`:                  "cn=a", // escaped spaces at the ends do not count either
		"2.5.4.3=A":                   "2.5.4.3=a",
		"cn=#040141":                  "cn=a",
		"cn=Größe":                    "cn=gr\u00d6\u00dfe",
		`cn=\c3\a4`:                   "cn=\u00c4",
		"cn=a=b":                      "cn=a=b",
		"cn = a , ou = b":             "cn=a,ou=b",
		"OU=b+OU=A,dc=x":              "ou=a+ou=b,dc=x",
		"cn=A,DC=example,DC=com":      "cn=a,dc=example,dc=com",
		`cn=a\,b+sn=c\+d,o=e\\`:       `cn=a\,b+sn=c\+d,o=e\\`,
		`CN=Matomo (Admins)\, EU,O=x`: `cn=matomo (admins)\, eu,o=x`,
	} {
		if got := keyOf(s); got != want {
			t.Errorf("key of %s = %q, want %q", s, got, want)
		}
	}
}

func TestKey_DifferentNamesHaveDifferentKeys(t *testing.T) {
	seen := map[string]string{}
	for _, s := range []string{
		`cn=a`, `cn=a,cn=b`, `cn=a\,cn=b`, `cn=a+cn=b`, `cn=a\+cn=b`, `cn=a\\,cn=b`, `cn=a\\\,cn=b`, `cn=`, `cn=a,cn=`, `2.5.4.3=a`,
		`cn=a\00`, `cn=\ff`, `cn=\fe`, `cn=#300304016a`, `cn=#300304016b`, `uid=a`, `cn=b,cn=a`, `cn=a b`, `cn=ab`, `cn=a\09b`,
	} {
		key := keyOf(s)
		if key == "" {
			t.Errorf("%q is no DN", s)
		}
		if other, ok := seen[key]; ok {
			t.Errorf("%q and %q share the key %q", s, other, key)
		}
		seen[key] = s
	}
}

// escaped writes a value as RFC 4514 wants it, with more escapes than needed
// where the test asks for them.
func escaped(t *rapid.T, value string) string {
	var b strings.Builder
	for i := range len(value) {
		c := value[i]
		special := strings.IndexByte(` ,+"\<>;#=`, c) >= 0
		switch {
		case c < ' ' || c > '~' || rapid.IntRange(0, 4).Draw(t, "hex") == 0:
			_, _ = fmt.Fprintf(&b, `\%02x`, c)
		case special:
			b.WriteString(`\` + string(c))
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// A name has one key, however it is escaped, spaced and spelled.
func TestKey_DoesNotDependOnTheWriting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var first, second []string
		for i := range rapid.IntRange(1, 3).Draw(t, "parts") {
			typ := rapid.SampledFrom([]string{"cn", "ou", "2.5.4.3", "x-y"}).Draw(t, "type")
			value := rapid.StringMatching(`[a-zäß,+"\\<>;#=]{1,3}( [a-z,]{1,2})?`).Draw(t, fmt.Sprint("value", i))
			first = append(first, typ+"="+escaped(t, value))
			second = append(second, " "+strings.ToUpper(typ)+" = "+escaped(t, strings.ToUpper(strings.ReplaceAll(value, "ß", "ẞ")))+" ")
		}
		a, b := strings.Join(first, ","), strings.Join(second, ",")
		if keyOf(a) == "" || keyOf(a) != keyOf(b) {
			t.Fatalf("%s has the key %q, %s has %q", a, keyOf(a), b, keyOf(b))
		}
	})
}

// A key is itself a DN with this key, as long as its values need no escapes that
// a key leaves out.
func TestKey_OfAKeyIsTheKey(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var parts []string
		for range rapid.IntRange(1, 3).Draw(t, "parts") {
			parts = append(parts, rapid.SampledFrom([]string{"CN=", "ou= ", "uid=1+cn="}).Draw(t, "type")+escaped(t, rapid.StringMatching(`[A-Zaä,+\\]{1,4}`).Draw(t, "value")))
		}
		key := keyOf(strings.Join(parts, ","))
		if key == "" || keyOf(key) != key {
			t.Fatalf("%q has the key %q, and that %q", parts, key, keyOf(key))
		}
	})
}

func TestParseDN_Refuses(t *testing.T) {
	for _, s := range []string{
		"", "a", "=", "=b", "a=b,", ",a=b", "a=b,c", "a b=c", "1=c", "1.=c", ".1=c", "1..2=c", "ä=c", "a=b;c=d", `a=b\`, `a=b\zz`, `a="b"`,
		"a=b<c", "a=#zz", "a=#04", "a=#04ffff", "a=b+", "{x}=a", "=a=b", "a=b,=c=d", "a=b+=c=d", `\63n=a`, "a=b, ,c=d", "-a=b", "a_b=c",
	} {
		if attrs, ok := parseDN(nil, s); ok {
			t.Errorf("%q is read as %v", s, attrs)
		}
	}
}

func TestParseDN_AppendsAndFillsTheBuffer(t *testing.T) {
	before := []attribute{{typ: "kept"}}
	for _, s := range []string{"cn=a,ou=b", "cn=a, ou=b"} {
		attrs, ok := parseDN(before, s)
		if !ok || len(attrs) != 3 || attrs[0].typ != "kept" || attrs[2].value != "b" {
			t.Errorf("%s: %v", s, attrs)
		}
	}
}

func TestDNTemplate_Match(t *testing.T) {
	for _, tc := range []struct{ key, name, want string }{
		{"cn={a},ou=groups", "CN=Web,OU=Groups", "a=Web"},
		{"cn={a},ou=groups", "cn=web, ou=groups", "a=web"},
		{"cn={a},ou=groups", `cn=x\,ou=y,ou=groups`, "a=x,ou=y"}, // one value, and stays in it
		{"cn={a},ou=groups", "cn=x,ou=y,ou=groups", ""},
		{"cn={a},ou=groups", "cn=web,ou=other", ""},
		{"cn={a},ou=groups", "cn=web", ""},
		{"cn={a},ou=groups", "uid=web,ou=groups", ""},
		{"cn={a},ou=groups", "cn=web+uid=1,ou=groups", ""},
		{"cn={a},ou=groups", "cn=,ou=groups", ""},
		{"cn={a},ou=groups", "web", ""},
		{"CN=t-{a}-{b},OU=G", "cn=T-1-view,ou=g", "a=1 b=view"},
		{"cn=t-{a}-{b},ou=g", `cn=t\2d1\2dview,ou=g`, "a=1 b=view"},
		{"cn=t-{a},ou={b}", "cn=t-1,ou=x y", "a=1 b=x y"},
		{"uid={u}+cn=a,ou=g", "cn=A+uid=7,ou=g", "u=7"},
		{"uid={u}+cn=a,ou=g", "uid=7,ou=g", ""},
		{"uid={u}+cn=a,ou=g", "cn=a,uid=7,ou=g", ""}, // two parts are not one part of two
		{"cn=a,uid={u},ou=g", "cn=a+uid=7,ou=g", ""},
		{"cn={a},ou=g", "cn=#040141,ou=g", "a=A"},
		{"cn={{a}},ou=g", "cn={x},ou=g", "a=x"}, // braces around are text
		{"cn={a}x{B},ou=g", "cn=1x{b},ou=g", "a=1"},
	} {
		key, err := ParseKey(tc.key, false)
		if err != nil || key.form != formDNTemplate {
			t.Fatalf("%s: %+v, %v", tc.key, key, err)
		}
		attrs, _ := parseDN(nil, tc.name)
		c, ok := key.dn.match(attrs)
		if got := show(c); ok != (tc.want != "") || ok && got != tc.want {
			t.Errorf("%s over %s: %q, want %q", tc.key, tc.name, got, tc.want)
		}
	}
}

func TestDNTemplate_Errors(t *testing.T) {
	for key, want := range map[string]string{
		"{a}=b,dc=x":             "inside a value",
		"cn=a+{x}=b":             "inside a value",
		"cn={a}+cn=b,dc=x":       "one attribute type twice",
		"cn={a}\ufdd0,dc=x":      "",
		"cn={a},dc=x\ufdd0":      "",
		`cn={a}\ef\b7\90,dc=x`:   "cannot stand beside a variable", // U+FDD0 in escapes
		"cn={a},dc={a}":          "occurs twice",
		"cn={a}{b},dc=x":         "directly",
		"cn=x-{a},ou={b}+ou={c}": "one attribute type twice",
	} {
		key, err := ParseKey(key, false)
		if want == "" {
			continue // BadRune refuses it before
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", key, err, want)
		}
	}
}

func FuzzParseDN(f *testing.F) {
	for _, s := range []string{"cn=a,ou=b", "CN=a + uid=1, OU=b", `cn=\2c\,x`, "cn=#040141", "2.5.4.3=x", "=,+", "cn=a;b=c", "cn={a},ou=b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		attrs, ok := parseDN(nil, s)
		if !ok {
			return
		}
		if len(attrs) == 0 || attrs[0].joined {
			t.Fatalf("%q is read as %v", s, attrs)
		}
		for _, a := range attrs {
			if !isAttributeType(Fold(a.typ)) || strings.HasPrefix(a.value, " ") || strings.Contains(a.value, "  ") {
				t.Fatalf("%q has the attribute %q=%q", s, a.typ, a.value)
			}
		}
		// Keys are equal for texts that differ in the letter case of ASCII only.
		upper := strings.Map(func(r rune) rune {
			if 'a' <= r && r <= 'z' {
				return r - ('a' - 'A')
			}
			return r
		}, s)
		if other, ok := parseDN(nil, upper); ok && upper == strings.ToUpper(s) && !strings.Contains(s, "#") && string(appendKey(nil, other)) != string(appendKey(nil, attrs)) {
			t.Fatalf("%q and %q have different keys", s, upper)
		}
	})
}
