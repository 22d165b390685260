package app

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
)

// The whole way of one person, from the identity provider's requests to what Matomo says of them. Requests go in as Entra
// and Okta send them; the outcome is read from Matomo by somebody else, over its API. It runs on the stand-in, and unchanged
// on a real instance with at least three sites:
//
//	MATOMO_URL=https://... MATOMO_LOGIN=... MATOMO_TOKEN=... MATOMO_PASSWORD=... go test -run TestLife ./internal/app
//
// There it adds one account with a random name and deletes it again.

// life is a running bridge, its Matomo and the person it is about.
type life struct {
	t                    *testing.T
	scim, secret         string // the bridge, as the provider knows it
	url, token, password string // Matomo, as an administrator knows it
	login                string
	plugin               bool
	client               http.Client
	app                  *App
	subject              string
}

const lifePassword = "Known-pass-1234"

func TestLife(t *testing.T) {
	for _, version := range []string{"4.16.1", "5.1.2"} {
		for _, plugin := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s plugin=%v", version, plugin), func(t *testing.T) {
				sim := NewSimulator(SimulatorOptions{Version: version, Plugin: plugin})
				srv := httptest.NewServer(sim)
				t.Cleanup(srv.Close)
				play(&life{t: t, url: srv.URL + "/", token: sim.Token(), password: sim.Password()}, sim.Login())
			})
		}
	}
	if u := os.Getenv("MATOMO_URL"); u != "" {
		t.Run("real", func(t *testing.T) {
			play(&life{t: t, url: u, token: os.Getenv("MATOMO_TOKEN"), password: os.Getenv("MATOMO_PASSWORD")}, os.Getenv("MATOMO_LOGIN"))
		})
	}
}

// play starts a bridge for this Matomo and lives the life.
func play(l *life, bridge string) {
	t := l.t
	var sites []int
	if err := json.Unmarshal([]byte(l.matomo(l.token, "SitesManager.getAllSitesId")), &sites); err != nil || len(sites) < 3 {
		t.Fatalf("sites %v (3 are needed), %v", sites, err)
	}
	name := "life" + strings.ToLower(rand.Text()[:8])
	l.login = name + "@example.org"
	l.plugin = strings.Contains(l.matomo(l.token, "API.isPluginActivated", "pluginName", "ScimBridge"), "true")
	t.Cleanup(func() { l.matomo(l.token, "UsersManager.deleteUser", "userLogin", l.login) })

	rules := fmt.Sprintf("[RoleMapping]\ngroup[Analysts] = \"site:%d:write, site:%d:view\"\ngroup[Editors] = \"site:%d:view, site:%d:admin\"\ngroup[Admins] = \"superuser\"\n",
		sites[0], sites[1], sites[0], sites[2])
	cfg := writeConfigFor(t, instance{l.url, bridge, l.token, l.password}, rules, section("guards: {min_superusers: 0}"))
	opt := Options{Logger: zap.NewNop(), Version: "test"}
	l.secret = credentialFor(t, cfg, opt)
	a, err := New(t.Context(), cfg, opt)
	if err != nil {
		t.Fatal(err)
	}
	a.Start(t.Context())
	t.Cleanup(func() { a.Stop(context.Background()) })
	l.app = a
	l.scim = "http://" + a.SCIMAddr() + "/scim/v2"
	analyst := fmt.Sprintf("%d:write %d:view %s", sites[0], sites[1], l.login)
	editor := fmt.Sprintf("%d:view %d:admin %s", sites[0], sites[2], l.login)

	// Joiner: as Okta creates people and pushes groups.
	user := l.send(http.MethodPost, "/Users", l.user())
	l.is("gone") // no group, no account
	analysts := l.send(http.MethodPost, "/Groups", group("Analysts", user))
	l.becomes("joiner", analyst)
	subjects, err := a.Directory.SubjectsByUserName(t.Context(), l.login)
	if err != nil || len(subjects) != 1 {
		t.Fatalf("subjects %v, %v", subjects, err)
	}
	l.subject = subjects[0]
	first := l.mint()
	if !l.opens(first) {
		t.Fatal("the token does not work to begin with")
	}

	// Mover: as Entra does it, out of one group and into the next.
	editors := l.send(http.MethodPost, "/Groups", group("Editors", ""))
	l.patch("/Groups/"+analysts, memberOp("Remove", user))
	l.patch("/Groups/"+editors, memberOp("Add", user))
	l.becomes("mover", editor)
	if l.plugin {
		l.dead("mover", first)
	}

	// A superuser for a while.
	admins := l.send(http.MethodPost, "/Groups", group("Admins", ""))
	l.patch("/Groups/"+admins, memberOp("Add", user))
	l.becomes("superuser", "superuser "+l.login)
	l.patch("/Groups/"+admins, memberOp("Remove", user))
	l.becomes("superuser no more", editor)

	// Another address.
	address := name + "@other.example.org"
	moved := strings.ReplaceAll(editor, l.login, address)
	l.patch("/Users/"+user, map[string]any{"op": "Replace", "path": `emails[type eq "work"].value`, "value": address})
	l.becomes("e-mail", moved)

	// Leaver, and hired again.
	second := l.mint()
	l.patch("/Users/"+user, map[string]any{"op": "Replace", "path": "active", "value": "False"})
	l.leaves("leaver", second, address)
	l.patch("/Users/"+user, map[string]any{"op": "Replace", "path": "active", "value": "True"})
	l.becomes("hired again", moved)
	l.dead("hired again", second)

	// Deleted at the provider, and created anew.
	third := l.mint()
	l.send(http.MethodDelete, "/Users/"+user, nil)
	l.leaves("deleted", third, address)
	user = l.send(http.MethodPost, "/Users", l.user())
	l.patch("/Groups/"+editors, memberOp("Add", user))
	l.becomes("created anew", editor)
	l.dead("created anew", third)
}

