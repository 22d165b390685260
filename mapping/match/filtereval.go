package match

import (
	"strconv"
	"strings"
)

// Truth is one of the three values of RFC 4511, 4.5.1.7.
type Truth int

// The truth values. Their order is that of how much they allow, so that "at
// least Undefined" is a comparison.
const (
	False     Truth = iota // some item is known not to hold, and that decides
	Undefined              // an attribute is absent, or its value cannot be compared
	True                   // holds, whatever the absent attributes are
)

// not swaps true and false; undefined stays undefined.
func (t Truth) not() Truth { return True - t }

// The order of the constants makes AND the minimum and OR the maximum of their
// parts, exactly as the RFC has it: FALSE decides an AND, TRUE an OR, and only
// where neither stands does Undefined win.

// Eval evaluates the filter over attributes whose names are folded. An item on
// an attribute without a value is undefined, whatever the item asks: that a
// source sent nothing proves nothing about the person. Any value of an attribute
// that has several may match. Over the person department=Sales:
//
//	(department=sales)                  True
//	(!(userType=Contractor))            Undefined: nobody knows
//	(|(department=Sales)(title=*))      True: one part suffices
//	(&(department=HR)(userType=x))      False: one part decides
func (f *Filter) Eval(attrs map[string][]string) Truth {
	switch f.op {
	case opAnd:
		least := True
		for _, s := range f.sub {
			least = min(least, s.Eval(attrs))
		}
		return least
	case opOr:
		most := False
		for _, s := range f.sub {
			most = max(most, s.Eval(attrs))
		}
		return most
	case opNot:
		return f.sub[0].Eval(attrs).not()
	case opPresent, opEqual, opGreater, opLess, opSubstring:
	}
	values := attrs[f.attr]
	if len(values) == 0 {
		return Undefined
	}
	most := False
	for _, v := range values {
		most = max(most, f.item(v))
	}
	return most
}

// item evaluates a leaf over one value.
func (f *Filter) item(v string) Truth {
	switch f.op {
	case opPresent:
		return True
	case opEqual:
		return truthOf(Equal(squeeze(v), f.value))
	case opSubstring:
		return truthOf(f.contains(Fold(v)))
	case opGreater:
		return compareValues(v, f.value).greater
	case opLess:
		return compareValues(v, f.value).less
	case opAnd, opOr, opNot:
	}
	return Undefined
}

// truthOf is true or false.
func truthOf(b bool) Truth {
	if b {
		return True
	}
	return False
}

// contains reports whether the folded value has the parts, in order and without
// overlapping.
func (f *Filter) contains(v string) bool {
	rest, ok := strings.CutPrefix(v, f.initial)
	if !ok {
		return false
	}
	if rest, ok = strings.CutSuffix(rest, f.final); !ok {
		return false
	}
	for _, part := range f.middle {
		i := strings.Index(rest, part)
		if i < 0 {
			return false
		}
		rest = rest[i+len(part):]
	}
	return true
}

// comparison answers >= and <= at once.
type comparison struct{ greater, less Truth }

// compareValues compares whole numbers as numbers and other texts by their
// folded characters (which is right for dates written as 2027-03-31). A number
// and a text cannot be compared: undefined.
func compareValues(v, want string) comparison {
	a, errA := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
	b, errB := strconv.ParseInt(want, 10, 64)
	switch {
	case errA == nil && errB == nil:
		return comparison{truthOf(a >= b), truthOf(a <= b)}
	case errA == nil || errB == nil:
		return comparison{Undefined, Undefined}
	default:
		folded := Fold(squeeze(v))
		return comparison{truthOf(folded >= want), truthOf(folded <= want)}
	}
}
