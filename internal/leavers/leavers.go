// Package leavers is what an admin does about people who left: see who they are and what becomes of
// their accounts and tokens, look at the evidence of what they had, stop a deletion or ask for it, and
// give things back to them or to somebody else.
//
// Whoever acts here writes a note on the binding and an entry in the record, in one transaction, and
// the loop does the rest with all guards. Only giving things back talks to Matomo by itself: it
// concerns reports, segments and dashboards, which no pass ever touches, and gives no access.
package leavers

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/matomo-scim/bridge/internal/audit"
	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/access"
)

// The words: a leaver is a person whose source said that they are gone, with an account of ours that
// is suspended until its time is over. An account is kept when an admin stopped that time. Evidence is
// what Matomo deletes for good, as it was before; it outlives the account, and the binding.

// Target is one Matomo with leavers.
type Target struct {
	Name   string
	Client *matomo.Client
	// Enforce says that the bridge writes to it; while it is only watched nothing is deleted.
	Enforce bool
}

// Options is what a Desk is made of; all are required.
type Options struct {
	DB        *database.DB
	Bindings  *bindings.Store
	Directory *directory.Store
	Targets   []Target
}

// Desk is where leavers are looked after.
type Desk struct{ opt Options }

// New returns a desk over opt.
func New(opt Options) *Desk { return &Desk{opt} }

// Errors that say what to do instead.
var (
	// ErrUnknown means that no account of ours has the login.
	ErrUnknown = errors.New("no account that the bridge manages has this login; see: leaver list, inventory")
	// ErrWatched means that the target is in observe mode.
	ErrWatched = errors.New("this Matomo is only watched (mode: observe), so nothing would be done")
	// ErrNoEvidence means that nothing was saved of a login.
	ErrNoEvidence = errors.New("nothing was saved of this login")
)

// Leaver is one person who left, on one target.
type Leaver struct {
	Binding   string          `json:"-"` // its id, for those who follow what becomes of it
	Target    string          `json:"target"`
	Login     string          `json:"login"`
	Person    string          `json:"person"` // the userName, while there is one
	State     bindings.State  `json:"state"`
	Reason    string          `json:"reason,omitempty"`
	Detail    string          `json:"detail,omitempty"`
	LeftAt    *time.Time      `json:"left_at"`
	RevokedAt *time.Time      `json:"revoked_at,omitempty"`
	DeleteAt  *time.Time      `json:"delete_at,omitempty"`
	KeptAt    *time.Time      `json:"kept_at,omitempty"`
	Tokens    bindings.Tokens `json:"tokens"`
}

// Fate is what becomes of the account, in words.
func (l Leaver) Fate() string {
	switch {
	case l.State == bindings.Gone:
		return "gone"
	case l.KeptAt != nil && l.DeleteAt == nil:
		return "kept"
	case l.DeleteAt != nil:
		return l.DeleteAt.UTC().Format("2006-01-02 15:04")
	case l.RevokedAt == nil:
		return "not planned yet"
	default:
		return "never"
	}
}

// What a list says is what the rows say, and nothing is asked of Matomo: it is for the minute in which somebody
// asks "is she out?", also while Matomo is down.

// List returns the leavers of all targets, longest ago first within each. Those whose account is gone
// are among them only with gone.
func (d *Desk) List(ctx context.Context, gone bool) ([]Leaver, error) {
	var out []Leaver
	for _, t := range d.opt.Targets {
		all, err := d.opt.Bindings.Leavers(ctx, t.Name, gone)
		if err != nil {
			return nil, fmt.Errorf("leavers of %s: %w", t.Name, err)
		}
		subjects := make([]string, len(all))
		for i, b := range all {
			subjects[i] = b.Subject
		}
		people, err := d.opt.Directory.People(ctx, subjects)
		if err != nil {
			return nil, fmt.Errorf("leavers of %s: %w", t.Name, err)
		}
		for _, b := range all {
			out = append(out, leaverOf(b, people[b.Subject]))
		}
	}
	return out, nil
}

func leaverOf(b bindings.Binding, p directory.Person) Leaver {
	return Leaver{
		Binding: b.ID, Target: b.Target, Login: b.Login, Person: cmp.Or(p.UserName, p.ExternalID), State: b.State, Reason: b.Reason, Detail: b.Detail,
		LeftAt: b.LeftAt, RevokedAt: b.RevokedAt, DeleteAt: b.DeleteAt, KeptAt: b.KeptAt, Tokens: b.Tokens,
	}
}

// A login is what people see in Matomo and have in front of them, so commands take a login and not an
// id. It is compared as Matomo compares logins. On more than one Matomo nothing is guessed.

