package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Canonical JSON here: keys sorted by their bytes, no space, no HTML escapes, whole numbers only.
// One value has one text, whoever writes it and with whatever library, so an export can be checked
// by a program that shares no code with this one: SHA-256 over the 32 bytes of the hash before and
// the bytes of the text.
//
// Numbers with a fraction are refused instead of printed: every language prints 1e21 and 0.1 in
// its own way, and nothing that we record has one.

// errFraction refuses numbers that different writers print differently.
var errFraction = errors.New("a number with a fraction or an exponent has no canonical form")

// canonical returns the text of v, or nothing for nil.
func canonical(v any) (json.RawMessage, error) {
	if v == nil {
		return nil, nil
	}
	// Twice through the encoder costs some microseconds of the writer's time; a struct's fields
	// come in the order of their declaration, and only this gets them sorted.
	text, err := marshal(v)
	if err != nil {
		return nil, err
	}
	// Structs and raw messages have keys in any order: only maps come out sorted.
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var plain any
	if err := d.Decode(&plain); err != nil {
		return nil, err
	}
	if err := whole(plain); err != nil {
		return nil, err
	}
	return marshal(plain)
}

// whole refuses fractions anywhere in v.
func whole(v any) error {
	switch v := v.(type) {
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			return fmt.Errorf("%w: %s", errFraction, v)
		}
	case map[string]any:
		for key, member := range v {
			if err := whole(member); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
		}
	case []any:
		for _, element := range v {
			if err := whole(element); err != nil {
				return err
			}
		}
	}
	return nil
}

// marshal encodes v without HTML escapes.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
