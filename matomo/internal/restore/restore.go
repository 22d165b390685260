// Package restore gives somebody's things back, as far as Matomo's API allows: scheduled reports,
// segments, dashboards, preferences, language. It gives no access.
package restore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/matomo-scim/bridge/matomo/access"
	"github.com/matomo-scim/bridge/matomo/internal/snapshot"
	"github.com/matomo-scim/bridge/matomo/internal/wire"
	"github.com/matomo-scim/bridge/matomo/plan"
)

// What Matomo's API allows of giving somebody's things back, read from its source (4.16.1, 5.1.2):
//
//	scheduled reports  addReport makes them for the caller alone: the bridge owns the new one, and
//	                   the person is a recipient. Reports by SMS need the owner's verified number.
//	segments           no method changes an owner. What moved to a superuser at the deletion stays
//	                   there; sharing it lets the person use it.
//	dashboards         createNewDashboardForUser takes a name and no layout.
//	preferences        can be set for anybody.
//
// So every item says what became of it, and what did not come back and why. Everything is looked at
// before it is made: running it twice makes nothing twice.

// Everything here is sent one call at a time. It is rare and small, and names may hold what a bulk
// request of Matomo 4 would take apart (trap 13).

// Restored is what became of one thing.
type Restored struct {
	Kind string `json:"kind"` // report, segment, dashboard, preference, language
	Name string `json:"name"`
	// Done: it was made now. Already: nothing had to be done. Neither: it could not be given back.
	Done    bool   `json:"done"`
	Already bool   `json:"already"`
	Note    string `json:"note,omitempty"` // what is different, or why not
	Err     error  `json:"-"`              // Matomo's refusal
}

// Matomo is the instance that gets the things.
type Matomo struct {
	Conn   *wire.Conn
	Reader *snapshot.Reader
	Login  string // whose token it is, and so who owns what only the caller can make
	// Protects reports whether a login is never touched, in any spelling.
	Protects func(login string) bool
}

// Options say for whom things are made.
type Options struct {
	From plan.Account // as it was saved, with its evidence
	To   string       // the login that gets the things; it must exist
	// ShareSegments lets everybody who sees a segment's site use those that were private: the only
	// way to let somebody else use them.
	ShareSegments bool
}

// Restore makes for a login what evidence holds, as far as the API allows, and says what became of
// each thing. It gives no access: reports of sites that the login does not see are left out. An error
// means that Matomo could not be asked; what was done until then is returned with it.
func (m Matomo) Restore(ctx context.Context, opt Options) ([]Restored, error) {
	if opt.From.Evidence == nil {
		return nil, errors.New("restore: there is no evidence")
	}
	if m.Protects(opt.To) {
		return nil, &wire.Error{Kind: wire.Protected, Method: "restore", Message: "the login is protected"}
	}
	r := &restoring{m: m, opt: opt}
	if err := r.look(ctx); err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	for _, step := range []func(context.Context) error{r.reports, r.segments, r.dashboards, r.settings} {
		if err := step(ctx); err != nil {
			return r.out, fmt.Errorf("restore: %w", err)
		}
	}
	return r.out, nil
}

// Texts come from Matomo with HTML entities and are escaped again when they are sent: they are sent
// plain, or "R & D" would become "R &amp; D". Definitions of segments are the exception; Matomo keeps
// them as they are typed.

// restoring is one Restore under way: what is there now, and what was done.
type restoring struct {
	m   Matomo
	opt Options
	out []Restored

	to            plan.Account
	sites         []access.SiteID
	hasReports    []report
	hasSegments   []segment
	hasDashboards []dashboard
}

// report is one scheduled report as getReports answers it.
type report struct {
	ID          wire.Number     `json:"idreport"`
	Site        wire.Number     `json:"idsite"`
	Login       string          `json:"login"`
	Description string          `json:"description"`
	Segment     wire.Number     `json:"idsegment"`
	Period      string          `json:"period"`
	PeriodParam string          `json:"period_param"`
	Hour        wire.Number     `json:"hour"`
	Type        string          `json:"type"`
	Format      string          `json:"format"`
	Reports     []string        `json:"reports"`
	Raw         json.RawMessage `json:"parameters"` // an object; an empty one is []
	Within      wire.Number     `json:"evolution_graph_within_period"`
	Last        wire.Number     `json:"evolution_graph_period_n"`
}

// parameters are those of a report by e-mail.
type parameters struct {
	EmailMe          wire.Number `json:"emailMe"`
	DisplayFormat    wire.Number `json:"displayFormat"`
	EvolutionGraph   wire.Number `json:"evolutionGraph"`
	AdditionalEmails []string    `json:"additionalEmails"`
}

