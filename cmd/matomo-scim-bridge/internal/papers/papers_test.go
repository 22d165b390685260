package papers

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/matomo-scim/bridge/cmd/matomo-scim-bridge/internal/terminal"
	"github.com/matomo-scim/bridge/internal/app"
)

// plain is a printer on a pipe.
func plain() (*bytes.Buffer, *terminal.Printer) {
	var out bytes.Buffer
	return &out, terminal.NewPrinter(&out, func(string) string { return "" })
}

// want compares what was printed, line by line.
func want(t *testing.T, got *bytes.Buffer, lines ...string) {
	t.Helper()
	if diff := cmp.Diff(lines, strings.Split(strings.TrimSuffix(got.String(), "\n"), "\n")); diff != "" {
		t.Errorf("printed (-want +got):\n%s", diff)
	}
}

var at = time.Date(2026, 11, 29, 20, 15, 3, 0, time.UTC)

func row(kind string, fields func(*app.AuditRow)) app.HistoryEntry {
	var r app.AuditRow
	r.At, r.Seq, r.Kind, r.Actor, r.Source, r.RequestID = at, 7, kind, "okta", "scim", "r1"
	fields(&r)
	return app.HistoryEntry{AuditRow: r}
}

func TestEntry_OfASource(t *testing.T) {
	out, p := plain()
	Entry(p, row("user.created", func(r *app.AuditRow) { r.After = json.RawMessage(`{"userName":"ada"}`) }))
	want(t, out,
		"2026-11-29 20:15:03  user.created  #7",
		"  by         okta through scim, request r1",
		`  after      {"userName":"ada"}`,
	)
}

func TestEntry_OfAPlanSaysWhy(t *testing.T) {
	out, p := plain()
	Entry(p, row("intent.access", func(r *app.AuditRow) {
		r.Login, r.Target, r.Rule, r.Detail = "ada", "main", "rules.ini:2", "set_access ada write on 1"
		r.Before = json.RawMessage(`{"exists":false}`)
		r.After = json.RawMessage(`{"steps":[{"kind":"set_access","why":"has nothing"}],"reasons":["group \"A\": site:1:write (rules.ini:2)","a second"],"event":"mover",` +
			`"withheld":[{"reason":"superuser_cap","detail":"no place"}],"evidence":{"id":"e1","sha256":"abc"}}`)
	}))
	want(t, out,
		"2026-11-29 20:15:03  intent.access  #7",
		"  by         okta through scim, request r1",
		"  account    ada on main",
		`  before     {"exists":false}`,
		"  what       set_access ada write on 1",
		`  why        group "A": site:1:write (rules.ini:2)`,
		"             a second",
		"  not done   no place (superuser_cap)",
		"  evidence   e1 sha256 abc",
	)
}

func TestEntry_OfAGroup(t *testing.T) {
	for joined, text := range map[bool]string{true: "came into group Analysts", false: "left group Analysts"} {
		out, p := plain()
		e := row("group.updated", func(r *app.AuditRow) { r.After = json.RawMessage(`{"added":["id"]}`) })
		e.Group, e.Joined = "Analysts", joined
		Entry(p, e)
		want(t, out, "2026-11-29 20:15:03  group.updated  #7", "  by         okta through scim, request r1", "  what       "+text)
	}
}

// Names come from outside, and a terminal obeys control characters.
func TestClean_NothingReachesTheTerminalAsACommand(t *testing.T) {
	evil := "a\x1b[2J\rb\x07\u009b1mc\x7f"
	out, p := plain()
	var notes bytes.Buffer
	Entry(p, row("user.created", func(r *app.AuditRow) { r.Actor, r.Detail, r.Login, r.RequestID = evil, evil, evil, evil }))
	ev := &app.Evidence{Reports: []json.RawMessage{json.RawMessage(`{"description":"a\u001b[2J"}`)}, Missing: []string{evil}}
	var file app.Dossier
	file.Login = evil
	file.Saved = append(file.Saved, file.Merged)
	file.Saved[0].Account.Evidence = ev
	if err := errors.Join(Dossier(p, file), Restored(p, &notes, []app.Restored{{Kind: "report", Name: evil, Note: evil}})); err != nil {
		t.Fatal(err)
	}
	for _, r := range out.String() {
		if unicode.IsControl(r) && r != '\n' {
			t.Fatalf("%q is in what is printed: %q", r, out.String())
		}
	}
}

