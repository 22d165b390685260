package listen

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/netip"
	"strings"
)

// Health names targets and says in Matomo's words what went wrong; metrics are numbers.
// Neither holds anything of a person, and neither can change anything, so the credential
// that lets another host read them is one of its own: whoever has it has nothing else.

// errWrongToken refuses without a hint of what was wrong.
var errWrongToken = errors.New("the monitor token is missing or wrong")

// Guarded lets requests from this host through, and others that carry the monitor token
// as bearer. token reads it anew for each request, so that a rotated one counts at once; it
// is nil when none is configured. Without one, open says whether others may look anyway.
func Guarded(h http.Handler, token func() (string, error), open bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := admit(r, token, open); err != nil {
			w.Header().Set("WWW-Authenticate", `Bearer realm="monitor"`)
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// admit says why a request may not look; nil when it may.
func admit(r *http.Request, token func() (string, error), open bool) error {
	// The address of the connection, and no header: a proxy in front of this listener
	// counts as whoever it is.
	if from, err := netip.ParseAddrPort(r.RemoteAddr); err == nil && from.Addr().Unmap().IsLoopback() {
		return nil
	}
	if token == nil {
		if open {
			return nil
		}
		return ErrNoToken
	}
	want, err := token()
	want = strings.TrimRight(want, "\r\n")
	if err != nil || want == "" {
		return errors.New("the monitor token cannot be read here") // fail closed
	}
	// Hashes have one length, so the comparison says nothing about that of the token either.
	scheme, got, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	a, b := sha256.Sum256([]byte(strings.TrimSpace(got))), sha256.Sum256([]byte(want))
	if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare(a[:], b[:]) != 1 {
		return errWrongToken
	}
	return nil
}
