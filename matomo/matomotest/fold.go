package matomotest

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// fold maps a login or an e-mail to what utf8mb4_general_ci compares: without
// case and accents, with the sharp s as an s. Folded texts also sort as that
// collation does, as far as logins go.
func fold(s string) string {
	plain := true
	for i := 0; i < len(s); i++ {
		plain = plain && s[i] < 0x80
	}
	if plain {
		return strings.ToUpper(s)
	}
	var b strings.Builder
	for _, r := range norm.NFD.String(s) {
		switch {
		case unicode.Is(unicode.Mn, r):
		case r == 'ß' || r == 'ẞ':
			b.WriteByte('S')
		default:
			b.WriteRune(unicode.ToUpper(r))
		}
	}
	return b.String()
}
