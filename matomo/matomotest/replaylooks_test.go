package matomotest_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/matomo-scim/bridge/matomo/matomotest"
)

// hooks do what the recorder did beside the API, before a file ("38") or an
// entry ("05#4"); with a version in front only there.
var hooks = map[string]func(*replay){
	// The invitation of 5.1.2 was read a second later: 6 whole days are left.
	"5.1.2/05#4": func(*replay) { time.Sleep(time.Second) },
	"23#6":       func(r *replay) { r.s.ExpireTokens("tok4", time.Unix(0, 0)) },
	"23#9":       func(r *replay) { r.s.ExpireTokens("tok4", time.Time{}) },
	"23#12":      func(r *replay) { r.s.DeleteTokens("tok4") },
	// Sessions are compared in whole seconds. On 4.16.1 the clock had moved on.
	"4.16.1/25#9":  func(*replay) { time.Sleep(time.Second) },
	"4.16.1/25#14": func(*replay) { time.Sleep(time.Second) },
	"26#14":        func(r *replay) { r.s.SetTwoFactor("casc", true) },
	"30#1":         func(r *replay) { r.s.Fault(matomotest.Fault{Kind: matomotest.MailError}) },
	"31":           func(r *replay) { r.s.Fault(matomotest.Fault{Kind: matomotest.UsersAdminDisabled}) },
	"32":           func(r *replay) { r.s.RequirePostTokens(true) },
	"33":           func(r *replay) { r.s.AllowOnly("10.1.2.3") },
	"34":           func(r *replay) { r.s.Fault(matomotest.Fault{Kind: matomotest.Maintenance}) },
	"35":           func(r *replay) { r.s.Fault(matomotest.Fault{Kind: matomotest.DatabaseDown}) },
	"37#31":        func(r *replay) { r.s.ClearFailedLogins() },
	"38":           manyUsers,
	"39#21":        fewUsersAgain,
	"40":           manySites,
	"42#3":         func(r *replay) { r.s.SetTwoFactor("tfa", true) },
	"43#5":         func(r *replay) { r.signIn("seen", "seen", "PASSWORD:user") },
	"47#2":         func(r *replay) { r.post("UsersManager.setUserAccess", "userLogin=race&idSites=1&access="+r.left()) },
	"81#21":        func(r *replay) { r.s.DeleteTokens("pt") },
}

// left is the role that the parallel writes of file 47 left.
func (r *replay) left() string {
	return regexp.MustCompile(`"access":"(\w+)"`).FindStringSubmatch(r.file[2].Response.Body)[1]
}

func (r *replay) signIn(name, login, password string) {
	b, err := r.s.SignIn(login, password)
	if err != nil {
		r.t.Errorf("signing %s in: %v", login, err)
		return
	}
	r.sessions[name] = b
}

// manyUsers adds the users that file 38 finds, with their access.
func manyUsers(r *replay) {
	var users []struct{ Login, Email string }
	if err := json.Unmarshal([]byte(r.file[2].Response.Body), &users); err != nil {
		r.t.Fatal(err)
	}
	var admins map[string][]int
	if err := json.Unmarshal([]byte(r.file[14].Response.Body), &admins); err != nil {
		r.t.Fatal(err)
	}
	for _, u := range users {
		if _, known := r.s.User(u.Login); known {
			continue
		}
		if err := r.s.AddUser(u.Login, u.Email, "x"); err != nil {
			r.t.Error(err)
		}
		r.s.Grant(u.Login, "admin", admins[u.Login]...)
	}
}

// fewUsersAgain deletes the users of manyUsers: the recorder had before the
// last part of file 39.
func fewUsersAgain(r *replay) {
	for _, u := range r.s.Users() {
		if strings.HasPrefix(u.Login, "lim") {
			r.s.DeleteUser(u.Login)
		}
	}
}

func manySites(r *replay) {
	for i := range 120 {
		r.s.AddSite(fmt.Sprintf("S%d", i), "")
	}
}

