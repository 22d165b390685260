package match

import (
	"bytes"
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// A name is compared as a DN when both sides are DNs. Three readings of "the same
// name" had to be decided between: byte for byte (breaks on "CN=a, OU=b"), the
// schema's matching rules (nobody has the schema here), and what this file does:
// types and values folded, spaces squeezed, escapes resolved, the order of the
// parts kept, and that of the attributes inside one part not.

// attribute is one type=value of a distinguished name, both unescaped. The value
// is as written but for spaces that do not matter.
type attribute struct {
	typ    string
	value  string
	joined bool // to the attribute before it, with "+"
}

// parseDN reads a distinguished name as RFC 4514 defines it and appends its
// attributes to into. False means that the text is no DN. The library behind it
// is more generous than the RFC (any text as a type, a stray "=" before it, ";"
// as a comma), so the shape is checked first.
func parseDN(into []attribute, s string) ([]attribute, bool) {
	if plainDN(s) {
		return splitPlainDN(into, s), true
	}
	return parseFullDN(into, s)
}

// parseFullDN is parseDN for every form.
func parseFullDN(into []attribute, s string) ([]attribute, bool) {
	if !strictDN(s) {
		return into, false
	}
	parsed, err := ldap.ParseDN(s)
	if err != nil || len(parsed.RDNs) == 0 {
		return into, false
	}
	for _, rdn := range parsed.RDNs {
		start := len(into)
		for _, a := range rdn.Attributes {
			into = append(into, attribute{typ: Fold(a.Type), value: squeeze(a.Value)})
		}
		part := into[start:]
		slices.SortFunc(part, func(a, b attribute) int {
			return cmp.Or(cmp.Compare(a.typ, b.typ), cmp.Compare(Fold(a.value), Fold(b.value)))
		})
		for i := range part {
			part[i].joined = i > 0
		}
	}
	return into, true
}

// plainDN reports whether s is a DN of the form that directories mostly send: no
// escapes, one attribute a part, plain ASCII, no spaces around the parts. Reading
// these without the library saves nine tenths of the time; what is not known for
// certain is left to the library.
//
//	cn=Web Team,ou=Groups,dc=example,dc=com    plain
//	CN=Web Team, OU=Groups                     not plain: a space behind the comma
//	cn=a\2Cb                                   not plain: an escape
func plainDN(s string) bool {
	inValue, empty := false, true
	for i := range len(s) {
		switch c := s[i]; {
		case isLetter(c), isDigit(c) && (!empty || inValue), c == '-' && !empty, (c == '_' || c == '.') && inValue:
			empty = false
		case c == '=' && !inValue && !empty:
			inValue, empty = true, true
		case c == ',' && inValue && !empty:
			inValue, empty = false, true
		case c == ' ' && inValue && !empty && i+1 < len(s) && s[i+1] != ' ' && s[i+1] != ',':
		default:
			return false
		}
	}
	return inValue && !empty
}

// splitPlainDN appends the attributes of a plain DN without making new strings;
// types keep their letter case.
func splitPlainDN(into []attribute, s string) []attribute {
	for part := range strings.SplitSeq(s, ",") {
		typ, value, _ := strings.Cut(part, "=")
		into = append(into, attribute{typ: typ, value: value})
	}
	return into
}

// strictDN reports whether s has the shape of RFC 4514: plain types, each with
// an equals sign, and no unescaped ";".
func strictDN(s string) bool {
	start, inValue := 0, false
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case ';':
			return false
		case '=':
			if !inValue && !isAttributeType(strings.Trim(s[start:i], " ")) {
				return false
			}
			inValue = true
		case ',', '+':
			if !inValue {
				return false
			}
			inValue, start = false, i+1
		}
	}
	return inValue
}

