package wire

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

// Many calls in one request (API.getBulkRequest). Members run in order, each with a
// result of its own, and one that fails does not stop the others: nothing here is
// atomic. What all members share is said once, on the outer request, and inherited
// (trap 14): above all passwordConfirmation, which there is decoded once, while
// Matomo before 5 decodes members twice (trap 13).

// Limits of one bulk request. PHP drops parameters after the thousandth without
// a word, and every addUser, updateUser and setSuperUserAccess costs a password
// hash of 0.1 s.
const (
	BulkMax      = 100
	BulkHeavyMax = 20
)

// ErrShape marks an answer that is JSON, and not what the method answers.
var ErrShape = errors.New("unexpected answer")

// Call is one API call: a member of a bulk request, or a request of its own.
type Call struct {
	Method   string // such as UsersManager.addUser
	Params   []Param
	Heavy    bool                      // costs a password hash
	Password bool                      // Matomo asks for the caller's password
	Decode   func(*json.Decoder) error // reads the answer, and returns a refusal as *Error; nil: any success will do
	Check    func() *Error             // judges a successful answer once those of all members are read; may be nil
}

// UnsafeBefore5 reports whether the call must not be a bulk member on Matomo
// before 5, which decodes members once more: a value with & or % in it would
// turn into other parameters. A + survives.
func (k Call) UnsafeBefore5() bool {
	for _, p := range k.Params {
		if strings.ContainsAny(p.Value, "&%=#? ") {
			return true
		}
	}
	return false
}

// member writes the call the way a bulk request wants it: one query string.
func (k Call) member() string {
	var b strings.Builder
	b.WriteString("method=" + k.Method)
	for _, p := range k.Params {
		b.WriteString("&" + url.QueryEscape(p.Key) + "=" + url.QueryEscape(p.Value))
	}
	return b.String()
}

// Single sends a call as a request of its own.
func (c *Conn) Single(ctx context.Context, k Call, read bool) error {
	return c.send(ctx, request{
		method: k.Method, params: k.Params, password: k.Password, read: read, calls: []Call{k},
		decode: func(dec *json.Decoder) error { return c.judge(k.Method, k.read(dec)) },
	})
}

// Bulk sends calls as one request. Members run in order and go on after a
// failure. errs has one entry a call; err is set when the request as a whole
// failed, and then nothing is known about any member.
func (c *Conn) Bulk(ctx context.Context, calls []Call, read bool, timeout time.Duration) (errs []error, err error) {
	params := make([]Param, len(calls))
	password := false
	for i, k := range calls {
		params[i] = Param{"urls[" + strconv.Itoa(i) + "]", k.member()}
		password = password || k.Password
	}
	err = c.send(ctx, request{
		method: BulkMethod, params: params, password: password, read: read, timeout: timeout, calls: calls, errs: &errs,
		decode: func(dec *json.Decoder) error {
			errs = errs[:0]
			return c.members(dec, calls, &errs)
		},
	})
	if err != nil {
		return nil, err
	}
	return errs, nil
}

// members reads the answer of a bulk request member by member, so that a big
// one never lies in memory as a whole.
func (c *Conn) members(dec *json.Decoder, calls []Call, errs *[]error) error {
	tok, err := dec.Token()
	if err != nil {
		return err
	}
	if tok != json.Delim('[') {
		raw, err := rest(dec, tok)
		if err != nil {
			return err
		}
		return c.judge(BulkMethod, refusal(raw))
	}
	for i := 0; dec.More(); i++ {
		if i >= len(calls) {
			return fmt.Errorf("%w: more members than asked for", ErrShape)
		}
		err := calls[i].read(dec)
		if _, refused := errors.AsType[*Error](err); err != nil && !refused {
			return fmt.Errorf("%s: %w", calls[i].Method, err)
		}
		*errs = append(*errs, c.judge(calls[i].Method, err))
	}
	if _, err := dec.Token(); err != nil {
		return err
	}
	if len(*errs) != len(calls) {
		return fmt.Errorf("%w: %d of %d members answered", ErrShape, len(*errs), len(calls))
	}
	for i, k := range calls {
		if k.Check == nil || (*errs)[i] != nil {
			continue
		}
		if e := k.Check(); e != nil {
			(*errs)[i] = e
		}
	}
	return nil
}

// settle draws conclusions about the secrets that were sent from what became of the calls. A member
// of a bulk request is answered with HTTP 200 whatever happened to it, so a dead token or a wrong
// password may show in a member only. What is concluded is about the values that were sent: the
// files may hold others by now.
func (c *Conn) settle(calls []Call, errs []error, token, password string) {
	for _, err := range errs {
		if k := KindOf(err); k == BadToken || k == WrongPassword {
			c.note(err)
			c.blame(err, token, password)
			return
		}
	}
	for i, err := range errs {
		if err == nil {
			c.token.prove(token)
		}
		if password != "" && accepted(calls[i], err) {
			c.password.prove(password)
		}
	}
}

// accepted reports whether an answer proves the password: the call needed it
// and went past that check. Matomo looks at the password first, then at whether
// the user exists, then at whether it is the last superuser.
func accepted(k Call, err error) bool {
	switch KindOf(err) {
	case "", UserMissing, LastSuperuser:
		return k.Password
	default:
		return false
	}
}

// judge completes a refusal: its method, and what "no access" means. Before
// Matomo 5 a dead token is answered exactly like a missing permission, and a
// superuser never lacks one.
func (c *Conn) judge(method string, err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return err
	}
	e.Method = method
	if e.Kind == NoPermission && Before5(c.Version()) {
		e.Kind = BadToken
	}
	return e
}

// read decodes one answer with the call's decoder.
func (k Call) read(dec *json.Decoder) error {
	if k.Decode != nil {
		return k.Decode(dec)
	}
	var raw json.RawMessage
	if err := dec.Decode(&raw); err != nil {
		return err
	}
	if err := refusal(raw); err != nil && !errors.Is(err, ErrShape) {
		return err
	}
	return nil
}

// refusal reads {"result":"error","message":"..."}; anything else is ErrShape.
func refusal(raw json.RawMessage) error {
	var r struct {
		Result  json.RawMessage `json:"result"`
		Message json.RawMessage `json:"message"`
	}
	if !bytes.HasPrefix(raw, []byte("{")) || json.Unmarshal(raw, &r) != nil || string(r.Result) != `"error"` {
		return ErrShape
	}
	var message string
	if json.Unmarshal(r.Message, &message) != nil {
		message = string(r.Message)
	}
	return classify("", 0, message)
}