// look repeats a look into the database, at a browser or at the tracker.
func (r *replay) look(key string, e exchange) {
	if check := looks[key]; check != nil {
		if got, want := check(r, e); got != want {
			r.t.Errorf("%s %s:\n got %s\nwant %s", key, e.Note, got, want)
		}
		return
	}
	switch {
	case strings.HasPrefix(e.Note, "browser session: "):
		b := r.sessions[e.file]
		status, login := b.Open()
		if got := fmt.Sprint(status); got != e.Result[0] {
			r.t.Errorf("%s %s: status %s, recorded %s", key, e.Note, got, e.Result[0])
		}
		if len(e.Result) > 3 && e.Result[3] != login {
			r.t.Errorf("%s %s: %s is there, recorded %s", key, e.Note, login, e.Result[3])
		}
	case strings.HasPrefix(e.Note, "tracking API: "):
		tokens := r.minted["TOKEN:pt"]
		token := tokens[len(tokens)-1]
		if strings.HasSuffix(e.Note, "bad token") {
			token = strings.Repeat("0", 32)
		}
		rq, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet,
			"http://matomo.test/matomo.php?idsite=1&rec=1&cip=10.0.0.1&token_auth="+token, http.NoBody)
		if err != nil {
			r.t.Fatal(err)
		}
		resp, err := r.s.RoundTripper().RoundTrip(rq)
		if err != nil {
			r.t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != e.Response.Status {
			r.t.Errorf("%s %s: status %d, recorded %d", key, e.Note, resp.StatusCode, e.Response.Status)
		}
	default:
		r.count(key, e.Note)
	}
}

var (
	countPattern   = regexp.MustCompile(`: (list|dict) of (\d+) entries$`)
	membersPattern = regexp.MustCompile(`^members: \[(\d+)\]$`)
)

// count checks a note about the size of the answer before.
func (r *replay) count(key, note string) {
	keys, isList := keysOf(r.t, r.last)
	quote := func(s string) string { return "'" + s + "'" }
	var got string
	switch {
	case countPattern.MatchString(note):
		kind := map[bool]string{true: "list", false: "dict"}[isList]
		got = countPattern.ReplaceAllString(note, fmt.Sprintf(": %s of %d entries", kind, len(keys)))
	case membersPattern.MatchString(note):
		var members [][]any
		_ = json.Unmarshal([]byte(r.last), &members)
		got = fmt.Sprintf("members: [%d]", len(members[0]))
	case strings.HasPrefix(note, "first keys: "):
		var first []string
		for _, k := range keys[:5] {
			first = append(first, quote(k))
		}
		got = "first keys: [" + strings.Join(first, ", ") + "]"
	case strings.HasSuffix(note, " results"):
		got = fmt.Sprintf("%d results", len(keys))
	default:
		got = "no check for this look"
	}
	if got != note {
		r.t.Errorf("%s: %s, recorded %s", key, got, note)
	}
}

