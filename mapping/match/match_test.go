package match

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestParseKey_FormOfTheText(t *testing.T) {
	for text, want := range map[string]form{
		"Matomo-Admins":               formText,
		"":                            formText,
		"a=b,c":                       formText, // no RFC 4514 name
		"Team A = B":                  formText,
		"cn=a;ou=b":                   formText,
		"{Site}":                      formText,
		"*":                           formText,
		"cn=a":                        formDN,
		"CN=a, OU=b":                  formDN,
		"a=b":                         formDN,
		"Matomo-{site}-Viewers":       formTemplate,
		"{x}":                         formTemplate,
		"a={x},b":                     formTemplate,
		"cn=team-{site},ou=groups":    formDNTemplate,
		"cn={a}+uid=1,dc=x":           formDNTemplate,
		"CN={brand}, OU=Site {Brand}": formDNTemplate,
	} {
		k, err := ParseKey(text, false)
		if err != nil || k.form != want {
			t.Errorf("%q: form %d, %v, want %d", text, k.form, err, want)
		}
		if exact := want == formText || want == formDN; k.Exact() != exact {
			t.Errorf("%q: Exact = %v", text, k.Exact())
		}
		if templ := !k.Exact(); templ != (len(k.Vars()) > 0) {
			t.Errorf("%q: variables %v", text, k.Vars())
		}
		quoted, err := ParseKey(text, true)
		if err != nil || quoted.form != formText || !quoted.Exact() || quoted.text != Fold(text) {
			t.Errorf("%q in quotes: %+v, %v", text, quoted, err)
		}
	}
}

