package snapshot

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/matomo-scim/bridge/matomo/access"
	"github.com/matomo-scim/bridge/matomo/internal/wire"
	"github.com/matomo-scim/bridge/matomo/plan"
)

// A read is one bulk request, so that sites, accounts and access are of one moment,
// and it is whole or an error: a list that is missing is not an empty list (I1).
// The head of each read also tells whether the token is still that of a superuser,
// which before Matomo 5 is the only way to tell a dead token from "no such access".

// perLoginMax is up to how many logins it is cheaper to ask for the sites of
// each than for the maps of the whole instance (14 ms each against 40 to 200 ms
// with 10,000 users).
const perLoginMax = 20

// EvidenceLevel says what of a person's own things is read along.
type EvidenceLevel int

// The levels of evidence.
const (
	EvidenceNone    EvidenceLevel = iota
	EvidenceReports               // scheduled reports: before a site is taken away
	EvidenceAll                   // and dashboards and segments: when somebody has left
	EvidenceAccount               // and preferences and language: before an account is deleted
)

// Read says what Accounts reads besides accounts, access, sites and
// capabilities.
type Read struct {
	Orphans  bool // rows for sites that do not exist: for leavers. Costs the access maps of the whole instance
	Tokens   bool // app tokens, where they can be seen
	Evidence EvidenceLevel
}

// Reader reads one instance. Set the fields before the first use; it is safe
// for concurrent use then.
type Reader struct {
	Conn            *wire.Conn
	InstanceTimeout time.Duration // of a read of everything; 5 min when 0

	// Tokens lists live tokens past the API; nil when there is no such way.
	Tokens func(ctx context.Context, login string) ([]plan.Token, error)

	mu    sync.Mutex // guards facts
	facts facts
}

// facts are what hardly ever changes about an instance. They come along with
// every read.
type facts struct {
	at        time.Time // zero: nothing known yet
	version   string
	caps      []plan.Capability
	canRevoke bool
}

// factsLast is how long facts are believed without having been read again.
const factsLast = time.Hour

// Instance reads every account and its access in one request (one more when
// nothing is known of the instance yet, or when a plugin changed the list of
// capabilities). Any part that fails fails the whole (I1).
func (rd *Reader) Instance(ctx context.Context) (*Snapshot, error) {
	timeout := rd.InstanceTimeout
	if timeout == 0 {
		timeout = 5 * time.Minute
	}
	return rd.readTwice(ctx, timeout, func(r *reading) {
		r.users(nil)
		r.maps()
		r.snap.Whole = true
	})
}

// Accounts reads a few accounts, in one request unless there are many. Logins
// that do not exist are in the snapshot as such. With no logins it reads sites
// and capabilities only.
func (rd *Reader) Accounts(ctx context.Context, logins []string, opt Read) (*Snapshot, error) {
	logins = unique(logins)
	snap, err := rd.readTwice(ctx, 0, func(r *reading) {
		if len(logins) == 0 {
			return
		}
		r.users(logins)
		r.superusers()
		if opt.Orphans || len(logins) > perLoginMax {
			r.maps()
		} else {
			r.perLogin(logins)
		}
		r.wantTokens(logins, opt.Tokens)
		r.wantEvidence(logins, opt.Evidence)
	})
	if err != nil {
		return nil, err
	}
	if opt.Tokens {
		rd.pastAPI(ctx, snap)
	}
	return snap, nil
}

// TokensOnly reads the app tokens of a few accounts and nothing of their
// access: the accounts of this snapshot show none. Where tokens cannot be seen,
// TokensKnown is unset.
func (rd *Reader) TokensOnly(ctx context.Context, logins []string) (*Snapshot, error) {
	logins = unique(logins)
	snap, err := rd.readTwice(ctx, 0, func(r *reading) {
		if len(logins) > 0 {
			r.users(logins)
			r.wantTokens(logins, true)
		}
	})
	if err != nil {
		return nil, err
	}
	rd.pastAPI(ctx, snap)
	return snap, nil
}

// pastAPI adds the tokens that only the database shows: all of them without the
// companion plugin, those it failed to show otherwise.
func (rd *Reader) pastAPI(ctx context.Context, snap *Snapshot) {
	if rd.Tokens == nil || snap.CanRevoke && snap.TokenTrouble == nil {
		return
	}
	if err := rd.databaseTokens(ctx, snap); err != nil {
		snap.trouble(plan.Database, err)
	}
}

