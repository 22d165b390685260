package matomo

import (
	"context"
	"maps"
	"slices"
	"sync"

	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/matomo/plan"
)

// Several strategies may be there at once, and each can fail by itself: the plugin
// after an update of Matomo, the database when its password changes. What a
// strategy's failure means is decided here. One that passes leaves everything as
// it is: the tokens are unknown, the person is looked at again, and nothing is
// destroyed for it. One that lasts takes the strategy out of use, until the next
// look finds it working, and the next one takes its place.

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
	Tokens(ctx context.Context, login string) ([]Token, error)
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

// What a strategy is asked for. A plugin that still lists tokens and no longer ends
// them is no use, and neither is the opposite: their end could not be proven.
const (
	lists = "list"
	ends  = "end"
)

// deed is one thing that a strategy does.
type deed struct {
	by   Strategy
	what string
}

// ways remembers how the token strategies of an instance fare.
type ways struct {
	metrics *tokenMetrics

	mu      sync.Mutex // guards what follows
	failed  map[deed]int
	broken  map[Strategy]error
	current Strategy
	looked  bool // current is known
}

// forgive gives a strategy another chance.
func (w *ways) forgive(s Strategy) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.failed, deed{s, lists})
	delete(w.failed, deed{s, ends})
	delete(w.broken, s)
}

// note takes in how a strategy fared at something.
func (w *ways) note(s Strategy, what string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		delete(w.failed, deed{s, what})
		return
	}
	switch KindOf(err) {
	case Skipped, UserMissing:
		return // says nothing about the strategy
	case StoreDown:
		return // passes by itself
	case StoreRefused, UnknownMethod:
		w.broken[s] = err
	default:
		if w.failed[deed{s, what}]++; w.failed[deed{s, what}] >= brokenAfter {
			w.broken[s] = err
		}
	}
}

// Nothing here asks anybody: whether a strategy is there comes with every read, and
// how it fares with every use. Only ReviewTokens goes and looks.

// usable drops what is out of use.
func (w *ways) usable(all []Strategy) []Strategy {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(all), func(s Strategy) bool { return w.broken[s] != nil })
}

// Complete fills in what only client and snapshot know: the sites and
// capabilities that exist, the protected logins, whether there is a usable
// password, and which token strategies work. pol.Tokens is the configured
// setting on the way in.
func (c *Client) Complete(pol Policy, s *Snapshot) Policy {
	pol.Sites, pol.Capabilities = s.SiteIDs(), s.Capabilities
	pol.Protected = c.protection().Protected
	pol.HasPassword = c.HasPassword()
	usable := c.ways.usable(plan.TokenWays(pol.Tokens, s.Version, s.CanRevoke, c.opt.TokenDB != nil))
	pol.Tokens, pol.TokenFallback = NoStrategy, nil
	if len(usable) > 0 {
		pol.Tokens, pol.TokenFallback = usable[0], usable[1:]
	}
	pol.CanLogout = s.CanRevoke
	return pol
}

// TokenWay is which token strategy an instance is worked with, and why.
type TokenWay struct {
	Strategy Strategy           // NoStrategy when nothing works
	Fallback []Strategy         // what takes its place when it fails
	Broken   map[Strategy]error // what is there and does not work
	Changed  bool               // since the last look; true for the first
	Store    *StoreReport       // of the token database, when there is one and it works
}