// Without a rule there is a reason all the same.
func TestEntry_ReasonsWithoutARule(t *testing.T) {
	for event, text := range map[string]string{
		"leaver": "the person left", "drift": "changed by somebody else", "mover": "no rule gives", "": "its time had come",
	} {
		out, p := plain()
		Entry(p, row("intent.revoke", func(r *app.AuditRow) { r.After = json.RawMessage(`{"event":"` + event + `"}`) }))
		if !strings.Contains(out.String(), "why        "+text) && !strings.Contains(out.String(), text) {
			t.Errorf("event %q: %s", event, out)
		}
	}
}

// What only takes away is not explained by the rules that still give something.
func TestEntry_StepsThatTakeSayWhy(t *testing.T) {
	out, p := plain()
	Entry(p, row("intent.access", func(r *app.AuditRow) {
		r.After = json.RawMessage(`{"steps":[{"kind":"revoke_tokens","why":"too old"},{"kind":"revoke_tokens","why":"too old"}],"reasons":["group \"A\""]}`)
	}))
	want(t, out, "2026-11-29 20:15:03  intent.access  #7", "  by         okta through scim, request r1", "  why        too old")
}

func TestEntry_OfAnAnswer(t *testing.T) {
	out, p := plain()
	Entry(p, row("outcome.revoke", func(r *app.AuditRow) {
		r.Actor, r.Source, r.RequestID, r.Rule = "bridge", "", "", "rules.ini:2"
		r.Answer = json.RawMessage(`[{"step":"demote ada","answer":"ok"},{"step":"remove_access ada","answer":"refused: no"}]`)
	}))
	want(t, out,
		"2026-11-29 20:15:03  outcome.revoke  #7",
		"  by         bridge",
		"  rule       rules.ini:2",
		"  matomo     demote ada: ok",
		"             remove_access ada: refused: no",
	)
}

// What this release does not know is shown as it is.
func TestEntry_OfAnotherRelease(t *testing.T) {
	for _, answer := range []string{`{"a":1}`, `"text"`, `[]`, `[1,2]`} {
		out, p := plain()
		Entry(p, row("intent.new", func(r *app.AuditRow) { r.After, r.Answer = json.RawMessage(`"odd"`), json.RawMessage(answer) }))
		for _, text := range []string{`after      "odd"`, "answer     " + answer} {
			if !strings.Contains(out.String(), text) {
				t.Errorf("%s is not in\n%s", text, out)
			}
		}
	}
}

func TestLeavers(t *testing.T) {
	var out, notes bytes.Buffer
	err := Leavers(&out, &notes, []app.Leaver{
		{Login: "ada", Target: "main", State: "done", LeftAt: &at, RevokedAt: &at, DeleteAt: &at, Tokens: app.TokensDead},
		{Person: "bob@example.org", Target: "main", State: app.Gone, LeftAt: &at, Tokens: app.TokensDead},
		{Login: "eve", Target: "eu", State: "leaving", Reason: "not_revoked", LeftAt: &at, Tokens: app.TokensLive},
		{Login: "max", Target: "eu", State: "done", LeftAt: &at, RevokedAt: &at, Tokens: app.TokensInert},
		{Login: "tom", Target: "eu", State: app.Converged, LeftAt: &at, Tokens: "unknown"},
		{Login: "zoe", Target: "eu", State: "leaving", LeftAt: &at, Tokens: "unknown"},
	})
	if err != nil || notes.Len() != 0 {
		t.Fatalf("%v, %s", err, notes.String())
	}
	want(t, &out,
		"LOGIN            TARGET  LEFT              STATE                  DELETION          TOKENS",
		"ada              main    2026-11-29 20:15  done                   2026-11-29 20:15  dead",
		"bob@example.org  main    2026-11-29 20:15  gone                   gone              dead",
		"eve              eu      2026-11-29 20:15  leaving (not_revoked)  not planned yet   LIVE",
		"max              eu      2026-11-29 20:15  done                   never             inert: they see nothing, and die with the account",
		"tom              eu      2026-11-29 20:15  due, was converged     not planned yet   not looked at yet",
		"zoe              eu      2026-11-29 20:15  leaving                not planned yet   not looked at yet",
	)
	if err := Leavers(&out, &notes, nil); err != nil || notes.String() != "nobody has left\n" {
		t.Errorf("%v, %q", err, notes.String())
	}
}

