package listen

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"golang.org/x/crypto/acme"
)

// fakeAuthority speaks as much of RFC 8555 as a client that wants one certificate asks for. Its mood
// decides what it does with an order.
type fakeAuthority struct {
	*httptest.Server

	mood     string        // "issues", "proof fails", "no account", "away", "old nonce"
	lifetime time.Duration // of what it issues
	key      *ecdsa.PrivateKey

	mu      sync.Mutex // guards the fields below
	asked   []string
	issued  []byte // the last certificate, in PEM
	tried   bool   // the challenge was accepted
	refused bool   // the old nonce was refused once
}

func newFakeAuthority(t *testing.T, mood string) *fakeAuthority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &fakeAuthority{mood: mood, lifetime: 90 * 24 * time.Hour, key: key}
	a.Server = httptest.NewTLSServer(a)
	t.Cleanup(a.Close)
	return a
}

func (a *fakeAuthority) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.Certificate())
	return pool
}

func (a *fakeAuthority) requests() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.asked)
}

// ServeHTTP implements http.Handler.
func (a *fakeAuthority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, r.URL.Path)
	w.Header().Set("Replay-Nonce", fmt.Sprint("nonce", len(a.asked)))
	say := func(status int, text string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, strings.ReplaceAll(text, "BASE", a.URL))
	}
	if a.mood == "away" {
		http.Error(w, "not today", http.StatusServiceUnavailable)
		return
	}
	switch r.URL.Path {
	case "/":
		say(200, `{"newNonce":"BASE/nonce","newAccount":"BASE/account","newOrder":"BASE/order"}`)
	case "/nonce":
	case "/account":
		if a.mood == "no account" {
			say(403, `{"type":"urn:ietf:params:acme:error:externalAccountRequired","detail":"no stranger here","status":403}`)
			return
		}
		w.Header().Set("Location", a.URL+"/account/1")
		say(201, `{"status":"valid"}`)
	case "/order":
		if a.mood == "old nonce" && !a.refused {
			a.refused = true
			say(400, `{"type":"urn:ietf:params:acme:error:badNonce","detail":"too old","status":400}`)
			return
		}
		a.tried = false
		w.Header().Set("Location", a.URL+"/order/1")
		say(201, `{"status":"`+map[bool]string{true: "pending", false: "ready"}[a.mood == "proof fails"]+
			`","authorizations":["BASE/authz"],"finalize":"BASE/finalize"}`)
	case "/authz":
		status, problem := "pending", ""
		if a.tried {
			status, problem = "invalid", `,"error":{"type":"urn:ietf:params:acme:error:connection","detail":"nobody answers at port 443"}`
		}
		say(200, `{"status":"`+status+`","identifier":{"type":"dns","value":"scim.example.com"},"challenges":[{"type":"tls-alpn-01",`+
			`"url":"BASE/challenge","token":"t","status":"`+status+`"`+problem+`}]}`)
	case "/challenge":
		a.tried = true
		say(200, `{"type":"tls-alpn-01","url":"BASE/challenge","token":"t","status":"pending"}`)
	case "/finalize":
		if err := a.issue(r); err != nil {
			say(400, `{"detail":"`+err.Error()+`"}`)
			return
		}
		w.Header().Set("Location", a.URL+"/order/1")
		say(200, `{"status":"valid","certificate":"BASE/cert"}`)
	case "/cert":
		w.Header().Set("Content-Type", "application/pem-certificate-chain")
		_, _ = w.Write(a.issued)
	default:
		say(404, `{"detail":"no such page"}`)
	}
}

// issue signs what the request asks for; its own signature is not this fake's business.
func (a *fakeAuthority) issue(r *http.Request) error {
	var jws struct{ Payload string }
	if err := json.NewDecoder(r.Body).Decode(&jws); err != nil {
		return err
	}
	payload, err := base64.RawURLEncoding.DecodeString(jws.Payload)
	if err != nil {
		return err
	}
	var order struct{ CSR string }
	if err := json.Unmarshal(payload, &order); err != nil {
		return err
	}
	der, err := base64.RawURLEncoding.DecodeString(order.CSR)
	if err != nil {
		return err
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return err
	}
	now := time.Now()
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), DNSNames: csr.DNSNames,
		NotBefore: now.Add(-time.Minute), NotAfter: now.Add(a.lifetime - time.Minute),
	}
	der, err = x509.CreateCertificate(rand.Reader, cert, cert, csr.PublicKey, a.key)
	a.issued = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return err
}

// asking is certificates from an authority.
type asking struct {
	*Certificates
	reports

	logs *observer.ObservedLogs
}

func newAsking(t *testing.T, url, dir string, roots *x509.CertPool) *asking {
	t.Helper()
	a := &asking{}
	a.Certificates, a.logs = certificates(t, &a.reports, Options{Hosts: []string{"scim.example.com"}, Dir: dir, URL: url, Roots: roots})
	return a
}

// watch runs Watch until something was reported, and returns that.
func (a *asking) watch(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() { a.Watch(ctx) })
	defer work.Wait()
	defer cancel()
	for deadline := time.Now().Add(time.Minute); a.said() == ""; {
		if time.Now().After(deadline) {
			t.Fatal("nothing was reported")
		}
		time.Sleep(time.Millisecond) // the authority is a real server: nothing else tells
	}
	return a.said()
}

