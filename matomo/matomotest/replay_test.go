package matomotest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/matomo-scim/bridge/matomo/matomotest"
)

// TestReplay replays every recorded exchange of both versions, in the order in
// which they were recorded and on one server, and compares status, content type,
// Matomo's own headers and the body byte for byte, except for what normal takes
// out. Fake time runs only where the recording's seconds matter.
func TestReplay(t *testing.T) {
	for _, version := range []string{matomotest.Version5, matomotest.Version4} {
		t.Run(version, func(t *testing.T) {
			files := readRecordings(t, version)
			synctest.Test(t, func(t *testing.T) {
				r := &replay{t: t, version: version, minted: map[string][]string{}, sessions: map[string]*matomotest.Session{}, used: map[string]bool{}}
				r.s = matomotest.New(matomotest.Options{Version: version, Token: "TOKEN", Password: "PASSWORD", TokenRevoker: true})
				for _, file := range files {
					r.run(file)
				}
				r.finish()
			})
		})
	}
}

// replay is one run through the recordings of a version.
type replay struct {
	t        *testing.T
	s        *matomotest.Server
	version  string
	minted   map[string][]string // tokens by mask, oldest first
	sessions map[string]*matomotest.Session
	last     string          // the body of the answer before
	file     []exchange      // the current file
	used     map[string]bool // hooks and exclusions that were met

	requests, looks, excluded int
}

// excluded lists what is not replayed, by file and index, with the reason. An
// entry that is not met fails the test.
var excluded = map[string]string{
	"19#12": "API.getReportMetadata describes Matomo's reports; the model has no reporting data",
	"47#1":  "what twelve parallel writes leave is chance (one row here, two elsewhere); TestTrap07 forces it",
}

func (r *replay) run(file []exchange) {
	r.file = file
	r.s.ClearFailedLogins() // the recorder emptied the log between scenarios
	time.Sleep(time.Second)
	r.before(file[0].file)
	for _, e := range file {
		key := fmt.Sprintf("%s#%d", e.file, e.index)
		if excluded[key] != "" {
			r.used[key] = true
			r.excluded++
			continue
		}
		r.before(key)
		if e.Request != nil {
			r.requests++
			r.exchange(key, e)
			continue
		}
		r.looks++
		r.look(key, e)
	}
	r.s.ClearFaults()
	r.s.AllowOnly()
	r.s.RequirePostTokens(false)
}

// before runs the hooks of a file or an entry: what the recorder did beside the
// API.
func (r *replay) before(key string) {
	for _, name := range []string{key, r.version + "/" + key} {
		if hook := hooks[name]; hook != nil {
			r.used[name] = true
			hook(r)
		}
	}
}

func (r *replay) finish() {
	for key := range excluded {
		if !r.used[key] {
			r.t.Errorf("exclusion %s was not met", key)
		}
	}
	for key := range hooks {
		other := (strings.HasPrefix(key, matomotest.Version4) || strings.HasPrefix(key, matomotest.Version5)) && !strings.HasPrefix(key, r.version)
		if !r.used[key] && !other {
			r.t.Errorf("hook %s was not met", key)
		}
	}
	r.t.Logf("Matomo %s: %d exchanges and %d looks replayed, %d excluded", r.version, r.requests, r.looks, r.excluded)
	if r.requests+r.looks+r.excluded != 910 {
		r.t.Errorf("replayed and excluded %d of the 910 recorded entries", r.requests+r.looks+r.excluded)
	}
}

// exchange sends one recorded request and compares the answer.
func (r *replay) exchange(key string, e exchange) {
	rq := e.Request.build(r.t, func(v string) string { return r.unmask(key, v) })
	resp, err := r.s.RoundTripper().RoundTrip(rq)
	if err != nil {
		r.t.Errorf("%s: %v", key, err)
		return
	}
	data, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		r.t.Errorf("%s: %v", key, err)
		return
	}
	r.last = string(data)
	r.remember(e)
	if resp.StatusCode != e.Response.Status {
		r.t.Errorf("%s %s: status %d, recorded %d", key, e.Request.method(), resp.StatusCode, e.Response.Status)
	}
	for _, name := range []string{"Content-Type", "X-Matomo-Total-Results", "X-Matomo-Has-Some"} {
		want := e.Response.Headers[name]
		if e.Response.Headers == nil {
			want = resp.Header.Get(name) // not recorded
		}
		if got := resp.Header.Get(name); got != want {
			r.t.Errorf("%s %s: header %s is %q, recorded %q", key, e.Request.method(), name, got, want)
		}
	}
	if got, want := normal(r.last), normal(e.Response.Body); got != want {
		r.t.Errorf("%s %s %s:\n got %s\nwant %s", key, e.Request.method(), e.Note, difference(got, want), difference(want, got))
	}
}

// difference returns a's text from shortly before the place where b differs.
func difference(a, b string) string {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	from := max(0, i-60)
	return a[from:min(len(a), from+400)]
}

// remember keeps the token that the recording masks.
func (r *replay) remember(e exchange) {
	var recorded, got struct{ Value any }
	_ = json.Unmarshal([]byte(e.Response.Body), &recorded)
	_ = json.Unmarshal([]byte(r.last), &got)
	mask, _ := recorded.Value.(string)
	secret, _ := got.Value.(string)
	if strings.HasPrefix(mask, "TOKEN:") && secret != "" {
		r.minted[mask] = append(r.minted[mask], secret)
	}
}

var maskPattern = regexp.MustCompile(`^TOKEN:.*$|TOKEN:[a-z0-9@.]+`)

// unmask puts the real secrets into a recorded value. The masked passwords are
// the passwords, but for one.
func (r *replay) unmask(key, value string) string {
	if value == "PASSWORD:amp" {
		return `P&ss<w>"rd'1`
	}
	return maskPattern.ReplaceAllStringFunc(value, func(mask string) string {
		tokens := r.minted[mask]
		if len(tokens) == 0 {
			r.t.Errorf("%s: no token was minted as %s", key, mask)
			return mask
		}
		if which, ok := map[string]int{"81#9": 0, "81#10": 1, "81#11": 2}[key]; ok {
			return tokens[which] // each of the three is tried
		}
		return tokens[len(tokens)-1]
	})
}

// post sends a form to an API method as the superuser and returns the body.
func (r *replay) post(method, form string) string {
	rq, err := http.NewRequestWithContext(context.Background(), http.MethodPost,
		"http://matomo.test/index.php?module=API&format=JSON&method="+method, strings.NewReader("token_auth=TOKEN&"+form))
	if err != nil {
		r.t.Fatal(err)
	}
	rq.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := r.s.RoundTripper().RoundTrip(rq)
	if err != nil {
		r.t.Error(err)
		return ""
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Error(err)
	}
	return string(data)
}

func (r *replay) session(name string) string {
	status, login := r.sessions[name].Open()
	return fmt.Sprint(status, " ", login)
}

// keys returns the keys of a JSON object in order, or the count of a list.
func keysOf(t *testing.T, body string) (keys []string, isList bool) {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(body))
	tok, err := dec.Token()
	if err != nil {
		t.Fatal(err)
	}
	isList = tok == json.Delim('[')
	for dec.More() {
		key := fmt.Sprint(len(keys))
		if !isList {
			name, err := dec.Token()
			if err != nil {
				t.Fatal(err)
			}
			key = fmt.Sprint(name)
		}
		keys = append(keys, key)
		var skip json.RawMessage
		if err := dec.Decode(&skip); err != nil {
			t.Fatal(err)
		}
	}
	return slices.Clip(keys), isList
}
