// Package trail writes what a pass is about to do, and what became of it, into the audit trail: the
// intent with what would be lost (evidence) before anything is sent, the outcome with Matomo's
// answers after it.
//
// No record, no grant: the intent is part of the transaction without which nothing is sent. But
// somebody who left does not keep their access because our disk is full. When the record refuses an
// intent, what only takes away is written to the journal instead, a file that is flushed before
// anything is sent, and goes on; the journal becomes part of the record when that works again.
package trail

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/matomo-scim/bridge/internal/audit"
	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/reconcile/course"
	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/access"
)

// bridge is the actor of what nobody asked for: drift, a clock, new rules.
const bridge = "bridge"

// evidenceKind marks evidence in the journal.
const evidenceKind = "evidence"

// Trail writes for one engine. Journal may be nil: then nothing goes on without the record.
type Trail struct {
	Bindings *bindings.Store
	Journal  *audit.Journal
}

// Intent stores the evidence of what a plan deletes for good, and the entry that says what is about
// to be done, in the transaction of the intent.
func (t *Trail) Intent(ctx context.Context, tx *database.Tx, c *course.Case) error {
	ev, err := evidenceOf(c)
	if err != nil {
		return err
	}
	if ev != nil {
		if err := t.Bindings.SaveEvidence(ctx, tx, *ev); err != nil {
			return err
		}
	}
	return audit.Append(ctx, tx, intentEntry(c, ev))
}

// An outcome says what Matomo answered, which is true by itself, and what was read back when that is known.

// Outcome appends what Matomo answered to a plan.
func (t *Trail) Outcome(ctx context.Context, tx *database.Tx, c *course.Case) error {
	return audit.Append(ctx, tx, outcomeEntry(c))
}

// Why the record refused does not matter: a full disk, a lost permission, a database that is gone. What matters
// is that nothing is sent before it is written down somewhere that a crash does not take.

// WithoutRecord writes the intents of cases to the journal, durably, because the record refused them
// with cause. It fails with cause when there is no journal, and with both errors when that cannot be
// written either: then nothing may be sent.
func (t *Trail) WithoutRecord(cases []*course.Case, cause error) error {
	if t.Journal == nil {
		return cause
	}
	lines := make([]audit.Journaled, 0, len(cases))
	for _, c := range cases {
		ev, err := evidenceOf(c)
		if err != nil {
			return errors.Join(cause, err)
		}
		line := audit.Journaled{Entry: intentEntry(c, ev)}
		if ev != nil {
			line.Kind = evidenceKind
			if line.Data, err = json.Marshal(ev); err != nil {
				return errors.Join(cause, fmt.Errorf("evidence of %s: %w", c.Login, err))
			}
		}
		lines = append(lines, line)
	}
	if err := t.Journal.Write(lines...); err != nil {
		return errors.Join(cause, err)
	}
	return nil
}

// The answers follow their intents into the journal even when the record works again by then: an entry and
// its answer stay together, in the order in which they happened.

// OutcomesWithoutRecord writes outcomes to the journal.
func (t *Trail) OutcomesWithoutRecord(cases []*course.Case) error {
	lines := make([]audit.Journaled, 0, len(cases))
	for _, c := range cases {
		lines = append(lines, audit.Journaled{Entry: outcomeEntry(c)})
	}
	return t.Journal.Write(lines...)
}

// Keep stores what came with an entry of the journal; see audit.Keep.
func Keep(store *bindings.Store) audit.Keep {
	return func(ctx context.Context, tx *database.Tx, kind string, data json.RawMessage) error {
		if kind != evidenceKind {
			return fmt.Errorf("the journal holds %q, which this release does not know", kind)
		}
		var ev bindings.Evidence
		if err := json.Unmarshal(data, &ev); err != nil {
			return fmt.Errorf("evidence in the journal: %w", err)
		}
		return store.SaveEvidence(ctx, tx, ev)
	}
}

// What may go on without a record is decided by the kind of each step and not by its Reduces: a step that
// sets a lesser role on one site may raise it on another.

