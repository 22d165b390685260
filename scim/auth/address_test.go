package auth_test

import (
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/scim/auth"
)

// behindProxies trusts 10.0.0.0/8 and one IPv6 block.
func behindProxies(tb testing.TB) *door {
	tb.Helper()
	return newDoor(tb, func(o *auth.Options) { o.TrustedProxies = []netip.Prefix{block("10.0.0.0/8"), block("fd00::/8")} })
}

func TestAddress(t *testing.T) {
	d := behindProxies(t)
	for name, c := range map[string]struct {
		remote  string
		headers []string
		want    string // "" for not known
	}{
		"direct":                        {"192.0.2.1:99", nil, "192.0.2.1"},
		"direct, claims to be another":  {"192.0.2.1:99", []string{"X-Forwarded-For", "198.51.100.1"}, "192.0.2.1"},
		"direct, with Forwarded":        {"192.0.2.1:99", []string{"Forwarded", "for=198.51.100.1"}, "192.0.2.1"},
		"IPv6":                          {"[2001:db8::1]:99", nil, "2001:db8::1"},
		"IPv4 in IPv6":                  {"[::ffff:192.0.2.1]:99", nil, "192.0.2.1"},
		"zone":                          {"[fe80::1%eth0]:99", nil, "fe80::1"},
		"a pipe":                        {"@", nil, ""},
		"proxy that says nothing":       {"10.0.0.1:99", nil, "10.0.0.1"},
		"one proxy":                     {"10.0.0.1:99", []string{"X-Forwarded-For", "198.51.100.1"}, "198.51.100.1"},
		"proxy as IPv4 in IPv6":         {"[::ffff:10.0.0.1]:99", []string{"X-Forwarded-For", "198.51.100.1"}, "198.51.100.1"},
		"proxy in IPv6":                 {"[fd00::5]:99", []string{"X-Forwarded-For", "2001:db8::9"}, "2001:db8::9"},
		"client lies":                   {"10.0.0.1:99", []string{"X-Forwarded-For", "203.0.113.5, 198.51.100.1"}, "198.51.100.1"},
		"client lies about proxies":     {"10.0.0.1:99", []string{"X-Forwarded-For", "203.0.113.5, 10.9.9.9, 198.51.100.1"}, "198.51.100.1"},
		"two proxies":                   {"10.0.0.1:99", []string{"X-Forwarded-For", "203.0.113.5,198.51.100.1 , 10.0.0.2"}, "198.51.100.1"},
		"two lines":                     {"10.0.0.1:99", []string{"X-Forwarded-For", "203.0.113.5", "X-Forwarded-For", "198.51.100.1"}, "198.51.100.1"},
		"all are proxies":               {"10.0.0.1:99", []string{"X-Forwarded-For", "10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		"port":                          {"10.0.0.1:99", []string{"X-Forwarded-For", "198.51.100.1:443"}, "198.51.100.1"},
		"brackets":                      {"10.0.0.1:99", []string{"X-Forwarded-For", "[2001:db8::9]"}, "2001:db8::9"},
		"brackets and port":             {"10.0.0.1:99", []string{"X-Forwarded-For", "[2001:db8::9]:443"}, "2001:db8::9"},
		"unknown":                       {"10.0.0.1:99", []string{"X-Forwarded-For", "198.51.100.1, unknown"}, ""},
		"rubbish":                       {"10.0.0.1:99", []string{"X-Forwarded-For", "198.51.100.1, <script>"}, ""},
		"empty hop":                     {"10.0.0.1:99", []string{"X-Forwarded-For", "198.51.100.1,"}, ""},
		"Forwarded":                     {"10.0.0.1:99", []string{"Forwarded", `for=203.0.113.5, For="198.51.100.1:80";proto=https;by=10.0.0.1`}, "198.51.100.1"},
		"Forwarded, IPv6":               {"10.0.0.1:99", []string{"Forwarded", `proto=https; for="[2001:db8::9]:80"`}, "2001:db8::9"},
		"Forwarded, hidden":             {"10.0.0.1:99", []string{"Forwarded", `for=198.51.100.1, for=_hidden`}, ""},
		"Forwarded without for":         {"10.0.0.1:99", []string{"Forwarded", `for=198.51.100.1, by=10.0.0.1`}, ""},
		"both agree":                    {"10.0.0.1:99", []string{"Forwarded", "for=198.51.100.1", "X-Forwarded-For", "9.9.9.9, 198.51.100.1"}, "198.51.100.1"},
		"both differ: one is a forgery": {"10.0.0.1:99", []string{"Forwarded", "for=203.0.113.5", "X-Forwarded-For", "198.51.100.1"}, ""},
	} {
		got := d.Address(request(t, c.remote, c.headers...))
		if c.want == "" && got.IsValid() || c.want != "" && got.String() != c.want {
			t.Errorf("%s: %v, want %q", name, got, c.want)
		}
	}
}

// TestAddress_NothingThatAClientWritesCounts: whatever stands in the headers when a request reaches the first trusted
// proxy, the address is the one that this proxy saw, or not known.
func TestAddress_NothingThatAClientWritesCounts(t *testing.T) {
	d := behindProxies(t)
	rapid.Check(t, func(rt *rapid.T) {
		hop := rapid.OneOf(
			rapid.SampledFrom([]string{"203.0.113.5", "10.1.2.3", "unknown", "", "[2001:db8::9]:1", "198.51.100.77", "fd00::1", "::ffff:10.0.0.1"}),
			rapid.StringMatching(`[ -~]{0,20}`),
		)
		written := strings.Join(rapid.SliceOfN(hop, 0, 5).Draw(rt, "written"), ",")
		headers := []string{"X-Forwarded-For", strings.TrimPrefix(written+", 198.51.100.1", ", ")}
		if rapid.Bool().Draw(rt, "forwarded too") {
			headers = append(headers, "Forwarded", rapid.StringMatching(`[ -~]{0,40}`).Draw(rt, "forwarded"))
		}
		got := d.Address(request(t, "10.0.0.1:99", headers...))
		if got.IsValid() && got != netip.MustParseAddr("198.51.100.1") {
			rt.Fatalf("%q: %v", headers, got)
		}
	})
}

// FuzzAddress looks for headers that break the reader.
func FuzzAddress(f *testing.F) {
	f.Add("10.0.0.1:1", "198.51.100.1, 10.0.0.2", "")
	f.Add("10.0.0.1:1", "", `for="[2001:db8::9]:80";proto=https`)
	f.Add("[::1%x]:1", "::ffff:10.0.0.1,,", "for=;for==\"")
	d := behindProxies(f)
	f.Fuzz(func(t *testing.T, remote, forwardedFor, forwarded string) {
		addr := d.Address(request(t, remote, "X-Forwarded-For", forwardedFor, "Forwarded", forwarded))
		if addr.Is4In6() || addr.Zone() != "" {
			t.Errorf("%v is in no block that it should be in", addr)
		}
	})
}
