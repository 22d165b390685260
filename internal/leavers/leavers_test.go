package leavers_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/internal/audit"
	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/internal/leavers"
	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/matomotest"
)

var (
	okta = directory.Actor{Credential: "okta", Source: "scim", RequestID: "r1"}
	root = bindings.Cause{Actor: "cli:root", Source: "cli"}
)

// world is a desk over one Matomo, or two, and the people of a source.
type world struct {
	testing.TB
	*leavers.Desk
	db     *database.DB
	store  *bindings.Store
	dir    *directory.Store
	log    *audit.Log
	matomo *matomotest.Server
}

func newWorld(tb testing.TB, db *database.DB, targets ...string) *world {
	tb.Helper()
	if targets == nil {
		targets = []string{"main"}
	}
	w := &world{TB: tb, db: db, store: bindings.New(db), log: audit.New(db, zap.NewNop(), nil), matomo: matomotest.New(matomotest.Options{Plugin: true})}
	w.dir = directory.New(db, w.store, directory.Options{Sources: []directory.Source{{Name: "scim", Lifecycle: true}}})
	client, err := matomo.New(matomo.Options{
		Name: "main", URL: "http://matomo.test/", Login: "bridge", Transport: w.matomo.RoundTripper(), Protected: []string{"admin"},
		Token: func() (string, error) { return w.matomo.Token(), nil },
	})
	if err != nil {
		tb.Fatal(err)
	}
	opt := leavers.Options{DB: db, Bindings: w.store, Directory: w.dir}
	var specs []bindings.TargetSpec
	for _, name := range targets {
		opt.Targets = append(opt.Targets, leavers.Target{Name: name, Client: client, Enforce: name != "watched"})
		specs = append(specs, bindings.TargetSpec{Name: name, URL: "http://matomo.test/", Mode: "enforce"})
	}
	w.Desk = leavers.New(opt)
	w.tx(func(ctx context.Context, tx *database.Tx) error { return w.store.Ensure(ctx, tx, specs) })
	return w
}

func (w *world) tx(fn database.Func) {
	w.Helper()
	if err := w.db.InTx(w.Context(), fn); err != nil {
		w.Fatal(err)
	}
}

// person adds somebody with an account of ours on every target.
func (w *world) person(login string) (userID string) {
	w.Helper()
	if err := w.matomo.AddUser(login, login+"@example.org", "secret-"+login); err != nil {
		w.Fatal(err)
	}
	w.matomo.Grant(login, "view", 1)
	u, err := w.dir.CreateUser(w.Context(), okta, map[string]any{"userName": login, "active": true})
	if err != nil {
		w.Fatal(err)
	}
	all, err := w.store.BySubject(w.Context(), u.Subject)
	if err != nil {
		w.Fatal(err)
	}
	w.tx(func(ctx context.Context, tx *database.Tx) error {
		for _, b := range all {
			if err := w.store.Bind(ctx, tx, b.ID, login, login); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, `UPDATE bindings SET created_by_us = TRUE, state = 'converged', due_at = NULL WHERE state = 'pending'`)
		return err
	})
	return u.ID
}

