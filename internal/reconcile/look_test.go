package reconcile_test

// How tests look at what came of it: bindings, Matomo, records, metrics.

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/matomo-scim/bridge/internal/audit"
	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/internal/reconcile"
	"github.com/matomo-scim/bridge/matomo/access"
)

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
