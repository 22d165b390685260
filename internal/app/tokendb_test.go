package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/config"
	"github.com/matomo-scim/bridge/internal/audit"
	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/matomo/tokendb/tokendbtest"
)

const dbPassword = "token-DB-password"

// backed is a stand-in whose tokens live in a real MariaDB: what is gone there is
// gone in the stand-in before it answers the next request, as in Matomo itself.
type backed struct {
	sim *Simulator
	db  *tokendbtest.Matomo
}

func (b backed) RoundTrip(r *http.Request) (*http.Response, error) {
	b.sync()
	return b.sim.RoundTripper().RoundTrip(r)
}

// sync takes the table over. The bridge ends all tokens of a login or none.
func (b backed) sync() {
	for _, u := range b.sim.Users() {
		for _, t := range b.sim.Tokens(u.Login) {
			if t.Description != "bridge" && !b.db.Alive(t.Secret) {
				b.sim.DeleteTokens(u.Login)
				break
			}
		}
	}
}

// tokenWorld is a bridge that is stepped, with the strategy database.
type tokenWorld struct {
	backed
	t     *testing.T
	cfg   *config.Config
	s     *Services
	users map[string]directory.User
}

// newTokenWorld wires a bridge to a stand-in and a MariaDB. The database user has
// the documented rights and no others.
func newTokenWorld(t *testing.T, version, action string) *tokenWorld {
	t.Helper()
	db := tokendbtest.Start(t).Database(t, version, "matomo_", "")
	grant := "DELETE"
	if action == "expire" {
		grant = "UPDATE (date_expired)"
	}
	user := db.User(dbPassword, "GRANT SELECT (idusertokenauth, login, description, date_created, last_used, date_expired), "+grant+" ON "+db.Tokens()+" TO %s")
	w := &tokenWorld{t: t, backed: backed{NewSimulator(SimulatorOptions{Version: version}), db}, users: map[string]directory.User{}}
	password := filepath.Join(t.TempDir(), "dbpassword")
	if err := os.WriteFile(password, []byte(dbPassword), 0o600); err != nil {
		t.Fatal(err)
	}
	w.cfg = writeConfig(t, w.sim, "http://127.0.0.1/", "[RoleMapping]\ngroup[Analysts] = \"site:1:write\"\ngroup[Editors] = \"site:2:admin\"\n", fmt.Sprintf(
		"tokens: {database: {socket: %q, name: %s, user: %s, password_file: %q, action: %s}}", db.Socket(), db.Name, user, password, action))
	var err error
	if w.s, err = Open(t.Context(), w.cfg, w.options()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.s.Close)
	if err := w.s.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *tokenWorld) options() Options {
	return Options{Logger: zap.NewNop(), Version: "test", Transport: func(string) http.RoundTripper { return w.backed }}
}

func (w *tokenWorld) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

var tokenActor = directory.Actor{Credential: "test", Source: "scim"}

// join creates a person in a group and lets the bridge work.
func (w *tokenWorld) join(name, group string) {
	w.t.Helper()
	u, err := w.s.Directory.CreateUser(w.t.Context(), tokenActor, map[string]any{"userName": name, "active": true})
	w.must(err)
	w.users[name] = u
	w.add(name, group)
}

// add puts a person into a new group.
func (w *tokenWorld) add(name, group string) {
	w.t.Helper()
	_, err := w.s.Directory.CreateGroup(w.t.Context(), tokenActor, map[string]any{"displayName": group}, []string{w.users[name].ID})
	w.must(err)
	w.drain()
}

// setActive lets a person leave or come back.
func (w *tokenWorld) setActive(name string, active bool) {
	w.t.Helper()
	_, _, err := w.s.Directory.UpdateUser(w.t.Context(), tokenActor, w.users[name].ID, nil,
		func(_ directory.User, doc map[string]any) (map[string]any, error) {
			doc["active"] = active
			return doc, nil
		})
	w.must(err)
	w.drain()
}

func (w *tokenWorld) drain() {
	w.t.Helper()
	_, err := w.s.Engine.Drain(w.t.Context())
	w.must(err)
	w.sync()
}

// mint makes a token as the person would, in Matomo and so in its table.
func (w *tokenWorld) mint(name string) string {
	w.t.Helper()
	w.sim.SetPassword(name, "a-known-password")
	secret, err := w.sim.MintToken(name, "a-known-password")
	w.must(err)
	w.db.Keep(name, "export", secret, "")
	return secret
}

func (w *tokenWorld) wantAlive(secret string, alive bool) {
	w.t.Helper()
	if w.db.Alive(secret) != alive || w.sim.TokenAlive(secret) != alive {
		w.t.Errorf("alive in the database: %t, in Matomo: %t; want %t", w.db.Alive(secret), w.sim.TokenAlive(secret), alive)
	}
}

func (w *tokenWorld) binding(name string) bindings.Binding {
	w.t.Helper()
	list, err := w.s.Bindings.BySubject(w.t.Context(), w.users[name].Subject)
	if err != nil || len(list) != 1 {
		w.t.Fatalf("%d bindings, %v", len(list), err)
	}
	return list[0]
}

