package methods

import (
	"slices"
	"strings"

	"github.com/matomo-scim/bridge/matomo/matomotest/internal/api"
	"github.com/matomo-scim/bridge/matomo/matomotest/internal/model"
	"github.com/matomo-scim/bridge/matomo/matomotest/internal/php"
)

// Scheduled reports. Recordings 19 and 26; updateReport and deleteReport as
// Matomo documents them.
//
// They matter to the bridge because taking access away deletes them, and because
// they go on being mailed after a demotion.

// fillReport sets a report from the parameters of a call.
func fillReport(c *api.Call, r *model.Report) {
	r.Site, r.Hour = c.Int("idSite", 0), c.Int("hour", 0)
	r.Description, r.Period = c.Text("description"), c.Text("period")
	r.Type, r.Format = c.Text("reportType"), c.Text("reportFormat")
	r.Reports = c.Params["reports"].Texts()
	r.EmailMe, r.DisplayFormat, r.AdditionalEmails = false, "", nil
	for _, p := range c.Params["parameters"].Array {
		switch {
		case p.Key == "emailMe":
			r.EmailMe = p.Value == "1" || p.Value == "true"
		case p.Key == "displayFormat":
			r.DisplayFormat = p.Value
		case strings.HasPrefix(p.Key, "additionalEmails["):
			r.AdditionalEmails = append(r.AdditionalEmails, p.Value)
		}
	}
}

// addReport schedules a report for the caller: nobody can make one for somebody
// else. The ID is a number here, while SegmentEditor answers a string.
func addReport(c *api.Call) error {
	r := model.Report{Login: c.Caller.Login(), Created: c.Now}
	fillReport(c, &r)
	return c.Value(c.AddReport(r))
}

// reportOf finds the report that a call changes: the caller's own, or anybody's
// for a superuser.
func reportOf(c *api.Call) (*model.Report, error) {
	for _, r := range c.Reports {
		if r.ID == c.Int("idReport", 0) && (c.Caller.Superuser() || c.Caller.Is(r.Login)) {
			return r, nil
		}
	}
	return nil, api.Refuse(textNoReport)
}

const textNoReport = "Requested report couldn't be found."

// updateReport replaces everything but the owner. A recipient is struck off by
// sending the report again without it.
func updateReport(c *api.Call) error {
	r, err := reportOf(c)
	if err != nil {
		return err
	}
	fillReport(c, r)
	return c.Success()
}

// deleteReport deletes one report for good.
func deleteReport(c *api.Call) error {
	r, err := reportOf(c)
	if err != nil {
		return err
	}
	c.Reports = slices.DeleteFunc(c.Reports, func(other *model.Report) bool { return other == r })
	return c.Success()
}

// getReports shows a superuser everybody's reports unless told otherwise.
func getReports(c *api.Call) error {
	everybody := c.Caller.Superuser() && !c.True("ifSuperUserReturnOnlySuperUserReports")
	site, id := c.Int("idSite", 0), c.Int("idReport", 0)
	var list []*model.Report
	for _, r := range c.Reports {
		if (everybody || c.Caller.Is(r.Login)) && (site == 0 || r.Site == site) && (id == 0 || r.ID == id) {
			list = append(list, r)
		}
	}
	if id != 0 && len(list) == 0 {
		return api.Refuse(textNoReport)
	}
	return c.Objects(len(list), func(o *php.Object, i int) { writeReport(o, list[i]) })
}

// writeReport writes a report with the parameters that were set; the others have
// Matomo's defaults (recording 26).
func writeReport(o *php.Object, r *model.Report) {
	o.Set("idreport", r.ID, "idsite", r.Site, "login", r.Login, "description", r.Description, "idsegment", nil,
		"period", r.Period, "hour", r.Hour, "type", r.Type, "format", r.Format, "reports", r.Reports)
	o.Key("parameters")
	o.B = php.AppendObject(o.B, func(p *php.Object) {
		p.Set("emailMe", r.EmailMe, "displayFormat", r.DisplayFormat, "evolutionGraph", false)
		if len(r.AdditionalEmails) > 0 {
			p.Set("additionalEmails", r.AdditionalEmails)
		}
	})
	o.Set("ts_created", r.Created.Format(model.DateTime), "ts_last_sent", nil, "deleted", 0,
		"evolution_graph_within_period", 0, "evolution_graph_period_n", 30, "period_param", r.Period)
}
