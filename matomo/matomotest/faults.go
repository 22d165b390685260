package matomotest

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// FaultKind names one way in which the server misbehaves.
type FaultKind string

// The faults. Those of a request strike once per HTTP request whose method
// matches; in a bulk request they strike at the member that matches, after the
// members before it have run, as a crash in the middle would. Those of a call
// strike every call and bulk member that matches.
const (
	// Slow waits Latency before the request or the member.
	Slow FaultKind = "slow"
	// ServerError answers Status (500 by default) with an HTML page.
	ServerError FaultKind = "server_error"
	// TooManyRequests answers 429 with Retry-After, as a proxy would.
	TooManyRequests FaultKind = "too_many_requests"
	// CutBefore breaks the connection before anything is done.
	CutBefore FaultKind = "cut_before"
	// CutAfter does the work and breaks the connection instead of answering.
	CutAfter FaultKind = "cut_after"
	// Truncated does the work and breaks the connection in the middle of the
	// answer. Request only.
	Truncated FaultKind = "truncated"
	// Maintenance answers every request with the maintenance page, 503.
	Maintenance FaultKind = "maintenance"
	// DatabaseDown answers every request with 500.
	DatabaseDown FaultKind = "database_down"
	// Locked refuses every request that carries a token, as the lock after too
	// many failed logins does.
	Locked FaultKind = "locked"

	// Refused answers a call with the error text Message, without doing it.
	Refused FaultKind = "refused"
	// MailError makes updateUser answer an error after it has written (trap 9).
	MailError FaultKind = "mail_error"
	// UsersAdminDisabled is Matomo's enable_users_admin=0.
	UsersAdminDisabled FaultKind = "users_admin_disabled"
	// Gap waits Latency between the statements of a write that Matomo does
	// without a transaction: between delete and insert of setUserAccess, between
	// check and insert of addUser (trap 7). Other calls run meanwhile.
	Gap FaultKind = "gap"
)

// Fault is one misbehaviour, from when it is set until it is used up or cleared.
type Fault struct {
	Kind FaultKind
	// Method restricts the fault to one method, such as
	// "UsersManager.setUserAccess", called alone or in a bulk. Empty is any
	// request.
	Method string
	// Skip lets that many matches pass first.
	Skip int
	// Count ends the fault after that many strikes; 0 is until cleared.
	Count int
	// Latency is the waiting time of Slow and Gap.
	Latency time.Duration
	// Status is the status of ServerError, 500 when 0.
	Status int
	// RetryAfter is sent by TooManyRequests and ServerError in whole seconds,
	// and not at all when 0.
	RetryAfter time.Duration
	// Message is the error text of Refused.
	Message string
}

// Fault sets a fault and returns the function that clears it.
func (s *Server) Fault(f Fault) (remove func()) { return s.faults.set(f) }

// ClearFaults removes all faults.
func (s *Server) ClearFaults() { s.faults.clear() }

// faultBox holds the faults that are set, oldest first.
type faultBox struct {
	mu    sync.Mutex // guards the fields below
	armed []*armed
}

type armed struct {
	Fault

	skipped, struck int
}

func (fb *faultBox) set(f Fault) func() {
	fb.mu.Lock()
	defer fb.mu.Unlock()
	a := &armed{Fault: f}
	fb.armed = append(fb.armed, a)
	return func() { fb.remove(a) }
}

func (fb *faultBox) remove(a *armed) {
	fb.mu.Lock()
	defer fb.mu.Unlock()
	for i, other := range fb.armed {
		if other == a {
			fb.armed = append(fb.armed[:i:i], fb.armed[i+1:]...)
			return
		}
	}
}

func (fb *faultBox) clear() {
	fb.mu.Lock()
	defer fb.mu.Unlock()
	fb.armed = nil
}

