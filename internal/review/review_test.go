package review_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/internal/review"
	"github.com/matomo-scim/bridge/mapping"
	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/matomotest"
)

const rules = `[RoleMapping]
group[Analysts] = "site:1:write, site:2:view"
group[Admins] = "superuser"
`

// world is a Matomo with people in it, and what a source says of them.
type world struct {
	testing.TB
	db     *database.DB
	store  *bindings.Store
	dir    *directory.Store
	matomo *matomotest.Server
	target review.Target
	opt    review.Options
}

func newWorld(tb testing.TB, db *database.DB) *world {
	tb.Helper()
	return newWorldOn(tb, db, matomotest.Options{})
}

func newWorldOn(tb testing.TB, db *database.DB, opt matomotest.Options) *world {
	tb.Helper()
	w := &world{TB: tb, db: db, store: bindings.New(db), matomo: matomotest.New(opt)}
	w.dir = directory.New(db, w.store, directory.Options{Sources: []directory.Source{{Name: "scim", Lifecycle: true}}})
	client, err := matomo.New(matomo.Options{
		Name: "main", URL: "http://matomo.test/", Login: "bridge", Transport: w.matomo.RoundTripper(), Protected: []string{"keeper"},
		Token: func() (string, error) { return w.matomo.Token(), nil },
	})
	if err != nil {
		tb.Fatal(err)
	}
	w.target = review.Target{Name: "main", Client: client}
	parsed, err := mapping.Parse([]mapping.File{{Name: "rules.ini", Data: []byte(rules)}}, mapping.Options{
		Targets: []string{"main"}, Sources: []string{"scim"}, SuperuserSources: []string{"scim"},
	})
	if err != nil {
		tb.Fatal(err)
	}
	w.opt = review.Options{Bindings: w.store, Directory: w.dir, Rules: parsed, Dormant: 90 * 24 * time.Hour}
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

var okta = directory.Actor{Credential: "okta", Source: "scim"}

// account adds an account that nobody manages.
func (w *world) account(login string) {
	w.Helper()
	if err := w.matomo.AddUser(login, login+"@example.org", "secret-"+login); err != nil {
		w.Fatal(err)
	}
}

// person adds an account of ours, of somebody in groups.
func (w *world) person(login string, doc map[string]any, groups ...string) {
	w.Helper()
	w.account(login)
	doc["userName"] = login
	u, err := w.dir.CreateUser(w.Context(), okta, doc)
	if err != nil {
		w.Fatal(err)
	}
	for _, name := range groups {
		g, err := w.dir.CreateGroup(w.Context(), okta, map[string]any{"displayName": name}, nil)
		if err != nil {
			w.Fatal(err)
		}
		op := directory.MemberOp{Kind: directory.Add, Values: []string{u.ID}}
		if _, _, err := w.dir.UpdateGroup(w.Context(), okta, g.ID, nil, nil, []directory.MemberOp{op}); err != nil {
			w.Fatal(err)
		}
	}
	all, err := w.store.BySubject(w.Context(), u.Subject)
	if err != nil {
		w.Fatal(err)
	}
	w.tx(func(ctx context.Context, tx *database.Tx) error {
		return w.store.Bind(ctx, tx, all[0].ID, login, login)
	})
}

// rows is the review by login.
func (w *world) rows() map[string]review.Row {
	w.Helper()
	all, err := review.Of(w.Context(), w.opt, w.target)
	if err != nil {
		w.Fatal(err)
	}
	out := map[string]review.Row{}
	for _, r := range all {
		out[r.Login] = r
	}
	return out
}

// company is everybody a review has something to say about.
func company(w *world) {
	w.person("ada", map[string]any{"active": true, "displayName": "Ada King"}, "Analysts")
	w.matomo.Grant("ada", "write", 1)
	w.matomo.Grant("ada", "view", 2, 3)
	w.person("root", map[string]any{"active": true}, "Admins")
	w.matomo.SetSuperuser("root", true)
	w.person("gone", map[string]any{"active": false})
	w.account("stranger")
	w.matomo.Grant("stranger", "admin", 1)
	w.matomo.Grant("stranger", "tagmanager_write", 1)
	w.account("rogue")
	w.matomo.SetSuperuser("rogue", true)
	w.account("keeper")
	w.matomo.SetSuperuser("keeper", true)
	w.matomo.SetTwoFactor("keeper", true)
}

func TestOf_ExplainsAndMarks(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		company(w)
		w.matomo.ResetCalls()
		rows := w.rows()
		if n := w.matomo.Requests(); n > 2 { // the first one also learns which capabilities there are
			t.Errorf("%d requests to Matomo", n)
		}
		for login, want := range map[string]string{
			"ada":      "Ada King|Write|1:write 2:view 3:view|no rule gives: 3:view; login ada; because group \"Analysts\" of scim: site:1:write (rules.ini:2); because group \"Analysts\" of scim: site:2:view (rules.ini:2); Matomo main",
			"root":     "root|Super User||superuser; because group \"Admins\" of scim: superuser (rules.ini:3); Matomo main",
			"gone":     "gone|No Access||left: suspended; Matomo main",
			"stranger": "stranger|Admin|1:admin+tagmanager_write|UNMANAGED: nobody removes it when the person leaves; Matomo main",
			"rogue":    "rogue|Super User||UNMANAGED SUPERUSER: no rule explains it; Matomo main",
			"keeper":   "keeper|Super User||superuser; protected: never changed here; Matomo main",
		} {
			r := rows[login]
			var sites []string
			for _, s := range r.Sites {
				sites = append(sites, s.String())
			}
			got := strings.Join([]string{r.Name, r.Role, strings.Join(sites, " "), strings.Join(r.Notes(), "; ")}, "|")
			if got != want {
				t.Errorf("%s\n got %s\nwant %s", login, got, want)
			}
		}
		if !rows["keeper"].MFA || rows["ada"].MFA {
			t.Error("the second factor is not told")
		}
	})
}

