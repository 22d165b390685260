package monitor

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/matomo-scim/bridge/internal/audit"
	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/mapping"
	"github.com/matomo-scim/bridge/scim/schema"
)

// world is a database with the collector over it.
type world struct {
	t   *testing.T
	db  *database.DB
	opt RowsOptions
}

func newWorld(t *testing.T, db *database.DB, rules string) *world {
	t.Helper()
	store := bindings.New(db)
	parsed, err := mapping.Parse([]mapping.File{{Name: "rules.ini", Data: []byte(rules)}},
		mapping.Options{Targets: []string{"main", "eu"}, DefaultTarget: "main", Sources: []string{"okta", "entra"}})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, db: db, opt: RowsOptions{
		Bindings: store, Audit: audit.New(db, zap.NewNop(), nil),
		Directory: directory.New(db, store, directory.Options{Sources: []directory.Source{{Name: "okta", Lifecycle: true}, {Name: "entra", Lifecycle: true}}}),
		Rules:     func(context.Context) (*mapping.Rules, error) { return parsed, nil },
		Sources:   []string{"okta", "entra"}, Targets: []string{"main", "eu"}, Logger: zap.NewNop(),
	}}
	for _, name := range w.opt.Targets {
		w.exec(`INSERT INTO targets (name, url, mode, created_at) VALUES ($1, 'https://matomo.example/', 'enforce', 1)`, name)
	}
	return w
}

func (w *world) exec(query string, args ...any) {
	w.t.Helper()
	err := w.db.InTx(w.t.Context(), func(ctx context.Context, tx *database.Tx) error {
		_, err := tx.Exec(ctx, query, args...)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// person adds somebody who has an account on main with this record of grants.
func (w *world) person(name, grants string) string {
	w.t.Helper()
	u, err := w.opt.Directory.CreateUser(w.t.Context(), directory.Actor{Source: "okta"}, schema.Document{"userName": name})
	if err != nil {
		w.t.Fatal(err)
	}
	w.exec(`UPDATE bindings SET login = $1, login_key = $1, grants = $2, state = 'converged' WHERE target = 'main' AND subject_id = $3`,
		name, grants, u.Subject)
	return u.Subject
}

// expect compares the named families.
func (w *world) expect(want string, names ...string) {
	w.t.Helper()
	reg := prometheus.NewPedanticRegistry()
	if err := reg.Register(NewRows(w.opt)); err != nil {
		w.t.Fatal(err)
	}
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), names...); err != nil {
		w.t.Error(err)
	}
	problems, err := testutil.GatherAndLint(reg)
	if err != nil || len(problems) > 0 {
		w.t.Errorf("lint: %v %v", problems, err)
	}
}

const noRules = "[RoleMapping]\ngroup[Nobody] = \"site:1:view\"\n"

func TestRows_People(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, noRules)
		w.person("ada", "[]")
		kept, going := w.person("bob", "[]"), w.person("cy", "[]")
		w.exec(`UPDATE bindings SET left_at = 1 WHERE subject_id IN ($1, $2)`, kept, going)
		w.exec(`UPDATE bindings SET delete_at = 2 WHERE subject_id = $1`, going)
		w.exec(`UPDATE bindings SET state = 'gone' WHERE subject_id = $1`, w.person("gone", "[]"))
		w.expect(`
# HELP scim_bridge_deletions_pending Suspended accounts whose deletion has a date.
# TYPE scim_bridge_deletions_pending gauge
scim_bridge_deletions_pending{target="eu"} 0
scim_bridge_deletions_pending{target="main"} 1
# HELP scim_bridge_users People with an account that is ours, by what becomes of it: active, suspended (kept for good) or pending_delete.
# TYPE scim_bridge_users gauge
scim_bridge_users{state="active",target="eu"} 0
scim_bridge_users{state="active",target="main"} 1
scim_bridge_users{state="pending_delete",target="eu"} 0
scim_bridge_users{state="pending_delete",target="main"} 1
scim_bridge_users{state="suspended",target="eu"} 0
scim_bridge_users{state="suspended",target="main"} 1
`, "scim_bridge_users", "scim_bridge_deletions_pending")
	})
}

// A site counts once for each person, however many rules give it.
func TestRows_Grants(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, noRules)
		two := `[{"site":1,"role":"view","rule":"a"},{"site":1,"role":"view","rule":"b"},{"site":2,"role":"write","rule":"a"}]`
		w.person("ada", two)
		w.person("bob", two)
		w.person("root", `[{"superuser":true,"rule":"c"},{"site":3,"capabilities":["tagmanager_write"],"rule":"d"}]`)
		left := w.person("left", `[{"site":9,"role":"admin","rule":"a"}]`)
		w.exec(`UPDATE bindings SET left_at = 1 WHERE subject_id = $1`, left)
		w.expect(`
# HELP scim_bridge_grants Grants in force that rules gave to people, by role.
# TYPE scim_bridge_grants gauge
scim_bridge_grants{role="admin",target="eu"} 0
scim_bridge_grants{role="admin",target="main"} 0
scim_bridge_grants{role="superuser",target="eu"} 0
scim_bridge_grants{role="superuser",target="main"} 1
scim_bridge_grants{role="view",target="eu"} 0
scim_bridge_grants{role="view",target="main"} 2
scim_bridge_grants{role="write",target="eu"} 0
scim_bridge_grants{role="write",target="main"} 2
`, "scim_bridge_grants")
	})
}

