package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestProblem_String(t *testing.T) {
	text := strings.Replace(minimal, "url:", "ulr:", 1)
	got := wrong(t, text)[0].String()
	want := `f:4:5: targets[0].ulr: unknown key
   4 |     ulr: https://matomo.example.com/
     |     ^
  did you mean url?`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("problem (-want +got):\n%s", diff)
	}
}

func TestProblem_StringCountsCharacters(t *testing.T) {
	got := wrong(t, minimal+"log: {format: \"jsön\", level: warning}\n")
	want := `f:9:30: log.level: "warning" is not known here
   9 | log: {format: "jsön", level: warning}
     |                              ^
  use one of: debug, info, warn, error`
	if diff := cmp.Diff(want, got[1].String()); diff != "" {
		t.Errorf("problem (-want +got):\n%s", diff)
	}
}

func TestProblems_Error(t *testing.T) {
	ps := Problems{{File: "a", Msg: "one"}, {File: "a", Line: 2, Col: 3, Key: "k", Msg: "two", Hint: "do"}}
	if got, want := ps.Error(), "a: one\na:2:3: k: two\n  do"; got != want {
		t.Errorf("Error = %q, want %q", got, want)
	}
}

// What follows from a problem is not a second problem.
func TestProblems_NoFollowUps(t *testing.T) {
	for name, tc := range map[string]struct{ from, to, want string }{
		"misspelt required key": {"url:", "ulr:", "4:5 targets[0].ulr: unknown key"},
		"required of wrong type": {
			"login: bridge",
			"login: 5",
			"5:12 targets[0].login: must be text",
		},
		"literal token": {
			"token_file: token",
			"token: abcdef",
			"6:5 targets[0].token: secrets do not stand in this file",
		},
		"list of wrong type": {
			"files: [mapping.ini]",
			"files: mapping.ini",
			"8:10 mapping.files: must be a list, like [a, b] or lines that start with a dash",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := brief(wrong(t, strings.Replace(minimal, tc.from, tc.to, 1)))
			if diff := cmp.Diff([]string{tc.want}, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

// People do paste secrets where they do not belong. The message about it goes
// to logs and tickets, so it must not carry the secret along.
func TestProblems_NeverShowSecrets(t *testing.T) {
	const canary = "c4n4ryc4n4ryc4n4ryc4n4ryc4n4ryc4"
	const token = "0123456789abcdef0123456789abcdef"
	for name, text := range map[string]string{
		"token":              strings.Replace(minimal, "token_file: token", "token: "+canary, 1),
		"quoted":             strings.Replace(minimal, "token_file: token", `"token": "`+canary+`"`, 1),
		"token_auth":         strings.Replace(minimal, "token_file: token", "token_auth: "+canary, 1),
		"misspelt":           strings.Replace(minimal, "token_file: token", "tokn: "+canary, 1),
		"misspelt password":  strings.Replace(minimal, "token_file: token", "pasword: "+canary, 1),
		"block":              strings.Replace(minimal, "token_file: token", "password: |\n      "+canary, 1),
		"next line":          strings.Replace(minimal, "token_file: token", "password:\n      "+canary+": x", 1),
		"in one line":        "targets: [{name: main, password: " + canary + ", ulr: x}]\n",
		"one line, reversed": "targets: [{ulr: x, password: " + canary + "}]\n",
		"no YAML":            strings.Replace(minimal, "token_file: token", "token: "+canary+": x", 1),
		"tab":                strings.Replace(minimal, "token_file: token", "token:\n\t"+canary, 1),
		"elsewhere":          minimal + "password: " + canary + "\n",
		"list":               minimal + "password: [" + canary + "]\n",
		"database":           minimal + "database: {url: 'postgres://bridge:" + canary + "@db/x'}\n",
		"database, no URL":   minimal + "database: {url: 'postgres//bridge:" + canary + "@db/x'}\n",
		"database, option":   minimal + "database: {url: 'postgres://bridge@db/x?password=" + canary + "'}\n",
		"database, password": minimal + "database: {password: " + canary + "}\n",
		"url":                strings.Replace(minimal, "https://", "https://user:"+canary+"@", 1),
		"url without scheme": strings.Replace(minimal, "https://", "ftp://user:"+canary+"@", 1),
		"number":             strings.Replace(minimal, "token_file: token", "token: 4242424242", 1),
		"as a file":          strings.Replace(minimal, "token_file: token", "token_file: "+token, 1),
		"as a variable":      strings.Replace(minimal, "token_file: token", "token_env: "+token, 1),
		"as odd variable":    strings.Replace(minimal, "token_file: token", "token_env: pw-"+canary, 1),
		"as password file":   strings.Replace(minimal, "login:", "password_file: "+token+"\n    login:", 1),
	} {
		t.Run(name, func(t *testing.T) {
			got := wrong(t, text).Error()
			for _, secret := range []string{canary, token, "4242424242"} {
				if strings.Contains(got, secret) {
					t.Errorf("the secret shows:\n%s", got)
				}
			}
		})
	}
}

func TestProblems_LiteralSecretSaysWhatToDo(t *testing.T) {
	p := wrong(t, strings.Replace(minimal, "token_file: token", "token_auth: abcdef", 1))[0]
	want := `f:6:5: targets[0].token_auth: secrets do not stand in this file
   6 |     token_auth: [redacted]
     |     ^
  write it to a file that only the bridge can read (chmod 600) and say token_file: PATH, or token_env: VARIABLE`
	if diff := cmp.Diff(want, p.String()); diff != "" {
		t.Errorf("problem (-want +got):\n%s", diff)
	}
}

func TestReport_Excerpt(t *testing.T) {
	long := strings.Repeat("x", 300)
	r := newReport("f", []byte("plain  \r\n\tbell\a\n"+long+"\nurl: postgres://u:pw:x@h/d\npassword: x\n  pw\ntoken_file: a\ntokens: {on: []}\n"))
	for line, want := range map[int]string{
		0: "", 99: "",
		1: "plain",
		2: " bell ",
		3: strings.Repeat("x", 200) + "...",
		4: "url: postgres://u:[redacted]@h/d",
		5: "password: [redacted]",
		6: "  pw",
		7: "token_file: a",
		8: "tokens: {on: []}",
	} {
		if got := r.excerpt(line); got != want {
			t.Errorf("excerpt(%d) = %q, want %q", line, got, want)
		}
	}
}

func TestReport_KeysCannotDisturbATerminal(t *testing.T) {
	p := wrong(t, minimal+`"a\e[31m\nb": 1`+"\n")[0]
	if strings.ContainsAny(p.String(), "\x1b") || strings.Contains(p.Key, "\n") {
		t.Errorf("control characters in %q", p.String())
	}
}

func TestReport_FindsTheNearestPlace(t *testing.T) {
	r := newReport("f", nil)
	r.at["targets"] = mark{2, 1}
	r.at["targets[1]"] = mark{4, 5}
	for path, want := range map[string]mark{
		"targets[1].leavers.tokens": {4, 5},
		"targets[1]":                {4, 5},
		"targets[0].url":            {2, 1},
		"mapping.files[3]":          {1, 1},
		"":                          {1, 1},
	} {
		if got := r.find(path); got != want {
			t.Errorf("find(%q) = %v, want %v", path, got, want)
		}
	}
}
