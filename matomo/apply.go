package matomo

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/matomo/internal/wire"
)

// StepResult is what became of one step.
type StepResult struct {
	Step      Step
	Sent      bool   // it was part of a request
	Err       error  // nil: Matomo said yes
	Uncertain bool   // it failed, and yet Matomo may have done it: only a read tells
	Answer    string // Matomo's answer, shortened

	// FellBack says which token strategies failed before that of Step, and how.
	FellBack []string
}

// Result is what became of one plan, step by step.
type Result struct {
	Login string
	Steps []StepResult
	Err   error // of the first step that failed; nil when every step succeeded
}

// Uncertain reports whether any step may have been done although it failed.
func (r Result) Uncertain() bool {
	for _, s := range r.Steps {
		if s.Uncertain {
			return true
		}
	}
	return false
}

// Changed reports whether anything was, or may have been, changed.
func (r Result) Changed() bool {
	for _, s := range r.Steps {
		if s.Sent && (s.Err == nil || s.Uncertain) {
			return true
		}
	}
	return false
}

// Apply carries plans out, in their order, and returns one result a plan. Plans
// share bulk requests: at most 100 calls, at most 20 of the slow ones. The
// steps of a plan up to its next gate travel together; what is behind a gate is
// sent in a later request, and only when the gate's step succeeded. A failure
// of the instance stops everything that is left.
//
// A result says what Matomo answered. What is true then only a read can tell:
// the caller reads back.
func (c *Client) Apply(ctx context.Context, plans []Plan) []Result {
	a := &application{c: c, results: make([]Result, len(plans))}
	logins := make([]string, 0, len(plans))
	for i, p := range plans {
		a.results[i] = Result{Login: p.Login, Steps: make([]StepResult, len(p.Steps))}
		for k, s := range p.Steps {
			a.results[i].Steps[k].Step = s
			logins = append(logins, s.Login)
		}
	}
	if len(logins) == 0 {
		return a.results
	}
	unlock, err := c.writers.lock(ctx, logins)
	if err != nil {
		a.abort(&Error{Kind: Skipped, Method: wire.BulkMethod, Message: "gave up waiting for another writer", Err: err})
		return a.results
	}
	defer unlock()
	if err := c.reader.Fresh(ctx); err != nil {
		a.abort(err)
		return a.results
	}
	a.run(ctx)
	return a.results
}

// application is one Apply under way.
type application struct {
	c       *Client
	results []Result
	stop    error // the failure of the instance that ended everything; nothing is sent once it is set
}

// job is one step on its way: where its result goes, and the call that does it.
// The call is made when the job is, and dropped after it was sent, because a
// random password may be in it.
type job struct {
	result *StepResult
	call   wire.Call
	direct bool // not through the API: the token database
}

// unit is the steps of one plan that travel together: up to and with its next
// gate.
type unit struct {
	plan int
	jobs []job
}

// run sends the plans in rounds: the first unit of every plan, then the second
// of those that go on. So the plans of a hundred people with a gate each take
// two requests and not two hundred, and a plan without gates, such as a
// leaver's, is done in the first round.
func (a *application) run(ctx context.Context) {
	next := make([]int, len(a.results))
	for {
		var round []unit
		for i := range a.results {
			if u := a.nextUnit(i, &next[i]); len(u.jobs) > 0 {
				round = append(round, u)
			}
		}
		if len(round) == 0 {
			break
		}
		for _, batch := range pack(round) {
			if a.stop == nil {
				a.send(ctx, batch)
			}
		}
	}
	for i := range a.results {
		a.results[i].conclude(a.stop)
	}
}

// nextUnit takes the next steps of plan i, unless it has ended or something
// before failed that they build on.
func (a *application) nextUnit(i int, next *int) unit {
	steps := a.results[i].Steps
	u := unit{plan: i}
	for k := range steps[:*next] {
		if steps[k].Step.Gate && steps[k].Err != nil {
			return u
		}
	}
	for ; *next < len(steps); *next++ {
		s := &steps[*next]
		if a.c.IsProtected(s.Step.Login) {
			s.Err = &Error{Kind: Protected, Method: string(s.Step.Kind), Message: "the login is protected"}
			*next = len(steps)
			break
		}
		u.jobs = append(u.jobs, newJob(s))
		if s.Step.Gate {
			*next++
			break
		}
	}
	return u
}

