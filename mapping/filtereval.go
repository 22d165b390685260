package mapping

import (
	"strconv"
	"strings"
)

// truth is one of the three values of RFC 4511, 4.5.1.7.
type truth int

const (
	isFalse truth = iota
	isUndefined
	isTrue
)

// not swaps true and false; undefined stays undefined.
func (t truth) not() truth { return isTrue - t }

// The order of the constants makes AND the minimum and OR the maximum of their
// parts, exactly as the RFC has it: FALSE decides an AND, TRUE an OR, and only
// where neither stands does Undefined win.

// eval evaluates the filter over attributes whose names are folded. An item on
// an attribute without a value is undefined, whatever the item asks: that a
// source sent nothing proves nothing about the person.
func (f *filter) eval(attrs map[string][]string) truth {
	switch f.op {
	case opAnd:
		least := isTrue
		for _, s := range f.sub {
			least = min(least, s.eval(attrs))
		}
		return least
	case opOr:
		most := isFalse
		for _, s := range f.sub {
			most = max(most, s.eval(attrs))
		}
		return most
	case opNot:
		return f.sub[0].eval(attrs).not()
	case opPresent, opEqual, opGreater, opLess, opSubstring:
	}
	values := attrs[f.attr]
	if len(values) == 0 {
		return isUndefined
	}
	most := isFalse
	for _, v := range values {
		most = max(most, f.item(v))
	}
	return most
}

// item evaluates a leaf over one value.
func (f *filter) item(v string) truth {
	switch f.op {
	case opPresent:
		return isTrue
	case opEqual:
		return truthOf(strings.EqualFold(v, f.value) || foldSpaced(v) == f.value)
	case opSubstring:
		return truthOf(f.contains(fold(v)))
	case opGreater:
		c := compareValues(v, f.value)
		return c.greater
	case opLess:
		c := compareValues(v, f.value)
		return c.less
	case opAnd, opOr, opNot:
	}
	return isUndefined
}

// truthOf is true or false.
func truthOf(b bool) truth {
	if b {
		return isTrue
	}
	return isFalse
}

// contains reports whether the folded value has the parts, in order and without
// overlapping.
func (f *filter) contains(v string) bool {
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
type comparison struct{ greater, less truth }

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
		return comparison{isUndefined, isUndefined}
	default:
		folded := foldSpaced(v)
		return comparison{truthOf(folded >= want), truthOf(folded <= want)}
	}
}
