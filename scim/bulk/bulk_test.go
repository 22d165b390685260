package bulk_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/matomo-scim/bridge/scim/bulk"
	"github.com/matomo-scim/bridge/scim/schema"
)

// stand answers calls as a server would: a POST makes the id u1, u2 and so on, everything else works unless it is told
// to fail.
type stand struct {
	calls []string
	fail  map[string]int // status by "METHOD path"
	made  int
	after int // calls after which nobody waits any more; 0 for never
}

func (s *stand) do(c bulk.Call) bulk.Answer {
	text := c.Method + " " + c.Path
	if c.Version != "" {
		text += " if " + c.Version
	}
	if c.Data != nil {
		data := map[string]any{}
		for k, v := range c.Data {
			if k != "schemas" {
				data[k] = v
			}
		}
		b, err := json.Marshal(data)
		if err != nil {
			return bulk.Answer{Status: 500, Body: []byte(err.Error())}
		}
		text += " " + string(b)
	}
	s.calls = append(s.calls, text)
	for what, status := range s.fail {
		if strings.HasPrefix(text, what) {
			return bulk.Answer{Status: status, Body: []byte(`"failed"`)}
		}
	}
	a := bulk.Answer{Status: 200, Version: fmt.Sprintf(`W/"%d"`, len(s.calls))}
	switch c.Method {
	case "POST":
		s.made++
		a.Status, a.ID = 201, fmt.Sprintf("u%d", s.made)
	case "DELETE":
		a = bulk.Answer{Status: 204}
	}
	return a
}

// refuse words errors as status and text.
func (*stand) refuse(err error) bulk.Answer {
	status := 400
	var ref *bulk.ReferenceError
	switch {
	case errors.As(err, &ref):
		status = 409
	case errors.Is(err, bulk.ErrEndpoint):
		status = 404
	}
	body, _ := json.Marshal(err.Error()) //nolint:errchkjson // a string always encodes
	return bulk.Answer{Status: status, Body: body}
}

func (s *stand) goOn() bool { return s.after == 0 || len(s.calls) < s.after }

// types are the kinds of resources that operations are about.
func types() []*schema.ResourceType { return []*schema.ResourceType{schema.User(), schema.Group()} }

// read reads the message of operations; more are further members.
func read(t testing.TB, mode schema.Mode, operations string, more ...string) (bulk.Request, error) {
	t.Helper()
	text := `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[` + operations + `]`
	for _, m := range more {
		text += "," + m
	}
	doc, err := schema.Decode([]byte(text + "}"))
	if err != nil {
		t.Fatal(err)
	}
	return bulk.FromDocument(doc, types(), mode)
}

// run carries out operations and gives the results as lines.
func run(t testing.TB, s *stand, operations string, more ...string) []string {
	t.Helper()
	req, err := read(t, schema.Mode{}, operations, more...)
	if err != nil {
		t.Fatal(err)
	}
	results := bulk.Run(req, bulk.Server{Do: s.do, Refuse: s.refuse, GoOn: s.goOn})
	doc := bulk.Document(req, results, "B")
	if !slices.Equal(doc["schemas"].([]any), []any{"urn:ietf:params:scim:api:messages:2.0:BulkResponse"}) {
		t.Errorf("schemas %v", doc["schemas"])
	}
	var out []string
	for _, e := range doc["Operations"].([]any) {
		one := e.(map[string]any)
		line := fmt.Sprintf("%s %s", one["method"], one["status"])
		for _, name := range []string{"bulkId", "location", "version"} {
			if v, ok := one[name]; ok {
				line += fmt.Sprintf(" %s=%s", name, v)
			}
		}
		if v, ok := one["response"]; ok {
			line += fmt.Sprintf(" %s", v)
		}
		out = append(out, line)
	}
	return out
}

// same compares lists of lines.
func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s\ngot  %s\nwant %s", what, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

