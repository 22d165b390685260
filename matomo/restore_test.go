package matomo_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/access"
	"github.com/matomo-scim/bridge/matomo/matomotest"
)

// contractRestore takes a person with things of their own through leaving, deletion and coming back, and gives the things
// back; then once more, which makes nothing twice; then to somebody else.
func contractRestore(t *testing.T, p *party) {
	p.bring(t, "maker", p.on("write", "view"))
	login := p.prefix + "maker"
	p.setPassword(t, login)
	token := p.mustMint(t, login)
	made := func(method string, params ...string) {
		t.Helper()
		if got := p.call(t, token, method, params...); !strings.Contains(got, "value") && !strings.Contains(got, "success") {
			t.Fatalf("%s: %s", method, got)
		}
	}
	site := fmt.Sprint(p.sites[0])
	segment := p.prefix + " mine & <only>"
	made("ScheduledReports.addReport", "idSite", site, "description", "weekly & <numbers>", "period", "week", "hour", "7", "reportType", "email",
		"reportFormat", "html", "reports[0]", "VisitsSummary_get", "parameters[emailMe]", "1", "parameters[displayFormat]", "2",
		"parameters[evolutionGraph]", "1", "parameters[additionalEmails][0]", "boss@example.org")
	made("SegmentEditor.add", "name", segment, "definition", "browserCode==FF", "idSite", site, "autoArchive", "0", "enabledAllUsers", "0")
	made("Dashboard.createNewDashboardForUser", "login", login, "dashboardName", "my & <board>")
	made("UsersManager.setUserPreference", "userLogin", login, "preferenceName", "defaultReportDate", "preferenceValue", "week")
	made("LanguagesManager.setLanguageForUser", "login", login, "languageCode", "de")
	s, _ := p.read(t, matomo.Read{Evidence: matomo.EvidenceAccount, Tokens: true}, "maker")
	saved, _ := s.Account(login)
	ev := saved.Evidence
	if len(ev.Reports) != 1 || len(ev.Segments) != 1 || !ev.Whole || len(ev.Missing) != 0 || ev.Language != "de" || ev.Preferences["defaultReportDate"] != "week" {
		t.Fatalf("evidence %+v", ev)
	}
	saved = stored(t, saved)
	for _, phase := range []matomo.Phase{matomo.PhaseRevoke, matomo.PhaseDelete} {
		p.leave(t, "maker", phase)
	}
	restore := func(to string, share bool) map[string]string {
		t.Helper()
		out, err := p.c.Restore(context.Background(), matomo.RestoreOptions{From: saved, To: p.prefix + to, ShareSegments: share})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, x := range out {
			word := "no"
			switch {
			case x.Err != nil:
				t.Errorf("%s %s: %v", x.Kind, x.Name, x.Err)
			case x.Done:
				word = "done"
			case x.Already:
				word = "already"
			}
			got[x.Kind+" "+x.Name] = word
		}
		return got
	}
	if _, err := p.c.Restore(context.Background(), matomo.RestoreOptions{From: saved, To: login}); matomo.KindOf(err) != matomo.UserMissing {
		t.Errorf("for a login that does not exist: %v", err)
	}
	p.bring(t, "maker", p.on("", "view"))
	first := restore("maker", false)
	delete(first, "preference defaultReport="+ev.Preferences["defaultReport"])
	want := map[string]string{
		"report weekly & <numbers>": "no", // the person does not see the site
		"segment " + segment:        "no", // it moved to a superuser
		"dashboard my & <board>":    "done", "preference defaultReportDate=week": "done", "language de": "done",
	}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Errorf("without access to the site (-want +got):\n%s", diff)
	}
	p.bring(t, "maker", p.on("view", "view"))
	second := restore("maker", true)
	for item, word := range map[string]string{"report weekly & <numbers>": "done", "segment " + segment: "done", "dashboard my & <board>": "already"} {
		if second[item] != word {
			t.Errorf("with access: %s is %s, want %s", item, second[item], word)
		}
	}
	for item, word := range restore("maker", true) {
		if word != "already" && !strings.HasPrefix(item, "preference") && !strings.HasPrefix(item, "language") {
			t.Errorf("again: %s is %s, want it there already", item, word)
		}
	}
	reports := reportsOf(t, p, "weekly & <numbers>")
	if len(reports) != 1 || reports[0].Login != p.login || reports[0].Period != "week" || reports[0].Hour != 7 || len(reports[0].Parameters.To) != 2 {
		t.Fatalf("reports %+v", reports)
	}
	if got := p.call(t, p.mustMintNew(t, login), "SegmentEditor.getAll", "idSite", site); !strings.Contains(got, "browserCode==FF") {
		t.Errorf("the person does not see the shared segment: %s", got)
	}
	p.tidy(t, reports, segment)
}

