package matomo

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/matomo/internal/restore"
	"github.com/matomo-scim/bridge/matomo/internal/snapshot"
	"github.com/matomo-scim/bridge/matomo/internal/ways"
	"github.com/matomo-scim/bridge/matomo/internal/wire"
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

	// TokenDB ends tokens through Matomo's database, for strategy Database; nil
	// when not configured.
	TokenDB Invalidator
}

// Client talks to one Matomo instance. It is safe for concurrent use; writes to
// one login are sent one after another.
type Client struct {
	opt     Options
	conn    *wire.Conn
	reader  *snapshot.Reader
	log     *zap.Logger
	writers keyLock
	ways    *ways.Ways

	mu        sync.Mutex // guards protected
	protected []string   // with Login; replaced, never changed
}

// New checks the options and returns a Client. It sends nothing.
func New(opt Options) (*Client, error) {
	if opt.Login == "" {
		return nil, errors.New("matomo: login is required")
	}
	if opt.Logger == nil {
		opt.Logger = zap.NewNop()
	}
	conn, err := wire.New(wire.Options{
		Name: opt.Name, URL: opt.URL, Token: opt.Token, Password: opt.Password, RequestsPerMinute: opt.RequestsPerMinute,
		Timeout: opt.Timeout, Transport: opt.Transport, Registerer: opt.Registerer, Logger: opt.Logger, UserAgent: opt.UserAgent,
	})
	if err != nil {
		return nil, err
	}
	known, err := ways.New(opt.Registerer, opt.Name)
	if err != nil {
		return nil, err
	}
	c := &Client{
		ways: known,
		opt:  opt, conn: conn, log: opt.Logger.With(zap.String("target", opt.Name)),
		reader:  &snapshot.Reader{Conn: conn, InstanceTimeout: opt.InstanceTimeout},
		writers: keyLock{held: make(map[string]chan struct{})},
	}
	c.Protect(opt.Protected)
	if opt.TokenDB != nil {
		c.reader.Tokens = opt.TokenDB.Tokens
	}
	return c, nil
}

// Name returns the target's name.
func (c *Client) Name() string { return c.opt.Name }

// Login returns the login whose token the client uses; it is always protected.
func (c *Client) Login() string { return c.opt.Login }

// HasPassword reports whether steps that need the password can be sent: one is
// configured, it can be read, and Matomo did not refuse it.
func (c *Client) HasPassword() bool { return c.conn.HasPassword() }

// PasswordError returns why the configured password cannot be used: it cannot be
// read, or Matomo refused it. Nil when it can, or when none is configured.
func (c *Client) PasswordError() error {
	if !c.conn.PasswordConfigured() {
		return nil
	}
	return c.conn.CheckPassword()
}

// Health tells how the last requests went, and whether a secret is out of use.
func (c *Client) Health() Health { return c.conn.Health() }

// IsProtected reports whether the client refuses to change a login, in any
// spelling.
func (c *Client) IsProtected(login string) bool { return c.protection().Protects(login) }

// Protect replaces the logins that are refused to be changed. Writes that are sent later
// are checked against the new ones, whatever their plan was made with.
func (c *Client) Protect(logins []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.protected = append([]string{c.opt.Login}, logins...)
}

// Protected returns the logins that are refused to be changed, the client's own first.
func (c *Client) Protected() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.protected
}

// protection is a policy that holds the protected logins only.
func (c *Client) protection() Policy { return Policy{Protected: c.Protected()} }

// ReadInstance reads every account and its access in one request (one more when
// nothing is known of the instance yet, or when a plugin changed the list of
// capabilities). Any part that fails fails the whole (I1).
func (c *Client) ReadInstance(ctx context.Context) (*Snapshot, error) { return c.reader.Instance(ctx) }

// ReadAccounts reads a few accounts, in one request unless there are many.
// Logins that do not exist are in the snapshot as such. With no logins it reads
// sites and capabilities only.
func (c *Client) ReadAccounts(ctx context.Context, logins []string, opt Read) (*Snapshot, error) {
	snap, err := c.reader.Accounts(ctx, logins, opt)
	if err == nil && opt.Tokens && len(logins) > 0 {
		c.noteReads(snap)
	}
	return snap, err
}

// ReadTokens reads the app tokens of a few accounts and nothing of their
// access: the accounts of this snapshot show none. Where tokens cannot be seen,
// TokensKnown is unset, and TokenTrouble says why when they should have been.
func (c *Client) ReadTokens(ctx context.Context, logins []string) (*Snapshot, error) {
	snap, err := c.reader.TokensOnly(ctx, logins)
	if err == nil {
		c.noteReads(snap)
	}
	return snap, err
}

// Restore makes for a login what evidence of another, or of the same one, holds, as far as the API
// allows; see restore.Matomo.
func (c *Client) Restore(ctx context.Context, opt RestoreOptions) ([]Restored, error) {
	return restore.Matomo{Conn: c.conn, Reader: c.reader, Login: c.opt.Login, Protects: c.IsProtected}.Restore(ctx, opt)
}
