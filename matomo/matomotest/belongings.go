package matomotest

import (
	"crypto/md5" //nolint:gosec // Matomo names a segment by the md5 of its definition
	"encoding/hex"
	"slices"
	"strconv"
	"time"
)

// belongings is what people make in Matomo besides their account.
type belongings struct {
	preferences map[string]map[string]string // by folded login; survive the account
	annotations []annotation                 // survive the account
	segments    []*segment                   // go to a superuser
	reports     []*Report                    // go with the account
	lastReport  int
}

type dashboard struct {
	id   int
	name string
}

type segment struct {
	id               int
	name, definition string
	login            string
	site             int
	everybody        bool
	autoArchive      bool
	created          time.Time
}

type annotation struct {
	site, id          int
	date, note, login string
	starred           bool
}

// dropBelongingsLocked does what Matomo's plugins do when an account is
// deleted: segments, private ones too, go to the first superuser that is left;
// reports go; preferences and annotations stay for whoever gets the login next.
func (s *Server) dropBelongingsLocked(a *account) {
	s.dropReportsLocked(a.login, nil)
	heirs := s.superusersLocked()
	if len(heirs) == 0 {
		return
	}
	for _, seg := range s.segments {
		if fold(seg.login) == fold(a.login) {
			seg.login = heirs[0].login
		}
	}
}

func (c *call) setUserPreference() error {
	login := c.text("userLogin")
	if err := c.needSuperuserOrSelf(login); err != nil {
		return err
	}
	key := fold(login)
	if c.s.preferences[key] == nil {
		c.s.preferences[key] = map[string]string{}
	}
	c.s.preferences[key][c.text("preferenceName")] = c.text("preferenceValue")
	return c.success()
}

func (c *call) getUserPreference() error {
	login := c.text("userLogin")
	if login == "" {
		login = c.who.login
	}
	if err := c.needSuperuserOrSelf(login); err != nil {
		return err
	}
	value, ok := c.s.preferences[fold(login)][c.text("preferenceName")]
	if !ok {
		return c.value(false)
	}
	return c.value(value)
}

func (c *call) getDashboards() error {
	login := c.text("login")
	if login == "" {
		login = c.who.login
	}
	if err := all(c.needLogin, func() error { return c.needSuperuserOrSelf(login) }); err != nil {
		return err
	}
	list := []dashboard{{1, "Dashboard"}}
	if a := c.s.byKey[fold(login)]; a != nil && len(a.dashboards) > 0 {
		list = a.dashboards
	}
	return c.list(len(list), func(b []byte, i int) []byte {
		return appendObject(b, func(o *object) {
			o.set("name", list[i].name)
			o.set("id", list[i].id)
			o.key("widgets")
			o.b = c.appendWidgets(o.b)
		})
	})
}

