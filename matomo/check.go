package matomo

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/matomo-scim/bridge/matomo/internal/wire"
)

// Level says how bad a finding is.
type Level string

// The levels.
const (
	LevelOK   Level = "ok"
	LevelHint Level = "hint" // worth knowing
	LevelWarn Level = "warn" // works, but not as it should
	LevelFail Level = "fail" // the bridge cannot do its work
)

// Finding is one line of the check list.
type Finding struct {
	Name   string // what was looked at: connection, login, password, version, tokens, anonymous, mail, plugins
	Level  Level
	Text   string
	Advice string // what to do; empty when nothing needs doing
}

// loginPlugins can rewrite access at every sign-in, against what the bridge
// sets.
var loginPlugins = []string{"LoginLdap", "LoginSaml", "LoginOIDC", "RebelOIDC"} //nolint:gochecknoglobals // a list that nothing writes

// Check looks at everything the bridge needs from this instance and changes
// nothing. A wrong token or password costs one failed login with Matomo, no
// more. pol carries the settings whose consequences are told: Tokens (as
// configured), LeaverTokens, RandomisePassword.
func (c *Client) Check(ctx context.Context, pol Policy) []Finding {
	snap, err := c.ReadAccounts(ctx, []string{c.opt.Login, "anonymous"}, Read{})
	if err != nil {
		return []Finding{failure("connection", err)}
	}
	out := []Finding{
		{Name: "connection", Level: LevelOK, Text: "the token is that of a superuser"},
		c.checkLogin(snap),
	}
	out = append(out, c.checkPassword(ctx, pol)...)
	out = append(out, checkVersion(snap.Version))
	out = append(out, c.checkTokens(ctx, pol)...)
	out = append(out, checkAnonymous(snap))
	return append(out, c.checkPlugins(ctx)...)
}

// failure turns an error into a finding.
func failure(name string, err error) Finding {
	return Finding{Name: name, Level: LevelFail, Text: err.Error(), Advice: wire.Advice(KindOf(err))}
}

// checkLogin makes sure that the configured login is the protected, active
// superuser the bridge takes it for.
func (c *Client) checkLogin(snap *Snapshot) Finding {
	a, _ := snap.Account(c.opt.Login)
	switch {
	case !a.Exists:
		return Finding{"login", LevelFail, "there is no login " + c.opt.Login, "set login to the superuser whose token this is"}
	case !a.Access.Superuser:
		return Finding{"login", LevelFail, c.opt.Login + " is no superuser", "set login to the superuser whose token this is, or give it superuser access"}
	case a.Invite != NotInvited:
		return Finding{"login", LevelFail, c.opt.Login + " has not accepted its invitation", "accept it, or use another login"}
	default:
		return Finding{Name: "login", Level: LevelOK, Text: a.Login + " is an active superuser, and protected"}
	}
}

// checkPassword proves the password without a change, and tells what goes
// without one.
func (c *Client) checkPassword(ctx context.Context, pol Policy) []Finding {
	if !c.conn.PasswordConfigured() {
		return []Finding{{
			"password", LevelWarn, "none is configured: superuser, e-mail and password changes wait as needs_password",
			wire.Advice(NeedsPassword),
		}}
	}
	if err := c.ProvePassword(ctx); err != nil {
		return []Finding{failure("password", err)}
	}
	out := []Finding{{Name: "password", Level: LevelOK, Text: "it is that of the token's owner (proven without a change)"}}
	if pol.RandomisePassword {
		out = append(out, Finding{
			"mail", LevelHint, "Matomo mails a person whose password the bridge changes when they leave",
			"set enable_update_users_email=0 in Matomo's config.ini.php, or leavers.randomise_password: false (then only the companion plugin ends sessions)",
		})
	}
	return out
}

// checkVersion tells whether this Matomo is one whose behaviour was measured.
func checkVersion(version string) Finding {
	switch m := wire.Major(version); {
	case m >= 4:
		return Finding{Name: "version", Level: LevelOK, Text: "Matomo " + version}
	case m == 3:
		return Finding{"version", LevelWarn, "Matomo " + version + " was read, not measured, by the makers of the bridge", "update Matomo"}
	default:
		return Finding{"version", LevelWarn, "Matomo reports the version " + version, "make sure that url is that of a Matomo"}
	}
}

// checkAnonymous looks at what everybody may see: leavers keep that.
func checkAnonymous(snap *Snapshot) Finding {
	a, _ := snap.Account("anonymous")
	if a.Access.Empty() {
		return Finding{Name: "anonymous", Level: LevelOK, Text: "people who are not signed in see nothing"}
	}
	return Finding{
		"anonymous", LevelWarn, "people who are not signed in have access (" + a.Access.String() + "), so every leaver keeps that",
		"take it from the anonymous user, unless these reports are public on purpose",
	}
}

// checkPlugins names sign-in plugins that may rewrite what the bridge sets.
func (c *Client) checkPlugins(ctx context.Context) []Finding {
	calls := make([]wire.Call, len(loginPlugins))
	active := make([]bool, len(loginPlugins))
	for i, name := range loginPlugins {
		calls[i] = wire.Call{Method: "API.isPluginActivated", Params: []wire.Param{wire.P("pluginName", name)}, Decode: wire.Value(&active[i])}
	}
	errs, err := c.conn.Bulk(ctx, calls, true, 0)
	if err = errors.Join(append(errs, err)...); err != nil {
		return []Finding{failure("plugins", err)}
	}
	var found []string
	for i, on := range active {
		if on {
			found = append(found, loginPlugins[i])
		}
	}
	if len(found) == 0 {
		return []Finding{{Name: "plugins", Level: LevelOK, Text: "no sign-in plugin that could rewrite access"}}
	}
	return []Finding{{
		"plugins", LevelHint, fmt.Sprintf("%s is active: its access synchronisation would rewrite access at every sign-in", strings.Join(found, ", ")),
		"switch that synchronisation off in the plugin's settings; signing in through it is fine",
	}}
}