const (
	ada    = `{"method":"POST","path":"/Users","bulkId":"ada","data":{"userName":"ada"}}`
	admins = `{"method":"POST","path":"/Groups","bulkId":"g","data":{"displayName":"admins","members":[{"value":"bulkId:ada","$ref":"../Users/bulkId:ada"}]}}`
)

func TestRun_Results(t *testing.T) {
	s := &stand{}
	got := run(t, s, ada+`,
		{"method":"put","path":"/Users/7","version":"W/\"3\"","data":{"userName":"b"}},
		{"method":"PATCH","path":"/Groups/8/","bulkId":"p","data":{"Operations":[]}},
		{"METHOD":"DELETE","Path":"/Users/9","version":"W/\"4\""}`)
	same(t, "results", got, []string{
		`POST 201 bulkId=ada location=B/Users/u1 version=W/"1"`,
		`PUT 200 location=B/Users/7 version=W/"2"`,
		`PATCH 200 bulkId=p location=B/Groups/8 version=W/"3"`,
		`DELETE 204 location=B/Users/9`,
	})
	same(t, "calls", s.calls, []string{
		`POST /Users {"userName":"ada"}`,
		`PUT /Users/7 if W/"3" {"userName":"b"}`,
		`PATCH /Groups/8 {"Operations":[]}`,
		`DELETE /Users/9 if W/"4"`,
	})
}

// An operation waits for what it refers to; everything else keeps the client's order.
func TestRun_References(t *testing.T) {
	for name, tc := range map[string]struct {
		operations string
		calls      []string
	}{
		"in order": {ada + "," + admins, []string{
			`POST /Users {"userName":"ada"}`,
			`POST /Groups {"displayName":"admins","members":[{"$ref":"../Users/u1","value":"u1"}]}`,
		}},
		"before what it refers to": {admins + `,{"method":"DELETE","path":"/Users/old"},` + ada, []string{
			`DELETE /Users/old`,
			`POST /Users {"userName":"ada"}`,
			`POST /Groups {"displayName":"admins","members":[{"$ref":"../Users/u1","value":"u1"}]}`,
		}},
		"in a path": {`{"method":"DELETE","path":"/Users/bulkId:ada"},{"method":"PATCH","path":"/Users/BULKID:ada","data":{"a":1}},` + ada, []string{
			`POST /Users {"userName":"ada"}`, `DELETE /Users/u1`, `PATCH /Users/u1 {"a":1}`,
		}},
		"in the path of a PATCH operation": {
			ada + `,{"method":"PATCH","path":"/Groups/7","data":{"Operations":[{"op":"remove","path":"members[value eq \"bulkId:ada\" or value eq \"x\"]"}]}}`,
			[]string{
				`POST /Users {"userName":"ada"}`,
				`PATCH /Groups/7 {"Operations":[{"op":"remove","path":"members[value eq \"u1\" or value eq \"x\"]"}]}`,
			},
		},
		"in an extension": {
			`{"method":"POST","path":"/Users","bulkId":"b","data":{"urn:x:User":{"manager":{"value":"bulkId:ada"}}}},` + ada,
			[]string{`POST /Users {"userName":"ada"}`, `POST /Users {"urn:x:User":{"manager":{"value":"u1"}}}`},
		},
		"to a resource that was there": {
			`{"method":"PUT","path":"/Users/7","bulkId":"seven","data":{"userName":"s"}},
			{"method":"PATCH","path":"/Groups/8","data":{"Operations":[{"op":"add","path":"members","value":[{"value":"bulkId:seven"}]}]}}`,
			[]string{
				`PUT /Users/7 {"userName":"s"}`,
				`PATCH /Groups/8 {"Operations":[{"op":"add","path":"members","value":[{"value":"7"}]}]}`,
			},
		},
		"on the same path the order stays": {
			`{"method":"PATCH","path":"/Groups/8","data":{"v":"bulkId:ada"}},{"method":"PATCH","path":"/Groups/8","data":{"v":2}},` + ada,
			[]string{`POST /Users {"userName":"ada"}`, `PATCH /Groups/8 {"v":"u1"}`, `PATCH /Groups/8 {"v":2}`},
		},
		"unless a reference wants it otherwise": {
			`{"method":"PATCH","path":"/Groups/8","data":{"v":"bulkId:later"}},{"method":"PUT","path":"/Groups/8","bulkId":"later","data":{"v":2}}`,
			[]string{`PUT /Groups/8 {"v":2}`, `PATCH /Groups/8 {"v":"8"}`},
		},
		"what a client cannot say refers to nothing": {
			`{"method":"POST","path":"/Users","bulkId":"b","data":{"userName":"b","groups":[{"value":"bulkId:nobody"}],"id":"bulkId:x"}}`,
			[]string{`POST /Users {"groups":[{"value":"bulkId:nobody"}],"id":"bulkId:x","userName":"b"}`},
		},
		"text that only looks like one": {
			ada + `,{"method":"POST","path":"/Users","bulkId":"b","data":{"userName":"see bulkId:ada","title":"a/bulkId:ada","x":"bulk"}}`,
			[]string{`POST /Users {"userName":"ada"}`, `POST /Users {"title":"a/bulkId:ada","userName":"see bulkId:ada","x":"bulk"}`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := &stand{}
			run(t, s, tc.operations)
			same(t, "calls", s.calls, tc.calls)
		})
	}
}

