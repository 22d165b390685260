package membership

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/matomo-scim/bridge/internal/database"
)

// Member is one member of a group.
type Member struct {
	// ID is the id of the user or group.
	ID   string
	Kind Kind
	// Display is the member's displayName, else its userName.
	Display string
	// Label is what the client said about the member when it added it, a JSON
	// object of sub-attributes that are texts; "" for nothing.
	Label string
}

// memberPage is how many members are read at a time, so that no statement stays
// open while an answer is written.
const memberPage = 2000

// Each calls fn for each member of a group, ordered by id. It reads in pages, and
// fn is called between statements, so it may take its time. An error of fn ends
// it and is returned.
func Each(ctx context.Context, q database.Querier, groupID string, fn func(Member) error) error {
	last := ""
	page := make([]Member, 0, 64)
	for {
		page = page[:0]
		err := EachRow(ctx, q, func(rows *sql.Rows) error {
			var m Member
			var display, label sql.NullString
			err := rows.Scan(&m.ID, &m.Kind, &display, &label)
			m.Display, m.Label = display.String, label.String
			page = append(page, m)
			return err
		}, `SELECT m.member_id, m.kind, COALESCE(u.display_name, u.user_name, g.display_name), m.label FROM members m
			LEFT JOIN users u ON u.id = m.member_id LEFT JOIN groups g ON g.id = m.member_id AND m.kind = 'Group'
			WHERE m.group_id = $1 AND m.member_id > $2 ORDER BY m.member_id LIMIT $3`, groupID, last, memberPage)
		if err != nil {
			return fmt.Errorf("read members: %w", err)
		}
		for _, m := range page {
			if err := fn(m); err != nil {
				return err
			}
		}
		if len(page) < memberPage {
			return nil
		}
		last = page[len(page)-1].ID
	}
}

// GroupsOf returns the direct groups of a user of the source, ordered by id.
func GroupsOf(ctx context.Context, q database.Querier, source, id string) ([]GroupRef, error) {
	var out []GroupRef
	err := EachRow(ctx, q, func(rows *sql.Rows) error {
		g := GroupRef{Source: source}
		err := rows.Scan(&g.ID, &g.Name)
		out = append(out, g)
		return err
	}, `SELECT g.id, g.display_name FROM members m JOIN groups g ON g.id = m.group_id
		WHERE m.member_id = $1 AND g.source = $2 ORDER BY g.id`, id, source)
	if err != nil {
		return nil, fmt.Errorf("groups of user: %w", err)
	}
	return out, nil
}
