//go:build !race

// Only alerts_live_test.go uses this, and it says why it is not for the race detector.

package deploy

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/matomo-scim/bridge/internal/app"
)

// hurries are what is waited for in hours by the rules that are shipped, and in seconds here.
// Nothing else of them is changed. Each must be found as often as it says, so that a rule which is
// rewritten is not tried with its hours by accident.
//
// Windows are longer than the time between a scrape that is late and the next. Ages are longer
// than what a healthy bridge needs, whose counts of rows are up to five seconds old.
var hurries = []struct {
	from, to string
	times    int
}{
	{`[5m]`, `[20s]`, 7},
	{`[10m]`, `[20s]`, 1},
	{`[30m]`, `[20s]`, 2},
	{`[1h]`, `[40s]`, 3},
	{`[6h]`, `[40s]`, 2},
	{`offset 1d`, `offset 20s`, 1},
	{`scim_bridge_leavers_unverified > 0) > 300`, `scim_bridge_leavers_unverified > 0) > 3`, 1},
	{`last_success_timestamp_seconds) > 900`, `last_success_timestamp_seconds) > 15`, 1},
	{`scim_bridge_queue_depth > 0) > 600`, `scim_bridge_queue_depth > 0) > 10`, 1},
	{`last_request_timestamp_seconds)) > 7200`, `last_request_timestamp_seconds)) > 10`, 1},
	{`worker_expires_timestamp_seconds) > 60`, `worker_expires_timestamp_seconds) > 1`, 1},
	{`scim_bridge_audit_unsealed_entries > 0) > 120`, `scim_bridge_audit_unsealed_entries > 0) > 5`, 1},
	{`last_backup_timestamp_seconds) > 2 * 86400`, `last_backup_timestamp_seconds) > 30`, 1},
	{`checkpoint_timestamp_seconds) > 3 * 3600`, `checkpoint_timestamp_seconds) > 90`, 1}, // one a minute is the most there are
}

// hurry rewrites the rules.
func (w *world) hurry(rules string) string {
	w.t.Helper()
	for _, h := range hurries {
		if n := strings.Count(rules, h.from); n != h.times {
			w.t.Fatalf("%q stands %d times in the rules, not %d", h.from, n, h.times)
		}
		rules = strings.ReplaceAll(rules, h.from, h.to)
	}
	if left := regexp.MustCompile(`\[\d+[mhd]\]|offset \d+[mhd]|> \d{3,}`).FindString(rules); left != "" {
		w.t.Fatalf("%q would be waited for", left)
	}
	return rules
}

// alert is one alert of Prometheus's list.
type alert struct {
	Labels, Annotations map[string]string
	State               string
}

// alerts are the alerts that fire now; not known while Prometheus does not answer.
func (w *world) alerts() (out []alert, known bool) {
	resp, err := w.client.Get(w.prom + "/api/v1/alerts")
	if err != nil {
		return nil, false
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct{ Data struct{ Alerts []alert } }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != http.StatusOK {
		return nil, false
	}
	return slices.DeleteFunc(answer.Data.Alerts, func(a alert) bool { return a.State != "firing" }), true
}

// expect names an alert and one label of it, such as "ScimBridgeMatomoDown target=down".
type expect string

// matches says whether a is what is expected.
func (e expect) matches(a alert) bool {
	name, label, _ := strings.Cut(string(e), " ")
	key, value, _ := strings.Cut(label, "=")
	return a.Labels["alertname"] == name && (label == "" || a.Labels[key] == value)
}

// Some faults end by themselves, and so do their alerts: twenty seconds after a leaver was slow
// nobody is any more. A test that is held up by a busy machine must not miss them, so somebody
// else looks all the time.

// watch looks at the alerts of a world until the end of the test.
type watch struct {
	mu    sync.Mutex // guards fired
	fired []alert    // what has fired since the last quiet
}

// watchAlerts starts a watch.
func (w *world) watchAlerts() *watch {
	out, stop, done := &watch{}, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			all, _ := w.alerts()
			out.mu.Lock()
			for _, a := range all {
				if !slices.ContainsFunc(out.fired, func(b alert) bool { return maps.Equal(a.Labels, b.Labels) }) {
					out.fired = append(out.fired, a)
				}
			}
			out.mu.Unlock()
			select {
			case <-stop:
				return
			case <-time.After(200 * time.Millisecond):
			}
		}
	}()
	w.t.Cleanup(func() { close(stop); <-done })
	return out
}