// A certificate is there though nobody has connected, is shown to who does, and outlives a
// restart without being asked for again.
func TestCertificates_FromAnAuthority(t *testing.T) {
	authority := newFakeAuthority(t, "old nonce")
	dir := filepath.Join(t.TempDir(), "acme")
	a := newAsking(t, authority.URL, dir, authority.roots())
	if said := a.watch(t); !strings.HasPrefix(said, "tls|ok|ends ") {
		t.Fatalf("health: %s", said)
	}
	cfg := a.TLS()
	if !slices.Contains(cfg.NextProtos, acme.ALPNProto) {
		t.Errorf("protocols %q, want that of the authority's proof", cfg.NextProtos)
	}
	hello := func(host string, protos ...string) *tls.ClientHelloInfo {
		return &tls.ClientHelloInfo{ServerName: host, SupportedProtos: protos, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}}
	}
	cert, err := cfg.GetCertificate(hello("scim.example.com"))
	if err != nil {
		t.Fatal(err)
	}
	if end := testutil.ToFloat64(a.expiry); end != float64(cert.Leaf.NotAfter.Unix()) {
		t.Errorf("the metric says it ends at %v, want %v", end, cert.Leaf.NotAfter.Unix())
	}
	if life := testutil.ToFloat64(a.lifetime); life != authority.lifetime.Seconds() {
		t.Errorf("the metric says it lives for %v s, want %v", life, authority.lifetime.Seconds())
	}
	if n := a.logs.FilterMessage("the ACME authority does not issue").Len(); n > 0 {
		t.Errorf("%d refusals in the log; a nonce that was too old is none", n)
	}

	// What strangers send asks nobody and changes nothing.
	before, said := len(authority.requests()), a.said()
	for _, h := range []*tls.ClientHelloInfo{hello("other.example.com"), hello(""), hello("scim.example.com", acme.ALPNProto)} {
		if _, err := cfg.GetCertificate(h); err == nil {
			t.Errorf("%q %q is shown a certificate", h.ServerName, h.SupportedProtos)
		}
	}
	if now := len(authority.requests()); now != before || a.said() != said {
		t.Errorf("a stranger had %d requests sent; health: %s", now-before, a.said())
	}

	again := newAsking(t, authority.URL, dir, authority.roots())
	if said := again.watch(t); !strings.HasPrefix(said, "tls|ok|ends ") || len(authority.requests()) != before {
		t.Errorf("after a restart: %s, %d requests", said, len(authority.requests())-before)
	}
}

// Why there is no certificate is in the log and in /health, in the authority's words.
func TestCertificates_AnAuthorityRefuses(t *testing.T) {
	for mood, want := range map[string]string{
		"proof fails": "connection: nobody answers at port 443",
		"no account":  "externalAccountRequired: no stranger here",
		"away":        "503 Service Unavailable",
		"untrusted":   "certificate signed by unknown authority",
	} {
		t.Run(mood, func(t *testing.T) {
			t.Parallel()
			authority := newFakeAuthority(t, mood)
			roots := authority.roots()
			if mood == "untrusted" {
				roots = nil
			}
			a := newAsking(t, authority.URL, t.TempDir(), roots)
			// It would try for minutes to reach an authority that is away.
			a.acme.Client.RetryBackoff = func(int, *http.Request, *http.Response) time.Duration { return -1 }
			if said := a.watch(t); !strings.HasPrefix(said, "tls|down|scim.example.com: ") || !strings.Contains(said, want) || !strings.HasSuffix(said, "under the host's name") {
				t.Errorf("health: %s, want %s", said, want)
			}
			var logged []string
			for _, line := range a.logs.FilterMessage("the ACME authority does not issue").All() {
				logged = append(logged, fmt.Sprint(line.ContextMap()["reason"]))
			}
			if !slices.ContainsFunc(logged, func(s string) bool { return strings.Contains(s, want) }) {
				t.Errorf("the log says %q, want %s", logged, want)
			}
		})
	}
}

// What lives for a day is not reported all its life, and why it was not renewed is said.
func TestCertificates_ShortLife(t *testing.T) {
	authority := newFakeAuthority(t, "issues")
	a := newAsking(t, authority.URL, t.TempDir(), authority.roots())
	cert := func(left time.Duration) *tls.Certificate {
		end := time.Now().Add(left)
		return &tls.Certificate{Leaf: &x509.Certificate{NotBefore: end.Add(-24 * time.Hour), NotAfter: end}}
	}
	a.authority.said("connection: refused")
	for left, want := range map[time.Duration]string{5 * time.Hour: "tls|ok|", 3 * time.Hour: "tls|degraded|", -time.Hour: "tls|down|"} {
		a.show(cert(left))
		said := a.said()
		if !strings.HasPrefix(said, want) || strings.Contains(said, "connection: refused") != (left < 4*time.Hour) {
			t.Errorf("%s before the end: %s, want %s", left, said, want)
		}
	}
}

func TestNewCertificates_NoPlaceToKeepThem(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "file", nil)
	_, err := NewCertificates(Options{
		Hosts: []string{"scim.example.com"}, Dir: filepath.Join(dir, "file"), Registerer: prometheus.NewRegistry(), Logger: zap.NewNop(),
	})
	if err == nil || !strings.Contains(err.Error(), "acme_dir") || !strings.Contains(err.Error(), dir) {
		t.Errorf("a folder that is a file: %v", err)
	}
}
