package php

import (
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Slice returns the part of n elements that array_slice leaves. A limit below 0
// is none, but with an offset it drops as many elements from the end.
func Slice(n, limit, offset int) (from, to int) {
	if limit < 0 && offset <= 0 {
		return 0, n
	}
	from = min(max(offset, 0), n)
	to = from + limit
	if limit < 0 {
		to = n + limit
	}
	return from, max(from, min(to, n))
}

// Numeric is is_numeric for the keys that occur: "007" is numeric.
func Numeric(s string) bool {
	_, err := strconv.ParseFloat(s, 64)
	return err == nil && strings.Trim(s, "0123456789.+-eE") == ""
}

// Integer says whether PHP turns a key into an integer, which array_slice then
// numbers afresh (trap 2): "7" yes, "007" no.
func Integer(s string) bool {
	n, err := strconv.Atoi(s)
	return err == nil && strconv.Itoa(n) == s
}

// EscapeHTML is htmlspecialchars with its old default: the apostrophe stays.
func EscapeHTML(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace(text)
}

// Fold maps a login, an e-mail or a name to what utf8mb4_general_ci compares:
// without case and accents, with the sharp s as an s. Folded texts also sort as
// that collation does, as far as logins go.
func Fold(s string) string {
	ascii := true
	for i := range len(s) {
		ascii = ascii && s[i] < 0x80
	}
	if ascii {
		return strings.ToUpper(s)
	}
	var b strings.Builder
	for _, r := range norm.NFD.String(s) {
		switch {
		case unicode.Is(unicode.Mn, r): // the accent of the letter before
		case r == 'ß' || r == 'ẞ':
			b.WriteByte('S')
		default:
			b.WriteRune(unicode.ToUpper(r))
		}
	}
	return b.String()
}

// SameText says whether MySQL takes two texts for the same.
func SameText(a, b string) bool { return Fold(a) == Fold(b) }
