package methods

import (
	"crypto/md5" //nolint:gosec // Matomo names a segment by the md5 of its definition
	"encoding/hex"
	"slices"
	"strconv"

	"github.com/matomo-scim/bridge/matomo/matomotest/internal/api"
	"github.com/matomo-scim/bridge/matomo/matomotest/internal/model"
	"github.com/matomo-scim/bridge/matomo/matomotest/internal/php"
)

// What else people make in Matomo. Recordings 19, 26 and 41.
//
// Only as much as shows what becomes of it when the account goes: dashboards and
// the language go along, segments change hands, annotations and preferences stay.

// setUserPreference stores an option under the login, which need not exist: this
// is how LoginLdap is told that an account is its own (FACTS k).
func setUserPreference(c *api.Call) error {
	c.SetPreference(c.Text("userLogin"), c.Text("preferenceName"), c.Text("preferenceValue"))
	return c.Success()
}

// getUserPreference is the caller's own unless userLogin names somebody.
func getUserPreference(c *api.Call) error {
	login := c.Caller.Login()
	if c.Text("userLogin") != "" {
		login = c.Text("userLogin")
		if err := api.SuperuserOrSelf("userLogin")(c); err != nil {
			return err
		}
	}
	name := c.Text("preferenceName")
	if value, ok := c.Preference(login, name); ok {
		return c.Value(value)
	}
	return defaultPreference(c, login, name)
}

// defaultPreference is what Matomo answers for a preference that nobody set: the
// first site that the person sees, yesterday, or false.
func defaultPreference(c *api.Call, login, name string) error {
	switch name {
	case "defaultReport":
		a := c.Instance.Find(login)
		switch {
		case a == nil:
		case a.Superuser && len(c.SiteIDs()) > 0:
			return c.Value(c.SiteIDs()[0])
		default:
			if sites := c.SitesOf(a, model.View); len(sites) > 0 {
				return c.Value(sites[0])
			}
		}
	case "defaultReportDate":
		return c.Value("yesterday")
	}
	return c.Value(false)
}

// getDashboards answers the default dashboard for whoever has none, also for
// logins that do not exist, unless it is told not to.
func getDashboards(c *api.Call) error {
	login := c.Caller.Login()
	if c.Text("login") != "" {
		login = c.Text("login")
		if err := api.SuperuserOrSelf("login")(c); err != nil {
			return err
		}
	}
	var list []string
	if a := c.Instance.Find(login); a != nil {
		list = a.Dashboards
	}
	if _, told := c.Params["returnDefaultIfEmpty"]; len(list) == 0 && (!told || c.True("returnDefaultIfEmpty")) {
		list = []string{"Dashboard"}
	}
	return c.Objects(len(list), func(o *php.Object, i int) {
		o.Set("name", list[i], "id", i+1)
		o.Key("widgets")
		widgets := widgetsFor(c.Caller)
		o.B = php.AppendList(o.B, 0, len(widgets), func(b []byte, j int) []byte {
			return php.AppendObject(b, func(w *php.Object) { w.Set("module", widgets[j][0], "action", widgets[j][1]) })
		})
	})
}

// widgetsFor are the default widgets; a superuser is shown one more.
func widgetsFor(w api.Caller) [][2]string {
	widgets := [][2]string{
		{"Live", "widget"},
		{"CoreHome", "getPromoVideo"},
		{"VisitsSummary", "getEvolutionGraph"},
		{"ProfessionalServices", "promoServices"},
		{"Insights", "getOverallMoversAndShakers"},
		{"VisitsSummary", "get"},
	}
	if w.Superuser() {
		widgets = append(widgets, [2]string{"Tour", "getEngagement"})
	}
	return append(widgets, [][2]string{
		{"UserCountryMap", "visitorMap"},
		{"Referrers", "getReferrerType"},
		{"RssWidget", "rssPiwik"},
	}...)
}

// createNewDashboardForUser answers the number of the new dashboard, counted per
// person from 1.
func createNewDashboardForUser(c *api.Call) error {
	a, err := c.Find(c.Text("login"))
	if err != nil {
		return err
	}
	a.Dashboards = append(a.Dashboards, c.Text("dashboardName"))
	return c.Value(len(a.Dashboards))
}

// A superuser may change anybody's segment, share it or take it back; only the login of its owner has no
// parameter (SegmentEditor/API.php of 4.16.1 and 5.1.2).