// Fresh makes sure that version and capabilities are known and were read within
// the last hour.
func (rd *Reader) Fresh(ctx context.Context) error {
	if f := rd.known(); time.Since(f.at) < factsLast {
		return nil
	}
	_, err := rd.Accounts(ctx, nil, Read{})
	return err
}

// Facts returns what was last read of version and companion plugin.
func (rd *Reader) Facts() (version string, canRevoke bool) {
	f := rd.known()
	return f.version, f.canRevoke
}

// known returns the facts; their time is zero when there are none.
func (rd *Reader) known() facts {
	rd.mu.Lock()
	defer rd.mu.Unlock()
	return rd.facts
}

// learn stores fresh facts.
func (rd *Reader) learn(f facts) {
	f.at = time.Now()
	rd.Conn.SetVersion(f.version)
	rd.mu.Lock()
	defer rd.mu.Unlock()
	rd.facts = f
}

// unique drops logins that are the same to Matomo, keeping the first spelling,
// and empty ones.
func unique(logins []string) []string {
	seen := make(map[string]bool, len(logins))
	return slices.DeleteFunc(slices.Clone(logins), func(l string) bool {
		key := access.FoldLogin(l)
		dup := seen[key] || key == ""
		seen[key] = true
		return dup
	})
}

// readTwice runs one read; when the capabilities it was built on turn out to be
// old, it runs once more.
func (rd *Reader) readTwice(ctx context.Context, timeout time.Duration, ask func(*reading)) (*Snapshot, error) {
	f, err := rd.anyFacts(ctx)
	if err != nil {
		return nil, err
	}
	// The maps of access are asked for by the names of the capabilities known
	// before. The same read tells whether that was right.
	for range 2 {
		r := rd.newReading(f)
		ask(r)
		if err := r.run(ctx, timeout); err != nil {
			return nil, err
		}
		rd.learn(r.fresh)
		if slices.EqualFunc(f.caps, r.fresh.caps, func(a, b plan.Capability) bool { return a.ID == b.ID }) {
			return r.finish(), nil
		}
		f = r.fresh
	}
	return nil, &wire.Error{Kind: wire.Malformed, Method: wire.BulkMethod, Message: "the list of capabilities changes with every read"}
}

// anyFacts returns what is known of the instance, asking for it the first time.
func (rd *Reader) anyFacts(ctx context.Context) (facts, error) {
	if f := rd.known(); !f.at.IsZero() {
		return f, nil
	}
	r := rd.newReading(facts{})
	r.calls = r.calls[:factCalls]
	if err := r.run(ctx, 0); err != nil {
		return facts{}, err
	}
	rd.learn(r.fresh)
	return rd.known(), nil
}

// reading is one read under way: its calls, and the snapshot their answers
// fill.
type reading struct {
	reader   *Reader
	snap     *Snapshot
	calls    []wire.Call
	may      map[int]func(error) error // calls that may fail: what becomes of their error
	asked    []string
	evidence []string // whose evidence is read
	whole    bool     // all of it
	super    bool
	fresh    facts
}

// factCalls is the number of calls at the head of every read that tell about
// token and instance.
const factCalls = 4

// newReading starts a read with the calls at its head: is the token good, which
// version is it, which capabilities are there, is the companion plugin active,
// which sites exist. They cost a millisecond each and make every read tell what
// the plan needs to know about the instance.
func (rd *Reader) newReading(f facts) *reading {
	r := &reading{reader: rd, snap: newSnapshot(time.Now(), f.caps), may: make(map[int]func(error) error)}
	r.snap.extra = make(map[int32]extra)
	r.calls = append(r.calls, wire.Call{Method: "UsersManager.hasSuperUserAccess", Decode: wire.Value(&r.super), Check: r.checkSuper})
	r.add("API.getMatomoVersion", wire.Value(&r.fresh.version))
	r.add("UsersManager.getAvailableCapabilities", wire.Items(func(_ string, dec *json.Decoder) error {
		var a capabilityAnswer
		err := dec.Decode(&a)
		r.fresh.caps = append(r.fresh.caps, a.capability())
		return err
	}))
	r.add("API.isPluginActivated", wire.Value(&r.fresh.canRevoke), wire.P("pluginName", plan.Companion))
	r.add("SitesManager.getAllSites", wire.Items(func(_ string, dec *json.Decoder) error {
		var a siteAnswer
		err := dec.Decode(&a)
		r.snap.Sites = append(r.snap.Sites, a.site())
		return err
	}))
	return r
}

