package access

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// FoldLogin returns the key under which Matomo's database finds a login.
//
// Logins are the primary key of a column whose collation (utf8mb4_general_ci as
// installed) ignores case and accents: asking for "álice" or "ALICE" finds
// alice, and a second account "muller" cannot exist beside "müller". Two logins
// with the same key are therefore the same account. White space around a login
// is dropped, because Matomo trims its parameters.
//
// In this collation ß equals one s (not two), ø, æ, ł and đ equal no plain
// letter. The result is for comparing only, never to be shown or sent.
func FoldLogin(s string) string {
	s = strings.TrimSpace(s)
	if ascii(s) {
		return strings.ToLower(s)
	}
	var b strings.Builder
	b.Grow(len(s))
	for i, r := range s {
		if r == utf8.RuneError {
			_, n := utf8.DecodeRuneInString(s[i:])
			b.WriteString(s[i : i+n]) // a stray byte stays itself, so that two different ones stay different
			continue
		}
		b.WriteRune(foldRune(r))
	}
	return b.String()
}

// foldRune maps a letter to the plain lower-case letter it equals.
func foldRune(r rune) rune {
	if base, ok := plainLetter(r); ok {
		return base
	}
	return unicode.ToLower(unicode.ToUpper(r))
}

// accents lists, per plain letter, the letters of Latin-1 and Latin Extended-A
// that utf8mb4_general_ci treats as equal to it. Every letter Matomo allows in a
// login (ÄÖÜäöüß) is among them; the others matter when its check is switched off.
const accents = "" +
	"aÀÁÂÃÄÅàáâãäåĀāĂăĄą " +
	"cÇçĆćĈĉĊċČč " +
	"dĎď " +
	"eÈÉÊËèéêëĒēĔĕĖėĘęĚě " +
	"gĜĝĞğĠġĢģ " +
	"hĤĥ " +
	"iÌÍÎÏìíîïĨĩĪīĬĭĮįİı " +
	"jĴĵ " +
	"kĶķ " +
	"lĹĺĻļĽľ " +
	"nÑñŃńŅņŇň " +
	"oÒÓÔÕÖòóôõöŌōŎŏŐő " +
	"rŔŕŖŗŘř " +
	"sßŚśŜŝŞşŠšſ " +
	"tŢţŤť " +
	"uÙÚÛÜùúûüŨũŪūŬŭŮůŰűŲų " +
	"wŴŵ " +
	"yÝýÿŶŷŸ " +
	"zŹźŻżŽž "

// plainLetter looks r up in accents.
func plainLetter(r rune) (rune, bool) {
	if r < 0xC0 || r > 0x17F {
		return 0, false
	}
	var base rune
	start := true
	for _, c := range accents {
		switch {
		case c == ' ':
			start = true
		case start:
			base, start = c, false
		case c == r:
			return base, true
		}
	}
	return 0, false
}

// ascii reports whether s has no byte above 127.
func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
