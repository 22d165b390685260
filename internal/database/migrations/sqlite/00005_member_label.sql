-- +goose Up

-- What a client said about a member when it added it, beside its value: a JSON object of display,
-- type and displayName. It is shown again, and looked at by nobody.
ALTER TABLE members ADD COLUMN label TEXT;
