-- +goose Up

-- Filters and orders over what has a column and had no index. Few users are inactive, so theirs is
-- an index of a few.
CREATE INDEX users_source_display_name_key ON users (source, display_name_key, id);
CREATE INDEX users_source_created_at ON users (source, created_at, id);
CREATE INDEX users_source_modified_at ON users (source, modified_at, id);
CREATE INDEX users_inactive ON users (source, id) WHERE NOT active;

-- The key that cursors are sealed with: one row. Every replica must be able to open the cursors of
-- the others, so it is kept here and not in a process.
CREATE TABLE cursor_key (
    id         SMALLINT NOT NULL CONSTRAINT cursor_key_id PRIMARY KEY CHECK (id = 1),
    key        BYTEA NOT NULL,
    created_at BIGINT NOT NULL
);
