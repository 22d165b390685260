package app

import (
	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/internal/journal"
)

// What credentials may do, and what is kept of the requests that they made.

// AllScopes reads and writes everything.
const AllScopes = directory.AllScopes

// ParseScopes reads scopes as people write them.
func ParseScopes(words []string) (Scopes, error) { return directory.ParseScopes(words) }

// newJournal returns the journal of the sources that have one.
func (s *Services) newJournal(opt Options) *journal.Journal {
	sources := map[string]journal.Source{}
	for _, src := range s.Config.Sources {
		sources[src.Name] = journal.Source{Requests: src.Journal.Requests, Bodies: src.Journal.Bodies, Keep: src.Journal.Keep}
	}
	return journal.New(journal.Options{DB: s.DB, Sources: sources, Logger: opt.Logger.Named("journal"), Registerer: s.Registry})
}
