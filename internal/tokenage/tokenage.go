// Package tokenage looks at the app tokens of the people that the bridge manages: who has how many, how
// old they are, when they were last used. With tokens.max_age it asks for those that are too old to be
// ended, and warns two weeks before.
//
// Only where the token strategy can see tokens (the companion plugin, or Matomo's database) is there
// anything to tell; elsewhere that is what is told. Nothing here ends a token: a request is a note on
// the person's binding, and a pass carries it out with all guards.
package tokenage

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/internal/audit"
	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/matomo"
)

// Ages are looked at apart from full compares. Reading the tokens of ten thousand people takes a hundred
// requests, against one for everything else, and what changes by days need not be asked for every
// quarter of an hour.
//
// Ending is by token and not by person where that is possible: a service account with an old token and
// the one that replaces it must not lose both.

const (
	// Warning is how long before its end a token is counted as ending soon.
	Warning = 14 * 24 * time.Hour
	// lookEvery is how often ages are looked at: they change by days.
	lookEvery = 6 * time.Hour
	// retryAfter is when a look that failed, or whose process died, is tried again.
	retryAfter = 10 * time.Minute
	// askEvery is how often a process asks whether it is its turn.
	askEvery = time.Minute
	// page is how many people are asked for together: their lists share one request.
	page = 80
)

// Target is one Matomo whose tokens are watched.
type Target struct {
	Name   string
	Client *matomo.Client
	// MaxAge is how old a token may become; zero: as old as it likes.
	MaxAge time.Duration
	// Enforce says that old tokens are ended; otherwise they are only counted.
	Enforce bool
}

// Options is what a Watch is made of; all but the last two are required.
type Options struct {
	DB         *database.DB
	Bindings   *bindings.Store
	Targets    []Target
	Logger     *zap.Logger
	Registerer prometheus.Registerer
}

// Watch looks at the tokens of all targets.
type Watch struct {
	opt    Options
	ending *prometheus.GaugeVec
	asked  *prometheus.CounterVec
}

// New returns a watch over opt. It does nothing until Run or Look.
func New(opt Options) *Watch {
	if opt.Logger == nil {
		opt.Logger = zap.NewNop()
	}
	w := &Watch{
		opt: opt,
		ending: promauto.With(opt.Registerer).NewGaugeVec(prometheus.GaugeOpts{
			Name: "scim_bridge_tokens_ending_soon",
			Help: "App tokens of managed people that reach tokens.max_age within 14 days and are revoked then.",
		}, []string{"target"}),
		asked: promauto.With(opt.Registerer).NewCounterVec(prometheus.CounterOpts{
			Name: "scim_bridge_tokens_too_old_total",
			Help: "App tokens whose revocation was asked for because they were older than tokens.max_age.",
		}, []string{"target"}),
	}
	for _, t := range opt.Targets {
		w.ending.WithLabelValues(t.Name)
		w.asked.WithLabelValues(t.Name)
	}
	return w
}

// Token is one token with its dates read; a zero time is unknown, or never.
type Token struct {
	ID          int       `json:"id"`
	Description string    `json:"description"`
	Created     time.Time `json:"created,omitzero"`
	LastUsed    time.Time `json:"last_used,omitzero"`
	Expires     time.Time `json:"expires,omitzero"` // by Matomo itself
	Ends        time.Time `json:"ends,omitzero"`    // when tokens.max_age is over
}

// Only people with an account of ours are holders. Those whom nobody manages are in the access review, marked;
// their tokens are not ours to list (I2 is about changing, and listing would invite it).

// Holder is one managed person and their tokens.
type Holder struct {
	Login string         `json:"login"`
	State bindings.State `json:"state"`
	// Visible says whether the tokens could be seen. When not, Fate is all that is known of them.
	Visible bool            `json:"visible"`
	Fate    bindings.Tokens `json:"fate"`
	Tokens  []Token         `json:"tokens"`

	binding string
}

// People are passed on as they are read, page by page: a list of everybody starts at once, and needs no
// more memory for a large company than for a small one.

// Look reads the tokens of everybody who has an account of ours on a target and calls fn for each, in
// the order of their bindings. An error of fn ends it.
func (w *Watch) Look(ctx context.Context, target string, fn func(Holder) error) error {
	t, err := w.target(target)
	if err != nil {
		return err
	}
	for after := ""; ; {
		all, err := w.opt.Bindings.AllBindings(ctx, t.Name, after, page)
		if err != nil {
			return fmt.Errorf("tokens of %s: %w", t.Name, err)
		}
		if len(all) == 0 {
			return nil
		}
		after = all[len(all)-1].ID
		if err := look(ctx, t, all, fn); err != nil {
			return fmt.Errorf("tokens of %s: %w", t.Name, err)
		}
	}
}

// Whoever is bound and not in Matomo yet has no tokens, and whoever is gone has none any more. Neither is an
// error here: passes and full compares find out, and this list is of tokens.