func TestKey_VarsInOrder(t *testing.T) {
	for text, want := range map[string]string{"{b} {a}": "b a", "cn={x}-{y},ou={z}": "x y z", "cn=a+b={x},o={y}": "x y"} {
		k, err := ParseKey(text, false)
		if got := strings.Join(k.Vars(), " "); err != nil || got != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

// found lists what an index finds, as "number captures".
func found(x *Index, name string) []string {
	var out []string
	x.Each(name, func(id int, c Captures) { out = append(out, strings.TrimSpace(fmt.Sprint(id, " ", show(c)))) })
	return out
}

func TestIndex_FindsEveryForm(t *testing.T) {
	x := &Index{}
	for id, key := range []string{"Web", "WEB", "w{x}", "cn=web,ou=g", "CN=Web, OU=G", "cn={y},ou=g", "cn=w{z},ou={o}", "{all}"} {
		k, err := ParseKey(key, false)
		if err != nil {
			t.Fatal(err)
		}
		x.Add(id, k)
	}
	literal, err := ParseKey("cn=web,ou=g", true)
	if err != nil {
		t.Fatal(err)
	}
	x.Add(8, literal)
	for name, want := range map[string][]string{
		"web":              {"0", "1", "2 x=eb", "7 all=web"},
		"wax":              {"2 x=ax", "7 all=wax"},
		"other":            {"7 all=other"},
		"cn=Web,ou=g":      {"8", "7 all=cn=Web,ou=g", "3", "4", "5 y=Web", "6 z=eb o=g"},
		"CN=web, OU=G":     {"7 all=CN=web, OU=G", "3", "4", "5 y=web", "6 z=eb o=G"},
		"cn=other,ou=g":    {"7 all=cn=other,ou=g", "5 y=other"},
		"cn=web":           {"7 all=cn=web"},
		"cn=web;ou=g":      {"7 all=cn=web;ou=g"},
		"cn=web,ou=g,dc=x": {"7 all=cn=web,ou=g,dc=x"},
		"":                 nil,
	} {
		if diff := cmp.Diff(want, found(x, name)); diff != "" {
			t.Errorf("%q: %s", name, diff)
		}
	}
}

func TestIndex_EmptyFindsNothing(t *testing.T) {
	if got := found(&Index{}, "cn=a"); got != nil {
		t.Errorf("found %v", got)
	}
}

// Asking the index is asking every key.
func TestIndex_IsTheSumOfItsKeys(t *testing.T) {
	keys := []string{"a", "A", "ab", "a{v}", "{v}b", "cn=a", "CN=A,ou=b", "cn={v}", "cn=a{v},ou=b", "cn=a+uid={v}", "ä"}
	names := []string{"a", "AB", "aab", "b", "cn=a", "CN=ab", "cn=a,ou=B", "cn=ab, ou=b", `cn=\61,ou=b`, "uid=7+cn=a", "cn=", "Ä", ""}
	rapid.Check(t, func(t *rapid.T) {
		all := &Index{}
		var single []*Index
		for id, text := range rapid.SliceOfN(rapid.SampledFrom(keys), 1, 6).Draw(t, "keys") {
			k, err := ParseKey(text, false)
			if err != nil {
				t.Fatal(err)
			}
			all.Add(id, k)
			one := &Index{}
			one.Add(id, k)
			single = append(single, one)
		}
		name := rapid.SampledFrom(names).Draw(t, "name")
		var want []string
		for _, x := range single {
			want = append(want, found(x, name)...)
		}
		got := found(all, name)
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%q: %s", name, diff)
		}
	})
}

// Ten thousand people in six groups each are looked up in a moment: a look-up
// that ends in the maps makes no garbage.
func TestIndex_LookUpDoesNotAllocate(t *testing.T) {
	x := &Index{}
	for id, key := range []string{"Matomo-Admins", "cn=web team,ou=groups,dc=example,dc=com", "t-{v}", "cn=t-{v},ou=groups,dc=example,dc=com"} {
		k, err := ParseKey(key, false)
		if err != nil {
			t.Fatal(err)
		}
		x.Add(id, k)
	}
	hits := 0
	for _, name := range []string{"MATOMO-Admins", "CN=Web Team,OU=groups,DC=example,DC=com", "nobody", "cn=nobody,dc=x"} {
		if n := testing.AllocsPerRun(10, func() { x.Each(name, func(int, Captures) { hits++ }) }); n != 0 {
			t.Errorf("%q: %v allocations", name, n)
		}
	}
	if hits != 22 {
		t.Errorf("%d hits, want 11 for each of the first two", hits)
	}
}

func TestIndex_LongNames(t *testing.T) {
	long := strings.Repeat("x", 3*nameBuffer)
	deep := strings.Repeat("ou=a,", 2*partBuffer) + "dc=x"
	x := &Index{}
	for id, key := range []string{long, deep, "{v}-" + long, strings.Replace(deep, "ou=a", "ou={v}", 1)} {
		k, err := ParseKey(key, false)
		if err != nil {
			t.Fatal(err)
		}
		x.Add(id, k)
	}
	for name, want := range map[string]string{strings.ToUpper(long): "0", strings.ToUpper(deep): "1 3 v=A", "q-" + long: "2 v=q"} {
		if got := strings.Join(found(x, name), " "); got != want {
			t.Errorf("%.20q...: %q, want %q", name, got, want)
		}
	}
}

func FuzzParseKey(f *testing.F) {
	for _, s := range []string{"Web", "w{x}", "cn=web,ou=g", "cn={y},ou=g", "{a}{b}", "cn={a}+uid={b}", `cn=\2c{x},dc=y`} {
		f.Add(s, "web")
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, text, name string) {
		if BadRune(text) != "" {
			return
		}
		k, err := ParseKey(text, false)
		if err != nil {
			return
		}
		x := &Index{}
		x.Add(0, k)
		if k.Exact() && len(found(x, text)) != 1 {
			t.Fatalf("the key %q does not match its own text", text)
		}
		x.Each(name, func(_ int, c Captures) {
			if len(c) != len(k.Vars()) {
				t.Fatalf("%q over %q: %v of the variables %v", text, name, c, k.Vars())
			}
			for _, one := range c {
				if one.Value == "" || k.form == formTemplate && !strings.Contains(name, one.Value) {
					t.Fatalf("%q over %q took %v", text, name, c)
				}
			}
		})
	})
}
