package spelling

import (
	"strings"
	"testing"
	"time"
)

func TestDuration(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0s": 0, "10s": 10 * time.Second, "1m": time.Minute, "1m30s": 90 * time.Second, "24h": 24 * time.Hour,
		"10h30m": 630 * time.Minute, "1h0m1s": time.Hour + time.Second, "720h": 720 * time.Hour, "-1m": -time.Minute, "250ms": 250 * time.Millisecond,
	} {
		if got := Duration(d); got != want {
			t.Errorf("%d is written %s, want %s", d, got, want)
		}
	}
}

func TestNearest(t *testing.T) {
	words := []string{"url", "token_file", "token_env", "mode", "manage", "requests_per_minute"}
	for in, want := range map[string]string{
		"ulr": "url", "URL": "url", "tokenfile": "token_file", "token-env": "token_env", "mod": "mode",
		"request_per_minutes": "requests_per_minute", "colour": "", "x": "", "": "",
		strings.Repeat("url", 100): "",
	} {
		if got := Nearest(in, words); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"abc", "abc", 0},
		{"", "abc", 3},
		{"abc", "", 3},
		{"abc", "abd", 1},
		{"abc", "acb", 1},
		{"abc", "xabc", 1},
		{"kitten", "sitting", 3},
	} {
		if got := distance(tc.a, tc.b); got != tc.want {
			t.Errorf("distance(%q, %q) = %d, want %d", tc.a, tc.b, got, tc.want)
		}
		if got := distance(tc.b, tc.a); got != tc.want {
			t.Errorf("distance(%q, %q) = %d, want %d", tc.b, tc.a, got, tc.want)
		}
	}
}