// conclude marks what was never sent and finds the plan's error.
func (r *Result) conclude(stop error) {
	for k := range r.Steps {
		s := &r.Steps[k]
		if !s.Sent && s.Err == nil {
			message := "an earlier step did not succeed"
			if stop != nil {
				message = "the instance failed an earlier request"
			}
			s.Err = &Error{Kind: Skipped, Method: string(s.Step.Kind), Message: message, Err: stop}
		}
		if r.Err == nil || KindOf(r.Err) == Skipped && KindOf(s.Err) != Skipped && s.Err != nil {
			r.Err = s.Err
		}
	}
	if r.Err != nil && KindOf(r.Err) == Skipped && stop != nil {
		r.Err = stop
	}
}

// abort fails every step that was not sent.
func (a *application) abort(err error) {
	a.stop = err
	for i := range a.results {
		a.results[i].conclude(err)
	}
}

// pack fills requests with units, in order, without tearing one apart. Order
// matters: the caller puts leavers first, and members of a bulk request run one
// after the other.
func pack(units []unit) [][]unit {
	var batches [][]unit
	members, heavy := wire.BulkMax, wire.BulkHeavyMax
	for _, u := range units {
		h := 0
		for _, j := range u.jobs {
			if j.call.Heavy {
				h++
			}
		}
		if len(batches) == 0 || members+len(u.jobs) > wire.BulkMax || heavy+h > wire.BulkHeavyMax {
			batches = append(batches, nil)
			members, heavy = 0, 0
		}
		members, heavy = members+len(u.jobs), heavy+h
		batches[len(batches)-1] = append(batches[len(batches)-1], u)
	}
	return batches
}

// send sends one batch: one bulk request, unless a step must travel alone. What
// must travel alone splits the request, so that everything still happens in the
// order of the plans.
func (a *application) send(ctx context.Context, batch []unit) {
	var together []job
	for _, u := range batch {
		jobs := a.withPassword(ctx, batch, u.jobs)
		if a.stop != nil {
			return
		}
		if len(jobs) > wire.BulkMax || wire.Before5(a.c.conn.Version()) && anyUnsafe(jobs) {
			a.sendJobs(ctx, together) // keep the order of plans
			together = nil
			a.sendAlone(ctx, jobs)
			continue
		}
		together = append(together, jobs...)
	}
	a.sendJobs(ctx, together)
	a.takeBack(ctx, batch)
}

// takeBack undoes grants that went to an account we did not add: somebody was
// faster, between our read and our request, and Matomo goes on after a member
// that failed. What that account had on those sites before cannot be known.
func (a *application) takeBack(ctx context.Context, batch []unit) {
	var calls []wire.Call
	var undone []*StepResult
	for _, u := range batch {
		if !addRefused(u.jobs) {
			continue
		}
		for _, j := range u.jobs {
			if s := j.result; s.Step.Kind == SetAccess && s.Sent && s.Err == nil {
				calls = append(calls, accessCall(Step{Login: s.Step.Login, Sites: s.Step.Sites}))
				undone = append(undone, s)
			}
		}
	}
	if len(calls) == 0 {
		return
	}
	// Nobody is asked: what went to somebody else's account does not stay there because time is short.
	errs, err := a.c.conn.Bulk(wire.WithBefore(ctx, nil), calls, false, 0)
	for i, s := range undone {
		failed := err
		if err == nil {
			failed = errs[i]
		}
		s.Err = &Error{Kind: Skipped, Method: calls[i].Method, Message: "taken back: the account is not the one this plan adds", Err: failed}
		s.Uncertain = failed != nil
		a.c.log.Error("access went to an account that somebody else added meanwhile",
			zap.String("login", s.Step.Login), zap.Bool("taken_back", failed == nil), zap.Error(failed))
	}
}

// addRefused reports whether a unit adds an account and Matomo said in so many
// words that it did not.
func addRefused(jobs []job) bool {
	for _, j := range jobs {
		if k := j.result.Step.Kind; k == AddUser || k == InviteUser {
			return j.result.Sent && j.result.Err != nil && !j.result.Uncertain
		}
	}
	return false
}

// anyUnsafe reports whether a job must not be a bulk member before Matomo 5.
func anyUnsafe(jobs []job) bool {
	for _, j := range jobs {
		if j.call.UnsafeBefore5() {
			return true
		}
	}
	return false
}

// withPassword drops the jobs that need the password when it cannot be had, and
// what builds on them. When more than one job of the batch needs it, it is
// proven first: each of them would count as a failed login otherwise.
func (a *application) withPassword(ctx context.Context, batch []unit, jobs []job) []job {
	if !needPassword(jobs) {
		return jobs
	}
	err := a.c.conn.CheckPassword()
	if err == nil && countPassword(batch) > 1 {
		err = a.c.ensureProven(ctx)
	}
	if err == nil {
		return jobs
	}
	if e, ok := errors.AsType[*Error](err); ok && e.Transient() {
		a.abort(err)
		return nil
	}
	var left []job
	demoted := false
	for _, j := range jobs {
		switch k := j.result.Step.Kind; {
		case j.call.Password:
			j.result.Err = err
			demoted = demoted || k == Demote
		case demoted && (k == SetAccess || k == RemoveAccess):
			j.result.Err = &Error{Kind: Skipped, Method: j.call.Method, Message: "still superuser", Err: err}
		default:
			left = append(left, j)
		}
	}
	return left
}

