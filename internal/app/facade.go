package app

import (
	"time"

	"github.com/matomo-scim/bridge/internal/audit"
	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/internal/journal"
	"github.com/matomo-scim/bridge/internal/leavers"
	"github.com/matomo-scim/bridge/internal/monitor"
	"github.com/matomo-scim/bridge/internal/reconcile"
	"github.com/matomo-scim/bridge/internal/reconcile/vitals"
	"github.com/matomo-scim/bridge/internal/review"
	"github.com/matomo-scim/bridge/internal/tokenage"
	"github.com/matomo-scim/bridge/mapping"
	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/matomotest"
)

// Commands import this package and config, nothing below. The names here are
// aliases and not types of their own: what a command prints is the value that the
// room returned, without a copy that could fall behind.

// What commands see of the rooms. Only this package imports everything, so
// the commands take these names from here.
type (
	// Explanation leads from a person to their access on one target.
	Explanation = reconcile.Explanation
	// Difference is one person whose account is not as it should be.
	Difference = reconcile.Difference
	// Decision is the access wanted for one person on one target.
	Decision = mapping.Decision
	// RuleRef is where a rule stands.
	RuleRef = mapping.RuleRef
	// RuleErrors is everything that is wrong with the rule files.
	RuleErrors = mapping.ErrorList
	// Plan is the ordered changes of one account.
	Plan = matomo.Plan
	// Block is something wanted that is not in the plan.
	Block = matomo.Block
	// Level is how bad a finding of a check is.
	Level = matomo.Level
	// State is how far a binding has come.
	State = bindings.State
	// AuditRow is one entry of the audit trail.
	AuditRow = audit.Row
	// AuditFilter chooses entries of the audit trail.
	AuditFilter = audit.Filter
	// HealthPage is what /health answers.
	HealthPage = monitor.Page
	// HealthComponent is one part of it.
	HealthComponent = monitor.Component
	// AuditFormat is how an export of the audit trail is written.
	AuditFormat = audit.Format
	// CheckpointReport is what a check against signed notes found.
	CheckpointReport = audit.CheckpointReport
	// Binding is one person on one target.
	Binding = bindings.Binding
	// Cause names who asked for something.
	Cause = bindings.Cause
	// Leaver is one person who left, on one target.
	Leaver = leavers.Leaver
	// Dossier is everything that is known of a login that left.
	Dossier = leavers.Dossier
	// RestoreOptions say what to give back to whom.
	RestoreOptions = leavers.RestoreOptions
	// Evidence is what Matomo deletes for good.
	Evidence = matomo.Evidence
	// Restored is what became of one thing that was to be given back.
	Restored = matomo.Restored
	// TokenHolder is one managed person and their app tokens.
	TokenHolder = tokenage.Holder
	// Token is one app token with its dates.
	Token = tokenage.Token
	// ReviewRow is one account of an access review.
	ReviewRow = review.Row
	// Credential is what is known of a secret.
	Credential = directory.Credential
	// CredentialSpec is a credential to be made.
	CredentialSpec = directory.CredentialSpec
	// Scopes is a set of what a credential may do.
	Scopes = directory.Scopes
	// JournalEntry is one request and its answer.
	JournalEntry = journal.Entry
	// JournalQuery chooses entries of the request journal.
	JournalQuery = journal.Query
	// Simulator is the stand-in Matomo.
	Simulator = matomotest.Server
	// SimulatorOptions configure it.
	SimulatorOptions = matomotest.Options
)

// The levels of findings.
const (
	LevelOK   = matomo.LevelOK
	LevelHint = matomo.LevelHint
	LevelWarn = matomo.LevelWarn
	LevelFail = matomo.LevelFail
)

// States of bindings that commands wait for, or explain.
const (
	Pending   = bindings.Pending
	Converged = bindings.Converged
	Done      = bindings.Done
	Gone      = bindings.Gone
)

// What is known of tokens that could not be seen.
const (
	TokensLive  = bindings.TokensLive
	TokensDead  = bindings.TokensDead
	TokensInert = bindings.TokensInert
)

// The formats of an export of the audit trail.
const (
	AuditJSONL = audit.JSONL
	AuditCSV   = audit.CSV
)

// States of the parts of the service that commands tell apart.
const (
	StateOK       = monitor.StateOK
	StateDegraded = monitor.StateDegraded
	StateDown     = monitor.StateDown
	StateStale    = monitor.StateStale
)

// The versions that the stand-in answers as.
const (
	Matomo5 = matomotest.Version5
	Matomo4 = matomotest.Version4
)

// NewSimulator returns a stand-in Matomo in memory.
func NewSimulator(opt SimulatorOptions) *Simulator { return matomotest.New(opt) }

// SlowDown makes every request to a stand-in take at least d.
func SlowDown(s *Simulator, d time.Duration) {
	s.Fault(matomotest.Fault{Kind: matomotest.Slow, Latency: d})
}

// Remedy says what to do about an error of a whole Matomo instance; it is empty for any other.
func Remedy(err error) string {
	if failure := vitals.TargetFailure(err); failure != nil {
		return vitals.Remedy(failure.Kind)
	}
	return ""
}