// mail reads the parameters; other kinds of reports have others.
func (r report) mail() (p parameters) {
	_ = json.Unmarshal(r.Raw, &p) // [] for an empty object leaves it empty
	return p
}

// Two reports that say the same at the same time are one to whoever reads them. Recipients do not count:
// somebody may have changed them since.

// like reports whether two reports say the same at the same time, whoever owns them.
func (r report) like(o report) bool {
	return r.Site == o.Site && r.Description == o.Description && r.Period == o.Period && r.Hour == o.Hour &&
		r.Type == o.Type && r.Format == o.Format && slices.Equal(r.Reports, o.Reports)
}

// segment is one saved segment as getAll answers it.
type segment struct {
	ID         wire.Number `json:"idsegment"`
	Name       string      `json:"name"`
	Definition string      `json:"definition"`
	Login      string      `json:"login"`
	Shared     wire.Number `json:"enable_all_users"`
	Site       wire.Number `json:"enable_only_idsite"`
	Archive    wire.Number `json:"auto_archive"`
}

// dashboard is one dashboard as getDashboards answers it.
type dashboard struct {
	Name    string `json:"name"`
	Widgets []struct {
		Module string `json:"module"`
		Action string `json:"action"`
	} `json:"widgets"`
}

// What is there is read once, before anything is made, and not again in between: what this run makes is
// counted as it is made. A second run finds all of it.

// look reads what is there now, in two requests.
func (r *restoring) look(ctx context.Context) error {
	snap, err := r.m.Reader.Accounts(ctx, []string{r.opt.To}, snapshot.Read{})
	if err != nil {
		return err
	}
	if r.to, _ = snap.Account(r.opt.To); !r.to.Exists {
		return &wire.Error{Kind: wire.UserMissing, Method: "restore", Message: "there is no account " + r.opt.To}
	}
	r.sites = snap.SiteIDs()
	var answers [3]json.RawMessage
	calls := []wire.Call{
		{Method: "ScheduledReports.getReports"},
		{Method: "SegmentEditor.getAll"},
		{Method: "Dashboard.getDashboards", Params: []wire.Param{wire.P("login", r.to.Login), wire.P("returnDefaultIfEmpty", "0")}},
	}
	for i := range calls {
		calls[i].Decode = wire.Raw(&answers[i])
	}
	errs, err := r.m.Conn.Bulk(ctx, calls, true, 0)
	if err != nil {
		return err
	}
	for i, into := range []any{&r.hasReports, &r.hasSegments, &r.hasDashboards} {
		switch {
		case wire.KindOf(errs[i]) == wire.UnknownMethod: // the plugin is off; adding will say so
		case errs[i] != nil:
			return errs[i]
		default:
			if err := list(answers[i], into); err != nil {
				return fmt.Errorf("%s: %w", calls[i].Method, err)
			}
		}
	}
	return nil
}

// list decodes a list that Matomo may write as an object keyed by number.
func list(raw json.RawMessage, into any) error {
	if strings.HasPrefix(strings.TrimSpace(string(raw)), "{") {
		var keyed map[string]json.RawMessage
		if err := json.Unmarshal(raw, &keyed); err != nil {
			return err
		}
		var err error
		if raw, err = json.Marshal(slices.Collect(maps.Values(keyed))); err != nil {
			return err
		}
	}
	return json.Unmarshal(raw, into)
}

// say notes what became of a thing.
func (r *restoring) say(x Restored) { r.out = append(r.out, x) }

// A refusal of one thing is that thing's: a report whose contents a plugin no longer offers does not keep the
// others from coming back. Only a Matomo that answers nothing more ends the run.

// make sends one call that makes a thing and notes what became of it. Its error is that of the
// instance: nothing more can be asked then.
func (r *restoring) make(ctx context.Context, x Restored, k wire.Call) error {
	x.Err = r.m.Conn.Single(ctx, k, false)
	if x.Done = x.Err == nil; !x.Done {
		x.Note = x.Err.Error()
	}
	r.say(x)
	if e, ok := errors.AsType[*wire.Error](x.Err); ok && e.Target() {
		return e
	}
	return nil
}

// sees reports whether the login may see a site.
func (r *restoring) sees(site wire.Number) bool {
	id := access.SiteID(site)
	if !slices.Contains(r.sites, id) {
		return false
	}
	role := r.to.Access.Sites[id].Role
	return r.to.Access.Superuser || role != "" && role != access.NoAccess
}

