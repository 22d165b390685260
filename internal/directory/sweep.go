package directory

import (
	"context"
	"errors"

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
	// Looked for outside the transaction: it takes long where many values wait, and
	// requests would wait for it too.
	ids, err := s.members.Stragglers(ctx, s.db.Reader())
	if err != nil {
		return 0, 0, err
	}
	err = s.inTx(ctx, "sweep pending members", func(ctx context.Context, tx *database.Tx) error {
		forgotten, joined = 0, 0
		var err error
		if forgotten, err = s.members.Forget(ctx, tx); err != nil {
			return err
		}
		for _, id := range ids {
			ok, err := s.joinStraggler(ctx, tx, id)
			if err != nil {
				return err
			}
			if ok {
				joined++
			}
		}
		return nil
	})
	return forgotten, joined, err
}

// joinStraggler makes a user a member of the groups that wait for it. False means
// that the user is gone, or none waits any more.
func (s *Store) joinStraggler(ctx context.Context, tx *database.Tx, id string) (bool, error) {
	u, err := s.user(ctx, tx, "r.id = $1"+membership.LockShare.On(s.db.Dialect()), false, id)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	groups, err := s.members.Join(ctx, tx, u.Source, u.ID, namesOf(u))
	if err != nil || len(groups) == 0 {
		return false, err
	}
	return true, s.record(ctx, tx, Actor{Credential: sweeper, Source: u.Source}, change{
		kind: "user.joined", event: bindings.Mover, subjects: []string{u.Subject}, subject: u.Subject,
		after: facts{"user": u.ID, "groups": membership.IDs(groups)},
	})
}
