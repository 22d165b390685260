package wire

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// Options configure a Conn. Name, URL and Token are required.
type Options struct {
	Name              string // of the target, as metrics and messages call it
	URL               string // of Matomo, with or without index.php
	Token             func() (string, error)
	Password          func() (string, error) // nil: there is none
	RequestsPerMinute int                    // 0: unlimited
	Timeout           time.Duration          // of one request; 20 s when 0
	Transport         http.RoundTripper      // nil: TLS 1.2 or later, proxy from the environment
	Registerer        prometheus.Registerer
	Logger            *zap.Logger
	UserAgent         string
}

// Conn speaks with one Matomo instance. It is safe for concurrent use.
type Conn struct {
	opt      Options
	endpoint string
	http     *http.Client
	token    *secret
	password *secret
	lanes    *lanes
	metrics  *metrics
	log      *zap.Logger

	mu      sync.Mutex // guards what follows
	version string
	lastOK  time.Time
	lastNo  *Error
}

// New checks the options and returns a Conn. It sends nothing.
func New(opt Options) (*Conn, error) {
	if opt.Name == "" || opt.Token == nil {
		return nil, errors.New("matomo: name and token are required")
	}
	endpoint, err := endpointOf(opt.URL)
	if err != nil {
		return nil, err
	}
	if opt.Timeout == 0 {
		opt.Timeout = 20 * time.Second
	}
	if opt.Logger == nil {
		opt.Logger = zap.NewNop()
	}
	if opt.UserAgent == "" {
		opt.UserAgent = "matomo-scim-bridge"
	}
	if opt.Transport == nil {
		opt.Transport = newTransport()
	}
	m, err := newMetrics(opt.Registerer, opt.Name)
	if err != nil {
		return nil, err
	}
	return &Conn{
		opt:      opt,
		endpoint: endpoint,
		// Redirects are never followed: one turns a POST into a GET, or carries
		// the token to another host.
		http: &http.Client{
			Transport:     opt.Transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		token:    newSecret("token", BadToken, opt.Token),
		password: newSecret("password", WrongPassword, opt.Password),
		lanes:    newLanes(opt.RequestsPerMinute),
		metrics:  m,
		log:      opt.Logger.With(zap.String("target", opt.Name)),
	}, nil
}

// newTransport is the standard transport with a floor under TLS and few idle
// connections.
func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   10 * time.Second,
		MaxIdleConnsPerHost:   4,
		IdleConnTimeout:       90 * time.Second,
		ForceAttemptHTTP2:     true,
		ExpectContinueTimeout: time.Second,
	}
}

// endpointOf completes a Matomo URL to its index.php.
func endpointOf(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", fmt.Errorf("matomo: url: %w", err)
	}
	if (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("matomo: url must look like https://matomo.example.com/, without credentials or query")
	}
	if !strings.HasSuffix(u.Path, "/index.php") {
		u.Path = strings.TrimSuffix(u.Path, "/") + "/index.php"
	}
	return u.String(), nil
}

// HasPassword reports whether calls that need the password can be sent: one is
// configured, it can be read, and Matomo did not refuse it.
func (c *Conn) HasPassword() bool { return c.CheckPassword() == nil }

// PasswordConfigured reports whether there is a password at all.
func (c *Conn) PasswordConfigured() bool { return c.password.configured() }

// CheckPassword returns nil when the password may be sent now, else why not.
func (c *Conn) CheckPassword() error {
	_, err := c.password.value("passwordConfirmation")
	return err
}

// ProvenWithin reports whether Matomo accepted the password at hand not longer
// than d ago.
func (c *Conn) ProvenWithin(d time.Duration) bool {
	v, err := c.password.value("passwordConfirmation")
	return err == nil && c.password.provenWithin(v, d)
}

// Version returns the version Matomo reported last; empty before the first
// read.
func (c *Conn) Version() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.version
}

// SetVersion tells what Matomo reported: answers are read, and bulk members
// written, by it.
func (c *Conn) SetVersion(v string) {
	c.metrics.seenVersion(v)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.version = v
}

