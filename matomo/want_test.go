package matomo_test

import (
	"strings"

	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/access"
)

// caps are the capabilities of an instance with the Tag Manager, as recorded.
var caps = []matomo.Capability{
	{ID: "tagmanager_write", IncludedInRoles: []access.Role{access.Write, access.Admin}},
	{ID: "tagmanager_publish_live_container", IncludedInRoles: []access.Role{access.Admin}},
}

// policy is the usual one: exclusive, plugin and password there, sites 1 to 5.
func policy(change ...func(*matomo.Policy)) matomo.Policy {
	p := matomo.Policy{
		Manage: matomo.Exclusive, SignIn: matomo.SignInSSO, Tokens: matomo.Plugin, HasPassword: true, RandomisePassword: true,
		CanLogout: true, Protected: []string{"bridge", "admin"}, Sites: []access.SiteID{1, 2, 3, 4, 5}, Capabilities: caps,
	}
	for _, c := range change {
		c(&p)
	}
	return p
}

func roleChange(p *matomo.Policy) { p.RevokeOnRoleChange = true }

// sites reads "1:view 2:write+tagmanager_write"; "superuser" may be one of the words.
func sites(s string) access.Access {
	a := access.Access{Sites: map[access.SiteID]access.SiteAccess{}}
	for word := range strings.FieldsSeq(s) {
		if word == "superuser" {
			a.Superuser = true
			continue
		}
		id, rest, _ := strings.Cut(word, ":")
		names := strings.Split(rest, "+")
		n := 0
		for _, c := range id {
			n = n*10 + int(c-'0')
		}
		a.Sites[access.SiteID(n)] = access.SiteAccess{Role: access.Role(names[0]), Capabilities: access.Capabilities(names[1:]...)}
	}
	return a
}

// want is what alice should have.
func want(s string, change ...func(*matomo.Want)) matomo.Want {
	w := matomo.Want{Login: "alice", Email: "alice@example.test", Create: true, Access: sites(s), WithoutSuperuser: sites(s)}
	w.WithoutSuperuser.Superuser = false
	for _, c := range change {
		c(&w)
	}
	return w
}

func comeBack(w *matomo.Want) { w.ComeBack = true }

func mail(s string) func(*matomo.Want) { return func(w *matomo.Want) { w.Email = s } }
