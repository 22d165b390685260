package reconcile_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/matomo-scim/bridge/internal/audit"
	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/internal/reconcile"
	"github.com/matomo-scim/bridge/mapping"
	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/matomotest"
)

// defaultRules are what most tests decide with.
const defaultRules = `
[RoleMapping]
group[Analysts] = "site:1:write, site:2:view"
group[Editors] = "site:2:admin, site:3:view"
group[Everywhere] = "site:*:view"
group[Admins] = "superuser"
group[Blocked] = "site:2:noaccess"
`

// world is a bridge without its front: a directory, an engine and a Matomo.
type world struct {
	tb       testing.TB
	ctx      context.Context
	db       *database.DB
	bindings *bindings.Store
	dir      *directory.Store
	audit    *audit.Log
	matomo   *matomotest.Server
	engine   *reconcile.Engine
	registry *prometheus.Registry
	options  reconcile.Options
	logs     *observer.ObservedLogs
	health   *healthBook
	hook     func(body string) // called before each request, when set
	// deaf engines hear of nothing, as when another process writes.
	deaf  atomic.Bool
	store *tokenStore // the token database, when there is one
	// transport answers instead of the stand-in, when set.
	transport http.RoundTripper
	users     map[string]string // userName -> id
	groups    map[string]string // displayName -> id
}

// hooked lets a test do something in the middle of a pass.
type hooked struct{ w *world }

func (h hooked) RoundTrip(r *http.Request) (*http.Response, error) {
	if h.w.hook != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		text, err := url.QueryUnescape(string(body))
		if err != nil {
			return nil, err
		}
		h.w.hook(text)
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	if h.w.transport != nil {
		return h.w.transport.RoundTrip(r)
	}
	return h.w.matomo.RoundTripper().RoundTrip(r)
}

// healthBook keeps the last report of each component.
type healthBook struct {
	mu    sync.Mutex // guards parts
	parts map[string]string
}

func (h *healthBook) report(component, state, detail, action string, _ time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.parts[component] = state + ": " + detail + ": " + action
}

func (h *healthBook) of(component string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.parts[component]
}

// setting changes what a world is made of.
type setting func(*worldOptions)

type worldOptions struct {
	rules    string
	server   matomotest.Options
	engine   reconcile.Options
	target   reconcile.TargetOptions
	client   matomo.Options
	password bool
	store    bool // there is a token database
}

func withRules(rules string) setting { return func(o *worldOptions) { o.rules = rules } }
func withPlugin() setting            { return func(o *worldOptions) { o.server.Plugin = true } }
func withoutPassword() setting       { return func(o *worldOptions) { o.password = false } }
func withServer(fn func(*matomotest.Options)) setting {
	return func(o *worldOptions) { fn(&o.server) }
}

func withGuards(maxSuper, minSuper int) setting {
	return func(o *worldOptions) {
		o.engine.Guards = reconcile.Guards{MaxSuperusers: maxSuper, MinSuperusers: minSuper}
	}
}

func withMode(m reconcile.Mode) setting { return func(o *worldOptions) { o.target.Mode = m } }

func withPolicy(fn func(*matomo.Policy)) setting {
	return func(o *worldOptions) { fn(&o.target.Policy) }
}

func withClient(fn func(*matomo.Options)) setting {
	return func(o *worldOptions) { fn(&o.client) }
}

func withEngine(fn func(*reconcile.Options)) setting {
	return func(o *worldOptions) { fn(&o.engine) }
}

func withSettle(d time.Duration) setting {
	return func(o *worldOptions) { o.engine.Settle = d }
}

