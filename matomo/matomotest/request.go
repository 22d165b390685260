package matomotest

import (
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
)

// maxInputVars is PHP's limit on the variables of a query or a body: whatever
// comes after is dropped without a word.
const maxInputVars = 1000

// A param is one parameter as PHP hands it to Matomo: a string, or an array
// when its name had brackets.
type param struct {
	text    string
	array   []pair
	isArray bool
}

type pair struct{ key, value string }

// texts returns the values of an array, or the one string.
func (p param) texts() []string {
	if !p.isArray {
		return []string{p.text}
	}
	out := make([]string, 0, len(p.array))
	for _, e := range p.array {
		out = append(out, e.value)
	}
	return out
}

func (p param) empty() bool { return !p.isArray && p.text == "" }

type params map[string]param

// request is what Matomo sees of one HTTP request.
type request struct {
	query, body params
	all         params // both; the query wins
	host        string
	ip          string
}

// readRequest parses the query and, if it is a form, the body.
func readRequest(r *http.Request) (request, error) {
	rq := request{query: params{}, body: params{}, ip: r.RemoteAddr, host: r.Host}
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		rq.ip = host
	}
	rq.query.parse(r.URL.RawQuery, true)
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.Body != nil && kind == "application/x-www-form-urlencoded" {
		data, err := io.ReadAll(r.Body)
		if err != nil {
			return rq, fmt.Errorf("reading the body: %w", err)
		}
		rq.body.parse(string(data), true)
	}
	rq.all = make(params, len(rq.query)+len(rq.body))
	for name, value := range rq.body {
		rq.all[name] = value
	}
	for name, value := range rq.query {
		rq.all[name] = value
	}
	return rq, nil
}

// parse adds the pairs of a query string as PHP would: a later value of a name
// replaces the former, name[] and name[key] collect an array, and white space
// around values is trimmed as Matomo does. Values are percent-decoded if decode
// is set.
func (ps params) parse(query string, decode bool) {
	unescape := func(s string) string {
		if decode {
			return urlDecode(s)
		}
		return s
	}
	for count := 0; query != "" && count < maxInputVars; count++ {
		var piece string
		piece, query, _ = strings.Cut(query, "&")
		name, value, _ := strings.Cut(piece, "=")
		name, value = unescape(name), trim(unescape(value))
		if name == "" {
			count--
			continue
		}
		base, rest, bracket := strings.Cut(name, "[")
		if !bracket || base == "" || !strings.Contains(rest, "]") {
			ps[name] = param{text: value}
			continue
		}
		key, deeper, _ := strings.Cut(rest, "]")
		key += deeper // parameters[emails][0] is one flat key: "emails[0]"
		p := ps[base]
		p.text, p.isArray = "", true
		p.array = setKey(p.array, key, value)
		ps[base] = p
	}
}

// setKey sets one element of a PHP array; an empty key appends.
func setKey(array []pair, key, value string) []pair {
	if strings.HasSuffix(key, "[]") { // an appended element deeper down
		return append(array, pair{key, value})
	}
	if key == "" {
		return append(array, pair{fmt.Sprint(len(array)), value})
	}
	// Keys mostly come in rising order: only look back when they do not.
	if n := len(array); n > 0 && fmt.Sprint(n) != key {
		for i := range array {
			if array[i].key == key {
				array[i].value = value
				return array
			}
		}
	}
	return append(array, pair{key, value})
}

// urlDecode is PHP's urldecode: it leaves a broken escape as it stands.
func urlDecode(s string) string {
	if !strings.ContainsAny(s, "%+") {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			b.WriteByte(' ')
		case s[i] == '%' && i+2 < len(s) && hexValue(s[i+1]) >= 0 && hexValue(s[i+2]) >= 0:
			b.WriteByte(byte(hexValue(s[i+1])<<4 | hexValue(s[i+2])))
			i += 2
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func hexValue(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// trim is PHP's trim.
func trim(s string) string { return strings.Trim(s, " \n\r\t\v\x00") }
