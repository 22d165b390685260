// Package changes tells two configurations apart, and what of a difference a running bridge
// takes over. It knows the form of the configuration and none of its keys: which of them are
// live stands at the keys, so a new one is compared at once.
package changes

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"github.com/matomo-scim/bridge/config"
)

// Change is a key whose value differs between two configurations.
type Change struct {
	Key string // as in targets[eu].mode; list entries go by name
	// Live says that a running bridge takes the new value over; everything else
	// needs a restart.
	Live bool
	// From and To are the values as the file would write them; empty for an entry
	// that is not there. Secrets never stand in the file, so none is here.
	From, To string
}

// String is the change on one line.
func (c Change) String() string {
	switch {
	case c.From == "" && c.To != "":
		return c.Key + ": added"
	case c.To == "" && c.From != "":
		return c.Key + ": removed"
	}
	return fmt.Sprintf("%s: %s -> %s", c.Key, c.From, c.To)
}

// Changed compares two loaded configurations, the running one first, and lists
// the keys that differ, in the order of the file. Where a list has an entry more
// or less, the whole entry counts as one change.
func Changed(running, next *config.Config) []Change {
	return compare("", reflect.ValueOf(*running), reflect.ValueOf(*next))
}

// compare walks two structs of one type.
func compare(path string, a, b reflect.Value) []Change {
	var out []Change
	for f := range a.Type().Fields() {
		key := keyOf(f)
		if key == "" {
			continue
		}
		at, x, y := join(path, key), a.FieldByIndex(f.Index), b.FieldByIndex(f.Index)
		switch {
		case x.Kind() == reflect.Struct:
			out = append(out, compare(at, x, y)...)
		case x.Kind() == reflect.Slice && x.Type().Elem().Kind() == reflect.Struct:
			out = append(out, compareLists(at, x, y)...)
		case isEmptyList(x) && isEmptyList(y): // absent and [] mean the same
		case !reflect.DeepEqual(x.Interface(), y.Interface()):
			_, live := f.Tag.Lookup("live")
			out = append(out, Change{at, live, shown(x), shown(y)})
		}
	}
	return out
}

// isEmptyList reports a list or map without entries.
func isEmptyList(v reflect.Value) bool {
	return (v.Kind() == reflect.Slice || v.Kind() == reflect.Map) && v.Len() == 0
}

// compareLists walks two lists whose entries have names.
func compareLists(path string, a, b reflect.Value) []Change {
	var out []Change
	theirs := map[string]reflect.Value{}
	for _, v := range b.Seq2() {
		theirs[v.FieldByName("Name").String()] = v
	}
	for _, v := range a.Seq2() {
		name := v.FieldByName("Name").String()
		at := fmt.Sprintf("%s[%s]", path, name)
		if other, ok := theirs[name]; ok {
			out = append(out, compare(at, v, other)...)
			delete(theirs, name)
		} else {
			out = append(out, Change{Key: at, From: name})
		}
	}
	for _, v := range b.Seq2() {
		if name := v.FieldByName("Name").String(); theirs[name].IsValid() {
			out = append(out, Change{Key: fmt.Sprintf("%s[%s]", path, name), To: name})
		}
	}
	return out
}

// shown is a value as one line of JSON, which YAML reads too.
func shown(v reflect.Value) string {
	if d, ok := reflect.TypeAssert[fmt.Stringer](v); ok { // durations
		return d.String()
	}
	text, err := json.Marshal(v.Interface())
	if err != nil {
		return fmt.Sprint(v.Interface())
	}
	return string(text)
}

// What is live is a property of the key and not of the change, so that an administrator can
// know beforehand what a reload will do. Lists with names are walked by name; an entry that is
// new, or gone, is never live, because clients, metrics and workers are made for each entry
// when the bridge starts.

// WithLive is running with what a reload takes over from next: the keys whose change
// is live. Everything else stays as it is until a restart, so the result is what the
// bridge works with afterwards. Neither argument is changed.
func WithLive(running, next *config.Config) *config.Config {
	out := *running
	out.Sources, out.Targets = slices.Clone(running.Sources), slices.Clone(running.Targets)
	takeLive(reflect.ValueOf(&out).Elem(), reflect.ValueOf(*next))
	return &out
}

// takeLive copies live keys from one struct to another of its type.
func takeLive(to, from reflect.Value) {
	for f := range to.Type().Fields() {
		x, y := to.FieldByIndex(f.Index), from.FieldByIndex(f.Index)
		_, live := f.Tag.Lookup("live")
		switch {
		case keyOf(f) == "":
		case live:
			x.Set(y)
		case x.Kind() == reflect.Struct:
			takeLive(x, y)
		case x.Kind() == reflect.Slice && x.Type().Elem().Kind() == reflect.Struct:
			for i := range x.Len() {
				for _, other := range y.Seq2() {
					if other.FieldByName("Name").String() == x.Index(i).FieldByName("Name").String() {
						takeLive(x.Index(i), other)
					}
				}
			}
		}
	}
}

// keyOf is the key of a field in the file; empty when the file does not set it.
func keyOf(f reflect.StructField) string {
	if key := f.Tag.Get("yaml"); key != "-" {
		return key
	}
	return ""
}

// join appends a key to a path.
func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
