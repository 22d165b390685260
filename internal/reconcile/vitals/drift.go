package vitals

import "github.com/matomo-scim/bridge/matomo"

// DriftOf names what a plan would mend, once for each step that gives or takes
// access: what scim_bridge_drift counts. Steps that follow from others (tokens,
// passwords, sessions) and an e-mail address are no drift of access.
func DriftOf(p matomo.Plan) []string {
	var kinds []string
	for _, s := range p.Steps {
		switch s.Kind {
		case matomo.SetAccess:
			if s.Reduces {
				kinds = append(kinds, "wrong_role") // has more, or other, than wanted
			} else {
				kinds = append(kinds, "missing_grant")
			}
		case matomo.AddUser, matomo.InviteUser, matomo.Promote:
			kinds = append(kinds, "missing_grant")
		case matomo.RemoveAccess, matomo.Demote:
			kinds = append(kinds, "extra_grant")
		default:
		}
	}
	return kinds
}
