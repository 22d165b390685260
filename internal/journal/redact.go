package journal

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// What is redacted is found in the text itself, and the rest stays as it was sent:
// attribute order, a name written twice, a number with a strange form are what an
// administrator may be looking for.

// redacted stands for what was taken out.
const redacted = "[redacted]"

// secretWord is in names whose values nobody should see. It is wide on purpose: a value
// that is hidden without need costs a look at the identity provider, one that is shown
// without need cannot be taken back.
var secretWord = regexp.MustCompile(`(?i)pass(word|wd|phrase)|secret|token|api_?key|authorization`)

// moreNames is what may follow the name of a secret where only names stand, as in
// attributes=password,userName.
var moreNames = regexp.MustCompile(`^[\w$.,-]*$`)

// withoutValues is a text that names attributes, such as a filter or a path. Of one
// that names a secret and says more than names only the beginning is left: the value
// may stand there with quotes or without, in whatever form it was misspelt.
func withoutValues(text string) string {
	at := secretWord.FindStringIndex(text)
	if at == nil || moreNames.MatchString(text[at[1]:]) {
		return text
	}
	return text[:at[1]] + " " + redacted
}

// shown is a body without secrets. One that is too long, or that the handler did not
// read to its end, is only told of: half a document cannot be searched for what must
// not be stored.
func (b *body) shown() string {
	text := b.text.Bytes()
	switch {
	case b.size == 0:
		return ""
	case b.size > maxBody:
		return fmt.Sprintf("(%d bytes, more than the %d that are kept)", b.size, maxBody)
	}
	spans, err := secrets(text)
	if err == nil {
		return clean(string(cut(text, spans)), 2*maxBody)
	}
	// Not JSON: it is shown, because that may be the very mistake, unless it may hold
	// a secret. An escape can hide a word.
	if secretWord.Match(text) || bytes.Contains(text, []byte(`\u`)) {
		return fmt.Sprintf("(%d bytes that are not JSON, not shown because they may hold a secret)", b.size)
	}
	return clean(string(text), maxBody)
}

// span is a part of a text.
type span struct{ from, to int64 }

// secrets finds the values in a JSON document that must not be seen: those of names
// with a secret word in them, the value of a PATCH operation whose path has one, and
// filters and paths that compare one.
func secrets(text []byte) ([]span, error) {
	w := walker{text: text, dec: json.NewDecoder(bytes.NewReader(text))}
	w.dec.UseNumber()
	if _, _, err := w.value(); err != nil {
		return nil, err
	}
	if _, err := w.dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one document")
	}
	return w.found, nil
}

// walker reads a document token by token.
type walker struct {
	text  []byte
	dec   *json.Decoder
	found []span
}

// value reads one value: where it stands, and its text when it is a string.
func (w *walker) value() (at span, text string, err error) {
	// The decoder stands behind what came before; blanks, commas and colons follow.
	at.from = w.dec.InputOffset()
	for at.from < int64(len(w.text)) && strings.IndexByte(" \t\r\n,:", w.text[at.from]) >= 0 {
		at.from++
	}
	t, err := w.dec.Token()
	if err != nil {
		return at, "", err
	}
	switch t := t.(type) {
	case string:
		text = t
	case json.Delim:
		if t == '{' {
			err = w.object()
		} else {
			err = w.array()
		}
	}
	at.to = w.dec.InputOffset()
	return at, text, err
}

// array reads the rest of an array.
func (w *walker) array() error {
	for w.dec.More() {
		if _, _, err := w.value(); err != nil {
			return err
		}
	}
	_, err := w.dec.Token()
	return err
}

// object reads the rest of an object.
func (w *walker) object() error {
	// A PATCH operation says in path what its value is, and may say so afterwards.
	var values []span
	secretPath := false
	for w.dec.More() {
		_, name, err := w.value()
		if err != nil {
			return err
		}
		at, text, err := w.value()
		if err != nil {
			return err
		}
		switch {
		case secretWord.MatchString(name):
			w.found = append(w.found, at)
		case strings.EqualFold(name, "value"):
			values = append(values, at)
		case strings.EqualFold(name, "path"), strings.EqualFold(name, "filter"):
			secretPath = secretPath || secretWord.MatchString(text)
			if withoutValues(text) != text {
				w.found = append(w.found, at)
			}
		}
	}
	if secretPath {
		w.found = append(w.found, values...)
	}
	_, err := w.dec.Token()
	return err
}

// cut replaces the spans of a text.
func cut(text []byte, spans []span) []byte {
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	var out []byte
	var done int64
	for _, s := range spans {
		if s.from < done {
			continue // inside of one that is gone already
		}
		out = append(append(out, text[done:s.from]...), `"`+redacted+`"`...)
		done = s.to
	}
	return append(out, text[done:]...)
}

// shownPath is path and query without secrets. What does not belong into a URL may be
// there all the same: a token, or a filter on a password. Values that are changed are
// shown decoded, the others as they were sent.
func shownPath(uri string) string {
	path, raw, has := strings.Cut(uri, "?")
	if !has {
		return clean(path, maxPath)
	}
	query, err := url.ParseQuery(raw)
	if err != nil {
		return clean(path, maxPath) + "?(cannot be read)"
	}
	pairs := strings.Split(raw, "&")
	for i, pair := range pairs {
		name, _, _ := strings.Cut(pair, "=")
		plain, _ := url.QueryUnescape(name) // ParseQuery has read it
		switch values := strings.Join(query[plain], " "); {
		case secretWord.MatchString(plain):
			pairs[i] = name + "=" + redacted
		case secretWord.MatchString(values):
			pairs[i] = name + "=" + withoutValues(values)
		}
	}
	return clean(path+"?"+strings.Join(pairs, "&"), maxPath)
}
