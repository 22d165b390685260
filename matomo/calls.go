package matomo

import (
	"encoding/json"
	"strconv"

	"github.com/matomo-scim/bridge/matomo/access"
	"github.com/matomo-scim/bridge/matomo/internal/wire"
	"github.com/matomo-scim/bridge/matomo/plan"
)

// newJob turns a step into the call that does it. Random passwords are made
// here, and are nowhere but in the request.
func newJob(s *StepResult) job {
	step := s.Step
	j := job{result: s, direct: step.Kind == RevokeTokens && step.Strategy == Database}
	j.call = stepCall(step)
	if step.Strategy == Regenerate {
		return j // nothing of an answer about a new token is kept
	}
	var raw json.RawMessage
	decode := wire.Raw(&raw)
	j.call.Decode = func(dec *json.Decoder) error {
		err := decode(dec)
		if err == nil {
			s.Answer = shorten(raw)
		}
		return err
	}
	return j
}

// stepCall maps a step to its API call. What makes a call heavy or in need of
// the password was measured: every password hash takes Matomo 0.1 s, and
// setSuperUserAccess and updateUser ask for the caller's password while
// addUser, inviteUser, deleteUser and setUserAccess do not, on 4.16.1 and 5.1.2
// alike.
func stepCall(s Step) wire.Call {
	login := wire.P("userLogin", s.Login)
	switch s.Kind {
	case AddUser:
		return wire.Call{
			Method: "UsersManager.addUser", Heavy: true,
			Params: []wire.Param{login, wire.P("password", randomPassword()), wire.P("email", s.Email)},
		}
	case InviteUser:
		return wire.Call{
			Method: "UsersManager.inviteUser", Heavy: true,
			Params: []wire.Param{login, wire.P("email", s.Email), wire.P("initialIdSite", plan.JoinSites(s.Sites))},
		}
	case SetLdapUser:
		return wire.Call{
			Method: "UsersManager.setUserPreference",
			Params: []wire.Param{login, wire.P("preferenceName", "isLDAPUser"), wire.P("preferenceValue", "1")},
		}
	case DeleteUser:
		return wire.Call{Method: "UsersManager.deleteUser", Params: []wire.Param{login}}
	case RevokeTokens:
		return tokenCall(s)
	case Demote:
		return superuserCall(s.Login, "0")
	case Promote:
		return superuserCall(s.Login, "1")
	case SetAccess, RemoveAccess:
		return accessCall(s)
	case SetEmail:
		return wire.Call{
			Method: "UsersManager.updateUser", Heavy: true, Password: true,
			Params: []wire.Param{login, wire.P("email", s.Email)},
		}
	case RandomPassword:
		return wire.Call{
			Method: "UsersManager.updateUser", Heavy: true, Password: true,
			Params: []wire.Param{login, wire.P("password", randomPassword())},
		}
	case Logout:
		return wire.Call{Method: plan.Companion + ".logoutUser", Params: []wire.Param{login}}
	default:
		return wire.Call{Method: "unknown step " + string(s.Kind)}
	}
}

// superuserCall gives or withdraws superuser. Only 0 and 1 are safe: Matomo
// reads the word false as true.
func superuserCall(login, value string) wire.Call {
	return wire.Call{
		Method: "UsersManager.setSuperUserAccess", Heavy: true, Password: true,
		Params: []wire.Param{wire.P("userLogin", login), wire.P("hasSuperUserAccess", value)},
	}
}

// accessCall sets one access on many sites, or takes it away. Matomo replaces
// all rows of the sites named, so role and capabilities must go together. They
// are a list then; its index is left out, because bulk requests before Matomo 5
// understand no other form of it.
func accessCall(s Step) wire.Call {
	k := wire.Call{Method: "UsersManager.setUserAccess", Params: []wire.Param{wire.P("userLogin", s.Login)}}
	role := s.Role
	if role == "" {
		role = access.NoAccess
	}
	if len(s.Capabilities) == 0 {
		k.Params = append(k.Params, wire.P("access", string(role)))
	} else {
		for _, a := range append([]string{string(role)}, s.Capabilities...) {
			k.Params = append(k.Params, wire.P("access[]", a))
		}
	}
	sites := plan.JoinSites(s.Sites)
	if s.AllSites {
		sites = "all"
	}
	k.Params = append(k.Params, wire.P("idSites", sites))
	return k
}

// tokenCall ends tokens through the API. For strategy Database it is the call
// that clears the tracker's cache afterwards.
func tokenCall(s Step) wire.Call {
	switch s.Strategy {
	case Plugin:
		k := wire.Call{Method: plan.Companion + ".revokeTokens", Params: []wire.Param{wire.P("userLogin", s.Login)}}
		if s.Token != 0 {
			k.Params = append(k.Params, wire.P("idTokenAuth", strconv.Itoa(s.Token)))
		}
		return k
	case Regenerate:
		return wire.Call{Method: "UsersManager.regenerateTokenAuth", Params: []wire.Param{wire.P("userLogin", s.Login)}}
	case Database:
		if len(s.Sites) == 0 && !s.AllSites {
			return wire.Call{Method: "UsersManager.setUserAccess"}
		}
		return accessCall(s)
	default:
		return wire.Call{Method: "unknown token strategy " + string(s.Strategy)}
	}
}
