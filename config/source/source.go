// Package source is what the configuration says of a source beyond its name: how its clients
// sign in with tokens of their own issuer, from where, and what is kept of their requests.
// It is apart because an entry here that says less than it seems to would let somebody in.
//
// The package is pure: it reads no file and asks no issuer.
package source

import (
	"cmp"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Journal says what is kept of a source's requests.
type Journal struct {
	// Requests is how many, the newest ones; 0 is none.
	Requests int `yaml:"requests"`
	// Bodies also keeps what was sent and answered, without secrets.
	Bodies bool `yaml:"bodies"`
	// Keep is how long they are kept at most.
	Keep time.Duration `yaml:"keep"`
}

// Bounds of the journal: what one source may leave in the database.
const (
	maxJournal = 10_000
	minKeep    = time.Hour
	maxKeep    = 90 * 24 * time.Hour
)

// DefaultJournal is a Journal before its keys are read.
func DefaultJournal() Journal { return Journal{Keep: 7 * 24 * time.Hour} }

// Check reports what is out of range.
func (j *Journal) Check(report Report) {
	if j.Requests < 0 || j.Requests > maxJournal {
		report("requests", fmt.Sprintf("%d is out of range", j.Requests), fmt.Sprintf("use a number from 0 to %d", maxJournal))
	}
	if j.Keep < minKeep || j.Keep > maxKeep {
		report("keep", fmt.Sprintf("%s is out of range", j.Keep), "use a duration from 1h to 90d")
	}
}

// JWT says which tokens of which issuer speak for a source. It is off while it
// names no issuer and no tenant.
type JWT struct {
	// EntraTenant is the id of a tenant of Microsoft Entra ID: its issuer and
	// audience are filled in.
	EntraTenant string `yaml:"entra_tenant"`
	// Issuer is the iss claim, an https URL where the keys are found too.
	Issuer string `yaml:"issuer"`
	// Audience is what the aud claim must hold.
	Audience string `yaml:"audience"`
	// AppIDs are the clients whose tokens count, ClientClaim the claim that names
	// the client.
	AppIDs      []string `yaml:"app_ids"`
	ClientClaim string   `yaml:"client_claim"`
	// Scopes are what they may do: users, groups, read. CIDRs are where they may come
	// from; none is anywhere.
	Scopes []string `yaml:"scopes"`
	CIDRs  []string `yaml:"cidrs"`
}

// Scopes are the words that scopes are made of.
func Scopes() []string { return []string{"users", "groups", "read"} }

// Microsoft Entra ID calls itself by the tenant's id, and every app that is not from
// its gallery by one id (Microsoft's "Develop and plan provisioning for a SCIM
// endpoint").
const (
	entraIssuer   = "https://sts.windows.net/"
	entraAudience = "8adf8e6e-67b2-4cf2-a259-e3dc5476c621"
	entraClient   = "appid"
	// otherClient is the claim of access tokens in the form of RFC 9068 (section 2.2).
	otherClient = "client_id"
)

var (
	tenantForm = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	claimForm  = regexp.MustCompile(`^[A-Za-z0-9_.:/-]+$`)
)

// Default is a JWT before its keys are read.
func Default() JWT { return JWT{Scopes: Scopes()} }

// Fill writes out what a tenant of Microsoft Entra ID stands for, and the claim that
// names the client. What was said before stays.
func (j *JWT) Fill() {
	if j.EntraTenant != "" {
		j.EntraTenant = strings.ToLower(j.EntraTenant)
		// An issuer beside it is a contradiction, reported by Check.
		j.Issuer = cmp.Or(j.Issuer, entraIssuer+j.EntraTenant+"/")
		j.Audience = cmp.Or(j.Audience, entraAudience)
		j.ClientClaim = cmp.Or(j.ClientClaim, entraClient)
	}
	if !j.IsZero() {
		j.ClientClaim = cmp.Or(j.ClientClaim, otherClient)
	}
}

// IsZero reports whether no issuer is named, so that no token counts.
func (j *JWT) IsZero() bool { return j.Issuer == "" }

// Report is told what is wrong: the key below jwt, such as app_ids[0], or "" for all of
// it; what is wrong; what to do.
type Report func(key, msg, hint string)

// Check reports everything that is wrong with an issuer and the tokens that count.
func (j *JWT) Check(report Report) {
	if j.IsZero() {
		if j.Audience != "" || len(j.AppIDs) > 0 || j.ClientClaim != "" {
			report("", "names no issuer", "say issuer: https://..., or entra_tenant: the id of a tenant of Microsoft Entra ID")
		}
		return
	}
	switch {
	case j.EntraTenant == "":
		j.checkIssuer(report)
	case !tenantForm.MatchString(j.EntraTenant):
		report("entra_tenant", fmt.Sprintf("%q is no tenant id", j.EntraTenant),
			"copy it from the overview page of Microsoft Entra ID, like 01234567-89ab-cdef-0123-456789abcdef")
	case j.Issuer != entraIssuer+j.EntraTenant+"/":
		report("issuer", "entra_tenant is set too", "keep one of the two")
	}
	if j.Audience == "" {
		report("audience", "the audience is missing", "say for whom the tokens are: what their aud claim holds")
	}
	if !claimForm.MatchString(j.ClientClaim) {
		report("client_claim", fmt.Sprintf("%q is no name of a claim", j.ClientClaim), "use appid, azp, client_id, cid or what the issuer calls it")
	}
	j.checkLists(report)
}

// checkIssuer checks the URL that keys are fetched from: whoever can answer in its
// place can sign tokens.
func (j *JWT) checkIssuer(report Report) {
	u, err := url.Parse(j.Issuer)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		report("issuer", "is not an https address", "write it as the iss claim has it, to the letter")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		report("issuer", "has more than a host and a path", "write it as the iss claim has it, to the letter")
	case u.Scheme == "http" && !IsLoopback(u.Hostname()):
		report("issuer", "its keys would cross the network unprotected", "use https")
	}
}