// isAttributeType reports whether s is a short name or an OID (RFC 4512, 1.4).
func isAttributeType(s string) bool {
	if s == "" {
		return false
	}
	if isLetter(s[0]) {
		for i := range len(s) {
			if c := s[i]; !isLetter(c) && !isDigit(c) && c != '-' {
				return false
			}
		}
		return true
	}
	for arc := range strings.SplitSeq(s, ".") {
		if arc == "" || strings.ContainsFunc(arc, func(r rune) bool { return r < '0' || r > '9' }) {
			return false
		}
	}
	return strings.Contains(s, ".")
}

// special are the characters of a value that a key must escape to stay unique.
const special = `,+\`

// appendKey appends the text that equal DNs have in common.
//
// The key is the DN in lower case without the spaces that do not matter, with the
// attributes of a multi-valued part in a fixed order, and with exactly ",", "+" and
// "\" in values escaped, so that no two different names have the same key:
//
//	CN=Web  Team, OU=Groups    ->  cn=web team,ou=groups
//	uid=1+cn=a                 ->  cn=a+uid=1
//	cn=a\2Cou=b                ->  cn=a\,ou=b
func appendKey(b []byte, attrs []attribute) []byte {
	for i, a := range attrs {
		switch {
		case a.joined:
			b = append(b, '+')
		case i > 0:
			b = append(b, ',')
		}
		b = append(AppendFold(b, a.typ), '=')
		start := len(b)
		b = AppendFold(b, a.value)
		if bytes.ContainsAny(b[start:], special) {
			value := bytes.Clone(b[start:])
			b = b[:start]
			for _, c := range value {
				if strings.IndexByte(special, c) >= 0 {
					b = append(b, '\\')
				}
				b = append(b, c)
			}
		}
	}
	return b
}

// dnTemplate is a DN with variables inside its values. A variable never reaches
// beyond its value, so "cn={a},ou=x" cannot be made to match a name in another
// branch of the directory, whatever the name contains.
type dnTemplate []attributeTemplate

// attributeTemplate is one type and the value wanted for it.
type attributeTemplate struct {
	typ    string
	joined bool
	value  *template
}

// newDNTemplate reads a key with variables as a DN. It returns nil and no
// error if the key is no DN at all.
func newDNTemplate(key string, vars []string) (dnTemplate, error) {
	if _, ok := parseDN(nil, hideVars(key, 'x', 0)); !ok {
		return nil, nil
	}
	attrs, ok := parseDN(nil, hideVars(key, firstPlaceholder, 1))
	if !ok {
		return nil, errors.New("a variable in a DN must be inside a value")
	}
	t := make(dnTemplate, 0, len(attrs))
	found := 0
	for i, a := range attrs {
		if a.joined && attrs[i-1].typ == a.typ {
			return nil, errors.New("a DN with variables cannot have one attribute type twice in one part")
		}
		value, n := placeholderTemplate(a.value, vars)
		found += n
		t = append(t, attributeTemplate{a.typ, a.joined, value})
	}
	if found != len(vars) {
		return nil, errors.New("the DN holds characters that cannot stand beside a variable")
	}
	return t, nil
}

// placeholderTemplate builds the template of one unescaped value. Braces in the
// value itself are literal: only placeholders are variables.
func placeholderTemplate(value string, vars []string) (t *template, found int) {
	t = &template{}
	literal := 0
	for i, r := range value {
		n := int(r - firstPlaceholder)
		if r < firstPlaceholder || n >= len(vars) {
			continue
		}
		t.literals = append(t.literals, Fold(value[literal:i]))
		t.vars = append(t.vars, vars[n])
		literal = i + len(string(r))
	}
	t.close(value[literal:])
	return t, len(t.vars)
}

// match reports whether the parsed DN is of this form, and what it captures. The
// attributes of one part stand in order of their types on both sides.
func (t dnTemplate) match(attrs []attribute) (Captures, bool) {
	if len(attrs) != len(t) {
		return nil, false
	}
	var c Captures
	for i, a := range attrs {
		want := &t[i]
		if want.joined != a.joined || !Equal(a.typ, want.typ) {
			return nil, false
		}
		var ok bool
		if c, ok = want.value.match(a.value, c); !ok {
			return nil, false
		}
	}
	return c, true
}
