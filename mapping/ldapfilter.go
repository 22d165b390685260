package mapping

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// maxFilterLength bounds a filter, and with it how deep it can nest.
const maxFilterLength = 4096

// filterOp is the kind of a filter node.
type filterOp int

const (
	opAnd filterOp = iota
	opOr
	opNot
	opEqual // and the approximate match, which RFC 4511 lets us treat alike
	opGreater
	opLess
	opPresent
	opSubstring
)

// filter is a parsed RFC 4515 filter. Values are folded; attr is a folded name.
type filter struct {
	op   filterOp
	sub  []*filter
	attr string
	name string // the attribute as written
	// value is what opEqual, opGreater and opLess compare with.
	value string
	// The parts of opSubstring; initial and final are empty if absent.
	initial, final string
	middle         []string
}

// parseFilter reads an LDAP filter. The library parses; what it lets through
// beyond RFC 4515 (a "!" without parentheses, empty lists, raw parentheses in
// values, doubled parentheses) is refused here, and so is the extensible match.
func parseFilter(s string) (*filter, error) {
	if len(s) > maxFilterLength {
		return nil, fmt.Errorf("the filter is longer than %d bytes", maxFilterLength)
	}
	packet, err := ldap.CompileFilter(s)
	if err != nil {
		var le *ldap.Error
		if errors.As(err, &le) && le.Err != nil {
			err = le.Err
		}
		return nil, fmt.Errorf("no LDAP filter (RFC 4515): %s", strings.TrimPrefix(err.Error(), "ldap: "))
	}
	f, err := convertFilter(packet)
	if err != nil {
		return nil, err
	}
	if n := f.count(); strings.Count(s, "(") != n || strings.Count(s, ")") != n {
		return nil, errors.New("no LDAP filter (RFC 4515): the parentheses do not fit; inside a value they are written \\28 and \\29")
	}
	return f, nil
}

// count returns the number of nodes, each of which has one pair of parentheses.
func (f *filter) count() int {
	n := 1
	for _, s := range f.sub {
		n += s.count()
	}
	return n
}

// convertFilter turns the parser's packet into a filter.
func convertFilter(p *ber.Packet) (*filter, error) {
	f := &filter{}
	switch p.Tag {
	case ldap.FilterAnd, ldap.FilterOr, ldap.FilterNot:
		f.op = map[ber.Tag]filterOp{ldap.FilterAnd: opAnd, ldap.FilterOr: opOr, ldap.FilterNot: opNot}[p.Tag]
		if len(p.Children) == 0 {
			return nil, errors.New("no LDAP filter (RFC 4515): & and | need something to combine")
		}
		for _, child := range p.Children {
			s, err := convertFilter(child)
			if err != nil {
				return nil, err
			}
			f.sub = append(f.sub, s)
		}
		return f, nil
	case ldap.FilterPresent:
		f.op = opPresent
		return f, f.setName(p)
	case ldap.FilterExtensibleMatch:
		return nil, errors.New("the extensible match (:=) is not supported")
	case ldap.FilterSubstrings, ldap.FilterEqualityMatch, ldap.FilterApproxMatch, ldap.FilterGreaterOrEqual, ldap.FilterLessOrEqual:
	default:
		return nil, fmt.Errorf("unknown kind %d of filter", p.Tag)
	}
	if len(p.Children) != 2 {
		return nil, errors.New("no LDAP filter (RFC 4515): an attribute and a value are wanted")
	}
	if p.Tag == ldap.FilterSubstrings {
		f.setParts(p.Children[1])
	} else {
		f.op = map[ber.Tag]filterOp{ldap.FilterGreaterOrEqual: opGreater, ldap.FilterLessOrEqual: opLess}[p.Tag]
		if f.op == 0 {
			f.op = opEqual
		}
		f.value = foldSpaced(packetText(p.Children[1]))
	}
	return f, f.setName(p.Children[0])
}

// setName takes the attribute from a packet.
func (f *filter) setName(p *ber.Packet) error {
	f.name = packetText(p)
	f.attr = fold(f.name)
	for i := range len(f.name) {
		c := f.name[i]
		if !isLetter(c) && (i == 0 || !isDigit(c) && !strings.ContainsRune("-_.;", rune(c))) {
			return fmt.Errorf("%q is no attribute name", f.name)
		}
	}
	if f.name == "" {
		return errors.New("an attribute name is missing in the filter")
	}
	return nil
}

// setParts takes the parts of a substring match.
func (f *filter) setParts(seq *ber.Packet) {
	f.op = opSubstring
	for _, part := range seq.Children {
		text := fold(packetText(part))
		switch part.Tag {
		case ldap.FilterSubstringsInitial:
			f.initial = text
		case ldap.FilterSubstringsFinal:
			f.final = text
		default:
			f.middle = append(f.middle, text)
		}
	}
}

// packetText returns the string in a packet.
func packetText(p *ber.Packet) string { return ber.DecodeString(p.Data.Bytes()) }

// attributes returns the names that the filter asks for, as written, once each.
func (f *filter) attributes() []string {
	var out []string
	if f.attr != "" {
		out = append(out, f.name)
	}
	for _, s := range f.sub {
		for _, name := range s.attributes() {
			if !slices.ContainsFunc(out, func(o string) bool { return fold(o) == fold(name) }) {
				out = append(out, name)
			}
		}
	}
	return out
}
