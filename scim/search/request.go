// Package search reads what a client wants of a listing, from the query string or
// from the body of POST .search (RFC 7644 sections 3.4.2 and 3.4.3), and makes and
// reads the cursors with which a listing goes on (RFC 9865).
//
// Whatever cannot be read is refused: a default in its place would answer a
// question that nobody asked. What is merely out of range is brought into it,
// because the RFCs say so.
package search

import (
	"encoding/json"
	"net/url"
	"strconv"
	"strings"

	"github.com/matomo-scim/bridge/scim/schema"
)

// The scimTypes of RFC 9865 section 2.4.
const (
	InvalidCursor = "invalidCursor"
	ExpiredCursor = "expiredCursor"
	InvalidCount  = "invalidCount"
)

// Limits bounds what may be asked.
type Limits struct {
	// Page is the largest and the default number of resources in one answer.
	Page int
	// Filter is the longest filter in bytes; names to sort by are bounded by it too.
	Filter int
	// Cursors allows paging by cursor.
	Cursors bool
}

// Request is what a client wants of a listing.
type Request struct {
	// Attributes and Excluded are the parameters of a projection.
	Attributes, Excluded []string
	// Filter is the text of the filter, "" for none.
	Filter string
	// SortBy names an attribute, "" for none. Descending has no meaning without.
	SortBy     string
	Descending bool
	// Start is the position of the first resource, from 1, and Count how many are
	// wanted: 0 to the largest page, with a cursor at least 1.
	Start, Count int
	// ByCursor says that the listing is paged by cursor; Cursor is the one that was
	// sent, "" for the first page.
	ByCursor bool
	Cursor   string
}

// fields are the parameters as text; a parameter that was not given is not there.
type fields map[string]string

// FromQuery reads the query string.
func FromQuery(q url.Values, l Limits) (Request, error) {
	f := fields{}
	for _, name := range [...]string{"filter", "sortBy", "sortOrder", "startIndex", "count", "cursor"} {
		if values, ok := q[name]; ok {
			// Of two filters one would go unheard, and the answer be too long.
			if len(values) > 1 {
				return Request{}, schema.Errorf(schema.InvalidValue, name, "given %d times", len(values))
			}
			f[name] = values[0]
		}
	}
	out, err := f.request(l)
	out.Attributes, out.Excluded = q["attributes"], q["excludedAttributes"]
	return out, err
}

// FromBody reads a SearchRequest. Its members are attributes and may be spelled in
// any case (RFC 7643 section 2.1), unlike the parameters of a URL; those that are
// none of ours are passed over. In strict mode its schema must be named and numbers
// must be numbers.
func FromBody(doc schema.Document, l Limits, mode schema.Mode) (Request, error) {
	if err := schema.OneSpelling(doc); err != nil {
		return Request{}, err
	}
	f := fields{}
	var attributes, excluded []string
	named := false
	for name, v := range doc {
		if v == nil { // the same as absent (RFC 7643 section 2.5)
			continue
		}
		var err error
		switch key := strings.ToLower(name); key {
		case "schemas":
			named, err = names(v, schema.SearchRequestURN)
		case "attributes":
			attributes, err = texts(name, v)
		case "excludedattributes":
			excluded, err = texts(name, v)
		case "filter", "cursor", "sortby", "sortorder":
			err = f.text(key, name, v)
		case "startindex", "count":
			err = f.number(key, name, v, mode)
		}
		if err != nil {
			return Request{}, err
		}
	}
	if mode.Strict && !named {
		return Request{}, schema.Errorf(schema.InvalidSyntax, "schemas", "must name %s", schema.SearchRequestURN)
	}
	out, err := f.request(l)
	out.Attributes, out.Excluded = attributes, excluded
	return out, err
}

// spelling is a parameter in the form that FromQuery uses.
var spelling = map[string]string{"sortby": "sortBy", "sortorder": "sortOrder", "startindex": "startIndex"}

// set keeps a parameter.
func (f fields) set(key, text string) {
	if name, ok := spelling[key]; ok {
		key = name
	}
	f[key] = text
}

