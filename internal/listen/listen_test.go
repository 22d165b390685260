package listen

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// pair writes a self-signed certificate for 127.0.0.1 with this serial number and end.
func pair(t *testing.T, dir string, serial int64, end time.Time) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "scim.example.com"},
		DNSNames: []string{"scim.example.com"}, NotBefore: end.AddDate(-1, 0, 0), NotAfter: end,
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	write(t, dir, "key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
}

func write(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// reports keeps what was said to /health.
type reports struct {
	mu   sync.Mutex
	last string
}

func (r *reports) report(component, state, detail, action string, _ time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = strings.Join([]string{component, state, detail, action}, "|")
}

func (r *reports) said() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// bench is certificates over two files.
type bench struct {
	*Certificates
	reports

	dir  string
	logs *observer.ObservedLogs
}

func newBench(t *testing.T, end time.Time) *bench {
	t.Helper()
	b := &bench{dir: t.TempDir()}
	pair(t, b.dir, 1, end)
	b.Certificates, b.logs = certificates(t, &b.reports, Options{
		CertFile: filepath.Join(b.dir, "cert.pem"), KeyFile: filepath.Join(b.dir, "key.pem"),
	})
	return b
}

// certificates makes some with opt, which report to r and log to what is returned.
func certificates(t *testing.T, r *reports, opt Options) (*Certificates, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zap.InfoLevel)
	opt.Registerer, opt.Report, opt.Logger = prometheus.NewPedanticRegistry(), r.report, zap.New(core)
	c, err := NewCertificates(opt)
	if err != nil {
		t.Fatal(err)
	}
	return c, logs
}

// serial is the number of the certificate that is shown now.
func (b *bench) serial(t *testing.T) int64 {
	t.Helper()
	cert, err := b.TLS().GetCertificate(&tls.ClientHelloInfo{ServerName: "scim.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	return cert.Leaf.SerialNumber.Int64()
}

// A renewed pair is shown to the next connection; half a renewal, or one that has ended,
// never is.
func TestCertificates_AreTakenOverWhenTheyChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far := time.Now().AddDate(1, 0, 0)
		b := newBench(t, far)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go b.Watch(ctx)
		look := func() { time.Sleep(lookEvery + time.Second); synctest.Wait() }

		old, err := os.ReadFile(filepath.Join(b.dir, "key.pem"))
		if err != nil {
			t.Fatal(err)
		}
		pair(t, b.dir, 2, far)
		renewed, err := os.ReadFile(filepath.Join(b.dir, "key.pem"))
		if err != nil {
			t.Fatal(err)
		}
		write(t, b.dir, "key.pem", old) // the renewal has written the certificate only
		look()
		look()
		if n := b.serial(t); n != 1 {
			t.Errorf("certificate %d is shown while its key is missing", n)
		}
		if said := b.said(); !strings.HasPrefix(said, "tls|degraded|") || !strings.Contains(said, "mend the files") {
			t.Errorf("health: %s", said)
		}
		if n := b.logs.FilterMessage("certificate not taken over; the last good one goes on").Len(); n != 1 {
			t.Errorf("said %d times in the log, want once", n)
		}
		write(t, b.dir, "key.pem", renewed)
		look()
		if n := b.serial(t); n != 2 {
			t.Errorf("certificate %d is shown, want the renewed one", n)
		}
		if said := b.said(); !strings.HasPrefix(said, "tls|ok|ends ") {
			t.Errorf("health: %s", said)
		}
		pair(t, b.dir, 3, time.Now().Add(-time.Hour))
		look()
		if n := b.serial(t); n != 2 {
			t.Errorf("certificate %d is shown, which has ended", n)
		}
		if err := os.Remove(filepath.Join(b.dir, "cert.pem")); err != nil {
			t.Fatal(err)
		}
		look()
		if n := b.serial(t); n != 2 {
			t.Errorf("certificate %d is shown after the file went away", n)
		}
	})
}