// Find returns the binding that has a login, on the target named or on the only one where there is any.
func (d *Desk) Find(ctx context.Context, login, target string) (bindings.Binding, error) {
	var found []bindings.Binding
	var where []string
	for _, t := range d.opt.Targets {
		if target != "" && t.Name != target {
			continue
		}
		b, err := d.opt.Bindings.ByLogin(ctx, t.Name, access.FoldLogin(login))
		switch {
		case errors.Is(err, bindings.ErrNotFound):
		case err != nil:
			return bindings.Binding{}, fmt.Errorf("login %s: %w", login, err)
		default:
			found, where = append(found, b), append(where, t.Name)
		}
	}
	switch len(found) {
	case 0:
		return bindings.Binding{}, fmt.Errorf("login %s: %w", login, ErrUnknown)
	case 1:
		return found[0], nil
	default:
		return bindings.Binding{}, fmt.Errorf("login %s is on %s: say which with --target", login, strings.Join(where, " and "))
	}
}

// target returns a target by name.
func (d *Desk) target(name string) (Target, error) {
	for _, t := range d.opt.Targets {
		if t.Name == name {
			return t, nil
		}
	}
	return Target{}, fmt.Errorf("the configuration has no target %q any more", name)
}

// act is where a request becomes a fact: the note and the entry are one transaction, so that nothing is
// asked for that is not on record, and nothing is on record that was not asked for. Who asked comes
// from the command line and is what the operating system says of them; the record does not claim more.
//
// act writes a note on the binding of a login together with its entry in the record.
func (d *Desk) act(ctx context.Context, who bindings.Cause, b bindings.Binding, e audit.Entry, note func(context.Context, *database.Tx) error) error {
	e.Actor, e.Source, e.RequestID = who.Actor, who.Source, who.RequestID
	e.Subject, e.Target, e.Login = b.Subject, b.Target, b.Login
	return d.opt.DB.InTx(ctx, func(ctx context.Context, tx *database.Tx) error {
		if err := note(ctx, tx); err != nil {
			return err
		}
		return audit.Append(ctx, tx, e)
	})
}

// times are what an entry says about a leaver's account.
func times(b bindings.Binding) map[string]any {
	out := map[string]any{"state": string(b.State)}
	for name, at := range map[string]*time.Time{"left_at": b.LeftAt, "delete_at": b.DeleteAt, "kept_at": b.KeptAt} {
		if at != nil {
			out[name] = at.UTC().Format(time.RFC3339)
		}
	}
	return out
}

// Keep stops the deletion of a leaver's account. It stays suspended until the person comes back or
// Delete is asked for.
func (d *Desk) Keep(ctx context.Context, who bindings.Cause, login, target string) (Leaver, error) {
	b, err := d.Find(ctx, login, target)
	if err != nil {
		return Leaver{}, err
	}
	err = d.act(ctx, who, b, audit.Entry{Kind: "leaver.kept", Before: times(b), Detail: "the account is not deleted when its time is over"},
		func(ctx context.Context, tx *database.Tx) error { return d.opt.Bindings.KeepAccount(ctx, tx, b.ID) })
	if err != nil {
		return Leaver{}, err
	}
	return d.again(ctx, b)
}

// Keep and Delete answer with the leaver as the row has it afterwards. That is what was asked for and not yet
// what Matomo holds; commands follow it (seeThrough).

// Delete asks for the deletion of a leaver's account now, with evidence first and all guards.
func (d *Desk) Delete(ctx context.Context, who bindings.Cause, login, target string) (Leaver, error) {
	b, err := d.writable(ctx, login, target)
	if err != nil {
		return Leaver{}, err
	}
	err = d.act(ctx, who, b, audit.Entry{Kind: "leaver.delete", Before: times(b), Detail: "asked to delete the account now"},
		func(ctx context.Context, tx *database.Tx) error { return d.opt.Bindings.DeleteNow(ctx, tx, b.ID, who) })
	if err != nil {
		return Leaver{}, err
	}
	return d.again(ctx, b)
}

// RevokeTokens asks for all tokens of a login to end, whoever has it: the person's access stays.
func (d *Desk) RevokeTokens(ctx context.Context, who bindings.Cause, login, target string) (bindings.Binding, error) {
	b, err := d.writable(ctx, login, target)
	if err != nil {
		return b, err
	}
	return b, d.act(ctx, who, b, audit.Entry{Kind: "tokens.revoke", Detail: "asked to end all tokens"}, func(ctx context.Context, tx *database.Tx) error {
		return d.opt.Bindings.RequestTokens(ctx, tx, b.ID, bindings.TokenRequest{All: true}, who)
	})
}