func TestRun_ReferencesThatCannotBeResolved(t *testing.T) {
	for name, tc := range map[string]struct {
		operations string
		fail       map[string]int
		results    []string
	}{
		"nobody has it": {admins, nil, []string{
			`POST 409 bulkId=g "bulkId:ada cannot be resolved: no operation of this request has it"`,
		}},
		"its operation failed": {admins + "," + ada, map[string]int{"POST /Users": 400}, []string{
			`POST 409 bulkId=g "bulkId:ada cannot be resolved: its operation failed"`, `POST 400 bulkId=ada "failed"`,
		}},
		"its operation could not be read": {admins + `,{"method":"POST","path":"/Users","bulkId":"ada"}`, nil, []string{
			`POST 409 bulkId=g "bulkId:ada cannot be resolved: its operation failed"`,
			`POST 400 bulkId=ada "data: POST needs an object"`,
		}},
		"in a path": {`{"method":"DELETE","path":"/Users/bulkId:x"}`, nil, []string{
			`DELETE 409 "bulkId:x cannot be resolved: no operation of this request has it"`,
		}},
		"with an empty name": {`{"method":"POST","path":"/Users","data":{"manager":"bulkId:"}},{"method":"POST","path":"/Users","data":{"userName":"b"}}`, nil, []string{
			`POST 409 "bulkId: cannot be resolved: no operation of this request has it"`,
			`POST 201 location=B/Users/u1 version=W/"1"`,
		}},
		"several have it": {ada + "," + ada + "," + admins, nil, []string{
			`POST 400 bulkId=ada "bulkId: \"ada\" is the bulkId of several operations"`,
			`POST 400 bulkId=ada "bulkId: \"ada\" is the bulkId of several operations"`,
			`POST 409 bulkId=g "bulkId:ada cannot be resolved: its operation failed"`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			same(t, "results", run(t, &stand{fail: tc.fail}, tc.operations), tc.results)
		})
	}
}

