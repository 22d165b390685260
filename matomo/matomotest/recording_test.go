package matomotest_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"
)

// An exchange is one entry of a recording. An entry without a request is a
// look: its other fields depend on what was looked at.
type exchange struct {
	Request  *recordedRequest  `json:"request"`
	Response *recordedResponse `json:"response"`
	Note     string            `json:"note"`

	Result   []any           `json:"result"`   // of a browser
	Rows     json.RawMessage `json:"rows"`     // of the database
	Measured map[string]any  `json:"measured"` // of a bulk too big to record
	Results  [][]any         `json:"results"`  // of parallel calls

	file  string // "07"
	index int
}

type recordedRequest struct {
	Method    string      `json:"http_method"`
	Auth      string      `json:"auth"`
	Params    [][2]string `json:"params"`
	URLParams [][2]string `json:"url_params"`
	Note      string      `json:"note"`
}

type recordedResponse struct {
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

// readRecordings returns the files of a version in the order of their numbers.
func readRecordings(t *testing.T, version string) [][]exchange {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("testdata", "recordings", version, "*.json"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no recordings of %s: %v", version, err)
	}
	sort.Strings(names)
	var files [][]exchange
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var entries []exchange
		if err := json.Unmarshal(data, &entries); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for i := range entries {
			entries[i].file, entries[i].index = filepath.Base(name)[:2], i
		}
		files = append(files, entries)
	}
	return files
}

// build makes the HTTP request again. secret replaces the masks in values.
func (r *recordedRequest) build(t *testing.T, secret func(string) string) *http.Request {
	t.Helper()
	query, body := url.Values{}, &orderedForm{}
	for _, p := range r.URLParams {
		query.Set(p[0], secret(p[1]))
	}
	for _, p := range r.Params {
		inURL := r.Method == http.MethodGet || (r.Auth == "get" && p[0] == "token_auth")
		if inURL {
			query.Set(p[0], secret(p[1]))
		} else {
			body.add(p[0], secret(p[1]))
		}
	}
	contentType := "application/x-www-form-urlencoded"
	if r.Note == "JSON body" {
		contentType = "application/json"
		body.text = `{"module":"API","method":"API.getMatomoVersion","format":"JSON"}`
	}
	target := "http://matomo.test/index.php"
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	rq, err := http.NewRequestWithContext(t.Context(), r.Method, target, strings.NewReader(body.text))
	if err != nil {
		t.Fatal(err)
	}
	if r.Method == http.MethodPost {
		rq.Header.Set("Content-Type", contentType)
	}
	if header, value, ok := strings.Cut(r.Auth, ": "); ok {
		rq.Header.Set(header, secret(value))
	}
	return rq
}

// method returns the API method of a request, wherever it is.
func (r *recordedRequest) method() string {
	for _, list := range [][][2]string{r.URLParams, r.Params} {
		for _, p := range list {
			if p[0] == "method" {
				return p[1]
			}
		}
	}
	return ""
}

// orderedForm is a form whose parameters keep their order, which matters to
// PHP's max_input_vars.
type orderedForm struct{ text string }

func (f *orderedForm) add(name, value string) {
	if f.text != "" {
		f.text += "&"
	}
	f.text += url.QueryEscape(name) + "=" + url.QueryEscape(value)
}

var (
	datePattern     = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`)
	durationPattern = regexp.MustCompile(`"last_seen":"\d\d:\d\d:\d\d"`)
	tokenPattern    = regexp.MustCompile(`"value":"(TOKEN:[^"]*|[0-9a-f]{32})"`)
	linkPattern     = regexp.MustCompile(`"value":"http:[^"]*token=[^"]*"`)
	titlePattern    = regexp.MustCompile(`(?s)<title>(.*?)</title>`)
	headingPattern  = regexp.MustCompile(`(?s)<h2>(.*?)</h2>`)
)

// normal takes out of a body what no two runs share: moments, durations, new
// tokens and links; and it reduces a page to its marker.
func normal(body string) string {
	if strings.HasPrefix(body, "<!DOCTYPE html>\n") {
		marker := "<!DOCTYPE html> "
		if m := titlePattern.FindStringSubmatch(body); m != nil {
			marker += m[1]
		}
		marker += " | "
		if m := headingPattern.FindStringSubmatch(body); m != nil {
			marker += m[1]
		}
		return marker
	}
	body = datePattern.ReplaceAllString(body, "MOMENT")
	body = durationPattern.ReplaceAllString(body, `"last_seen":"DURATION"`)
	body = linkPattern.ReplaceAllString(body, `"value":"LINK"`)
	return tokenPattern.ReplaceAllString(body, `"value":"A TOKEN"`)
}
