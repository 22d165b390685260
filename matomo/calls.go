package matomo

import (
	"encoding/json"

	"github.com/matomo-scim/bridge/matomo/access"
)

// newJob turns a step into the call that does it. Random passwords are made here, and are nowhere but in the request.
func newJob(s *StepResult) job {
	step := s.Step
	j := job{result: s, direct: step.Kind == RevokeTokens && step.Strategy == Database}
	j.call = stepCall(step)
	var raw json.RawMessage
	decode := rawAnswer(&raw)
	j.call.decode = func(dec *json.Decoder) error {
		err := decode(dec)
		if err == nil {
			s.Answer = shorten(raw)
		}
		return err
	}
	return j
}

// stepCall maps a step to its API call.
func stepCall(s Step) call {
	login := param{"userLogin", s.Login}
	switch s.Kind {
	case AddUser:
		return call{
			method: "UsersManager.addUser", heavy: true,
			params: []param{login, {"password", randomPassword()}, {"email", s.Email}},
		}
	case InviteUser:
		return call{
			method: "UsersManager.inviteUser", heavy: true,
			params: []param{login, {"email", s.Email}, {"initialIdSite", joinSites(s.Sites)}},
		}
	case SetLdapUser:
		return call{
			method: "UsersManager.setUserPreference",
			params: []param{login, {"preferenceName", "isLDAPUser"}, {"preferenceValue", "1"}},
		}
	case DeleteUser:
		return call{method: "UsersManager.deleteUser", params: []param{login}}
	case RevokeTokens:
		return tokenCall(s)
	case Demote:
		return superuserCall(s.Login, "0")
	case Promote:
		return superuserCall(s.Login, "1")
	case SetAccess, RemoveAccess:
		return accessCall(s)
	case SetEmail:
		return call{
			method: "UsersManager.updateUser", heavy: true, password: true,
			params: []param{login, {"email", s.Email}},
		}
	case RandomPassword:
		return call{
			method: "UsersManager.updateUser", heavy: true, password: true,
			params: []param{login, {"password", randomPassword()}},
		}
	case Logout:
		return call{method: pluginName + ".logoutUser", params: []param{login}}
	default:
		return call{method: "unknown step " + string(s.Kind)}
	}
}

// superuserCall gives or withdraws superuser. Only 0 and 1 are safe: Matomo reads the word false as true.
func superuserCall(login, value string) call {
	return call{
		method: "UsersManager.setSuperUserAccess", heavy: true, password: true,
		params: []param{{"userLogin", login}, {"hasSuperUserAccess", value}},
	}
}

// accessCall sets one access on many sites. Matomo wants role and capabilities together, as a list.
func accessCall(s Step) call {
	k := call{method: "UsersManager.setUserAccess", params: []param{{"userLogin", s.Login}}}
	role := s.Role
	if role == "" {
		role = access.NoAccess
	}
	if len(s.Capabilities) == 0 {
		k.params = append(k.params, param{"access", string(role)})
	} else {
		for _, a := range append([]string{string(role)}, s.Capabilities...) {
			k.params = append(k.params, param{"access[]", a})
		}
	}
	sites := joinSites(s.Sites)
	if s.AllSites {
		sites = "all"
	}
	k.params = append(k.params, param{"idSites", sites})
	return k
}

// tokenCall ends tokens through the API. For strategy Database it is the call that clears the tracker's cache afterwards.
func tokenCall(s Step) call {
	switch s.Strategy {
	case Plugin:
		return call{method: pluginName + ".revokeTokens", params: []param{{"userLogin", s.Login}}}
	case Regenerate:
		return call{method: "UsersManager.regenerateTokenAuth", params: []param{{"userLogin", s.Login}}}
	case Database:
		if len(s.Sites) == 0 && !s.AllSites {
			return call{method: "UsersManager.setUserAccess"}
		}
		return accessCall(s)
	default:
		return call{method: "unknown token strategy " + string(s.Strategy)}
	}
}
