package tokenage_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/internal/audit"
	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/internal/tokenage"
	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/matomotest"
)

const day = 24 * time.Hour

// world is a Matomo with people whose accounts are ours, and the watch over their tokens.
type world struct {
	testing.TB
	db     *database.DB
	store  *bindings.Store
	matomo *matomotest.Server
	watch  *tokenage.Watch
	reg    *prometheus.Registry
}

func newWorld(tb testing.TB, db *database.DB, plugin bool, change ...func(*tokenage.Target)) *world {
	tb.Helper()
	w := &world{TB: tb, db: db, store: bindings.New(db), matomo: matomotest.New(matomotest.Options{Plugin: plugin}), reg: prometheus.NewPedanticRegistry()}
	client, err := matomo.New(matomo.Options{
		Name: "main", URL: "http://matomo.test/", Login: "bridge", Transport: w.matomo.RoundTripper(),
		Token: func() (string, error) { return w.matomo.Token(), nil },
	})
	if err != nil {
		tb.Fatal(err)
	}
	target := tokenage.Target{Name: "main", Client: client, MaxAge: 100 * day, Enforce: true}
	for _, fn := range change {
		fn(&target)
	}
	w.watch = tokenage.New(tokenage.Options{DB: db, Bindings: w.store, Targets: []tokenage.Target{target}, Logger: zap.NewNop(), Registerer: w.reg})
	w.tx(func(ctx context.Context, tx *database.Tx) error {
		return w.store.Ensure(ctx, tx, []bindings.TargetSpec{{Name: "main", URL: "http://matomo.test/", Mode: "enforce"}})
	})
	return w
}

func (w *world) tx(fn database.Func) {
	w.Helper()
	if err := w.db.InTx(w.Context(), fn); err != nil {
		w.Fatal(err)
	}
}