func TestFromDocument_Refused(t *testing.T) {
	for text, want := range map[string]string{
		`{}`: "schemas: urn:ietf:params:scim:api:messages:2.0:BulkRequest is missing",
		`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{}]}`:                                      "schemas: urn:ietf:params:scim:api:messages:2.0:BulkRequest is missing",
		`{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"]}`:                                                    "Operations: a list of operations is expected",
		`{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[]}`:                                    "Operations: a list of operations is expected",
		`{"schemas":["urn:ietf:params:scim:api:messages:2.0:bulkrequest"],"operations":{"a":1}}`:                               "Operations: a list of operations is expected",
		`{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[{}],"OPERATIONS":[]}`:                  "operations: the name is there twice",
		`{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[{}],"failOnErrors":0}`:                 "failOnErrors: a whole number from 1 is expected",
		`{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[{}],"failOnErrors":"1"}`:               "failOnErrors: a whole number from 1 is expected",
		`{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[{}],"failonerrors":1.5}`:               "failOnErrors: a whole number from 1 is expected",
		`{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[{}],"failOnErrors":99999999999999999}`: "",
	} {
		doc, err := schema.Decode([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if _, err := bulk.FromDocument(doc, types(), schema.Mode{}); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s\ngot  %q\nwant %q", text, got, want)
		}
	}
}

// What is wrong with one operation is that operation's result.
func TestRun_OperationsRefused(t *testing.T) {
	for text, want := range map[string]string{
		`7`:  ` 400 "an operation must be an object"`,
		`{}`: ` 400 "method: POST, PUT, PATCH or DELETE is expected"`,
		`{"method":"GET","path":"/Users/1","bulkId":"x"}`:                `GET 400 bulkId=x "method: only POST, PUT, PATCH and DELETE can be part of a bulk request"`,
		`{"method":"DELETE","path":"/Users/1","Path":"/Users/2"}`:        `DELETE 400 "path: the name is there twice"`,
		`{"method":7,"path":"/Users/1"}`:                                 ` 400 "method: a string is expected"`,
		`{"method":"DELETE","path":"/Users/1","bulkId":7}`:               `DELETE 400 "bulkId: a string is expected"`,
		`{"method":"DELETE","path":"Users/1"}`:                           `DELETE 400 "path: a path such as /Users or /Users/{id} is expected"`,
		`{"method":"DELETE"}`:                                            `DELETE 400 "path: a path such as /Users or /Users/{id} is expected"`,
		`{"method":"DELETE","path":"/Users/a?b"}`:                        `DELETE 400 "path: the id has characters that no id has"`,
		`{"method":"DELETE","path":"/Users/../Groups/1"}`:                `DELETE 400 "path: the id has characters that no id has"`,
		`{"method":"DELETE","path":"/Users/bulkId:"}`:                    `DELETE 400 "path: the id has characters that no id has"`,
		`{"method":"DELETE","path":"/Devices/1"}`:                        `DELETE 404 "no such endpoint: bulk operations are about resources"`,
		`{"method":"POST","path":"/Bulk","data":{}}`:                     `POST 404 "no such endpoint: bulk operations are about resources"`,
		`{"method":"POST","path":"/Users/.search","data":{}}`:            `POST 404 "no such endpoint: bulk operations are about resources"`,
		`{"method":"POST","path":"/Users"}`:                              `POST 400 "data: POST needs an object"`,
		`{"method":"PUT","path":"/Users/1","data":[1]}`:                  `PUT 400 "data: PUT needs an object"`,
		`{"method":"DELETE","path":"/Users/1","version":1,"bulkId":"x"}`: `DELETE 400 bulkId=x "version: a string is expected"`,
	} {
		s := &stand{}
		got := run(t, s, text+","+ada)
		same(t, text, got, []string{want, `POST 201 bulkId=ada location=B/Users/u1 version=W/"1"`})
	}
}

func TestFromDocument_BulkIDMissing(t *testing.T) {
	const one = `{"method":"POST","path":"/Users","data":{"userName":"a"}}`
	req, err := read(t, schema.Mode{}, one)
	if err != nil || !slices.Equal(req.Fixups, schema.Fixups{schema.FixBulkIDMissing}) {
		t.Errorf("fixups %v, %v", req.Fixups, err)
	}
	if req, err = read(t, schema.Mode{Strict: true}, one); err != nil {
		t.Fatal(err)
	}
	s := &stand{}
	if res := bulk.Run(req, bulk.Server{Do: s.do, Refuse: s.refuse, GoOn: s.goOn}); res[0].Answer.Status != 400 || len(s.calls) > 0 {
		t.Errorf("strict: %+v after %v", res, s.calls)
	}
}
