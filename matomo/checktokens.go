package matomo

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/matomo-scim/bridge/matomo/internal/wire"
	"github.com/matomo-scim/bridge/matomo/plan"
)

// Two questions of an administrator are answered here: what happens to tokens when
// somebody leaves, and why it is not what was configured. A strategy that is asked for
// by name and does not work is a failure; one that auto merely passes over is a
// warning, because something else does its work.

// checkTokens tells which strategy applies, what it costs, and what is wrong with
// those that do not work.
func (c *Client) checkTokens(ctx context.Context, pol Policy) []Finding {
	way, err := c.ReviewTokens(ctx, pol.Tokens)
	if err != nil {
		return []Finding{failure("tokens", err)}
	}
	if way.Strategy == Plugin {
		// That it is active does not say that it works.
		snap, err := c.ReadTokens(ctx, []string{c.opt.Login})
		switch {
		case err != nil:
			return []Finding{failure("tokens", err)}
		case snap.TokenTrouble[Plugin] != nil:
			way.Broken[Plugin] = snap.TokenTrouble[Plugin]
		}
	}
	out := []Finding{wayFinding(way, pol)}
	for _, s := range slices.Sorted(maps.Keys(way.Broken)) {
		level := LevelWarn
		if s == pol.Tokens {
			level = LevelFail // asked for by name, and it does not work
		}
		out = append(out, Finding{
			Name: "token " + string(s), Level: level, Text: way.Broken[s].Error(), Advice: wire.Advice(KindOf(way.Broken[s])),
		})
	}
	if way.Store != nil {
		out = append(out, storeFinding(*way.Store))
	}
	return out
}

// wayFinding tells which strategy is used and what it costs, or what becomes of
// leavers when there is none.
func wayFinding(way TokenWay, pol Policy) Finding {
	f := Finding{Name: "tokens", Level: LevelOK, Text: "strategy " + string(way.Strategy) + ": " + TokenCost(way.Strategy)}
	if len(way.Fallback) > 0 {
		f.Text += "; should it fail: " + joinStrategies(way.Fallback)
	}
	if pol.KeepAtLeaving {
		f.Level = LevelWarn
		f.Text += "; tokens.on lacks deprovision, so tokens of leavers stay inert"
	}
	if way.Strategy != NoStrategy {
		return f
	}
	f.Level = LevelWarn
	switch pol.LeaverTokens {
	case RevokeOrRecreate:
		f.Text = "strategy recreate for leavers: " + TokenCost(Recreate)
	case RevokeOrDelete:
		f.Text = "leavers are deleted at once, because nothing else ends their tokens"
	default:
		f.Text = "no strategy: " + TokenCost(NoStrategy)
	}
	switch pol.Tokens {
	case Auto, NoStrategy, Recreate:
	case Plugin, Database, Regenerate:
		f.Text = "the configured strategy " + string(pol.Tokens) + " does not work here; " + f.Text
	default: // none
		f.Text = "tokens are never ended, as configured; " + f.Text
	}
	f.Advice = "install the companion plugin " + plan.Companion + " (deploy/matomo-plugin), or configure tokens.database"
	return f
}

// storeFinding tells about the token database that works.
func storeFinding(r StoreReport) Finding {
	f := Finding{
		Name: "token database", Level: LevelOK,
		Text: r.Table + " of " + r.Generation + ": tokens can be listed and ended (" + r.Action + "), proven without ending one",
	}
	if len(r.Excess) > 0 {
		f.Level = LevelWarn
		f.Text += "; its user may do more than that: " + strings.Join(r.Excess, "; ")
		f.Advice = "use a database user with this alone: " + r.Grant
	}
	return f
}

// joinStrategies lists strategies for people.
func joinStrategies(all []Strategy) string {
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = string(s)
	}
	return strings.Join(out, ", ")
}