func TestRows_GroupsAndRules(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, `[RoleMapping]
group[Analysts] = "site:1:view"
group[Ghosts] = "site:1:write"
user[(department=Sales)] = "site:2:view"
`)
		for source, names := range map[string][]string{"okta": {"Analysts", "Lunch", "Chess"}, "entra": {"Analysts"}} {
			for _, name := range names {
				if _, err := w.opt.Directory.CreateGroup(t.Context(), directory.Actor{Source: source}, schema.Document{"displayName": name}, nil); err != nil {
					t.Fatal(err)
				}
			}
		}
		w.expect(`
# HELP scim_bridge_groups Groups that a source has pushed, by whether a rule matches them.
# TYPE scim_bridge_groups gauge
scim_bridge_groups{idp="entra",mapped="false"} 0
scim_bridge_groups{idp="entra",mapped="true"} 1
scim_bridge_groups{idp="okta",mapped="false"} 2
scim_bridge_groups{idp="okta",mapped="true"} 1
# HELP scim_bridge_mapping_rules_unused Rules over groups that match no group which any source has pushed.
# TYPE scim_bridge_mapping_rules_unused gauge
scim_bridge_mapping_rules_unused 1
# HELP scim_bridge_mapping_unmatched_groups Groups of a source that no rule matches.
# TYPE scim_bridge_mapping_unmatched_groups gauge
scim_bridge_mapping_unmatched_groups{idp="entra"} 0
scim_bridge_mapping_unmatched_groups{idp="okta"} 2
`, "scim_bridge_groups", "scim_bridge_mapping_rules_unused", "scim_bridge_mapping_unmatched_groups")
	})
}

func registry(t *testing.T, c prometheus.Collector) *prometheus.Registry {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	if err := reg.Register(c); err != nil {
		t.Fatal(err)
	}
	return reg
}

func TestRows_AuditBacklog(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, noRules)
		if _, err := w.opt.Directory.CreateCredential(t.Context(), "okta", "okta"); err != nil {
			t.Fatal(err)
		}
		b, err := w.opt.Audit.Backlog(t.Context())
		if err != nil || b.Waiting != 1 || b.Sealed != 0 || b.Oldest == nil || time.Since(*b.Oldest) > time.Minute {
			t.Fatalf("backlog = %+v, %v; want one entry of just now", b, err)
		}
		if _, err := w.opt.Audit.Seal(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.expect(`
# HELP scim_bridge_audit_chain_length Entries in the audit chain.
# TYPE scim_bridge_audit_chain_length gauge
scim_bridge_audit_chain_length 1
# HELP scim_bridge_audit_oldest_unsealed_timestamp_seconds When the oldest of them was written; 0 when none waits.
# TYPE scim_bridge_audit_oldest_unsealed_timestamp_seconds gauge
scim_bridge_audit_oldest_unsealed_timestamp_seconds 0
# HELP scim_bridge_audit_unsealed_entries Audit entries that wait for their place in the chain.
# TYPE scim_bridge_audit_unsealed_entries gauge
scim_bridge_audit_unsealed_entries 0
`, "scim_bridge_audit_chain_length", "scim_bridge_audit_oldest_unsealed_timestamp_seconds", "scim_bridge_audit_unsealed_entries")
	})
}

// One part that cannot be read is missing, and said; the others are there.
func TestRows_OnePartFails(t *testing.T) {
	w := newWorld(t, databasetest.SQLite(t), noRules)
	core, logs := observer.New(zap.WarnLevel)
	w.opt.Logger = zap.New(core)
	w.opt.Rules = func(context.Context) (*mapping.Rules, error) { return nil, errors.New("no rules are active yet") }
	families, err := registry(t, NewRows(w.opt)).Gather()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range families {
		names = append(names, f.GetName())
	}
	if slices.Contains(names, "scim_bridge_groups") || !slices.Contains(names, "scim_bridge_users") {
		t.Errorf("families = %q, want those of people and not those of groups", names)
	}
	if logs.FilterMessage("read numbers for metrics").Len() != 1 {
		t.Errorf("log = %v, want why", logs.All())
	}
}

// Reads are shared: a second scrape right after the first does not read again.
func TestRows_KeepsNumbersForAWhile(t *testing.T) {
	w := newWorld(t, databasetest.SQLite(t), noRules)
	reads := 0
	rules := w.opt.Rules
	w.opt.Rules = func(ctx context.Context) (*mapping.Rules, error) { reads++; return rules(ctx) }
	reg := registry(t, NewRows(w.opt))
	for range 3 {
		if _, err := reg.Gather(); err != nil {
			t.Fatal(err)
		}
	}
	if reads != 1 {
		t.Errorf("%d reads for three scrapes, want 1", reads)
	}
}

func TestRolesOf_NotJSON(t *testing.T) {
	if _, err := rolesOf([]byte("{")); err == nil {
		t.Error("half an object is no record of grants")
	}
}
