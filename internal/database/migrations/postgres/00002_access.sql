-- +goose Up

-- From where a credential may be used: CIDR blocks with a blank between them; empty is anywhere.
-- credentials.scope holds what it may do, in the same form; 'scim', from before there were scopes,
-- is everything.
ALTER TABLE credentials ADD COLUMN cidrs TEXT COLLATE "C" NOT NULL DEFAULT '';

-- What a source sent last and what it was answered, so that a refusal can be explained: off unless
-- the configuration asks for it, and never more than it allows. Bodies are redacted before they get here.
CREATE TABLE journal (
    id           TEXT COLLATE "C" NOT NULL CONSTRAINT journal_id PRIMARY KEY,
    source       TEXT COLLATE "C" NOT NULL,
    at           BIGINT NOT NULL,
    request_id   TEXT COLLATE "C" NOT NULL,
    credential   TEXT COLLATE "C" NOT NULL,
    address      TEXT NOT NULL,
    user_agent   TEXT NOT NULL,
    method       TEXT COLLATE "C" NOT NULL,
    path         TEXT NOT NULL,
    status       INTEGER NOT NULL,
    took         BIGINT NOT NULL,
    scim_type    TEXT COLLATE "C" NOT NULL,
    attribute    TEXT NOT NULL,
    detail       TEXT NOT NULL,
    request_body TEXT NOT NULL,
    answer_body  TEXT NOT NULL
);
CREATE INDEX journal_source_id ON journal (source, id);
CREATE INDEX journal_at ON journal (at);
