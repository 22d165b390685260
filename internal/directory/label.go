package directory

import (
	"context"
	"fmt"

	"github.com/matomo-scim/bridge/internal/database"
)

// The table of users or groups, for statements over either.
const (
	tableUsers  = "users"
	tableGroups = "groups"
)

// labelTaken says whether another resource of the source holds the label
// externalId, where the source may use one twice. The later one then keeps it in
// its document and nowhere else: it is shown, and neither found nor recognised by
// it, so that a label never means two people.
func (s *Store) labelTaken(ctx context.Context, tx *database.Tx, table, source, label, id string) (bool, error) {
	i, ok := s.sources[source]
	if label == "" || !ok || !s.opt.Sources[i].SharedLabels {
		return false, nil
	}
	var taken bool
	err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM `+table+` WHERE source = $1 AND external_id = $2 AND id <> $3)`,
		source, label, id).Scan(&taken)
	if err != nil {
		return false, fmt.Errorf("look for the label: %w", err)
	}
	return taken, nil
}