// Asking for something on a Matomo that is only watched would leave a note that nothing carries out
// until somebody switches the mode, perhaps a year later. So it is refused, with the reason.

// writable finds a login on a target that is written to and that does not protect it.
func (d *Desk) writable(ctx context.Context, login, target string) (bindings.Binding, error) {
	b, err := d.Find(ctx, login, target)
	if err != nil {
		return b, err
	}
	t, err := d.target(b.Target)
	switch {
	case err != nil:
		return b, err
	case !t.Enforce:
		return b, fmt.Errorf("login %s on %s: %w", b.Login, b.Target, ErrWatched)
	case t.Client.IsProtected(b.Login):
		return b, fmt.Errorf("login %s on %s is protected and is never touched", b.Login, b.Target)
	}
	return b, nil
}

// again reads a leaver anew.
func (d *Desk) again(ctx context.Context, b bindings.Binding) (Leaver, error) {
	b, err := d.opt.Bindings.Get(ctx, d.opt.DB.Reader(), b.ID)
	if err != nil {
		return Leaver{}, err
	}
	people, err := d.opt.Directory.People(ctx, []string{b.Subject})
	if err != nil {
		return Leaver{}, err
	}
	return leaverOf(b, people[b.Subject]), nil
}

// Saved is one piece of evidence: an account as it was before something was taken away for good.
type Saved struct {
	ID      string         `json:"id"`
	Kind    string         `json:"kind"` // revoke, seal, delete; access when a rule took a site away
	SavedAt time.Time      `json:"saved_at"`
	Account matomo.Account `json:"account"`
}

// A dossier is read by two kinds of people. An auditor wants each piece as it was saved, with its time and the
// hash that the record has of it; who gives things back wants one list. So it holds both.

// Dossier is everything that is known of a login that left.
type Dossier struct {
	Target string  `json:"target"`
	Login  string  `json:"login"`
	Leaver *Leaver `json:"leaver,omitempty"` // nil when no binding has the login any more, or the person is back
	Saved  []Saved `json:"evidence"`         // oldest first
	Merged Saved   `json:"-"`                // what Restore gives back: the newest of everything
}

// Evidence is kept by login and not by person, because Matomo's things are: what a login had is what a new
// account of the same name would ask for. A login that was two people's has the evidence of both, each
// with its time.

// Show returns what was saved of a login, which need not exist any more.
func (d *Desk) Show(ctx context.Context, login, target string) (Dossier, error) {
	var out []Dossier
	for _, t := range d.opt.Targets {
		if target != "" && t.Name != target {
			continue
		}
		one, err := d.dossier(ctx, t.Name, login)
		if err != nil {
			return Dossier{}, fmt.Errorf("login %s: %w", login, err)
		}
		if one.Leaver != nil || len(one.Saved) > 0 {
			out = append(out, one)
		}
	}
	switch len(out) {
	case 0:
		return Dossier{}, fmt.Errorf("login %s: %w", login, ErrNoEvidence)
	case 1:
		return out[0], nil
	default:
		return Dossier{}, fmt.Errorf("login %s is on several targets: say which with --target", login)
	}
}

// dossier collects what one target has of a login.
func (d *Desk) dossier(ctx context.Context, target, login string) (Dossier, error) {
	out := Dossier{Target: target, Login: login}
	b, err := d.opt.Bindings.ByLogin(ctx, target, access.FoldLogin(login))
	switch {
	case errors.Is(err, bindings.ErrNotFound):
	case err != nil:
		return out, err
	default:
		if out.Login = b.Login; b.LeftAt != nil {
			l, err := d.again(ctx, b)
			if err != nil {
				return out, err
			}
			out.Leaver = &l
		}
	}
	rows, err := d.opt.Bindings.EvidenceOf(ctx, d.opt.DB.Reader(), target, access.FoldLogin(login))
	if err != nil {
		return out, err
	}
	for _, row := range rows {
		s := Saved{ID: row.ID, Kind: row.Kind, SavedAt: row.SavedAt}
		if err := json.Unmarshal(row.Data, &s.Account); err != nil {
			return out, fmt.Errorf("evidence %s cannot be read: %w", row.ID, err)
		}
		out.Saved = append(out.Saved, s)
	}
	out.Merged = merge(out.Saved)
	return out, nil
}

// Several pieces are the rule: each attempt to revoke saves what it found, because nobody knows which
// attempt is the one that Matomo carries out. They hold the same things, and fewer and fewer of them.

