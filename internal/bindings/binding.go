// Package bindings keeps what the reconcile loop works on: one binding for each person on each
// Matomo instance, and what decides about them: targets, the active rules, holds, the removal
// ledger and saved evidence.
//
// A binding is its own place in the queue. An event (MarkDue) raises its generation and makes it
// due in the transaction of the event. The loop leases due bindings (Claim), brings Matomo in line,
// and writes which generation it saw (Observe). When an event came meanwhile the generation has
// moved on, Observe matches no row, and the binding stays due. Nothing else is remembered anywhere,
// so a crash, a lost wake-up or a second replica costs one more pass.
package bindings

import (
	"fmt"
	"time"

	"github.com/matomo-scim/bridge/internal/database"
)

// State says how far a binding has come.
type State string

// The states. Unless it says otherwise the reconcile loop sets them, with Observe or Record.
const (
	// Pending is set by MarkDue when it creates a binding: nothing was decided yet. Any other
	// state follows with the first pass.
	Pending State = "pending"
	// Converged is set after a read back showed the access that the rules want. The next event,
	// rule set, expiry or drift makes the binding due again.
	Converged State = "converged"
	// Observed is set instead of Converged on a target in observe mode: everything was computed,
	// nothing written. A change of the mode makes the binding due.
	Observed State = "observed"
	// Blocked is set when Matomo could not hold this person; Reason says why. It is retried when
	// the user changes.
	Blocked State = "blocked"
	// Held is set when a guard keeps the plan back until HoldUntil or a decision.
	Held State = "held"
	// Conflict is set when the login is somebody else's: of another person here, of an account that
	// is not managed here, or protected. It is retried when the person changes and by full compares.
	Conflict State = "conflict"
	// Failed is set when Matomo refused this person's plan; the binding backs off and is retried.
	Failed State = "failed"
	// Leaving is set by RecordFacts before a pass sends the first step of a leaver's way, and stays
	// while that fails. Revoked follows.
	Leaving State = "leaving"
	// Revoked is set after a read back showed no access and no live token. Done follows within
	// seconds.
	Revoked State = "revoked"
	// Done is set after the password phase was read back too. The account waits for DeleteAt, or
	// for the person to come back.
	Done State = "done"
	// Gone is set after a read back showed that the account does not exist any more, or when a
	// leaver never had one. Only a come-back follows.
	Gone State = "gone"
)

// States lists every state, for metrics that show each at zero.
func States() []State {
	return []State{Pending, Converged, Observed, Blocked, Held, Conflict, Failed, Leaving, Revoked, Done, Gone}
}

// Priority orders due bindings; smaller is sooner.
type Priority int

// The priorities.
const (
	PriorityLeaver Priority = iota // people who must lose access
	PriorityNormal                 // joiners and movers
	PriorityLow                    // new rules, new targets, drift: everyone at once
)

// Event is what happened to a person, as the propagation metric counts it.
type Event string

// The events. NoEvent (new rules, a new target) and Drift (Matomo was changed by somebody else)
// are not what a person's source said: they leave the propagation clock and the settling time alone.
const (
	NoEvent Event = ""
	Joiner  Event = "joiner"
	Mover   Event = "mover"
	Leaver  Event = "leaver"
	Drift   Event = "drift"
)

// ofPerson says whether a person's source caused the event.
func (e Event) ofPerson() bool { return e != NoEvent && e != Drift }

// Tokens says what is known of the person's Matomo API tokens.
type Tokens string

// What is known of tokens.
const (
	TokensUnknown Tokens = "unknown" // nobody looked yet
	TokensLive    Tokens = "live"    // they work, as far as the person's access goes
	TokensDead    Tokens = "dead"    // they were invalidated and this was read back
	TokensInert   Tokens = "inert"   // they authenticate but see nothing, because the access is gone
)

// Cause names who asked for what is about to be done: what is written into Matomo is traced to the
// request that led to it (I9). The zero Cause is the bridge itself: a compare, a clock, new rules.
type Cause struct {
	Actor     string `json:"actor,omitempty"`  // a credential, or a person at the command line
	Source    string `json:"source,omitempty"` // through which door
	RequestID string `json:"request_id,omitempty"`
}

// IsZero reports whether nobody asked.
func (c Cause) IsZero() bool { return c == Cause{} }

// Binding is one person on one target.
type Binding struct {
	ID      string
	Subject string
	Target  string
	Login   string // in Matomo; empty until Bind
	// LoginKey is Login folded as Matomo compares logins.
	LoginKey string

	Generation int64 // raised by each event
	Observed   int64 // the generation that the last finished pass saw
	State      State
	Reason     string // why, for states that have reasons: one of a closed set
	Detail     string // for people

	DueAt      *time.Time // nil: nothing to do
	Priority   Priority
	Attempts   int    // passes in a row that failed
	Lease      string // who works on it
	LeaseUntil *time.Time

	// Event is the kind of the changes that are not verified in Matomo yet, and AcceptedAt the time
	// of the first of them: where the propagation clock starts. Zero when all are verified.
	Event      Event
	AcceptedAt time.Time
	// ChangedAt is the last change; UnsettledSince the first since the last finished pass.
	ChangedAt      time.Time
	UnsettledSince *time.Time

	Grants      []byte // JSON: what we granted, and by which rule
	Superuser   bool   // granted by us
	Adopted     bool   // the account existed before us
	CreatedByUs bool
	Tokens      Tokens

	LeftAt     *time.Time // when the person left; set by MarkDue, cleared by a come-back
	RevokedAt  *time.Time // when Revoked was read back
	DeleteAt   *time.Time // when the account is to be deleted
	KeptAt     *time.Time // when an admin said that the leaver's account stays; set by KeepAccount
	ValidUntil *time.Time // when the decision ends by time alone
	HoldUntil  *time.Time

	// RevokeTokens are app tokens that were asked to be ended by themselves; cleared by the pass that
	// reads back that they are.
	RevokeTokens TokenRequest
	// Cause is who made the binding due last.
	Cause Cause

	// OrphanSource and OrphanExternalID say who the person was, when the user is gone.
	OrphanSource     string
	OrphanExternalID string
	CreatedAt        time.Time
}

// LoginTakenError is the answer of Bind when another binding of the target has the login.
type LoginTakenError struct {
	Target, Login string
	BindingID     string // whose it is
}

// Error names the login and its owner.
func (e *LoginTakenError) Error() string {
	return fmt.Sprintf("login %s on %s belongs to binding %s", e.Login, e.Target, e.BindingID)
}

// Store reads and writes bindings and what belongs to them.
type Store struct {
	db      *database.DB
	d       database.Dialect
	targets targetNames
	upserts map[int]string // by number of rows: as many as database.Chunk has sizes
	onDue   func()
}

// New returns the bindings of db.
func New(db *database.DB) *Store {
	s := &Store{db: db, d: db.Dialect(), upserts: make(map[int]string), onDue: func() {}}
	for _, n := range database.Chunks() {
		s.upserts[n] = upsert(n)
	}
	return s
}

// OnDue sets the one function that is called after a commit that made bindings due. It must not
// block. Set it before the first transaction.
func (s *Store) OnDue(f func()) { s.onDue = f }