// Major returns the first number of a version; 0 when there is none.
func Major(version string) int {
	first, _, _ := strings.Cut(version, ".")
	n, err := strconv.Atoi(first)
	if err != nil {
		return 0
	}
	return n
}

// Before5 reports whether a version is older than 5; an unknown one counts as
// old, which is the careful side.
func Before5(version string) bool { return Major(version) < 5 }

// Advice returns what a person should do about a kind of failure; empty when it
// mends itself.
func Advice(kind ErrorKind) string { return adviceFor[kind] }

// Health is what is known without asking Matomo.
type Health struct {
	Up          bool      // the last request was answered as it should be
	LastOK      time.Time // zero: never
	Problem     string    // why not Up; empty when it is, or when nothing was sent yet
	Advice      string    // what a person should do about Problem; empty when it mends itself
	Version     string    // of Matomo; empty before the first read
	TokenBad    bool      // Matomo refused the token; not used again until it changes
	PasswordBad bool      // Matomo refused the password; not used again until it changes
}

// Health tells how the last requests went. It looks at the secrets as they are
// now, so a file that was replaced shows at once, before anything is sent.
func (c *Conn) Health() Health {
	h := Health{TokenBad: c.token.bad(), PasswordBad: c.password.bad()}
	c.metrics.setRejected("token", h.TokenBad)
	c.metrics.setRejected("password", h.PasswordBad)
	c.mu.Lock()
	defer c.mu.Unlock()
	h.LastOK, h.Version = c.lastOK, c.version
	h.Up = c.lastNo == nil && !c.lastOK.IsZero()
	if c.lastNo != nil {
		h.Problem, h.Advice = c.lastNo.Error(), adviceFor[c.lastNo.Kind]
	}
	switch {
	case h.TokenBad:
		h.Up, h.Advice = false, adviceFor[BadToken]
	case h.PasswordBad && h.Advice == "":
		h.Advice = adviceFor[WrongPassword]
	}
	return h
}

// adviceFor says what to do about failures that do not mend themselves.
var adviceFor = map[ErrorKind]string{ //nolint:gochecknoglobals // a table that nothing writes
	BadToken:      "make a new token for the bridge's login in Matomo (Administration, Personal, Security) and put it into token_file",
	NoPermission:  "give the bridge's login superuser access in Matomo",
	WrongPassword: "put the current password of the bridge's login into password_file",
	NeedsPassword: "set password_file to the password of the bridge's login",
	SecretMissing: "make the secret file readable for the bridge",
	LockedOut:     "put the bridge's address on Matomo's allow list of the brute force protection, or wait an hour",
	Redirected:    "set url to the address the redirect names",
	IPRefused:     "add the bridge's address to login_allowlist_ip in Matomo's config.ini.php",
	StoreRefused:  "mend what the message names; docs/matomo.md says which grants the database user needs",
	UsersDisabled: "set enable_users_admin=1 in Matomo's config.ini.php",
}

// note remembers how an exchange with the instance ended, for Health and the up
// metric.
func (c *Conn) note(err error) {
	e, failed := errors.AsType[*Error](err)
	failed = failed && e.Target()
	up := 1.0
	if failed {
		up = 0
	}
	c.metrics.up.WithLabelValues(c.opt.Name).Set(up)
	c.mu.Lock()
	defer c.mu.Unlock()
	if failed {
		c.lastNo = e
		return
	}
	c.lastNo, c.lastOK = nil, time.Now()
}

// blame takes a secret out of use that Matomo refused. It is said once a value,
// as an error: a person must act.
func (c *Conn) blame(err error, token, password string) {
	switch KindOf(err) {
	case BadToken:
		if c.token.reject(token) {
			c.log.Error("Matomo refused the token; it is not used again until it changes", zap.Error(err))
		}
		c.metrics.setRejected("token", true)
	case WrongPassword:
		if password != "" && c.password.reject(password) {
			c.log.Error("Matomo refused the password; it is not used again until it changes", zap.Error(err))
		}
		c.metrics.setRejected("password", true)
	default:
	}
}
