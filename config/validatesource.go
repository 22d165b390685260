package config

import (
	"fmt"
	"net/netip"

	"github.com/matomo-scim/bridge/config/source"
)

// validate checks one source; path is where it stands in the list.
func (s *Source) validate(r *report, path string) {
	r.between(path+".requests_per_second", s.RequestsPerSecond, 0, 100_000)
	s.Journal.Check(r.below(path + ".journal"))
	s.JWT.Check(r.below(path + ".jwt"))
}

// validateIssuers wants every token to belong to one source.
func (c *Config) validateIssuers(r *report) {
	for i := range c.Sources {
		for k := range i {
			if at := c.Sources[i].JWT.Shared(&c.Sources[k].JWT); at >= 0 {
				r.add(fmt.Sprintf("sources[%d].jwt.app_ids[%d]", i, at),
					fmt.Sprintf("this client already speaks for the source %q", c.Sources[k].Name), "give each source clients of its own")
			}
		}
	}
}

// below reports problems of keys below a path; one that begins with a bracket is an
// entry of a list.
func (r *report) below(path string) source.Report {
	return func(key, msg, hint string) {
		if key == "" || key[0] == '[' {
			r.add(path+key, msg, hint)
			return
		}
		r.add(join(path, key), msg, hint)
	}
}

// ParseBlocks reads address blocks as people write them: see source.ParseBlocks.
func ParseBlocks(list []string) ([]netip.Prefix, error) { return source.ParseBlocks(list) }
