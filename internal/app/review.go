package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/review"
	"github.com/matomo-scim/bridge/mapping"
	"github.com/matomo-scim/bridge/matomo/access"
)

// What auditors ask: who has access and why, and what happened to somebody. Both put together what
// several rooms know, so they stand here.

// Review returns the access review of every target, or of the one named: one read of each Matomo, and
// more when the tokens of each account are counted too. dormant is from how long without a sign-in on an
// account counts as dormant.
func (s *Services) Review(ctx context.Context, target string, dormant time.Duration, tokens bool) ([]ReviewRow, error) {
	rules, err := s.activeRules(ctx)
	if err != nil {
		return nil, err
	}
	opt := review.Options{Bindings: s.Bindings, Directory: s.Directory, Rules: rules, Dormant: dormant, Tokens: tokens}
	var rows []ReviewRow
	known := false
	for _, t := range s.Targets {
		if target != "" && t.Name != target {
			continue
		}
		known = true
		some, err := review.Of(ctx, opt, review.Target{Name: t.Name, Client: t.Client})
		if err != nil {
			return nil, err
		}
		rows = append(rows, some...)
	}
	if !known {
		return nil, fmt.Errorf("no target is called %q", target)
	}
	return rows, nil
}

// A review explains with the rules that decide, and those are a row (see rules.go). Before the first start there
// is none; then the files tell what would be decided.

// activeRules are the rules that decide now; those of the files while none are active yet.
func (s *Services) activeRules(ctx context.Context) (*mapping.Rules, error) {
	set, err := s.Bindings.ActiveRules(ctx)
	if err != nil && !errors.Is(err, bindings.ErrNotFound) {
		return nil, fmt.Errorf("active rules: %w", err)
	}
	if set.Hash == "" {
		rules, _, err := LoadRules(s.Config)
		return rules, err
	}
	files, err := mapping.Unmarshal(set.Text)
	if err != nil {
		return nil, fmt.Errorf("active rules: %w", err)
	}
	return mapping.Parse(files, RuleOptions(s.Config))
}

// WriteReview writes an access review as the sheet of the access guide.
func WriteReview(w io.Writer, rows []ReviewRow, day time.Time) error {
	return review.WriteSheet(w, rows, day)
}

// A person has many names in the record: the subject of their bindings, the ids of their users, which are
// all that a group's membership says, and their login in each Matomo. Whoever asks knows one of them. The
// record is read twice for it, once to learn the names and once for the history, because it is the only
// one that remembers those who are gone.

// HistoryEntry is one entry of the record about a person.
type HistoryEntry struct {
	AuditRow

	// Group is set when the entry is about a group that the person came into (Joined) or left.
	Group  string
	Joined bool
}

// History calls fn for every entry of the audit trail about a person, in the order of the record: what
// sources said of them, of groups they came into or left, and what was done to their accounts. user is
// a userName or a Matomo login, also of somebody who is gone. It returns how many there were.
func (s *Services) History(ctx context.Context, user string, since time.Time, fn func(HistoryEntry) error) (int, error) {
	w, err := s.whoIs(ctx, user)
	if err != nil {
		return 0, err
	}
	n := 0
	err = s.Audit.Each(ctx, AuditFilter{Since: since}, func(r AuditRow) error {
		e, ok := w.concerns(r)
		if !ok {
			return nil
		}
		n++
		return fn(e)
	})
	return n, err
}

// identities are what entries of the record call one person: subjects, the ids of users (in the
// memberships of groups), and the login by which they were asked for.
type identities struct {
	login           string
	subjects, users map[string]bool
}

// whoIs finds everything that the record calls somebody. The record is asked as well, because it knows
// those who are gone.
func (s *Services) whoIs(ctx context.Context, user string) (identities, error) {
	w := identities{login: user, subjects: map[string]bool{}, users: map[string]bool{}}
	subjects, err := s.Directory.SubjectsEver(ctx, user)
	if err != nil {
		return w, err
	}
	for _, id := range subjects {
		w.subjects[id] = true
	}
	for _, t := range s.Targets {
		b, err := s.Bindings.ByLogin(ctx, t.Name, access.FoldLogin(user))
		if err == nil {
			w.login = b.Login
			w.subjects[b.Subject] = true
		} else if !errors.Is(err, bindings.ErrNotFound) {
			return w, err
		}
	}
	err = s.Audit.Each(ctx, AuditFilter{Login: w.login}, func(r AuditRow) error {
		if r.Subject != "" {
			w.subjects[r.Subject] = true
		}
		return nil
	})
	for subject := range w.subjects {
		if err != nil {
			break
		}
		err = s.Audit.Each(ctx, AuditFilter{Subject: subject}, func(r AuditRow) error {
			for _, facts := range []any{r.Before, r.After} {
				var f struct{ User string }
				if raw, ok := facts.(json.RawMessage); ok && json.Unmarshal(raw, &f) == nil && f.User != "" {
					w.users[f.User] = true
				}
			}
			return nil
		})
	}
	return w, err
}

// Groups have no subject, because a change of theirs concerns many: whom, they say by the ids of users.

// concerns reports whether an entry is about the person, and what it says of their membership.
func (w identities) concerns(r AuditRow) (HistoryEntry, bool) {
	e := HistoryEntry{AuditRow: r}
	switch {
	case w.subjects[r.Subject], r.Login != "" && access.FoldLogin(r.Login) == access.FoldLogin(w.login):
		return e, true
	case !strings.HasPrefix(r.Kind, "group."):
		return e, false
	}
	var group struct {
		DisplayName    string
		Added, Removed []string
	}
	for _, facts := range []any{r.Before, r.After} {
		if raw, ok := facts.(json.RawMessage); ok {
			_ = json.Unmarshal(raw, &group) // facts of another form name nobody
		}
	}
	e.Group = group.DisplayName
	if e.Joined = slices.ContainsFunc(group.Added, w.isUser); e.Joined {
		return e, true
	}
	return e, slices.ContainsFunc(group.Removed, w.isUser)
}

// isUser reports whether an id is one of the person's users.
func (w identities) isUser(id string) bool { return w.users[id] }