// needPassword reports whether any job of one unit needs the bridge's password.
func needPassword(jobs []job) bool {
	for _, j := range jobs {
		if j.call.Password {
			return true
		}
	}
	return false
}

// countPassword counts the jobs of a batch that need the password: with a wrong
// one, that many failed logins.
func countPassword(batch []unit) int {
	n := 0
	for _, u := range batch {
		for _, j := range u.jobs {
			if j.call.Password {
				n++
			}
		}
	}
	return n
}

// sendAlone sends the jobs of one unit in their order, the unsafe ones as
// requests of their own.
func (a *application) sendAlone(ctx context.Context, jobs []job) {
	for len(jobs) > 0 && a.stop == nil {
		n := 0
		for n < len(jobs) && n < wire.BulkMax && !jobs[n].call.UnsafeBefore5() {
			n++
		}
		if n > 0 {
			a.sendJobs(ctx, jobs[:n])
			jobs = jobs[n:]
			continue
		}
		j := jobs[0]
		err := a.c.conn.Single(ctx, j.call, false)
		if KindOf(err) == Skipped {
			a.abort(err)
			return
		}
		j.result.Sent = true
		a.settle(j, err)
		if jobs = jobs[1:]; addRefused([]job{j}) {
			return
		}
	}
}

// sendJobs sends jobs as one bulk request. What goes to the token database goes
// first: any call about access or passwords in the request then empties the cache
// of Matomo's tracker, which is why such a job brings one along.
func (a *application) sendJobs(ctx context.Context, jobs []job) {
	if len(jobs) == 0 || a.stop != nil {
		return
	}
	if err := wire.Before(ctx, wire.BulkMethod); err != nil {
		a.abort(err)
		return
	}
	a.revokeDirectly(ctx, jobs)
	var calls []wire.Call
	var members []job
	for _, j := range jobs {
		if !j.direct || j.result.Err == nil && len(j.call.Params) > 0 {
			calls, members = append(calls, j.call), append(members, j)
		}
	}
	if len(calls) > 0 {
		errs, err := a.c.conn.Bulk(ctx, calls, false, 0)
		if KindOf(err) == Skipped {
			a.abort(err)
			return
		}
		for i, j := range members {
			answer := err
			if err == nil {
				answer = errs[i]
			}
			a.answered(j, answer, err == nil)
		}
	}
	a.fallBack(ctx, jobs)
}

// The order within a request matters twice. Leavers' steps are first because their
// plans are; and ended tokens come before the call that makes the tracker forget them,
// because a tracker that reads the table in between would remember them for another
// five minutes.

// answered records the answer to one member of a request; alone says that it is
// the member's own and not that of the whole request.
func (a *application) answered(j job, err error, alone bool) {
	switch {
	case j.direct && err != nil:
		a.c.log.Warn("Matomo's tracker may accept ended tokens for five minutes", zap.Error(err))
	case j.direct:
	case alone && j.result.Step.Kind == RevokeTokens && (KindOf(err) == ServerFailure || KindOf(err) == Malformed):
		// A plugin that breaks is not Matomo that breaks: the others go on.
		j.result.Sent = true
		e, _ := errors.AsType[*Error](err)
		j.result.Err = &Error{Kind: Refused, Method: e.Method, Message: e.Message, Err: err}
		j.result.Uncertain = true
	default:
		j.result.Sent = true
		a.settle(j, err)
	}
}

// settle records the answer to one job. A failure of the instance stops all
// that is left: the next calls would fail as well, and a locked-out address or
// a maintenance page only gets worse by asking again. A refused password does
// not stop what needs none.
func (a *application) settle(j job, err error) {
	if j.result.Step.Kind == DeleteUser && KindOf(err) == UserMissing {
		err = nil // somebody else deleted it: what was wanted is true
	}
	j.result.Err = err
	e, failed := errors.AsType[*Error](err)
	if !failed {
		return
	}
	j.result.Uncertain = e.Uncertain()
	if e.Target() && a.stop == nil {
		switch e.Kind {
		case WrongPassword, NeedsPassword:
		default:
			a.stop = e
		}
	}
}

// shorten makes an answer fit for the audit log.
func shorten(raw json.RawMessage) string {
	const most = 200
	s := strings.TrimSpace(string(raw))
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}
