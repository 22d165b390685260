// Package review makes the access review sheet: everybody who has an account on a Matomo, what they may
// see there, why, and what somebody who reviews it should look at.
//
// The instance is read once, in one request, and what it shows is held beside what the rules give now:
// a grant is explained by group and rule, and what no rule explains stands out, as do accounts that
// nobody manages here, superusers, and people who have not been there for a long time.
package review

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/internal/reconcile/course"
	"github.com/matomo-scim/bridge/internal/sheet"
	"github.com/matomo-scim/bridge/mapping"
	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/access"
)

// What a reviewer asks of a line is "is that right?", and a line alone cannot answer it. So each says
// where its access comes from: by group and rule when the bridge manages the account, and in so many
// words when nothing explains it. Decisions are made anew for the sheet and are not what was recorded
// when access was given: a rule that was changed since must not go on explaining what it gave.
//
// A half review looks like a whole one, so there is none: a Matomo that does not answer in full is an
// error (I1).

// Row is one account.
type Row struct {
	Target      string   `json:"target"`
	Login       string   `json:"login"`
	Email       string   `json:"email"`
	Name        string   `json:"name"` // what the source calls the person; the login of an account that nobody manages here
	Role        string   `json:"role"` // Super User, or the highest role on any site
	Sites       []Site   `json:"sites"`
	Tokens      string   `json:"tokens"`                // what is known of them: live, dead, inert, unknown
	TokenCount  *int     `json:"token_count,omitempty"` // how many work, where it was asked for and can be seen
	LastLogin   string   `json:"last_login,omitempty"`
	MFA         bool     `json:"mfa"`
	Managed     bool     `json:"managed"` // the bridge changes it
	Protected   bool     `json:"protected"`
	Superuser   bool     `json:"superuser"`
	Left        bool     `json:"left"` // the person has left; the account is suspended
	Dormant     bool     `json:"dormant"`
	Reasons     []string `json:"reasons"`     // of what the rules give: group, grant, rule
	Unexplained []string `json:"unexplained"` // access that no rule gives
}

// Site is what an account has on one site.
type Site struct {
	ID           access.SiteID `json:"id"`
	Name         string        `json:"name"`
	Role         access.Role   `json:"role"`
	Capabilities []string      `json:"capabilities,omitempty"`
}

// String is "3:write" with its capabilities.
func (s Site) String() string {
	return strconv.Itoa(int(s.ID)) + ":" + strings.Join(append([]string{string(s.Role)}, s.Capabilities...), "+")
}

// Target is one Matomo to review.
type Target struct {
	Name   string
	Client *matomo.Client
}

// Options is what a review is made of; all are required.
type Options struct {
	Bindings  *bindings.Store
	Directory *directory.Store
	Rules     *mapping.Rules
	// Dormant is from how many days without a sign-in on an account counts as dormant.
	Dormant time.Duration
	// Tokens counts the app tokens of every account too: one more request for each
	// hundred accounts.
	Tokens bool
}

// page is how many bindings, or accounts, are looked at together.
const page = 500

// Rows are sorted by login and not by urgency: two reviews of one Matomo can then be compared line by line, and
// a spreadsheet sorts by anything else.

// Of reads a target once and returns its accounts, by login.
func Of(ctx context.Context, opt Options, t Target) ([]Row, error) {
	snap, err := t.Client.ReadInstance(ctx)
	if err != nil {
		return nil, fmt.Errorf("review %s: %w", t.Name, err)
	}
	r := &review{opt: opt, target: t, sites: map[access.SiteID]string{}, now: snap.At}
	for _, s := range snap.Sites {
		r.sites[s.ID] = s.Name
	}
	if err := r.people(ctx, opt.Rules.For(t.Name, snap.Sites)); err != nil {
		return nil, fmt.Errorf("review %s: %w", t.Name, err)
	}
	var rows []Row
	for account := range snap.Each() {
		rows = append(rows, r.row(account))
	}
	slices.SortStableFunc(rows, func(a, b Row) int { return cmp.Compare(access.FoldLogin(a.Login), access.FoldLogin(b.Login)) })
	if opt.Tokens {
		if err := countTokens(ctx, t.Client, rows); err != nil {
			return nil, fmt.Errorf("review %s: %w", t.Name, err)
		}
	}
	return rows, nil
}

