package matomo

// Phase is one part of a leaver's way out.
type Phase string

// The phases of a leaver.
const (
	PhaseRevoke Phase = "revoke" // no access, no superuser, tokens: as fast as it goes
	PhaseSeal   Phase = "seal"   // random password, tokens once more, sessions
	PhaseDelete Phase = "delete" // the account itself
)

// PlanLeaver plans one phase of a leaver.
func PlanLeaver(have Account, pol Policy, phase Phase) Plan { return Plan{Login: have.Login} }
