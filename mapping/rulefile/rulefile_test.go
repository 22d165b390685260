package rulefile_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/mapping/rulefile"
)

// lines puts rules into a section.
func lines(rules ...string) string {
	return "[RoleMapping]\n" + strings.Join(rules, "\n") + "\n"
}

// read reads one file and returns what is wrong as "line:col: message".
func read(name, text string) ([]rulefile.Rule, []rulefile.Stray, []string) {
	errs := &rulefile.Errors{}
	rules, strays := rulefile.Read(errs, rulefile.File{Name: name, Data: []byte(text)})
	var out []string
	if list, ok := errors.AsType[*rulefile.ErrorList](errs.Err()); ok {
		for _, e := range list.Errors {
			out = append(out, strings.TrimPrefix(e.Error(), name+":"))
		}
	}
	return rules, strays, out
}

// mustRead reads a file that has to be in order.
func mustRead(t testing.TB, name, text string) []rulefile.Rule {
	t.Helper()
	rules, _, errs := read(name, text)
	if len(errs) > 0 {
		t.Fatalf("%q, for\n%s", errs, text)
	}
	return rules
}

// summary writes a rule as "line kind@source[text] grant|grant", quoted keys with
// their quotes.
func summary(r rulefile.Rule) string {
	grants := make([]string, len(r.Grants))
	for i, g := range r.Grants {
		grants[i] = g.Grant.String()
	}
	text := r.Text
	if r.Quoted {
		text = `"` + text + `"`
	}
	if r.Source != "" {
		r.Kind += "@" + r.Source
	}
	return fmt.Sprintf("%d %s[%s] %s", r.Line, r.Kind, text, strings.Join(grants, "|"))
}

func summaries(rules []rulefile.Rule) []string {
	out := make([]string, len(rules))
	for i, r := range rules {
		out[i] = summary(r)
	}
	return out
}

// wantErrors asserts that each text has exactly one error, at the place and with
// the words that stand beside it.
func wantErrors(t *testing.T, name string, texts map[string]string) {
	t.Helper()
	for text, want := range texts {
		at, msg, _ := strings.Cut(want, " ")
		_, _, got := read(name, text)
		if len(got) != 1 || !strings.HasPrefix(got[0], at) || !strings.Contains(got[0], msg) {
			t.Errorf("errors = %q, want one at %s with %q, for\n%s", got, at, msg, text)
		}
	}
}

func TestRead_FormByTheName(t *testing.T) {
	const ini, yaml = "[RoleMapping]\ngroup[a] = superuser", "rules: [{group: a, grants: [superuser]}]"
	for name, text := range map[string]string{"a.ini": ini, "config.ini.php": ini, "rules": ini, "a.yaml.bak": ini, "a.yaml": yaml, "A.YML": yaml, "dir.ini/a.Yaml": yaml} {
		if rules := mustRead(t, name, text); len(rules) != 1 || rules[0].File != name {
			t.Errorf("%s: %+v", name, rules)
		}
	}
}

func TestRead_NoRuleIsAnErrorUnlessThereIsAnother(t *testing.T) {
	for name, texts := range map[string][]string{"a.ini": {"", "; x\n", "[mail]\ngroup[a] = x"}, "a.yaml": {"", "# x", "rules: []", "{}"}} {
		for _, text := range texts {
			if _, _, errs := read(name, text); len(errs) != 1 || !strings.Contains(errs[0], "no rule in this file") {
				t.Errorf("%q: %q", text, errs)
			}
		}
	}
	if _, _, errs := read("a.ini", lines("x")); len(errs) != 1 || strings.Contains(errs[0], "no rule in this file") {
		t.Errorf("errors = %q", errs)
	}
}

// Every name can be written as a key: in double quotes, with quotes inside
// doubled, it stands for itself in both forms.
func TestRead_EveryNameCanBeQuoted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.OneOf(
			rapid.StringMatching(`[ -~]{1,12}`),
			rapid.StringMatching(`["\]\[={};x ]{1,6}`),
			rapid.StringMatching(`[ -~äßЖ日]{1,8}`),
		).Draw(t, "name")
		key := `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
		for file, text := range map[string]string{
			"m.ini":  lines("group[" + key + "] = superuser"),
			"m.yaml": "rules:\n- {group: " + strconv.Quote(key) + ", grants: [superuser]}",
		} {
			rules, _, errs := read(file, text)
			if len(errs) > 0 || len(rules) != 1 || rules[0].Text != name || !rules[0].Quoted || rules[0].Key != key {
				t.Fatalf("%s: %q is read as %+v (%q)", file, name, rules, errs)
			}
		}
	})
}

// Names without quotes and brackets need none, but for blanks around them.
func TestRead_MostNamesNeedNoQuotes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[!#-Z^-~ä]([ !#-Z^-~ä]{0,8}[!#-Z^-~ä])?`).Draw(t, "name")
		rules, _, errs := read("m.ini", lines("group[ "+name+" ] = superuser"))
		if len(errs) > 0 || len(rules) != 1 || rules[0].Text != name || rules[0].Quoted {
			t.Fatalf("%q is read as %+v (%q)", name, rules, errs)
		}
	})
}

