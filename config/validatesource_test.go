package config

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/matomo-scim/bridge/config/certificate"
	"github.com/matomo-scim/bridge/config/source"
)

// withSources is the minimal file with a list of sources.
func withSources(text string) []byte {
	return []byte(strings.Replace(minimal, "mapping:", "sources:\n"+text+"\nmapping:", 1))
}

// tenant is the id of a tenant, as an admin may paste it.
const tenant = "0123ABCD-89ab-cdef-0123-456789abcdef"

func TestSource_SignsIn(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		want source.JWT
	}{
		"nothing": {`  - {name: a}`, source.JWT{Scopes: []string{"users", "groups", "read"}}},
		"tenant": {
			`  - {name: a, jwt: {entra_tenant: ` + tenant + `, app_ids: [x]}}`,
			source.JWT{
				EntraTenant: strings.ToLower(tenant), Issuer: "https://sts.windows.net/" + strings.ToLower(tenant) + "/",
				Audience: "8adf8e6e-67b2-4cf2-a259-e3dc5476c621", AppIDs: []string{"x"}, ClientClaim: "appid", Scopes: []string{"users", "groups", "read"},
			},
		},
		"tenant of a gallery app": {
			`  - {name: a, jwt: {entra_tenant: ` + tenant + `, audience: mine, client_claim: azp, app_ids: [x]}}`,
			source.JWT{
				EntraTenant: strings.ToLower(tenant), Issuer: "https://sts.windows.net/" + strings.ToLower(tenant) + "/",
				Audience: "mine", AppIDs: []string{"x"}, ClientClaim: "azp", Scopes: []string{"users", "groups", "read"},
			},
		},
		"issuer": {
			`  - {name: a, jwt: {issuer: "https://login.example.com/realms/a", audience: bridge, app_ids: [x, y], scopes: [read], cidrs: [10.0.0.0/8, "2001:db8::1"]}}`,
			source.JWT{
				Issuer: "https://login.example.com/realms/a", Audience: "bridge", AppIDs: []string{"x", "y"}, ClientClaim: "client_id",
				Scopes: []string{"read"}, CIDRs: []string{"10.0.0.0/8", "2001:db8::1"},
			},
		},
		"issuer on this machine": {
			`  - {name: a, jwt: {issuer: "http://127.0.0.1:8080", audience: bridge, app_ids: [x], client_claim: "urn:x/y"}}`,
			source.JWT{Issuer: "http://127.0.0.1:8080", Audience: "bridge", AppIDs: []string{"x"}, ClientClaim: "urn:x/y", Scopes: []string{"users", "groups", "read"}},
		},
	} {
		c, err := Parse("f", withSources(tc.text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(tc.want, c.Sources[0].JWT); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if c.Sources[0].JWT.IsZero() != (name == "nothing") {
			t.Errorf("%s: IsZero %v", name, c.Sources[0].JWT.IsZero())
		}
	}
}

func TestSource_Refuses(t *testing.T) {
	const good = `entra_tenant: ` + tenant + `, app_ids: [x]`
	for name, tc := range map[string]struct{ text, key, msg string }{
		"rate":              {`  - {name: a, requests_per_second: -1}`, "sources[0].requests_per_second", "-1 is out of range"},
		"no client":         {`  - {name: a, jwt: {entra_tenant: ` + tenant + `}}`, "sources[0].jwt.app_ids", "every client of the issuer could come in"},
		"empty client":      {`  - {name: a, jwt: {entra_tenant: ` + tenant + `, app_ids: [" "]}}`, "sources[0].jwt.app_ids[0]", "empty"},
		"client twice":      {`  - {name: a, jwt: {entra_tenant: ` + tenant + `, app_ids: [x, x]}}`, "sources[0].jwt.app_ids[1]", "already in the list"},
		"no issuer":         {`  - {name: a, jwt: {audience: x}}`, "sources[0].jwt", "names no issuer"},
		"clients only":      {`  - {name: a, jwt: {app_ids: [x]}}`, "sources[0].jwt", "names no issuer"},
		"tenant's name":     {`  - {name: a, jwt: {entra_tenant: contoso.example, app_ids: [x]}}`, "sources[0].jwt.entra_tenant", "no tenant id"},
		"tenant and issuer": {`  - {name: a, jwt: {` + good + `, issuer: "https://login.example.com"}}`, "sources[0].jwt.issuer", "entra_tenant is set too"},
		"no audience":       {`  - {name: a, jwt: {issuer: "https://login.example.com", app_ids: [x]}}`, "sources[0].jwt.audience", "missing"},
		"http":              {`  - {name: a, jwt: {issuer: "http://login.example.com", audience: b, app_ids: [x]}}`, "sources[0].jwt.issuer", "unprotected"},
		"no URL":            {`  - {name: a, jwt: {issuer: login, audience: b, app_ids: [x]}}`, "sources[0].jwt.issuer", "not an https address"},
		"user in URL":       {`  - {name: a, jwt: {issuer: "https://a:b@login.example.com", audience: b, app_ids: [x]}}`, "sources[0].jwt.issuer", "more than a host and a path"},
		"query in URL":      {`  - {name: a, jwt: {issuer: "https://login.example.com/?a=b", audience: b, app_ids: [x]}}`, "sources[0].jwt.issuer", "more than a host and a path"},
		"claim":             {`  - {name: a, jwt: {` + good + `, client_claim: "a b"}}`, "sources[0].jwt.client_claim", "no name of a claim"},
		"no scope":          {`  - {name: a, jwt: {` + good + `, scopes: []}}`, "sources[0].jwt.scopes", "allows nothing"},
		"unknown scope":     {`  - {name: a, jwt: {` + good + `, scopes: [user]}}`, "sources[0].jwt.scopes[0]", `"user" is not known here`},
		"scope twice":       {`  - {name: a, jwt: {` + good + `, scopes: [read, read]}}`, "sources[0].jwt.scopes[1]", "already in the list"},
		"block":             {`  - {name: a, jwt: {` + good + `, cidrs: [10.0.0.1/8]}}`, "sources[0].jwt.cidrs[0]", "the block is 10.0.0.0/8"},
		"same client": {
			"  - {name: a, jwt: {" + good + "}}\n  - {name: b, jwt: {entra_tenant: " + strings.ToLower(tenant) + ", app_ids: [y, x]}}",
			"sources[1].jwt.app_ids[1]", `already speaks for the source "a"`,
		},
		"journal":       {`  - {name: a, journal: {requests: 10001}}`, "sources[0].journal.requests", "out of range"},
		"journal short": {`  - {name: a, journal: {keep: 59m}}`, "sources[0].journal.keep", "out of range"},
		"journal long":  {`  - {name: a, journal: {keep: 91d}}`, "sources[0].journal.keep", "out of range"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("f", withSources(tc.text))
			if err == nil {
				t.Fatal("accepted")
			}
			ps := problemsOf(t, err)
			if len(ps) != 1 || ps[0].Key != tc.key || !strings.Contains(ps[0].Msg, tc.msg) || ps[0].Line == 0 || ps[0].Hint == "" {
				t.Errorf("problems: %v, want %s: %s", ps, tc.key, tc.msg)
			}
		})
	}
}

