package matomotest

// The plugins that come with the bridge or with the recordings.
const (
	companion          = "ScimBridge"
	tokenRevokerPlugin = "TokenRevoker" //nolint:gosec // the name of a plugin
)

// companionVersion is what the companion plugin reports.
const companionVersion = "1.0.0"

func (c *call) matomoVersion() error {
	if err := c.needSomeView(); err != nil {
		return err
	}
	return c.value(c.s.opt.Version)
}

func (c *call) phpVersion() error {
	if err := c.needSuperuser(); err != nil {
		return err
	}
	return c.object(func(o *object) {
		o.set("version", "8.2.36")
		o.set("major", 8)
		o.set("minor", 2)
		o.set("release", 36)
		o.set("versionId", 80236)
		o.set("extra", "")
	})
}

func (c *call) isPluginActivated() error {
	if err := c.needSomeView(); err != nil {
		return err
	}
	return c.value(c.s.modules[c.text("pluginName")])
}

// pluginUser checks the rights and finds the person of a plugin's call.
func (c *call) pluginUser() (*account, error) {
	login := c.text("userLogin")
	if err := all(c.needSuperuser, func() error { return notAnonymous(login) }); err != nil {
		return nil, err
	}
	return c.findLocked(login)
}

func (c *call) pluginVersion() error {
	if err := c.needSuperuser(); err != nil {
		return err
	}
	return c.value(companionVersion)
}

func (c *call) pluginTokens() error {
	a, err := c.pluginUser()
	if err != nil {
		return err
	}
	return c.list(len(a.tokens), func(b []byte, i int) []byte {
		return appendObject(b, func(o *object) {
			t := a.tokens[i]
			o.set("id", t.id)
			o.set("description", t.description)
			o.set("date_created", t.created.Format(dateTime))
			o.set("last_used", timeOrNull(t.lastUsed))
			o.set("date_expired", timeOrNull(t.expires))
		})
	})
}

// pluginRevokeTokens deletes tokens at once, also for tracking.
func (c *call) pluginRevokeTokens() error {
	a, err := c.pluginUser()
	if err != nil {
		return err
	}
	deleted := c.s.deleteTokensLocked(a, c.integer("idTokenAuth", 0))
	c.s.tracker.clear()
	return c.object(func(o *object) { o.set("deleted", deleted) })
}

func (c *call) pluginCountTokens() error {
	a, err := c.pluginUser()
	if err != nil {
		return err
	}
	return c.object(func(o *object) { o.set("tokens", len(a.tokens)) })
}

// pluginLogoutUser ends the browser sessions of a person.
func (c *call) pluginLogoutUser() error {
	a, err := c.pluginUser()
	if err != nil {
		return err
	}
	a.loggedOut = c.s.sessions
	return c.success()
}
