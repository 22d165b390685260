package config

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// brief is what a test says about a problem: place, key and message.
func brief(ps Problems) []string {
	var out []string
	for _, p := range ps {
		out = append(out, fmt.Sprintf("%d:%d %s: %s", p.Line, p.Col, p.Key, p.Msg))
	}
	return out
}

// wrong parses text that has to be refused and returns what is wrong with it.
func wrong(t *testing.T, text string) Problems {
	t.Helper()
	_, err := Parse("f", []byte(text))
	if err == nil {
		t.Fatal("accepted")
	}
	return problemsOf(t, err)
}

func TestDecode_Refuses(t *testing.T) {
	for name, tc := range map[string]struct {
		text string // after minimal, which has 8 lines
		want []string
		hint string
	}{
		"unknown key at the top": {
			"colour: red",
			[]string{"9:1 colour: unknown key"},
			"known here: listen, scim, log, database, sources, schemas, targets, mapping, guards, reconcile, audit",
		},
		"misspelt key": {
			"guards: {max_superuser: 3}",
			[]string{"9:10 guards.max_superuser: unknown key"},
			"did you mean max_superusers?",
		},
		"letters swapped": {
			"lsiten: {scim: ':1'}",
			[]string{"9:1 lsiten: unknown key"},
			"did you mean listen?",
		},
		"dash for underscore": {
			"reconcile: {full-compare: 1h}",
			[]string{"9:13 reconcile.full-compare: unknown key"},
			"did you mean full_compare?",
		},
		"key at the wrong level": {
			"max_superusers: 3",
			[]string{"9:1 max_superusers: unknown key here"},
			"it belongs to guards.max_superusers",
		},
		"key with several homes": {
			"name: x",
			[]string{"9:1 name: unknown key here"},
			"it belongs to sources[].name or schemas[].name or schemas[].attributes[].name or schemas[].attributes[].sub_attributes[].name or targets[].name or targets[].tokens.database.name",
		},
		"key of a later version": {
			"listen: {quic: {}}",
			[]string{"9:10 listen.quic: unknown key"},
			"known here: scim, tls, monitor_token_file, monitor_token_env, metrics, drain, trusted_proxies, public_discovery, wrong_tokens_per_minute",
		},
		"merge key": {
			"guards: {<<: {}}",
			[]string{"9:10 guards.<<: unknown key"},
			"known here: max_superusers, min_superusers, superuser_sources",
		},
		"duplicate at the top": {
			"log: {}\nlog: {}",
			[]string{"10:1 log: this key is already on line 9"},
			"keep one of the two",
		},
		"duplicate below": {
			"log:\n  level: info\n  level: warn",
			[]string{"11:3 log.level: this key is already on line 10"},
			"keep one of the two",
		},
		"list for keys": {
			"log: [a]",
			[]string{"9:6 log: must be keys and values, like format, level"},
			"",
		},
		"text for keys": {
			"log: json",
			[]string{"9:6 log: must be keys and values, like format, level"},
			"",
		},
		"text for a list": {
			"guards: {superuser_sources: scim}",
			[]string{"9:29 guards.superuser_sources: must be a list, like [a, b] or lines that start with a dash"},
			"",
		},
		"list for text": {
			"database: {url: [a]}",
			[]string{"9:17 database.url: must be a single value"},
			"",
		},
		"number for text": {
			"database: {url: 12}",
			[]string{"9:17 database.url: must be text"},
			`put it in quotes: "12"`,
		},
		"truth for text": {
			"log: {level: true}",
			[]string{"9:14 log.level: must be text"},
			`put it in quotes: "true"`,
		},
		"text for a number": {
			"guards: {max_superusers: many}",
			[]string{"9:26 guards.max_superusers: must be a whole number"},
			"",
		},
		"fraction for a number": {
			"guards: {max_superusers: 1.5}",
			[]string{"9:26 guards.max_superusers: must be a whole number"},
			"",
		},
		"quoted number": {
			"guards: {max_superusers: '3'}",
			[]string{"9:26 guards.max_superusers: must be a whole number"},
			"",
		},
		"number beyond all bounds": {
			"guards: {max_superusers: 99999999999}",
			[]string{"9:26 guards.max_superusers: must be a whole number"},
			"",
		},
		"yes for true": {
			"sources: [{name: scim, lifecycle: yes}]",
			[]string{"9:35 sources[0].lifecycle: must be true or false"},
			"",
		},
		"quoted true": {
			"sources: [{name: scim, lifecycle: 'true'}]",
			[]string{"9:35 sources[0].lifecycle: must be true or false"},
			"",
		},
		"word out of the set": {
			"log: {level: warning}",
			[]string{`9:14 log.level: "warning" is not known here`},
			"use one of: debug, info, warn, error",
		},
		"word nearly in the set": {
			"log: {format: jsn}",
			[]string{`9:15 log.format: "jsn" is not known here`},
			"did you mean json? (one of: auto, json, console)",
		},
		"word in a list": {
			"mapping_: 1\nsources: [{name: scim, profile: okta}]",
			[]string{"9:1 mapping_: unknown key", `10:33 sources[0].profile: "okta" is not known here`},
			"did you mean mapping?",
		},
		"duration without unit": {
			"reconcile: {settle: 10}",
			[]string{"9:21 reconcile.settle: a duration needs a unit"},
			"write 10s, 15m, 720h or 30d",
		},
		"negative duration": {
			"reconcile: {settle: -1s}",
			[]string{"9:21 reconcile.settle: a duration cannot be negative"},
			"write 10s, 15m, 720h or 30d",
		},
		"no duration": {
			"reconcile: {settle: soon}",
			[]string{"9:21 reconcile.settle: this is not a duration"},
			"write 10s, 15m, 720h or 30d",
		},
		"never where it is not": {
			"reconcile: {settle: never}",
			[]string{"9:21 reconcile.settle: this is not a duration"},
			"write 10s, 15m, 720h or 30d",
		},
		"anchor": {
			"log: &a {level: info}",
			[]string{"9:6 log: anchors and aliases are not supported"},
			"write the value out at each place",
		},
		"alias": {
			"log: {level: &a info, format: *a}",
			[]string{"9:14 log.level: anchors and aliases are not supported", "9:31 log.format: anchors and aliases are not supported"},
			"write the value out at each place",
		},
		"key that is no word": {
			"? [a, b]\n: 1",
			[]string{"9:3 : a key must be a plain word"},
			"",
		},
		"empty list entry": {
			"sources:\n  - name: scim\n  -\n",
			[]string{"11:4 sources[1]: this list entry is empty"},
			"fill it in, or remove it",
		},
		"second document": {
			"---\nlog: {}",
			[]string{"9:1 : a second document starts here"},
			"keep one document a file and remove the --- line",
		},
	} {
		t.Run(name, func(t *testing.T) {
			ps := wrong(t, strings.TrimPrefix(minimal, "\n")+"# eighth line\n"+tc.text+"\n")
			if diff := cmp.Diff(tc.want, brief(ps)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			if ps[0].Hint != tc.hint {
				t.Errorf("hint = %q, want %q", ps[0].Hint, tc.hint)
			}
		})
	}
}

// One run shows everything: nobody should have to start the bridge ten times.
func TestDecode_ReportsEverythingAtOnce(t *testing.T) {
	const text = `listen: {scim: 8080}
log: {lvel: info}
targets:
  - name: main
    ulr: https://matomo.example.com/
    mode: enforced
    requests_per_minute: lots
    leavers:
      delete_after: 30
mapping:
  files: mapping.ini
  login_replace: [a]
reconcile: {settle: 2h}
guards: {superuser_sources: [okta]}
`
	want := []string{
		"1:16 listen.scim: must be text",
		"2:7 log.lvel: unknown key",
		"4:5 targets[0].login: the login is missing",
		"4:5 targets[0].token_file: the token is missing",
		"5:5 targets[0].ulr: unknown key",
		`6:11 targets[0].mode: "enforced" is not known here`,
		"7:26 targets[0].requests_per_minute: must be a whole number",
		"9:21 targets[0].leavers.delete_after: a duration needs a unit",
		"11:10 mapping.files: must be a list, like [a, b] or lines that start with a dash",
		`12:18 mapping.login_replace: must be pairs, like {"from": "to"}`,
		"13:21 reconcile.settle: 2h is out of range",
		`14:30 guards.superuser_sources[0]: there is no source "okta"`,
	}
	if diff := cmp.Diff(want, brief(wrong(t, text))); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

func TestDecode_NoYAML(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"tab": {
			"log:\n\tlevel: info\n",
			"2:1 : a tab stands before the text",
		},
		"tab after spaces": {
			"targets:\n  - name: main\n  \turl: x\n",
			"3:3 : a tab stands before the text",
		},
		"a sign that means something": {
			"log: @x",
			"1:1 : this is not YAML: found character that cannot start any token",
		},
		"open bracket": {
			"log: [",
			"1:1 : this is not YAML: did not find expected node content",
		},
		"not UTF-8": {"a: b\nc: \xff", "2:1 : this is not UTF-8 text"},
		"UTF-16":    {"\xff\xfel\x00", "1:1 : this is not UTF-8 text"},
		"control": {
			"a: \x01",
			"1:1 : this is not YAML: control characters are not allowed",
		},
		"a word": {
			"nonsense",
			"1:1 : must be keys and values, like listen, scim, log, database, sources, schemas, targets, mapping, guards, reconcile, audit",
		},
		"a list": {
			"- a\n- b",
			"1:1 : must be keys and values, like listen, scim, log, database, sources, schemas, targets, mapping, guards, reconcile, audit",
		},
		"unknown anchor": {"a: *b", "1:1 : this is not YAML: unknown anchor 'b' referenced"},
	} {
		t.Run(name, func(t *testing.T) {
			got := brief(wrong(t, tc.text))
			if diff := cmp.Diff([]string{tc.want}, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecode_EmptyFileMissesWhatIsRequired(t *testing.T) {
	want := []string{
		"1:1 targets: there is no Matomo to manage",
		"1:1 mapping.files: there is no rule file",
	}
	for _, text := range []string{"", "# only a comment\n", "---\n", "targets:\nmapping: ~\n"} {
		got := brief(wrong(t, text))
		for i := range got {
			_, rest, _ := strings.Cut(got[i], " ")
			got[i] = "1:1 " + rest // a key that is there but empty has its own place
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}

// A key with nothing behind it is what a template leaves; it means the default.
func TestDecode_EmptyValueIsTheDefault(t *testing.T) {
	c, err := Parse("f", []byte(minimal+"log: {level: , format: ~}\nguards:\nreconcile: {settle: null}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if c.Log != (Log{LogAuto, LevelInfo}) || c.Guards.MaxSuperusers != 3 || c.Reconcile.Settle != 10*time.Second {
		t.Errorf("got %+v %+v %+v, want the defaults", c.Log, c.Guards, c.Reconcile)
	}
}

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0s": 0, "10s": 10 * time.Second, "1h30m": 90 * time.Minute, "720h": 720 * time.Hour,
		"30d": 720 * time.Hour, "1d12h": 36 * time.Hour, "0d": 0,
	} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"":        "this is not a duration",
		"10":      "a duration needs a unit",
		"1.5":     "a duration needs a unit",
		"-5m":     "a duration cannot be negative",
		"1d-36h":  "a duration cannot be negative",
		"d":       "this is not a duration",
		"12h1d":   "this is not a duration",
		"1d1d":    "this is not a duration",
		"36501d":  "that is more than a hundred years",
		"999999d": "that is more than a hundred years",
		"1w":      "this is not a duration",
	} {
		if got, err := ParseDuration(text); err == nil || err.Error() != want {
			t.Errorf("ParseDuration(%q) = %v, %v; want error %q", text, got, err, want)
		}
	}
}

func TestDecode_DeleteAfter(t *testing.T) {
	at := func(v string) string {
		return strings.Replace(minimal, "mapping:", "    leavers: {delete_after: "+v+"}\nmapping:", 1)
	}
	c, err := Parse("f", []byte(at("never")))
	if err != nil || c.Targets[0].Leavers.DeleteAfter != 0 {
		t.Errorf("never = %+v, %v; want 0", c, err)
	}
	for _, zero := range []string{"0s", "0d"} {
		ps := wrong(t, at(zero))
		if want := `0 is unclear here: write "never", or a duration above 0`; ps[0].Msg != want {
			t.Errorf("%s: %q, want %q", zero, ps[0].Msg, want)
		}
	}
}
