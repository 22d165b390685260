package signin_test

import (
	"strings"
	"testing"

	"github.com/matomo-scim/bridge/config"
	"github.com/matomo-scim/bridge/config/source"
	"github.com/matomo-scim/bridge/internal/app/signin"
	"github.com/matomo-scim/bridge/internal/directory"
)

// issuer is a source that takes tokens, as the file may say it.
func issuer() source.JWT {
	return source.JWT{Issuer: "https://idp.example.com", Audience: "scim", AppIDs: []string{"app"}, Scopes: []string{"read"}, CIDRs: []string{"192.0.2.0/24"}}
}

func TestOptions(t *testing.T) {
	cfg := &config.Config{Sources: []config.Source{{Name: "okta", Basic: true, RequestsPerSecond: 25}, {Name: "entra", JWT: issuer()}}}
	cfg.Listen.TrustedProxies, cfg.Listen.WrongTokensPerMinute = []string{"10.0.0.0/8"}, 30
	out, err := signin.Options(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if len(out.TrustedProxies) != 1 || out.GuessesPerMinute != 30 || len(out.Sources) != 2 {
		t.Errorf("%+v", out)
	}
	if s := out.Sources["okta"]; !s.Basic || s.JWT != nil || s.RequestsPerSecond != 25 {
		t.Errorf("okta: %+v", s)
	}
	s := out.Sources["entra"]
	if s.Basic || s.JWT == nil || s.JWT.Issuer != "https://idp.example.com" || s.JWT.Audience != "scim" || len(s.JWT.CIDRs) != 1 {
		t.Fatalf("entra: %+v", s)
	}
	if read, err := directory.ParseScopes([]string{"read"}); err != nil || s.JWT.Scopes != read {
		t.Errorf("scopes %v, want those of read; %v", s.JWT.Scopes, err)
	}
}

func TestTakesTokens(t *testing.T) {
	if signin.TakesTokens(&config.Config{Sources: []config.Source{{Name: "okta"}}}) {
		t.Error("nobody issues tokens")
	}
	if !signin.TakesTokens(&config.Config{Sources: []config.Source{{Name: "okta"}, {Name: "entra", JWT: issuer()}}}) {
		t.Error("the second source takes tokens")
	}
}

// TestOptions_Refuses: what was not checked when the file was read is refused before anything listens, and the
// message leads to it.
func TestOptions_Refuses(t *testing.T) {
	for want, change := range map[string]func(*config.Config){
		"listen.trusted_proxies": func(c *config.Config) { c.Listen.TrustedProxies = []string{"proxy"} },
		`"entra": jwt: `:         func(c *config.Config) { c.Sources[0].JWT.Scopes = []string{"everything"} },
		`"entra": jwt`:           func(c *config.Config) { c.Sources[0].JWT.CIDRs = []string{"x"} },
	} {
		cfg := &config.Config{Sources: []config.Source{{Name: "entra", JWT: issuer()}}}
		change(cfg)
		if _, err := signin.Options(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want one that names %s", err, want)
		}
	}
}
