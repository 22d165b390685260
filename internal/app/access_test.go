package app

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/config"
	"github.com/matomo-scim/bridge/config/source"
	"github.com/matomo-scim/bridge/internal/directory"
)

// accessWorld is a bridge whose one source signs in in every way, and the issuer of its tokens.
type accessWorld struct {
	*App

	t      *testing.T
	issuer *httptest.Server
	key    *ecdsa.PrivateKey
	secret string
}

// newAccessWorld starts it from a configuration, as an administrator would write it.
func newAccessWorld(t *testing.T) *accessWorld {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	w := &accessWorld{t: t, key: key}
	w.issuer = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/keys" {
			_ = json.NewEncoder(rw).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{KeyID: "k", Key: key.Public(), Algorithm: "ES256"}}})
			return
		}
		_, _ = fmt.Fprintf(rw, `{"issuer":%q,"jwks_uri":%q}`, w.issuer.URL, w.issuer.URL+"/keys")
	}))
	t.Cleanup(w.issuer.Close)
	sim := NewSimulator(SimulatorOptions{ForgetCalls: true})
	matomo := httptest.NewServer(sim)
	t.Cleanup(matomo.Close)
	cfg := writeConfig(t, sim, matomo.URL+"/", testRules)
	cfg.Listen.TrustedProxies = []string{"127.0.0.0/8"}
	cfg.Listen.PublicDiscovery = true
	cfg.Listen.WrongTokensPerMinute = 2
	cfg.Sources[0].Basic, cfg.Sources[0].RequestsPerSecond = true, 100
	cfg.Sources[0].Journal = source.Journal{Requests: 10, Bodies: true, Keep: time.Hour}
	cfg.Sources[0].JWT = source.JWT{
		Issuer: w.issuer.URL, Audience: "bridge", AppIDs: []string{"client-1"}, ClientClaim: "azp",
		Scopes: []string{"read"}, CIDRs: []string{"198.51.100.0/24"},
	}
	opt := Options{Logger: zap.NewNop(), Version: "test"}
	w.secret = credentialFor(t, cfg, opt)
	if w.App, err = New(t.Context(), cfg, opt); err != nil {
		t.Fatal(err)
	}
	w.Start(t.Context())
	t.Cleanup(func() { w.Stop(context.Background()) })
	return w
}

// token is a JWT of the client.
func (w *accessWorld) token() string {
	w.t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: w.key, KeyID: "k"}}, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	signed, err := signer.Sign(fmt.Appendf(nil, `{"iss":%q,"aud":"bridge","azp":"client-1","exp":%d}`, w.issuer.URL, time.Now().Add(time.Hour).Unix()))
	if err != nil {
		w.t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		w.t.Fatal(err)
	}
	return text
}

// do makes a request, with pairs of header and value.
func (w *accessWorld) do(method, path, body string, headers ...string) int {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, "http://"+w.SCIMAddr()+"/scim/v2"+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := new(http.Client).Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode
}

