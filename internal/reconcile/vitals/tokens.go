package vitals

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/matomo"
)

// What ends tokens is not a setting but a finding: it depends on Matomo's version and
// plugins and on a database, all of which change while the bridge runs. So it is looked
// at again and again, and said only when it is news.

// TokenWatch tells people by what the tokens of a target are ended: once at the
// start and whenever it changes, because the plugin was installed, Matomo was
// updated, or the token database stopped working.
type TokenWatch struct {
	Target string
	Client *matomo.Client
	// Policy is the fixed part, as configured.
	Policy matomo.Policy
	Report func(component, state, detail, action string, validFor time.Duration)
	Log    *zap.Logger

	mu   sync.Mutex // guards told
	told map[matomo.Strategy]error
}

// A look costs a request and a connection, so there is one with each full compare. What passes find out
// in between must not wait for it: whoever reads the page of health because leavers are stuck would
// be told that all is well.

// Notice shows what has become known of the strategies since the last look, without asking
// anybody; it looks first, until that has succeeded once. What does not work is shown until a look
// finds it working.
func (w *TokenWatch) Notice(ctx context.Context) error {
	w.mu.Lock()
	broken := maps.Clone(w.told)
	w.mu.Unlock()
	if broken == nil {
		return w.Look(ctx)
	}
	way, known := w.Client.TokensNow(w.Policy.Tokens), len(broken)
	maps.Copy(broken, way.Broken)
	if way.Broken = broken; way.Changed || len(broken) > known {
		w.tell(way, way.Changed)
	}
	return nil
}

// Look reviews the strategies and shows what came of it in health and log. The
// error is that of the target; a strategy that does not work is no error.
func (w *TokenWatch) Look(ctx context.Context) error {
	way, err := w.Client.ReviewTokens(ctx, w.Policy.Tokens)
	if err != nil {
		return err
	}
	w.mu.Lock()
	first := w.told == nil
	w.mu.Unlock()
	w.tell(way, first || way.Changed)
	return nil
}

// tell shows a way in health, and in the log when it is news.
func (w *TokenWatch) tell(way matomo.TokenWay, news bool) {
	w.mu.Lock()
	w.told = way.Broken
	w.mu.Unlock()
	var broken []string
	for _, s := range slices.Sorted(maps.Keys(way.Broken)) {
		broken = append(broken, string(s)+": "+way.Broken[s].Error())
	}
	w.report(strings.Join(broken, "; "))
	if !news {
		return
	}
	fields := []zap.Field{
		zap.String("target", w.Target), zap.String("strategy", string(way.Strategy)), zap.Any("should_it_fail", way.Fallback),
		zap.Strings("not_working", broken),
	}
	if way.Strategy == matomo.NoStrategy && w.Policy.Tokens != "none" {
		w.Log.Warn("nothing ends tokens of other people here", append(fields,
			zap.String("leavers_tokens", string(w.Policy.LeaverTokens)), zap.String("cost", w.cost()))...)
		return
	}
	w.Log.Info("how tokens are ended", append(fields, zap.String("cost", matomo.TokenCost(way.Strategy)))...)
}

// cost is what leaving means where no strategy works.
func (w *TokenWatch) cost() string {
	switch w.Policy.LeaverTokens {
	case matomo.RevokeOrRecreate:
		return matomo.TokenCost(matomo.Recreate)
	case matomo.RevokeOrDelete:
		return "accounts of leavers are deleted at once"
	default:
		return matomo.TokenCost(matomo.NoStrategy)
	}
}

// report shows the strategies on /health: what is there and does not work is for
// somebody to mend, having none at all may be a choice.
func (w *TokenWatch) report(broken string) {
	component := "tokens/" + w.Target
	if broken == "" {
		w.Report(component, "ok", "", "", 0)
		return
	}
	w.Report(component, "degraded", broken, "run check: it says what to mend", 0)
}