// OnlyTakes reduces a plan to the steps that take something away and may go on without a record; false
// when there are none. Deleting an account after its time waits: nothing is urgent about it. A
// demotion that is followed by grants waits as well, because without them the person would lose what
// old and new state share (I5).
func OnlyTakes(c *course.Case) bool {
	if c.Work == course.WorkDelete || c.Plan.Has(matomo.Demote) && c.Plan.Has(matomo.SetAccess) {
		return false
	}
	var kept []matomo.Step
	for _, s := range c.Plan.Steps {
		switch s.Kind {
		case matomo.Demote, matomo.RemoveAccess, matomo.RevokeTokens, matomo.RandomPassword, matomo.Logout:
			kept = append(kept, s)
		case matomo.DeleteUser: // of a leaver whose invitation is open, or whose tokens nothing else ends
			if c.Work == course.WorkLeave && !c.Plan.Has(matomo.AddUser) {
				kept = append(kept, s)
			}
		default: // gives something, or changes what nobody waits for
		}
	}
	if len(kept) == 0 || !c.Plan.Reduces() {
		return false
	}
	c.Plan.Steps = kept
	return true
}

// The account is stored as it was read, with its access and tokens beside the evidence: what somebody had is
// one thing, and an auditor wants it in one piece.

// evidenceOf is what is to be stored before a plan that deletes for good; nil when there is nothing.
func evidenceOf(c *course.Case) (*bindings.Evidence, error) {
	if !c.Deletes() || c.Account == nil || c.Account.Evidence == nil {
		return nil, nil
	}
	data, err := json.Marshal(c.Account)
	if err != nil {
		return nil, fmt.Errorf("evidence of %s: %w", c.Login, err)
	}
	return &bindings.Evidence{
		ID: database.NewID(), Kind: c.Work.Label(), Target: c.Binding.Target, Login: c.Account.Login,
		LoginKey: access.FoldLogin(c.Account.Login), Data: data,
	}, nil
}

// The actor of an entry is who is answerable for it. The loop only carries out, so as long as a change
// that somebody asked for is not verified its entries name them; what the bridge finds by itself, such
// as drift, is its own doing.

// entry is what intent and outcome have in common: whose access, on which Matomo, by which rule, and
// who asked for it.
func entry(kind string, c *course.Case) audit.Entry {
	e := audit.Entry{
		Kind: kind + "." + c.Work.Label(), Actor: bridge, Subject: c.Binding.Subject, Target: c.Binding.Target, Login: c.Login,
		Rule: c.FirstRule(),
	}
	// Repair and clocks are the bridge's own doing, whoever asked for something before. A leaver's way
	// takes several passes, all of them for the one who said that the person left.
	asked := c.Binding.Event != bindings.NoEvent && c.Binding.Event != bindings.Drift
	if cause := c.Binding.Cause; !cause.IsZero() && (asked || c.Work.OfLeaver() || !c.Binding.RevokeTokens.IsZero()) {
		e.Actor, e.Source, e.RequestID = cause.Actor, cause.Source, cause.RequestID
	}
	return e
}

// intentEntry is the entry before a plan is sent.
func intentEntry(c *course.Case, ev *bindings.Evidence) audit.Entry {
	e := entry("intent", c)
	after := map[string]any{
		"steps": c.Plan.Steps, "withheld": c.Blocks(), "reasons": course.ReasonTexts(c.Decision), "event": string(c.Binding.Event),
		"tokens_stay": c.Plan.TokensStay,
	}
	if ev != nil {
		// The evidence is a row of its own and may be large; its hash makes it part of the chain.
		sum := sha256.Sum256(ev.Data)
		after["evidence"] = map[string]any{"id": ev.ID, "sha256": hex.EncodeToString(sum[:]), "missing": c.Account.Evidence.Missing}
	}
	e.Before, e.After, e.Detail = course.AccountFacts(*c.Account), after, course.PlanText(c.Plan, nil)
	return e
}

// outcomeEntry is the entry of what was sent, with Matomo's answers.
func outcomeEntry(c *course.Case) audit.Entry {
	e := entry("outcome", c)
	answers := make([]map[string]any, 0, len(c.Applied.Steps))
	for _, s := range c.Applied.Steps {
		a := map[string]any{"step": s.Step.String(), "why": s.Step.Why, "answer": "ok"}
		if s.Err != nil {
			a["answer"] = s.Err.Error()
		}
		if s.Step.Strategy != "" {
			a["strategy"], a["fell_back"] = string(s.Step.Strategy), s.FellBack
		}
		answers = append(answers, a)
	}
	e.Answer, e.Detail = answers, "not read back"
	if c.Concluded {
		e.Detail = string(c.State)
		if c.Detail != "" {
			e.Detail += ": " + c.Detail
		}
	}
	if c.Found != nil {
		e.After = course.AccountFacts(*c.Found)
	}
	return e
}