// ReviewTokens looks which token strategies work now: Matomo's version and plugins
// as they were last read, and the token database. A strategy that was out of use
// gets another chance. setting is the configured strategy. It costs no request
// unless nothing is known of the instance or the plugin failed, and changes nothing. The error is that
// of the instance; one of a strategy is in Broken.
func (c *Client) ReviewTokens(ctx context.Context, setting Strategy) (TokenWay, error) {
	if err := c.reader.Fresh(ctx); err != nil {
		return TokenWay{}, err
	}
	version, canRevoke := c.reader.Facts()
	all := plan.TokenWays(setting, version, canRevoke, c.opt.TokenDB != nil)
	if err := c.retryWays(ctx, canRevoke); err != nil {
		return TokenWay{}, err
	}
	var out TokenWay
	if slices.Contains(all, Database) {
		report, err := c.opt.TokenDB.Check(ctx)
		if err == nil {
			c.ways.forgive(Database)
			out.Store = &report
		} else {
			c.ways.note(Database, ends, err)
			out.Broken = map[Strategy]error{Database: err}
		}
	}
	if usable := c.ways.usable(all); len(usable) > 0 {
		out.Strategy, out.Fallback = usable[0], usable[1:]
	}
	c.ways.mu.Lock()
	defer c.ways.mu.Unlock()
	if out.Broken == nil {
		out.Broken = map[Strategy]error{}
	}
	maps.Copy(out.Broken, c.ways.broken)
	out.Changed = !c.ways.looked || c.ways.current != out.Strategy
	c.ways.looked, c.ways.current = true, out.Strategy
	c.ways.metrics.use(out.Strategy)
	return out, nil
}

// retryWays gives strategies of the API that are out of use another chance: the
// plugin when it can list our own tokens, Matomo's own call in any case.
func (c *Client) retryWays(ctx context.Context, canRevoke bool) error {
	c.ways.forgive(Regenerate)
	if len(c.ways.usable([]Strategy{Plugin})) > 0 || !canRevoke {
		return nil
	}
	snap, err := c.ReadTokens(ctx, []string{c.opt.Login})
	if err != nil {
		return err
	}
	if snap.TokenTrouble[Plugin] == nil {
		c.ways.forgive(Plugin)
	}
	return nil
}

// noteReads takes in how the strategies fared that were to show tokens in a read.
func (c *Client) noteReads(snap *Snapshot) {
	if snap.CanRevoke && snap.TokenTrouble[Plugin] == nil {
		c.ways.note(Plugin, lists, nil)
	}
	for s, err := range snap.TokenTrouble {
		c.ways.note(s, lists, err)
		c.log.Warn("tokens cannot be seen", zap.String("strategy", string(s)), zap.Error(err))
	}
}

// revokeDirectly ends the tokens of the jobs of strategy Database, before the
// request in which they stand for the call that then empties the tracker's cache.
// It returns the calls of those that need it.
func (a *application) revokeDirectly(ctx context.Context, jobs []job) {
	for _, j := range jobs {
		if !j.direct {
			continue
		}
		j.result.Sent = true
		if a.c.opt.TokenDB == nil {
			a.settle(j, &Error{Kind: Refused, Method: string(RevokeTokens), Message: "no token database is configured"})
			continue
		}
		_, err := a.c.opt.TokenDB.Revoke(ctx, j.result.Step.Login)
		a.settle(j, err)
	}
}

// fallBack tries the next strategy for every job whose strategy failed, and so on
// until there is none. A failure of the instance ends it: then nothing else would
// work either.
func (a *application) fallBack(ctx context.Context, jobs []job) {
	var again []job
	for _, j := range jobs {
		s := j.result
		if s.Step.Kind != RevokeTokens || !s.Sent {
			continue
		}
		a.c.ways.note(s.Step.Strategy, ends, s.Err)
		a.c.ways.metrics.count(s.Step.Strategy, s.Err)
		if s.Err == nil || a.stop != nil || len(s.Step.Fallback) == 0 {
			continue
		}
		a.c.log.Warn("a token strategy failed; the next one is tried", zap.String("login", s.Step.Login),
			zap.String("strategy", string(s.Step.Strategy)), zap.String("next", string(s.Step.Fallback[0])), zap.Error(s.Err))
		s.FellBack = append(s.FellBack, string(s.Step.Strategy)+": "+s.Err.Error())
		s.Step.Strategy, s.Step.Fallback = s.Step.Fallback[0], s.Step.Fallback[1:]
		s.Err, s.Uncertain = nil, false
		again = append(again, newJob(s))
	}
	if len(again) > 0 {
		a.sendJobs(ctx, again)
	}
}
