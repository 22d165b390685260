package listen

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

// A certificate from an ACME authority (RFC 8555), proven in a handshake of its own kind
// (RFC 8737).
//
// Rules of this file:
//
//   - The bridge asks by itself, from the start on. Nobody who connects has to wait, and /health
//     and the metric are right though nobody connects.
//   - What strangers send in a handshake changes no state.
//   - Why the authority refused is logged at each refusal: a renewal happens in the background,
//     weeks before anybody sees that it failed.

const (
	// askTimeout is how long one request to the authority may take.
	askTimeout = time.Minute
	// retryFirst and retryMost are the wait after a certificate was not obtained. It doubles, because
	// authorities count failures: Let's Encrypt bears five an hour for a name.
	retryFirst, retryMost = 2 * time.Minute, time.Hour
	// answerMost is how many bytes of an answer are read.
	answerMost = 1 << 20
)

// newAuthority prepares to ask the authority that opt names. What cannot be stored would be asked for
// again at every start, until the authority refuses: so a folder that cannot be written is an error.
func newAuthority(opt Options) (*autocert.Manager, *answers, error) {
	if err := writable(opt.Dir); err != nil {
		return nil, nil, fmt.Errorf("acme_dir: %w", err)
	}
	said := &answers{log: opt.Logger, next: &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 10 * time.Second,
		TLSClientConfig: &tls.Config{RootCAs: opt.Roots, MinVersion: tls.VersionTLS12},
	}}
	url := opt.URL
	if url == "" {
		url = autocert.DefaultACMEDirectory // Let's Encrypt
	}
	return &autocert.Manager{
		Prompt: autocert.AcceptTOS, HostPolicy: autocert.HostWhitelist(opt.Hosts...), Email: opt.Email,
		Cache: autocert.DirCache(opt.Dir),
		Client: &acme.Client{
			DirectoryURL: url, UserAgent: "matomo-scim-bridge",
			HTTPClient: &http.Client{Transport: said, Timeout: askTimeout},
		},
	}, said, nil
}

// writable makes the folder, and proves that it takes a file.
func writable(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "probe-*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// keep has a certificate for every host until ctx is done.
func (c *Certificates) keep(ctx context.Context) {
	retry := retryFirst
	for {
		wait := lookEvery
		if c.obtained(ctx) {
			retry = retryFirst
		} else {
			wait, retry = retry, min(2*retry, retryMost)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// obtained looks at the certificate of every host, asks for those that are not there, and tells how
// that went. It returns false when one is still missing.
func (c *Certificates) obtained(ctx context.Context) bool {
	var first *tls.Certificate // the one that ends first
	for _, host := range c.opt.Hosts {
		cert, err := c.ask(ctx, host)
		switch {
		case ctx.Err() != nil:
			return false
		case err != nil:
			// The library says which way was left; the authority has said why.
			reason := strings.TrimPrefix(c.authority.refusal()+"; "+err.Error(), "; ")
			c.opt.Logger.Error("get a certificate; it is tried again", zap.String("host", host), zap.String("error", reason))
			c.opt.Report("tls", "down", host+": "+reason,
				"the ACME authority must be reachable, and reach this listener at port 443 under the host's name", 0)
			return false
		}
		if known := c.issued[host]; !cert.Leaf.NotAfter.Equal(known) {
			c.issued[host] = cert.Leaf.NotAfter
			c.opt.Logger.Info("certificate taken over", zap.String("host", host), zap.Time("ends", cert.Leaf.NotAfter))
		}
		if first == nil || cert.Leaf.NotAfter.Before(first.Leaf.NotAfter) {
			first = cert
		}
	}
	c.show(first)
	return true
}

// ask returns the certificate for host: at once when there is one, and after the authority has
// been asked otherwise. It gives up when ctx is done, which the library would not.
func (c *Certificates) ask(ctx context.Context, host string) (*tls.Certificate, error) {
	type result struct {
		cert *tls.Certificate
		err  error
	}
	got := make(chan result, 1)
	go func() {
		// The shape of a client of today, which takes the short keys.
		hello := &tls.ClientHelloInfo{ServerName: host, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}}
		cert, err := c.acme.GetCertificate(hello)
		got <- result{cert, err}
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-got:
		return r.cert, r.err
	}
}

// answers reads what the authority says on its way to the library, which keeps the reason of a
// failed renewal to itself.
type answers struct {
	next http.RoundTripper
	log  *zap.Logger

	mu   sync.Mutex // guards last
	last string     // why the authority refused last; empty after it has issued
}

// refusal is the last reason that the authority gave.
func (a *answers) refusal() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last
}

// said keeps a reason, or its absence.
func (a *answers) said(reason string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last = reason
}

// RoundTrip implements http.RoundTripper.
func (a *answers) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := a.next.RoundTrip(req)
	if err != nil {
		a.refused(req, err.Error())
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, answerMost))
	err = errors.Join(err, resp.Body.Close())
	if err != nil {
		a.refused(req, err.Error())
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	switch kind := resp.Header.Get("Content-Type"); {
	case strings.HasPrefix(kind, "application/pem-certificate-chain"):
		a.said("")
	case resp.StatusCode >= http.StatusBadRequest || strings.Contains(kind, "json"):
		if reason := reasonOf(resp, body); reason != "" {
			a.refused(req, reason)
		}
	}
	return resp, nil
}

// refused logs a reason and keeps it.
func (a *answers) refused(req *http.Request, reason string) {
	a.said(reason)
	a.log.Warn("the ACME authority does not issue", zap.String("host", req.URL.Host), zap.String("reason", reason))
}

// problem is RFC 7807 as RFC 8555 section 6.7 uses it.
type problem struct{ Type, Detail string }

// String is the kind of the problem and the authority's words.
func (p problem) String() string {
	return strings.TrimPrefix(p.Type, "urn:ietf:params:acme:error:") + ": " + p.Detail
}

// reasonOf is why an answer refuses: a problem, or an order or authorization that has become
// invalid (RFC 8555 section 7.1.6). It is empty for what refuses nothing. A nonce that was too old is
// part of the protocol.
func reasonOf(resp *http.Response, body []byte) string {
	var text struct {
		problem

		Status     any
		Error      *problem
		Challenges []struct{ Error *problem }
	}
	parsed := json.Unmarshal(body, &text) == nil
	if resp.StatusCode >= http.StatusBadRequest {
		switch {
		case parsed && strings.HasSuffix(text.Type, ":badNonce"):
			return ""
		case parsed && text.Detail != "":
			return text.String()
		}
		return resp.Status
	}
	if text.Status != acme.StatusInvalid {
		return ""
	}
	for _, challenge := range text.Challenges {
		if challenge.Error != nil {
			return challenge.Error.String()
		}
	}
	if text.Error != nil {
		return text.Error.String()
	}
	return ""
}