// appendWidgets writes the default widgets; a superuser is shown one more.
func (c *call) appendWidgets(b []byte) []byte {
	widgets := [][2]string{
		{"Live", "widget"},
		{"CoreHome", "getPromoVideo"},
		{"VisitsSummary", "getEvolutionGraph"},
		{"ProfessionalServices", "promoServices"},
		{"Insights", "getOverallMoversAndShakers"},
		{"VisitsSummary", "get"},
		{"Tour", "getEngagement"},
		{"UserCountryMap", "visitorMap"},
		{"Referrers", "getReferrerType"},
		{"RssWidget", "rssPiwik"},
	}
	b = append(b, '[')
	for i, w := range widgets {
		if w[0] == "Tour" && !c.who.superuser() {
			continue
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = appendObject(b, func(o *object) {
			o.set("module", w[0])
			o.set("action", w[1])
		})
	}
	return append(b, ']')
}

func (c *call) createNewDashboardForUser() error {
	login := c.text("login")
	if err := all(c.needLogin, func() error { return c.needSuperuserOrSelf(login) }); err != nil {
		return err
	}
	a, err := c.findLocked(login)
	if err != nil {
		return err
	}
	d := dashboard{len(a.dashboards) + 1, c.text("dashboardName")}
	a.dashboards = append(a.dashboards, d)
	return c.value(d.id)
}

func (c *call) addSegment() error {
	if err := c.needLogin(); err != nil {
		return err
	}
	seg := &segment{
		id: len(c.s.segments) + 1, name: c.text("name"), definition: c.text("definition"), login: c.who.login,
		site: c.integer("idSite", 0), everybody: c.truth("enabledAllUsers"), autoArchive: c.truth("autoArchive"), created: c.now,
	}
	if err := c.needSite(rankView, seg.site); err != nil {
		return err
	}
	if seg.everybody && !c.who.superuser() {
		return refuse("enabledAllUsers=1 requires Super User access")
	}
	c.s.segments = append(c.s.segments, seg)
	return c.value(strconv.Itoa(seg.id))
}

func (c *call) getSegments() error {
	if err := c.needSomeView(); err != nil {
		return err
	}
	var list []*segment
	for _, seg := range c.s.segments {
		if seg.everybody || c.who.superuser() || fold(seg.login) == fold(c.who.login) {
			list = append(list, seg)
		}
	}
	return c.list(len(list), func(b []byte, i int) []byte {
		return appendObject(b, func(o *object) {
			seg := list[i]
			sum := md5.Sum([]byte(seg.definition)) //nolint:gosec // see the import
			o.set("idsegment", seg.id)
			o.set("name", seg.name)
			o.set("definition", seg.definition)
			o.set("hash", hex.EncodeToString(sum[:]))
			o.set("login", seg.login)
			o.set("enable_all_users", bit(seg.everybody))
			o.set("enable_only_idsite", seg.site)
			o.set("auto_archive", bit(seg.autoArchive))
			o.set("ts_created", seg.created.Format(dateTime))
			o.set("ts_last_edit", nil)
			o.set("deleted", 0)
		})
	})
}

func (c *call) addAnnotation() error {
	site := c.integer("idSite", 0)
	if err := all(c.needLogin, func() error { return c.needSite(rankView, site) }); err != nil {
		return err
	}
	an := annotation{site: site, date: c.text("date"), note: c.text("note"), login: c.who.login, starred: c.truth("starred")}
	for _, other := range c.s.annotations {
		if other.site == site {
			an.id++
		}
	}
	c.s.annotations = append(c.s.annotations, an)
	return c.object(func(o *object) { c.writeAnnotation(o, an) })
}

func (c *call) writeAnnotation(o *object, an annotation) {
	o.set("date", an.date)
	o.set("note", an.note)
	o.set("starred", bit(an.starred))
	o.set("user", an.login)
	o.set("idNote", an.id)
	o.set("canEditOrDelete", an.login == c.who.login || slices.Contains(c.sitesWith(rankAdmin), an.site))
}

func (c *call) getAnnotations() error {
	site := c.integer("idSite", 0)
	if err := c.needSite(rankView, site); err != nil {
		return err
	}
	return c.keyed(1, func(int) string { return strconv.Itoa(site) }, func(b []byte, _ int) []byte {
		b = append(b, '[')
		start := len(b)
		for _, an := range c.s.annotations {
			if an.site != site {
				continue
			}
			if len(b) > start {
				b = append(b, ',')
			}
			b = appendObject(b, func(o *object) { c.writeAnnotation(o, an) })
		}
		return append(b, ']')
	})
}

func (c *call) getLanguageForUser() error {
	if err := c.needSuperuserOrSelf(c.text("login")); err != nil {
		return err
	}
	if a := c.s.byKey[fold(c.text("login"))]; a != nil && a.language != "" {
		return c.value(a.language)
	}
	return c.value(false)
}

func (c *call) setLanguageForUser() error {
	if err := c.needSuperuserOrSelf(c.text("login")); err != nil {
		return err
	}
	if a := c.s.byKey[fold(c.text("login"))]; a != nil {
		a.language = c.text("languageCode")
	}
	return c.value(true)
}

func (c *call) addGoal() error {
	id := c.integer("idSite", 0)
	if err := c.needSite(rankWrite, id); err != nil {
		return err
	}
	site := c.s.sites[id]
	if site == nil {
		return unexpectedSite(c.text("idSite"))
	}
	site.goals++
	return c.value(site.goals)
}
