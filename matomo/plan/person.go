package plan

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/matomo-scim/bridge/matomo/access"
)

// Person plans joiners, movers, come-backs and drift repair. It is a function
// of its arguments: no clock, no chance.
//
// Steps come in this order; a plan holds only those it needs.
//
//	account      superuser now     wanted           steps
//	missing      -                 sites            add or invite, ldap mark, then as for an empty account
//	missing      -                 superuser        add or invite (gate), ldap mark, promote
//	exists       no                sites            [tokens (gate)] set access per role, remove access, e-mail, tokens
//	exists       no                superuser        [tokens (gate)] e-mail, promote (which wipes the rows)
//	exists       yes               sites            [tokens (gate)] demote, set access, remove access, e-mail, tokens
//	exists       yes               superuser        [tokens (gate)] e-mail
//	came back    -                 anything         without a way to revoke: delete, add (gate) instead of tokens (gate)
//
// Removing access comes last among access steps, so that a mover keeps what old
// and new state share (I5). Demoting wipes all rows in Matomo; what is granted
// again follows in the same request. After it, sites that are lost are named in
// a removal although no row is left, because only that stops Matomo from
// mailing the person's scheduled reports.
//
// A gate stops everything behind it unless it succeeded: superuser never
// reaches an account we did not add (I2), and nothing is granted to one whose
// old tokens live (I10; tokens that were read as none need no gate). Site
// access travels with the account it is for; should the account turn out to be
// somebody else's, Apply takes it back.
func Person(want Want, have Account, pol Policy) Plan {
	if have.Login == "" {
		have.Login = want.Login
	}
	b := &planner{want: want, have: have, pol: pol}
	p := b.run(false)
	if p.Reduces() {
		p.additions = (&planner{want: want, have: have, pol: pol}).run(true).Steps
	}
	return p
}

// planner builds one plan. A run with addsOnly skips everything that takes
// something away (Plan.Additions).
type planner struct {
	want     Want
	have     Account
	pol      Policy
	plan     Plan
	hasKnown access.Access // have.Access in comparable form, made when first needed; see has
	had      access.Access // has before the plan changed anything: what may be kept survives a new account too
	foreign  access.Access // additive: what somebody else gave and stays
	addsOnly bool
}

// run builds the plan from top to bottom; the order of the calls is the order
// of the steps.
func (b *planner) run(addsOnly bool) Plan {
	b.addsOnly = addsOnly
	b.plan = Plan{Login: b.have.Login}
	b.had = b.has()
	if b.pol.Manage == Additive {
		b.foreign = b.notOurs()
	}
	if b.pol.Protects(b.have.Login) {
		b.block(IsProtected, "the login is protected")
		return b.plan
	}
	if !b.ready() {
		return b.plan
	}
	b.access()
	b.email()
	b.promote()
	b.roleChangeTokens()
	b.requestedTokens()
	return b.plan
}

// ready makes sure there is an account that may be granted something: it is
// added, or its old tokens are ended. False means that nothing more can be
// planned.
func (b *planner) ready() bool {
	if !b.have.Exists {
		return b.add()
	}
	if b.want.ComeBack {
		return b.comeBack()
	}
	return true
}

// add plans the account itself.
func (b *planner) add() bool {
	if !b.want.Create {
		return false
	}
	if b.want.HoldAdditions {
		b.block(AdditionsHeld, "a noaccess rule names a site that is unknown")
		return false
	}
	block := ValidateLogin(b.want.Login)
	if block == nil {
		block = ValidateEmail(b.want.Email)
	}
	if block != nil {
		b.plan.Blocks = append(b.plan.Blocks, *block)
		return false
	}
	step := Step{Kind: AddUser, Login: b.want.Login, Email: b.want.Email, Gate: b.promotes(), Why: "the person has no account yet"}
	if b.pol.SignIn == SignInInvite {
		site, ok := b.inviteSite()
		if !ok {
			b.block(InviteNoSite, "Matomo sends an invitation only together with a site, and no rule gives this person one")
			return false
		}
		step.Kind, step.Sites = InviteUser, []access.SiteID{site}
		b.have.Access.Sites = map[access.SiteID]access.SiteAccess{site: {Role: access.View}}
		b.hasKnown = access.Access{}
	}
	b.step(step)
	if b.pol.SignIn == SignInLDAP {
		b.step(Step{Kind: SetLdapUser, Why: "LoginLdap refuses an account that does not carry its mark"})
	}
	b.have.Exists, b.have.Login, b.have.Email = true, b.want.Login, b.want.Email
	return true
}