// find returns what has fired and is expected.
func (o *watch) find(e expect) (a alert, found bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	i := slices.IndexFunc(o.fired, e.matches)
	if i < 0 {
		return alert{}, false
	}
	return o.fired[i], true
}

// forget lets everything be new again.
func (o *watch) forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fired = nil
}

// fires waits until all of these have fired since all was quiet, and looks at what they say.
func (w *live) fires(want ...expect) {
	w.t.Helper()
	for _, e := range want {
		var got alert
		w.await(string(e)+" to fire", func() (found bool) {
			got, found = w.watch.find(e)
			return found
		})
		w.seen[got.Labels["alertname"]] = true
		text := got.Annotations["summary"]
		w.t.Logf("%5.1f s: %s: %s", time.Since(w.began).Seconds(), e, text)
		if text == "" || strings.Contains(text, "<no value>") || strings.Contains(text, "error expanding") {
			w.t.Errorf("%s says %q", e, text)
		}
	}
}

// ends waits until none of these fires any more.
func (w *live) ends(want ...expect) {
	w.t.Helper()
	for _, e := range want {
		w.await(string(e)+" to end", func() bool {
			all, known := w.alerts()
			return known && !slices.ContainsFunc(all, e.matches)
		})
		w.t.Logf("%5.1f s: %s ended", time.Since(w.began).Seconds(), e)
	}
}

// quiet waits until nothing fires at all, and forgets what has. Backups go on meanwhile, as a
// timer makes them.
func (w *live) quiet() {
	w.t.Helper()
	var left []string
	var saved time.Time
	defer func() {
		if w.t.Failed() {
			w.t.Logf("what still fires: %q", left)
		}
	}()
	w.await("everything to be quiet", func() bool {
		if time.Since(saved) > 10*time.Second {
			saved = time.Now()
			w.backup()
		}
		all, known := w.alerts()
		left = nil
		for _, a := range all {
			left = append(left, fmt.Sprint(a.Labels))
		}
		return known && len(left) == 0
	})
	w.watch.forget()
	w.t.Logf("%5.1f s: all quiet", time.Since(w.began).Seconds())
}

// backup saves the database and returns where.
func (w *live) backup() string {
	w.t.Helper()
	to := filepath.Join(w.dir, fmt.Sprintf("backup-%d.db", time.Now().UnixNano()))
	w.beside(func(s *app.Services) error { return s.DB.Backup(w.t.Context(), to) })
	return to
}

// calls lets a provider send these requests over and over, some a second, until stop. How they
// are answered is what alerts are about, and nothing here.
func (w *world) calls(secret string, requests ...request) (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	base, done := w.app.SCIMURL(), make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			r := requests[i%len(requests)]
			req, err := http.NewRequestWithContext(ctx, r.method, base+r.path, strings.NewReader(r.body))
			if err != nil {
				return
			}
			req.Header.Set("Authorization", "Bearer "+secret)
			req.Header.Set("Content-Type", "application/scim+json")
			if resp, err := w.client.Do(req); err == nil {
				_ = resp.Body.Close()
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(250 * time.Millisecond):
			}
		}
	}()
	return func() { cancel(); <-done }
}

// request is what calls sends.
type request struct{ method, path, body string }

// moves is somebody who comes into a group and leaves it again: work for every Matomo.
func (w *world) moves(group, id string) []request {
	patch := func(op string) request {
		return request{http.MethodPatch, "/Groups/" + w.groups[group], fmt.Sprintf(
			`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":%q,"path":"members","value":[{"value":%q}]}]}`, op, id)}
	}
	return []request{patch("add"), patch("remove")}
}

