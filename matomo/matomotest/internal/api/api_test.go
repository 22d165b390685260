package api_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/matomo/matomotest/internal/api"
	"github.com/matomo-scim/bridge/matomo/matomotest/internal/model"
	"github.com/matomo-scim/bridge/matomo/matomotest/internal/php"
)

// newAPI returns an API with a few methods of its own: "T.echo" answers its
// parameters, "T.list" the numbers below n, "T.map" the same under the keys of
// the comma list keys, "T.refuse" refuses with text, "T.break" fails.
func newAPI(v5 bool) (a *api.API, seen *[]string) {
	seen = &[]string{}
	requests := 0
	a = &api.API{
		Instance: model.New(), V5: v5, Plugins: map[string]bool{"T": true, "API": true},
		Seen:  func(c *api.Call, err error) { *seen = append(*seen, fmt.Sprint(c.Method, " ", err)) },
		Count: func() int { requests++; return requests },
	}
	number := func(b []byte, i int) []byte { return php.AppendValue(b, i) }
	a.Methods = map[string]api.Method{
		"T.echo": {Run: func(c *api.Call) error { return c.Value(c.Text("a") + "|" + c.Text("b")) }},
		"T.list": {Run: func(c *api.Call) error { return c.List(max(0, min(c.Int("n", 0), 1000)), number) }},
		"T.map": {Run: func(c *api.Call) error {
			keys := strings.FieldsFunc(c.Text("keys"), func(r rune) bool { return r == ',' })
			return c.Keyed(len(keys), func(i int) string { return keys[i] }, number)
		}},
		"T.refuse": {Run: func(c *api.Call) error { return api.Refuse(c.Text("text")) }},
		"T.break":  {Run: func(*api.Call) error { return errBroken }},
		"T.who":    {Run: func(c *api.Call) error { return c.Value(c.Caller.Login()) }},
		"T.super":  {Needs: []string{"a"}, Checks: []api.Check{api.Superuser}, Run: func(c *api.Call) error { return c.Success() }},
	}
	a.Lock()
	defer a.Unlock()
	a.Insert(&model.Account{Login: model.Anonymous, Email: "anonymous@example.org"})
	for _, login := range []string{"alice", "root"} {
		u := &model.Account{Login: login, Email: login, Superuser: login == "root"}
		a.Insert(u)
		a.AddToken(u, &model.Token{Secret: "token-" + login})
	}
	return a, seen
}

var errBroken = errors.New("broken")

// ask sends a form to the API and returns status and body.
func ask(tb rapid.TB, a *api.API, query, form string) (int, string) {
	tb.Helper()
	r := httptest.NewRequest(http.MethodPost, "http://matomo.test/index.php?module=API&format=JSON&"+query, strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := a.Answer(r)
	if err != nil {
		tb.Fatalf("no answer: %v", err)
	}
	return answer.Status, string(answer.Body)
}

// TestBulk_SameAsAlone: the members of a bulk request answer what they answer
// alone, in their order, whatever the members are, except that error texts are
// not escaped.
func TestBulk_SameAsAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, _ := newAPI(true)
		members := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) url.Values {
			return url.Values{
				"method": {rapid.SampledFrom([]string{"T.echo", "T.list", "T.map", "T.refuse", "T.nope", "U.nope", "garbage", "T.super", "T.who"}).Draw(t, "method")},
				"a":      {rapid.String().Draw(t, "a")},
				"b":      {rapid.StringMatching(`[a-z&<>"']{0,5}`).Draw(t, "b")},
				"n":      {fmt.Sprint(rapid.IntRange(0, 200).Draw(t, "n"))},
				"keys":   {rapid.SampledFrom([]string{"", "0", "1,2", "x,1", "0,1,2", "007,5"}).Draw(t, "keys")},
				"text":   {rapid.StringMatching(`[a-z<>&"']{1,5}`).Draw(t, "text")},
			}
		}), 0, 6).Draw(t, "members")
		limit := rapid.SampledFrom([]string{"filter_limit=-1", "filter_limit=3", ""}).Draw(t, "limit")
		form := "token_auth=token-alice"
		var want []string
		for i, m := range members {
			form += fmt.Sprintf("&urls[%d]=%s", i, url.QueryEscape(m.Encode()))
			_, alone := ask(t, a, limit+"&method="+m.Get("method"), "token_auth=token-alice&"+m.Encode())
			if text := refusalText(alone); text != "" {
				alone = string(php.AppendObject(nil, func(o *php.Object) { o.Set("result", "error", "message", unescape(text)) }))
			}
			want = append(want, alone)
		}
		if limit == "filter_limit=3" && len(want) > 3 {
			want = want[:3]
		}
		if len(members) == 0 {
			form += "&urls[]=method%3DAPI.getBulkRequest" // skipped
		}
		if _, got := ask(t, a, limit+"&method=API.getBulkRequest", form); got != "["+strings.Join(want, ",")+"]" {
			t.Fatalf("got %s\nwant %s", got, want)
		}
	})
}