// person adds somebody with an account of ours and tokens of so many days of age.
func (w *world) person(login string, ages ...int) (subject string) {
	w.Helper()
	if err := w.matomo.AddUser(login, login+"@example.org", "secret-"+login); err != nil {
		w.Fatal(err)
	}
	for _, age := range ages {
		if _, err := w.matomo.MintToken(login, "secret-"+login); err != nil {
			w.Fatal(err)
		}
		w.matomo.AgeToken(login, time.Duration(age)*day)
	}
	subject = database.NewID()
	w.tx(func(ctx context.Context, tx *database.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO subjects (id, created_at) VALUES ($1, 1)`, subject); err != nil {
			return err
		}
		if err := w.store.MarkDue(ctx, tx, []string{subject}, bindings.Mark{Event: bindings.Joiner}); err != nil {
			return err
		}
		var id string
		if err := tx.QueryRow(ctx, `SELECT id FROM bindings WHERE subject_id = $1`, subject).Scan(&id); err != nil {
			return err
		}
		return w.store.Bind(ctx, tx, id, login, login)
	})
	return subject
}

// asked is what is asked of somebody's tokens.
func (w *world) asked(subject string) bindings.TokenRequest {
	w.Helper()
	all, err := w.store.BySubject(w.Context(), subject)
	if err != nil || len(all) != 1 {
		w.Fatalf("bindings %v, %v", all, err)
	}
	return all[0].RevokeTokens
}

func (w *world) enforce() {
	w.Helper()
	if err := w.watch.Enforce(w.Context(), "main"); err != nil {
		w.Fatal(err)
	}
}

func (w *world) ending() float64 {
	w.Helper()
	families, err := w.reg.Gather()
	if err != nil {
		w.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "scim_bridge_tokens_ending_soon" {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	w.Fatal("no such metric")
	return 0
}

func TestEnforce_AsksForTheOldAndWarnsOfTheNext(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, true)
		ada := w.person("ada", 99, 101, 1, 200)
		bob := w.person("bob", 87, 85)
		eve := w.person("eve")
		if err := w.matomo.AddUser("stranger", "s@example.org", "secret-stranger"); err != nil {
			t.Fatal(err)
		}
		w.enforce()
		tokens := w.matomo.Tokens("ada")
		if got := w.asked(ada); fmt.Sprint(got.IDs) != fmt.Sprint([]int{tokens[1].ID, tokens[3].ID}) || got.All {
			t.Errorf("asked of ada: %+v of %+v", got, tokens)
		}
		if !w.asked(bob).IsZero() || !w.asked(eve).IsZero() {
			t.Error("asked of somebody whose tokens are young")
		}
		if got := w.ending(); got != 2 { // ada's of 99 days and bob's of 87
			t.Errorf("%v end soon, want 2", got)
		}
		log := audit.New(db, zap.NewNop(), nil)
		var entries []audit.Row
		if err := log.Each(t.Context(), audit.Filter{Login: "ada"}, func(r audit.Row) error { entries = append(entries, r); return nil }); err != nil {
			t.Fatal(err)
		}
		if len(entries) != 1 || entries[0].Kind != "tokens.too_old" || entries[0].Subject != ada || !strings.Contains(entries[0].Detail, "max_age") {
			t.Errorf("entries %+v", entries)
		}
	})
}

func TestEnforce_OnlyCountsWhatItMayNotOrCannotEnd(t *testing.T) {
	for name, tc := range map[string]struct {
		plugin bool
		change func(*tokenage.Target)
		ending float64
	}{
		"observe mode":       {true, func(t *tokenage.Target) { t.Enforce = false }, 1},
		"no way to see them": {false, func(*tokenage.Target) {}, 0},
		"no limit":           {true, func(t *tokenage.Target) { t.MaxAge = 0 }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			databasetest.Run(t, func(t *testing.T, db *database.DB) {
				w := newWorld(t, db, tc.plugin, tc.change)
				ada := w.person("ada", 99, 500)
				w.enforce()
				if !w.asked(ada).IsZero() || w.ending() != tc.ending {
					t.Errorf("asked %+v, %v end soon, want %v", w.asked(ada), w.ending(), tc.ending)
				}
			})
		})
	}
}

func TestLook_TellsWhatCanBeSeen(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, true)
		w.person("ada", 30)
		w.person("bob")
		var got []tokenage.Holder
		if err := w.watch.Look(t.Context(), "main", func(h tokenage.Holder) error { got = append(got, h); return nil }); err != nil {
			t.Fatal(err)
		}
		if len(got) != 2 || got[0].Login != "ada" || !got[0].Visible || len(got[0].Tokens) != 1 || len(got[1].Tokens) != 0 {
			t.Fatalf("holders %+v", got)
		}
		tok := got[0].Tokens[0]
		if age := time.Since(tok.Created); age < 30*day-time.Minute || age > 30*day+time.Minute || tok.Ends.Sub(tok.Created) != 100*day || !tok.LastUsed.IsZero() {
			t.Errorf("token %+v", tok)
		}
		boom := errors.New("boom")
		if err := w.watch.Look(t.Context(), "main", func(tokenage.Holder) error { return boom }); !errors.Is(err, boom) {
			t.Errorf("err = %v", err)
		}
		if err := w.watch.Look(t.Context(), "other", nil); err == nil {
			t.Error("a target that does not exist is no error")
		}
	})
}

func TestLook_MoreThanAPage(t *testing.T) {
	w := newWorld(t, databasetest.SQLite(t), true)
	for i := range 170 {
		w.person(fmt.Sprintf("p%03d", i))
	}
	w.matomo.DeleteUser("p003") // gone since, which the next pass finds out
	n := 0
	if err := w.watch.Look(t.Context(), "main", func(tokenage.Holder) error { n++; return nil }); err != nil || n != 169 {
		t.Errorf("%d people, %v", n, err)
	}
}

// Two replicas look once between them, some times a day; a Matomo that is down is asked again.
func TestRun_LooksSomeTimesADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, databasetest.SQLite(t), true)
		ada := w.person("ada", 99)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w.matomo.ResetCalls()
		for range 2 {
			go w.watch.Run(ctx)
		}
		time.Sleep(25 * time.Hour)
		synctest.Wait()
		lists := 0
		for _, c := range w.matomo.Calls() {
			if c.Method == "ScimBridge.getTokens" {
				lists++
			}
		}
		if lists != 6 {
			t.Errorf("looked %d times in a day, want once at each start and then every six hours", lists)
		}
		if w.asked(ada).IsZero() {
			t.Error("a token that became too old is not asked to end")
		}
	})
}

func TestRun_TriesAgainAfterAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, databasetest.SQLite(t), true)
		ada := w.person("ada", 200)
		heal := w.matomo.Fault(matomotest.Fault{Kind: matomotest.CutBefore})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go w.watch.Run(ctx)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if !w.asked(ada).IsZero() {
			t.Fatal("asked although nothing could be seen")
		}
		heal()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if w.asked(ada).IsZero() {
			t.Error("not tried again")
		}
	})
}

func TestNew_MetricsLint(t *testing.T) {
	w := newWorld(t, databasetest.SQLite(t), true)
	problems, err := testutil.GatherAndLint(w.reg)
	if err != nil || len(problems) != 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
}