// text keeps a parameter that must be a string.
func (f fields) text(key, name string, v any) error {
	s, ok := v.(string)
	if !ok {
		return schema.Errorf(schema.InvalidValue, name, "must be a string")
	}
	f.set(key, s)
	return nil
}

// number keeps a parameter that must be an integer.
func (f fields) number(key, name string, v any, mode schema.Mode) error {
	switch t := v.(type) {
	case json.Number:
		f.set(key, t.String())
		return nil
	case string:
		if !mode.Strict {
			f.set(key, t)
			return nil
		}
	}
	return schema.Errorf(schema.InvalidValue, name, "must be an integer")
}

// names says whether a list of strings has one, in any case.
func names(v any, urn string) (bool, error) {
	list, err := texts("schemas", v)
	for _, s := range list {
		if strings.EqualFold(s, urn) {
			return true, err
		}
	}
	return false, err
}

// texts is a list of strings, or one string, which stands for itself.
func texts(name string, v any) ([]string, error) {
	switch t := v.(type) {
	case string:
		return []string{t}, nil
	case []any:
		out := make([]string, len(t))
		for i, e := range t {
			s, ok := e.(string)
			if !ok {
				return nil, schema.Errorf(schema.InvalidValue, name, "must be a list of strings")
			}
			out[i] = s
		}
		return out, nil
	}
	return nil, schema.Errorf(schema.InvalidValue, name, "must be a list of strings")
}

// request makes sense of the parameters.
func (f fields) request(l Limits) (out Request, err error) {
	out.Filter, out.SortBy = f["filter"], strings.TrimSpace(f["sortBy"])
	if len(out.Filter) > l.Filter {
		return out, schema.Errorf(schema.InvalidFilter, "", "a filter may have at most %d bytes", l.Filter)
	}
	if len(out.SortBy) > l.Filter {
		return out, schema.Errorf(schema.InvalidValue, "sortBy", "may have at most %d bytes", l.Filter)
	}
	switch order := strings.TrimSpace(f["sortOrder"]); {
	case order == "" || schema.EqualName(order, "ascending"):
	case schema.EqualName(order, "descending"):
		out.Descending = true
	default:
		return out, schema.Errorf(schema.InvalidValue, "sortOrder", "must be ascending or descending")
	}
	// An empty cursor is a cursor: it asks for the first page (RFC 9865 section 2).
	out.Cursor, out.ByCursor = f["cursor"]
	if out.ByCursor {
		return f.byCursor(out, l)
	}
	if out.Start, err = integer(f, "startIndex", 1); err != nil {
		return out, err
	}
	if out.Count, err = integer(f, "count", l.Page); err != nil {
		return out, err
	}
	// RFC 7644 section 3.4.2.4: what is too small counts as 1 and 0, and a page
	// that is too large is lowered, not refused.
	out.Start = max(out.Start, 1)
	out.Count = min(max(out.Count, 0), l.Page)
	return out, nil
}

// byCursor reads the paging of RFC 9865 section 2. Unlike there a count that is too
// large is lowered, as everywhere else; one that would never get anywhere is an
// error.
func (f fields) byCursor(out Request, l Limits) (Request, error) {
	switch {
	case !l.Cursors:
		return out, schema.Errorf(InvalidCursor, "cursor", "paging by cursor is switched off here; use startIndex and count")
	case strings.TrimSpace(f["startIndex"]) != "":
		return out, schema.Errorf(schema.InvalidValue, "startIndex", "a listing is paged by startIndex or by cursor, not by both")
	}
	var err error
	if out.Count, err = integer(f, "count", l.Page); err != nil || out.Count < 1 {
		return out, schema.Errorf(InvalidCount, "count", "with a cursor count must be an integer from 1 to %d", l.Page)
	}
	out.Start, out.Count = 1, min(out.Count, l.Page)
	return out, nil
}

// integer reads an integer parameter. One beyond an int is as good as the largest
// one.
func integer(f fields, name string, def int) (int, error) {
	text := strings.TrimSpace(f[name])
	if text == "" {
		return def, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil && n == 0 {
		return 0, schema.Errorf(schema.InvalidValue, name, "must be an integer")
	}
	const most = 1 << 31
	return int(min(max(n, -most), most-1)), nil
}
