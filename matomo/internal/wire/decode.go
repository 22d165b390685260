package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Value decodes {"value": ...} into v.
func Value(v any) func(*json.Decoder) error {
	return func(dec *json.Decoder) error {
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return err
		}
		var box struct {
			Value json.RawMessage `json:"value"`
		}
		if json.Unmarshal(raw, &box) == nil && len(box.Value) > 0 && json.Unmarshal(box.Value, v) == nil {
			return nil
		}
		return refusal(raw)
	}
}

// Raw decodes any success as it is.
func Raw(v *json.RawMessage) func(*json.Decoder) error {
	return func(dec *json.Decoder) error {
		if err := dec.Decode(v); err != nil {
			return err
		}
		if err := refusal(*v); KindOf(err) != "" {
			return err
		}
		return nil
	}
}

// Items decodes a list, or a map (Matomo answers getAllSites as either, and an
// empty map as an empty list), one element at a time. key is empty in a list. A
// refusal is returned as *Error.
func Items(each func(key string, dec *json.Decoder) error) func(*json.Decoder) error {
	return func(dec *json.Decoder) error {
		tok, err := dec.Token()
		if err != nil {
			return err
		}
		switch tok {
		case json.Delim('['):
			for dec.More() {
				if err := each("", dec); err != nil {
					return err
				}
			}
		case json.Delim('{'):
			return fields(dec, each)
		default:
			return fmt.Errorf("%w: neither a list nor a map", ErrShape)
		}
		_, err = dec.Token()
		return err
	}
}

// fields reads the members of a map whose brace is read already. {"result":
// "error"} is told from the map of a login called "result" by its value: that
// one's is a list.
func fields(dec *json.Decoder, each func(string, *json.Decoder) error) error {
	refused, message := false, ""
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return err
		}
		key, _ := tok.(string)
		if key != "result" && key != "message" {
			if err := each(key, dec); err != nil {
				return err
			}
			continue
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return err
		}
		var text string
		switch {
		case json.Unmarshal(raw, &text) != nil:
			if err := each(key, json.NewDecoder(bytes.NewReader(raw))); err != nil {
				return err
			}
		case key == "message":
			message = text
		default:
			refused = text == "error"
		}
	}
	if _, err := dec.Token(); err != nil {
		return err
	}
	if refused {
		return classify("", 0, message)
	}
	if message != "" {
		return fmt.Errorf("%w: a message where a map should be", ErrShape)
	}
	return nil
}

// rest reads what follows an opening brace, as one raw object.
func rest(dec *json.Decoder, tok json.Token) (json.RawMessage, error) {
	if tok != json.Delim('{') {
		return nil, fmt.Errorf("%w: neither a list nor a refusal", ErrShape)
	}
	obj := map[string]json.RawMessage{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, err
		}
		name, _ := key.(string)
		var v json.RawMessage
		if err := dec.Decode(&v); err != nil {
			return nil, err
		}
		obj[name] = v
	}
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	return json.Marshal(obj)
}

// Number is an integer that PHP may write as a string.
type Number int

// UnmarshalJSON implements json.Unmarshaler.
func (n *Number) UnmarshalJSON(b []byte) error {
	s := strings.Trim(string(b), `"`)
	switch s {
	case "null", "":
		*n = 0
		return nil
	case "true":
		*n = 1
		return nil
	case "false":
		*n = 0
		return nil
	}
	v, err := strconv.ParseInt(s, 10, 32)
	if err != nil {
		return fmt.Errorf("%w: %.20q is no number", ErrShape, s)
	}
	*n = Number(v)
	return nil
}