// Tokens of everybody, managed or not: looking is all that a review does, and a token of
// an account that nobody manages is what it should find.

// anonymous stands for everybody who has not signed in: it has no tokens, and whoever
// asks for them is refused.
const anonymous = "anonymous"

// countTokens fills in how many tokens work, where the instance shows them. Where it does
// not, nothing is counted: unknown is not none.
func countTokens(ctx context.Context, client *matomo.Client, rows []Row) error {
	for some := range slices.Chunk(rows, page) {
		var logins []string
		for _, r := range some {
			if access.FoldLogin(r.Login) != anonymous {
				logins = append(logins, r.Login)
			}
		}
		snap, err := client.ReadTokens(ctx, logins)
		if err != nil {
			return err
		}
		for i := range some {
			if account, ok := snap.Account(some[i].Login); ok && account.TokensKnown {
				n := len(account.Tokens)
				some[i].TokenCount = &n
			}
		}
	}
	return nil
}

// review is one review under way.
type review struct {
	opt    Options
	target Target
	sites  map[access.SiteID]string
	now    time.Time
	ours   map[string]managed // by folded login
}

// managed is what is known here of an account of ours.
type managed struct {
	name     string
	left     bool
	tokens   bindings.Tokens
	decision mapping.Decision
}

// Bindings are read in pages, because there may be as many as people in a company; the accounts are
// in memory anyway, compactly, as the one read delivered them.

// people decides for everybody who has an account of ours, page by page.
func (r *review) people(ctx context.Context, decider *mapping.Decider) error {
	r.ours = map[string]managed{}
	for after := ""; ; {
		all, err := r.opt.Bindings.AllBindings(ctx, r.target.Name, after, page)
		if err != nil || len(all) == 0 {
			return err
		}
		after = all[len(all)-1].ID
		subjects := make([]string, len(all))
		for i, b := range all {
			subjects[i] = b.Subject
		}
		people, err := r.opt.Directory.People(ctx, subjects)
		if err != nil {
			return err
		}
		for _, b := range all {
			if b.Login == "" {
				continue
			}
			p := people[b.Subject]
			m := managed{name: nameOf(p), left: !p.Active, tokens: b.Tokens}
			// Somebody who left is given nothing, whatever groups their source still has them in.
			if p.Active {
				m.decision = decider.Decide(course.SubjectOf(p), r.now)
			}
			r.ours[access.FoldLogin(b.Login)] = m
		}
	}
}

// A sheet is read by people who know colleagues by name and not by login.

// nameOf is what a person is called: by the source's display name, else by the userName.
func nameOf(p directory.Person) string {
	for _, attribute := range []string{"displayname", "name.formatted"} {
		if v := p.Attributes[attribute]; len(v) > 0 && v[0] != "" {
			return v[0]
		}
	}
	return p.UserName
}

// row is one account with what is known of it.
func (r *review) row(a matomo.Account) Row {
	m, ours := r.ours[access.FoldLogin(a.Login)]
	row := Row{
		Target: r.target.Name, Login: a.Login, Email: a.Email, Name: cmp.Or(m.name, a.Login), MFA: a.Uses2FA, Managed: ours,
		Protected: r.target.Client.IsProtected(a.Login), Superuser: a.Access.Superuser, Left: ours && m.left,
		Tokens: cmp.Or(string(m.tokens), string(bindings.TokensUnknown)), Reasons: course.ReasonTexts(m.decision),
	}
	row.Role = roleOf(a.Access)
	for _, id := range a.Access.SiteIDs() {
		on := a.Access.Sites[id]
		s := Site{ID: id, Name: r.sites[id], Role: on.Role, Capabilities: on.Capabilities}
		row.Sites = append(row.Sites, s)
		// A superuser by rule sees every site, so no row of theirs wants an explanation.
		if given := m.decision.Access.Sites[id]; ours && !m.decision.Access.Superuser && given.Role != on.Role {
			row.Unexplained = append(row.Unexplained, s.String())
		}
	}
	if ours && a.Access.Superuser && !m.decision.Access.Superuser {
		row.Unexplained = append(row.Unexplained, "superuser")
	}
	// Whoever never signed in has been dormant since the account was made. Using a token is no sign-in
	// to Matomo, so an account that only programs use looks dormant too: the column with the tokens
	// stands beside it.
	seen := cmp.Or(a.LastSeen, a.Registered)
	if !a.LastSeen.IsZero() {
		row.LastLogin = a.LastSeen.Format(time.DateOnly)
	}
	row.Dormant = r.opt.Dormant > 0 && !seen.IsZero() && r.now.Sub(seen) >= r.opt.Dormant
	return row
}

