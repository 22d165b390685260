package course

import (
	"strings"

	"github.com/matomo-scim/bridge/matomo"
)

// What goes for good is saved before it goes. Whether a failure to read it holds anything up depends
// on what is at stake: somebody who left must not see anything a moment longer because a plugin of
// Matomo is broken; an account whose time is over can wait for as long as it takes; and whoever only
// loses a site waits for a few tries, because their access is wrong in the meantime.

// ReasonEvidence is that of a case that waits: what would be deleted for good could not be read.
const ReasonEvidence = "evidence_missing"

// evidenceTries is how often somebody who loses a site waits for evidence.
const evidenceTries = 3

// LacksEvidence reports whether the plan deletes for good what was not read yet, or not in full.
func (c *Case) LacksEvidence() bool {
	if !c.Deletes() || !c.Account.Exists {
		return false
	}
	return c.Account.Evidence == nil || c.Plan.Has(matomo.DeleteUser) && !c.Account.Evidence.Whole
}

// A case that waits backs off like one that failed, with a reason of its own, so that it shows where an admin
// looks: in explain, in leaver list, and in the metric of reasons.

// AwaitEvidence concludes a case that has to wait until Matomo shows what the plan would delete.
func (r *Round) AwaitEvidence(c *Case) {
	if c.Concluded || !c.Deletes() || c.Account.Evidence == nil || len(c.Account.Evidence.Missing) == 0 {
		return
	}
	detail := "not read: " + strings.Join(c.Account.Evidence.Missing, "; ")
	switch {
	case c.Work == WorkDelete:
		c.retryLeaver(ReasonEvidence, detail)
	case c.Work == WorkPerson && (c.Plan.Has(matomo.DeleteUser) || c.Binding.Attempts < evidenceTries):
		c.Retry(ReasonEvidence, detail)
	}
}