// inviteSite picks the lowest granted site; for a superuser the lowest of all.
func (b *planner) inviteSite() (access.SiteID, bool) {
	target := b.target()
	if b.promotes() && len(b.pol.Sites) > 0 {
		return slices.Min(b.pol.Sites), true
	}
	ids := target.SiteIDs()
	if len(ids) == 0 {
		return 0, false
	}
	return ids[0], true
}

// comeBack ends tokens from before, so that none is alive when something is
// granted (I10).
func (b *planner) comeBack() bool {
	if b.pol.Tokens != NoStrategy {
		s := b.tokenStep("the person comes back; tokens from before must not live again", b.have.Access)
		s.Gate = !b.have.TokensKnown || len(b.have.Tokens) > 0
		b.step(s)
		return true
	}
	target := b.target()
	if target.Empty() && !b.promotes() {
		return true // nothing will be granted, so nothing revives
	}
	if b.want.HoldAdditions {
		return true
	}
	if b.have.Access.Superuser {
		b.block(TokensLive, "the account is a superuser with tokens that nothing here can end")
		return false
	}
	email := b.want.Email
	if ValidateEmail(email) != nil {
		email = b.have.Email
	}
	if block := ValidateEmail(email); block != nil {
		b.plan.Blocks = append(b.plan.Blocks, *block)
		return false
	}
	b.plan.Loses = !b.have.Access.Empty()
	b.step(Step{Kind: DeleteUser, Destructive: true, Reduces: !b.have.Access.Empty(), Why: "the person comes back and nothing else ends the old tokens"})
	b.step(Step{Kind: AddUser, Email: email, Gate: true, Strategy: Recreate, Why: "the same login anew, without its old tokens"})
	b.have = Account{Login: b.have.Login, Email: email, Exists: true, OrphansKnown: b.have.OrphansKnown, TokensKnown: true}
	b.hasKnown = access.Access{}
	return true
}

// target is the site access wanted in the end: what rules give, limited to what
// exists, held or kept as the decision and the way of managing say. It is
// meaningless while the person is to be superuser.
func (b *planner) target() access.Access {
	wanted := b.want.Access
	if wanted.Superuser && !b.promotes() {
		wanted = b.want.WithoutSuperuser
	}
	wanted.Superuser = false
	out := b.known(wanted)
	if b.want.HoldAdditions {
		out = b.lower(out, b.has())
	}
	floors := []access.Access{b.foreign}
	if len(b.want.Keep.Sites) > 0 {
		floors = append(floors, b.lower(b.known(b.want.Keep), b.had))
	}
	if b.addsOnly {
		floors = append(floors, b.had)
	}
	raised := false
	for _, floor := range floors {
		raise(out.Sites, floor.Sites)
		raised = raised || len(floor.Sites) > 0
	}
	if raised {
		return b.known(out) // a raised role may imply a capability that stood beside it
	}
	return out
}

// promotes reports whether the person is to be superuser and can be: Matomo
// asks for the bridge's password, and nothing is given while additions are
// held. Somebody who is superuser and stays it counts too.
func (b *planner) promotes() bool {
	switch {
	case b.have.Access.Superuser:
		return !b.demotes()
	case !b.want.Access.Superuser || b.want.HoldAdditions:
		return false
	default:
		return b.pol.HasPassword
	}
}

// demotes reports whether the account is superuser and may not stay it. With
// additive managing only a superuser we made is demoted, and one whose rule
// cannot be resolved now never is.
func (b *planner) demotes() bool {
	if !b.have.Access.Superuser || b.want.Access.Superuser || b.want.Keep.Superuser {
		return false
	}
	return b.pol.Manage != Additive || b.want.Granted.Superuser
}

// access plans demotion, grants and removals.
func (b *planner) access() {
	if b.have.Access.Superuser && !b.demotes() {
		if !b.want.Access.Superuser && !b.want.Keep.Superuser {
			b.block(SuperuserByUs, "superuser was not given by us and stays; it covers every site")
		}
		return
	}
	if b.demotes() {
		if b.addsOnly {
			return // site access cannot be set while superuser
		}
		if !b.pol.HasPassword {
			b.block(PasswordNeeded, "superuser can be withdrawn only with the password")
			return
		}
		b.plan.Loses = true
		b.step(Step{Kind: Demote, NeedsPassword: true, Reduces: true, Why: "no rule gives superuser"})
		b.have.Access, b.hasKnown = access.Access{}, access.Access{}
		target := b.target()
		b.report()
		b.grants(target)
		b.removals(target, without(b.pol.Sites, target))
		b.plan.LosesAll = target.Empty()
		return
	}
	if b.promotes() {
		return // the promotion wipes site access anyway
	}
	if b.want.Access.Superuser && !b.pol.HasPassword && !b.want.HoldAdditions {
		b.block(PasswordNeeded, "superuser can be given only with the password")
	}
	target := b.target()
	b.report()
	b.grants(target)
	b.removals(target, without(b.have.Access.SiteIDs(), target))
	b.plan.LosesAll = b.plan.Loses && target.Empty()
}

