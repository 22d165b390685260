package main

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// What people, providers and attackers do in scripts, besides running commands.

// send sends one request and returns the decoded answer.
func send(ts *testscript.TestScript, method, address, secret, contentType string, body io.Reader) (out map[string]any) {
	req, err := http.NewRequest(method, address, body)
	ts.Check(err)
	req.Header.Set("Content-Type", contentType)
	if secret != "" {
		req.Header.Set("Authorization", "Bearer "+secret)
	}
	resp, err := new(http.Client).Do(req)
	ts.Check(err)
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	ts.Check(err)
	if resp.StatusCode >= http.StatusBadRequest {
		ts.Fatalf("%s %s: %d %s", method, address, resp.StatusCode, data)
	}
	_ = json.Unmarshal(data, &out) // no content is no object
	return out
}

// setActive says whether a person is there, as a provider does. Arguments: the file with the secret, userName, true or false.
func setActive(ts *testscript.TestScript, _ bool, args []string) {
	base, secret := "http://"+ts.Getenv("SCIM_ADDR")+"/scim/v2", strings.TrimSpace(ts.ReadFile(args[0]))
	found := send(ts, http.MethodGet, base+"/Users?filter="+url.QueryEscape(`userName eq "`+args[1]+`"`), secret, "application/scim+json", nil)
	users, _ := found["Resources"].([]any)
	if len(users) != 1 {
		ts.Fatalf("%d users are called %s", len(users), args[1])
	}
	user, _ := users[0].(map[string]any)
	id, _ := user["id"].(string)
	body, err := json.Marshal(map[string]any{
		"schemas":    []string{"urn:ietf:params:scim:api:messages:2.0:PatchOp"},
		"Operations": []any{map[string]any{"op": "replace", "path": "active", "value": args[2] == "true"}},
	})
	ts.Check(err)
	send(ts, http.MethodPatch, base+"/Users/"+id, secret, "application/scim+json", bytes.NewReader(body))
}

// matomoCall asks the stand-in something and returns its answer.
func matomoCall(ts *testscript.TestScript, token, method string, params ...string) map[string]any {
	form := url.Values{"token_auth": {token}}
	for i := 0; i+1 < len(params); i += 2 {
		form.Add(params[i], params[i+1])
	}
	return send(ts, http.MethodPost, "http://"+ts.Getenv("MATOMO_ADDR")+"/index.php?module=API&format=JSON&method="+method, "",
		"application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
}

// belongings gives a person a token, a report, a segment and a dashboard of their own. Arguments: login, the superuser's
// token and password.
func belongings(ts *testscript.TestScript, _ bool, args []string) {
	login, token, password := args[0], args[1], args[2]
	matomoCall(ts, token, "UsersManager.updateUser", "userLogin", login, "password", "known-password", "passwordConfirmation", password)
	own, _ := matomoCall(ts, "", "UsersManager.createAppSpecificTokenAuth", "userLogin", login, "passwordConfirmation", "known-password", "description", "export job")["value"].(string)
	if own == "" {
		ts.Fatalf("no token for %s", login)
	}
	for _, call := range [][]string{
		{
			"ScheduledReports.addReport", "idSite", "1", "description", "weekly numbers", "period", "week", "hour", "7", "reportType", "email", "reportFormat",
			"html", "reports[0]", "VisitsSummary_get", "parameters[emailMe]", "1", "parameters[displayFormat]", "1",
		},
		{"SegmentEditor.add", "name", "my segment", "definition", "browserCode==FF", "idSite", "1", "autoArchive", "0", "enabledAllUsers", "0"},
		{"Dashboard.createNewDashboardForUser", "login", login, "dashboardName", "my board"},
	} {
		matomoCall(ts, own, call[0], call[1:]...)
	}
}

// sqlExec changes a database behind everybody's back. Arguments: the file, statements.
func sqlExec(ts *testscript.TestScript, _ bool, args []string) {
	db, err := sql.Open("sqlite", "file:"+ts.MkAbs(args[0])+"?_pragma=busy_timeout(5000)")
	ts.Check(err)
	defer func() { _ = db.Close() }()
	for _, statement := range args[1:] {
		_, err := db.Exec(statement)
		ts.Check(err)
	}
}
