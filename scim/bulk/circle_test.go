package bulk_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/scim/bulk"
	"github.com/matomo-scim/bridge/scim/schema"
)

// group is the operation that creates a group of others.
func group(name string, members ...string) string {
	list := make([]string, len(members))
	for i, m := range members {
		list[i] = `{"value":"bulkId:` + m + `"}`
	}
	return `{"method":"POST","path":"/Groups","bulkId":"` + name + `","data":{"displayName":"` + name + `","members":[` + strings.Join(list, ",") + `]}}`
}

// TestRun_Circles holds B04: whoever closes the circle is created without it first.
func TestRun_Circles(t *testing.T) {
	const manager = `"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"`
	for name, tc := range map[string]struct {
		operations string
		calls      []string
	}{
		"two groups": {group("a", "b") + "," + group("b", "a"), []string{
			`POST /Groups {"displayName":"a"}`,
			`POST /Groups {"displayName":"b","members":[{"value":"u1"}]}`,
			`PATCH /Groups/u1 {"Operations":[{"op":"add","value":{"members":[{"value":"u2"}]}}]}`,
		}},
		"three, and one that waits outside": {group("z", "a") + "," + group("a", "b") + "," + group("b", "c") + "," + group("c", "a"), []string{
			`POST /Groups {"displayName":"a"}`,
			`POST /Groups {"displayName":"z","members":[{"value":"u1"}]}`,
			`POST /Groups {"displayName":"c","members":[{"value":"u1"}]}`,
			`POST /Groups {"displayName":"b","members":[{"value":"u3"}]}`,
			`PATCH /Groups/u1 {"Operations":[{"op":"add","value":{"members":[{"value":"u4"}]}}]}`,
		}},
		"a group of itself": {group("a", "a"), []string{
			`POST /Groups {"displayName":"a"}`,
			`PATCH /Groups/u1 {"Operations":[{"op":"add","value":{"members":[{"value":"u1"}]}}]}`,
		}},
		"managers": {
			`{"method":"POST","path":"/Users","bulkId":"a","data":{"userName":"a",` + manager + `:{"manager":{"value":"bulkId:b"}}}},
			{"method":"POST","path":"/Users","bulkId":"b","data":{"userName":"b",` + manager + `:{"manager":{"value":"bulkId:a"}}}}`,
			[]string{
				`POST /Users {"userName":"a"}`,
				`POST /Users {` + manager + `:{"manager":{"value":"u1"}},"userName":"b"}`,
				`PATCH /Users/u1 {"Operations":[{"op":"add","value":{` + manager + `:{"manager":{"value":"u2"}}}}]}`,
			},
		},
		"the one that can do without goes first": {
			`{"method":"POST","path":"/Users","bulkId":"a","data":{"userName":"bulkId:g"}},` + group("g", "a"),
			[]string{
				`POST /Groups {"displayName":"g"}`,
				`POST /Users {"userName":"u1"}`,
				`PATCH /Groups/u1 {"Operations":[{"op":"add","value":{"members":[{"value":"u2"}]}}]}`,
			},
		},
		"what changes a half made resource waits for the whole": {
			`{"method":"PATCH","path":"/Groups/bulkId:a","data":{"x":1}},` + group("a", "b") + "," + group("b", "a"),
			[]string{
				`POST /Groups {"displayName":"a"}`,
				`POST /Groups {"displayName":"b","members":[{"value":"u1"}]}`,
				`PATCH /Groups/u1 {"Operations":[{"op":"add","value":{"members":[{"value":"u2"}]}}]}`,
				`PATCH /Groups/u1 {"x":1}`,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := &stand{}
			for _, line := range run(t, s, tc.operations) {
				if !strings.Contains(line, " 20") {
					t.Errorf("result %s", line)
				}
			}
			same(t, "calls", s.calls, tc.calls)
		})
	}
}

