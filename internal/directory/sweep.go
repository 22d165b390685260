package directory

import (
	"context"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/directory/membership"
)

// sweeper is the actor of what Sweep does, for the audit log.
const sweeper = "sweep"

// Sweep forgets pending members whose time is over, and joins those whose user
// arrived in the very moment in which the group was told. The app calls it now
// and then. It returns how many values it forgot and how many users joined.
func (s *Store) Sweep(ctx context.Context) (forgotten, joined int, err error) {
	err = s.inTx(ctx, "sweep pending members", func(ctx context.Context, tx *database.Tx) error {
		forgotten, joined = 0, 0
		var err error
		if forgotten, err = s.members.Forget(ctx, tx); err != nil {
			return err
		}
		ids, err := s.members.Stragglers(ctx, tx)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := s.joinStraggler(ctx, tx, id); err != nil {
				return err
			}
			joined++
		}
		return nil
	})
	return forgotten, joined, err
}

// joinStraggler makes a user a member of the groups that wait for it.
func (s *Store) joinStraggler(ctx context.Context, tx *database.Tx, id string) error {
	u, err := s.user(ctx, tx, "r.id = $1"+membership.LockShare.On(s.db.Dialect()), false, id)
	if err != nil {
		return err
	}
	groups, err := s.members.Join(ctx, tx, u.Source, u.ID, namesOf(u))
	if err != nil {
		return err
	}
	return s.record(ctx, tx, Actor{Credential: sweeper, Source: u.Source}, change{
		kind: "user.joined", event: bindings.Mover, subjects: []string{u.Subject}, subject: u.Subject,
		after: facts{"user": u.ID, "groups": membership.IDs(groups)},
	})
}