func TestSorted(t *testing.T) {
	files := []rulefile.File{{Name: "b"}, {Name: "a", Data: []byte("1")}, {Name: "a", Data: []byte("2")}}
	var got []string
	for _, f := range rulefile.Sorted(files) {
		got = append(got, f.Name+string(f.Data))
	}
	if diff := cmp.Diff([]string{"a1", "a2", "b"}, got); diff != "" {
		t.Error(diff)
	}
	if files[0].Name != "b" {
		t.Error("the caller's list was sorted")
	}
}

func TestErrors_AreInOrderOfFileAndPlace(t *testing.T) {
	errs := &rulefile.Errors{}
	if errs.Err() != nil || errs.Len() != 0 {
		t.Errorf("no error is %v", errs.Err())
	}
	errs.Add("b", rulefile.Position{Line: 1, Col: 1}, "five")
	errs.Add("a", rulefile.Position{Line: 10, Col: 2}, "four")
	errs.Add("a", rulefile.Position{Line: 9, Col: 9}, "two")
	errs.Add("a", rulefile.Position{Line: 10, Col: 1}, "th%s", "ree")
	errs.Add("", rulefile.Position{}, "one")
	if errs.Len() != 5 {
		t.Errorf("%d errors", errs.Len())
	}
	want := "one\na:9:9: two\na:10:1: three\na:10:2: four\nb:1:1: five"
	if got := errs.Err().Error(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	var first rulefile.Error
	if !errors.As(errs.Err(), &first) || first.Msg != "one" {
		t.Errorf("first = %+v", first)
	}
}

func TestError_NamesWhatIsKnownOfThePlace(t *testing.T) {
	for want, e := range map[string]rulefile.Error{
		"m":        {Msg: "m"},
		"f: m":     {File: "f", Msg: "m"},
		"f:2:3: m": {File: "f", Line: 2, Col: 3, Msg: "m"},
	} {
		if got := e.Error(); got != want {
			t.Errorf("%+v is %q, want %q", e, got, want)
		}
	}
}

// checkPlaces fails if an error lies outside its file, and otherwise that what
// was read survives storage.
func checkPlaces(t *testing.T, name string, data []byte) {
	t.Helper()
	file := rulefile.File{Name: name, Data: data}
	errs := &rulefile.Errors{}
	rules, _ := rulefile.Read(errs, file)
	text := strings.Split(strings.TrimPrefix(string(data), "\ufeff"), "\n")
	inside := func(p rulefile.Position) bool {
		return 1 <= p.Line && p.Line <= len(text) && 1 <= p.Col && (name != "f.ini" || p.Col <= utf8.RuneCountInString(text[p.Line-1])+1)
	}
	if list, ok := errors.AsType[*rulefile.ErrorList](errs.Err()); ok {
		for _, e := range list.Errors {
			if e.File != name || e.Msg == "" || !inside(rulefile.Position{Line: e.Line, Col: e.Col}) {
				t.Fatalf("error outside the file of %d lines: %v", len(text), e)
			}
		}
		return
	}
	if len(rules) == 0 {
		t.Fatal("no rules and no error")
	}
	for _, r := range rules {
		if !inside(r.KeyAt) || r.Source != "" && !inside(r.SourceAt) || len(r.Grants) == 0 || r.Text == "" || r.Line < 1 || r.Line > len(text) {
			t.Fatalf("rule outside the file, or without parts: %+v", r)
		}
		for _, g := range r.Grants {
			if !inside(g.At) {
				t.Fatalf("grant outside the file: %+v", g)
			}
		}
	}
	checkStored(t, file, rules)
}

// checkStored fails if a file reads as other rules after storing.
func checkStored(t *testing.T, file rulefile.File, rules []rulefile.Rule) {
	t.Helper()
	text, err := rulefile.Marshal([]rulefile.File{file})
	if err != nil {
		t.Fatal(err)
	}
	files, err := rulefile.Unmarshal(text)
	if err != nil {
		t.Fatal(err)
	}
	errs := &rulefile.Errors{}
	again, _ := rulefile.Read(errs, files[0])
	if diff := cmp.Diff(summaries(rules), summaries(again)); errs.Len() > 0 || diff != "" {
		t.Fatalf("stored rules read differently (%v): %s", errs.Err(), diff)
	}
	if rulefile.Hash(files) != rulefile.Hash([]rulefile.File{file}) {
		t.Fatal("the hash changed on the way")
	}
}

func FuzzReadINI(f *testing.F) {
	for _, seed := range []string{
		configINI, "", "\ufeff[RoleMapping]\ngroup[a]=superuser", "[x", "group[", lines("group[ä\xff] = superuser"),
		lines(`group["a""b"] = "site:name='x''y"":':view+a+b until 2027-01-01T00:00:00+02:00" ; c`),
		lines(`user@okta[(a=\28*)] = site:group={x}:{y}`), lines("group[cn={a}+uid={b},dc=#0401ff] = site:{a}:{b}"),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) { checkPlaces(t, "f.ini", data) })
}

func FuzzReadYAML(f *testing.F) {
	for _, seed := range []string{
		"rules:\n- {group: a, source: okta, grants: [superuser]}\n", "", "rules: [{group: a, grants: [superuser]}]\n---\n",
		"rules:\n- &a {group: a}\n- *a\n- <<: *a", "? [", "!!binary x", "%TAG ! x\n---\n\"\\", "rules: [{user: \"(a=b)\", grants: [!!str 1, |\n  x\n]}]",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) { checkPlaces(t, "f.yaml", data) })
}
