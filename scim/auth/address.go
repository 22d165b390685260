package auth

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Where a request comes from. Anybody can write X-Forwarded-For, so it counts only
// when a trusted proxy passed it on, and only what trusted proxies wrote into it:
// read from the right, the first hop that is not one of them. Whoever stands left of
// that hop is hearsay.

// maxHops bounds the list; a client may have filled it.
const maxHops = 64

// Address is where the request comes from, as an address that is not IPv4 mapped into
// IPv6. It is not valid when that cannot be known: then it lies in no block.
func (a *Authenticator) Address(r *http.Request) netip.Addr {
	direct := peerAddress(r)
	if !direct.IsValid() || !a.trusted(direct) {
		return direct
	}
	forwarded, standard := hops(r.Header.Values("X-Forwarded-For")), standardHops(r.Header.Values("Forwarded"))
	switch {
	case len(forwarded) == 0 && len(standard) == 0:
		return direct
	case len(standard) == 0:
		return a.client(forwarded)
	case len(forwarded) == 0:
		return a.client(standard)
	}
	// A proxy writes one of the two and may pass on the other as the client wrote it.
	// Which one it is cannot be seen, so they have to agree.
	if one, other := a.client(forwarded), a.client(standard); one == other {
		return one
	}
	return netip.Addr{}
}

// client is the right-most hop that is no trusted proxy; when all are, the first one.
func (a *Authenticator) client(list []string) netip.Addr {
	var addr netip.Addr
	for _, hop := range slices.Backward(list[max(0, len(list)-maxHops):]) {
		addr = hopAddress(hop)
		// What a trusted proxy wrote and is no address ("unknown", a name) ends the
		// search: nothing left of it can be believed.
		if !addr.IsValid() || !a.trusted(addr) {
			break
		}
	}
	return addr
}

// trusted says whether an address is that of a trusted proxy.
func (a *Authenticator) trusted(addr netip.Addr) bool {
	return slices.ContainsFunc(a.opt.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// guesser is whom guesses are counted for: the client, or the proxy that does not say.
func guesser(r *http.Request, client netip.Addr) netip.Addr {
	if client.IsValid() {
		return client
	}
	return peerAddress(r)
}

// peerAddress is the other end of the connection.
func peerAddress(r *http.Request) netip.Addr {
	if at, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		return plain(at.Addr())
	}
	return netip.Addr{}
}

// plain is an address without zone, and IPv4 as such.
func plain(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }

// hops is X-Forwarded-For as a list, left to right over all its lines.
func hops(lines []string) []string {
	var out []string
	for _, line := range lines {
		for hop := range strings.SplitSeq(line, ",") {
			out = append(out, strings.TrimSpace(hop))
		}
	}
	return out
}

// standardHops is the "for" of each element of Forwarded (RFC 7239 section 4), left to
// right. An element without one is a hop that is not known.
func standardHops(lines []string) []string {
	var out []string
	for _, element := range hops(lines) {
		hop := ""
		for pair := range strings.SplitSeq(element, ";") {
			name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
			if strings.EqualFold(name, "for") {
				hop = strings.Trim(value, `"`)
			}
		}
		out = append(out, hop)
	}
	return out
}

// hopAddress reads 192.0.2.1, 192.0.2.1:80, 2001:db8::1, [2001:db8::1] and
// [2001:db8::1]:80.
func hopAddress(hop string) netip.Addr {
	if addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(hop, "["), "]")); err == nil {
		return plain(addr)
	}
	if at, err := netip.ParseAddrPort(hop); err == nil {
		return plain(at.Addr())
	}
	return netip.Addr{}
}