func TestRun_CirclesRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		operations string
		results    []string
	}{
		"in what is required": {
			`{"method":"POST","path":"/Users","bulkId":"a","data":{"userName":"bulkId:a"}}`,
			[]string{`POST 409 bulkId=a "bulkId:a cannot be resolved: the operations need each other before any of them can run"`},
		},
		"in paths": {
			`{"method":"PATCH","path":"/Users/bulkId:b","bulkId":"a","data":{"x":1}},{"method":"DELETE","path":"/Users/bulkId:a","bulkId":"b"}`,
			[]string{
				`PATCH 409 bulkId=a "bulkId:b cannot be resolved: the operations need each other before any of them can run"`,
				`DELETE 409 bulkId=b "bulkId:a cannot be resolved: the operations need each other before any of them can run"`,
			},
		},
		"and who depends on them": {
			`{"method":"POST","path":"/Users","bulkId":"a","data":{"userName":"bulkId:a"}},` + group("g", "a") + "," + ada,
			[]string{
				`POST 409 bulkId=a "bulkId:a cannot be resolved: the operations need each other before any of them can run"`,
				`POST 409 bulkId=g "bulkId:a cannot be resolved: its operation failed"`,
				`POST 201 bulkId=ada location=B/Users/u1 version=W/"1"`,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			same(t, "results", run(t, &stand{}, tc.operations), tc.results)
		})
	}
}

// A resource that could not be finished is taken back, and its operation failed.
func TestRun_CirclesUndone(t *testing.T) {
	t.Run("its partner failed", func(t *testing.T) {
		s := &stand{fail: map[string]int{`POST /Groups {"displayName":"b"`: 409}}
		same(t, "results", run(t, s, group("a", "b")+","+group("b", "a")), []string{
			`POST 409 bulkId=a "bulkId:b cannot be resolved: its operation failed"`, `POST 409 bulkId=b "failed"`,
		})
		same(t, "calls", s.calls, []string{
			`POST /Groups {"displayName":"a"}`, `POST /Groups {"displayName":"b","members":[{"value":"u1"}]}`, `DELETE /Groups/u1`,
		})
	})
	t.Run("what was left out is refused", func(t *testing.T) {
		s := &stand{fail: map[string]int{`PATCH`: 400}}
		same(t, "results", run(t, s, group("a", "a")+","+group("b", "a")), []string{
			`POST 400 bulkId=a "failed"`, `POST 409 bulkId=b "bulkId:a cannot be resolved: its operation failed"`,
		})
		if last := s.calls[len(s.calls)-1]; last != `DELETE /Groups/u1` {
			t.Errorf("last call %s", last)
		}
	})
	t.Run("the request ended", func(t *testing.T) {
		s := &stand{fail: map[string]int{`POST /Groups {"displayName":"b"`: 409}}
		same(t, "results", run(t, s, group("a", "b")+","+group("b", "a"), `"failOnErrors":1`), []string{
			`POST 409 bulkId=a "bulkId:b cannot be resolved: the request ended before its operation"`, `POST 409 bulkId=b "failed"`,
		})
		same(t, "calls", s.calls[2:], []string{`DELETE /Groups/u1`})
	})
	t.Run("it could not be begun", func(t *testing.T) {
		s := &stand{fail: map[string]int{`POST /Groups {"displayName":"a"`: 409}}
		same(t, "results", run(t, s, group("a", "b")+","+group("b", "a")), []string{
			`POST 409 bulkId=a "failed"`, `POST 409 bulkId=b "bulkId:a cannot be resolved: its operation failed"`,
		})
		same(t, "calls", s.calls, []string{`POST /Groups {"displayName":"a"}`})
	})
}

func TestRun_FailOnErrors(t *testing.T) {
	const wrong = `{"method":"DELETE","path":"/Users/gone"}`
	operations := ada + "," + wrong + "," + group("b") + "," + wrong + "," + group("c")
	for _, tc := range []struct {
		more []string
		want int // results
	}{{nil, 5}, {[]string{`"failOnErrors":1`}, 2}, {[]string{`"failOnErrors":2`}, 4}, {[]string{`"failOnErrors":3`}, 5}} {
		s := &stand{fail: map[string]int{"DELETE": 404}}
		if got := run(t, s, operations, tc.more...); len(got) != tc.want || len(s.calls) != tc.want {
			t.Errorf("%v: %d results after %d calls, want %d", tc.more, len(got), len(s.calls), tc.want)
		}
	}
}

func TestRun_NobodyWaits(t *testing.T) {
	s := &stand{after: 1}
	if got := run(t, s, ada+","+group("b")+","+group("c")); len(got) != 1 || len(s.calls) != 1 {
		t.Errorf("results %v after %v", got, s.calls)
	}
}

