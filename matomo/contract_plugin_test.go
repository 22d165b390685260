package matomo_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/matomo-scim/bridge/matomo"
)

// The part of the contract suite about the companion plugin. The answers are those that the plugin gave on Matomo 4.16.1
// and 5.1.2, word for word, so that the stand-in and the plugin cannot drift apart.

// pluginVersion is what the package says, which is what an instance must have and the stand-in must pretend.
func pluginVersion(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("../deploy/matomo-plugin/ScimBridge/plugin.json")
	if err != nil {
		t.Fatal(err)
	}
	var pkg struct{ Version string }
	if err := json.Unmarshal(data, &pkg); err != nil || pkg.Version == "" {
		t.Fatalf("plugin.json: version %q, %v", pkg.Version, err)
	}
	return pkg.Version
}

// companion says whether the instance has the plugin.
func (p *party) companion(t *testing.T) bool {
	t.Helper()
	return p.call(t, p.token, "API.isPluginActivated", "pluginName", "ScimBridge") == `{"value":true}`
}

// needsCompanion skips a case on an instance without the plugin.
func (p *party) needsCompanion(t *testing.T) {
	t.Helper()
	if !p.companion(t) {
		t.Skip("this instance has no companion plugin")
	}
}

// answers insists on the words of an answer.
func (p *party) answers(t *testing.T, want, token, method string, params ...string) {
	t.Helper()
	if got := p.call(t, token, method, params...); got != want {
		t.Errorf("%s %q answers\n%s, want\n%s", method, params, got, want)
	}
}

// refusal is how Matomo answers what it does not do.
func refusal(text string) string { return `{"result":"error","message":"` + text + `"}` }

// tokenIDs returns what getTokens lists, oldest first.
func (p *party) tokenIDs(t *testing.T, login string) (ids []string) {
	t.Helper()
	got := p.call(t, p.token, "ScimBridge.getTokens", "userLogin", login)
	var tokens []struct{ ID int }
	if err := json.Unmarshal([]byte(got), &tokens); err != nil {
		t.Fatalf("%s: %v", got, err)
	}
	for _, tok := range tokens {
		ids = append(ids, strconv.Itoa(tok.ID))
	}
	return ids
}

func contractPluginRefusals(t *testing.T, p *party) {
	if !p.companion(t) {
		p.answers(t, refusal("The plugin ScimBridge is not enabled. You can activate the plugin on Settings &gt; Plugins page in Matomo."), p.token, "ScimBridge.getVersion")
		return
	}
	p.answers(t, fmt.Sprintf(`{"value":%q}`, pluginVersion(t)), p.token, "ScimBridge.getVersion")
	p.bring(t, "plug", p.on("view"))
	login := p.prefix + "plug"
	p.setPassword(t, login)
	token := p.mustMint(t, login)
	const superuser = "You can't access this resource as it requires a 'superuser' access."
	p.answers(t, refusal(superuser), token, "ScimBridge.getVersion")
	for _, method := range []string{"ScimBridge.getTokens", "ScimBridge.revokeTokens", "ScimBridge.logoutUser"} {
		p.answers(t, refusal(superuser), token, method, "userLogin", login)
		p.answers(t, refusal(superuser), token, method, "userLogin", p.prefix+"nobody")
		p.answers(t, refusal(superuser), "", method, "userLogin", login)
		p.answers(t, refusal("Please specify a value for 'userLogin'."), p.token, method)
		p.answers(t, refusal("Please specify a value for 'userLogin'."), p.token, method, "userLogin", "")
		p.answers(t, refusal("User '"+p.prefix+"nobody' doesn't exist."), p.token, method, "userLogin", p.prefix+"nobody")
		for _, anonymous := range []string{"anonymous", "ANONYMOUS"} {
			p.answers(t, refusal("The anonymous user cannot be edited or deleted. It is used by Matomo to define a user that has not logged in yet. "+
				"For example, you can make your statistics public by granting the 'view' access to the 'anonymous' user."), p.token, method, "userLogin", anonymous)
		}
	}
	for _, bad := range []string{"0", "-1", "abc", "1x", "007", "99999999999999999999"} {
		p.answers(t, refusal("idTokenAuth must be the id of a token, as getTokens lists it. Leave it out to end all tokens."),
			p.token, "ScimBridge.revokeTokens", "userLogin", login, "idTokenAuth", bad)
	}
	if ids := p.tokenIDs(t, login); len(ids) != 1 {
		t.Errorf("tokens %v after refusals, want the one", ids)
	}
}

