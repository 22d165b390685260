package config

import (
	"reflect"
	"strings"
	"testing"
)

// FuzzParse feeds whatever text to the decoder and the checks. They never
// panic; each problem has a place inside the file; the same text always gives
// the same answer; and what is accepted keeps the promises of the checks.
func FuzzParse(f *testing.F) {
	f.Add([]byte(minimal))
	f.Add([]byte(Example()))
	f.Add([]byte("targets: [{name: a, url: 'http://[::1', token: x, leavers: {delete_after: 9d9d}}]"))
	f.Add([]byte("mapping: {login_replace: {? [a] : b, '': c}, files: [a, a]}\n---\nx: &a [*a]"))
	f.Add([]byte("listen: {scim: ':99999', metrics: \"\\u202e\"}\nreconcile: {settle: -1h}\ndatabase: {url: 'postgres://u:p@/'}"))
	f.Add([]byte("\xfe\xff ( !")) // UTF-16, by its first two bytes
	f.Add([]byte("\r\r\u2028\u2029\u00850:0:"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("f", data)
		again, errAgain := Parse("f", data)
		if !reflect.DeepEqual(c, again) || (err == nil) != (errAgain == nil) {
			t.Fatal("the same text gave two answers")
		}
		if err == nil {
			checkPromises(t, c)
			return
		}
		if c != nil {
			t.Fatal("an error came with a Config")
		}
		if err.Error() != errAgain.Error() {
			t.Fatalf("the same text gave two errors:\n%v\n%v", err, errAgain)
		}
		lines := len(newReport("f", data).lines)
		for _, p := range problemsOf(t, err) {
			if p.Line < 1 || p.Line > lines || p.Col < 1 || p.Msg == "" {
				t.Fatalf("problem without a place in %d lines: %+v", lines, p)
			}
			for _, s := range []string{p.Key, p.Msg, p.Hint, p.Excerpt} {
				if strings.ContainsAny(s, "\n\r\x1b") {
					t.Fatalf("control characters in %q", s)
				}
			}
		}
	})
}

// checkPromises fails when an accepted Config is not what its users rely on.
func checkPromises(t *testing.T, c *Config) {
	t.Helper()
	if len(c.Sources) == 0 || len(c.Targets) == 0 || len(c.Mapping.Files) == 0 || len(c.Mapping.EmailFrom) == 0 {
		t.Fatalf("something required is missing: %+v", c)
	}
	names := map[string]bool{}
	for _, target := range c.Targets {
		if names[strings.ToLower(target.Name)] || !nameForm.MatchString(target.Name) {
			t.Fatalf("target name %q", target.Name)
		}
		names[strings.ToLower(target.Name)] = true
		if !strings.HasSuffix(target.URL, "/") || strings.Contains(target.URL, "@") && strings.Contains(target.URL, "://@") {
			t.Fatalf("target url %q", target.URL)
		}
		if target.Login == "" || (target.TokenFile == "") == (target.TokenEnv == "") {
			t.Fatalf("target %+v", target)
		}
		if target.RequestsPerMinute < 0 || target.Leavers.DeleteAfter < 0 {
			t.Fatalf("target %+v", target)
		}
	}
	if !names[strings.ToLower(c.Mapping.DefaultTarget)] {
		t.Fatalf("default target %q", c.Mapping.DefaultTarget)
	}
}