// Whatever refers to whatever: each operation has one result, nothing is called with a reference in it, a call names
// only what was there before it, and what failed has left nothing behind.
func TestRun_AnyReferences(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "operations")
		name := rapid.SampledFrom([]string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "none"})
		var operations []string
		for i := range n {
			members := rapid.SliceOfN(name, 0, 3).Draw(t, "members")
			switch rapid.SampledFrom([]string{"group", "group", "group", "user", "patch", "delete", "wrong"}).Draw(t, "kind") {
			case "group":
				operations = append(operations, group(fmt.Sprint(i), members...))
			case "user":
				operations = append(operations, fmt.Sprintf(`{"method":"POST","path":"/Users","bulkId":"%d","data":{"userName":"bulkId:%s"}}`, i, name.Draw(t, "name")))
			case "patch":
				operations = append(operations, fmt.Sprintf(`{"method":"PATCH","path":"/Groups/bulkId:%s","bulkId":"%d","data":{"x":"bulkId:%s"}}`, name.Draw(t, "path"), i, name.Draw(t, "x")))
			case "delete":
				operations = append(operations, fmt.Sprintf(`{"method":"DELETE","path":"/Groups/%d","bulkId":"%d"}`, i%3, i))
			default:
				operations = append(operations, fmt.Sprintf(`{"method":"GET","path":"/Groups","bulkId":"%d"}`, i))
			}
		}
		doc, err := schema.Decode([]byte(`{"schemas":["` + schema.BulkRequestURN + `"],"Operations":[` + strings.Join(operations, ",") + `]}`))
		if err != nil {
			t.Fatal(err)
		}
		req, err := bulk.FromDocument(doc, types(), schema.Mode{})
		if err != nil {
			t.Fatal(err)
		}
		s := &stand{}
		if rapid.Bool().Draw(t, "some fail") {
			s.fail = map[string]int{`POST /Groups {"displayName":"1"`: 409, "PATCH": 400}
		}
		there := map[string]bool{"0": true, "1": true, "2": true} // made by nobody here
		server := bulk.Server{Refuse: s.refuse, GoOn: s.goOn, Do: func(c bulk.Call) bulk.Answer {
			text, _ := json.Marshal(c.Data)
			if strings.Contains(string(text), "bulkId:") || strings.Contains(c.Path, "bulkId:") {
				t.Fatalf("a reference in %s %s %s", c.Method, c.Path, text)
			}
			a := s.do(c)
			if _, id, ok := strings.Cut(c.Path[1:], "/"); ok && !there[id] {
				t.Fatalf("%s %s before it was there", c.Method, c.Path)
			} else if c.Method == "DELETE" && strings.HasPrefix(id, "u") {
				delete(there, id)
			}
			if a.ID != "" {
				there[a.ID] = true
			}
			return a
		}}
		results := bulk.Run(req, server)
		if len(results) != n {
			t.Fatalf("%d results of %d operations", len(results), n)
		}
		for i, r := range results {
			_, id, _ := strings.Cut(strings.TrimPrefix(r.Path, "/"), "/")
			ok := r.Answer.Status < 300
			if r.Operation != i || req.Operations[i].Method == "POST" && ok != there[id] {
				t.Fatalf("result %d: %+v, there: %v", i, r, there)
			}
			if req.Operations[i].Method == "POST" {
				delete(there, id)
			}
		}
		left := slices.DeleteFunc(slices.Collect(mapKeys(there)), func(id string) bool { return !strings.HasPrefix(id, "u") })
		if len(left) > 0 {
			t.Fatalf("left behind: %v", left)
		}
	})
}

// mapKeys yields the keys of a set.
func mapKeys(set map[string]bool) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range set {
			if !yield(k) {
				return
			}
		}
	}
}

func FuzzRun(f *testing.F) {
	for _, text := range []string{ada, admins + "," + ada, group("a", "b") + "," + group("b", "a"), `{"method":"DELETE","path":"/Users/bulkId:a"}`, `7,{}`} {
		f.Add(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[` + text + `],"failOnErrors":2}`)
	}
	f.Fuzz(func(t *testing.T, text string) {
		doc, err := schema.Decode([]byte(text))
		if err != nil {
			return
		}
		for _, mode := range []schema.Mode{{}, {Strict: true}} {
			req, err := bulk.FromDocument(doc, types(), mode)
			if err != nil {
				continue
			}
			s := &stand{}
			results := bulk.Run(req, bulk.Server{Do: s.do, Refuse: s.refuse, GoOn: s.goOn})
			if len(results) > len(req.Operations) || len(results) == 0 {
				t.Fatalf("%d results of %d operations", len(results), len(req.Operations))
			}
			if _, err := json.Marshal(bulk.Document(req, results, "B")); err != nil {
				t.Fatal(err)
			}
		}
	})
}