// merge puts the evidence of a leave together. Reports go when access goes and dashboards with the
// account, so the one is in an earlier piece and the other in a later one; of what is in several the
// newest counts. Sites that a mover lost long ago are not part of a leave.
func merge(saved []Saved) Saved {
	var out Saved
	ev := &matomo.Evidence{}
	for _, s := range saved {
		e := s.Account.Evidence
		if e == nil || s.Kind == "access" && !e.Whole {
			continue
		}
		// The account's own fields are those of the last piece; only its access is empty by then.
		out.SavedAt, out.Kind = s.SavedAt, s.Kind
		had := out.Account
		if out.Account = s.Account; out.Account.Access.Empty() {
			out.Account.Access = had.Access // what there was before it was taken
		}
		ev.Reports = newest(ev.Reports, e.Reports, "idreport")
		ev.Segments = newest(ev.Segments, e.Segments, "idsegment")
		if text := string(e.Dashboards); text != "" && text != "[]" {
			ev.Dashboards = e.Dashboards
		}
		if len(e.Preferences) > 0 {
			ev.Preferences = e.Preferences
		}
		ev.Language = cmp.Or(e.Language, ev.Language)
		ev.MailedBy, ev.Missing = e.MailedBy, e.Missing
	}
	out.Account.Evidence = ev
	return out
}

// Ids are Matomo's and are not used twice, so they tell whether two pieces speak of one thing. A thing without
// one that can be read is kept as it is: better twice than not at all.

// newest adds things to those that are there; one with the same id replaces the older.
func newest(have, more []json.RawMessage, id string) []json.RawMessage {
	number := func(raw json.RawMessage) string {
		var fields map[string]json.RawMessage
		if json.Unmarshal(raw, &fields) != nil {
			return ""
		}
		return strings.Trim(string(fields[id]), `"`) // PHP writes numbers either way
	}
	for _, raw := range more {
		key := number(raw)
		at := slices.IndexFunc(have, func(old json.RawMessage) bool { return key != "" && number(old) == key })
		if at < 0 {
			have = append(have, raw)
		} else {
			have[at] = raw
		}
	}
	return have
}

// RestoreOptions say what to give back to whom.
type RestoreOptions struct {
	Login, Target string
	To            string // the login that gets the things; empty: the same
	ShareSegments bool
}

// To whom things may be given is narrower than what Matomo would allow. The login must be one that the bridge
// manages (I2), on a Matomo that it writes to, of somebody who has not left: reports are mailed, and a
// dashboard on a suspended account helps nobody.

// Restore gives back what a leaver had, to an account that the bridge manages, as far as Matomo's API
// allows. It says what became of each thing. What was done until an error is returned with it.
func (d *Desk) Restore(ctx context.Context, who bindings.Cause, opt RestoreOptions) ([]matomo.Restored, error) {
	// Evidence is found by login alone: the account may be deleted, and its binding somebody else's.
	file, err := d.Show(ctx, opt.Login, opt.Target)
	if err != nil {
		return nil, err
	}
	if len(file.Saved) == 0 {
		return nil, fmt.Errorf("login %s: %w", opt.Login, ErrNoEvidence)
	}
	// Only accounts of ours are ever changed (I2), and a suspended one gets nothing.
	to, err := d.writable(ctx, cmp.Or(opt.To, file.Login), file.Target)
	switch {
	case err != nil:
		return nil, err
	case to.LeftAt != nil:
		return nil, fmt.Errorf("login %s has left: name somebody who is still here with --to", to.Login)
	case !to.CreatedByUs && !to.Adopted:
		return nil, fmt.Errorf("login %s: %w", to.Login, ErrUnknown)
	}
	t, err := d.target(file.Target)
	if err != nil {
		return nil, err
	}
	// Two entries, as for a pass: what is about to be done, so that a crash in the middle is on record,
	// and what became of each thing.
	nothing := func(context.Context, *database.Tx) error { return nil }
	intent := audit.Entry{Kind: "leaver.restore", After: map[string]any{"from": file.Login, "share_segments": opt.ShareSegments}}
	if err := d.act(ctx, who, to, intent, nothing); err != nil {
		return nil, err
	}
	done, err := t.Client.Restore(ctx, matomo.RestoreOptions{From: file.Merged.Account, To: to.Login, ShareSegments: opt.ShareSegments})
	outcome := audit.Entry{Kind: "leaver.restored", After: map[string]any{"from": file.Login}, Answer: answers(done)}
	if err != nil {
		outcome.Detail = err.Error()
	}
	return done, errors.Join(err, d.act(context.WithoutCancel(ctx), who, to, outcome, nothing))
}

// answers are what became of each thing, for the record.
func answers(done []matomo.Restored) []map[string]any {
	out := make([]map[string]any, len(done))
	for i, x := range done {
		out[i] = map[string]any{"kind": x.Kind, "name": x.Name, "done": x.Done, "already": x.Already, "note": x.Note}
	}
	return out
}
