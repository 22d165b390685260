package config

import (
	"fmt"
	"reflect"
)

// Change is a key whose value differs between two configurations.
type Change struct {
	Key string // as in targets[eu].mode; list entries go by name
	// Live says that a running bridge takes the new value over; everything else
	// needs a restart.
	Live bool
}

// Changed compares two loaded configurations, the running one first, and lists
// the keys that differ, in the order of the file. Where a list has an entry more
// or less, the whole entry counts as one change.
func Changed(running, next *Config) []Change {
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
			out = append(out, Change{at, live})
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
			out = append(out, Change{Key: at})
		}
	}
	for _, v := range b.Seq2() {
		if name := v.FieldByName("Name").String(); theirs[name].IsValid() {
			out = append(out, Change{Key: fmt.Sprintf("%s[%s]", path, name)})
		}
	}
	return out
}
