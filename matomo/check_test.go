package matomo_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/matomotest"
)

// sequence answers one body after the other, the last one for ever.
func sequence(n *int, bodies ...string) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		body := bodies[min(*n, len(bodies)-1)]
		*n++
		return answers(http.StatusOK, nil, body).RoundTrip(r)
	})
}

func levels(findings []matomo.Finding) map[string]matomo.Level {
	out := map[string]matomo.Level{}
	for _, f := range findings {
		out[f.Name] = f.Level
	}
	return out
}

func TestCheck(t *testing.T) {
	pol := matomo.Policy{Tokens: matomo.Auto, RandomisePassword: true}
	tests := []struct {
		name   string
		server matomotest.Options
		setup  func(*bench)
		client func(*matomo.Options)
		pol    matomo.Policy
		levels map[string]matomo.Level
		says   []string
	}{
		{
			name: "all well", server: matomotest.Options{Plugin: true}, pol: pol,
			levels: map[string]matomo.Level{
				"connection": matomo.LevelOK, "login": matomo.LevelOK, "password": matomo.LevelOK, "mail": matomo.LevelHint, "version": matomo.LevelOK,
				"tokens": matomo.LevelOK, "anonymous": matomo.LevelOK, "plugins": matomo.LevelOK,
			},
			says: []string{"enable_update_users_email=0", "strategy plugin"},
		},
		{
			name: "no plugin, no password, everybody may look", pol: pol,
			setup:  func(b *bench) { b.Grant("anonymous", "view", 2) },
			client: func(o *matomo.Options) { o.Password = nil },
			levels: map[string]matomo.Level{
				"connection": matomo.LevelOK, "login": matomo.LevelOK, "password": matomo.LevelWarn, "version": matomo.LevelOK,
				"tokens": matomo.LevelWarn, "anonymous": matomo.LevelWarn, "plugins": matomo.LevelOK,
			},
			says: []string{"needs_password", "ScimBridge", "2:view", "every leaver keeps that"},
		},
		{
			name: "wrong password", pol: matomo.Policy{Tokens: matomo.Plugin, LeaverTokens: matomo.RevokeOrDelete},
			setup: func(b *bench) { b.password.set("wrong", nil) },
			levels: map[string]matomo.Level{
				"connection": matomo.LevelOK, "login": matomo.LevelOK, "password": matomo.LevelFail, "version": matomo.LevelOK,
				"tokens": matomo.LevelWarn, "anonymous": matomo.LevelOK, "plugins": matomo.LevelOK,
			},
			says: []string{"password_file", "configured strategy plugin does not work here", "deleted at once"},
		},
		{
			name: "another login", server: matomotest.Options{Plugin: true}, pol: matomo.Policy{LeaverTokens: matomo.RevokeOrRecreate},
			client: func(o *matomo.Options) { o.Login = "somebody" },
			levels: map[string]matomo.Level{
				"connection": matomo.LevelOK, "login": matomo.LevelFail, "password": matomo.LevelOK, "version": matomo.LevelOK,
				"tokens": matomo.LevelOK, "anonymous": matomo.LevelOK, "plugins": matomo.LevelOK,
			},
			says: []string{"there is no login somebody"},
		},
		{
			name: "a login that is no superuser", server: matomotest.Options{Plugin: true}, pol: pol,
			setup:  func(b *bench) { b.add(t, "admin") },
			client: func(o *matomo.Options) { o.Login = "admin" },
			levels: map[string]matomo.Level{
				"connection": matomo.LevelOK, "login": matomo.LevelFail, "password": matomo.LevelOK, "mail": matomo.LevelHint, "version": matomo.LevelOK,
				"tokens": matomo.LevelOK, "anonymous": matomo.LevelOK, "plugins": matomo.LevelOK,
			},
			says: []string{"admin is no superuser"},
		},
		{
			name: "wrong token", pol: pol, setup: func(b *bench) { b.token.set("00000000000000000000000000000000", nil) },
			levels: map[string]matomo.Level{"connection": matomo.LevelFail}, says: []string{"bad_token", "token_file"},
		},
		{
			name: "token of somebody else", pol: pol,
			setup: func(b *bench) {
				b.add(t, "alice")
				b.Grant("alice", "admin", 1)
				token, err := b.MintToken("alice", "secret-alice")
				if err != nil {
					t.Fatal(err)
				}
				b.token.set(token, nil)
			},
			levels: map[string]matomo.Level{"connection": matomo.LevelFail}, says: []string{"superuser"},
		},
	}
	for _, tt := range tests {
		for _, v := range versions {
			t.Run(tt.name+" "+v, func(t *testing.T) {
				tt.server.Version = v
				b := newBench(t, tt.server, func(o *matomo.Options) {
					if tt.client != nil {
						tt.client(o)
					}
				})
				if tt.setup != nil {
					tt.setup(b)
				}
				users, rows := b.Users(), b.Rows("anonymous")
				findings := b.c.Check(context.Background(), tt.pol)
				if diff := cmp.Diff(tt.levels, levels(findings)); diff != "" {
					t.Errorf("levels (-want +got):\n%s\n%v", diff, findings)
				}
				all := ""
				for _, f := range findings {
					all += f.Text + " " + f.Advice + "\n"
					if f.Level == matomo.LevelFail && f.Advice == "" {
						t.Errorf("a failure without advice: %+v", f)
					}
				}
				for _, s := range tt.says {
					if !strings.Contains(all, s) {
						t.Errorf("nothing about %q in\n%s", s, all)
					}
				}
				if diff := cmp.Diff(users, b.Users()); diff != "" || !cmp.Equal(rows, b.Rows("anonymous")) {
					t.Errorf("check changed something:\n%s", diff)
				}
				if n := b.FailedLogins("127.0.0.1"); n > 1 {
					t.Errorf("%d failed logins", n)
				}
			})
		}
	}
}

func TestCheck_SignInPluginsAndOldVersions(t *testing.T) {
	read := `[{"value":true},{"value":"3.14.1"},[],{"value":false},[],[{"login":"bridge","superuser_access":1,"invite_status":"active"}],[],[],[]]`
	proof := `{"result":"error","message":"User 'x' doesn't exist."}`
	plugins := `[{"value":true},{"value":false},{"value":true},{"value":false}]`
	n := 0
	b := newBench(t, matomotest.Options{})
	b.wire.next = sequence(&n, `[{"value":true},{"value":"3.14.1"},[],{"value":false}]`, read, proof, plugins)
	findings := b.c.Check(context.Background(), matomo.Policy{Tokens: matomo.Auto})
	want := map[string]matomo.Level{
		"connection": matomo.LevelOK, "login": matomo.LevelOK, "password": matomo.LevelOK, "version": matomo.LevelWarn,
		"tokens": matomo.LevelOK, "anonymous": matomo.LevelOK, "plugins": matomo.LevelHint,
	}
	if diff := cmp.Diff(want, levels(findings)); diff != "" {
		t.Errorf("levels (-want +got):\n%s\n%v", diff, findings)
	}
	if last := findings[len(findings)-1]; !strings.Contains(last.Text, "LoginLdap, LoginOIDC") {
		t.Errorf("finding %+v", last)
	}
}