// Two sources may share an issuer when something tells their tokens apart.
func TestSource_ShareAnIssuer(t *testing.T) {
	_, err := Parse("f", withSources("  - {name: a, jwt: {entra_tenant: "+tenant+", app_ids: [x]}}\n"+
		"  - {name: b, jwt: {entra_tenant: "+tenant+", app_ids: [y]}}\n"+
		"  - {name: c, jwt: {entra_tenant: "+tenant+", audience: other, app_ids: [x]}}"))
	if err != nil {
		t.Error(err)
	}
}

func TestListen_Access(t *testing.T) {
	c, err := Parse("f", []byte(minimal+"listen: {trusted_proxies: [10.0.0.0/8, 192.0.2.1], public_discovery: true, wrong_tokens_per_minute: 0}\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := Listen{
		SCIM: ":8080", Metrics: "127.0.0.1:9464", TrustedProxies: []string{"10.0.0.0/8", "192.0.2.1"}, PublicDiscovery: true,
		TLS: certificate.Keys{ACMEDir: "acme"},
	}
	if diff := cmp.Diff(want, c.Listen, ignoreSecrets); diff != "" {
		t.Errorf("listen (-want +got):\n%s", diff)
	}
	for text, key := range map[string]string{
		"trusted_proxies: [proxy.example]":           "listen.trusted_proxies[0]",
		"trusted_proxies: [10.0.0.0/8,10.0.0.0/8]":   "listen.trusted_proxies[1]",
		"trusted_proxies: [\"::ffff:10.0.0.0/104\"]": "listen.trusted_proxies[0]",
		"trusted_proxies: [10.0.0.0/8, 0.0.0.0/0]":   "listen.trusted_proxies[1]",
		"trusted_proxies: [\"::/0\"]":                "listen.trusted_proxies[0]",
		"wrong_tokens_per_minute: -1":                "listen.wrong_tokens_per_minute",
	} {
		_, err := Parse("f", []byte(minimal+"listen: {"+text+"}\n"))
		if ps := problemsOf(t, err); len(ps) != 1 || ps[0].Key != key {
			t.Errorf("%s: %v", text, ps)
		}
	}
}

func TestParseBlocks(t *testing.T) {
	got, err := ParseBlocks([]string{"10.0.0.0/8", "192.0.2.1", "2001:db8::/32", "::1"})
	want := []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("::1/128"),
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, text := range []string{"", "10.0.0/8", "10.0.0.0/33", "10.0.0.1/8", "fe80::1%eth0", "::ffff:10.0.0.1", "::ffff:10.0.0.0/104", "everywhere", "10.0.0.0/8 "} {
		if got, err := ParseBlocks([]string{text}); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}
