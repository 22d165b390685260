package matomo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Limits of one bulk request. PHP drops parameters after the thousandth without a word, and every addUser, updateUser and
// setSuperUserAccess costs a password hash of 0.1 s.
const (
	bulkMax      = 100
	bulkHeavyMax = 20
)

// errShape marks an answer that is JSON, and not what the method answers.
var errShape = errors.New("unexpected answer")

// call is one API call: a member of a bulk request, or a request of its own.
type call struct {
	method   string
	params   []param
	heavy    bool
	password bool
	decode   func(*json.Decoder) error // nil: any success will do
}

// unsafeBefore5 reports whether the call must not be a bulk member on Matomo before 5, which decodes members once more:
// a value with & or % in it would turn into other parameters. A + survives.
func (k call) unsafeBefore5() bool {
	for _, p := range k.params {
		if strings.ContainsAny(p.value, "&%=#? ") {
			return true
		}
	}
	return false
}

// member writes the call the way a bulk request wants it: one query string.
func (k call) member() string {
	var b strings.Builder
	b.WriteString("method=" + k.method)
	for _, p := range k.params {
		b.WriteString("&" + url.QueryEscape(p.key) + "=" + url.QueryEscape(p.value))
	}
	return b.String()
}

// single sends a call as a request of its own.
func (c *Client) single(ctx context.Context, k call, read bool) error {
	err := c.send(ctx, request{
		method: k.method, params: k.params, password: k.password, read: read,
		decode: func(dec *json.Decoder) error { return c.judge(k.method, k.read(dec)) },
	})
	if accepted(k, err) {
		c.proved()
	}
	return err
}

// bulk sends calls as one request. Members run in order and go on after a failure. errs has one entry a call; err is set
// when the request as a whole failed, and then nothing is known about any member.
func (c *Client) bulk(ctx context.Context, calls []call, read bool, timeout time.Duration) (errs []error, err error) {
	params := make([]param, len(calls))
	password := false
	for i, k := range calls {
		params[i] = param{"urls[" + strconv.Itoa(i) + "]", k.member()}
		password = password || k.password
	}
	err = c.send(ctx, request{
		method: bulkMethod, params: params, password: password, read: read, timeout: timeout,
		decode: func(dec *json.Decoder) error {
			errs = errs[:0]
			return c.members(dec, calls, &errs)
		},
	})
	if err != nil {
		return nil, err
	}
	c.settleSecrets(errs)
	for i, k := range calls {
		if accepted(k, errs[i]) && c.HasPassword() {
			c.proved()
			break
		}
	}
	return errs, nil
}

// members reads the answer of a bulk request member by member, so that a big one never lies in memory as a whole.
func (c *Client) members(dec *json.Decoder, calls []call, errs *[]error) error {
	tok, err := dec.Token()
	if err != nil {
		return err
	}
	if tok != json.Delim('[') {
		raw, err := rest(dec, tok)
		if err != nil {
			return err
		}
		return c.judge(bulkMethod, refusal(raw))
	}
	for i := 0; dec.More(); i++ {
		if i >= len(calls) {
			return fmt.Errorf("%w: more members than asked for", errShape)
		}
		err := calls[i].read(dec)
		if _, refused := errors.AsType[*Error](err); err != nil && !refused {
			return fmt.Errorf("%s: %w", calls[i].method, err)
		}
		*errs = append(*errs, c.judge(calls[i].method, err))
	}
	if _, err := dec.Token(); err != nil {
		return err
	}
	if len(*errs) != len(calls) {
		return fmt.Errorf("%w: %d of %d members answered", errShape, len(*errs), len(calls))
	}
	return nil
}

// settleSecrets draws conclusions about token and password from the answers of one request.
func (c *Client) settleSecrets(errs []error) {
	for _, err := range errs {
		if k := KindOf(err); k == BadToken || k == WrongPassword {
			token, _ := c.token.value(bulkMethod)
			password, _ := c.password.value(bulkMethod)
			c.blame(err, token, password)
			c.note(err)
			return
		}
	}
}

// accepted reports whether an answer proves the password: the call needed it and went past that check.
func accepted(k call, err error) bool {
	switch KindOf(err) {
	case "", UserMissing, LastSuperuser:
		return k.password
	default:
		return false
	}
}

// proved remembers that the password at hand was accepted.
func (c *Client) proved() {
	if v, err := c.password.value(""); err == nil {
		c.password.prove(v)
	}
}

// judge completes a refusal: its method, and what "no access" means. Before Matomo 5 a dead token is answered exactly like
// a missing permission, and a superuser never lacks one.
func (c *Client) judge(method string, err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return err
	}
	e.Method = method
	if f, _ := c.known(); e.Kind == NoPermission && f.before5() {
		e.Kind = BadToken
	}
	return e
}

// read decodes one answer with the call's decoder.
func (k call) read(dec *json.Decoder) error {
	if k.decode != nil {
		return k.decode(dec)
	}
	var raw json.RawMessage
	if err := dec.Decode(&raw); err != nil {
		return err
	}
	if err := refusal(raw); err != nil && !errors.Is(err, errShape) {
		return err
	}
	return nil
}

// refusal reads {"result":"error","message":"..."}; anything else is errShape.
func refusal(raw json.RawMessage) error {
	var r struct {
		Result  json.RawMessage `json:"result"`
		Message json.RawMessage `json:"message"`
	}
	if !bytes.HasPrefix(raw, []byte("{")) || json.Unmarshal(raw, &r) != nil || string(r.Result) != `"error"` {
		return errShape
	}
	var message string
	if json.Unmarshal(r.Message, &message) != nil {
		message = string(r.Message)
	}
	return classify("", 0, message)
}