// strike returns the first fault of the kind whose method is one of the given
// ones and counts it.
func (fb *faultBox) strike(kind FaultKind, methods ...string) (Fault, bool) {
	fb.mu.Lock()
	defer fb.mu.Unlock()
	for _, a := range fb.armed {
		if a.Kind != kind || !matches(a.Method, methods) || (a.Count > 0 && a.struck >= a.Count) {
			continue
		}
		if a.skipped < a.Skip {
			a.skipped++
			continue
		}
		a.struck++
		return a.Fault, true
	}
	return Fault{}, false
}

func matches(method string, methods []string) bool {
	for _, m := range methods {
		if m == method {
			return true
		}
	}
	return false
}

// gap is the waiting time inside a write of the method.
func (fb *faultBox) gap(method string) time.Duration {
	f, _ := fb.strike(Gap, "", method)
	return f.Latency
}

// spoiler is what a fault does to a finished answer.
type spoiler struct{ cut, truncate bool }

func (sp spoiler) spoil(a *answer) (*answer, error) {
	if sp.cut {
		return nil, errCut
	}
	a.truncate = sp.truncate
	return a, nil
}

// requestFaults applies the faults that strike a whole request. It returns an
// answer if the request ends here, or what to do to the answer later.
func (s *Server) requestFaults(ctx context.Context, method string) (*answer, spoiler, error) {
	if f, ok := s.faults.strike(Slow, "", method); ok {
		if err := wait(ctx, f.Latency); err != nil {
			return nil, spoiler{}, err
		}
	}
	if _, ok := s.faults.strike(CutBefore, "", method); ok {
		return nil, spoiler{}, errCut
	}
	if a := s.failingAnswer(method, ""); a != nil {
		return a, spoiler{}, nil
	}
	if _, ok := s.faults.strike(Maintenance, "", method); ok {
		return maintenancePage(), spoiler{}, nil
	}
	var sp spoiler
	_, sp.cut = s.faults.strike(CutAfter, "", method)
	_, sp.truncate = s.faults.strike(Truncated, "", method)
	return nil, sp, nil
}

// failingAnswer is the answer of a fault that replaces the real one.
func (s *Server) failingAnswer(methods ...string) *answer {
	f, ok := s.faults.strike(TooManyRequests, methods...)
	status := http.StatusTooManyRequests
	if !ok {
		f, ok = s.faults.strike(ServerError, methods...)
		status = f.Status
	}
	if !ok {
		return nil
	}
	if status == 0 {
		status = http.StatusInternalServerError
	}
	a := page(status, strconv.Itoa(status)+" "+http.StatusText(status), http.StatusText(status), "")
	if f.RetryAfter > 0 {
		a.header.Set("Retry-After", fmt.Sprint(int(f.RetryAfter.Round(time.Second).Seconds())))
	}
	return a
}

// httpFailure ends a request in the middle of a bulk with a ready answer.
type httpFailure struct{ answer *answer }

// Error implements error.
func (f *httpFailure) Error() string { return "fault: " + http.StatusText(f.answer.status) }

// memberFaults applies the faults that strike one call before it runs.
func (c *call) memberFaults() error {
	fb := &c.s.faults
	if c.bulk { // a call of its own has been struck as a request
		if f, ok := fb.strike(Slow, c.method); ok {
			if err := wait(c.ctx, f.Latency); err != nil {
				return err
			}
		}
		if _, ok := fb.strike(CutBefore, c.method); ok {
			return errCut
		}
		if a := c.s.failingAnswer(c.method); a != nil {
			return &httpFailure{a}
		}
	}
	if c.method == bulkMethod {
		return nil
	}
	if f, ok := fb.strike(Refused, "", c.method); ok {
		return refuse(f.Message)
	}
	return nil
}

// memberFaultsAfter applies the faults that strike a bulk member after it ran.
func (c *call) memberFaultsAfter() error {
	if !c.bulk {
		return nil
	}
	if _, ok := c.s.faults.strike(CutAfter, c.method); ok {
		return errCut
	}
	return nil
}
