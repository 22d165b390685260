package app

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/matomo-scim/bridge/internal/audit"
	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/internal/monitor"
)

var okta = directory.Actor{Credential: "okta", Source: "scim", RequestID: "r1"}

// member adds somebody to a new group.
func member(t *testing.T, a *App, userName, group string) directory.User {
	t.Helper()
	u, err := a.Directory.CreateUser(t.Context(), okta, map[string]any{"userName": userName, "active": true})
	if err != nil {
		t.Fatal(err)
	}
	g, err := a.Directory.CreateGroup(t.Context(), okta, map[string]any{"displayName": group}, nil)
	if err != nil {
		t.Fatal(err)
	}
	op := directory.MemberOp{Kind: directory.Add, Values: []string{u.ID}}
	if _, _, err := a.Directory.UpdateGroup(t.Context(), okta, g.ID, nil, nil, []directory.MemberOp{op}); err != nil {
		t.Fatal(err)
	}
	return u
}

// await waits until the only binding of a subject is in a state.
func await(t *testing.T, a *App, subject string, state State) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		all, err := a.Bindings.BySubject(t.Context(), subject)
		if err != nil {
			t.Fatal(err)
		}
		if len(all) == 1 && all[0].State == state && all[0].AcceptedAt.IsZero() {
			return
		}
		<-time.After(10 * time.Millisecond)
	}
	t.Fatalf("%s never came to %s", subject, state)
}

// history is the kinds of the entries about somebody.
func history(t *testing.T, a *App, user string) (kinds []string) {
	t.Helper()
	n, err := a.History(t.Context(), user, time.Time{}, func(r HistoryEntry) error {
		kinds = append(kinds, r.Kind)
		return nil
	})
	if err != nil || n != len(kinds) {
		t.Fatalf("history of %s: %d, %v", user, n, err)
	}
	return kinds
}

// A history is about one person, whole, also when the person is gone.
func TestHistory(t *testing.T) {
	a, _, _ := startApp(t, testRules)
	ada := member(t, a, "ada@example.org", "Analysts")
	bob := member(t, a, "bob@example.org", "Others")
	await(t, a, ada.Subject, Converged)
	await(t, a, bob.Subject, Converged)
	want := []string{"user.created", "group.updated", "intent.access", "outcome.access"}
	for _, name := range []string{"ada@example.org", "ADA@example.org"} {
		if got := history(t, a, name); !slices.Equal(got, want) {
			t.Errorf("history of %s = %v, want %v", name, got, want)
		}
	}
	if err := a.Directory.DeleteUser(t.Context(), okta, ada.ID, nil); err != nil {
		t.Fatal(err)
	}
	await(t, a, ada.Subject, Done)
	got := history(t, a, "ada@example.org")
	for _, kind := range append(want, "user.deleted", "intent.revoke", "outcome.revoke", "intent.seal") {
		if !slices.Contains(got, kind) {
			t.Errorf("history after the deletion = %v, lacks %s", got, kind)
		}
	}
	if got := history(t, a, "nobody"); len(got) != 0 {
		t.Errorf("history of nobody = %v", got)
	}
}

func TestReview_OneTargetOrAll(t *testing.T) {
	a, _, _ := startApp(t, testRules)
	ada := member(t, a, "ada@example.org", "Analysts")
	await(t, a, ada.Subject, Converged)
	rows, err := a.Review(t.Context(), "", 0, false)
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(rows, func(r ReviewRow) bool { return r.Login == "ada@example.org" })
	if at < 0 || len(rows[at].Reasons) != 1 || !strings.Contains(rows[at].Reasons[0], "rules.ini:2") {
		t.Errorf("rows %+v", rows)
	}
	if _, err := a.Review(t.Context(), "other", 0, false); err == nil {
		t.Error("a target that does not exist is no error")
	}
}

// A running bridge writes signed notes, and replays what the journal holds.
func TestApp_WritesCheckpointsAndReplaysTheJournal(t *testing.T) {
	private, public, err := NewAuditKey()
	if err != nil {
		t.Fatal(err)
	}
	a, _, _ := startApp(t, testRules, file(t, "key.pem", private), section("audit: {checkpoint_file: notes, signing_key_file: key.pem}"))
	ada := member(t, a, "ada@example.org", "Analysts")
	await(t, a, ada.Subject, Converged)
	entry := audit.Entry{Kind: "outcome.revoke", Login: "ghost", Detail: "from the journal"}
	if err := a.Journal.Write(audit.Journaled{Entry: entry}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Journal.Replay(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := history(t, a, "ghost"); !slices.Equal(got, []string{"outcome.revoke"}) {
		t.Errorf("history = %v", got)
	}
	notes := a.Config.Audit.CheckpointFile
	a.Stop(context.Background())
	db, err := database.Open(context.Background(), a.Config.Database.URL, database.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	f, err := os.Open(notes)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	s := &Services{DB: db, Audit: audit.New(db, a.log, nil), Bindings: bindings.New(db)}
	report, err := s.VerifyCheckpoints(context.Background(), f, public)
	if err != nil || report.Notes < 1 || len(report.Problems) != 0 || report.Entries < 6 {
		t.Errorf("report = %+v, %v; want the whole record covered at the end", report, err)
	}
	if _, err := s.VerifyCheckpoints(context.Background(), f, private); err == nil {
		t.Error("a private key is taken for a public one")
	}
}

// leavers.on_inactive: delete ends the account as soon as the access is seen to be gone, with evidence.
func TestApp_DeletesLeaversAtOnce(t *testing.T) {
	a, sim, _ := startApp(t, testRules, targetKeys("leavers: {on_inactive: delete}"))
	ada := member(t, a, "ada@example.org", "Analysts")
	await(t, a, ada.Subject, Converged)
	if err := a.Directory.DeleteUser(t.Context(), okta, ada.ID, nil); err != nil {
		t.Fatal(err)
	}
	await(t, a, ada.Subject, Gone)
	if _, ok := sim.User("ada@example.org"); ok {
		t.Error("the account is still there")
	}
	file, err := a.Leavers.Show(t.Context(), "ada@example.org", "")
	if err != nil || len(file.Saved) != 2 || !file.Saved[1].Account.Evidence.Whole {
		t.Errorf("evidence %+v, %v", file.Saved, err)
	}
}

func TestCheckpoints_AnUnusableKeyIsAnError(t *testing.T) {
	a, _, _ := startApp(t, testRules, file(t, "key.pem", []byte("no key\n")), section("audit: {checkpoint_file: notes, signing_key_file: key.pem}"))
	a.Registry = prometheus.NewRegistry() // the running ones have theirs
	if _, err := a.checkpoints().Write(t.Context()); err == nil || !strings.Contains(err.Error(), "audit key") {
		t.Errorf("err = %v, want what to do", err)
	}
	// The running ones have tried as well, and say so where people look.
	said := func(c monitor.Component) bool {
		return c.Name == "audit/checkpoints" && c.State == StateDegraded && strings.Contains(c.Detail, "audit key") && c.Action != ""
	}
	for deadline := time.Now().Add(time.Minute); !slices.ContainsFunc(a.Health.Components(), said); <-time.After(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("health does not say it: %+v", a.Health.Components())
		}
	}
}
