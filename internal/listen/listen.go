// Package listen is how the bridge is reached: TLS with a certificate that changes while
// the service runs, and who may look at its health from another host.
//
// A certificate lives for weeks and the service for months. So neither is tied to the
// other: files are read again when they change, an ACME authority is asked before the end,
// and what cannot be used is left aside with the reason in log, metric and /health while
// the last good certificate goes on.
package listen

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

// lookEvery is how often the files are looked at. They are read whole: a renewal that
// replaces a link, as cert-manager and certbot do, changes no time of the file behind it.
const lookEvery = 30 * time.Second

// soon is how long before its end a certificate is reported as something to act on, at most: for
// one that lives for a few days it is a sixth of its life.
const soon = 14 * 24 * time.Hour

// Options say where the certificate comes from. Either CertFile and KeyFile are set, or
// Hosts.
type Options struct {
	CertFile, KeyFile string

	// Hosts are the names to get certificates for; Email, Dir and URL as in the
	// configuration. Roots are whom to trust when the authority is asked; nil means
	// whom this host trusts.
	Hosts           []string
	Email, Dir, URL string
	Roots           *x509.CertPool

	// Registerer exports when the certificate ends.
	Registerer prometheus.Registerer
	// Report receives the state for /health.
	Report func(component, state, detail, action string, validFor time.Duration)
	Logger *zap.Logger
}

// Certificates are what a listener shows to those who connect. It is safe for concurrent
// use.
type Certificates struct {
	opt              Options
	expiry, lifetime *prometheus.GaugeVec
	acme             *autocert.Manager    // nil with files
	authority        *answers             // nil with files
	issued           map[string]time.Time // the end of each host's, as keep saw it last

	mu      sync.Mutex // guards the fields below
	current *tls.Certificate
	seen    [sha256.Size]byte // of the files as they were last looked at
}

// NewCertificates reads the files, or prepares to ask the authority. A pair of files that
// cannot be used is an error.
func NewCertificates(opt Options) (*Certificates, error) {
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{"listener"})
	}
	c := &Certificates{
		opt: opt, issued: map[string]time.Time{},
		expiry: gauge("scim_bridge_tls_certificate_expiry_timestamp_seconds", "When the certificate ends that a listener shows."),
		lifetime: gauge("scim_bridge_tls_certificate_lifetime_seconds",
			"How long that certificate is valid from its first moment to its last: some live for a year, some for a day."),
	}
	if err := errors.Join(opt.Registerer.Register(c.expiry), opt.Registerer.Register(c.lifetime)); err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	if len(opt.Hosts) > 0 {
		var err error
		c.acme, c.authority, err = newAuthority(opt)
		return c, err
	}
	if err := c.load(); err != nil {
		return nil, err
	}
	return c, nil
}

// TLS is the configuration of a server that shows the certificate of the moment.
func (c *Certificates) TLS() *tls.Config {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get, NextProtos: []string{"h2", "http/1.1"}}
	if c.acme != nil {
		// The authority proves who answers here in a handshake of its own kind.
		cfg.NextProtos = append(cfg.NextProtos, acme.ALPNProto)
	}
	return cfg
}

// A handshake must never wait for a disk, so the certificate of the moment is kept in memory
// and files are read by Watch alone. An authority is another matter: until it has issued there is
// nothing to show.

// get is asked at every handshake.
func (c *Certificates) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if c.acme != nil {
		return c.acme.GetCertificate(hello)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current, nil
}

// load takes the files over when they are other than before. Until both are whole and
// belong to each other, what was there stays.
func (c *Certificates) load() error {
	cert, err := os.ReadFile(c.opt.CertFile)
	if err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	key, err := os.ReadFile(c.opt.KeyFile)
	if err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	// The content decides, not a time: links that are switched and clocks that are set back do
	// not fool it, and a file that was merely touched costs nothing.
	sum := sha256.Sum256(append(append([]byte{}, cert...), key...))
	c.mu.Lock()
	known := sum == c.seen && c.current != nil
	c.mu.Unlock()
	if known {
		return nil
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("certificate %s: %w", c.opt.CertFile, err)
	}
	if time.Now().After(pair.Leaf.NotAfter) {
		return fmt.Errorf("certificate %s: ended at %s", c.opt.CertFile, pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	c.mu.Lock()
	first := c.current == nil
	c.current, c.seen = &pair, sum
	c.mu.Unlock()
	if !first {
		c.opt.Logger.Info("certificate taken over", zap.Time("ends", pair.Leaf.NotAfter))
	}
	c.show(&pair)
	return nil
}

// show tells when a certificate ends.
func (c *Certificates) show(cert *tls.Certificate) {
	end := cert.Leaf.NotAfter
	lifetime := end.Sub(cert.Leaf.NotBefore)
	c.expiry.WithLabelValues("scim").Set(float64(end.Unix()))
	c.lifetime.WithLabelValues("scim").Set(lifetime.Seconds())
	detail, action := "ends "+end.UTC().Format(time.RFC3339), "see why it was not renewed"
	if c.authority != nil {
		if reason := c.authority.refusal(); reason != "" {
			detail += "; the ACME authority does not issue: " + reason
		}
		action = "the log says what the ACME authority answered at each attempt"
	}
	switch left := time.Until(end); {
	case left <= 0 && c.authority == nil:
		c.opt.Report("tls", "down", detail, "put a new certificate and its key into the same files", 0)
	case left <= 0:
		c.opt.Report("tls", "down", detail, action, 0)
	case left < min(soon, lifetime/6): // an authority is asked at a third
		c.opt.Report("tls", "degraded", detail, action, 0)
	default:
		c.opt.Report("tls", "ok", "ends "+end.UTC().Format(time.RFC3339), "", 0)
	}
}

// Watch takes changed files over until ctx is done, or has the authority renew.
func (c *Certificates) Watch(ctx context.Context) {
	if c.acme != nil {
		c.keep(ctx)
		return
	}
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	var last string
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		err := c.load()
		if err == nil {
			last = ""
			c.mu.Lock()
			current := c.current
			c.mu.Unlock()
			c.show(current) // its end comes nearer
			continue
		}
		c.opt.Report("tls", "degraded", err.Error(), "mend the files; until then the last good certificate is shown", 0)
		if err.Error() != last { // once, however long it lasts
			c.opt.Logger.Error("certificate not taken over; the last good one goes on", zap.Error(err))
		}
		last = err.Error()
	}
}

// ErrNoToken is why a request from another host is refused while no token is configured.
var ErrNoToken = errors.New("no monitor token is configured: say listen.monitor_token_file, or ask from the host itself")
