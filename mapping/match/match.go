// Package match compares: names of groups with the keys of rules, and attributes
// of people with LDAP filters. It knows nothing of what a rule grants.
//
// A key is one of four forms, told apart by its text alone:
//
//	Matomo-Admins                 text      the whole name, folded
//	Matomo-{site}-Viewers         template  takes parts out of the name (Captures)
//	cn=web,ou=groups,dc=example   DN        compared as RFC 4514 parsed names
//	cn={team},ou=groups           both      a variable within one value
//
// There are no wildcards and no prefix matches, and a name matches a key in one
// way at most, so the owner of a group cannot choose what its name means. An Index
// finds all keys that a name matches without asking each of them.
//
// A user's rule is a Filter (RFC 4515) with the three truth values of RFC 4511:
// what a source did not send is Undefined, which is neither a match nor its
// opposite.
//
// The LDAP library is used in dn.go and ldapfilter.go, for parsing only. Both
// check the shape themselves first, because the library accepts more than the
// RFCs, and what it accepts would silently match something else.
package match

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// form is the way a key is compared.
type form int

const (
	formText       form = iota // the whole name, folded
	formDN                     // a distinguished name
	formTemplate               // a name with captures
	formDNTemplate             // a distinguished name with captures
)

// Key is a compiled key of a group rule.
type Key struct {
	form form
	text string // formText, formDN: what equal names have in common
	tmpl *template
	dn   dnTemplate
	vars []string
}

// ParseKey compiles the key of a group rule: quoted, it is a literal text; with a
// variable, a template; otherwise a DN if it reads as one, and a text if not. The
// error says what is wrong with the variables; every other key is a key.
func ParseKey(text string, quoted bool) (Key, error) {
	if quoted {
		return Key{form: formText, text: Fold(text)}, nil
	}
	if vars := Vars(text); len(vars) > 0 {
		return parseTemplate(text, vars)
	}
	if attrs, ok := parseDN(nil, text); ok {
		return Key{form: formDN, text: string(appendKey(nil, attrs))}, nil
	}
	return Key{form: formText, text: Fold(text)}, nil
}

// parseTemplate compiles a key with variables.
func parseTemplate(text string, vars []string) (Key, error) {
	tmpl, err := newTemplate(text)
	if err != nil {
		return Key{}, err
	}
	dn, err := newDNTemplate(text, vars)
	switch {
	case err != nil:
		return Key{}, err
	case dn != nil:
		return Key{form: formDNTemplate, dn: dn, vars: vars}, nil
	}
	return Key{form: formTemplate, tmpl: tmpl, vars: vars}, nil
}

// Exact reports whether the key names one group and nothing else, which is what a
// rule for superuser must do. The zero Key is the text "" and exact.
func (k Key) Exact() bool { return k.form == formText || k.form == formDN }

// Vars are the variables of the key, in order: what grants may ask for.
func (k Key) Vars() []string { return k.vars }

// Index finds the keys that a name matches. Texts and DNs are looked up in maps;
// only templates are tried one by one. It may be read by several goroutines once
// nothing is added any more.
type Index struct {
	texts     map[string][]int
	dns       map[string][]int
	templates []indexed
	dnForms   []indexed
}

// indexed is a key that is tried, with its number.
type indexed struct {
	id  int
	key Key
}

// Add puts a key into the index under a number, which need not be unique.
func (x *Index) Add(id int, k Key) {
	if x.texts == nil {
		x.texts, x.dns = map[string][]int{}, map[string][]int{}
	}
	switch k.form {
	case formText:
		x.texts[k.text] = append(x.texts[k.text], id)
	case formDN:
		x.dns[k.text] = append(x.dns[k.text], id)
	case formTemplate:
		x.templates = append(x.templates, indexed{id, k})
	case formDNTemplate:
		x.dnForms = append(x.dnForms, indexed{id, k})
	}
}

// The sizes of buffers that keep the common look-up from allocating.
const (
	nameBuffer = 256 // bytes of a folded name
	partBuffer = 12  // attributes of a DN
)

// Each calls yield for every key that the name matches, with its number and what
// it captured: texts first, then templates, then DNs.
func (x *Index) Each(name string, yield func(id int, c Captures)) {
	var buf [nameBuffer]byte
	for _, id := range x.texts[string(AppendFold(buf[:0], name))] {
		yield(id, nil)
	}
	for i := range x.templates {
		if c, ok := x.templates[i].key.tmpl.match(name, nil); ok {
			yield(x.templates[i].id, c)
		}
	}
	if len(x.dns)+len(x.dnForms) == 0 || strings.IndexByte(name, '=') < 0 {
		return
	}
	var parts [partBuffer]attribute
	attrs, ok := parseDN(parts[:0], name)
	if !ok {
		return
	}
	for _, id := range x.dns[string(appendKey(buf[:0], attrs))] {
		yield(id, nil)
	}
	for i := range x.dnForms {
		if c, ok := x.dnForms[i].key.dn.match(attrs); ok {
			yield(x.dnForms[i].id, c)
		}
	}
}

// BadRune describes the first character of s that no key may hold, because no
// name does: bytes that are no UTF-8, control characters, and the ones that
// Unicode reserves for programs, which this package uses while it parses
// templates. It is empty for every other text.
func BadRune(s string) string {
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], string(utf8.RuneError)):
			return "a byte that is no UTF-8"
		case unicode.IsControl(r), firstPlaceholder <= r && r <= lastPlaceholder:
			return fmt.Sprintf("the character U+%04X", r)
		}
	}
	return ""
}
