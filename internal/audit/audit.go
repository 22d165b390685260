// Package audit keeps the record of every change: who asked, what it was before and after, which
// rule led to it, and what Matomo answered.
//
// A change appends its entry in its own transaction, so there is no change without its entry and no
// entry without its change. The entry starts unsealed. A sealer gives committed entries their place
// in one chain: each gets a number, the hash of the entry before it, and a hash over that hash and
// its own text. Changing, removing or moving a sealed entry breaks the chain, and Verify names the
// place. What is younger than the last seal (about 100 ms) is not protected yet, and somebody who
// can write to the database can also write a new chain: compare the head hash with one that was
// exported earlier, or kept elsewhere, to notice that.
package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/matomo-scim/bridge/internal/database"
)

// Entry is one record. Empty fields are left out of its text.
//
// Before, After and Answer hold what is needed to say why somebody has access, and no more of the
// person: the log outlives accounts. Secrets never get here.
type Entry struct {
	Kind      string // what happened, such as user_create or account_revoked
	Actor     string // who: a credential, a person at the command line, or the bridge itself
	Source    string // through which door
	RequestID string // of the request that led to it
	Subject   string // whose access it concerns
	Target    string // on which Matomo
	Login     string // of which Matomo account
	Rule      string // file:line of the rule
	Before    any    // JSON-able
	After     any    // JSON-able
	Answer    any    // JSON-able: what Matomo answered
	Detail    string // for people
}

// record is the canonical form of an entry: what is hashed. encoding/json sorts the keys of maps;
// the fields here are in the order of their names for the same reason.
type record struct {
	Actor     string          `json:"actor,omitempty"`
	After     json.RawMessage `json:"after,omitempty"`
	Answer    json.RawMessage `json:"answer,omitempty"`
	At        string          `json:"at"`
	Before    json.RawMessage `json:"before,omitempty"`
	Detail    string          `json:"detail,omitempty"`
	ID        string          `json:"id"`
	Kind      string          `json:"kind"`
	Login     string          `json:"login,omitempty"`
	RequestID string          `json:"request_id,omitempty"`
	Rule      string          `json:"rule,omitempty"`
	Source    string          `json:"source,omitempty"`
	Subject   string          `json:"subject,omitempty"`
	Target    string          `json:"target,omitempty"`
}

// timeFormat has microseconds always, so that texts sort as the times do.
const timeFormat = "2006-01-02T15:04:05.000000Z"

// encode is the text of an entry.
func encode(e Entry, id string, at time.Time) ([]byte, error) {
	r := record{
		Actor: e.Actor, At: at.UTC().Format(timeFormat), Detail: e.Detail, ID: id, Kind: e.Kind, Login: e.Login,
		RequestID: e.RequestID, Rule: e.Rule, Source: e.Source, Subject: e.Subject, Target: e.Target,
	}
	for _, v := range []struct {
		from any
		to   *json.RawMessage
		name string
	}{{e.Before, &r.Before, "before"}, {e.After, &r.After, "after"}, {e.Answer, &r.Answer, "answer"}} {
		text, err := canonical(v.from)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", v.name, err)
		}
		*v.to = text
	}
	return marshal(r)
}

// Topics of the database on which Append speaks to the Log.
const (
	topicAppended = "audit.appended"
	topicFailed   = "audit.failed"
)

// Append writes an entry in the caller's transaction: it is kept if and only if the change is.
// An error must fail the change. Before, After and Answer must not hold fractions: they have no
// canonical form.
func Append(ctx context.Context, tx *database.Tx, e Entry) error {
	err := appendEntry(ctx, tx, e)
	if err != nil {
		tx.Signal(topicFailed)
		return fmt.Errorf("audit %s: %w", e.Kind, err)
	}
	tx.Notify(topicAppended)
	return nil
}

func appendEntry(ctx context.Context, tx *database.Tx, e Entry) error {
	id := database.NewID()
	text, err := encode(e, id, tx.Now())
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO audit (id, at, kind, subject, target, login, entry) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		id, database.Micros(tx.Now()), e.Kind, e.Subject, e.Target, e.Login, string(text))
	return err
}