// look reads one page of people.
func look(ctx context.Context, t Target, all []bindings.Binding, fn func(Holder) error) error {
	var logins []string
	for _, b := range all {
		if b.Login != "" {
			logins = append(logins, b.Login)
		}
	}
	if len(logins) == 0 {
		return nil
	}
	snap, err := t.Client.ReadTokens(ctx, logins)
	if err != nil {
		return err
	}
	for _, b := range all {
		account, _ := snap.Account(b.Login)
		if b.Login == "" || !account.Exists {
			continue // not added yet, or gone: the next pass finds out
		}
		h := Holder{Login: account.Login, State: b.State, Visible: account.TokensKnown, Fate: b.Tokens, binding: b.ID}
		for _, tok := range account.Tokens {
			h.Tokens = append(h.Tokens, t.read(tok))
		}
		if err := fn(h); err != nil {
			return err
		}
	}
	return nil
}

// read reads the dates of a token, which Matomo writes in UTC.
func (t Target) read(tok matomo.Token) Token {
	at := func(text string) time.Time {
		when, err := time.Parse(time.DateTime, text)
		if err != nil {
			return time.Time{}
		}
		return when
	}
	out := Token{ID: tok.ID, Description: tok.Description, Created: at(tok.Created), LastUsed: at(tok.LastUsed), Expires: at(tok.Expires)}
	if t.MaxAge > 0 && !out.Created.IsZero() {
		// From when it was made and not from its last use: a token that leaked is in use.
		out.Ends = out.Created.Add(t.MaxAge)
	}
	return out
}

func (w *Watch) target(name string) (Target, error) {
	for _, t := range w.opt.Targets {
		if t.Name == name {
			return t, nil
		}
	}
	return Target{}, fmt.Errorf("no target is called %q", name)
}

// Run looks at the ages of the tokens of every target with a limit, some times a day and one replica
// at a time, until ctx ends.
func (w *Watch) Run(ctx context.Context) {
	ticker := time.NewTicker(askEvery)
	defer ticker.Stop()
	for start := true; ; start = false {
		for _, t := range w.opt.Targets {
			if t.MaxAge == 0 {
				continue
			}
			if err := w.turn(ctx, t, start); err != nil && ctx.Err() == nil {
				w.opt.Logger.Warn("look at the age of tokens; it is tried again", zap.String("target", t.Name), zap.Error(err))
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// The turn is taken before the look and given for a few minutes only. Should the process die, or Matomo
// not answer, another one looks then; after a look that succeeded nobody looks for hours.

// turn looks at a target when its turn has come, and at each start: the limit may be a new one, and nobody
// who has just set it wants to wait for hours.
func (w *Watch) turn(ctx context.Context, t Target, start bool) error {
	var mine bool
	err := w.opt.DB.InTx(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		if start {
			if err := w.opt.Bindings.PlanTokens(ctx, tx, t.Name, tx.Now()); err != nil {
				return err
			}
		}
		mine, err = w.opt.Bindings.ClaimTokens(ctx, tx, t.Name, tx.Now().Add(retryAfter))
		return err
	})
	if err != nil || !mine {
		return err
	}
	if err := w.Enforce(ctx, t.Name); err != nil {
		return err
	}
	return w.opt.DB.InTx(ctx, func(ctx context.Context, tx *database.Tx) error {
		return w.opt.Bindings.PlanTokens(ctx, tx, t.Name, tx.Now().Add(lookEvery))
	})
}

// What ends soon is a number without names: a metric is kept for a year and read by everybody. Whose tokens
// they are is in tokens list.

// Enforce looks at the ages of a target's tokens now: those that are too old are asked to be ended,
// and those that soon will be are counted.
func (w *Watch) Enforce(ctx context.Context, target string) error {
	t, err := w.target(target)
	if err != nil {
		return err
	}
	now, soon := time.Now(), 0
	err = w.Look(ctx, target, func(h Holder) error {
		// A token without a date that can be read is neither old nor young: unknown ends nothing (I1).
		var old bindings.TokenRequest
		for _, tok := range h.Tokens {
			switch {
			case tok.Ends.IsZero():
			case !tok.Ends.After(now):
				old.IDs = append(old.IDs, tok.ID)
			case tok.Ends.Sub(now) <= Warning:
				soon++
			}
		}
		if old.IsZero() || !t.Enforce {
			return nil
		}
		w.asked.WithLabelValues(t.Name).Add(float64(len(old.IDs)))
		return w.ask(ctx, t, h, old)
	})
	if err != nil {
		return err
	}
	w.ending.WithLabelValues(t.Name).Set(float64(soon))
	return nil
}

// Asking again while an older request waits adds nothing: requests are sets. So a look needs no memory
// of the one before it.

// ask notes that tokens are to be ended, with its entry in the record.
func (w *Watch) ask(ctx context.Context, t Target, h Holder, old bindings.TokenRequest) error {
	return w.opt.DB.InTx(ctx, func(ctx context.Context, tx *database.Tx) error {
		b, err := w.opt.Bindings.Get(ctx, tx, h.binding)
		if err != nil {
			return err
		}
		if err := w.opt.Bindings.RequestTokens(ctx, tx, h.binding, old, bindings.Cause{}); err != nil {
			return err
		}
		return audit.Append(ctx, tx, audit.Entry{
			Kind: "tokens.too_old", Actor: "bridge", Subject: b.Subject, Target: t.Name, Login: h.Login,
			After: map[string]any{"tokens": old.IDs}, Detail: "older than tokens.max_age of " + t.MaxAge.String(),
		})
	})
}