// looks are the looks that need more than their note. Each returns what was
// found and what was recorded.
var looks = map[string]func(*replay, exchange) (got, want string){
	"25#2": func(r *replay, _ exchange) (string, string) {
		r.signIn("25", "web1", "PASSWORD:user")
		return "", ""
	},
	"25#11": func(r *replay, _ exchange) (string, string) {
		r.signIn("25", "web1", "PASSWORD:new")
		return r.session("25"), "200 web1"
	},
	"25#19": func(r *replay, _ exchange) (string, string) {
		r.signIn("25", "web2", "PASSWORD:user")
		return r.session("25"), "200 web2"
	},
	"26#15": cascade, "26#17": cascade, "26#21": cascade,
	"37#30": func(r *replay, e exchange) (string, string) {
		_, err := r.s.SignIn("bob", "PASSWORD:user")
		return fmt.Sprint(err != nil), fmt.Sprint(strings.Contains(fmt.Sprint(e.Result[1]), "An error occurred"))
	},
	"40#2": func(r *replay, e exchange) (string, string) {
		return fmt.Sprintf("access rows after idSites=all with 125 sites: %d", len(r.s.Rows("many"))), e.Note
	},
	"40#27": func(r *replay, e exchange) (string, string) {
		var sites map[string][]int
		_ = json.Unmarshal([]byte(r.last), &sites)
		return fmt.Sprintf("inner site list of the user: %d / 125", len(sites["many"])), e.Note
	},
	"41#8": segments, "41#10": segments,
	"46#2": func(r *replay, e exchange) (string, string) {
		rows := r.s.Rows("alice")
		sort.Slice(rows, func(i, j int) bool { return rows[i].Site < rows[j].Site })
		var got []string
		for _, row := range rows {
			got = append(got, fmt.Sprintf("%s\t%d\t%s", row.Login, row.Site, row.Access))
		}
		return strings.Join(got, "\n"), text(e.Rows)
	},
	"47#0": parallelAdds,
	"48#1": func(r *replay, e exchange) (string, string) { return r.bigBulk(1000, ""), measured(e) },
	"48#2": func(r *replay, e exchange) (string, string) { return r.bigBulk(2000, "filter_limit=-1"), measured(e) },
	"48#3": func(r *replay, e exchange) (string, string) {
		body := members("UsersManager.getUsersLogin") + "&filter_limit=-1&token_auth=TOKEN"
		return r.bigRead(body), measured(e)
	},
	// The recording does not say what was in the URL: with two more parameters
	// in the body, 996 members fit.
	"48#4": func(r *replay, e exchange) (string, string) {
		return r.bigRead("token_auth=TOKEN&filter_limit=-1&x=1&y=1&" + members("API.getMatomoVersion")), measured(e)
	},
	"48#5": func(r *replay, _ exchange) (string, string) { return r.manyIDs("&idSites[]=%d"), "300 rows" },
	"48#6": func(r *replay, _ exchange) (string, string) { return r.manyIDs(",%d"), "300 rows" },
	"50#5": func(r *replay, e exchange) (string, string) {
		var got []string
		for _, u := range r.s.Users() {
			if strings.HasPrefix(u.Login, "bp") && u.Login != "bpq" {
				got = append(got, u.Login+"\t"+u.Email)
			}
		}
		return strings.Join(got, "\n"), text(e.Rows)
	},
}

func text(raw json.RawMessage) string {
	var s string
	_ = json.Unmarshal(raw, &s)
	return s
}

// cascade looks at what casc has in the database.
func cascade(r *replay, e exchange) (got, want string) {
	recorded, found := map[string]string{}, map[string]string{}
	if err := json.Unmarshal(e.Rows, &recorded); err != nil {
		r.t.Fatal(err)
	}
	set := func(name string, there bool, value string) {
		if found[name] = ""; there {
			found[name] = value
		}
	}
	u, exists := r.s.User("casc")
	set("user", exists, u.Login+"\t"+u.Email)
	rows := r.s.Rows("casc")
	set("access", len(rows) == 1, "1\twrite")
	set("user_token_auth", len(r.s.Tokens("casc")) == 1, "t")
	set("segment", r.s.SegmentOwners()["casc private"] == "casc", "casc private\t0\t0")
	set("report", len(r.s.Reports()) == 1, "casc report\t0")
	set("user_language", u.Language != "", u.Language)
	preference, _ := r.s.Preference("casc", "defaultReport")
	set("option", preference == "1", recorded["option"])
	for _, name := range slices.Collect(maps.Keys(recorded)) {
		if name == "user_dashboard" || name == "twofactor_recovery_code" { // seen through the API and in getUser
			delete(recorded, name)
		}
	}
	return fmt.Sprint(found), fmt.Sprint(recorded)
}

