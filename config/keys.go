package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/matomo-scim/bridge/config/spelling"
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
	if base, ok := literals[spelling.Nearest(key.Value, literalKeys())]; ok && value.Kind == yaml.ScalarNode {
		r.hideSecret(value.Value)
		if slices.Contains(known, base+"_file") {
			r.spoilt[join(path, base+"_file")] = true
			r.addAt(at, full, "secrets do not stand in this file",
				fmt.Sprintf("write it to a file that only the bridge can read (chmod 600) and say %s_file: PATH, or %s_env: VARIABLE", base, base))
			return
		}
	}
	if near := spelling.Nearest(key.Value, known); near != "" {
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
