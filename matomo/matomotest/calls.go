package matomotest

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/matomo-scim/bridge/matomo/matomotest/internal/api"
)

// The log of calls is for assertions on what a client did: which methods, in how
// many requests, as whom. Secrets are left out where it is written, not where it
// is read.

// Call is one method call that the server has run, alone or in a bulk request.
// It holds no secrets.
type Call struct {
	Method  string
	Params  map[string]string // what the call saw, inherited ones too; the elements of an array joined by commas
	Member  bool              // part of a bulk request
	Request int               // the number of the HTTP request, from 1
	Login   string            // who called, "anonymous" for nobody
	Refused string            // the error text, empty for success
}

// callLog is the list of calls with its counters.
type callLog struct {
	forget bool // keep only the counters

	mu       sync.Mutex // guards the fields below
	requests int
	list     []Call
	counts   map[string]int
}

// request counts an HTTP request and returns its number.
func (l *callLog) request() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests++
	return l.requests
}

// hiddenParams are secrets, or say nothing that the other fields do not.
var hiddenParams = []string{
	"token_auth", "password", "passwordConfirmation", "md5Password", "authCode", "urls", "module", "method", "format",
}

// add logs a call that has run.
func (l *callLog) add(c *api.Call, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.counts == nil {
		l.counts = map[string]int{}
	}
	l.counts[c.Method]++
	if l.forget {
		return
	}
	entry := Call{Method: c.Method, Params: map[string]string{}, Member: c.Member, Request: c.Request(), Login: c.Caller.Login()}
	for name, p := range c.Params {
		if !slices.Contains(hiddenParams, name) {
			entry.Params[name] = strings.Join(p.Texts(), ",")
		}
	}
	if err != nil {
		entry.Refused = err.Error()
	}
	l.list = append(l.list, entry)
}

// Calls returns the calls run so far, oldest first. A bulk request comes after
// its members.
func (s *Server) Calls() []Call {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	list := slices.Clone(s.calls.list)
	for i := range list {
		list[i].Params = maps.Clone(list[i].Params)
	}
	return list
}

// ResetCalls forgets the calls and sets the counters to zero.
func (s *Server) ResetCalls() {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	s.calls.list, s.calls.counts, s.calls.requests = nil, nil, 0
}

// Requests returns the number of HTTP requests seen, also of those that a fault
// swallowed.
func (s *Server) Requests() int {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	return s.calls.requests
}

// Count returns how often a method was run, alone or in a bulk request.
func (s *Server) Count(method string) int {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	return s.calls.counts[method]
}
