package app

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"io"

	"github.com/matomo-scim/bridge/internal/audit"
)

// What is kept of the record outside the database: signed notes of how long it is, and the journal
// of revocations that it could not take. Both are files that only the process which reconciles
// writes; everybody may read them.

// The private key is read at each use, like every secret: one that is replaced needs no restart, and a
// core dump between two notes holds none.

// checkpoints returns the notes of the configuration; nil when it asks for none.
func (s *Services) checkpoints() *audit.Checkpoints {
	cfg := s.Config.Audit
	if cfg.CheckpointFile == "" {
		return nil
	}
	key := func() (ed25519.PrivateKey, error) {
		text, err := cfg.SigningKey.Read()
		if err != nil {
			return nil, err
		}
		return audit.ParsePrivateKey([]byte(text))
	}
	notes := audit.NewCheckpoints(s.Audit, cfg.CheckpointFile, cfg.Every, key, s.Registry)
	notes.OnWrite(s.Health.Repeated("audit/checkpoints", "mend audit.checkpoint_file or the signing key; the record goes on without proof meanwhile", cfg.Every))
	return notes
}

// VerifyCheckpoints proves the record against signed notes, with public keys in PEM.
func (s *Services) VerifyCheckpoints(ctx context.Context, notes io.Reader, publicKeys []byte) (CheckpointReport, error) {
	keys, err := audit.ParsePublicKeys(publicKeys)
	if err != nil {
		return CheckpointReport{}, fmt.Errorf("public key: %w", err)
	}
	return s.Audit.VerifyCheckpoints(ctx, notes, keys...)
}

// NewAuditKey makes a key for signed notes: the private and the public one, in PEM.
func NewAuditKey() (private, public []byte, err error) { return audit.NewKey() }
