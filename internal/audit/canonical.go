package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Canonical JSON here: keys sorted by their bytes, no space, no HTML escapes, whole numbers only.
// One value has one text, whoever writes it and with whatever library.

// errFraction refuses numbers that different writers print differently.
var errFraction = errors.New("a number with a fraction or an exponent has no canonical form")

// canonical returns the text of v, or nothing for nil.
func canonical(v any) (json.RawMessage, error) {
	if v == nil {
		return nil, nil
	}
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
