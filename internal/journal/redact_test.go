package journal

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// kept is what the journal shows of a body that was read to its end.
func kept(text string) string {
	b := body{ended: true}
	b.add([]byte(text))
	return b.shown()
}

func TestShown(t *testing.T) {
	for name, c := range map[string]struct{ sent, want string }{
		"nothing":            {"", ""},
		"no secret":          {`{"userName": "ada",  "active":true}`, `{"userName": "ada",  "active":true}`},
		"form is kept":       {"{\n\t\"b\": 1e2, \"a\":\"\\u0041\", \"b\":null}", "{\n\t\"b\": 1e2, \"a\":\"\\u0041\", \"b\":null}"},
		"password":           {`{"userName":"ada","password":"hunter2","active":true}`, `{"userName":"ada","password":"[redacted]","active":true}`},
		"any case":           {`{"PassWord" : "hunter2" }`, `{"PassWord" : "[redacted]" }`},
		"escaped name":       {`{"pass\u0077ord":"hunter2"}`, `{"pass\u0077ord":"[redacted]"}`},
		"number":             {`{"password":12345678}`, `{"password":"[redacted]"}`},
		"list":               {`{"password":["hunter2",{"a":"hunter2"}]}`, `{"password":"[redacted]"}`},
		"object in object":   {`{"password":{"password":"hunter2"}}`, `{"password":"[redacted]"}`},
		"twice":              {`{"password":"hunter2","password":"hunter2"}`, `{"password":"[redacted]","password":"[redacted]"}`},
		"URN":                {`{"urn:ietf:params:scim:schemas:core:2.0:User:password":"hunter2"}`, `{"urn:ietf:params:scim:schemas:core:2.0:User:password":"[redacted]"}`},
		"extension":          {`{"urn:x":{"apiKey":"hunter2","clientSecret":"hunter2"}}`, `{"urn:x":{"apiKey":"[redacted]","clientSecret":"[redacted]"}}`},
		"PATCH with path":    {`{"Operations":[{"op":"replace","path":"password","value":"hunter2"},{"op":"add","path":"title","value":"x"}]}`, `{"Operations":[{"op":"replace","path":"password","value":"[redacted]"},{"op":"add","path":"title","value":"x"}]}`},
		"PATCH, value first": {`{"Operations":[{"value":"hunter2","path":"Password"}]}`, `{"Operations":[{"value":"[redacted]","path":"Password"}]}`},
		"PATCH without path": {`{"Operations":[{"op":"replace","value":{"password":"hunter2"}}]}`, `{"Operations":[{"op":"replace","value":{"password":"[redacted]"}}]}`},
		"PATCH, odd case":    {`{"Operations":[{"Path":"password","VALUE":"hunter2"}]}`, `{"Operations":[{"Path":"password","VALUE":"[redacted]"}]}`},
		"bulk":               {`{"Operations":[{"method":"POST","path":"/Users","data":{"password":"hunter2"}}]}`, `{"Operations":[{"method":"POST","path":"/Users","data":{"password":"[redacted]"}}]}`},
		"search":             {`{"filter":"password eq \"hunter2\"","count":1}`, `{"filter":"[redacted]","count":1}`},
		"search, unquoted":   {`{"Filter":"title pr and password eq hunter2"}`, `{"Filter":"[redacted]"}`},
		"search for others":  {`{"filter":"title eq \"x\"","attributes":["password"]}`, `{"filter":"title eq \"x\"","attributes":["password"]}`},
		"PATCH with filter":  {`{"Operations":[{"op":"remove","path":"x[password eq \"hunter2\"]"}]}`, `{"Operations":[{"op":"remove","path":"[redacted]"}]}`},
		"broken":             {`{"userName": bad`, `{"userName": bad`},
		"broken with secret": {`{"userName": bad, "password": "hunter2"`, `(39 bytes that are not JSON, not shown because they may hold a secret)`},
		"broken and escaped": {`{"p\u0061ssword": "hunter2",`, `(28 bytes that are not JSON, not shown because they may hold a secret)`},
		"two documents":      {`{"a":1}{"password":"hunter2"}`, `(29 bytes that are not JSON, not shown because they may hold a secret)`},
		"form":               {`userName=ada&password=hunter2`, `(29 bytes that are not JSON, not shown because they may hold a secret)`},
		"text":               {"hello\x00\x1b[2J\u202eabc", "hello??[2J?abc"},
		"not UTF-8":          {"\xff\xfe", "?"},
		"just a string":      {`"hunter"`, `"hunter"`},
	} {
		if got := kept(c.sent); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
	}
}