// TestAccess_FromTheConfiguration: every key about signing in does what it says in a running bridge.
func TestAccess_FromTheConfiguration(t *testing.T) {
	w := newAccessWorld(t)
	bearer, jwt, inside := "Bearer "+w.secret, "Bearer "+w.token(), "198.51.100.7"
	basic := &http.Request{Header: http.Header{}}
	basic.SetBasicAuth("test", w.secret)
	for name, c := range map[string]struct {
		method, path string
		headers      []string
		want         int
	}{
		"secret":                {"GET", "/Users", []string{"Authorization", bearer}, 200},
		"HTTP Basic":            {"GET", "/Users", []string{"Authorization", basic.Header.Get("Authorization")}, 200},
		"public discovery":      {"GET", "/ServiceProviderConfig", nil, 200},
		"everything else":       {"GET", "/Users", nil, 401},
		"JWT through the proxy": {"GET", "/Users", []string{"Authorization", jwt, "X-Forwarded-For", inside}, 200},
		"JWT from elsewhere":    {"GET", "/Users", []string{"Authorization", jwt, "X-Forwarded-For", "192.0.2.1"}, 401},
		"JWT that writes":       {"POST", "/Users", []string{"Authorization", jwt, "X-Forwarded-For", inside}, 403},
	} {
		if got := w.do(c.method, c.path, "{}", c.headers...); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
	for i, want := range []int{401, 401, 429} {
		if got := w.do("GET", "/Users", "", "Authorization", "Bearer x", "X-Forwarded-For", "203.0.113.9"); got != want {
			t.Errorf("wrong token %d: %d, want %d", i, got, want)
		}
	}
	for range 2000 {
		if got := w.do("GET", "/Users", "", "Authorization", bearer); got == http.StatusTooManyRequests {
			return // the allowance of 100 a second
		}
	}
	t.Error("2000 requests at once were all answered")
}

// TestAccess_JournalIsRead: a command reads what the running bridge has written.
func TestAccess_JournalIsRead(t *testing.T) {
	w := newAccessWorld(t)
	if got := w.do("POST", "/Users", `{"userName":17,"password":"hunter2"}`, "Authorization", "Bearer "+w.secret); got != http.StatusBadRequest {
		t.Fatalf("status %d", got)
	}
	opt := Options{Logger: zap.NewNop(), Version: "test", ReadOnly: true}
	command, err := Open(t.Context(), w.Config, opt)
	if err != nil {
		t.Fatal(err)
	}
	defer command.Close()
	deadline := time.After(20 * time.Second)
	for {
		list, err := command.Requests.List(t.Context(), JournalQuery{Failed: true})
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 1 {
			if e := list[0]; e.Attribute != "userName" || e.RequestBody != `{"userName":17,"password":"[redacted]"}` {
				t.Errorf("%+v", e)
			}
			return
		}
		select {
		case <-deadline:
			t.Fatal("nothing is in the journal")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// TestAccess_NothingBeforeAuthentication: not even what net/http answers by itself.
func TestAccess_NothingBeforeAuthentication(t *testing.T) {
	w := newAccessWorld(t)
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", w.SCIMAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := fmt.Fprintf(conn, "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("OPTIONS *: %d, want 401", resp.StatusCode)
	}
}

// TestCheckSignIn says of every source whether it has a way in, how long it lasts, and whether its issuer answers.
func TestCheckSignIn(t *testing.T) {
	w := newAccessWorld(t)
	soon, far := time.Now().Add(24*time.Hour), time.Now().Add(300*24*time.Hour)
	for _, spec := range []directory.CredentialSpec{
		{Name: "soon", Source: "soon", Expires: &soon}, {Name: "far-1", Source: "far", Expires: &soon}, {Name: "far-2", Source: "far", Expires: &far},
	} {
		if _, err := w.Directory.IssueCredential(t.Context(), spec); err != nil {
			t.Fatal(err)
		}
	}
	jwt := w.Config.Sources[0].JWT
	nowhere := jwt
	nowhere.Issuer = w.issuer.URL + "/elsewhere"
	check := func(sources ...config.Source) string {
		t.Helper()
		cfg := *w.Config
		cfg.Sources = sources
		found, err := (&Services{Config: &cfg, Directory: w.Directory}).CheckSignIn(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, f := range found {
			lines = append(lines, fmt.Sprintf("%v %s: %s", f.Level, f.Name, f.Text))
		}
		return strings.Join(lines, "\n")
	}
	got := check(config.Source{Name: "scim", JWT: jwt}, config.Source{Name: "none"}, config.Source{Name: "soon"}, config.Source{Name: "far"},
		config.Source{Name: "tokens", JWT: nowhere})
	for _, want := range []string{
		fmt.Sprintf("%v source scim: live credentials: 1", LevelOK),
		fmt.Sprintf("%v issuer of scim: %s answers; keys that count: 1", LevelOK, w.issuer.URL),
		fmt.Sprintf("%v source none: no live credential", LevelWarn),
		fmt.Sprintf("%v source soon: its last credential ends at %s", LevelWarn, soon.UTC().Format(time.DateTime)),
		fmt.Sprintf("%v source far: live credentials: 2", LevelOK),
		fmt.Sprintf("%v issuer of tokens: ", LevelFail),
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "source tokens") || strings.Contains(got, "credentials: none") {
		t.Errorf("a source with an issuer needs no credential:\n%s", got)
	}
	if got := check(config.Source{Name: "none"}); !strings.Contains(got, fmt.Sprintf("%v credentials: none", LevelFail)) {
		t.Errorf("nobody could sign in:\n%s", got)
	}
}

// TestNew_WithoutCredential: a bridge whose only way in is an issuer starts; one without any way in does not.
func TestNew_WithoutCredential(t *testing.T) {
	sim := NewSimulator(SimulatorOptions{})
	matomo := httptest.NewServer(sim)
	defer matomo.Close()
	cfg := writeConfig(t, sim, matomo.URL+"/", testRules)
	cfg.Sources[0].JWT = source.JWT{
		Issuer: "https://login.example.com/", Audience: "bridge", AppIDs: []string{"x"}, ClientClaim: "azp", Scopes: source.Scopes(),
	}
	a, err := New(t.Context(), cfg, Options{Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	a.Stop(context.Background())
}

func TestParseScopes(t *testing.T) {
	if set, err := ParseScopes([]string{"users"}); err != nil || set == directory.AllScopes {
		t.Errorf("%v, %v", set, err)
	}
}