// checkLists checks clients, scopes and address blocks.
func (j *JWT) checkLists(report Report) {
	if len(j.AppIDs) == 0 {
		report("app_ids", "names no client, so every client of the issuer could come in",
			"say app_ids: [ID]; the log names the client of a token that is refused")
	}
	for i, id := range j.AppIDs {
		if strings.TrimSpace(id) == "" {
			report(fmt.Sprintf("app_ids[%d]", i), "this client is empty", "remove it")
		}
	}
	if len(j.Scopes) == 0 {
		report("scopes", "allows nothing", "name users, groups or read, or remove the key for all of them")
	}
	for i, scope := range j.Scopes {
		if !slices.Contains(Scopes(), scope) {
			report(fmt.Sprintf("scopes[%d]", i), fmt.Sprintf("%q is not known here", scope), "use one of: "+strings.Join(Scopes(), ", "))
		}
	}
	CheckBlocks(j.CIDRs, func(key, msg, hint string) { report("cidrs"+key, msg, hint) })
	for key, list := range map[string][]string{"app_ids": j.AppIDs, "scopes": j.Scopes} {
		checkUnique(list, func(at, msg, hint string) { report(key+at, msg, hint) })
	}
}

// Shared is the position, among the clients of j, of one that speaks for other too: then
// it would be left to chance for which of them. It is -1 when there is none.
func (j *JWT) Shared(other *JWT) int {
	if j.IsZero() || j.Issuer != other.Issuer || j.Audience != other.Audience {
		return -1
	}
	return slices.IndexFunc(j.AppIDs, func(id string) bool { return slices.Contains(other.AppIDs, id) })
}

// CheckBlocks checks a list of address blocks; the keys that it reports are [0], [1] and
// so on.
func CheckBlocks(list []string, report Report) {
	for i, text := range list {
		if _, err := parseBlock(text); err != nil {
			report(fmt.Sprintf("[%d]", i), err.Error(), "write 10.0.0.0/8, 2001:db8::/32 or one address")
		}
	}
	checkUnique(list, report)
}

// CheckProxies is CheckBlocks for proxies that are believed. A block that holds every
// address would have a client believed about itself: it could name any address, and be
// let in wherever a credential is bound to one.
func CheckProxies(list []string, report Report) {
	CheckBlocks(list, report)
	for i, text := range list {
		if p, err := parseBlock(text); err == nil && p.Bits() == 0 {
			report(fmt.Sprintf("[%d]", i), fmt.Sprintf("%q holds everybody, who would be believed about their own address", text), "name the proxies alone")
		}
	}
}

// checkUnique reports what a list names twice.
func checkUnique(list []string, report Report) {
	for i, v := range list {
		if slices.Index(list, v) < i {
			report(fmt.Sprintf("[%d]", i), fmt.Sprintf("%q is already in the list", v), "name it once")
		}
	}
}

// ParseBlocks reads address blocks as people write them, in the file and on the
// command line: 10.0.0.0/8, 2001:db8::/32, or one address.
func ParseBlocks(list []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, text := range list {
		p, err := parseBlock(text)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// parseBlock reads an address block, or one address as the block of itself.
func parseBlock(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" && !addr.Is4In6() {
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	switch {
	// Addresses are compared without their IPv6 clothes, so such a block would hold none.
	case err != nil || p.Addr().Is4In6():
		return netip.Prefix{}, fmt.Errorf("%q is no address block", text)
	case p.Masked() != p:
		return netip.Prefix{}, fmt.Errorf("%q has bits beyond its length; the block is %s", text, p.Masked())
	}
	return p, nil
}

// IsLoopback reports whether a host is this machine.
func IsLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