// reports gives scheduled reports back. One of a site that the login does not see would mail its numbers
// past Matomo's own access, so it is left out until they see the site.
func (r *restoring) reports(ctx context.Context) error {
	for _, raw := range r.opt.From.Evidence.Reports {
		var old report
		if err := json.Unmarshal(raw, &old); err != nil {
			r.say(Restored{Kind: "report", Name: "?", Note: "the evidence cannot be read: " + err.Error()})
			continue
		}
		x := Restored{Kind: "report", Name: html.UnescapeString(old.Description)}
		switch {
		case old.Type != "email":
			x.Note = "it goes out by " + old.Type + ", to a number that only its owner can verify"
		case !r.sees(old.Site):
			x.Note = fmt.Sprintf("%s does not see site %d", r.to.Login, old.Site)
		case r.hasReport(old):
			x.Already = true
		default:
			x.Note = fmt.Sprintf("it belongs to %s, because Matomo makes reports for the caller alone; it is mailed as before", r.m.Login)
			if old.Segment != 0 && !slices.ContainsFunc(r.hasSegments, func(s segment) bool { return s.ID == old.Segment }) {
				old.Segment = 0
				x.Note += "; its segment does not exist any more"
			}
			if err := r.make(ctx, x, r.addReport(old)); err != nil {
				return err
			}
			continue
		}
		r.say(x)
	}
	return nil
}

// hasReport reports whether a report is still, or again, there for the login.
func (r *restoring) hasReport(old report) bool {
	return slices.ContainsFunc(r.hasReports, func(have report) bool {
		owner := access.FoldLogin(have.Login)
		return have.like(old) && (owner == access.FoldLogin(r.to.Login) || owner == access.FoldLogin(r.m.Login))
	})
}

// Whom a report goes to is what makes it useful and what makes it leak. The owner's address was meant by
// emailMe and becomes that of the login; others stay; somebody who left is taken off.

// addReport is the call that makes a report like old, for the login and the others it went to. The
// address of somebody who left is not among them.
func (r *restoring) addReport(old report) wire.Call {
	mail := old.mail()
	var recipients []string
	if mail.EmailMe != 0 || len(mail.AdditionalEmails) == 0 {
		recipients = append(recipients, r.to.Email)
	}
	for _, address := range mail.AdditionalEmails {
		if !strings.EqualFold(address, r.to.Email) && !strings.EqualFold(address, r.opt.From.Email) {
			recipients = append(recipients, address)
		}
	}
	each := "prev"
	if old.Within != 0 {
		each = "each"
	}
	params := []wire.Param{
		wire.P("idSite", number(old.Site)), wire.P("description", html.UnescapeString(old.Description)), wire.P("period", old.Period),
		wire.P("hour", number(old.Hour)), wire.P("reportType", old.Type), wire.P("reportFormat", old.Format),
		wire.P("parameters[emailMe]", "0"), wire.P("parameters[displayFormat]", number(max(1, mail.DisplayFormat))),
		wire.P("parameters[evolutionGraph]", flag(mail.EvolutionGraph != 0)), wire.P("evolutionPeriodFor", each),
	}
	for i, name := range old.Reports {
		params = append(params, wire.P(fmt.Sprintf("reports[%d]", i), name))
	}
	for i, address := range recipients {
		params = append(params, wire.P(fmt.Sprintf("parameters[additionalEmails][%d]", i), address))
	}
	if old.Segment != 0 {
		params = append(params, wire.P("idSegment", number(old.Segment)))
	}
	if old.Within != 0 && old.Last != 0 {
		params = append(params, wire.P("evolutionPeriodN", number(old.Last)))
	}
	if old.PeriodParam != "" {
		params = append(params, wire.P("periodParam", old.PeriodParam))
	}
	return wire.Call{Method: "ScheduledReports.addReport", Params: params}
}