// The end is a metric from the start, and health says it before it is too late.
func TestCertificates_End(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := time.Now().Add(soon + time.Hour).Truncate(time.Second)
		b := newBench(t, end)
		if v := testutil.ToFloat64(b.expiry); v != float64(end.Unix()) {
			t.Errorf("the metric says %v, want %v", v, end.Unix())
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go b.Watch(ctx)
		for _, tc := range []struct {
			after time.Duration
			want  string
		}{{lookEvery + time.Second, "tls|ok|"}, {2 * time.Hour, "tls|degraded|"}, {soon, "tls|down|"}} {
			time.Sleep(tc.after)
			synctest.Wait()
			if said := b.said(); !strings.HasPrefix(said, tc.want) {
				t.Errorf("after %s health says %s, want %s", tc.after, said, tc.want)
			}
		}
	})
}

func TestNewCertificates_Refuses(t *testing.T) {
	dir := t.TempDir()
	opt := func() Options {
		return Options{
			CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem"),
			Registerer: prometheus.NewRegistry(), Report: func(string, string, string, string, time.Duration) {}, Logger: zap.NewNop(),
		}
	}
	if _, err := NewCertificates(opt()); err == nil || !strings.Contains(err.Error(), "cert.pem") {
		t.Errorf("no files: %v", err)
	}
	write(t, dir, "cert.pem", []byte("no PEM"))
	write(t, dir, "key.pem", []byte("no PEM"))
	if _, err := NewCertificates(opt()); err == nil || !strings.Contains(err.Error(), "cert.pem") {
		t.Errorf("no PEM: %v", err)
	}
	pair(t, dir, 1, time.Now().Add(-time.Minute))
	if _, err := NewCertificates(opt()); err == nil || !strings.Contains(err.Error(), "ended at") {
		t.Errorf("an ended certificate: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "key.pem")); err != nil {
		t.Fatal(err)
	}
	if _, err := NewCertificates(opt()); err == nil || !strings.Contains(err.Error(), "key.pem") {
		t.Errorf("no key: %v", err)
	}
}

func TestGuarded(t *testing.T) {
	secret := func() (string, error) { return "s3cret\n", nil }
	broken := func() (string, error) { return "", fmt.Errorf("no file") }
	const local, remote = "127.0.0.1:4000", "192.0.2.7:4000"
	for name, tc := range map[string]struct {
		from, header string
		token        func() (string, error)
		open         bool
		want         int
	}{
		"this host":                        {local, "", nil, false, http.StatusOK},
		"this host, IPv6":                  {"[::1]:4000", "", secret, false, http.StatusOK},
		"this host, IPv4 in IPv6":          {"[::ffff:127.0.0.1]:4000", "", secret, false, http.StatusOK},
		"another host, nothing configured": {remote, "", nil, false, http.StatusUnauthorized},
		"another host, open numbers":       {remote, "", nil, true, http.StatusOK},
		"another host, numbers with token": {remote, "", secret, true, http.StatusUnauthorized},
		"the token":                        {remote, "Bearer s3cret", secret, false, http.StatusOK},
		"the token, other case":            {remote, "bearer  s3cret ", secret, true, http.StatusOK},
		"a wrong token":                    {remote, "Bearer s3crets", secret, false, http.StatusUnauthorized},
		"no token":                         {remote, "Bearer ", secret, false, http.StatusUnauthorized},
		"another scheme":                   {remote, "Basic s3cret", secret, false, http.StatusUnauthorized},
		"a token that cannot be read":      {remote, "Bearer ", broken, true, http.StatusUnauthorized},
		"an address of no form":            {"@", "", secret, false, http.StatusUnauthorized},
	} {
		h := Guarded(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("seen")) }), tc.token, tc.open)
		req := httptest.NewRequest(http.MethodGet, "/health", nil)
		req.RemoteAddr = tc.from
		req.Header.Set("X-Forwarded-For", "127.0.0.1") // changes nothing
		if tc.header != "" {
			req.Header.Set("Authorization", tc.header)
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		if rec.Code != tc.want || (rec.Body.String() == "seen") != (tc.want == http.StatusOK) {
			t.Errorf("%s: %d %q, want %d", name, rec.Code, rec.Body.String(), tc.want)
		}
		if strings.Contains(rec.Body.String(), "s3cret") || strings.Contains(rec.Body.String(), "no file") {
			t.Errorf("%s: the answer says too much: %q", name, rec.Body.String())
		}
	}
}
