package database_test

import (
	"context"
	"testing"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
)

// create writes what POST /Users writes: subject, user, two values, binding, audit row.
func create(ctx context.Context, tx *database.Tx) error {
	subject, user := database.NewID(), database.NewID()
	now := database.Micros(tx.Now())
	if _, err := tx.Exec(ctx, `INSERT INTO subjects (id, created_at) VALUES ($1, $2)`, subject, now); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `INSERT INTO users (id, source, subject_id, external_id, user_name, user_name_key, display_name,
		display_name_key, active, document, version, created_at, modified_at)
		VALUES ($1, 'okta', $2, $3, $4, $4, $5, $5, $6, $7, 1, $8, $8)`,
		user, subject, "ext-"+user, user+"@example.com", "Bjensen "+user, true, document, now); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `INSERT INTO user_values (user_id, attr, ord, type, value, value_key) VALUES `+
		database.Values(2, 6, 1), user, "emails.value", 0, "work", user+"@example.com", user+"@example.com",
		user, "emails.value", 1, "home", user+"@example.org", user+"@example.org"); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `INSERT INTO bindings (id, subject_id, target, generation, observed, state, due_at, priority,
		event, accepted_at, changed_at, unsettled_since, created_at)
		VALUES ($1, $2, 'main', 1, 0, 'pending', $3, 1, 'joiner', $3, $3, $3, $3)`, database.NewID(), subject, now); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `INSERT INTO audit (id, at, kind, subject, target, login, entry) VALUES ($1, $2, 'user_create', $3, '', '', $4)`,
		database.NewID(), now, subject, document)
	return err
}

const document = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],` +
	`"userName":"bjensen@example.com","name":{"familyName":"Jensen","givenName":"Barbara","formatted":"Ms. Barbara J Jensen, III"},` +
	`"displayName":"Babs Jensen","emails":[{"value":"bjensen@example.com","type":"work","primary":true},{"value":"babs@example.org",` +
	`"type":"home"}],"active":true,"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"Tour Operations"}}`

func withTarget(b *testing.B, db *database.DB) {
	b.Helper()
	err := db.InTx(b.Context(), func(ctx context.Context, tx *database.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO targets (name, url, mode, created_at) VALUES ('main', '', 'observe', 0)`)
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
}

func BenchmarkInTx(b *testing.B) {
	databasetest.Bench(b, func(b *testing.B, db *database.DB) {
		withTarget(b, db)
		for b.Loop() {
			if err := db.InTx(b.Context(), create); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkInTx32(b *testing.B) {
	databasetest.Bench(b, func(b *testing.B, db *database.DB) {
		withTarget(b, db)
		b.ResetTimer()
		b.SetParallelism(16) // times two processors
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := db.InTx(b.Context(), create); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}
