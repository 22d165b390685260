package matomo

import (
	"context"
	"slices"

	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/matomo/internal/ways"
	"github.com/matomo-scim/bridge/matomo/plan"
)

// Complete fills in what only client and snapshot know: the sites and
// capabilities that exist, the protected logins, whether there is a usable
// password, and which token strategies work. pol.Tokens is the configured
// setting on the way in.
func (c *Client) Complete(pol Policy, s *Snapshot) Policy {
	pol.Sites, pol.Capabilities = s.SiteIDs(), s.Capabilities
	pol.Protected = c.protection().Protected
	pol.HasPassword = c.HasPassword()
	pol.Tokens, pol.TokenFallback = c.ways.Choose(plan.TokenWays(pol.Tokens, s.Version, s.CanRevoke, c.opt.TokenDB != nil))
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
	all, canRevoke := c.tokenWays(setting)
	if err := c.retryWays(ctx, canRevoke); err != nil {
		return TokenWay{}, err
	}
	var store *StoreReport
	var down error // passes by itself, so it is not out of use, and is told all the same
	if slices.Contains(all, Database) {
		report, err := c.opt.TokenDB.Check(ctx)
		if err == nil {
			c.ways.Forgive(Database)
			store = &report
		} else {
			c.ways.Note(Database, ways.Ends, err)
			down = err
		}
	}
	out := c.TokensNow(setting)
	if out.Store = store; down != nil {
		out.Broken[Database] = down
	}
	return out, nil
}

// TokensNow tells which token strategies work as far as reads and plans have shown. It asks nobody,
// gives no strategy another chance, and leaves out what only a look can tell: Store, and a
// database that is down for a while.
func (c *Client) TokensNow(setting Strategy) TokenWay {
	all, _ := c.tokenWays(setting)
	out := TokenWay{Broken: c.ways.Broken()}
	out.Strategy, out.Fallback = c.ways.Choose(all)
	out.Changed = c.ways.Use(out.Strategy)
	return out
}

// tokenWays are the strategies that are there, best first, and whether the plugin is.
func (c *Client) tokenWays(setting Strategy) (all []Strategy, canRevoke bool) {
	version, canRevoke := c.reader.Facts()
	return plan.TokenWays(setting, version, canRevoke, c.opt.TokenDB != nil), canRevoke
}

// retryWays gives strategies of the API that are out of use another chance: the
// plugin when it can list our own tokens, Matomo's own call in any case.
func (c *Client) retryWays(ctx context.Context, canRevoke bool) error {
	c.ways.Forgive(Regenerate)
	if len(c.ways.Usable([]Strategy{Plugin})) > 0 || !canRevoke {
		return nil
	}
	snap, err := c.ReadTokens(ctx, []string{c.opt.Login})
	if err != nil {
		return err
	}
	if snap.TokenTrouble[Plugin] == nil {
		c.ways.Forgive(Plugin)
	}
	return nil
}

// noteReads takes in how the strategies fared that were to show tokens in a read.
func (c *Client) noteReads(snap *Snapshot) {
	if snap.CanRevoke && snap.TokenTrouble[Plugin] == nil {
		c.ways.Note(Plugin, ways.Lists, nil)
	}
	for s, err := range snap.TokenTrouble {
		c.ways.Note(s, ways.Lists, err)
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
		a.c.ways.Ended(s.Step.Strategy, s.Err)
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