// group is what one setUserAccess call gives.
type group struct {
	access.SiteAccess
	reduces bool
}

// grants plans one step per role and capabilities for all sites whose access
// differs, highest role first.
func (b *planner) grants(target access.Access) {
	have := b.has()
	groups := map[string][]access.SiteID{}
	kinds := map[string]group{}
	for _, id := range target.SiteIDs() {
		w, h := target.Sites[id], have.Sites[id]
		if h.Equal(w) && (b.addsOnly || !slices.Contains(b.have.Doubled, id)) {
			continue
		}
		key := w.String()
		groups[key] = append(groups[key], id)
		kinds[key] = group{SiteAccess: w, reduces: kinds[key].reduces || b.reduces(h, w)}
	}
	keys := slices.SortedFunc(maps.Keys(groups), func(x, y string) int {
		return cmp.Or(kinds[y].Role.Rank()-kinds[x].Role.Rank(), strings.Compare(x, y))
	})
	for _, key := range keys {
		g := kinds[key]
		b.step(Step{
			Kind: SetAccess, Role: g.Role, Capabilities: g.Capabilities, Sites: groups[key], Reduces: g.reduces,
			Why: "wanted " + key + ", has " + b.hasText(groups[key]),
		})
	}
}

// removals plans the one step that takes whole sites away: those of lost that
// target does not have, and orphan rows.
func (b *planner) removals(target access.Access, lost []access.SiteID) {
	if b.addsOnly {
		return
	}
	for _, id := range without(b.have.Doubled, target) {
		if b.mayRemove(id) && !slices.Contains(lost, id) {
			lost = append(lost, id)
		}
	}
	orphans := slices.DeleteFunc(slices.Clone(b.have.Orphans), func(id access.SiteID) bool { return !b.mayRemove(id) })
	b.plan.Loses = b.plan.Loses || len(lost) > 0
	if target.Empty() && len(lost) > 0 && b.pol.Manage != Additive {
		b.removeAll("no rule gives any access", orphans)
		return
	}
	if lost = append(slices.Clone(lost), orphans...); len(lost) > 0 {
		slices.Sort(lost)
		b.step(Step{Kind: RemoveAccess, Sites: lost, Reduces: true, Why: "no rule gives access there"})
	}
}

// removeAll plans the removal of everything: Matomo reads "all" as the sites
// that exist, so orphan rows are named besides.
func (b *planner) removeAll(why string, orphans []access.SiteID) {
	b.step(Step{Kind: RemoveAccess, AllSites: true, Reduces: true, Why: why})
	if len(orphans) > 0 {
		b.step(Step{Kind: RemoveAccess, Sites: slices.Clone(orphans), Reduces: true, Why: why + "; Matomo holds rows for sites that do not exist"})
	}
}

// email plans the address, which Matomo changes only with the password. A
// difference in case alone is none.
func (b *planner) email() {
	if b.want.Email == "" || strings.EqualFold(b.want.Email, b.have.Email) {
		return
	}
	if block := ValidateEmail(b.want.Email); block != nil {
		b.plan.Blocks = append(b.plan.Blocks, *block)
		return
	}
	if !b.pol.HasPassword {
		b.block(PasswordNeeded, "the e-mail address can be changed only with the password")
		return
	}
	b.step(Step{Kind: SetEmail, Email: b.want.Email, NeedsPassword: true, Why: "the person's address changed"})
}

// promote plans superuser.
func (b *planner) promote() {
	if b.have.Access.Superuser || !b.promotes() {
		return
	}
	b.step(Step{Kind: Promote, NeedsPassword: true, Why: "a rule gives superuser"})
}

// roleChangeTokens ends the tokens of somebody whose access changed, where that
// destroys nothing else.
func (b *planner) roleChangeTokens() {
	changes := b.plan.Has(Demote) || b.plan.Has(SetAccess) || b.plan.Has(RemoveAccess) || b.plan.Has(Promote)
	wanted := b.pol.RevokeOnRoleChange || b.pol.RevokeOnDecrease && b.plan.Reduces()
	switch {
	case !changes, !wanted, b.addsOnly:
	case b.want.ComeBack, b.want.Adopted, b.plan.Has(AddUser), b.plan.Has(InviteUser):
	case b.want.Drift && !b.plan.Reduces():
	case b.have.TokensKnown && len(b.have.Tokens) == 0:
	case b.pol.Tokens == NoStrategy:
		b.plan.TokensStay = true // told, never passed over in silence
	default:
		s := b.tokenStep("access changed, so tokens made under the old one end", b.target())
		s.Reduces = b.plan.Reduces()
		b.step(s)
	}
}

