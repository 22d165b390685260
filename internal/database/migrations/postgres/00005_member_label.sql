-- +goose Up

-- What a client called a member when it added it (displayName, which no schema has there): shown,
-- and looked at by nobody.
ALTER TABLE members ADD COLUMN label TEXT;
