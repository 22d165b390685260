package match

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

// Filter is a parsed RFC 4515 filter, one node of its tree. It is never changed
// once it is parsed. Values are folded; attr is a folded name.
type Filter struct {
	op   filterOp
	sub  []*Filter
	attr string
	name string // the attribute as written
	// value is what opEqual, opGreater and opLess compare with.
	value string
	// The parts of opSubstring; initial and final are empty if absent.
	initial, final string
	middle         []string
}

// ParseFilter reads an LDAP filter such as (&(department=Sales)(!(title=CEO))).
// The library parses; what it lets through beyond RFC 4515 (a "!" without
// parentheses, empty lists, raw parentheses in values, doubled parentheses) is
// refused here, and so is the extensible match, whose rules nobody could look up.
func ParseFilter(s string) (*Filter, error) {
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
func (f *Filter) count() int {
	n := 1
	for _, s := range f.sub {
		n += s.count()
	}
	return n
}

// ops are the kinds of filter that are supported, by the tag of RFC 4511, 4.5.1.
var ops = map[ber.Tag]filterOp{
	ldap.FilterAnd:            opAnd,
	ldap.FilterOr:             opOr,
	ldap.FilterNot:            opNot,
	ldap.FilterEqualityMatch:  opEqual,
	ldap.FilterApproxMatch:    opEqual,
	ldap.FilterGreaterOrEqual: opGreater,
	ldap.FilterLessOrEqual:    opLess,
	ldap.FilterPresent:        opPresent,
	ldap.FilterSubstrings:     opSubstring,
}

// convertFilter turns the parser's packet into a filter.
func convertFilter(p *ber.Packet) (*Filter, error) {
	op, ok := ops[p.Tag]
	switch {
	case p.Tag == ldap.FilterExtensibleMatch:
		return nil, errors.New("the extensible match (:=) is not supported")
	case !ok:
		return nil, fmt.Errorf("unknown kind %d of filter", p.Tag)
	}
	f := &Filter{op: op}
	switch op {
	case opAnd, opOr, opNot:
		return f, f.setSub(p.Children)
	case opPresent:
		return f, f.setName(p)
	case opEqual, opGreater, opLess, opSubstring:
	}
	if len(p.Children) != 2 {
		return nil, errors.New("no LDAP filter (RFC 4515): an attribute and a value are wanted")
	}
	if op == opSubstring {
		f.setParts(p.Children[1])
	} else {
		f.value = Fold(squeeze(packetText(p.Children[1])))
	}
	return f, f.setName(p.Children[0])
}

// setSub takes the filters that a filter combines.
func (f *Filter) setSub(parts []*ber.Packet) error {
	if len(parts) == 0 {
		return errors.New("no LDAP filter (RFC 4515): & and | need something to combine")
	}
	for _, part := range parts {
		s, err := convertFilter(part)
		if err != nil {
			return err
		}
		f.sub = append(f.sub, s)
	}
	return nil
}

// setName takes the attribute from a packet.
func (f *Filter) setName(p *ber.Packet) error {
	f.name = packetText(p)
	f.attr = Fold(f.name)
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
func (f *Filter) setParts(seq *ber.Packet) {
	for _, part := range seq.Children {
		text := Fold(packetText(part))
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

// Attributes returns the names that the filter asks for, as written, once each.
func (f *Filter) Attributes() []string {
	var out []string
	if f.attr != "" {
		out = append(out, f.name)
	}
	for _, s := range f.sub {
		for _, name := range s.Attributes() {
			if !slices.ContainsFunc(out, func(o string) bool { return Fold(o) == Fold(name) }) {
				out = append(out, name)
			}
		}
	}
	return out
}
