package app

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/config"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/matomo/matomotest"
)

// certificate writes a self-signed pair for 127.0.0.1 and returns who trusts it.
func certificate(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool.AddCert(mustParse(t, der))
	return pool
}

func mustParse(t *testing.T, der []byte) *x509.Certificate {
	t.Helper()
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// startTLS is a bridge that speaks TLS, who trusts its certificate, and a secret.
func startTLS(t *testing.T) (*App, *x509.CertPool, string) {
	t.Helper()
	sim := NewSimulator(SimulatorOptions{})
	srv := httptest.NewServer(sim)
	t.Cleanup(srv.Close)
	cfg := writeConfig(t, sim, srv.URL+"/", testRules)
	pool := certificate(t, cfg.Dir)
	text, err := os.ReadFile(cfg.Path)
	if err != nil {
		t.Fatal(err)
	}
	with := strings.Replace(string(text), "listen: {", "listen: {tls: {cert_file: cert.pem, key_file: key.pem}, ", 1)
	if err := os.WriteFile(cfg.Path, []byte(with), 0o600); err != nil {
		t.Fatal(err)
	}
	if cfg, err = config.Load(cfg.Path, os.Getenv); err != nil {
		t.Fatal(err)
	}
	a, secret := startFrom(t, cfg)
	return a, pool, secret
}

// With a certificate SCIM is served over TLS and nothing else; metrics stay as they are.
func TestApp_TLS(t *testing.T) {
	a, pool, secret := startTLS(t)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, a.SCIMURL()+"/Users", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.TLS == nil || resp.ProtoMajor != 2 {
		t.Errorf("%s %d, TLS %v; want 200 over TLS and HTTP/2", resp.Proto, resp.StatusCode, resp.TLS != nil)
	}
	if status, _ := get(t, "http://"+a.SCIMAddr()+"/healthz"); status != http.StatusBadRequest {
		t.Errorf("without TLS: %d, want to be refused", status)
	}
	if _, body := get(t, "http://"+a.MetricsAddr()+"/metrics"); !strings.Contains(body, `scim_bridge_tls_certificate_expiry_timestamp_seconds{listener="scim"}`) {
		t.Error("the end of the certificate is no metric")
	}
}

// A request that has begun when the service is told to stop is answered, and what it
// changed is durable.
func TestApp_StopLetsRequestsFinish(t *testing.T) {
	a, _, secret := startApp(t, testRules)
	body, write := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.SCIMURL()+"/Users", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	type outcome struct {
		status int
		err    error
	}
	answered := make(chan outcome, 1)
	go func() {
		resp, err := new(http.Client).Do(req)
		if err != nil {
			answered <- outcome{err: err}
			return
		}
		_ = resp.Body.Close()
		answered <- outcome{status: resp.StatusCode}
	}()
	if _, err := io.WriteString(write, `{"userName":`); err != nil { // it has begun
		t.Fatal(err)
	}
	w := &soakWorld{t: t, app: a}
	w.await("the request to be worked on", func() bool {
		return strings.Contains(gathered(t, a), "scim_bridge_http_requests_in_flight 1")
	})
	stopped := make(chan struct{})
	go func() { a.Stop(context.Background()); close(stopped) }()
	for refused := false; !refused; { // the listener goes first
		c, err := net.Dial("tcp", a.SCIMAddr())
		if refused = err != nil; !refused {
			_ = c.Close()
		}
	}
	select {
	case <-stopped:
		t.Fatal("stopped while a request was being answered")
	default:
	}
	if _, err := io.WriteString(write, `"ada@example.org"}`); err != nil {
		t.Fatal(err)
	}
	_ = write.Close()
	if got := <-answered; got.err != nil || got.status != http.StatusCreated {
		t.Errorf("the request ended with %d, %v; want 201", got.status, got.err)
	}
	<-stopped
	s, err := Open(t.Context(), a.Config, Options{Logger: zap.NewNop(), ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var n int
	if err := s.DB.Reader().QueryRow(t.Context(), `SELECT COUNT(*) FROM users WHERE user_name = 'ada@example.org'`).Scan(&n); err != nil || n != 1 {
		t.Errorf("%d users, %v; want the one that was answered with 201", n, err)
	}
}

// gathered is the text of all metrics.
func gathered(t *testing.T, a *App) string {
	t.Helper()
	rec := httptest.NewRecorder()
	req := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	req.RemoteAddr = "127.0.0.1:1"
	a.back().ServeHTTP(rec, req)
	return rec.Body.String()
}

// A stop in the middle of a pass gives the leases back: the next process need not wait
// until they run out.
func TestApp_StopReleasesLeases(t *testing.T) {
	w := newSoakWorld(t)
	w.sim.Fault(matomotest.Fault{Kind: matomotest.Slow, Latency: time.Minute})
	out, _ := w.do(http.MethodPost, "/Users", map[string]any{"userName": "ada@example.org", "active": true})
	w.patch("/Groups/"+w.groups["Analysts"], map[string]any{"op": "add", "path": "members", "value": []any{map[string]any{"value": out["id"]}}})
	leased := func(q database.Querier) (n int) {
		t.Helper()
		if err := q.QueryRow(t.Context(), `SELECT COUNT(*) FROM bindings WHERE lease IS NOT NULL`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	w.await("a pass to hold a lease", func() bool { return leased(w.app.DB.Reader()) > 0 })
	began := time.Now()
	w.app.Stop(context.Background())
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("the stop took %s: it waited for Matomo", took)
	}
	s, err := Open(t.Context(), w.app.Config, Options{Logger: zap.NewNop(), ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if n := leased(s.DB.Reader()); n != 0 {
		t.Errorf("%d leases are held by a process that has stopped", n)
	}
	var due int
	if err := s.DB.Reader().QueryRow(t.Context(), `SELECT COUNT(*) FROM bindings WHERE due_at IS NOT NULL`).Scan(&due); err != nil || due == 0 {
		t.Errorf("%d are due, %v; want who was being worked", due, err)
	}
}