func contractPluginTokens(t *testing.T, p *party) {
	p.needsCompanion(t)
	p.bring(t, "minter", p.on("view"))
	p.bring(t, "neighbour", p.on("view"))
	login, other := p.prefix+"minter", p.prefix+"neighbour"
	p.setPassword(t, login)
	p.setPassword(t, other)
	p.answers(t, "[]", p.token, "ScimBridge.getTokens", "userLogin", login)
	mint := func(params ...string) {
		got := p.call(t, "", "UsersManager.createAppSpecificTokenAuth", append([]string{"userLogin", login, "passwordConfirmation", knownPassword}, params...)...)
		if !strings.Contains(got, "value") {
			t.Fatal(got)
		}
	}
	mint("description", "expired", "expireDate", "2020-01-01")
	mint("description", "dated", "expireDate", "2099-01-02")
	first, second, foreign := p.mustMint(t, login), p.mustMint(t, login), p.mustMint(t, other)

	const when = `"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"`
	listed := `^\[{"id":\d+,"description":"dated","date_created":` + when + `,"last_used":null,"date_expired":"2099-01-02 00:00:00"},` +
		`{"id":\d+,"description":"contract","date_created":` + when + `,"last_used":%s,"date_expired":null},` +
		`{"id":\d+,"description":"contract","date_created":` + when + `,"last_used":null,"date_expired":null}\]$`
	list := p.call(t, p.token, "ScimBridge.getTokens", "userLogin", strings.ToUpper(login))
	if !regexp.MustCompile(fmt.Sprintf(listed, "null")).MatchString(list) {
		t.Errorf("getTokens answers\n%s", list)
	}
	if len(p.sees(t, first)) != 1 {
		t.Fatal("the token does not work to begin with")
	}
	list = p.call(t, p.token, "ScimBridge.getTokens", "userLogin", login)
	if !regexp.MustCompile(fmt.Sprintf(listed, when)).MatchString(list) {
		t.Errorf("getTokens answers after a use\n%s", list)
	}

	ids, others := p.tokenIDs(t, login), p.tokenIDs(t, other)
	p.answers(t, `{"deleted":0}`, p.token, "ScimBridge.revokeTokens", "userLogin", login, "idTokenAuth", others[0])
	p.answers(t, `{"deleted":1}`, p.token, "ScimBridge.revokeTokens", "userLogin", login, "idTokenAuth", ids[1])
	p.answers(t, `{"deleted":0}`, p.token, "ScimBridge.revokeTokens", "userLogin", login, "idTokenAuth", ids[1])
	if len(p.sees(t, first)) != 0 || len(p.sees(t, second)) != 1 || len(p.sees(t, foreign)) != 1 {
		t.Error("want the first token dead, the others alive")
	}
	p.answers(t, `[{"deleted":3},{"deleted":0},[],{"result":"success","message":"ok"}]`, p.token, "API.getBulkRequest",
		"urls[]", "method=ScimBridge.revokeTokens&userLogin="+login, "urls[]", "method=ScimBridge.revokeTokens&userLogin="+login,
		"urls[]", "method=ScimBridge.getTokens&userLogin="+login, "urls[]", "method=ScimBridge.logoutUser&userLogin="+login)
	if len(p.sees(t, second)) != 0 || len(p.sees(t, foreign)) != 1 {
		t.Error("want all tokens of one person dead, and nobody else's")
	}
	s, _ := p.read(t, matomo.Read{}, "minter")
	if a, _ := s.Account(login); !a.Access.Equal(p.on("view")) {
		t.Errorf("access %s, want it untouched", a.Access)
	}
	if _, ok := p.mint(t, login); !ok {
		t.Error("the password does not work any more")
	}
	p.answers(t, `{"deleted":1}`, p.token, "ScimBridge.revokeTokens", "userLogin", login, "idTokenAuth", "") // empty is left out
}