// user is the person as Okta sends them.
func (l *life) user() map[string]any {
	return map[string]any{
		"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:User"}, "userName": l.login, "externalId": "00u" + l.login,
		"name": map[string]any{"givenName": "Ada", "familyName": "Test"}, "displayName": "Ada Test", "locale": "en-US",
		"emails": []any{map[string]any{"primary": true, "value": l.login, "type": "work"}}, "groups": []any{}, "active": true,
	}
}

// group is a group with one member, or none.
func group(name, id string) map[string]any {
	g := map[string]any{"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:Group"}, "displayName": name}
	if id != "" {
		g["members"] = []any{map[string]any{"value": id, "display": "Ada Test"}}
	}
	return g
}

// memberOp is a change of membership as Entra sends it.
func memberOp(op, id string) map[string]any {
	return map[string]any{"op": op, "path": "members", "value": []any{map[string]any{"$ref": nil, "value": id}}}
}

func (l *life) patch(path string, operation map[string]any) {
	l.t.Helper()
	l.send(http.MethodPatch, path, map[string]any{"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:PatchOp"}, "Operations": []any{operation}})
}

// send sends a SCIM request that has to succeed, and returns the id in its answer.
func (l *life) send(method, path string, body map[string]any) (id string) {
	l.t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		l.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(l.t.Context(), method, l.scim+path, bytes.NewReader(data))
	if err != nil {
		l.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+l.secret)
	req.Header.Set("Content-Type", "application/scim+json")
	status, answer := l.do(req)
	if status/100 != 2 {
		l.t.Fatalf("%s %s: %d %s", method, path, status, answer)
	}
	var resource struct{ ID string }
	if len(answer) > 0 && json.Unmarshal(answer, &resource) != nil {
		l.t.Fatalf("%s %s: %s", method, path, answer)
	}
	return resource.ID
}

