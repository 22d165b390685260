// Package ruleset holds the rules that decide: the active row of the database, parsed once for
// each content. Replicas decide with the row and never with their own files.
package ruleset

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/mapping"
)

// ErrNone stops every pass before the first rule set is active: without rules nobody has
// access, and that must never be concluded from their absence (I1).
var ErrNone = errors.New("no rules are active yet")

// Rows gives the active rule set; one without a hash when there is none.
type Rows interface {
	ActiveRules(ctx context.Context) (bindings.RuleSet, error)
}

// Cache parses the active rules once per content. Its methods may be called concurrently.
type Cache struct {
	rows   Rows
	loaded func(*mapping.Rules)

	mu    sync.Mutex // guards the fields below
	opt   mapping.Options
	hash  string
	fixed *mapping.Rules
	rules *mapping.Rules
}

// New returns a cache over rows, whose rules are parsed with opt. loaded is told of every
// other content that becomes active.
func New(rows Rows, opt mapping.Options, loaded func(*mapping.Rules)) *Cache {
	return &Cache{rows: rows, opt: opt, loaded: loaded}
}

// Use makes the cache give these rules instead of the active row, for commands that show what
// a changed file would do.
func (c *Cache) Use(rules *mapping.Rules) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fixed = rules
}

// Reparse makes the cache read the active row anew, with other options: who may confer
// superuser is not part of the row.
func (c *Cache) Reparse(opt mapping.Options) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.opt, c.hash, c.rules = opt, "", nil
}

// Active returns the rules of the active row, or ErrNone.
func (c *Cache) Active(ctx context.Context) (*mapping.Rules, error) {
	c.mu.Lock()
	fixed := c.fixed
	c.mu.Unlock()
	if fixed != nil {
		return fixed, nil
	}
	set, err := c.rows.ActiveRules(ctx)
	if err != nil {
		return nil, fmt.Errorf("active rules: %w", err)
	}
	if set.Hash == "" {
		return nil, ErrNone
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rules != nil && c.hash == set.Hash {
		return c.rules, nil
	}
	files, err := mapping.Unmarshal(set.Text)
	if err != nil {
		return nil, fmt.Errorf("active rules %s: %w", set.Hash, err)
	}
	rules, err := mapping.Parse(files, c.opt)
	if err != nil {
		return nil, fmt.Errorf("active rules %s: %w", set.Hash, err)
	}
	c.hash, c.rules = set.Hash, rules
	c.loaded(rules)
	return rules, nil
}

// Kinds counts rules by what they match.
func Kinds(rules *mapping.Rules) map[string]int {
	kinds := map[string]int{}
	for _, r := range rules.All() {
		kinds[r.Ref.Kind]++
	}
	return kinds
}