// newWorld returns a world on db whose engine is not running; tests step it
// with Drain.
func newWorld(tb testing.TB, db *database.DB, settings ...setting) *world {
	tb.Helper()
	o := worldOptions{
		rules:    defaultRules,
		password: true,
		engine:   reconcile.Options{Guards: reconcile.Guards{MaxSuperusers: 3, MinSuperusers: 0}},
		target:   reconcile.TargetOptions{Name: "main", URL: "http://matomo.test/", Mode: reconcile.Enforce, DeleteAfter: 720 * time.Hour},
	}
	o.target.Policy = matomo.Policy{
		Manage: matomo.Exclusive, SignIn: matomo.SignInSSO, Tokens: matomo.Auto, RevokeOnRoleChange: true,
		LeaverTokens: matomo.RevokeOrInert, RandomisePassword: true,
	}
	for _, set := range settings {
		set(&o)
	}
	w := &world{
		tb: tb, ctx: tb.Context(), db: db, bindings: bindings.New(db), registry: prometheus.NewRegistry(),
		matomo: matomotest.New(o.server), users: map[string]string{}, groups: map[string]string{},
	}
	core, logs := observer.New(zap.InfoLevel)
	w.logs, w.health = logs, &healthBook{parts: map[string]string{}}
	w.audit = audit.New(db, zap.NewNop(), prometheus.NewRegistry())
	w.dir = directory.New(db, w.bindings, directory.Options{Sources: []directory.Source{{Name: "scim", Lifecycle: true}}})
	w.options = o.engine
	w.options.Targets = []reconcile.TargetOptions{w.target(o)}
	w.options.DB, w.options.Bindings, w.options.Directory = db, w.bindings, w.dir
	w.options.RuleOptions = mapping.Options{Targets: []string{"main"}, Sources: []string{"scim"}}
	w.options.Registerer, w.options.Logger, w.options.Report = w.registry, zap.New(core), w.health.report
	w.start()
	w.ensure()
	w.activate(o.rules)
	return w
}

// start makes an engine; one that was there before is gone as after a crash.
func (w *world) start() {
	w.tb.Helper()
	var err error
	if w.engine, err = reconcile.New(w.options); err != nil {
		w.tb.Fatal(err)
	}
	w.wakes(w.engine)
}

// wakes tells an engine of what becomes due, unless the world is deaf. One that was
// replaced is told too: it does not run.
func (w *world) wakes(e *reconcile.Engine) {
	w.bindings.OnDue(func() {
		if !w.deaf.Load() {
			e.Wake()
		}
	})
}

// restart replaces the engine by one that knows nothing but the database.
func (w *world) restart(change ...func(*reconcile.Options)) {
	w.tb.Helper()
	w.registry = prometheus.NewRegistry()
	w.options.Registerer = w.registry
	for _, fn := range change {
		fn(&w.options)
	}
	w.start()
	w.ensure()
}

// ensure makes the targets of the options known, as a start of the service does.
func (w *world) ensure() {
	w.tb.Helper()
	var specs []bindings.TargetSpec
	for _, t := range w.options.Targets {
		specs = append(specs, bindings.TargetSpec{Name: t.Name, URL: t.URL, Mode: string(t.Mode)})
	}
	w.inTx(func(ctx context.Context, tx *database.Tx) error { return w.bindings.Ensure(ctx, tx, specs) })
}

// target completes the options of the one target with a client on the stand-in.
func (w *world) target(o worldOptions) reconcile.TargetOptions {
	w.tb.Helper()
	opt := o.client
	opt.Name, opt.URL, opt.Login = "main", "http://matomo.test/", "bridge"
	opt.Transport, opt.Registerer = hooked{w}, w.registry
	if opt.Token == nil {
		token := w.matomo.Token()
		opt.Token = func() (string, error) { return token, nil }
	}
	if o.password && opt.Password == nil {
		password := w.matomo.Password()
		opt.Password = func() (string, error) { return password, nil }
	}
	if o.store {
		w.store = &tokenStore{matomo: w.matomo}
		opt.TokenDB = w.store
	}
	client, err := matomo.New(opt)
	if err != nil {
		w.tb.Fatal(err)
	}
	t := o.target
	t.Client = client
	return t
}

