package credentials

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"time"
)

// Spec is a credential to be made.
type Spec struct {
	// Name is what people, the log, a metric and the audit trail call it; see
	// nameForm. Unique among the live ones.
	Name string
	// Source is the name of the source that whoever holds the secret speaks for.
	Source string
	// Scopes are what it may do; zero is everything.
	Scopes Scopes
	// CIDRs are where it may be used from; none is anywhere.
	CIDRs []netip.Prefix
	// Expires is when it stops to work; nil is never.
	Expires *time.Time
}

// nameForm keeps names fit for a label of a metric, the user name of HTTP Basic
// (which cannot hold a colon, RFC 7617 section 2) and a terminal.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// maxCIDRs bounds the list: every request with the credential walks it.
const maxCIDRs = 64

// check reports what is wrong with the spec. now is the time to compare the expiry
// with.
func (s Spec) check(now time.Time) error {
	switch {
	case strings.TrimSpace(s.Name) == "" || strings.TrimSpace(s.Source) == "":
		return errors.New("a credential needs a name and a source")
	case !nameForm.MatchString(s.Name):
		return errors.New("a name has letters, digits, dots, _ and -, starts with a letter or digit, and has at most 64 characters")
	case s.Expires != nil && !s.Expires.After(now):
		return fmt.Errorf("it would have expired already, at %s", s.Expires.UTC().Format(time.RFC3339))
	case len(s.CIDRs) > maxCIDRs:
		return fmt.Errorf("%d address blocks are too many; at most %d", len(s.CIDRs), maxCIDRs)
	}
	for _, p := range s.CIDRs {
		// An address is compared without its IPv6 clothes, so such a block would hold none.
		if !p.IsValid() || p.Addr().Is4In6() {
			return fmt.Errorf("%s is no address block", p)
		}
	}
	return nil
}

// joinCIDRs is a list as the database keeps it.
func joinCIDRs(list []netip.Prefix) string {
	words := make([]string, len(list))
	for i, p := range list {
		words[i] = p.String()
	}
	return strings.Join(words, " ")
}

// storedCIDRs reads what the database holds. A block that is not understood is an
// error: leaving it out could turn a bounded credential into one without bounds.
func storedCIDRs(text string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for word := range strings.FieldsSeq(text) {
		p, err := netip.ParsePrefix(word)
		if err != nil {
			return nil, fmt.Errorf("cidrs: %w", err)
		}
		out = append(out, p)
	}
	return out, nil
}

// Within says whether an address lies in one of the blocks. An empty list is
// everywhere.
func Within(blocks []netip.Prefix, addr netip.Addr) bool {
	if len(blocks) == 0 {
		return true
	}
	for _, p := range blocks {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