// A request stands apart from what rules want: access stays as it is, and the person makes new tokens with
// the password they have. It comes last, so that a role change that ends all tokens anyway covers it.

// requestedTokens ends tokens because somebody asked for it, or because they are too old. One by one
// where the companion plugin can, else all of them: a token too many costs its owner a minute.
func (b *planner) requestedTokens() {
	switch {
	case !b.want.EndTokens && len(b.want.EndTokenIDs) == 0, b.addsOnly:
	case b.plan.Has(RevokeTokens), b.plan.Has(AddUser), b.plan.Has(InviteUser): // they end, or there is none
	case b.have.TokensKnown && len(b.have.Tokens) == 0:
	case b.pol.Tokens == NoStrategy:
		b.block(TokensLive, "tokens were asked to be ended, and nothing here can do that without harm")
	case b.want.EndTokens, b.pol.Tokens != Plugin:
		s := b.tokenStep("asked for, by hand or by tokens.max_age", b.target())
		s.Reduces = true
		b.step(s)
	default:
		for _, id := range b.want.EndTokenIDs {
			if b.have.TokensKnown && !slices.ContainsFunc(b.have.Tokens, func(t Token) bool { return t.ID == id }) {
				continue
			}
			b.step(Step{Kind: RevokeTokens, Strategy: Plugin, Token: id, Reduces: true, Why: "asked for, by hand or by tokens.max_age"})
		}
	}
}

// tokenStep plans the end of all tokens. now is the access at that moment:
// strategy Database needs a setUserAccess that changes nothing afterwards,
// because only that empties the cache with which Matomo's tracker would go on
// accepting them.
func (b *planner) tokenStep(why string, now access.Access) Step {
	s := Step{Kind: RevokeTokens, Strategy: b.pol.Tokens, Fallback: b.pol.TokenFallback, Why: why}
	database := s.Strategy == Database || slices.Contains(s.Fallback, Database)
	if !database || now.Superuser || b.plan.Has(Promote) || len(b.pol.Sites) == 0 {
		return s
	}
	s.Sites, s.Role = b.pol.Sites[:1:1], access.NoAccess
	if a, ok := b.known(now).Sites[s.Sites[0]]; ok {
		s.Role, s.Capabilities = a.Role, a.Capabilities
	}
	return s
}

// report notes what is wanted and cannot be given: unknown sites and
// capabilities, and what a deny holds.
func (b *planner) report() {
	wanted := b.want.Access
	if wanted.Superuser {
		wanted = b.want.WithoutSuperuser
	}
	have := b.has()
	for _, id := range wanted.SiteIDs() {
		if !contains(b.pol.Sites, id) {
			b.block(UnknownSite, "site "+strconv.Itoa(int(id))+" does not exist")
			continue
		}
		for _, c := range wanted.Sites[id].Capabilities {
			if !slices.ContainsFunc(b.pol.Capabilities, func(k Capability) bool { return k.ID == c }) {
				b.block(UnknownCap, "capability "+c+" does not exist")
			}
		}
		if b.want.HoldAdditions && b.reduces(wanted.Sites[id], have.Sites[id]) {
			b.block(AdditionsHeld, "a noaccess rule names a site that is unknown")
		}
	}
}

// step appends one step for the account at hand.
func (b *planner) step(s Step) {
	if s.Login == "" {
		s.Login = b.have.Login
	}
	b.plan.Steps = append(b.plan.Steps, s)
}

// block notes once what cannot be done.
func (b *planner) block(r Reason, detail string) {
	blk := Block{Reason: r, Detail: detail}
	if !slices.Contains(b.plan.Blocks, blk) {
		b.plan.Blocks = append(b.plan.Blocks, blk)
	}
}

// hasText says what the account has on the sites: one wording when it is the
// same everywhere.
func (b *planner) hasText(ids []access.SiteID) string {
	text := ""
	for _, id := range ids {
		s := "nothing"
		if h, ok := b.have.Access.Sites[id]; ok {
			s = h.String()
		}
		if text != "" && text != s {
			return "other access"
		}
		text = s
	}
	return text
}