// segments are looked for by id first: what Matomo moved to a superuser keeps its id and its name, and a
// second one of the same name would only confuse.
func (r *restoring) segments(ctx context.Context) error {
	for _, raw := range r.opt.From.Evidence.Segments {
		var old segment
		if err := json.Unmarshal(raw, &old); err != nil {
			r.say(Restored{Kind: "segment", Name: "?", Note: "the evidence cannot be read: " + err.Error()})
			continue
		}
		x := Restored{Kind: "segment", Name: html.UnescapeString(old.Name)}
		at := slices.IndexFunc(r.hasSegments, func(s segment) bool {
			return s.ID == old.ID || s.Name == old.Name && s.Definition == old.Definition && s.Site == old.Site
		})
		var call wire.Call
		switch {
		case at < 0:
			shared := old.Shared != 0 || r.opt.ShareSegments
			call = segmentCall("SegmentEditor.add", old, shared)
			x.Note = "it belongs to " + r.m.Login + ", because Matomo makes segments for the caller alone"
			if !shared {
				x.Note += "; it is private, so only superusers see it (share it with --share-segments)"
			}
		case access.FoldLogin(r.hasSegments[at].Login) == access.FoldLogin(r.to.Login), r.hasSegments[at].Shared != 0:
			x.Already = true
		case r.opt.ShareSegments:
			call = segmentCall("SegmentEditor.update", r.hasSegments[at], true)
			x.Note = "it is shared with everybody who sees its site; it belongs to " + r.hasSegments[at].Login
		default:
			x.Note = "it belongs to " + r.hasSegments[at].Login + ", and Matomo has no way to change that; --share-segments lets everybody who sees its site use it"
		}
		if call.Method == "" {
			r.say(x)
			continue
		}
		if err := r.make(ctx, x, call); err != nil {
			return err
		}
	}
	return nil
}

// An update repeats everything, because Matomo replaces everything; only who may see it is new.

// segmentCall adds a segment, or updates the one that is there.
func segmentCall(method string, s segment, shared bool) wire.Call {
	k := wire.Call{Method: method, Params: []wire.Param{
		wire.P("name", html.UnescapeString(s.Name)), wire.P("definition", s.Definition), wire.P("idSite", number(s.Site)),
		wire.P("autoArchive", flag(s.Archive != 0)), wire.P("enabledAllUsers", flag(shared)),
	}}
	if method == "SegmentEditor.update" {
		k.Params = append(k.Params, wire.P("idSegment", number(s.ID)))
	}
	return k
}

// dashboards are told apart by name, each as often as it is there: two of one name are two.
func (r *restoring) dashboards(ctx context.Context) error {
	if len(r.opt.From.Evidence.Dashboards) == 0 {
		return nil
	}
	var old []dashboard
	unreadable := list(r.opt.From.Evidence.Dashboards, &old)
	if unreadable != nil { // said, and no reason to leave the rest
		r.say(Restored{Kind: "dashboard", Name: "?", Note: "the evidence cannot be read: " + unreadable.Error()})
	}
	left := map[string]int{} // how many of a name are there and not accounted for
	for _, d := range r.hasDashboards {
		left[d.Name]++
	}
	for _, d := range old {
		x := Restored{Kind: "dashboard", Name: html.UnescapeString(d.Name)}
		if left[d.Name] > 0 {
			left[d.Name]--
			x.Already = true
			r.say(x)
			continue
		}
		widgets := make([]string, len(d.Widgets))
		for i, w := range d.Widgets {
			widgets[i] = w.Module + "." + w.Action
		}
		x.Note = "with the default widgets, because Matomo's API takes no layout; it had: " + strings.Join(widgets, ", ")
		err := r.make(ctx, x, wire.Call{Method: "Dashboard.createNewDashboardForUser", Params: []wire.Param{
			wire.P("login", r.to.Login), wire.P("dashboardName", x.Name), wire.P("addDefaultWidgets", "1"),
		}})
		if err != nil {
			return err
		}
	}
	return nil
}

// Preferences outlive their account in Matomo, so for the same login they are there already; for another
// login they are news. Neither is worth a look before.

// settings sets preferences and language. Setting what is set already changes nothing.
func (r *restoring) settings(ctx context.Context) error {
	ev := r.opt.From.Evidence
	for _, name := range slices.Sorted(maps.Keys(ev.Preferences)) {
		x := Restored{Kind: "preference", Name: name + "=" + ev.Preferences[name]}
		if site, err := strconv.Atoi(ev.Preferences[name]); err == nil && name == "defaultReport" && !r.sees(wire.Number(site)) {
			x.Note = fmt.Sprintf("%s does not see site %d", r.to.Login, site)
			r.say(x)
			continue
		}
		err := r.make(ctx, x, wire.Call{Method: "UsersManager.setUserPreference", Params: []wire.Param{
			wire.P("userLogin", r.to.Login), wire.P("preferenceName", name), wire.P("preferenceValue", ev.Preferences[name]),
		}})
		if err != nil {
			return err
		}
	}
	if ev.Language == "" {
		return nil
	}
	return r.make(ctx, Restored{Kind: "language", Name: ev.Language}, wire.Call{Method: "LanguagesManager.setLanguageForUser", Params: []wire.Param{
		wire.P("login", r.to.Login), wire.P("languageCode", ev.Language),
	}})
}

func number(n wire.Number) string { return strconv.Itoa(int(n)) }

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}