// matomo calls Matomo's API as whoever has the token; empty: nobody.
func (l *life) matomo(token, method string, params ...string) string {
	l.t.Helper()
	form := url.Values{"token_auth": {token}}
	for i := 0; i < len(params); i += 2 {
		form.Set(params[i], params[i+1])
	}
	if token == "" {
		form.Del("token_auth")
	}
	// The clean-up calls after the test's own context has ended.
	req, err := http.NewRequestWithContext(context.WithoutCancel(l.t.Context()), http.MethodPost,
		strings.TrimSuffix(l.url, "/")+"/index.php?module=API&format=JSON&filter_limit=-1&method="+method, strings.NewReader(form.Encode()))
	if err != nil {
		l.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	_, answer := l.do(req)
	return string(answer)
}

func (l *life) do(req *http.Request) (status int, body []byte) {
	l.t.Helper()
	resp, err := l.client.Do(req)
	if err != nil {
		l.t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err = io.ReadAll(resp.Body); err != nil {
		l.t.Fatal(err)
	}
	return resp.StatusCode, body
}

// now tells what Matomo says of the person: "gone", "superuser e-mail", or access and e-mail.
func (l *life) now() string {
	l.t.Helper()
	const missing = "doesn't exist"
	answer := l.matomo(l.token, "UsersManager.getUser", "userLogin", l.login)
	if strings.Contains(answer, missing) {
		return "gone"
	}
	var user struct {
		Email     string `json:"email"`
		Superuser any    `json:"superuser_access"`
	}
	if err := json.Unmarshal([]byte(answer), &user); err != nil || user.Email == "" {
		l.t.Fatalf("getUser: %s", answer)
	}
	if slices.Contains([]string{"1", "true"}, fmt.Sprint(user.Superuser)) {
		return "superuser " + user.Email
	}
	answer = l.matomo(l.token, "UsersManager.getSitesAccessFromUser", "userLogin", l.login)
	if strings.Contains(answer, missing) {
		return "gone" // meanwhile: without the plugin an account is added anew before it comes back
	}
	var rows []struct {
		Site   json.Number `json:"site"`
		Access string      `json:"access"`
	}
	if err := json.Unmarshal([]byte(answer), &rows); err != nil {
		l.t.Fatalf("getSitesAccessFromUser: %s", answer)
	}
	var words []string
	for _, r := range rows {
		words = append(words, r.Site.String()+":"+r.Access)
	}
	slices.Sort(words)
	return strings.TrimSpace(strings.Join(words, " ") + " " + user.Email)
}

func (l *life) is(want string) {
	l.t.Helper()
	if got := l.now(); got != want {
		l.t.Fatalf("Matomo says %q, want %q", got, want)
	}
}

// eventually waits for something to become true, at most a minute.
func (l *life) eventually(what string, f func() (ok bool, is string)) {
	l.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; <-time.After(20 * time.Millisecond) {
		ok, is := f()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			l.t.Fatalf("%s: %s", what, is)
		}
	}
}

// becomes waits until Matomo says so.
func (l *life) becomes(what, want string) {
	l.t.Helper()
	l.eventually(what, func() (bool, string) {
		got := l.now()
		return got == want, fmt.Sprintf("Matomo says %q, want %q", got, want)
	})
}

// mint gives the person a known password and makes an app token with it, as the person would.
func (l *life) mint() (token string) {
	l.t.Helper()
	answer := l.matomo(l.token, "UsersManager.updateUser", "userLogin", l.login, "password", lifePassword, "passwordConfirmation", l.password)
	if !strings.Contains(answer, "success") {
		l.t.Fatalf("set password: %s", answer)
	}
	if token = l.tryMint(); token == "" {
		l.t.Fatal("the person cannot make a token")
	}
	return token
}

func (l *life) tryMint() string {
	l.t.Helper()
	var answer struct{ Value string }
	got := l.matomo("", "UsersManager.createAppSpecificTokenAuth", "userLogin", l.login, "passwordConfirmation", lifePassword, "description", "life")
	if json.Unmarshal([]byte(got), &answer) != nil {
		l.t.Fatalf("createAppSpecificTokenAuth: %s", got)
	}
	return answer.Value
}

// opens says whether a token shows anything.
func (l *life) opens(token string) bool {
	l.t.Helper()
	var sites []int
	_ = json.Unmarshal([]byte(l.matomo(token, "SitesManager.getSitesIdWithAtLeastViewAccess")), &sites)
	return len(sites) > 0
}

func (l *life) dead(what, token string) {
	l.t.Helper()
	if l.opens(token) {
		l.t.Errorf("%s: the old token shows something", what)
	}
}

// leaves waits until the bridge is done, and looks whether anything of the person works: access, a token, or a password to
// make another token with. Matomo counts wrong passwords against an address, so this one is tried once.
func (l *life) leaves(what, token, email string) {
	l.t.Helper()
	l.eventually(what, func() (bool, string) {
		list, err := l.app.Bindings.BySubject(l.t.Context(), l.subject)
		if err != nil || len(list) != 1 {
			l.t.Fatalf("bindings %v, %v", list, err)
		}
		return list[0].State == Done && list[0].Observed == list[0].Generation, "the binding is " + string(list[0].State)
	})
	l.is(email)
	l.dead(what, token)
	if l.tryMint() != "" {
		l.t.Errorf("%s: the old password still makes tokens", what)
	}
	if answer := l.matomo(l.token, "ScimBridge.getTokens", "userLogin", l.login); l.plugin && answer != "[]" {
		l.t.Errorf("%s: tokens %s", what, answer)
	}
}