// stored takes an account through the form in which evidence is kept.
func stored(t *testing.T, a matomo.Account) (back matomo.Account) {
	t.Helper()
	data, err := json.Marshal(a)
	if err == nil {
		err = json.Unmarshal(data, &back)
	}
	if err != nil {
		t.Fatal(err)
	}
	return back
}

// madeReport is what a test looks at of a scheduled report.
type madeReport struct {
	ID         json.Number `json:"idreport"`
	Login      string
	Period     string
	Hour       int
	Parameters struct {
		To []string `json:"additionalEmails"`
	}
	Description string
}

// reportsOf returns the reports of one name.
func reportsOf(t *testing.T, p *party, name string) (out []madeReport) {
	t.Helper()
	var all []madeReport
	if err := json.Unmarshal([]byte(p.call(t, p.token, "ScheduledReports.getReports")), &all); err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		if strings.NewReplacer("&amp;", "&", "&lt;", "<", "&gt;", ">").Replace(r.Description) == name {
			out = append(out, r)
		}
	}
	return out
}

// mustMintNew makes a token for somebody whose password is random.
func (p *party) mustMintNew(t *testing.T, login string) string {
	t.Helper()
	p.setPassword(t, login)
	return p.mustMint(t, login)
}

// tidy deletes what a restore made under the bridge's own login.
func (p *party) tidy(t *testing.T, reports []madeReport, segment string) {
	t.Helper()
	for _, r := range reports {
		p.call(t, p.token, "ScheduledReports.deleteReport", "idReport", r.ID.String())
	}
	var all []struct {
		ID   json.Number `json:"idsegment"`
		Name string
	}
	if err := json.Unmarshal([]byte(p.call(t, p.token, "SegmentEditor.getAll")), &all); err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if strings.HasPrefix(s.Name, strings.Split(segment, " ")[0]) {
			p.call(t, p.token, "SegmentEditor.delete", "idSegment", s.ID.String())
		}
	}
}

// A report by SMS, one of a site that is gone, evidence that is damaged: each says why it does not come back, and nothing
// stops the others.
func TestRestore_SaysWhyNot(t *testing.T) {
	b := newBench(t, matomotest.Options{})
	b.add(t, "alice")
	b.Grant("alice", "view", 1)
	raw := func(s string) json.RawMessage { return json.RawMessage(s) }
	from := matomo.Account{Login: "gone", Email: "gone@example.test", Evidence: &matomo.Evidence{
		Reports: []json.RawMessage{
			raw(`{"idsite":1,"description":"sms","type":"mobile","parameters":{"phoneNumbers":["1"]}}`),
			raw(`{"idsite":"99","description":"no site","type":"email","parameters":[]}`),
			raw(`{"idsite":"x"}`),
			raw(`{"idsite":"1","description":"mine","period":"day","hour":"4","type":"email","format":"pdf","reports":["A_b"],` +
				`"parameters":{"emailMe":false,"additionalEmails":["gone@example.test","c@x.test"]},"idsegment":"7"}`),
		},
		Segments:   []json.RawMessage{raw(`{"idsegment":5,"name":"lost","definition":"a==b","enable_only_idsite":1,"enable_all_users":"0"}`), raw(`[]`)},
		Dashboards: raw(`{"1":{"name":"one","widgets":[{"module":"Live","action":"widget"}]}}`),
	}}
	out, err := b.c.Restore(context.Background(), matomo.RestoreOptions{From: from, To: "ALICE"})
	if err != nil {
		t.Fatal(err)
	}
	notes := map[string]string{}
	for _, x := range out {
		notes[fmt.Sprint(x.Kind, " ", x.Name, " ", x.Done)] = x.Note
	}
	for item, part := range map[string]string{
		"report sms false":     "only its owner can verify",
		"report no site false": "does not see site 99",
		"report ? false":       "cannot be read",
		"report mine true":     "its segment does not exist any more",
		"segment lost true":    "only superusers see it",
		"segment ? false":      "cannot be read",
		"dashboard one true":   "it had: Live.widget",
	} {
		if !strings.Contains(notes[item], part) {
			t.Errorf("%s: %q, want %q; all: %v", item, notes[item], part, notes)
		}
	}
	if r := b.Reports(); len(r) != 1 || r[0].Login != "bridge" || cmp.Diff([]string{"c@x.test"}, r[0].AdditionalEmails) != "" || r[0].EmailMe {
		t.Errorf("reports %+v, want one that goes to those who are still to get it", r)
	}
}

