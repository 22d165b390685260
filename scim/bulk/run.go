package bulk

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/matomo-scim/bridge/scim/schema"
)

// Call is one request to be made, as if it had been sent alone.
type Call struct {
	Method, Path string
	// Version is the entity tag for If-Match, "" for none.
	Version string
	Data    schema.Document
}

// Answer is what became of a Call.
type Answer struct {
	// Status is the HTTP status.
	Status int
	// ID is the id of the resource that a POST created.
	ID string
	// Version is the entity tag of the resource, where there is one.
	Version string
	// Body is the body of an error.
	Body []byte
}

// failed reports whether the call changed nothing.
func (a Answer) failed() bool { return a.Status < 200 || a.Status > 299 }

// Server is who carries out operations. Its functions are called one at a time.
type Server struct {
	// Do answers a call as it would answer the same request, sent alone.
	Do func(Call) Answer
	// Refuse words why an operation was not even tried: a *schema.Error, a *ReferenceError or ErrEndpoint.
	Refuse func(error) Answer
	// GoOn is asked before each step whether there is still somebody who waits for the answer.
	GoOn func() bool
}

// Result is what became of an operation.
type Result struct {
	// Operation is the position in the request, from 0.
	Operation int
	// Path is the path of the resource, "" when it is not known: the operation created none.
	Path   string
	Answer Answer
}

// Run carries out a request and returns what became of the operations, in the client's order. Those that were not
// reached any more, because of FailOnErrors or because nobody waits, are not among them.
func Run(req Request, server Server) []Result {
	r := runner{
		Server: server, req: req, results: make([]*Result, len(req.Operations)),
		resolver: resolver{ids: map[string]string{}, failed: map[string]string{}},
	}
	for _, s := range plan(req.Operations) {
		if r.over() || !r.GoOn() {
			break
		}
		r.step(s)
	}
	r.undoHalf()
	var out []Result
	for _, res := range r.results {
		if res != nil {
			out = append(out, *res)
		}
	}
	return out
}

// Document is the answer to a request (RFC 7644 section 3.7): what Run returned, with base, the URL of the base path, in
// front of the paths.
func Document(req Request, results []Result, base string) schema.Document {
	list := make([]any, len(results))
	for i, res := range results {
		op := req.Operations[res.Operation]
		one := map[string]any{"method": op.Method, "status": strconv.Itoa(res.Answer.Status)}
		for name, text := range map[string]string{"bulkId": op.BulkID, "version": res.Answer.Version} {
			if text != "" {
				one[name] = text
			}
		}
		if res.Path != "" {
			one["location"] = base + res.Path
		}
		if len(res.Answer.Body) > 0 {
			one["response"] = json.RawMessage(res.Answer.Body)
		}
		list[i] = one
	}
	return schema.Document{"schemas": []any{schema.BulkResponseURN}, "Operations": list}
}

// runner carries out steps.
type runner struct {
	Server
	resolver

	req     Request
	results []*Result
	half    []int // operations that were begun and not finished
	errors  int
}

// over reports whether the client has seen enough errors.
func (r *runner) over() bool { return r.req.FailOnErrors > 0 && r.errors >= r.req.FailOnErrors }

// step carries out one step.
func (r *runner) step(s step) {
	if s.what == finish {
		r.finish(s)
		return
	}
	op := &r.req.Operations[s.op]
	res := &Result{Operation: s.op}
	r.results[s.op] = res
	if err := r.carryOut(op, s, res); err != nil {
		res.Answer = r.Refuse(err)
	}
	if res.Answer.failed() {
		r.errors++
		r.know(op.BulkID, "")
		return
	}
	if s.what == begin {
		r.half = append(r.half, s.op)
	}
	_, id, _ := strings.Cut(strings.TrimPrefix(res.Path, "/"), "/")
	r.know(op.BulkID, id)
}

// know notes the id of the resource that a bulkId means, "" when its operation failed.
func (r *runner) know(bulkID, id string) {
	switch {
	case bulkID == "":
	case id == "":
		delete(r.ids, bulkID)
		r.failed[bulkID] = "its operation failed"
	default:
		r.ids[bulkID] = id
	}
}

// carryOut resolves the references of an operation and makes the call. The error says why there was no call.
func (r *runner) carryOut(op *Operation, s step, res *Result) error {
	switch {
	case op.err != nil:
		return op.err
	case s.what == refuse:
		return &ReferenceError{BulkID: op.needs[0].bulkID, Why: "the operations need each other before any of them can run"}
	}
	path, err := r.path(op)
	if err != nil {
		return err
	}
	// A resource that is there has a location whatever becomes of the operation.
	if op.target != "" {
		res.Path = path
	}
	data, err := r.data(op, s.keys, true)
	if err != nil {
		return err
	}
	call := Call{Method: op.Method, Path: path, Data: data}
	if op.Method != post {
		call.Version = op.Version
	}
	if res.Answer = r.Do(call); res.Answer.ID != "" && !res.Answer.failed() {
		res.Path = op.kind.Endpoint + "/" + res.Answer.ID
	}
	return nil
}

// finish adds to a resource what was left out when it was created. A resource that cannot be finished is taken back:
// half of what was asked for is not what was asked for.
func (r *runner) finish(s step) {
	op, res := &r.req.Operations[s.op], r.results[s.op]
	if !slices.Contains(r.half, s.op) {
		return // it could not be begun
	}
	r.half = slices.DeleteFunc(r.half, func(i int) bool { return i == s.op })
	value, err := r.data(op, s.keys, false)
	if err != nil {
		r.undo(s.op, r.Refuse(err))
		return
	}
	answer := r.Do(Call{Method: patch, Path: res.Path, Data: schema.Document{
		"schemas":    []any{schema.PatchOpURN},
		"Operations": []any{map[string]any{"op": "add", "value": value}},
	}})
	if answer.failed() {
		r.undo(s.op, answer)
		return
	}
	res.Answer.Version = answer.Version
}

// undo takes back what an operation began; answer is why.
func (r *runner) undo(i int, answer Answer) {
	r.Do(Call{Method: remove, Path: r.results[i].Path})
	r.results[i] = &Result{Operation: i, Answer: answer}
	r.errors++
	r.know(r.req.Operations[i].BulkID, "")
}

// undoHalf takes back what the end of the request has left unfinished.
func (r *runner) undoHalf() {
	for _, i := range r.half {
		missing := ""
		for _, n := range r.req.Operations[i].needs {
			if _, there := r.ids[n.bulkID]; !there {
				missing = n.bulkID
				break
			}
		}
		r.undo(i, r.Refuse(&ReferenceError{BulkID: missing, Why: "the request ended before its operation"}))
	}
}
