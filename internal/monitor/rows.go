package monitor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/internal/audit"
	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/mapping"
)

const (
	// rowsEvery is how long numbers read from the rows are shown before they are read
	// again, however often the bridge is scraped: some of them read whole tables.
	rowsEvery = 30 * time.Second
	// rowsTimeout bounds one read, so that a slow database does not hold up the scrape of
	// everything else.
	rowsTimeout = 5 * time.Second
)

// The classes of people that the bridge has an account for, and of the access that it gave.
var (
	userStates = []bindings.Life{bindings.Active, bindings.Suspended, bindings.PendingDelete}
	grantRoles = []string{"view", "write", "admin", "superuser"}
)

// RowsOptions is what the numbers are read from. All fields are required.
type RowsOptions struct {
	Bindings  *bindings.Store
	Directory *directory.Store
	Audit     *audit.Log
	// Rules returns the rules that decide.
	Rules func(context.Context) (*mapping.Rules, error)
	// Sources and Targets are the names of the configuration.
	Sources, Targets []string
	Logger           *zap.Logger
}

// rows shows what only the database knows: it is the same from whichever replica.
type rows struct {
	opt                                  RowsOptions
	users, deletions, grants             *prometheus.Desc
	groups, unmatched, unused            *prometheus.Desc
	auditWaiting, auditOldest, auditHead *prometheus.Desc

	mu   sync.Mutex // guards the fields below
	at   time.Time
	last []prometheus.Metric
}

// NewRows returns the collector of people, groups, grants and the audit trail.
func NewRows(opt RowsOptions) prometheus.Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prefix+name, help, labels, nil)
	}
	return &rows{
		opt:       opt,
		users:     desc("users", "People with an account that is ours, by what becomes of it: active, suspended (kept for good) or pending_delete.", "target", "state"),
		deletions: desc("deletions_pending", "Suspended accounts whose deletion has a date.", "target"),
		grants:    desc("grants", "Grants in force that rules gave to people, by role.", "target", "role"),
		groups:    desc("groups", "Groups that a source has pushed, by whether a rule matches them.", "idp", "mapped"),
		unmatched: desc("mapping_unmatched_groups", "Groups of a source that no rule matches.", "idp"),
		unused:    desc("mapping_rules_unused", "Rules over groups that match no group which any source has pushed."),

		auditWaiting: desc("audit_unsealed_entries", "Audit entries that wait for their place in the chain."),
		auditOldest:  desc("audit_oldest_unsealed_timestamp_seconds", "When the oldest of them was written; 0 when none waits."),
		auditHead:    desc("audit_chain_length", "Entries in the audit chain."),
	}
}

// Describe implements prometheus.Collector.
func (r *rows) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		r.users, r.deletions, r.grants, r.groups, r.unmatched, r.unused,
		r.auditWaiting, r.auditOldest, r.auditHead,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. What cannot be read is left out rather than
// shown as it was: absent() sees it, and the log says why.
func (r *rows) Collect(ch chan<- prometheus.Metric) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.at) >= rowsEvery {
		ctx, cancel := context.WithTimeout(context.Background(), rowsTimeout)
		defer cancel()
		fresh, err := r.read(ctx)
		if err != nil {
			r.opt.Logger.Warn("read numbers for metrics", zap.Error(err))
		} else {
			r.at = time.Now()
		}
		r.last = fresh
	}
	for _, m := range r.last {
		ch <- m
	}
}

// read reads every part; one that fails does not take the others with it.
func (r *rows) read(ctx context.Context) ([]prometheus.Metric, error) {
	var out series
	err := errors.Join(
		r.readPeople(ctx, &out), r.readGrants(ctx, &out), r.readGroups(ctx, &out), r.readAudit(ctx, &out),
	)
	return out.all, err
}

// series gathers gauges.
type series struct{ all []prometheus.Metric }

// add adds one gauge.
func (s *series) add(d *prometheus.Desc, value float64, labels ...string) {
	s.all = append(s.all, prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...))
}