// I2 and I3: what is protected is not touched, and giving things back gives no access and no superuser.
func TestRestore_GivesNoAccess(t *testing.T) {
	eachVersion(t, matomotest.Options{}, func(t *testing.T, b *bench) {
		b.add(t, "alice", "admin")
		from := matomo.Account{Evidence: &matomo.Evidence{
			Reports: []json.RawMessage{json.RawMessage(`{"idsite":1,"description":"r","type":"email"}`)}, Preferences: map[string]string{"defaultReport": "2"},
		}}
		before := b.Snapshot()
		for _, login := range []string{"admin", "ADMIN", "bridge", "anonymous"} {
			_, err := b.c.Restore(context.Background(), matomo.RestoreOptions{From: from, To: login})
			wantKind(t, err, matomo.Protected)
		}
		if _, err := b.c.Restore(context.Background(), matomo.RestoreOptions{From: from, To: "alice"}); err != nil {
			t.Fatal(err)
		}
		if changes := before.Changes(b.Snapshot()); len(changes) != 0 || !b.Access("alice").Equal(access.Access{Sites: map[access.SiteID]access.SiteAccess{}}) {
			t.Errorf("changes %v", changes)
		}
		if _, err := b.c.Restore(context.Background(), matomo.RestoreOptions{To: "alice"}); err == nil {
			t.Error("no error without evidence")
		}
	})
}

// A Matomo that fails in the middle ends it, and what was done until then is told.
func TestRestore_EndsWithTheInstance(t *testing.T) {
	b := newBench(t, matomotest.Options{})
	b.add(t, "alice")
	b.Grant("alice", "view", 1)
	from := matomo.Account{Evidence: &matomo.Evidence{
		Dashboards: json.RawMessage(`[{"name":"one"},{"name":"two"}]`), Language: "de",
		Reports: []json.RawMessage{json.RawMessage(`{"idsite":1,"description":"r","type":"email","period":"day","format":"html","reports":["a"]}`)},
	}}
	b.Fault(matomotest.Fault{Kind: matomotest.Maintenance, Method: "Dashboard.createNewDashboardForUser"})
	out, err := b.c.Restore(context.Background(), matomo.RestoreOptions{From: from, To: "alice"})
	if matomo.KindOf(err) != matomo.Maintenance || len(out) != 2 || !out[0].Done || out[1].Done {
		t.Fatalf("%+v, %v; want the report made and then the end", out, err)
	}
	b.ClearFaults()
	out, err = b.c.Restore(context.Background(), matomo.RestoreOptions{From: from, To: "alice"})
	if err != nil || len(out) != 4 || !out[0].Already || !out[1].Done || !out[2].Done || !out[3].Done {
		t.Errorf("%+v, %v; want the rest made", out, err)
	}
}
