package matomotest

import (
	"context"
	"net/http"
	"strconv"
	"time"
)

// trackerCache is what the Tracking API remembers of each site: the tokens
// that may set an address or a time. It goes on accepting a token that was
// deleted until it expires or is cleared.
type trackerCache struct {
	bySite map[int]siteCache
}

type siteCache struct {
	built  time.Time
	tokens map[string]bool
}

func (tc *trackerCache) clear() { tc.bySite = nil }

// trackingLocked says whether a token may track with its owner's rights: those
// of write, admin and superusers, as the cache knows them.
func (s *Server) trackingLocked(secret string, site int) bool {
	cached, ok := s.tracker.bySite[site]
	if !ok || time.Since(cached.built) >= trackerCacheTTL {
		cached = s.buildTrackerCacheLocked(site)
	}
	return cached.tokens[secret]
}

func (s *Server) buildTrackerCacheLocked(site int) siteCache {
	cached := siteCache{time.Now(), map[string]bool{}}
	for _, a := range s.accountsLocked() {
		role, _ := a.roleOn(site)
		if !a.superuser && roleRank(role) < rankWrite {
			continue
		}
		for _, t := range a.tokens {
			cached.tokens[t.secret] = t.alive(now())
		}
	}
	if s.tracker.bySite == nil {
		s.tracker.bySite = map[int]siteCache{}
	}
	s.tracker.bySite[site] = cached
	return cached
}

// pixel is the smallest GIF.
const pixel = "GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00\x21\xf9\x04\x01\x00\x00\x00\x00\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00\x3b"

// track answers one request of the Tracking API. Parameters that need a token,
// such as cip and cdt, are refused with 400 without a good one.
func (s *Server) track(_ context.Context, rq request) (*answer, error) {
	site, _ := strconv.Atoi(rq.all["idsite"].text)
	_, address := rq.all["cip"]
	_, when := rq.all["cdt"]
	s.mu.Lock()
	defer s.mu.Unlock()
	if (address || when) && !s.trackingLocked(rq.all["token_auth"].text, site) {
		return newAnswer(http.StatusBadRequest, "image/gif", []byte(pixel)), nil
	}
	return newAnswer(http.StatusOK, "image/gif", []byte(pixel)), nil
}

// trackerCacheTTL is Matomo's tracker_cache_file_ttl.
const trackerCacheTTL = 300 * time.Second
