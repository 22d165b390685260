package matomo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"strconv"
	"strings"
	"time"

	"github.com/matomo-scim/bridge/matomo/access"
)

// value decodes {"value": ...} into v.
func value(v any) func(*json.Decoder) error {
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

// rawAnswer decodes any success as it is.
func rawAnswer(v *json.RawMessage) func(*json.Decoder) error {
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

// items decodes a list, or a map (Matomo answers getAllSites as either, and an empty map as an empty list), one element at
// a time. key is empty in a list. A refusal is returned as *Error.
func items(each func(key string, dec *json.Decoder) error) func(*json.Decoder) error {
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
			return fmt.Errorf("%w: neither a list nor a map", errShape)
		}
		_, err = dec.Token()
		return err
	}
}

// fields reads the members of a map whose brace is read already. {"result": "error"} is told from the map of a login
// called "result" by its value: that one's is a list.
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
		return fmt.Errorf("%w: a message where a map should be", errShape)
	}
	return nil
}

// rest reads what follows an opening brace, as one raw object.
func rest(dec *json.Decoder, tok json.Token) (json.RawMessage, error) {
	if tok != json.Delim('{') {
		return nil, fmt.Errorf("%w: neither a list nor a refusal", errShape)
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

// number is an integer that PHP may write as a string.
type number int

// UnmarshalJSON implements json.Unmarshaler.
func (n *number) UnmarshalJSON(b []byte) error {
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
		return fmt.Errorf("%w: %.20q is no number", errShape, s)
	}
	*n = number(v)
	return nil
}

// userAnswer is one element of getUsers.
type userAnswer struct {
	Login      string          `json:"login"`
	Email      string          `json:"email"`
	Superuser  number          `json:"superuser_access"`
	Registered string          `json:"date_registered"`
	LastSeen   string          `json:"last_seen"`
	Invite     json.RawMessage `json:"invite_status"` // "active", "expired", or days left as a number
	Uses2FA    number          `json:"uses_2fa"`
}

// compact turns an answer into what is stored.
func (u *userAnswer) compact() compact {
	c := compact{login: u.Login, email: u.Email, registered: unixOf(u.Registered), lastSeen: unixOf(u.LastSeen), flags: flagExists}
	if u.Superuser != 0 {
		c.flags |= flagSuperuser
	}
	if u.Uses2FA != 0 {
		c.flags |= flag2FA
	}
	switch status := string(u.Invite); {
	case status == "" || status == "null" || status == `"active"`:
	case status == `"expired"`:
		c.flags |= flagExpired
	default:
		c.flags |= flagPending
	}
	return c
}

// unixOf reads Matomo's UTC date; 0 when there is none.
func unixOf(s string) int64 {
	t, err := time.Parse(time.DateTime, s)
	if err != nil {
		return 0
	}
	return t.Unix()
}

// siteAnswer is one element of getAllSites.
type siteAnswer struct {
	ID    number `json:"idsite"`
	Name  string `json:"name"`
	Group string `json:"group"`
}

// capabilityAnswer is one element of getAvailableCapabilities.
type capabilityAnswer struct {
	ID       string   `json:"id"`
	Included []string `json:"includedInRoles"`
}

// site turns an answer into a site. Matomo stores names with HTML entities; rules are written without.
func (a *siteAnswer) site() access.Site {
	return access.Site{ID: access.SiteID(a.ID), Name: html.UnescapeString(a.Name), Group: html.UnescapeString(a.Group)}
}

func (a *capabilityAnswer) capability() Capability {
	c := Capability{ID: a.ID}
	for _, r := range a.Included {
		c.IncludedInRoles = append(c.IncludedInRoles, access.Role(r))
	}
	return c
}