func TestTokenRow(t *testing.T) {
	head := strings.Count(TokenHead, "\t") + 1
	old, young := time.Now().Add(-100*24*time.Hour), time.Now()
	for name, tc := range map[string]struct {
		holder app.TokenHolder
		want   []string
	}{
		"not visible": {app.TokenHolder{Login: "ada", State: "done", Fate: app.TokensInert}, []string{"ada", "main", "done", "not visible (inert)", "", "", ""}},
		"none":        {app.TokenHolder{Login: "ada", State: "converged", Visible: true}, []string{"ada", "main", "converged", "0", "", "", ""}},
		"two": {
			app.TokenHolder{Login: "ada", State: "converged", Visible: true, Tokens: []app.Token{{Created: young, LastUsed: at, Ends: at.Add(time.Hour)}, {Created: old, Expires: at}}},
			[]string{"ada", "main", "converged", "2", "100 days", "2026-11-29 20:15", "2026-11-29 20:15"},
		},
	} {
		got := TokenRow("main", tc.holder)
		if diff := cmp.Diff(tc.want, got); diff != "" || len(got) != head {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestRestored(t *testing.T) {
	out, p := plain()
	var notes bytes.Buffer
	err := Restored(p, &notes, []app.Restored{
		{Kind: "report", Name: "weekly", Done: true, Note: "it belongs to bridge"},
		{Kind: "segment", Name: "mine", Note: "it moved"},
		{Kind: "dashboard", Name: "board", Already: true},
	})
	if err != nil || notes.String() != "1 thing could not be given back\n" {
		t.Errorf("%v, %q", err, notes.String())
	}
	want(t, out, "made  report     weekly  (it belongs to bridge)", "not   segment    mine  (it moved)", "had   dashboard  board")
	notes.Reset()
	if err := Restored(p, &notes, nil); err != nil || !strings.Contains(notes.String(), "nothing was saved") {
		t.Errorf("%v, %q", err, notes.String())
	}
}

func TestSumUp(t *testing.T) {
	var notes bytes.Buffer
	SumUp(&notes, []app.ReviewRow{{Managed: true}, {Superuser: true}, {Dormant: true}, {Protected: true, Superuser: true}, {Managed: true, Unexplained: []string{"3:view"}}})
	if got := notes.String(); got != "5 accounts, 1 superuser and unmanaged, 1 unmanaged, 1 dormant, 1 with access that no rule gives\n" {
		t.Errorf("%q", got)
	}
}

// full fails like a closed pipe.
type full struct{}

var errFull = errors.New("broken pipe")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestLeavers_ReportsABrokenPipe(t *testing.T) {
	if err := Leavers(full{}, &bytes.Buffer{}, nil); !errors.Is(err, errFull) {
		t.Errorf("err = %v", err)
	}
	p := terminal.NewPrinter(full{}, func(string) string { return "" })
	if err := Dossier(p, app.Dossier{Login: "ada"}); !errors.Is(err, errFull) {
		t.Errorf("err = %v", err)
	}
}