// activate makes rules the active ones.
func (w *world) activate(rules string) {
	w.tb.Helper()
	files := []mapping.File{{Name: "mapping.ini", Data: []byte(rules)}}
	parsed, err := mapping.Parse(files, w.options.RuleOptions)
	if err != nil {
		w.tb.Fatal(err)
	}
	text, err := mapping.Marshal(files)
	if err != nil {
		w.tb.Fatal(err)
	}
	w.inTx(func(ctx context.Context, tx *database.Tx) error {
		return w.bindings.ActivateRules(ctx, tx, bindings.RuleSet{Hash: parsed.Hash(), Text: text, Origin: "test"})
	})
}

func (w *world) inTx(fn database.Func) {
	w.tb.Helper()
	if err := w.db.InTx(w.ctx, fn); err != nil {
		w.tb.Fatal(err)
	}
}

// drain runs the loop until nothing is due.
func (w *world) drain() {
	w.tb.Helper()
	if _, err := w.engine.Drain(w.ctx); err != nil {
		w.tb.Fatalf("drain: %v", err)
	}
}

var actor = directory.Actor{Credential: "test", Source: "scim", RequestID: "r1"}

// join creates a user and puts them into groups.
func (w *world) join(userName string, groups ...string) {
	w.tb.Helper()
	w.create(userName, "ext-"+userName)
	for _, g := range groups {
		w.add(g, userName)
	}
}

// create posts a user.
func (w *world) create(userName, externalID string) {
	w.tb.Helper()
	doc := map[string]any{"userName": userName, "externalId": externalID, "active": true}
	if !strings.Contains(userName, "@") {
		doc["emails"] = []any{map[string]any{"value": userName + "@example.org", "type": "work", "primary": true}}
	}
	u, err := w.dir.CreateUser(w.ctx, actor, doc)
	if err != nil {
		w.tb.Fatalf("create %s: %v", userName, err)
	}
	w.users[userName] = u.ID
}

// add makes a user a member; the group is created when it does not exist.
func (w *world) add(group, userName string) {
	w.tb.Helper()
	if w.groups[group] == "" {
		g, err := w.dir.CreateGroup(w.ctx, actor, map[string]any{"displayName": group}, nil)
		if err != nil {
			w.tb.Fatalf("create group %s: %v", group, err)
		}
		w.groups[group] = g.ID
	}
	w.members(group, directory.MemberOp{Kind: directory.Add, Values: []string{w.users[userName]}})
}

// remove ends a membership.
func (w *world) remove(group, userName string) {
	w.tb.Helper()
	w.members(group, directory.MemberOp{Kind: directory.Remove, Values: []string{w.users[userName]}})
}

func (w *world) members(group string, ops ...directory.MemberOp) {
	w.tb.Helper()
	if _, _, err := w.dir.UpdateGroup(w.ctx, actor, w.groups[group], nil, nil, ops); err != nil {
		w.tb.Fatalf("members of %s: %v", group, err)
	}
}

// update changes a user's document.
func (w *world) update(userName string, fn func(map[string]any)) {
	w.tb.Helper()
	_, _, err := w.dir.UpdateUser(w.ctx, actor, w.users[userName], nil,
		func(_ directory.User, doc map[string]any) (map[string]any, error) {
			fn(doc)
			return doc, nil
		})
	if err != nil {
		w.tb.Fatalf("update %s: %v", userName, err)
	}
}

// leave and back switch a user off and on again.
func (w *world) leave(userName string) {
	w.tb.Helper()
	w.update(userName, func(doc map[string]any) { doc["active"] = false })
}

func (w *world) back(userName string) {
	w.tb.Helper()
	w.update(userName, func(doc map[string]any) { doc["active"] = true })
}

// delete removes a user.
func (w *world) delete(userName string) {
	w.tb.Helper()
	if err := w.dir.DeleteUser(w.ctx, actor, w.users[userName], nil); err != nil {
		w.tb.Fatalf("delete %s: %v", userName, err)
	}
	delete(w.users, userName)
}
