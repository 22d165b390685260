// Package ways remembers how the token strategies of one instance fare: which of those
// that are there may be used, and which is out of use until somebody mends it.
//
// Several may be there at once, and each can fail by itself: the plugin after an
// update of Matomo, the database when its password changes. A failure that passes
// leaves everything as it is: the tokens are unknown, the person is looked at again,
// and nothing is destroyed for it. One that lasts takes the strategy out of use, until
// the next look finds it working, and the next one takes its place.
package ways

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/matomo-scim/bridge/matomo/internal/wire"
	"github.com/matomo-scim/bridge/matomo/plan"
)

// Invalidator ends app tokens past Matomo's API (strategy Database). Matomo's
// tracker goes on accepting an ended token for up to 300 s unless its cache is
// cleared, so Apply sends a setUserAccess that changes nothing after Revoke.
//
// Revoke ends every app token of login, in any spelling, and returns how many
// there were. It succeeds when there was none, and when the login does not
// exist. Either all tokens are ended or none. Tokens lists those that still
// work. Check proves that both would work and changes nothing. All may be called
// concurrently, and return *Error of kind StoreDown when the database does not
// answer, of kind StoreRefused when somebody has to mend something.
type Invalidator interface {
	Revoke(ctx context.Context, login string) (ended int, err error)
	Tokens(ctx context.Context, login string) ([]plan.Token, error)
	Check(ctx context.Context) (StoreReport, error)
}

// StoreReport is what an Invalidator found out about its database.
type StoreReport struct {
	Table      string   // with the database it is in
	Generation string   // which Matomo made it, such as "Matomo 5"
	Action     string   // how tokens end: delete or expire
	Excess     []string // what its user may do beyond what is needed
	Grant      string   // the statement that gives just that
}

// brokenAfter is how often in a row a strategy may fail at one thing before it is
// out of use, when its failure does not say that it lasts.
const brokenAfter = 4

// Deed is what a strategy is asked for. A plugin that still lists tokens and no
// longer ends them is no use, and neither is the opposite: their end could not be
// proven.
type Deed string

// The deeds.
const (
	Lists Deed = "list"
	Ends  Deed = "end"
)

// attempt is one strategy at one deed.
type attempt struct {
	by   plan.Strategy
	what Deed
}

// Ways is what is known of the strategies of an instance. Make it with New; it is
// safe for concurrent use.
type Ways struct {
	metrics *metrics

	mu      sync.Mutex // guards what follows
	failed  map[attempt]int
	broken  map[plan.Strategy]error
	current plan.Strategy
	looked  bool // current is known
}

// New returns what is known of a target's strategies: nothing yet. reg may be nil.
func New(reg prometheus.Registerer, target string) (*Ways, error) {
	m, err := newMetrics(reg, target)
	if err != nil {
		return nil, err
	}
	return &Ways{metrics: m, failed: map[attempt]int{}, broken: map[plan.Strategy]error{}}, nil
}

// Nothing here asks anybody: whether a strategy is there comes with every read, and
// how it fares with every use. Only ReviewTokens of the client goes and looks.

// Note takes in how a strategy fared at something.
func (w *Ways) Note(s plan.Strategy, what Deed, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		delete(w.failed, attempt{s, what})
		return
	}
	switch wire.KindOf(err) {
	case wire.Skipped, wire.UserMissing:
		return // says nothing about the strategy
	case wire.StoreDown:
		return // passes by itself
	case wire.StoreRefused, wire.UnknownMethod:
		w.broken[s] = err
	default:
		if w.failed[attempt{s, what}]++; w.failed[attempt{s, what}] >= brokenAfter {
			w.broken[s] = err
		}
	}
}

// Ended takes in, and counts, that the tokens of one person were to be ended.
func (w *Ways) Ended(s plan.Strategy, err error) {
	w.Note(s, Ends, err)
	w.metrics.count(s, err)
}

// Forgive gives a strategy another chance.
func (w *Ways) Forgive(s plan.Strategy) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.failed, attempt{s, Lists})
	delete(w.failed, attempt{s, Ends})
	delete(w.broken, s)
}

// Usable drops what is out of use.
func (w *Ways) Usable(all []plan.Strategy) []plan.Strategy {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(all), func(s plan.Strategy) bool { return w.broken[s] != nil })
}

// Choose returns the first of all that is not out of use, NoStrategy when there is
// none, and what takes its place when it fails.
func (w *Ways) Choose(all []plan.Strategy) (first plan.Strategy, rest []plan.Strategy) {
	usable := w.Usable(all)
	if len(usable) == 0 {
		return plan.NoStrategy, nil
	}
	return usable[0], usable[1:]
}

// Broken returns why each strategy that is out of use is.
func (w *Ways) Broken() map[plan.Strategy]error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.broken)
}

// Use shows s as the strategy in use, and reports whether that is news.
func (w *Ways) Use(s plan.Strategy) (changed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	changed = !w.looked || w.current != s
	w.looked, w.current = true, s
	w.metrics.use(s)
	return changed
}
