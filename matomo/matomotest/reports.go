package matomotest

import (
	"slices"
	"strings"
	"time"
)

// Report is a scheduled report: Matomo mails it to its owner, if EmailMe is
// set, and to AdditionalEmails.
type Report struct {
	ID               int // given by the server
	Site             int
	Login            string // the owner
	Description      string
	Period           string // day, week, month or never
	Hour             int
	Type, Format     string // "email", "html"
	Reports          []string
	EmailMe          bool
	DisplayFormat    string
	AdditionalEmails []string
	Created          time.Time
}

// dropReportsLocked deletes a person's reports of some sites, or all if sites
// is nil.
func (s *Server) dropReportsLocked(login string, sites []int) {
	s.reports = slices.DeleteFunc(s.reports, func(r *Report) bool {
		return fold(r.Login) == fold(login) && (sites == nil || slices.Contains(sites, r.Site))
	})
}

// fill sets a report from the parameters of a call.
func (r *Report) fill(c *call) {
	r.Site, r.Hour = c.integer("idSite", 0), c.integer("hour", 0)
	r.Description, r.Period = c.text("description"), c.text("period")
	r.Type, r.Format = c.text("reportType"), c.text("reportFormat")
	r.Reports = c.p["reports"].texts()
	r.EmailMe, r.DisplayFormat, r.AdditionalEmails = false, "", nil
	for _, p := range c.p["parameters"].array {
		switch {
		case p.key == "emailMe":
			r.EmailMe = p.value == "1" || p.value == "true"
		case p.key == "displayFormat":
			r.DisplayFormat = p.value
		case strings.HasPrefix(p.key, "additionalEmails"):
			r.AdditionalEmails = append(r.AdditionalEmails, p.value)
		}
	}
}

func (c *call) addReport() error {
	site := c.integer("idSite", 0)
	if err := all(c.needLogin, func() error { return c.needSite(rankView, site) }); err != nil {
		return err
	}
	c.s.lastReport++
	r := &Report{ID: c.s.lastReport, Login: c.who.login, Created: c.now}
	r.fill(c)
	c.s.reports = append(c.s.reports, r)
	return c.value(r.ID)
}

// ownReport finds the report that a call changes.
func (c *call) ownReport() (*Report, error) {
	if err := c.needLogin(); err != nil {
		return nil, err
	}
	for _, r := range c.s.reports {
		if r.ID == c.integer("idReport", 0) && (c.who.superuser() || fold(r.Login) == fold(c.who.login)) {
			return r, nil
		}
	}
	return nil, refuse("Requested report couldn't be found.")
}

func (c *call) updateReport() error {
	r, err := c.ownReport()
	if err != nil {
		return err
	}
	r.fill(c)
	return c.success()
}

func (c *call) deleteReport() error {
	r, err := c.ownReport()
	if err != nil {
		return err
	}
	c.s.reports = slices.DeleteFunc(c.s.reports, func(other *Report) bool { return other == r })
	return c.success()
}

// getReports shows a superuser everybody's reports unless told otherwise.
func (c *call) getReports() error {
	if err := c.needSomeView(); err != nil {
		return err
	}
	everybody := c.who.superuser() && !c.truth("ifSuperUserReturnOnlySuperUserReports")
	site, id := c.integer("idSite", 0), c.integer("idReport", 0)
	var list []*Report
	for _, r := range c.s.reports {
		if (everybody || fold(r.Login) == fold(c.who.login)) && (site == 0 || r.Site == site) && (id == 0 || r.ID == id) {
			list = append(list, r)
		}
	}
	if id != 0 && len(list) == 0 {
		return refuse("Requested report couldn't be found.")
	}
	return c.list(len(list), func(b []byte, i int) []byte {
		return appendObject(b, func(o *object) { writeReport(o, list[i]) })
	})
}

func writeReport(o *object, r *Report) {
	o.set("idreport", r.ID)
	o.set("idsite", r.Site)
	o.set("login", r.Login)
	o.set("description", r.Description)
	o.set("idsegment", nil)
	o.set("period", r.Period)
	o.set("hour", r.Hour)
	o.set("type", r.Type)
	o.set("format", r.Format)
	o.set("reports", r.Reports)
	o.key("parameters")
	o.b = appendObject(o.b, func(p *object) {
		p.set("emailMe", r.EmailMe)
		p.set("displayFormat", r.DisplayFormat)
		p.set("evolutionGraph", false)
		if len(r.AdditionalEmails) > 0 {
			p.set("additionalEmails", r.AdditionalEmails)
		}
	})
	o.set("ts_created", r.Created.Format(dateTime))
	o.set("ts_last_sent", nil)
	o.set("deleted", 0)
	o.set("evolution_graph_within_period", 0)
	o.set("evolution_graph_period_n", 30)
	o.set("period_param", r.Period)
}
