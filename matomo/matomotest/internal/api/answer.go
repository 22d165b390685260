package api

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/matomo-scim/bridge/matomo/matomotest/internal/php"
)

// An answer is JSON as PHP writes it, byte for byte, because its oddities are what
// a client has to survive: lists that are objects, objects that are lists.

// Answer is a finished HTTP answer.
type Answer struct {
	Status   int
	Header   http.Header
	Body     []byte
	Truncate bool // announce the whole body, send half of it, hang up
}

// newAnswer returns an answer that a fault has not touched.
func newAnswer(status int, contentType string, body []byte) *Answer {
	return &Answer{Status: status, Header: http.Header{"Content-Type": {contentType}}, Body: body}
}

// The pages that Matomo shows where a client might expect JSON. They carry the
// recorded title and text and leave out the decoration.
const (
	titleError       = "Matomo &rsaquo; Error"
	titleMaintenance = "Matomo is undergoing maintenance"
	titleSignIn      = "Sign in - Matomo"
)

// page returns an HTML answer with a title, a heading and a text.
func page(status int, title, heading, text string) *Answer {
	var b strings.Builder
	b.WriteString("<!DOCTYPE html>\n<html>\n<head>\n\t<meta charset=\"utf-8\">\n\t<title>" + title + "</title>\n</head>\n<body id=\"simple\">\n")
	if heading != "" {
		b.WriteString("<h1>" + heading + "</h1>\n")
	}
	if text != "" {
		b.WriteString("<h2>" + php.EscapeHTML(text) + "</h2>\n")
	}
	b.WriteString("</body>\n</html>\n")
	return newAnswer(status, "text/html; charset=utf-8", []byte(b.String()))
}

// maintenancePage is sent for every request to the application, whatever
// format it asked for. The web server writes the charset in capitals.
func maintenancePage() *Answer {
	a := page(http.StatusServiceUnavailable, titleMaintenance, titleMaintenance, "")
	a.Header.Set("Content-Type", "text/html; charset=UTF-8")
	return a
}

// signInPage is what a request without a module gets, such as one whose
// parameters are in a JSON body (trap 12).
func signInPage() *Answer { return page(http.StatusOK, titleSignIn, "", "") }

// The forms in which a method can answer. Each writes to the call's buffer.

const xmlHead = "<?xml version=\"1.0\" encoding=\"utf-8\" ?>\n"

// Success answers for a method that returns nothing.
func (c *Call) Success() error {
	if c.xml {
		c.out = append(c.out, xmlHead+"<result>\n\t<success message=\"ok\" />\n</result>"...)
		return nil
	}
	c.out = append(c.out, `{"result":"success","message":"ok"}`...)
	return nil
}

// Value answers one scalar: a string, bool or int.
func (c *Call) Value(v any) error {
	if c.xml {
		text := map[any]string{true: "1", false: "0"}[v]
		if text == "" {
			text = strings.Trim(string(php.AppendValue(nil, v)), `"`)
		}
		c.out = append(c.out, xmlHead+"<result>"+php.EscapeHTML(text)+"</result>"...)
		return nil
	}
	c.out = php.AppendObject(c.out, func(o *php.Object) { o.Set("value", v) })
	return nil
}

// Object answers a map whose first key is no number: filter_limit does not
// touch it.
func (c *Call) Object(write func(*php.Object)) error {
	if c.xml {
		return errXML
	}
	c.out = php.AppendObject(c.out, write)
	return nil
}

// List answers a list of n elements, cut by filter_limit and filter_offset
// (trap 1).
func (c *Call) List(n int, element func(b []byte, i int) []byte) error {
	if c.xml {
		return errXML
	}
	from, to := c.window(n)
	c.out = php.AppendList(c.out, from, to, element)
	return nil
}

// Objects answers a list of objects.
func (c *Call) Objects(n int, write func(o *php.Object, i int)) error {
	return c.List(n, func(b []byte, i int) []byte {
		return php.AppendObject(b, func(o *php.Object) { write(o, i) })
	})
}

// Keyed answers a PHP array with keys. Matomo cuts it only when the first key
// is a number, and then PHP numbers the integer keys afresh (trap 2). An empty
// array, or one that is numbered from 0, is a JSON list (trap 4).
func (c *Call) Keyed(n int, key func(i int) string, element func(b []byte, i int) []byte) error {
	if c.xml {
		return errXML
	}
	from, to, renumber := 0, n, false
	if n > 0 && php.Numeric(key(0)) {
		from, to = c.window(n)
		renumber = c.Int("filter_limit", -1) >= 0 || c.Int("filter_offset", 0) > 0
	}
	keys := make([]string, 0, to-from)
	next, plain := 0, true
	for i := from; i < to; i++ {
		k := key(i)
		if renumber && php.Integer(k) {
			k = strconv.Itoa(next)
			next++
		}
		plain = plain && k == strconv.Itoa(i-from)
		keys = append(keys, k)
	}
	if plain {
		c.out = php.AppendList(c.out, from, to, element)
		return nil
	}
	return c.Object(func(o *php.Object) {
		for i, k := range keys {
			o.Key(k)
			o.B = element(o.B, from+i)
		}
	})
}

// window is the part of n elements that the request wants.
func (c *Call) window(n int) (from, to int) {
	return php.Slice(n, c.Int("filter_limit", -1), c.Int("filter_offset", 0))
}

// errXML refuses what has no XML form here.
var errXML = Refuse("the stand-in answers lists and maps as JSON only")

// appendRefusal writes a refusal. Outside a bulk request its text is escaped
// (trap 4).
func (c *Call) appendRefusal(b []byte, e *Refusal) []byte {
	text := e.text
	if !c.Member {
		text = php.EscapeHTML(text)
	}
	if c.xml {
		return append(b, xmlHead+"<result>\n\t<error message=\""+text+"\" />\n</result>"...)
	}
	return php.AppendObject(b, func(o *php.Object) { o.Set("result", "error", "message", text) })
}
