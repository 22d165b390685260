package reconcile_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/matomo-scim/bridge/internal/audit"
	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/internal/reconcile"
	"github.com/matomo-scim/bridge/mapping"
	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/access"
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
	users    map[string]string // userName -> id
	groups   map[string]string // displayName -> id
}

// hooked lets a test do something in the middle of a pass.
type hooked struct {
	w    *world
	next http.RoundTripper
}

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
	return h.next.RoundTrip(r)
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
	targets  []string
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
	w.bindings.OnDue(w.engine.Wake)
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
	opt.Transport, opt.Registerer = hooked{w, w.matomo.RoundTripper()}, w.registry
	if opt.Token == nil {
		opt.Token = func() (string, error) { return w.matomo.Token(), nil }
	}
	if o.password && opt.Password == nil {
		opt.Password = func() (string, error) { return w.matomo.Password(), nil }
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

// subject returns the subject of a user.
func (w *world) subject(userName string) string {
	w.tb.Helper()
	subjects, err := w.dir.SubjectsByUserName(w.ctx, userName)
	if err != nil || len(subjects) != 1 {
		w.tb.Fatalf("subjects of %s: %v, %v", userName, subjects, err)
	}
	return subjects[0]
}

// binding returns the one binding of a user.
func (w *world) binding(userName string) bindings.Binding {
	w.tb.Helper()
	return w.bindingOf(w.subject(userName))
}

func (w *world) bindingOf(subject string) bindings.Binding {
	w.tb.Helper()
	list, err := w.bindings.BySubject(w.ctx, subject)
	if err != nil || len(list) != 1 {
		w.tb.Fatalf("bindings of %s: %d, %v", subject, len(list), err)
	}
	return list[0]
}

// due makes a user's binding due now, as a new event would, and no event.
func (w *world) due(subjects ...string) {
	w.tb.Helper()
	w.inTx(func(ctx context.Context, tx *database.Tx) error {
		return w.bindings.MarkDue(ctx, tx, subjects, bindings.Mark{})
	})
}

// compare does a full compare and what comes of it.
func (w *world) compare() {
	w.tb.Helper()
	if err := w.engine.MarkDifferences(w.ctx); err != nil {
		w.tb.Fatalf("compare: %v", err)
	}
	w.drain()
}

// differences is what a compare finds and does not touch.
func (w *world) differences() []reconcile.Difference {
	w.tb.Helper()
	found, err := w.engine.Compare(w.ctx, "main")
	if err != nil {
		w.tb.Fatalf("compare: %v", err)
	}
	return found.Differences
}

// wantAccess compares what Matomo holds with what it should.
func (w *world) wantAccess(login, want string) {
	w.tb.Helper()
	got := "no account"
	if _, ok := w.matomo.User(login); ok {
		got = w.matomo.Access(login).String()
	}
	if want == "" {
		want = access.Access{}.String()
	}
	if got != want {
		w.tb.Errorf("%s has %q in Matomo, want %q", login, got, want)
	}
}

// wantState compares how far a binding has come.
func (w *world) wantState(userName string, state bindings.State, reason string) {
	w.tb.Helper()
	w.wantBinding(w.binding(userName), state, reason)
}

func (w *world) wantBinding(b bindings.Binding, state bindings.State, reason string) {
	w.tb.Helper()
	if b.State != state || b.Reason != reason {
		w.tb.Errorf("%s is %s (%s: %s), want %s (%s)", b.Login, b.State, b.Reason, b.Detail, state, reason)
	}
}

// mint makes a token as the person would, giving them a known password first.
func (w *world) mint(login string) string {
	w.tb.Helper()
	w.matomo.SetPassword(login, "a-known-password")
	token, err := w.matomo.MintToken(login, "a-known-password")
	if err != nil {
		w.tb.Fatalf("mint token for %s: %v", login, err)
	}
	return token
}

// wantDead and wantAlive look whether a token still identifies somebody.
func (w *world) wantDead(tokens ...string) {
	w.tb.Helper()
	for i, token := range tokens {
		if w.matomo.TokenAlive(token) {
			w.tb.Errorf("token %d is alive", i)
		}
	}
}

// writes are the methods that changed something, in the order of the calls.
func (w *world) writes() []string {
	w.tb.Helper()
	var out []string
	for _, c := range w.matomo.Calls() {
		if isWrite(c.Method) {
			out = append(out, c.Method[strings.IndexByte(c.Method, '.')+1:])
		}
	}
	return out
}

// isWrite reports whether a method changes something.
func isWrite(method string) bool {
	_, name, _ := strings.Cut(method, ".")
	for _, verb := range []string{"add", "set", "update", "delete", "invite", "revoke", "logout", "regenerate"} {
		if strings.HasPrefix(name, verb) {
			return true
		}
	}
	return false
}

// entries returns the audit entries of a subject whose kind begins with prefix.
func (w *world) entries(subject, prefix string) []audit.Row {
	w.tb.Helper()
	var out []audit.Row
	err := w.audit.Each(w.ctx, audit.Filter{Subject: subject}, func(r audit.Row) error {
		if strings.HasPrefix(r.Kind, prefix) {
			out = append(out, r)
		}
		return nil
	})
	if err != nil {
		w.tb.Fatal(err)
	}
	return out
}

// metric returns one value of the registry; name is followed by label pairs.
func (w *world) metric(name string, labels ...string) float64 {
	w.tb.Helper()
	families, err := w.registry.Gather()
	if err != nil {
		w.tb.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "scim_bridge_"+name {
			continue
		}
		for _, m := range f.GetMetric() {
			var have []string
			for _, l := range m.GetLabel() {
				have = append(have, l.GetName()+"="+l.GetValue())
			}
			if !slices.ContainsFunc(labels, func(l string) bool { return !slices.Contains(have, l) }) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	w.tb.Fatalf("no metric %s%v", name, labels)
	return 0
}

// lint fails the test for metrics that promlint does not like.
func (w *world) lint() {
	w.tb.Helper()
	problems, err := testutil.GatherAndLint(w.registry)
	if err != nil {
		w.tb.Fatal(err)
	}
	for _, p := range problems {
		w.tb.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// logged counts the log lines of a level or above that contain text.
func (w *world) logged(text string) int {
	n := 0
	for _, e := range w.logs.All() {
		if strings.Contains(e.Message, text) {
			n++
		}
	}
	return n
}

// removals counts the ledger's rows of a kind.
func (w *world) removals(kind bindings.RemovalKind) int {
	w.tb.Helper()
	n, err := w.bindings.CountRemovals(w.ctx, w.db.Reader(), kind, "main", time.Time{}.Add(time.Hour))
	if err != nil {
		w.tb.Fatal(err)
	}
	return n
}

// evidence returns what was saved of a login.
func (w *world) evidence(login string) []bindings.Evidence {
	w.tb.Helper()
	list, err := w.bindings.EvidenceOf(w.ctx, w.db.Reader(), "main", access.FoldLogin(login))
	if err != nil {
		w.tb.Fatal(err)
	}
	return list
}

// each runs test on every engine.
func each(t *testing.T, test func(t *testing.T, db *database.DB)) {
	t.Helper()
	databasetest.Run(t, test)
}

// onRequest calls fn once, before the first request that mentions text.
func (w *world) onRequest(text string, fn func()) {
	w.hook = func(body string) {
		if strings.Contains(body, text) {
			w.hook = nil
			fn()
		}
	}
}

// errFile stands for a secret that cannot be read.
var errFile = errors.New("no such file")
