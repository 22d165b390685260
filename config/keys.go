package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The structs of config.go are the list of known keys: nothing here repeats
// them, so a new field is read, checked, suggested and compared at once.

// literals are keys under which people write a secret itself, and the key that
// says where it is instead.
var literals = map[string]string{
	"token":      "token",
	"token_auth": "token",
	"api_token":  "token",
	"password":   "password",
	"pass":       "password",
	"passwd":     "password",
}

// literalKeys lists them in a fixed order.
func literalKeys() []string { return slices.Sorted(maps.Keys(literals)) }

// unknownKey reports a key that nothing reads, with the most helpful guess.
func (r *report) unknownKey(path string, key, value *yaml.Node, t reflect.Type) {
	at := mark{key.Line, key.Column}
	full := join(path, key.Value)
	known := keysOf(t)
	if base, ok := literals[nearest(key.Value, literalKeys())]; ok && value.Kind == yaml.ScalarNode {
		r.hideSecret(value.Value)
		if slices.Contains(known, base+"_file") {
			r.spoilt[join(path, base+"_file")] = true
			r.addAt(at, full, "secrets do not stand in this file",
				fmt.Sprintf("write it to a file that only the bridge can read (chmod 600) and say %s_file: PATH, or %s_env: VARIABLE", base, base))
			return
		}
	}
	if near := nearest(key.Value, known); near != "" {
		r.spoilt[join(path, near)] = true
		r.addAt(at, full, "unknown key", "did you mean "+near+"?")
		return
	}
	if home := homeOf(key.Value); home != "" {
		r.addAt(at, full, "unknown key here", "it belongs to "+home)
		return
	}
	r.addAt(at, full, "unknown key", "known here: "+strings.Join(known, ", "))
}

// hideSecret keeps a literal secret out of every excerpt.
func (r *report) hideSecret(v string) {
	for line := range strings.SplitSeq(v, "\n") {
		if len(line) > 2 {
			r.hide = append(r.hide, line)
		}
	}
}

// join appends a key to a path.
func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// keyOf is the key of a struct field; empty when the file does not set it.
func keyOf(f reflect.StructField) string {
	if key := f.Tag.Get("yaml"); key != "-" {
		return key
	}
	return ""
}

// keysOf lists the keys of a struct in the order of its fields.
func keysOf(t reflect.Type) []string {
	var keys []string
	for f := range t.Fields() {
		if key := keyOf(f); key != "" {
			keys = append(keys, key)
		}
	}
	return keys
}

// fieldOf finds the field of a key.
func fieldOf(t reflect.Type, key string) (reflect.StructField, bool) {
	for f := range t.Fields() {
		if key != "" && keyOf(f) == key {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

// walkKeys calls fn for every key of a struct and those below it, with the path
// written as in targets[].leavers.tokens.
func walkKeys(t reflect.Type, path string, fn func(path, key string)) {
	for f := range t.Fields() {
		key := keyOf(f)
		if key == "" {
			continue
		}
		at := join(path, key)
		fn(at, key)
		switch ft := f.Type; {
		case ft.Kind() == reflect.Struct:
			walkKeys(ft, at, fn)
		case ft.Kind() == reflect.Slice && ft.Elem().Kind() == reflect.Struct:
			walkKeys(ft.Elem(), at+"[]", fn)
		}
	}
}

// homeOf says where a key belongs when it stands at the wrong level; empty when
// it is unknown everywhere.
func homeOf(key string) string {
	var homes []string
	walkKeys(reflect.TypeFor[Config](), "", func(path, k string) {
		if k == key {
			homes = append(homes, path)
		}
	})
	return strings.Join(homes, " or ")
}

// nearest is the word closest to s, when it is close enough to be what was
// meant: at most one edit in three characters, and no more than three.
func nearest(s string, words []string) string {
	s = strings.ToLower(strings.ReplaceAll(s, "-", "_"))
	best, limit := "", min(3, max(1, len(s)/3))+1
	for _, w := range words {
		if d := distance(s, strings.ToLower(w)); d < limit {
			best, limit = w, d
		}
	}
	return best
}

// distance is the optimal string alignment distance of two short words:
// how many characters must be inserted, removed, replaced or
// swapped with their neighbour to turn a into b.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return max(len(a), len(b))
	}
	two, one := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range one {
		one[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(one[j]+1, row[j-1]+1, one[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], two[j-2]+1)
			}
		}
		two, one = one, row
	}
	return one[len(b)]
}