func refusalText(body string) string {
	var e struct{ Result, Message string }
	if json.Unmarshal([]byte(body), &e) != nil || e.Result != "error" {
		return ""
	}
	return e.Message
}

func unescape(s string) string {
	return strings.NewReplacer("&amp;", "&", "&lt;", "<", "&gt;", ">", "&quot;", `"`).Replace(s)
}

// TestKeyed: what filter_limit makes of a map (traps 2 and 4).
func TestKeyed(t *testing.T) {
	a, _ := newAPI(true)
	for _, tc := range []struct{ keys, filter, want string }{
		{"", "", `[]`},
		{"alice,bob", "", `{"alice":0,"bob":1}`},
		{"alice,bob", "filter_limit=1", `{"alice":0,"bob":1}`},
		{"alice,5,bob", "filter_limit=1", `{"alice":0,"5":1,"bob":2}`},
		{"5,alice,9", "filter_limit=-1", `{"5":0,"alice":1,"9":2}`},
		{"5,alice,9", "", `{"0":0,"alice":1,"1":2}`},
		{"5,alice,9", "filter_limit=2", `{"0":0,"alice":1}`},
		{"5,alice,9", "filter_limit=2&filter_offset=1", `{"alice":1,"0":2}`},
		{"5,6,7", "", `[0,1,2]`},
		{"5,6,7", "filter_limit=-1", `{"5":0,"6":1,"7":2}`},
		{"0,1,2", "filter_limit=-1", `[0,1,2]`},
		{"5,6,7", "filter_offset=1", `[1,2]`},
		{"5,6,7", "filter_limit=-1&filter_offset=1", `[1]`},
		{"5,6,7", "filter_limit=0", `[]`},
		{"007,6", "", `{"007":0,"0":1}`},
	} {
		if _, got := ask(t, a, "method=T.map&"+tc.filter, "keys="+tc.keys); got != tc.want {
			t.Errorf("%s with %q: %s, want %s", tc.keys, tc.filter, got, tc.want)
		}
	}
}

// TestMember_Encoding: how each version takes a member apart (trap 13).
func TestMember_Encoding(t *testing.T) {
	for _, tc := range []struct{ member, v5, v4 string }{
		{"method=T.echo&a=x&b=y", "x|y", "x|y"},
		{"method=T.echo&a=x%26b%3Dy", "x&b=y|", "x|y"},
		{"method=T.echo&a=x%2By", "x+y|", "x+y|"},
		{"method=T.echo&a=x+y", "x y|", "x y|"},
		{"method=T.echo&a=x%2520y", "x%20y|", "x%20y|"},
		{"method%3DT.echo%26a%3Dx%252By", "x+y|", "x%2By|"},
		{"?module=API&method=T.echo&a=x", "x|", "x|"},
		{"module=API&format=xml&method=T.echo&a=x", "x|", "x|"},
		{"method=T.echo&a=%20x%09", "x|", "x|"},
	} {
		for v5, want := range map[bool]string{true: tc.v5, false: tc.v4} {
			a, _ := newAPI(v5)
			_, got := ask(t, a, "method=API.getBulkRequest", "urls[]="+url.QueryEscape(tc.member))
			if got != `[{"value":"`+want+`"}]` {
				t.Errorf("%s, Matomo 5 %v: %s, want %s", tc.member, v5, got, want)
			}
		}
	}
}

func TestBulk_Forms(t *testing.T) {
	a, seen := newAPI(true)
	for form, want := range map[string]string{
		"":                                     `{"result":"error","message":"Please specify a value for 'urls'."}`,
		"urls=method%3DT.who":                  `[]`,
		"urls[]=index.php?method%3DT.who":      `[]`, // no method of its own, so a nested bulk
		"urls[]=method%3DAPI.getBulkRequest":   `[]`,
		"urls[]=method%3DT.who&urls[]=":        `[{"value":"anonymous"}]`,
		"urls[a]=method%3DT.who&urls[b]=x%3D1": `[{"value":"anonymous"}]`,
	} {
		if _, got := ask(t, a, "method=API.getBulkRequest", form); got != want {
			t.Errorf("%s: %s, want %s", form, got, want)
		}
	}
	*seen = nil
	ask(t, a, "method=API.getBulkRequest", "urls[]=method%3DT.refuse%26text%3Dno&urls[]=method%3DT.who")
	if diff := cmp.Diff([]string{"T.refuse no", "T.who <nil>", "API.getBulkRequest <nil>"}, *seen); diff != "" {
		t.Error(diff)
	}
}

