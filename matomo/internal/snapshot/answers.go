package snapshot

import (
	"encoding/json"
	"html"
	"time"

	"github.com/matomo-scim/bridge/matomo/access"
	"github.com/matomo-scim/bridge/matomo/internal/wire"
	"github.com/matomo-scim/bridge/matomo/plan"
)

// userAnswer is one element of getUsers.
type userAnswer struct {
	Login      string          `json:"login"`
	Email      string          `json:"email"`
	Superuser  wire.Number     `json:"superuser_access"`
	Registered string          `json:"date_registered"`
	LastSeen   string          `json:"last_seen"`
	Invite     json.RawMessage `json:"invite_status"` // "active", "expired", or days left as a wire.Number
	Uses2FA    wire.Number     `json:"uses_2fa"`
}

// compact turns an answer into what is stored.
func (u *userAnswer) compact() compact {
	c := compact{login: u.Login, email: u.Email, registered: unixOf(u.Registered), lastSeen: unixOf(u.LastSeen), flags: flagExists}
	if u.Superuser != 0 {
		c.flags |= flagSuperuser
	}
	if u.Uses2FA != 0 {
		c.flags |= flag2FA
	}
	switch string(u.Invite) {
	case "", "null", `"active"`:
	case `"expired"`:
		c.flags |= flagExpired
	default:
		c.flags |= flagPending
	}
	return c
}

// unixOf reads Matomo's UTC date; 0 when there is none.
func unixOf(s string) int64 {
	t, err := time.Parse(time.DateTime, s)
	if err != nil {
		return 0
	}
	return t.Unix()
}

// siteAnswer is one element of getAllSites.
type siteAnswer struct {
	ID    wire.Number `json:"idsite"`
	Name  string      `json:"name"`
	Group string      `json:"group"`
}

// capabilityAnswer is one element of getAvailableCapabilities.
type capabilityAnswer struct {
	ID       string   `json:"id"`
	Included []string `json:"includedInRoles"`
}

// site turns an answer into a site. Matomo stores names with HTML entities;
// rules are written without.
func (a *siteAnswer) site() access.Site {
	return access.Site{ID: access.SiteID(a.ID), Name: html.UnescapeString(a.Name), Group: html.UnescapeString(a.Group)}
}

// capability turns an answer into a capability.
func (a *capabilityAnswer) capability() plan.Capability {
	c := plan.Capability{ID: a.ID}
	for _, r := range a.Included {
		c.IncludedInRoles = append(c.IncludedInRoles, access.Role(r))
	}
	return c
}
