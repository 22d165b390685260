package methods

import (
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/matomo-scim/bridge/matomo/matomotest/internal/api"
	"github.com/matomo-scim/bridge/matomo/matomotest/internal/model"
	"github.com/matomo-scim/bridge/matomo/matomotest/internal/php"
)

// App tokens, and the small methods about the instance. Recordings 01, 10, 13,
// 20 to 24, 42 and 81.
//
// The companion plugin's API is that of the plugin itself: getVersion,
// getTokens, revokeTokens and logoutUser, for superusers alone.

// createAppSpecificTokenAuth needs no token, only the person's password and
// nothing else: a person without any access can still mint one.
func createAppSpecificTokenAuth(c *api.Call) error {
	// The login may be an e-mail, and case does not matter.
	login := c.Text("userLogin")
	a := c.Instance.Find(login)
	if a == nil {
		a = c.FindEmail(login)
	}
	if a == nil || !a.Knows(c.Text("passwordConfirmation")) {
		return c.WrongPassword()
	}
	if a.TwoFactor {
		return api.NeedSecondFactor()
	}
	description := c.Text("description")
	if n := utf8.RuneCountInString(description); n > 100 {
		return api.Refuse(`Description: The value contains "` + strconv.Itoa(n) + `" characters but should contain at most 100 characters.`)
	}
	t := &model.Token{Secret: model.NewSecret(), Description: description, Created: c.Now, SecureOnly: c.V5 && c.True("secureOnly")}
	if hours := c.Int("expireHours", 0); hours > 0 {
		t.Expires = c.Now.Add(time.Duration(hours) * time.Hour)
	}
	if at, err := time.Parse(time.DateOnly, c.Text("expireDate")); err == nil {
		t.Expires = at
	}
	c.AddToken(a, t)
	return c.Value(t.Secret)
}

// listTokens is the companion plugin's getTokens: those that work.
func listTokens(c *api.Call) error {
	a, err := c.Find(c.Text("userLogin"))
	if err != nil {
		return err
	}
	var alive []*model.Token
	for _, t := range a.Tokens {
		if t.Alive() {
			alive = append(alive, t)
		}
	}
	return c.Objects(len(alive), func(o *php.Object, i int) {
		t := alive[i]
		o.Set("id", t.ID, "description", t.Description, "date_created", t.Created.Format(model.DateTime),
			"last_used", timeOrNull(t.LastUsed), "date_expired", timeOrNull(t.Expires))
	})
}

// revokeTokens deletes a person's tokens, or the one of parameter idTokenAuth,
// at once: for tracking, too. A parameter that is empty counts as left out, one
// that is no id is refused.
func revokeTokens(c *api.Call) error {
	a, err := c.Find(c.Text("userLogin"))
	if err != nil {
		return err
	}
	id := 0
	if text := c.Text("idTokenAuth"); text != "" {
		if id, err = strconv.Atoi(text); err != nil || id <= 0 || strconv.Itoa(id) != text {
			return api.Refuse("idTokenAuth must be the id of a token, as getTokens lists it. Leave it out to end all tokens.")
		}
	}
	deleted := c.DeleteTokens(a, id)
	c.ClearTracker()
	return c.Object(func(o *php.Object) { o.Set("deleted", deleted) })
}

// regenerateToken is Matomo 3's: the one token of a person is replaced, for
// tracking too, and nobody is told the new one.
func regenerateToken(c *api.Call) error {
	a, err := c.Find(c.Text("userLogin"))
	if err != nil {
		return err
	}
	c.DeleteTokens(a, 0)
	c.AddToken(a, &model.Token{Secret: model.NewSecret(), Created: c.Now})
	c.ClearTracker()
	return c.Success()
}

// countTokens is the experiment's own method (recording 81).
func countTokens(c *api.Call) error {
	a, err := c.Find(c.Text("userLogin"))
	if err != nil {
		return err
	}
	return c.Object(func(o *php.Object) { o.Set("tokens", len(a.Tokens)) })
}

// logoutUser ends the browser sessions of a person.
func logoutUser(c *api.Call) error {
	a, err := c.Find(c.Text("userLogin"))
	if err != nil {
		return err
	}
	c.LogOut(a)
	return c.Success()
}

// companionVersion lets a client see that the plugin is there and new enough.
func companionVersion(c *api.Call) error { return c.Value("1.0.0") }

// matomoVersion is the first call of every client, and needs some access: a good
// token without any is refused like a bad one.
func matomoVersion(c *api.Call) error { return c.Value(c.Version) }

// phpVersion answers the PHP under the recordings.
func phpVersion(c *api.Call) error {
	return c.Object(func(o *php.Object) {
		o.Set("version", "8.2.36", "major", 8, "minor", 2, "release", 36, "versionId", 80236, "extra", "")
	})
}

// isPluginActivated answers false for plugins that nobody has heard of.
func isPluginActivated(c *api.Call) error { return c.Value(c.Plugins[c.Text("pluginName")]) }
