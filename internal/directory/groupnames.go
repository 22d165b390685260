package directory

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/matomo-scim/bridge/internal/directory/membership"
)

// EachGroupName calls fn with the source and the name of every group there is. fn must not
// use the store.
func (s *Store) EachGroupName(ctx context.Context, fn func(source, name string) error) error {
	err := membership.EachRow(ctx, s.db.Reader(), func(rows *sql.Rows) error {
		var source, name string
		if err := rows.Scan(&source, &name); err != nil {
			return err
		}
		return fn(source, name)
	}, `SELECT source, display_name FROM groups`)
	if err != nil {
		return fmt.Errorf("read group names: %w", err)
	}
	return nil
}