// One word for a person's role loses that roles are by site. It is what a sheet has room for; the sites stand
// in the next column.

// roleOf is Matomo's word for the highest thing that an account may do.
func roleOf(a access.Access) string {
	if a.Superuser {
		return "Super User"
	}
	best := access.NoAccess
	for _, s := range a.Sites {
		best = access.Higher(best, s.Role)
	}
	switch best {
	case access.Admin:
		return "Admin"
	case access.Write:
		return "Write"
	case access.View:
		return "View"
	default:
		return "No Access"
	}
}

// Head is the head of the sheet.
func Head() []string {
	return []string{"User Email", "Name", "Role", "Sites (ID:Permission)", "Tokens", "Last Login", "MFA Enabled", "Review Date", "Notes"}
}

// The nine columns are those of the access guide, in its order and with its words, so that the sheet can be
// held beside last quarter's. What else is known goes into the notes; programs take the JSON.

// WriteSheet writes rows as the access guide's sheet: CSV that a spreadsheet opens and does not run.
// day is the date of the review.
func WriteSheet(w io.Writer, rows []Row, day time.Time) error {
	t, err := sheet.New(w, Head()...)
	if err != nil {
		return err
	}
	for _, r := range rows {
		sites := make([]string, len(r.Sites))
		for i, s := range r.Sites {
			sites[i] = s.String()
		}
		if r.Superuser {
			sites = []string{"all"} // Matomo keeps no sites for superusers, because they see all
		}
		mfa := "no"
		if r.MFA {
			mfa = "yes"
		}
		err := t.Row(r.Email, r.Name, r.Role, strings.Join(sites, ", "), r.tokens(), cmp.Or(r.LastLogin, "never seen"), mfa,
			day.Format(time.DateOnly), strings.Join(r.Notes(), "; "))
		if err != nil {
			return err
		}
	}
	return t.Flush()
}

// tokens is the count where there is one, else what is known of them.
func (r Row) tokens() string {
	if r.TokenCount != nil {
		return strconv.Itoa(*r.TokenCount)
	}
	return r.Tokens
}

// The order is that of urgency: a superuser whom nobody manages is what a review is for, and the
// reasons are what it is read for when everything is in order.

// Notes are what somebody who reviews an account should see, most important first.
func (r Row) Notes() []string {
	var notes []string
	add := func(is bool, text string) {
		if is {
			notes = append(notes, text)
		}
	}
	add(r.Superuser && !r.Managed && !r.Protected, "UNMANAGED SUPERUSER: no rule explains it")
	add(!r.Managed && !r.Superuser && !r.Protected, "UNMANAGED: nobody removes it when the person leaves")
	add(r.Superuser && (r.Managed || r.Protected), "superuser")
	add(r.Protected, "protected: never changed here")
	add(r.Left, "left: suspended")
	add(r.Dormant, "DORMANT")
	add(len(r.Unexplained) > 0, "no rule gives: "+strings.Join(r.Unexplained, ", "))
	add(r.Login != r.Name, "login "+r.Login)
	for _, reason := range r.Reasons {
		notes = append(notes, "because "+reason)
	}
	return append(notes, "Matomo "+r.Target)
}