// tracks says whether the Tracking API believes a token: without one it refuses old times.
func (p *party) tracks(t *testing.T, token string) bool {
	t.Helper()
	form := url.Values{"token_auth": {token}, "idsite": {fmt.Sprint(p.sites[0])}, "rec": {"1"}, "cdt": {"2020-01-01 00:00:00"}, "url": {"https://example.org/"}}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, strings.TrimSuffix(p.url, "/")+"/matomo.php", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := p.http.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if !slices.Contains([]int{http.StatusOK, http.StatusNoContent, http.StatusBadRequest}, resp.StatusCode) {
		t.Fatalf("tracking: status %d", resp.StatusCode)
	}
	return resp.StatusCode != http.StatusBadRequest
}

func contractPluginTracking(t *testing.T, p *party) {
	p.needsCompanion(t)
	p.bring(t, "track", p.on("view"))
	login := p.prefix + "track"
	p.setPassword(t, login)
	token := p.mustMint(t, login)
	p.bring(t, "track", p.on("write")) // a change of access makes the tracker look again
	if !p.tracks(t, token) {
		t.Fatal("the tracker does not believe the token to begin with")
	}
	p.answers(t, `{"deleted":1}`, p.token, "ScimBridge.revokeTokens", "userLogin", login)
	if p.tracks(t, token) {
		t.Error("the tracker goes on believing a revoked token")
	}
}

// signIn signs a person in through the page, as a browser does. It returns a function that says whether the session still
// shows the person's own settings.
func (p *party) signIn(t *testing.T, login string) (open func() bool) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Transport: p.http, Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	index := strings.TrimSuffix(p.url, "/") + "/index.php"
	visit := func(query string, form url.Values) (int, string) {
		t.Helper()
		method, body := http.MethodGet, io.Reader(nil)
		if form != nil {
			method, body = http.MethodPost, strings.NewReader(form.Encode())
		}
		req, err := http.NewRequestWithContext(context.Background(), method, index+query, body)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Referer", index) // Matomo refuses a form that comes from elsewhere
		if form != nil {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		resp, err := browser.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		page, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(page)
	}
	_, page := visit("?module=Login", nil)
	nonce := regexp.MustCompile(`id="login_form_nonce" value="([0-9a-f]+)"`).FindStringSubmatch(page)
	if nonce == nil {
		t.Fatalf("no sign-in form in %.300s", page)
	}
	if status, page := visit("?module=Login", url.Values{"form_login": {login}, "form_password": {knownPassword}, "form_nonce": {nonce[1]}}); status != http.StatusFound {
		t.Fatalf("%s cannot sign in: status %d, %.300s", login, status, page)
	}
	return func() bool {
		_, page := visit("?module=UsersManager&action=userSettings", nil)
		return !strings.Contains(page, "login_form_nonce") && strings.Contains(page, login)
	}
}

// contractPluginSessions needs a real sign-in page; what the stand-in does instead is TestSession's.
func contractPluginSessions(t *testing.T, p *party) {
	p.needsCompanion(t)
	if !p.real {
		t.Skip("the stand-in has no pages")
	}
	p.bring(t, "surfer", p.on("view"))
	p.bring(t, "stays", p.on("view"))
	login, stays := p.prefix+"surfer", p.prefix+"stays"
	p.setPassword(t, login)
	p.setPassword(t, stays)
	desk, phone, somebody := p.signIn(t, login), p.signIn(t, login), p.signIn(t, stays)
	if !desk() || !phone() || !somebody() {
		t.Fatal("the sessions do not work to begin with")
	}
	token := p.mustMint(t, login)
	p.answers(t, `{"result":"success","message":"ok"}`, p.token, "ScimBridge.logoutUser", "userLogin", login)
	if desk() || phone() {
		t.Error("a session outlived the logout")
	}
	if !somebody() {
		t.Error("somebody else was signed out")
	}
	if len(p.sees(t, token)) != 1 {
		t.Error("the app token was ended too")
	}
}
