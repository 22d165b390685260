package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Faults are looked for at four places: before the request is read as one of the
// API (request), when its answer is ready (spoiler), around each bulk member
// (faultsBefore, faultsAfter), and inside the methods (gap, MailFails, UsersAdmin,
// identify). A fault strikes where it is found first and is counted there.

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

// ErrCut is what a client in the same process sees of a connection that broke.
var ErrCut = errors.New("connection cut by a fault")

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
	// Message is the error text of Refused, and of MailError if it is not the
	// usual one.
	Message string
}

// Faults holds the faults that are set, oldest first. It is safe for concurrent
// use.
type Faults struct {
	mu    sync.Mutex // guards the fields below
	armed []*armed
}

// armed is a fault with its counters.
type armed struct {
	Fault

	skipped, struck int
}

// Set sets a fault and returns the function that removes it.
func (fb *Faults) Set(f Fault) (remove func()) {
	fb.mu.Lock()
	defer fb.mu.Unlock()
	a := &armed{Fault: f}
	fb.armed = append(fb.armed, a)
	return func() { fb.remove(a) }
}

// remove takes one fault out, used up or not.
func (fb *Faults) remove(a *armed) {
	fb.mu.Lock()
	defer fb.mu.Unlock()
	fb.armed = slices.DeleteFunc(fb.armed, func(other *armed) bool { return other == a })
}

// Clear removes all faults.
func (fb *Faults) Clear() {
	fb.mu.Lock()
	defer fb.mu.Unlock()
	fb.armed = nil
}

// strike returns the first fault of the kind whose method is one of the given
// ones and counts it.
func (fb *Faults) strike(kind FaultKind, methods ...string) (Fault, bool) {
	fb.mu.Lock()
	defer fb.mu.Unlock()
	// A fault that is skipping counts the match and leaves it to the next one.
	for _, a := range fb.armed {
		if a.Kind != kind || !slices.Contains(methods, a.Method) || (a.Count > 0 && a.struck >= a.Count) {
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

// gap is the waiting time inside a write of the method.
func (fb *Faults) gap(method string) time.Duration {
	f, _ := fb.strike(Gap, "", method)
	return f.Latency
}

// spoiler is what a fault does to a finished answer.
type spoiler struct{ cut, truncate bool }

// apply spoils a finished answer: the work is done, but the client does not hear
// of it, or hears half.
func (sp spoiler) apply(a *Answer) (*Answer, error) {
	if sp.cut {
		return nil, ErrCut
	}
	a.Truncate = sp.truncate
	return a, nil
}

// request applies the faults that strike a whole request. It returns an
// answer if the request ends here, or what to do to the answer later.
func (fb *Faults) request(ctx context.Context, method string) (*Answer, spoiler, error) {
	if f, ok := fb.strike(Slow, "", method); ok {
		if err := wait(ctx, f.Latency); err != nil {
			return nil, spoiler{}, err
		}
	}
	if _, ok := fb.strike(CutBefore, "", method); ok {
		return nil, spoiler{}, ErrCut
	}
	if a := fb.replacement("", method); a != nil {
		return a, spoiler{}, nil
	}
	if _, ok := fb.strike(Maintenance, "", method); ok {
		return maintenancePage(), spoiler{}, nil
	}
	var sp spoiler
	_, sp.cut = fb.strike(CutAfter, "", method)
	_, sp.truncate = fb.strike(Truncated, "", method)
	return nil, sp, nil
}

// replacement is the answer of a fault that replaces the real one.
func (fb *Faults) replacement(methods ...string) *Answer {
	f, ok := fb.strike(TooManyRequests, methods...)
	status := http.StatusTooManyRequests
	if !ok {
		f, ok = fb.strike(ServerError, methods...)
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
		a.Header.Set("Retry-After", fmt.Sprint(int(f.RetryAfter.Round(time.Second).Seconds())))
	}
	return a
}

// readyAnswer ends a request in the middle of a bulk with a ready answer.
type readyAnswer struct{ answer *Answer }

// Error implements error.
func (f *readyAnswer) Error() string { return "fault: " + http.StatusText(f.answer.Status) }

// faultsBefore applies the faults that strike one call before it runs.
func (c *Call) faultsBefore() error {
	fb := &c.Faults
	if c.Member { // a call of its own has been struck as a request
		if f, ok := fb.strike(Slow, c.Method); ok {
			if err := wait(c.ctx, f.Latency); err != nil {
				return err
			}
		}
		if _, ok := fb.strike(CutBefore, c.Method); ok {
			return ErrCut
		}
		if a := fb.replacement(c.Method); a != nil {
			return &readyAnswer{a}
		}
	}
	if c.Method == Bulk {
		return nil
	}
	if f, ok := fb.strike(Refused, "", c.Method); ok {
		return Refuse(f.Message)
	}
	return nil
}

// faultsAfter applies the faults that strike a bulk member after it ran.
func (c *Call) faultsAfter() error {
	if !c.Member {
		return nil
	}
	if _, ok := c.Faults.strike(CutAfter, c.Method); ok {
		return ErrCut
	}
	return nil
}

// MailFails is asked where Matomo lets an error of the mailer through. It says whether the mail after a write fails, and returns Matomo's
// refusal then.
func (c *Call) MailFails() error {
	f, broken := c.Faults.strike(MailError, "", c.Method)
	switch {
	case !broken:
		return nil
	case f.Message != "":
		return Refuse(f.Message)
	}
	return Refuse(textMail)
}