// TestShown_NeverASecret: wherever a secret stands in a document, whatever is around it, and wherever the document is
// cut off, it is not in what is kept.
func TestShown_NeverASecret(t *testing.T) {
	const secret = "hunter2hunter2"
	rapid.Check(t, func(rt *rapid.T) {
		text, err := json.Marshal(documentWith(rt, secret, 3))
		if err != nil {
			rt.Fatal(err)
		}
		if rapid.Bool().Draw(rt, "cut") {
			text = text[:rapid.IntRange(0, len(text)).Draw(rt, "at")]
		}
		if got := kept(string(text)); strings.Contains(got, secret) {
			rt.Fatalf("%s\nis kept as\n%s", text, got)
		}
	})
}

// documentWith draws a document with the secret under names that mark it.
func documentWith(rt *rapid.T, secret string, depth int) any {
	name := func(label string) string {
		return rapid.SampledFrom([]string{"userName", "value", "a b", "displayName", "op", "x.y"}).Draw(rt, label)
	}
	switch kind := rapid.IntRange(0, 5).Draw(rt, "kind"); {
	case depth == 0 || kind == 0:
		word := rapid.SampledFrom([]string{"password", "PASSWORD", "clientSecret", "access_token", "urn:x:User:password", "apiKey"}).Draw(rt, "word")
		return map[string]any{name("before"): 1, word: rapid.SampledFrom([]any{secret, []any{secret}, map[string]any{"value": secret}}).Draw(rt, "form")}
	case kind == 1:
		return map[string]any{"op": "replace", "path": "password", "value": secret}
	case kind == 5:
		quote := rapid.SampledFrom([]string{"", `"`}).Draw(rt, "quote")
		key := rapid.SampledFrom([]string{"filter", "path", "FILTER"}).Draw(rt, "key")
		return map[string]any{key: rapid.SampledFrom([]string{"", `title eq "x" and `, "not (", "x["}).Draw(rt, "lead") + "password eq " + quote + secret + quote}
	case kind == 2:
		return []any{documentWith(rt, secret, depth-1), "text", documentWith(rt, secret, depth-1)}
	}
	return map[string]any{name("outer"): documentWith(rt, secret, depth-1), "schemas": []any{"urn:x"}}
}

func TestShownPath(t *testing.T) {
	for sent, want := range map[string]string{
		"/scim/v2/Users": "/scim/v2/Users",
		"/scim/v2/Users?filter=userName+eq+%22ada%22&count=1":  "/scim/v2/Users?filter=userName+eq+%22ada%22&count=1",
		"/Users?access_token=hunter2&count=1":                  "/Users?access_token=[redacted]&count=1",
		"/Users?Authorization=Bearer%20hunter2":                "/Users?Authorization=[redacted]",
		"/Users?to%6ben=hunter2":                               "/Users?to%6ben=[redacted]",
		"/Users?filter=password+eq+%22hunter2%22+and+title+pr": "/Users?filter=password [redacted]",
		"/Users?filter=title+eq+%22x%22+and+password+eq+%22hu": `/Users?filter=title eq "x" and password [redacted]`,
		"/Users?filter=password+eq+%22hunter2":                 "/Users?filter=password [redacted]",
		"/Users?filter=password+eq+hunter2":                    "/Users?filter=password [redacted]",
		"/Users?filter=password+eq+12345678":                   "/Users?filter=password [redacted]",
		"/Users?filter=password%3Dhunter2":                     "/Users?filter=password [redacted]",
		"/Users?filter=emails[password+sw+hunter2].value+pr":   "/Users?filter=emails[password [redacted]",
		"/Users?attributes=password,userName&sortBy=password":  "/Users?attributes=password,userName&sortBy=password",
		"/Users?filter=%zz+hunter2":                            "/Users?(cannot be read)",
		"/Users?":                                              "/Users?",
	} {
		if got := shownPath(sent); got != want {
			t.Errorf("%s: %s, want %s", sent, got, want)
		}
	}
}

// FuzzShown looks for bodies that break the search for secrets, or are kept too long.
func FuzzShown(f *testing.F) {
	f.Add(`{"Operations":[{"value":"x","path":"Password"}]}`)
	f.Add(`{"password":{"a":[1,2,{"b":null}]},"c":"\ud800"}`)
	f.Add("[[[[[[{\"a\":")
	f.Fuzz(func(t *testing.T, text string) {
		got := kept(text)
		if len(got) > 2*maxBody+100 {
			t.Errorf("%d bytes are kept of %d", len(got), len(text))
		}
		// A JSON document stays one.
		if json.Valid([]byte(text)) && len(text) <= maxBody && clean(text, maxBody) == text && got != "" && !json.Valid([]byte(got)) {
			t.Errorf("%q became %q", text, got)
		}
		_ = shownPath("/Users?" + text)
	})
}
