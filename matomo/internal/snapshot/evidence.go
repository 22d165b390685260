package snapshot

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/matomo-scim/bridge/matomo/access"
	"github.com/matomo-scim/bridge/matomo/internal/wire"
	"github.com/matomo-scim/bridge/matomo/plan"
)

// What goes for good is read before it goes: a removed site takes the person's
// scheduled reports there along, a deleted account its dashboards too, and its
// segments move to another superuser. What cannot be read is named, never passed
// over: a leaver goes on all the same, everybody else waits.

// How much is read depends on what is about to go, because it costs a member of the bulk request for each
// person and thing: fifty leavers at once must still fit into two requests. Taking a site away needs the
// reports alone; dashboards and segments are read when somebody has left, while their account still
// has them; preferences and language only before the account itself goes.

// wantTokens adds the app tokens of each login, where the companion plugin
// shows them.
func (r *reading) wantTokens(logins []string, wanted bool) {
	if !wanted || !r.reader.known().canRevoke {
		return
	}
	for _, login := range logins {
		var found []plan.Token
		// A plugin that fails must not fail the read: it would keep the access of
		// everybody who is read with it.
		r.may[len(r.calls)] = func(err error) error {
			switch wire.KindOf(err) {
			case wire.UserMissing:
				return nil // gone
			case wire.UnknownMethod, wire.Refused, wire.ServerFailure, wire.Malformed:
				r.snap.trouble(plan.Plugin, err) // switched off meanwhile, or broken: not known
				return nil
			default:
				return err
			}
		}
		decode := wire.Items(func(_ string, dec *json.Decoder) error {
			var t tokenAnswer
			err := dec.Decode(&t)
			found = append(found, t.token())
			return err
		})
		r.add(plan.Companion+".getTokens", func(dec *json.Decoder) error {
			if err := decode(dec); err != nil {
				return err
			}
			r.annotate(login, func(x *extra) { x.tokens, x.tokensKnown = found, true })
			return nil
		}, wire.P("userLogin", login))
	}
}

// tokenAnswer is one element of ScimBridge.getTokens.
type tokenAnswer struct {
	ID          wire.Number `json:"id"`
	Description string      `json:"description"`
	Created     string      `json:"date_created"`
	LastUsed    *string     `json:"last_used"`
	Expires     *string     `json:"date_expired"`
}

// token turns an answer into a token; absent dates become empty.
func (t tokenAnswer) token() plan.Token {
	out := plan.Token{ID: int(t.ID), Description: t.Description, Created: t.Created}
	if t.LastUsed != nil {
		out.LastUsed = *t.LastUsed
	}
	if t.Expires != nil {
		out.Expires = *t.Expires
	}
	return out
}

// trouble notes that a strategy did not show tokens, the first time.
func (s *Snapshot) trouble(by plan.Strategy, err error) {
	if s.TokenTrouble == nil {
		s.TokenTrouble = map[plan.Strategy]error{}
	}
	if s.TokenTrouble[by] == nil {
		s.TokenTrouble[by] = err
	}
}

// databaseTokens asks the database for the tokens of every account in the
// snapshot that is not known to have none.
func (rd *Reader) databaseTokens(ctx context.Context, s *Snapshot) error {
	for i, a := range s.accounts {
		if a.flags&flagExists == 0 || s.extra[int32(i)].tokensKnown {
			continue
		}
		tokens, err := rd.Tokens(ctx, a.login)
		if err != nil {
			return err
		}
		s.annotate(int32(i), func(x *extra) { x.tokens, x.tokensKnown = tokens, true })
	}
	return nil
}

// annotate changes the extra of a login; one that getUsers does not know has
// none.
func (r *reading) annotate(login string, f func(*extra)) {
	if i, ok := r.snap.index[access.FoldLogin(login)]; ok {
		r.snap.annotate(i, f)
	}
}

// annotate changes the extra at position i.
func (s *Snapshot) annotate(i int32, f func(*extra)) {
	x := s.extra[i]
	f(&x)
	s.extra[i] = x
}

// evidenceOf returns the evidence of a login to add to; nil when the login does
// not exist.
func (r *reading) evidenceOf(login string) *plan.Evidence {
	var ev *plan.Evidence
	r.annotate(login, func(x *extra) {
		if x.evidence == nil {
			x.evidence = &plan.Evidence{}
		}
		ev = x.evidence
	})
	return ev
}