// segments looks at the owners of the segments.
func segments(r *replay, e exchange) (got, want string) {
	recorded := map[string]string{}
	for line := range strings.SplitSeq(text(e.Rows), "\n") {
		fields := strings.Split(line, "\t")
		recorded[fields[1]] = fields[2]
	}
	return fmt.Sprint(r.s.SegmentOwners()), fmt.Sprint(recorded)
}

// parallelAdds sends addUser of one login six times at once.
func parallelAdds(r *replay, e exchange) (got, want string) {
	defer r.s.Fault(matomotest.Fault{Kind: matomotest.Gap, Method: "UsersManager.addUser", Latency: time.Second})()
	answers := make([]string, 6)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() {
			answers[i] = r.post("UsersManager.addUser", fmt.Sprintf("userLogin=race&password=Some-Passw0rd1&email=race%d@x.test", i))
		})
	}
	wg.Wait()
	var recorded []string
	for _, result := range e.Results {
		answer := result[1].(map[string]any)
		recorded = append(recorded, fmt.Sprintf(`{"result":"%s","message":"%s"}`, answer["result"], answer["message"]))
	}
	sort.Strings(answers)
	sort.Strings(recorded)
	return strings.Join(answers, "\n"), strings.Join(recorded, "\n")
}

// members are 1,200 bulk members.
func members(method string) string {
	f := &orderedForm{}
	for range 1200 {
		f.add("urls[]", "method="+method)
	}
	return f.text
}

// bigBulk writes 300 rows in one bulk request.
func (r *replay) bigBulk(from int, extra string) string {
	f := &orderedForm{}
	for i := range 300 {
		f.add("urls[]", fmt.Sprintf("method=UsersManager.setUserAccess&userLogin=blk&access=view&idSites=%d", from+i))
	}
	before := len(r.s.Rows("blk"))
	keys, _ := keysOf(r.t, r.post("API.getBulkRequest", extra+"&"+f.text))
	return fmt.Sprintf("%d results, %d rows", len(keys), len(r.s.Rows("blk"))-before)
}

// bigRead sends a body of more than 1,000 variables.
func (r *replay) bigRead(body string) string {
	rq, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost,
		"http://matomo.test/index.php?module=API&format=JSON&method=API.getBulkRequest", strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	rq.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := r.s.RoundTripper().RoundTrip(rq)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var results []map[string]string
	if err := json.NewDecoder(resp.Body).Decode(&results); err != nil {
		r.t.Fatal(err)
	}
	return fmt.Sprintf("%d: %d results, first %v", resp.StatusCode, len(results), results[0])
}

// manyIDs names 300 sites in one call.
func (r *replay) manyIDs(format string) string {
	r.s.Revoke("blk")
	ids := ""
	for i := range 300 {
		ids += fmt.Sprintf(format, 3000+i)
	}
	if strings.HasPrefix(ids, ",") {
		ids = "&idSites=" + ids[1:]
	}
	r.post("UsersManager.setUserAccess", "userLogin=blk&access=view"+ids)
	return fmt.Sprintf("%d rows", len(r.s.Rows("blk")))
}

// measured writes down a measurement the way bigBulk and bigRead do.
func measured(e exchange) string {
	m := e.Measured
	if _, ok := m["results returned"]; ok {
		rows := m["rows written"]
		if rows == nil {
			rows = m["rows really written"]
		}
		return fmt.Sprintf("%v results, %v rows", m["results returned"], rows)
	}
	first := fmt.Sprint(m["first"])
	// Python's way to write a dictionary.
	first = regexp.MustCompile(`'(\w+)': ['"](.*?)['"]([,}])`).ReplaceAllString(first, "$1:$2$3")
	first = "map[" + strings.NewReplacer("{", "", "}", "", ", message", " message").Replace(first) + "]"
	parts := strings.SplitN(strings.Trim(first, "map[]"), " message:", 2)
	if len(parts) == 2 {
		first = "map[message:" + parts[1] + " " + parts[0] + "]"
	}
	return fmt.Sprintf("%v: %v results, first %s", m["status"], m["results"], first)
}
