package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/matomo-scim/bridge/matomo/matomotest/internal/model"
	"github.com/matomo-scim/bridge/matomo/matomotest/internal/php"
)

// A Method is one method of Matomo's HTTP API.
type Method struct {
	// Needs are the parameters without a default, in the order in which Matomo
	// asks for them.
	Needs []string
	// Checks run before the method and may refuse the call.
	Checks []Check
	// Run does the work with the instance locked.
	Run func(*Call) error
}

// A Check looks at a call before it runs and returns Matomo's refusal.
type Check func(*Call) error

// A Call is one call of a method: a whole request, or one member of a bulk.
type Call struct {
	*API

	Method string
	Params php.Params
	Caller Caller
	Member bool // of a bulk request
	Now    time.Time
	Header http.Header // Matomo's own; nobody reads those of a member

	ctx context.Context // of the request; a call lives as long as it
	rq  *request
	xml bool
	out []byte // the answer so far
}

// Text returns a parameter as a string; an array counts as absent.
func (c *Call) Text(name string) string { return c.Params[name].Text }

// Int returns a parameter as a whole number, or def.
func (c *Call) Int(name string, def int) int { return c.Params[name].Int(def) }

// True returns a parameter as PHP's truth.
func (c *Call) True(name string) bool { return c.Params[name].True() }

// Host returns the host name of the request.
func (c *Call) Host() string { return c.rq.host }

// Request returns the number of the HTTP request.
func (c *Call) Request() int { return c.rq.number }

// Size returns the length of the answer so far.
func (c *Call) Size() int { return len(c.out) }

// Bulk is the one method that runs others.
const Bulk = "API.getBulkRequest"

// dispatch runs a call with its faults and lets Seen know. A call that a fault
// refused was seen, too; one whose connection broke before it ran as well, since
// the client sent it.
func (c *Call) dispatch() error {
	err := c.faultsBefore()
	if err == nil {
		err = c.run()
	}
	c.Seen(c, err)
	if err == nil {
		err = c.faultsAfter()
	}
	return err
}

// run finds the method, checks parameters and rights, and runs it.
func (c *Call) run() error {
	module, name, ok := strings.Cut(c.Method, ".")
	switch {
	case c.Method == "":
		return Refuse(textNoMethod)
	case !ok:
		return Refuse(textBadMethod)
	case c.Method == Bulk:
		return c.bulk() // takes the lock member by member
	case !c.Plugins[module]:
		return Refuse("The plugin " + module + " is not enabled. You can activate the plugin on Settings > Plugins page in Matomo.")
	}
	// The order from here on decides which of several errors is told: parameters
	// come before rights, and an array where a text is expected reaches MySQL.
	m, ok := c.Methods[c.Method]
	if !ok {
		return Refuse("The method '" + name + `' does not exist or is not available in the module '\Piwik\Plugins\` + module + `\API'.`)
	}
	for _, need := range m.Needs {
		if c.Params[need].Empty() {
			return MissingParam(need)
		}
	}
	if c.Params["userLogin"].IsArray {
		return Refuse(textBoundVariables)
	}
	c.Lock()
	defer c.Unlock()
	if err := c.Check(m.Checks...); err != nil {
		return err
	}
	return m.Run(c)
}

// Check runs checks until one refuses.
func (c *Call) Check(checks ...Check) error {
	for _, check := range checks {
		if err := check(c); err != nil {
			return err
		}
	}
	return nil
}

// Yield gives the instance up for a moment, where Matomo is between two SQL
// statements without a transaction. A Gap fault makes the moment long.
func (c *Call) Yield() error {
	gap := c.Faults.gap(c.Method)
	c.Unlock()
	defer c.Lock()
	return wait(c.ctx, gap)
}

// Visible returns the accounts the caller may list: all for a superuser; for an
// admin those with an access row on one of the admin's sites, where Matomo
// compares the row's login exactly, and the admin. The caller must not change
// the slice.
func (c *Call) Visible() []*model.Account {
	users := c.Accounts()
	if c.Caller.Superuser() {
		return users
	}
	mine := c.SitesWith(model.Admin)
	return slices.DeleteFunc(slices.Clone(users), func(a *model.Account) bool {
		return a != c.Caller.Account && !slices.ContainsFunc(a.Rows, func(r model.Row) bool {
			return r.Login == a.Login && slices.Contains(mine, r.Site)
		})
	})
}

// Find returns the account of a login, whatever its case and accents, or
// Matomo's refusal. Like Matomo's check it needs a caller who sees anything at
// all.
func (c *Call) Find(login string) (*model.Account, error) {
	if login != model.Anonymous {
		if err := c.Check(LoggedIn, SomeView); err != nil {
			return nil, err
		}
	}
	a := c.Instance.Find(login)
	if a == nil {
		return nil, NoSuchUser(login)
	}
	return a, nil
}

// finish closes the call: it turns what a call wrote, or its refusal, into an answer.
func (c *Call) finish(err error) (*Answer, error) {
	status := http.StatusOK
	if ready, ok := errors.AsType[*readyAnswer](err); ok {
		return ready.answer, nil
	}
	refusal, ok := errors.AsType[*Refusal](err)
	switch {
	case err != nil && !ok:
		return nil, err
	case ok:
		if refusal.status != 0 {
			status = refusal.status
		}
		if refusal.early {
			if !c.rq.wantsAPI() {
				return page(status, titleError, "An error occurred", refusal.text), nil
			}
			c.xml = !strings.EqualFold(c.rq.query["format"].Text, "json")
		}
		c.out = c.appendRefusal(nil, refusal)
	}
	contentType := "application/json; charset=utf-8"
	if c.xml {
		contentType = "text/xml; charset=utf-8"
	}
	c.Header.Set("Content-Type", contentType)
	return &Answer{Status: status, Header: c.Header, Body: c.out}, nil
}