func TestOf_Dormant(t *testing.T) {
	w := newWorld(t, databasetest.SQLite(t))
	w.account("fresh")
	rows := w.rows()
	if rows["fresh"].Dormant || rows["fresh"].LastLogin != "" {
		t.Errorf("an account of today: %+v", rows["fresh"])
	}
	w.opt.Dormant = time.Nanosecond // from now on everything is too long ago
	if session, err := w.matomo.SignIn("fresh", "secret-fresh"); err != nil {
		t.Fatal(err)
	} else {
		session.Open()
	}
	if r := w.rows()["fresh"]; !r.Dormant || !strings.Contains(strings.Join(r.Notes(), ";"), "DORMANT") {
		t.Errorf("row %+v", r)
	}
	w.opt.Dormant = 0
	if w.rows()["fresh"].Dormant {
		t.Error("dormant although nobody asks")
	}
}

// Tokens are counted when somebody asks, and where they can be seen: unknown is not none.
func TestOf_CountsTokens(t *testing.T) {
	for _, plugin := range []bool{true, false} {
		w := newWorldOn(t, databasetest.SQLite(t), matomotest.Options{Plugin: plugin})
		company(w)
		for range 2 {
			if _, err := w.matomo.MintToken("stranger", "secret-stranger"); err != nil {
				t.Fatal(err)
			}
		}
		if r := w.rows()["stranger"]; r.TokenCount != nil {
			t.Errorf("%d tokens, and nobody asked", *r.TokenCount)
		}
		w.opt.Tokens = true
		for login, want := range map[string]int{"stranger": 2, "ada": 0} {
			switch got := w.rows()[login].TokenCount; {
			case plugin && (got == nil || *got != want):
				t.Errorf("%s: %v tokens, want %d", login, got, want)
			case !plugin && got != nil:
				t.Errorf("%s: %d tokens, and they cannot be seen", login, *got)
			}
		}
	}
}

// A Matomo that does not answer gives no sheet at all: half a review looks like a whole one.
func TestOf_NoHalfReview(t *testing.T) {
	w := newWorld(t, databasetest.SQLite(t))
	w.matomo.Fault(matomotest.Fault{Kind: matomotest.ServerError, Method: "UsersManager.getUsersSitesFromAccess"})
	if rows, err := review.Of(t.Context(), w.opt, w.target); err == nil || rows != nil {
		t.Errorf("%d rows, %v", len(rows), err)
	}
}

func TestOf_MoreThanAPage(t *testing.T) {
	w := newWorld(t, databasetest.SQLite(t))
	for i := range 520 {
		w.person(fmt.Sprintf("p%03d", i), map[string]any{"active": true})
	}
	managed := 0
	for _, r := range w.rows() {
		if r.Managed {
			managed++
		}
	}
	if managed != 520 {
		t.Errorf("%d are managed, want 520", managed)
	}
}

func TestWriteSheet_IsTheGuidesAndSafe(t *testing.T) {
	rows := []review.Row{
		{Email: "ada@example.org", Name: "=HYPERLINK(\"x\")", Role: "Write", Tokens: "live", Target: "main", Login: "ada", Sites: []review.Site{{ID: 3, Role: "write"}}, MFA: true, Managed: true, LastLogin: "2026-10-01"},
		{Email: "root@example.org", Name: "root", Login: "root", TokenCount: new(int), Role: "Super User", Superuser: true, Tokens: "unknown", Target: "main"},
	}
	var out bytes.Buffer
	if err := review.WriteSheet(&out, rows, time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out.String(), "\ufeffUser Email,") || !strings.Contains(out.String(), "\r\n") {
		t.Errorf("%q", out.String())
	}
	got, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(out.String(), "\ufeff"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{
		{"User Email", "Name", "Role", "Sites (ID:Permission)", "Tokens", "Last Login", "MFA Enabled", "Review Date", "Notes"},
		{"ada@example.org", "'=HYPERLINK(\"x\")", "Write", "3:write", "live", "2026-10-01", "yes", "2026-11-29", "login ada; Matomo main"},
		{"root@example.org", "root", "Super User", "all", "0", "never seen", "no", "2026-11-29", "UNMANAGED SUPERUSER: no rule explains it; Matomo main"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
