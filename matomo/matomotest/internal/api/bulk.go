package api

import (
	"errors"
	"maps"
	"net/http"
	"strings"

	"github.com/matomo-scim/bridge/matomo/matomotest/internal/php"
)

// bulk runs the members of a bulk request in order, each on its own: nothing is
// rolled back when one fails. They inherit every parameter of the outer request
// (trap 14). Nested bulk requests are skipped without a trace.
func (c *Call) bulk() error {
	urls := c.Params["urls"]
	switch {
	case urls.Empty():
		return MissingParam("urls")
	case !urls.IsArray:
		c.out = append(c.out, "[]"...)
		return nil
	}
	// The results are written one after the other into the answer, so that a
	// big one is not copied; ends remembers where to cut.
	c.out = append(c.out, '[')
	start := len(c.out)
	var ends []int // of the results in the buffer
	for _, member := range urls.Texts() {
		ps := c.memberParams(member)
		if ps["method"].Text == Bulk {
			continue
		}
		if len(ends) > 0 {
			c.out = append(c.out, ',')
		}
		if err := c.runMember(ps); err != nil {
			return err
		}
		ends = append(ends, len(c.out))
	}
	// All have run; only the list of results is cut (trap 3).
	switch from, to := c.window(len(ends)); {
	case from == to:
		c.out = c.out[:start]
	case from > 0:
		c.out = append(c.out[:start], c.out[ends[from-1]+1:ends[to-1]]...)
	default:
		c.out = c.out[:ends[to-1]]
	}
	c.out = append(c.out, ']')
	return nil
}

// memberParams parses a member over the parameters of the outer request.
//
// Matomo before 5 decodes the whole member once more before it splits it, and
// then not the values, so an escaped ampersand splits a value (trap 13). Matomo
// 5 decodes value by value; it also takes a member that is escaped as a whole.
func (c *Call) memberParams(member string) php.Params {
	own := make(php.Params, len(c.Params)+8)
	maps.Copy(own, c.Params)
	delete(own, "urls")
	switch {
	case !c.V5:
		own.Parse(php.URLDecode(member), false)
	case !strings.Contains(member, "="):
		own.Parse(php.URLDecode(member), true)
	default:
		own.Parse(member, true)
	}
	return own
}

// runMember runs one member and appends its answer. The outer token decides; a
// member's own counts only when the outer request has none.
func (c *Call) runMember(ps php.Params) error {
	m := &Call{
		API: c.API, Method: ps["method"].Text, Params: ps, Caller: c.Caller, Member: true, Now: c.Now, Header: http.Header{},
		ctx: c.ctx, rq: c.rq, out: c.out,
	}
	var err error
	if own := ps["token_auth"].Text; own != "" && c.Text("token_auth") == "" {
		m.Lock()
		err = m.identifyBy(own, false)
		m.Unlock()
	}
	if err == nil {
		err = m.dispatch()
	}
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		m.out, err = m.appendRefusal(m.out[:len(c.out)], refusal), nil
	}
	c.out = m.out
	return err
}
