package matomo

import (
	"context"
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

	"github.com/matomo-scim/bridge/matomo/access"
)

// Options configure a Client. Name, URL, Login and Token are required.
type Options struct {
	Name  string // of the target, as metrics and messages call it
	URL   string // of Matomo, with or without index.php
	Login string // whose token it is; always protected

	Token    func() (string, error) // token_auth of a superuser; read anew on every use
	Password func() (string, error) // that superuser's password; nil when there is none

	Protected         []string      // logins that Apply refuses to touch; `anonymous` and Login are among them in any case
	RequestsPerMinute int           // 0: unlimited
	Timeout           time.Duration // of one request; 20 s when 0
	InstanceTimeout   time.Duration // of a read of the whole instance; 5 min when 0

	Transport  http.RoundTripper // nil: TLS 1.2 or later, proxy from the environment
	Registerer prometheus.Registerer
	Logger     *zap.Logger
	UserAgent  string

	// TokenDB ends tokens through Matomo's database, for strategy Database; nil when not configured.
	TokenDB Invalidator
}

// Client talks to one Matomo instance. It is safe for concurrent use; writes to one login are sent one after another.
type Client struct {
	opt      Options
	endpoint string
	http     *http.Client
	token    *secret
	password *secret
	lanes    *lanes
	metrics  *metrics
	log      *zap.Logger
	writers  keyLock

	mu     sync.Mutex // guards what follows
	facts  facts
	lastOK time.Time
	lastNo *Error
}

// facts are what hardly ever changes about an instance. They come along with every read.
type facts struct {
	at        time.Time // zero: nothing known yet
	version   string
	caps      []Capability
	canRevoke bool
}

// factsLast is how long facts are believed without having been read again.
const factsLast = time.Hour

// New checks the options and returns a Client. It sends nothing.
func New(opt Options) (*Client, error) {
	if opt.Name == "" || opt.Login == "" || opt.Token == nil {
		return nil, errors.New("matomo: name, login and token are required")
	}
	endpoint, err := endpointOf(opt.URL)
	if err != nil {
		return nil, err
	}
	if opt.Timeout == 0 {
		opt.Timeout = 20 * time.Second
	}
	if opt.InstanceTimeout == 0 {
		opt.InstanceTimeout = 5 * time.Minute
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
	return &Client{
		opt:      opt,
		endpoint: endpoint,
		// Redirects are never followed: one turns a POST into a GET, or carries the token to another host.
		http: &http.Client{
			Transport:     opt.Transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		token:    newSecret("token", BadToken, opt.Token),
		password: newSecret("password", WrongPassword, opt.Password),
		lanes:    newLanes(opt.RequestsPerMinute),
		metrics:  m,
		log:      opt.Logger.With(zap.String("target", opt.Name)),
		writers:  keyLock{held: make(map[string]chan struct{})},
	}, nil
}

// newTransport is the standard transport with a floor under TLS and few idle connections.
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

// Name returns the target's name.
func (c *Client) Name() string { return c.opt.Name }

// HasPassword reports whether steps that need the password can be sent: one is configured, it can be read, and Matomo did
// not refuse it.
func (c *Client) HasPassword() bool {
	_, err := c.password.value(bulkMethod)
	return err == nil
}

// IsProtected reports whether the client refuses to change a login, in any spelling.
func (c *Client) IsProtected(login string) bool {
	return Policy{Protected: append([]string{c.opt.Login}, c.opt.Protected...)}.protects(login)
}

// Health is what the client knows without asking Matomo.
type Health struct {
	Up          bool      // the last request was answered as it should be
	LastOK      time.Time // zero: never
	Problem     string    // why not Up; empty when it is, or when nothing was sent yet
	Advice      string    // what a person should do about Problem; empty when it mends itself
	Version     string    // of Matomo; empty before the first read
	TokenBad    bool      // Matomo refused the token; not used again until it changes
	PasswordBad bool      // Matomo refused the password; not used again until it changes
}

// Health tells how the last requests went.
func (c *Client) Health() Health {
	h := Health{TokenBad: c.token.bad(), PasswordBad: c.password.bad()}
	c.metrics.setRejected("token", h.TokenBad)
	c.metrics.setRejected("password", h.PasswordBad)
	c.mu.Lock()
	defer c.mu.Unlock()
	h.LastOK, h.Version = c.lastOK, c.facts.version
	h.Up = c.lastNo == nil && !c.lastOK.IsZero()
	if c.lastNo != nil {
		h.Problem, h.Advice = c.lastNo.Error(), advice[c.lastNo.Kind]
	}
	switch {
	case h.TokenBad:
		h.Up, h.Advice = false, advice[BadToken]
	case h.PasswordBad && h.Advice == "":
		h.Advice = advice[WrongPassword]
	}
	return h
}

// advice says what to do about failures that do not mend themselves.
var advice = map[ErrorKind]string{ //nolint:gochecknoglobals // a table that nothing writes
	BadToken:      "make a new token for the bridge's login in Matomo (Administration, Personal, Security) and put it into token_file",
	NoPermission:  "give the bridge's login superuser access in Matomo",
	WrongPassword: "put the current password of the bridge's login into password_file",
	NeedsPassword: "set password_file to the password of the bridge's login",
	SecretMissing: "make the secret file readable for the bridge",
	LockedOut:     "put the bridge's address on Matomo's allow list of the brute force protection, or wait an hour",
	Redirected:    "set url to the address the redirect names",
	IPRefused:     "add the bridge's address to login_allowlist_ip in Matomo's config.ini.php",
	UsersDisabled: "set enable_users_admin=1 in Matomo's config.ini.php",
}

// note remembers how an exchange with the instance ended, for Health and the up metric.
func (c *Client) note(err error) {
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

// blame takes a secret out of use that Matomo refused.
func (c *Client) blame(err error, token, password string) {
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

// before5 reports whether the version is known to be 5 or later; an unknown one counts as old, which is the careful side.
func (f facts) before5() bool { return major(f.version) < 5 }

// major returns the first number of a version; 0 when there is none.
func major(version string) int {
	first, _, _ := strings.Cut(version, ".")
	n, err := strconv.Atoi(first)
	if err != nil {
		return 0
	}
	return n
}

// known returns the facts and whether they are fresh enough to build on.
func (c *Client) known() (facts, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.facts, !c.facts.at.IsZero() && time.Since(c.facts.at) < factsLast
}

// learn stores fresh facts.
func (c *Client) learn(f facts) {
	f.at = time.Now()
	c.metrics.seenVersion(f.version)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.facts = f
}

// keyLock lets one goroutine at a time work on a set of logins.
type keyLock struct {
	mu   sync.Mutex // guards held
	held map[string]chan struct{}
}

// lock waits until none of the logins is held, then holds them all; the function returned lets them go.
func (k *keyLock) lock(ctx context.Context, logins []string) (unlock func(), err error) {
	keys := make([]string, len(logins))
	for i, l := range logins {
		keys[i] = access.FoldLogin(l)
	}
	mine := make(chan struct{})
	for {
		k.mu.Lock()
		busy := k.firstHeldLocked(keys)
		if busy == nil {
			for _, key := range keys {
				k.held[key] = mine
			}
			k.mu.Unlock()
			return func() { k.release(keys, mine) }, nil
		}
		k.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (k *keyLock) firstHeldLocked(keys []string) chan struct{} {
	for _, key := range keys {
		if ch, ok := k.held[key]; ok {
			return ch
		}
	}
	return nil
}

func (k *keyLock) release(keys []string, mine chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, key := range keys {
		delete(k.held, key)
	}
	close(mine)
}
