package filter

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/matomo-scim/bridge/scim/schema"
)

// Order is what a listing is sorted by (RFC 7644 section 3.4.2.3). The zero value
// sorts by nothing, which a store reads as by id.
type Order struct {
	// Path is the attribute in canonical names; an attribute that no schema has
	// keeps the spelling of the client.
	Path Path
	// Descending turns the order around, the place of resources without a value
	// included.
	Descending bool

	ref   schema.Ref
	known bool
}

// Key is what one resource is sorted by. Keys of one order compare as text,
// whatever the type of the attribute is.
type Key struct {
	// Missing says that the resource has no value. It comes after all that have
	// one, and before them in descending order.
	Missing bool
	// Text is the value: folded unless the attribute is caseExact.
	Text string
}

// BindOrder finds the attribute of sortBy in a resource type. An empty name is no
// order. An attribute that no schema has, or that must not be learnt of
// (password), counts as missing everywhere (RFC 7644 section 3.4.2.1), so that one
// name can sort resources of several types. Of a complex attribute it is "value"
// that sorts; one without is an invalidPath, as the RFC wants a sub-attribute then.
func BindOrder(rt *schema.ResourceType, name string, descending bool, opt Options) (Order, error) {
	if name == "" {
		return Order{}, nil
	}
	urn, attr, sub := schema.SplitName(name)
	b := binder{scope: scope{rt: rt}, opt: opt}
	ref, path, known := b.resolve(Path{URN: urn, Attr: attr, Sub: sub})
	out := Order{Path: path, Descending: descending}
	if !known || secret(ref) {
		return out, nil
	}
	if leaf := ref.Leaf(); leaf.Type == schema.Complex {
		if ref.Sub = leaf.Sub("value"); ref.Sub == nil {
			return Order{}, schema.Errorf(schema.InvalidPath, "sortBy", "%s is complex: name one of its sub-attributes, such as %s.%s",
				path, path, leaf.SubAttributes[0].Name)
		}
		out.Path.Sub = ref.Sub.Name
	}
	out.ref, out.known = ref, true
	return out, nil
}

// Given reports whether anything is sorted by.
func (o Order) Given() bool { return o.Path != Path{} }

// Known reports whether the resource type has the attribute.
func (o Order) Known() bool { return o.known }

// Key gives the key of a canonical document. Of several values the primary one
// decides, else the first (RFC 7644 section 3.4.2.3).
func (o Order) Key(doc schema.Document) Key {
	if !o.known {
		return Key{Missing: true}
	}
	v := o.ref.Value(doc)
	if list, ok := v.([]any); ok {
		v = preferred(list)
	}
	if o.ref.Sub != nil {
		obj, _ := v.(map[string]any)
		v = obj[o.ref.Sub.Name]
		if list, ok := v.([]any); ok {
			v = preferred(list)
		}
	}
	return keyOf(o.ref.Leaf(), v)
}

// preferred gives the value that is marked primary, else the first one.
func preferred(list []any) any {
	if len(list) == 0 {
		return nil
	}
	for _, v := range list {
		if obj, ok := v.(map[string]any); ok && obj["primary"] == true {
			return v
		}
	}
	return list[0]
}

// keyOf makes a key of a value. What is not of the attribute's type, which only an
// old document can hold, counts as missing rather than as something else.
func keyOf(a *schema.Attribute, v any) Key {
	switch t := v.(type) {
	case bool:
		if a.Type == schema.Boolean {
			return BoolKey(t)
		}
	case json.Number:
		if f, err := t.Float64(); err == nil {
			return numberKey(f)
		}
	case string:
		switch {
		case t == "":
		case a.Type == schema.DateTime:
			if at, ok := schema.ParseTime(t); ok {
				return TimeKey(at)
			}
		case a.CaseExact:
			return Key{Text: t}
		default:
			return Key{Text: schema.Fold(t)}
		}
	}
	return Key{Missing: true}
}

// BoolKey is the key of a boolean: false comes first.
func BoolKey(b bool) Key {
	if b {
		return Key{Text: "1"}
	}
	return Key{Text: "0"}
}

// Bool is the boolean of a BoolKey.
func (k Key) Bool() bool { return k.Text == "1" }

// numberKey is the key of a number: its bits, turned so that they order as the
// numbers do.
func numberKey(f float64) Key {
	bits := math.Float64bits(f)
	if f < 0 {
		bits = ^bits
	} else {
		bits |= 1 << 63
	}
	text := strconv.FormatUint(bits, 16)
	return Key{Text: strings.Repeat("0", 16-len(text)) + text}
}

// The key of a time is seconds and nanoseconds in digits, counted from long before
// the year 0 so that none are negative.
const (
	epoch        = 1 << 37
	secondDigits = 13
	nanoDigits   = 9
)

// TimeKey is the key of a time.
func TimeKey(t time.Time) Key {
	return Key{Text: digits(t.Unix()+epoch, secondDigits) + digits(int64(t.Nanosecond()), nanoDigits)}
}

// Time is the time of a TimeKey; of anything else it is the zero time.
func (k Key) Time() time.Time {
	if len(k.Text) != secondDigits+nanoDigits {
		return time.Time{}
	}
	sec, err1 := strconv.ParseInt(k.Text[:secondDigits], 10, 64)
	nano, err2 := strconv.ParseInt(k.Text[secondDigits:], 10, 64)
	if err1 != nil || err2 != nil {
		return time.Time{}
	}
	return time.Unix(sec-epoch, nano).UTC()
}

// digits writes n with leading zeros.
func digits(n int64, width int) string {
	text := strconv.FormatInt(n, 10)
	return strings.Repeat("0", max(0, width-len(text))) + text
}

// Compare orders two keys ascending: a missing value comes last.
func (k Key) Compare(other Key) int {
	switch {
	case k.Missing && other.Missing:
		return 0
	case k.Missing:
		return 1
	case other.Missing:
		return -1
	}
	return strings.Compare(k.Text, other.Text)
}