// TestWho: which token counts, and what a bad one does, by version.
func TestWho(t *testing.T) {
	for _, tc := range []struct {
		query, form    string
		v5, v4         string // the body
		status5, fails int
	}{
		{"", "", "anonymous", "anonymous", 200, 0},
		{"", "token_auth=", "anonymous", "anonymous", 200, 0},
		{"", "token_auth=anonymous", "anonymous", "anonymous", 200, 0},
		{"", "token_auth=token-alice", "alice", "alice", 200, 0},
		{"&token_auth=token-alice", "", "alice", "alice", 200, 0},
		{"&token_auth=token-root", "token_auth=token-alice", "alice", "alice", 200, 0},
		{"", "token_auth=bad", "", "anonymous", 401, 1},
		{"&token_auth=bad", "", "", "anonymous", 401, 1},
		{"&token_auth=token-root", "token_auth=bad", "", "anonymous", 401, 1},
	} {
		for _, v5 := range []bool{true, false} {
			a, _ := newAPI(v5)
			status, body := ask(t, a, "method=T.who"+tc.query, tc.form)
			want, wantStatus := tc.v4, 200
			if v5 {
				want, wantStatus = tc.v5, tc.status5
			}
			if status != wantStatus || (want != "" && body != `{"value":"`+want+`"}`) || (want == "" && !strings.Contains(body, "Unable to authenticate")) {
				t.Errorf("%q %q, Matomo 5 %v: %d %s", tc.query, tc.form, v5, status, body)
			}
			a.Lock()
			if got := a.Failures("192.0.2.1"); got != tc.fails {
				t.Errorf("%q %q: %d failures of the address, want %d", tc.query, tc.form, got, tc.fails)
			}
			a.Unlock()
		}
	}
}

// TestOrder: the name of the method, its plugin, parameters, then rights.
func TestOrder(t *testing.T) {
	a, _ := newAPI(true)
	for query, want := range map[string]string{
		"method=U.super":           "The plugin U is not enabled.",
		"method=T.nope":            "The method 'nope' does not exist",
		"method=T.super":           "Please specify a value for 'a'.",
		"method=T.super&a=1":       "requires a 'superuser' access",
		"method=super":             "The method name is invalid.",
		"method=":                  "The parameter 'method' isn't set",
		"method=T.who&userLogin[]": "Invalid parameter number",
	} {
		if _, got := ask(t, a, query, ""); !strings.Contains(refusalText(got), want) {
			t.Errorf("%s: %s, want %q", query, got, want)
		}
	}
	if _, got := ask(t, a, "method=T.super&a=1", "token_auth=token-root"); got != `{"result":"success","message":"ok"}` {
		t.Errorf("as superuser: %s", got)
	}
}

// TestAnswer_PassesErrorsOn that are none of Matomo's.
func TestAnswer_PassesErrorsOn(t *testing.T) {
	a, _ := newAPI(true)
	for _, form := range []string{"method=T.break", "method=API.getBulkRequest&urls[]=method%3DT.break"} {
		r := httptest.NewRequest(http.MethodGet, "http://matomo.test/?module=API&format=json&"+form, http.NoBody)
		if answer, err := a.Answer(r); !errors.Is(err, errBroken) || answer != nil {
			t.Errorf("%s: %v, %v", form, answer, err)
		}
	}
	r := httptest.NewRequest(http.MethodPost, "http://matomo.test/?module=API", io.MultiReader(strings.NewReader("a=1"), brokenBody{}))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if _, err := a.Answer(r); !errors.Is(err, errBroken) {
		t.Errorf("a body that breaks off: %v", err)
	}
}

type brokenBody struct{}

func (brokenBody) Read([]byte) (int, error) { return 0, errBroken }

// FuzzAnswer: whatever is sent, there is an answer, and JSON where it says so.
func FuzzAnswer(f *testing.F) {
	f.Add("module=API&format=json&method=T.echo&a=1", "token_auth=token-root", true)
	f.Add("module=API&method=API.getBulkRequest&format=json", "urls[]=method%3DT.map%26keys%3D5&filter_limit=-3&filter_offset=9", false)
	f.Add("module=API&format=xml&method=T.list&n=5", "token_auth=bad", true)
	f.Fuzz(func(t *testing.T, query, form string, v5 bool) {
		a, _ := newAPI(v5)
		r := httptest.NewRequest(http.MethodPost, "http://matomo.test/index.php", strings.NewReader(form))
		r.URL.RawQuery = query
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		answer, err := a.Answer(r)
		if errors.Is(err, errBroken) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(answer.Header.Get("Content-Type"), "application/json") && !json.Valid(answer.Body) {
			t.Errorf("no JSON: %q", answer.Body)
		}
	})
}