// The database strategy end to end, on a real MariaDB: role change, leaver, a token
// minted while suspended, come-back.
func TestTokenDatabase_EndToEnd(t *testing.T) {
	const ada = "ada@example.org"
	for _, version := range []string{Matomo5, Matomo4} {
		for _, action := range []string{"delete", "expire"} {
			t.Run(version+" "+action, func(t *testing.T) {
				w := newTokenWorld(t, version, action)
				w.join(ada, "Analysts")
				w.join("bob@example.org", "Others")
				others := w.db.Mint("somebody else", "not ours", "")
				w.wantAccess(ada, "1:write")
				token := w.mint(ada)
				if !w.sim.TrackingAccepted(token, 1) {
					t.Fatal("the token does not track")
				}
				w.add(ada, "Editors")
				w.wantAlive(token, false)
				if w.sim.TrackingAccepted(token, 1) {
					t.Error("the tracker still accepts the token of before the role change")
				}
				before := w.mint(ada)
				w.setActive(ada, false)
				w.wantAlive(before, false)
				if b := w.binding(ada); b.State != bindings.Done || b.Tokens != bindings.TokensDead {
					t.Errorf("%s, tokens %s: %s", b.State, b.Tokens, b.Detail)
				}
				suspended := w.mint(ada)
				w.must(w.s.Engine.MarkDifferences(t.Context()))
				w.drain()
				w.wantAlive(suspended, false)
				again := w.mint(ada)
				w.setActive(ada, true)
				w.wantAlive(again, false)
				w.wantAccess(ada, "1:write, 2:admin")
				if !w.db.Alive(others) {
					t.Error("somebody else's token ended")
				}
				w.wantAudited(ada, `"strategy":"database"`)
				text, err := testutil.GatherAndCount(w.s.Registry, "scim_bridge_token_revocations_total")
				if err != nil || text == 0 {
					t.Errorf("no metric of revocations: %v", err)
				}
			})
		}
	}
}

func (w *tokenWorld) wantAccess(login, want string) {
	w.t.Helper()
	if got := w.sim.Access(login).String(); got != want {
		w.t.Errorf("%s has %s, want %s", login, got, want)
	}
}

// wantAudited looks for a text among what Matomo's answers were recorded as.
func (w *tokenWorld) wantAudited(name, text string) {
	w.t.Helper()
	var all bytes.Buffer
	w.must(w.s.Audit.Each(w.t.Context(), audit.Filter{Subject: w.users[name].Subject}, func(r audit.Row) error {
		return json.NewEncoder(&all).Encode(r.Entry)
	}))
	if !strings.Contains(all.String(), text) {
		w.t.Errorf("the audit trail lacks %s", text)
	}
	if strings.Contains(all.String(), dbPassword) {
		w.t.Error("the database's password is in the audit trail")
	}
}

// check says what applies and what is wrong with it, on a real MariaDB.
func TestTokenDatabase_Check(t *testing.T) {
	w := newTokenWorld(t, Matomo5, "delete")
	find := func() map[string]Finding {
		rules, _, err := LoadRules(w.cfg)
		w.must(err)
		found, err := CheckTargets(t.Context(), w.cfg, rules, w.options())
		w.must(err)
		out := map[string]Finding{}
		for _, f := range found {
			out[f.Name] = f
			if strings.Contains(f.Text+f.Advice, dbPassword) {
				t.Errorf("the password is in %q", f.Text)
			}
		}
		return out
	}
	found := find()
	if f := found["main tokens"]; f.Level != LevelOK || !strings.Contains(f.Text, "strategy database") {
		t.Errorf("%+v", f)
	}
	if f := found["main token database"]; f.Level != LevelOK || !strings.Contains(f.Text, w.db.Name+".matomo_user_token_auth") {
		t.Errorf("%+v", f)
	}
	user := w.cfg.Targets[0].Tokens.Database.User
	w.db.Exec(t, "GRANT SELECT ON "+w.db.Tokens()+" TO "+user)
	if f := find()["main token database"]; f.Level != LevelWarn || !strings.Contains(f.Text, "SELECT") || !strings.Contains(f.Advice, "GRANT SELECT (idusertokenauth") {
		t.Errorf("too many rights: %+v", f)
	}
	w.db.Exec(t, "REVOKE ALL PRIVILEGES, GRANT OPTION FROM "+user)
	if f := find()["main token database"]; f.Level != LevelWarn || f.Advice == "" {
		t.Errorf("no rights: %+v", f)
	}
	if f := find()["main tokens"]; f.Level != LevelWarn || !strings.Contains(f.Text, "no strategy") {
		t.Errorf("no rights: %+v", f)
	}
}

// A password that changed under the bridge: access goes at once, tokens are labelled
// as inert, and they end when the file is mended.
func TestTokenDatabase_WrongPassword(t *testing.T) {
	const ada = "ada@example.org"
	w := newTokenWorld(t, Matomo5, "delete")
	w.join(ada, "Analysts")
	token := w.mint(ada)
	user := w.cfg.Targets[0].Tokens.Database.User
	w.db.Exec(t, "SET PASSWORD FOR "+user+" = PASSWORD('another')")
	w.db.Disconnect(t, user)
	w.setActive(ada, false)
	w.wantAccess(ada, "no access")
	w.must(w.s.DB.InTx(t.Context(), func(ctx context.Context, tx *database.Tx) error {
		return w.s.Bindings.MarkDue(ctx, tx, []string{w.users[ada].Subject}, bindings.Mark{}) // the back-off is over
	}))
	w.drain()
	if b := w.binding(ada); b.Tokens != bindings.TokensInert || b.State != bindings.Done {
		t.Errorf("%s, tokens %s: %s", b.State, b.Tokens, b.Detail)
	}
	w.wantAlive(token, true)
	w.db.Exec(t, "SET PASSWORD FOR "+user+" = PASSWORD('"+dbPassword+"')")
	// A new process, as after the minute in which a refused password is not sent.
	w.s.Close()
	var err error
	w.s, err = Open(t.Context(), w.cfg, w.options())
	w.must(err)
	w.must(w.s.Engine.MarkDifferences(t.Context()))
	w.drain()
	w.wantAlive(token, false)
	if b := w.binding(ada); b.Tokens != bindings.TokensDead || b.State != bindings.Done {
		t.Errorf("%s, tokens %s: %s", b.State, b.Tokens, b.Detail)
	}
}