// wantEvidence adds what a destructive step would delete. One call lists the
// reports of everybody, one the segments; only dashboards are asked for by
// person. A leaver is not kept waiting when one of them fails: what is missing
// is said, and the caller decides.
func (r *reading) wantEvidence(logins []string, level EvidenceLevel) {
	if level == EvidenceNone {
		return
	}
	r.evidence, r.whole = logins, level >= EvidenceAccount
	r.optional("scheduled reports", logins)
	r.add("ScheduledReports.getReports", wire.Items(func(_ string, dec *json.Decoder) error {
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return err
		}
		r.report(raw, logins)
		return nil
	}))
	if level < EvidenceAll {
		return
	}
	r.optional("segments", logins)
	r.add("SegmentEditor.getAll", wire.Items(func(_ string, dec *json.Decoder) error {
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return err
		}
		var owner struct {
			Login string `json:"login"`
		}
		if json.Unmarshal(raw, &owner) == nil && among(owner.Login, logins) {
			if ev := r.evidenceOf(owner.Login); ev != nil {
				ev.Segments = append(ev.Segments, raw)
			}
		}
		return nil
	}))
	for _, login := range logins {
		r.wantDashboards(login)
		if level >= EvidenceAccount {
			r.wantSettings(login)
		}
	}
}

// wantDashboards adds the dashboards that a person made. Asked for all, Matomo would answer its
// default one for whoever has none, and for logins that do not exist.
func (r *reading) wantDashboards(login string) {
	r.optional("dashboards", []string{login})
	var raw json.RawMessage
	decode := wire.Raw(&raw)
	r.add("Dashboard.getDashboards", func(dec *json.Decoder) error {
		err := decode(dec)
		if ev := r.evidenceOf(login); err == nil && ev != nil {
			ev.Dashboards = raw
		}
		return err
	}, wire.P("login", login), wire.P("returnDefaultIfEmpty", "0"))
}

// preferences are those that Matomo's core knows and people set; the others are marks of plugins.
var preferences = []string{"defaultReport", "defaultReportDate"}

// Matomo lists no preferences and has to be asked by name. Its core knows two that people set; a plugin's own
// are not asked for, because nobody could say what they are.

// wantSettings adds what a person chose for themselves. Matomo answers a default for a preference
// that nobody set, and there is no telling the two apart.
func (r *reading) wantSettings(login string) {
	setting := func(what, method string, store func(*plan.Evidence, string), params ...wire.Param) {
		r.optional(what, []string{login})
		r.add(method, func(dec *json.Decoder) error {
			var v any // a text, a number, or false for none
			if err := wire.Value(&v)(dec); err != nil {
				return err
			}
			if ev := r.evidenceOf(login); ev != nil && v != nil && v != false {
				store(ev, fmt.Sprint(v))
			}
			return nil
		}, params...)
	}
	for _, name := range preferences {
		setting("preference "+name, "UsersManager.getUserPreference", func(ev *plan.Evidence, v string) {
			if ev.Preferences == nil {
				ev.Preferences = map[string]string{}
			}
			ev.Preferences[name] = v
		}, wire.P("preferenceName", name), wire.P("userLogin", login))
	}
	setting("language", "LanguagesManager.getLanguageForUser", func(ev *plan.Evidence, v string) { ev.Language = v }, wire.P("login", login))
}

// optional lets the next call fail: what is missing is written down for the
// logins, and what belongs to a plugin that is switched off cannot be lost.
func (r *reading) optional(what string, logins []string) {
	r.may[len(r.calls)] = func(err error) error {
		switch wire.KindOf(err) {
		case wire.UnknownMethod:
			return nil
		case wire.BadToken, wire.WrongPassword, wire.NoPermission:
			return err
		default:
			for _, l := range logins {
				if ev := r.evidenceOf(l); ev != nil {
					ev.Missing = append(ev.Missing, what+": "+err.Error())
				}
			}
			return nil
		}
	}
}

// report files one scheduled report under its owner, and under everybody else
// whose address it is mailed to.
func (r *reading) report(raw json.RawMessage, logins []string) {
	var rep struct {
		ID         wire.Number     `json:"idreport"`
		Site       wire.Number     `json:"idsite"`
		Login      string          `json:"login"`
		Name       string          `json:"description"`
		Parameters json.RawMessage `json:"parameters"` // an object; an empty one is []
	}
	if json.Unmarshal(raw, &rep) != nil {
		return
	}
	var mail struct {
		To []string `json:"additionalEmails"`
	}
	if json.Unmarshal(rep.Parameters, &mail) != nil {
		mail.To = nil
	}
	// The owner loses the report together with the site. For everybody else it
	// is a leak that goes on: Matomo keeps mailing it to their address.
	for _, login := range logins {
		ev := r.evidenceOf(login)
		if ev == nil {
			continue
		}
		if among(rep.Login, []string{login}) {
			ev.Reports = append(ev.Reports, raw)
			continue
		}
		email := r.snap.accounts[r.snap.index[access.FoldLogin(login)]].email
		for _, to := range mail.To {
			if email != "" && strings.EqualFold(strings.TrimSpace(to), email) {
				ev.MailedBy = append(ev.MailedBy, plan.MailedReport{
					ID: int(rep.ID), Site: access.SiteID(rep.Site), Owner: rep.Login, Name: rep.Name,
				})
				break
			}
		}
	}
}

// among reports whether login is one of logins to Matomo.
func among(login string, logins []string) bool {
	key := access.FoldLogin(login)
	for _, l := range logins {
		if access.FoldLogin(l) == key {
			return true
		}
	}
	return false
}