// What follows reads one part each. A part asks for what it needs in one statement: a
// scrape must cost the database the same whether there are a hundred people or a hundred
// thousand rows more to walk through in Go.

// readPeople counts accounts by what becomes of them.
func (r *rows) readPeople(ctx context.Context, out *series) error {
	counts, err := r.opt.Bindings.Lives(ctx)
	if err != nil {
		return err
	}
	// Targets and states without anybody are shown at zero: a query that groups leaves them
	// out, and a gap in a graph would look like a failure.
	for _, t := range r.opt.Targets {
		for _, state := range userStates {
			out.add(r.users, float64(counts[t][state]), t, string(state))
		}
		out.add(r.deletions, float64(counts[t][bindings.PendingDelete]), t)
	}
	return nil
}

// readGrants counts grants by role. A superuser is one grant however many sites there are.
func (r *rows) readGrants(ctx context.Context, out *series) error {
	counts := map[string]map[string]int{}
	for _, t := range r.opt.Targets {
		counts[t] = map[string]int{}
	}
	err := r.opt.Bindings.EachGrants(ctx, func(target string, grants []byte, people int) error {
		if counts[target] == nil {
			return nil // a target that the configuration has no more
		}
		roles, err := rolesOf(grants)
		for _, role := range roles {
			counts[target][role] += people
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, t := range r.opt.Targets {
		for _, role := range grantRoles {
			out.add(r.grants, float64(counts[t][role]), t, role)
		}
	}
	return nil
}

// rolesOf reads what a binding recorded: one role for each site, once however many rules
// gave it.
func rolesOf(grants []byte) ([]string, error) {
	var origins []mapping.GrantOrigin
	if err := json.Unmarshal(grants, &origins); err != nil {
		return nil, fmt.Errorf("recorded grants: %w", err)
	}
	type grant struct {
		site int64
		role string
	}
	seen := map[grant]bool{}
	var out []string
	for _, o := range origins {
		g := grant{int64(o.Site), string(o.Role)}
		if o.Superuser {
			g = grant{role: "superuser"}
		}
		if g.role != "" && !seen[g] { // a capability alone has no role of its own
			seen[g] = true
			out = append(out, g.role)
		}
	}
	return out, nil
}

// readGroups asks the rules about every group.
func (r *rows) readGroups(ctx context.Context, out *series) error {
	rules, err := r.opt.Rules(ctx)
	if err != nil {
		return err
	}
	// A rule counts as used when any group of any source matches it, members or not: that
	// somebody misspelt a name is what this is to show.
	used := map[string]bool{}
	mapped, unmapped := map[string]int{}, map[string]int{}
	err = r.opt.Directory.EachGroupName(ctx, func(source, name string) error {
		matches := rules.Matches(mapping.GroupRef{Source: source, Name: name})
		for _, m := range matches {
			used[m.Ref.ID] = true
		}
		if len(matches) > 0 {
			mapped[source]++
		} else {
			unmapped[source]++
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, s := range r.opt.Sources {
		out.add(r.groups, float64(mapped[s]), s, "true")
		out.add(r.groups, float64(unmapped[s]), s, "false")
		out.add(r.unmatched, float64(unmapped[s]), s)
	}
	// Rules over attributes match people, not groups; whether they match anybody is not known
	// without deciding for everybody.
	unused := 0
	for _, rule := range rules.All() {
		if rule.Ref.Kind == mapping.KindGroup && !used[rule.Ref.ID] {
			unused++
		}
	}
	out.add(r.unused, float64(unused))
	return nil
}

// readAudit shows how far the sealer has come.
func (r *rows) readAudit(ctx context.Context, out *series) error {
	b, err := r.opt.Audit.Backlog(ctx)
	if err != nil {
		return err
	}
	out.add(r.auditWaiting, float64(b.Waiting))
	out.add(r.auditOldest, seconds(b.Oldest))
	out.add(r.auditHead, float64(b.Sealed))
	return nil
}

// seconds is a time as Prometheus has it; 0 for none.
func seconds(t *time.Time) float64 {
	if t == nil {
		return 0
	}
	return float64(t.UnixMicro()) / 1e6
}