// certificate makes a certificate for this host, made for 90 days of which so many are left.
func certificate(t *testing.T, days int) (cert, key string, leaf *x509.Certificate) {
	t.Helper()
	priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(int64(days)), Subject: pkix.Name{CommonName: fmt.Sprint(days)}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().AddDate(0, 0, days-90).Add(-time.Hour), NotAfter: time.Now().AddDate(0, 0, days), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &priv.PublicKey, priv)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(priv)
	if err != nil {
		t.Fatal(err)
	}
	if leaf, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})), leaf
}

const liveRules = `[RoleMapping]
group@okta[Analysts] = "*/site:1:write"
group@okta[Editors] = "*/site:2:view"
group@okta[Admins] = "main/superuser"
`

// live is a bridge with TLS, two sources and three Matomos: main is well, down will be cut off,
// and locked will refuse the token.
type live struct {
	*world
	down, locked *app.Simulator
	people       []string
	good, ending [2]string // certificate and key
	entra        string    // its secret
	watch        *watch
	seen         map[string]bool // alerts that a fault has made fire
}

func newLive(t *testing.T) *live {
	t.Helper()
	w := &live{world: emptyWorld(t), seen: map[string]bool{}}
	sims, targets := map[string]*app.Simulator{}, ""
	for _, name := range []string{"main", "down", "locked"} {
		sim, url := w.matomo()
		sims[name] = sim
		w.write("token-"+name, sim.Token())
		w.write("password", sim.Password())
		targets += fmt.Sprintf("  - {name: %s, url: %q, login: bridge, token_file: token-%s, password_file: password, mode: enforce, requests_per_minute: 0}\n", name, url, name)
	}
	w.sim, w.down, w.locked = sims["main"], sims["down"], sims["locked"]
	trusted := x509.NewCertPool()
	for days, pair := range map[int]*[2]string{90: &w.good, 10: &w.ending} {
		var leaf *x509.Certificate
		pair[0], pair[1], leaf = certificate(t, days)
		trusted.AddCert(leaf)
	}
	w.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}}
	w.show(w.good)
	w.write("rules.ini", liveRules)
	w.write("bridge.yaml", `listen: {scim: "127.0.0.1:0", metrics: "127.0.0.1:0", wrong_tokens_per_minute: 0, tls: {cert_file: cert.pem, key_file: key.pem}}
sources: [{name: okta}, {name: entra}]
targets:
`+targets+`mapping: {files: [rules.ini], default_target: main}
guards: {max_superusers: 1, superuser_sources: [okta]}
reconcile: {settle: 0s}
audit: {checkpoint_file: notes/checkpoints, signing_key_file: audit.pem, every: 1m}
`)
	key, _, err := app.NewAuditKey()
	if err == nil {
		err = os.Mkdir(filepath.Join(w.dir, "notes"), 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
	w.write("audit.pem", string(key))
	w.secret, w.entra = w.credential("okta", "okta"), w.credential("entra", "entra")
	w.serve()
	for i := range 6 {
		w.people = append(w.people, w.person(fmt.Sprintf("p%d@example.org", i)))
	}
	w.member("Analysts", w.people...)
	w.member("Editors", w.people[4])
	w.member("Admins", w.people[0])
	w.startPrometheus(w.hurry)
	w.watch = w.watchAlerts()
	return w
}

// show puts a certificate and its key where the bridge looks.
func (w *live) show(pair [2]string) {
	w.write("key.pem", pair[1])
	w.write("cert.pem", pair[0])
}

// everyday is what a bridge meets all day: both sources call, and somebody moves.
func (w *live) everyday() (stop func()) {
	okta, entra := w.calls(w.secret, w.moves("Editors", w.people[5])...), w.calls(w.entra, request{http.MethodGet, "/Users?count=1", ""})
	return func() { okta(); entra() }
}
