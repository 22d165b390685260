package matomotest

import (
	"errors"
	"strings"
)

// bulkRequest runs the members in order, each on its own: nothing is rolled
// back when one fails. They inherit every parameter of the outer request
// (trap 14). Nested bulks are skipped without a trace.
func (c *call) bulkRequest() error {
	urls := c.p["urls"]
	if !urls.isArray {
		c.out = append(c.out, "[]"...)
		return nil
	}
	c.out = append(c.out, '[')
	start := len(c.out)
	var ends []int
	for _, member := range urls.texts() {
		ps := c.memberParams(member)
		if ps["method"].text == bulkMethod {
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
	// All have run; the list of results is cut like any other (trap 3).
	from, to := c.window(len(ends))
	switch {
	case to <= from:
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
func (c *call) memberParams(member string) params {
	ps := make(params, len(c.p)+8)
	for name, value := range c.p {
		if name != "urls" {
			ps[name] = value
		}
	}
	own := make(params, 8)
	switch {
	case !c.s.v5:
		own.parse(urlDecode(member), false)
	case !strings.Contains(member, "="):
		own.parse(urlDecode(member), true)
	default:
		own.parse(member, true)
	}
	for name, value := range own {
		ps[name] = value
	}
	return ps
}

// runMember runs one member and appends its answer. The outer token decides; a
// member's own counts only when the outer request has none.
func (c *call) runMember(ps params) error {
	m := &call{
		s: c.s, ctx: c.ctx, p: ps, method: ps["method"].text, who: c.who, ip: c.ip, rq: c.rq, number: c.number,
		now: c.now, header: map[string][]string{}, bulk: true, out: c.out,
	}
	start := len(c.out)
	var err error
	if outer := c.p["token_auth"].text; outer == "" && ps["token_auth"].text != "" {
		c.s.mu.Lock()
		err = m.identifyLocked(ps["token_auth"].text, false)
		c.s.mu.Unlock()
	}
	if err == nil {
		err = m.dispatch()
	}
	c.out = m.out
	var refused *apiError
	if errors.As(err, &refused) {
		m.out = m.out[:start]
		m.appendError(refused)
		c.out = m.out
		return nil
	}
	return err
}