// leaver adds somebody who left and whose account waits for its deletion.
func (w *world) leaver(login string) {
	w.Helper()
	id := w.person(login)
	_, _, err := w.dir.UpdateUser(w.Context(), okta, id, nil, func(_ directory.User, doc map[string]any) (map[string]any, error) {
		doc["active"] = false
		return doc, nil
	})
	if err != nil {
		w.Fatal(err)
	}
	w.tx(func(ctx context.Context, tx *database.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE bindings SET state = 'done', revoked_at = 2, delete_at = 4000000000000000, due_at = 4000000000000000, tokens = 'dead'
			WHERE left_at IS NOT NULL`)
		return err
	})
}

// saved stores evidence of a login, as a pass does.
func (w *world) saved(kind, login string, ev matomo.Evidence) {
	w.Helper()
	data, err := json.Marshal(matomo.Account{Login: login, Email: login + "@example.org", Exists: true, Evidence: &ev})
	if err != nil {
		w.Fatal(err)
	}
	w.tx(func(ctx context.Context, tx *database.Tx) error {
		return w.store.SaveEvidence(ctx, tx, bindings.Evidence{Kind: kind, Target: "main", Login: login, LoginKey: login, Data: data})
	})
}

// kinds are the entries about a login.
func (w *world) kinds(login string) (out []string) {
	w.Helper()
	err := w.log.Each(w.Context(), audit.Filter{Login: login}, func(r audit.Row) error {
		out = append(out, r.Kind+" by "+r.Actor)
		return nil
	})
	if err != nil {
		w.Fatal(err)
	}
	return out
}

func run(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	databasetest.Run(t, func(t *testing.T, db *database.DB) { test(t, newWorld(t, db)) })
}

func TestList_SaysWhatBecomesOfThem(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.leaver("ada")
		w.person("bob")
		all, err := w.List(t.Context(), false)
		if err != nil || len(all) != 1 {
			t.Fatalf("leavers %+v, %v", all, err)
		}
		l := all[0]
		if l.Login != "ada" || l.Person != "ada" || l.State != bindings.Done || l.Tokens != bindings.TokensDead || l.LeftAt == nil || l.Fate() != "2096-10-02 07:06" {
			t.Errorf("leaver %+v, deleted %s", l, l.Fate())
		}
	})
}

func TestFate(t *testing.T) {
	now := new(time.Now())
	for want, l := range map[string]leavers.Leaver{
		"gone": {State: bindings.Gone}, "kept": {State: bindings.Done, KeptAt: now, RevokedAt: now},
		"not planned yet": {State: bindings.Leaving}, "never": {State: bindings.Done, RevokedAt: now},
		"1970-01-01 00:00": {State: bindings.Done, KeptAt: now, DeleteAt: new(time.Unix(0, 0))},
	} {
		if got := l.Fate(); got != want {
			t.Errorf("%+v: %q, want %q", l, got, want)
		}
	}
}

func TestKeepAndDelete_AreOnRecord(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.leaver("ada")
		l, err := w.Keep(t.Context(), root, "ADA", "")
		if err != nil || l.Fate() != "kept" {
			t.Fatalf("%+v, %v", l, err)
		}
		l, err = w.Delete(t.Context(), root, "ada", "main")
		if err != nil || l.KeptAt != nil || l.DeleteAt == nil || l.DeleteAt.After(time.Now()) {
			t.Fatalf("%+v, %v", l, err)
		}
		if diff := cmp.Diff([]string{"leaver.kept by cli:root", "leaver.delete by cli:root"}, w.kinds("ada")); diff != "" {
			t.Errorf("record (-want +got):\n%s", diff)
		}
		if _, ok := w.matomo.User("ada"); !ok {
			t.Error("the desk deleted by itself: that is the loop's, with its guards")
		}
	})
}

// What is refused leaves neither a note nor an entry.
func TestRefusals(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, "main", "watched")
		w.leaver("ada")
		w.person("bob")
		w.person("admin")
		for name, tc := range map[string]struct {
			do   func() error
			want error
			text string
		}{
			"somebody active":    {func() error { _, err := w.Keep(t.Context(), root, "bob", "main"); return err }, bindings.ErrNotLeft, ""},
			"delete of one":      {func() error { _, err := w.Delete(t.Context(), root, "bob", "main"); return err }, bindings.ErrNotLeft, ""},
			"nobody":             {func() error { _, err := w.Delete(t.Context(), root, "eve", ""); return err }, leavers.ErrUnknown, "inventory"},
			"which Matomo":       {func() error { _, err := w.Keep(t.Context(), root, "ada", ""); return err }, nil, "main and watched"},
			"a watched Matomo":   {func() error { _, err := w.Delete(t.Context(), root, "ada", "watched"); return err }, leavers.ErrWatched, ""},
			"a protected login":  {func() error { _, err := w.RevokeTokens(t.Context(), root, "admin", "main"); return err }, nil, "protected"},
			"evidence of nobody": {func() error { _, err := w.Show(t.Context(), "eve", ""); return err }, leavers.ErrNoEvidence, ""},
			"which evidence":     {func() error { _, err := w.Show(t.Context(), "ada", ""); return err }, nil, "--target"},
		} {
			err := tc.do()
			if err == nil || tc.want != nil && !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, login := range []string{"ada", "bob", "admin"} {
			if kinds := w.kinds(login); len(kinds) != 0 {
				t.Errorf("record of %s: %v", login, kinds)
			}
		}
	})
}

func TestRevokeTokens_AsksForAll(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.person("ada")
		b, err := w.RevokeTokens(t.Context(), root, "ada", "")
		if err != nil {
			t.Fatal(err)
		}
		if b, err = w.store.Get(t.Context(), w.db.Reader(), b.ID); err != nil || !b.RevokeTokens.All || b.DueAt == nil || b.Cause != root {
			t.Errorf("binding %+v, %v", b, err)
		}
	})
}

func raw(s string) json.RawMessage { return json.RawMessage(s) }

// Reports go with the access and dashboards with the account: what is given back is put together from all that was saved
// of the leave, the newest of each.
func TestShow_MergesWhatWasSaved(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.leaver("ada")
		w.saved("access", "ada", matomo.Evidence{Reports: []json.RawMessage{raw(`{"idreport":1,"description":"of a site lost long ago"}`)}})
		w.saved("revoke", "ada", matomo.Evidence{
			Reports:    []json.RawMessage{raw(`{"idreport":"2","description":"old"}`), raw(`{"idreport":3,"description":"gone later"}`)},
			Segments:   []json.RawMessage{raw(`{"idsegment":4,"name":"one"}`)},
			Dashboards: raw(`[{"name":"board"}]`),
		})
		w.saved("delete", "ada", matomo.Evidence{
			Reports: []json.RawMessage{raw(`{"idreport":2,"description":"new"}`)}, Dashboards: raw(`[]`), Language: "de",
			Preferences: map[string]string{"defaultReport": "1"}, Whole: true,
		})
		file, err := w.Show(t.Context(), "ADA", "")
		if err != nil || len(file.Saved) != 3 || file.Leaver == nil || file.Login != "ada" {
			t.Fatalf("%+v, %v", file, err)
		}
		want := &matomo.Evidence{
			Reports:    []json.RawMessage{raw(`{"idreport":2,"description":"new"}`), raw(`{"idreport":3,"description":"gone later"}`)},
			Segments:   []json.RawMessage{raw(`{"idsegment":4,"name":"one"}`)},
			Dashboards: raw(`[{"name":"board"}]`), Language: "de", Preferences: map[string]string{"defaultReport": "1"},
		}
		if diff := cmp.Diff(want, file.Merged.Account.Evidence); diff != "" {
			t.Errorf("merged (-want +got):\n%s", diff)
		}
	})
}

func TestRestore_IsOnRecordAndOnlyForOurs(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.leaver("ada")
		w.person("grace")
		if err := w.matomo.AddUser("stranger", "s@example.org", "secret-stranger"); err != nil {
			t.Fatal(err)
		}
		restore := func(to string) ([]matomo.Restored, error) {
			return w.Restore(t.Context(), root, leavers.RestoreOptions{Login: "ada", To: to})
		}
		if _, err := restore("grace"); !errors.Is(err, leavers.ErrNoEvidence) {
			t.Errorf("without evidence: %v", err)
		}
		w.saved("revoke", "ada", matomo.Evidence{Dashboards: raw(`[{"name":"board","widgets":[]}]`), Language: "de"})
		before := w.matomo.Snapshot()
		if _, err := restore("stranger"); !errors.Is(err, leavers.ErrUnknown) {
			t.Errorf("to an account that is not ours: %v", err)
		}
		if _, err := restore(""); err == nil || !strings.Contains(err.Error(), "has left") {
			t.Errorf("to somebody who has left: %v", err)
		}
		if changes := before.Changes(w.matomo.Snapshot()); len(changes) != 0 {
			t.Fatalf("changes %v", changes)
		}
		done, err := restore("grace")
		if err != nil || len(done) != 2 || !done[0].Done || done[0].Name != "board" {
			t.Fatalf("%+v, %v", done, err)
		}
		if diff := cmp.Diff([]string{"leaver.restore by cli:root", "leaver.restored by cli:root"}, w.kinds("grace")); diff != "" {
			t.Errorf("record (-want +got):\n%s", diff)
		}
		if u, _ := w.matomo.User("grace"); u.Language != "de" {
			t.Errorf("user %+v", u)
		}
	})
}

// No record, no change: what cannot be noted is not done.
func TestRestore_NothingWithoutTheRecord(t *testing.T) {
	w := newWorld(t, databasetest.SQLite(t))
	w.leaver("ada")
	w.person("grace")
	w.saved("revoke", "ada", matomo.Evidence{Dashboards: raw(`[{"name":"board"}]`)})
	w.tx(func(ctx context.Context, tx *database.Tx) error {
		_, err := tx.Exec(ctx, `CREATE TRIGGER refuse BEFORE INSERT ON audit BEGIN SELECT RAISE(FAIL, 'disk full'); END`)
		return err
	})
	before := w.matomo.Snapshot()
	_, restoreErr := w.Restore(t.Context(), root, leavers.RestoreOptions{Login: "ada", To: "grace"})
	_, keepErr := w.Keep(t.Context(), root, "ada", "")
	if restoreErr == nil || keepErr == nil || len(before.Changes(w.matomo.Snapshot())) != 0 {
		t.Errorf("restore %v, keep %v, changes %v", restoreErr, keepErr, before.Changes(w.matomo.Snapshot()))
	}
	if all, err := w.List(t.Context(), false); err != nil || all[0].KeptAt != nil {
		t.Errorf("%+v, %v", all, err)
	}
}
