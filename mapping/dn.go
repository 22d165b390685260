package mapping

import (
	"cmp"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// attribute is one type=value of a distinguished name, both unescaped. The type
// is folded; the value is as written but for spaces that do not matter.
type attribute struct {
	typ   string
	value string
}

// parseDN reads a distinguished name as RFC 4514 defines it: a list of relative
// names, each of one or more attributes in a fixed order. False means that the
// text is no DN. The library behind it is more generous than the RFC (any text as
// a type, a stray "=" before it, ";" as a comma), so the shape is checked first.
func parseDN(s string) ([][]attribute, bool) {
	if rdns, ok := parsePlainDN(s); ok {
		return rdns, true
	}
	return parseDNFully(s)
}

// parseDNFully is parseDN for every form.
func parseDNFully(s string) ([][]attribute, bool) {
	if !strictDN(s) {
		return nil, false
	}
	parsed, err := ldap.ParseDN(s)
	if err != nil || len(parsed.RDNs) == 0 {
		return nil, false
	}
	out := make([][]attribute, len(parsed.RDNs))
	for i, rdn := range parsed.RDNs {
		for _, a := range rdn.Attributes {
			out[i] = append(out[i], attribute{fold(a.Type), squeeze(a.Value)})
		}
		slices.SortFunc(out[i], func(a, b attribute) int {
			return cmp.Or(cmp.Compare(a.typ, b.typ), cmp.Compare(fold(a.value), fold(b.value)))
		})
	}
	return out, true
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

// squeeze drops spaces at the ends and makes runs of spaces one space.
func squeeze(s string) string {
	if !strings.Contains(s, "  ") && !strings.HasPrefix(s, " ") && !strings.HasSuffix(s, " ") {
		return s
	}
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == ' ' }), " ")
}

// dnKey returns the text that equal DNs have in common. False: s is no DN.
//
// The key is the DN in lower case without the spaces that do not matter, with the
// attributes of a multi-valued part in a fixed order, and with exactly ",", "+" and
// "\" in values escaped, so that no two different names have the same key:
//
//	CN=Web  Team, OU=Groups    ->  cn=web team,ou=groups
//	uid=1+cn=a                 ->  cn=a+uid=1
//	cn=a\2Cou=b                ->  cn=a\,ou=b
func dnKey(s string) (string, bool) {
	var buf [256]byte
	b, ok := appendDNKey(buf[:0], s)
	return string(b), ok
}

// appendDNKey is dnKey without a new string, for looking up in a map.
func appendDNKey(b []byte, s string) ([]byte, bool) {
	if out, ok := appendPlainDNKey(b, s); ok {
		return out, true
	}
	rdns, ok := parseDN(s)
	if !ok {
		return b, false
	}
	for i, rdn := range rdns {
		if i > 0 {
			b = append(b, ',')
		}
		for j, a := range rdn {
			if j > 0 {
				b = append(b, '+')
			}
			b = append(append(b, a.typ...), '=')
			value := appendFold(nil, a.value)
			for _, c := range value {
				if c == ',' || c == '+' || c == '\\' {
					b = append(b, '\\')
				}
				b = append(b, c)
			}
		}
	}
	return b, true
}

// appendPlainDNKey does the same for the DNs that directories mostly send: no
// escapes, one attribute a part, plain ASCII. It saves nine tenths of the time;
// what it does not know for certain it leaves to the parser.
func appendPlainDNKey(b []byte, s string) ([]byte, bool) {
	start := len(b)
	inValue, empty := false, true
	for i := range len(s) {
		c := s[i]
		switch {
		case isLetter(c), isDigit(c) && !empty, isDigit(c) && inValue, c == '-' && !empty:
			b = append(b, lowerASCII(c))
			empty = false
		case c == '=' && !inValue && !empty:
			b = append(b, '=')
			inValue, empty = true, true
		case c == ',' && inValue && !empty:
			b = append(b, ',')
			inValue, empty = false, true
		case (c == '_' || c == '.') && inValue:
			b = append(b, c)
			empty = false
		case c == ' ' && inValue && !empty && i+1 < len(s) && s[i+1] != ' ' && s[i+1] != ',':
			b = append(b, ' ')
		default:
			return b[:start], false
		}
	}
	if !inValue || empty {
		return b[:start], false
	}
	return b, true
}

// parsePlainDN is parseDN for the same plain forms.
func parsePlainDN(s string) ([][]attribute, bool) {
	var buf [256]byte
	if _, ok := appendPlainDNKey(buf[:0], s); !ok {
		return nil, false
	}
	n := strings.Count(s, ",") + 1
	all, out := make([]attribute, 0, n), make([][]attribute, 0, n)
	for part := range strings.SplitSeq(s, ",") {
		typ, value, _ := strings.Cut(part, "=")
		all = append(all, attribute{fold(typ), value})
		out = append(out, all[len(all)-1:])
	}
	return out, true
}

// dnTemplate is a DN with variables inside its values.
type dnTemplate struct {
	rdns [][]attributeTemplate
}

// attributeTemplate is one type and the value wanted for it.
type attributeTemplate struct {
	typ   string
	value *template
}

// newDNTemplate reads a key with variables as a DN. It returns nil and no
// message if the key is no DN at all.
func newDNTemplate(key string) (*dnTemplate, string) {
	if _, msg := newTemplate(key); msg != "" {
		return nil, msg
	}
	hidden, vars := hideVars(key)
	if _, ok := parseDN(strings.Map(placeholderTo('x'), hidden)); !ok {
		return nil, ""
	}
	rdns, ok := parseDN(hidden)
	if !ok {
		return nil, "a variable in a DN must be inside a value"
	}
	t := &dnTemplate{}
	found := 0
	for _, rdn := range rdns {
		var parts []attributeTemplate
		for i, a := range rdn {
			if i > 0 && rdn[i-1].typ == a.typ {
				return nil, "a DN with variables cannot have one attribute type twice in one part"
			}
			value, n := placeholderTemplate(a.value, vars)
			found += n
			parts = append(parts, attributeTemplate{a.typ, value})
		}
		t.rdns = append(t.rdns, parts)
	}
	if found != len(vars) {
		return nil, "the DN holds characters that cannot stand beside a variable"
	}
	return t, ""
}

// placeholderTo returns a mapping of every placeholder to one character.
func placeholderTo(to rune) func(rune) rune {
	return func(r rune) rune {
		if firstPlaceholder <= r && r <= lastPlaceholder {
			return to
		}
		return r
	}
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
		t.literals = append(t.literals, fold(value[literal:i]))
		t.vars = append(t.vars, vars[n])
		literal = i + len(string(r))
	}
	t.literals = append(t.literals, fold(value[literal:]))
	for i := range t.vars {
		t.left = append(t.left, lastRune(t.literals[i]))
		t.right = append(t.right, firstRune(t.literals[i+1]))
	}
	return t, len(t.vars)
}

// match reports whether the parsed DN is of this form, and what it captures.
func (t *dnTemplate) match(rdns [][]attribute) (captures, bool) {
	if len(rdns) != len(t.rdns) {
		return nil, false
	}
	var c captures
	for i, rdn := range rdns {
		if len(rdn) != len(t.rdns[i]) {
			return nil, false
		}
		for j, a := range rdn {
			want := t.rdns[i][j]
			if want.typ != a.typ {
				return nil, false
			}
			var ok bool
			if c, ok = want.value.match(a.value, c); !ok {
				return nil, false
			}
		}
	}
	return c, true
}
