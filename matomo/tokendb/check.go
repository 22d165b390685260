package tokendb

import (
	"context"
	"fmt"
	"strings"

	"github.com/matomo-scim/bridge/matomo"
)

// Proving a right by using it is the only way that holds: grants come through roles,
// proxies and wildcards, a server may be read only, and a trigger may refuse. So the
// check runs what revoking runs, on a row that cannot exist.

// Check proves that tokens can be listed and ended, without ending one, and tells
// what the database user may do beyond that. It implements matomo.Invalidator;
// its errors are those of Revoke.
func (s *Store) Check(ctx context.Context) (matomo.StoreReport, error) {
	report := matomo.StoreReport{Action: string(s.opt.Action)}
	err := s.with(ctx, "check", func(ctx context.Context, t Table) error {
		report.Table, report.Generation = t.Schema+"."+t.Name, t.Generation()
		// The very statements of Revoke and Tokens, for a login that cannot be: what
		// they may not do, they may not do to nobody either.
		const nobody = " WHERE login = '' AND idusertokenauth = 0"
		if _, err := s.db.ExecContext(ctx, s.opt.Action.statement(t)+nobody); err != nil {
			return fmt.Errorf("%s tokens: %w", s.opt.Action, err)
		}
		rows, err := list(ctx, s.db, "SELECT "+strings.Join(needed[:1], ", ")+" FROM "+t.quoted()+nobody+" AND "+alive)
		if err != nil {
			return fmt.Errorf("list tokens: %w", err)
		}
		if len(rows) > 0 {
			return &setupError{"there is a token with the number 0 and no owner: this is not Matomo's table"}
		}
		grants, err := list(ctx, s.db, "SHOW GRANTS")
		if err != nil {
			return fmt.Errorf("show grants: %w", err)
		}
		report.Excess = excess(grants, t, s.opt.Action)
		report.Grant = strings.Join(Statements(t, s.account(ctx), s.opt.Action), "; ")
		return nil
	})
	return report, err
}

// account is the user as the server knows it, quoted for a statement.
func (s *Store) account(ctx context.Context) string {
	who, err := list(ctx, s.db, "SELECT CURRENT_USER()")
	if err != nil || len(who) == 0 {
		return quote(s.opt.User)
	}
	name, host := who[0], "%"
	if i := strings.LastIndexByte(name, '@'); i >= 0 {
		name, host = name[:i], name[i+1:]
	}
	return quote(name) + "@" + quote(host)
}