// add appends a call whose answer decode puts into the snapshot.
func (r *reading) add(method string, decode func(*json.Decoder) error, params ...wire.Param) {
	r.calls = append(r.calls, wire.Call{Method: method, Params: params, Decode: decode})
}

// users asks for accounts: those named, or all.
func (r *reading) users(logins []string) {
	var params []wire.Param
	if len(logins) > 0 {
		params = []wire.Param{wire.P("userLogins", strings.Join(logins, ","))}
	}
	r.add("UsersManager.getUsers", wire.Items(func(_ string, dec *json.Decoder) error {
		var u userAnswer
		if err := dec.Decode(&u); err != nil {
			return err
		}
		r.snap.addAccount(u.compact())
		return nil
	}), params...)
	r.asked = logins
}

// superusers asks for all superusers, whoever else is asked for: how many there
// are decides whether one may be demoted.
func (r *reading) superusers() {
	r.add("UsersManager.getUsersHavingSuperUserAccess", wire.Items(func(_ string, dec *json.Decoder) error {
		var u userAnswer
		if err := dec.Decode(&u); err != nil {
			return err
		}
		if u.compact().flags&(flagPending|flagExpired) == 0 {
			r.snap.superusers = append(r.snap.superusers, u.Login)
		}
		return nil
	}))
}

// maps asks who has which access where, for the whole instance; orphan rows
// show.
func (r *reading) maps() {
	r.snap.orphans = true
	for level, name := range r.snap.levels {
		var sites []wire.Number
		r.add("UsersManager.getUsersSitesFromAccess", wire.Items(func(login string, dec *json.Decoder) error {
			sites = sites[:0]
			if err := dec.Decode(&sites); err != nil {
				return err
			}
			for _, id := range sites {
				r.snap.addRow(login, access.SiteID(id), level)
			}
			return nil
		}), wire.P("access", name))
	}
}

// perLogin asks for the sites of each login; orphan rows do not show.
func (r *reading) perLogin(logins []string) {
	for _, login := range logins {
		r.may[len(r.calls)] = func(err error) error {
			if _, exists := r.snap.index[access.FoldLogin(login)]; wire.KindOf(err) == wire.UserMissing && !exists {
				return nil // getUsers does not know it either
			}
			return err
		}
		r.add("UsersManager.getSitesAccessFromUser", wire.Items(func(_ string, dec *json.Decoder) error {
			var a struct {
				Site   wire.Number `json:"site"`
				Access string      `json:"access"`
			}
			if err := dec.Decode(&a); err != nil {
				return err
			}
			level := slices.Index(r.snap.levels, a.Access)
			if level < 0 { // a capability of a plugin that was switched off: its rows stay
				level = len(r.snap.levels)
				r.snap.levels = append(r.snap.levels, a.Access)
			}
			r.snap.addRow(login, access.SiteID(a.Site), level)
			return nil
		}), wire.P("userLogin", login))
	}
}

// run sends the calls, as many requests as they need, and lets no failure pass.
func (r *reading) run(ctx context.Context, timeout time.Duration) error {
	for from := 0; from < len(r.calls); {
		to := min(from+wire.BulkMax, len(r.calls))
		errs, err := r.reader.Conn.Bulk(ctx, r.calls[from:to], true, timeout)
		if err != nil {
			return err
		}
		for i, err := range errs {
			if allow := r.may[from+i]; err != nil && allow != nil {
				err = allow(err)
			}
			if err != nil {
				return err
			}
		}
		from = to
	}
	return nil
}

// checkSuper refuses a token that is no superuser's: Matomo would answer several of the lists with
// less than everything, and no word about it. Before Matomo 5 a dead token gets that answer too.
func (r *reading) checkSuper() *wire.Error {
	if r.super {
		return nil
	}
	err := &wire.Error{Kind: wire.NoPermission, Method: "UsersManager.hasSuperUserAccess", Message: "the token is not that of a superuser"}
	if wire.Major(r.fresh.version) < 5 {
		err.Kind = wire.BadToken
	}
	return err
}

// finish completes the snapshot: logins asked for and not found are known to be
// missing.
func (r *reading) finish() *Snapshot {
	s := r.snap
	s.Version, s.Capabilities, s.CanRevoke = r.fresh.version, r.fresh.caps, r.fresh.canRevoke
	for _, l := range r.evidence {
		if ev := r.evidenceOf(l); ev != nil { // somebody who has nothing has empty evidence
			ev.Whole = r.whole
		}
	}
	for _, l := range r.asked {
		s.addAccount(compact{login: l})
	}
	s.finish()
	return s
}