// updateSegment replaces everything but the owner: no method of Matomo gives a
// segment to somebody else.
func updateSegment(c *api.Call) error {
	for _, seg := range c.Segments {
		if seg.ID != c.Int("idSegment", 0) {
			continue
		}
		if !c.Caller.Superuser() && !c.Caller.Is(seg.Login) {
			return api.Refuse("You can only edit and delete custom segments that you have created yourself.")
		}
		seg.Name, seg.Definition, seg.Site = c.Text("name"), c.Text("definition"), c.Int("idSite", 0)
		seg.Shared, seg.AutoArchive = c.True("enabledAllUsers"), c.True("autoArchive")
		return c.Value(true)
	}
	return api.Refuse("Requested segment not found")
}

// addSegment answers the ID as a string.
func addSegment(c *api.Call) error {
	seg := &model.Segment{
		ID: len(c.Segments) + 1, Name: c.Text("name"), Definition: c.Text("definition"), Login: c.Caller.Login(),
		Site: c.Int("idSite", 0), Shared: c.True("enabledAllUsers"), AutoArchive: c.True("autoArchive"), Created: c.Now,
	}
	if seg.Shared && !c.Caller.Superuser() {
		return api.Refuse("enabledAllUsers=1 requires Super User access")
	}
	c.Segments = append(c.Segments, seg)
	return c.Value(strconv.Itoa(seg.ID))
}

// getSegments shows the shared and the own ones, and all to a superuser.
func getSegments(c *api.Call) error {
	var list []*model.Segment
	for _, seg := range c.Segments {
		if seg.Shared || c.Caller.Superuser() || c.Caller.Is(seg.Login) {
			list = append(list, seg)
		}
	}
	return c.Objects(len(list), func(o *php.Object, i int) {
		seg := list[i]
		sum := md5.Sum([]byte(seg.Definition)) //nolint:gosec // see the import
		o.Set("idsegment", seg.ID, "name", seg.Name, "definition", seg.Definition, "hash", hex.EncodeToString(sum[:]),
			"login", seg.Login, "enable_all_users", bit(seg.Shared), "enable_only_idsite", seg.Site,
			"auto_archive", bit(seg.AutoArchive), "ts_created", seg.Created.Format(model.DateTime), "ts_last_edit", nil, "deleted", 0)
	})
}

// addAnnotation answers the note as it is stored. Notes count per site, from 0.
func addAnnotation(c *api.Call) error {
	an := model.Annotation{
		Site: c.Int("idSite", 0), Date: c.Text("date"), Note: c.Text("note"), Login: c.Caller.Login(), Starred: c.True("starred"),
	}
	for _, other := range c.Annotations {
		if other.Site == an.Site {
			an.ID++
		}
	}
	c.Annotations = append(c.Annotations, an)
	return c.Object(func(o *php.Object) { writeAnnotation(c, o, an) })
}

// writeAnnotation: a note belongs to whoever has the login of its author.
func writeAnnotation(c *api.Call, o *php.Object, an model.Annotation) {
	o.Set("date", an.Date, "note", an.Note, "starred", bit(an.Starred), "user", an.Login, "idNote", an.ID,
		"canEditOrDelete", c.Caller.Is(an.Login) || slices.Contains(c.SitesWith(model.Admin), an.Site))
}

// getAnnotations is a map by site in Matomo, and with filter_limit a list.
func getAnnotations(c *api.Call) error {
	site := c.Int("idSite", 0)
	list := slices.DeleteFunc(slices.Clone(c.Annotations), func(an model.Annotation) bool { return an.Site != site })
	return c.Keyed(1, func(int) string { return strconv.Itoa(site) }, func(b []byte, _ int) []byte {
		return php.AppendList(b, 0, len(list), func(b []byte, i int) []byte {
			return php.AppendObject(b, func(o *php.Object) { writeAnnotation(c, o, list[i]) })
		})
	})
}

// getLanguageForUser answers false for whoever has not chosen one.
func getLanguageForUser(c *api.Call) error {
	if a := c.Instance.Find(c.Text("login")); a != nil && a.Language != "" {
		return c.Value(a.Language)
	}
	return c.Value(false)
}

// setLanguageForUser answers true, not success, unlike other setters.
func setLanguageForUser(c *api.Call) error {
	if a := c.Instance.Find(c.Text("login")); a != nil {
		a.Language = c.Text("languageCode")
	}
	return c.Value(true)
}

// addGoal answers the number of the goal on its site, from 1. Goals outlive their
// author, so nobody owns one here.
func addGoal(c *api.Call) error {
	site := c.Site(c.Int("idSite", 0))
	if site == nil {
		return api.UnexpectedSite(c.Text("idSite"))
	}
	site.Goals++
	return c.Value(site.Goals)
}
