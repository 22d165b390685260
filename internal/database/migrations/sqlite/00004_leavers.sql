-- +goose Up

-- kept_at: an admin said that this leaver's account stays (`leaver keep`). It counts for the leave
-- that it follows and not for a later one.
ALTER TABLE bindings ADD COLUMN kept_at BIGINT;

-- revoke_tokens: app tokens that somebody, or tokens.max_age, asked to end: 'all', a JSON list of
-- Matomo's token ids, or nothing.
ALTER TABLE bindings ADD COLUMN revoke_tokens TEXT NOT NULL DEFAULT '';

-- cause: who made the binding due last, as JSON {actor, source, request_id}: what is done in
-- Matomo is traced to the request that led to it.
ALTER TABLE bindings ADD COLUMN cause TEXT NOT NULL DEFAULT '';

-- tokens_due_at: when the ages of tokens are to be looked at next (tokens.max_age).
ALTER TABLE targets ADD COLUMN tokens_due_at BIGINT;
