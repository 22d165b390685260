-- +goose Up

-- One person. Outlives its users: when the last one is deleted the row stays, loose
-- (orphaned_at), and remembers how the person was known, so that a later POST with the same
-- source and externalId is the same person coming back.
CREATE TABLE subjects (
    id                 TEXT COLLATE "C" NOT NULL CONSTRAINT subjects_id PRIMARY KEY,
    created_at         BIGINT NOT NULL,
    orphaned_at        BIGINT,
    last_source        TEXT COLLATE "C",
    last_external_id   TEXT COLLATE "C",
    last_user_name_key TEXT COLLATE "C"
);
CREATE INDEX subjects_last_external_id ON subjects (last_source, last_external_id) WHERE orphaned_at IS NOT NULL;
CREATE INDEX subjects_last_user_name ON subjects (last_source, last_user_name_key) WHERE orphaned_at IS NOT NULL;

-- What one source said about one person. The document is the canonical SCIM resource.
CREATE TABLE users (
    id               TEXT COLLATE "C" NOT NULL CONSTRAINT users_id PRIMARY KEY,
    source           TEXT COLLATE "C" NOT NULL,
    subject_id       TEXT COLLATE "C" NOT NULL REFERENCES subjects (id),
    external_id      TEXT COLLATE "C",
    user_name        TEXT COLLATE "C" NOT NULL,
    user_name_key    TEXT COLLATE "C" NOT NULL,
    display_name     TEXT COLLATE "C",
    display_name_key TEXT COLLATE "C",
    active           BOOLEAN NOT NULL,
    document         TEXT NOT NULL,
    version          BIGINT NOT NULL,
    created_at       BIGINT NOT NULL,
    modified_at      BIGINT NOT NULL
);
CREATE UNIQUE INDEX users_source_user_name_key ON users (source, user_name_key);
CREATE UNIQUE INDEX users_source_external_id ON users (source, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX users_source_id ON users (source, id);
CREATE INDEX users_subject_id ON users (subject_id);

-- Values of multi-valued attributes that filters can name, such as emails.value.
CREATE TABLE user_values (
    user_id   TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    attr      TEXT COLLATE "C" NOT NULL,
    ord       INTEGER NOT NULL,
    type      TEXT COLLATE "C",
    value     TEXT COLLATE "C" NOT NULL,
    value_key TEXT COLLATE "C" NOT NULL,
    CONSTRAINT user_values_user_id_attr_ord PRIMARY KEY (user_id, attr, ord)
);
CREATE INDEX user_values_attr_value_key ON user_values (attr, value_key);

CREATE TABLE groups (
    id               TEXT COLLATE "C" NOT NULL CONSTRAINT groups_id PRIMARY KEY,
    source           TEXT COLLATE "C" NOT NULL,
    external_id      TEXT COLLATE "C",
    display_name     TEXT COLLATE "C" NOT NULL,
    display_name_key TEXT COLLATE "C" NOT NULL,
    document         TEXT NOT NULL,
    version          BIGINT NOT NULL,
    created_at       BIGINT NOT NULL,
    modified_at      BIGINT NOT NULL
);
CREATE UNIQUE INDEX groups_source_display_name_key ON groups (source, display_name_key);
CREATE UNIQUE INDEX groups_source_external_id ON groups (source, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX groups_source_id ON groups (source, id);

-- A membership is a row; a group with 10,000 members is never one document.
CREATE TABLE members (
    group_id  TEXT COLLATE "C" NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    member_id TEXT COLLATE "C" NOT NULL,
    kind      TEXT COLLATE "C" NOT NULL CHECK (kind IN ('User', 'Group')),
    display   TEXT COLLATE "C",
    added_at  BIGINT NOT NULL,
    CONSTRAINT members_group_id_member_id PRIMARY KEY (group_id, member_id)
);
CREATE INDEX members_member_id ON members (member_id);

-- Member values that no user has yet; they join when the user arrives and grant nothing until then.
CREATE TABLE pending_members (
    group_id   TEXT COLLATE "C" NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    source     TEXT COLLATE "C" NOT NULL,
    value      TEXT COLLATE "C" NOT NULL,
    value_key  TEXT COLLATE "C" NOT NULL,
    added_at   BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    CONSTRAINT pending_members_group_id_value PRIMARY KEY (group_id, value)
);
CREATE INDEX pending_members_source_value ON pending_members (source, value);
CREATE INDEX pending_members_source_value_key ON pending_members (source, value_key);
CREATE INDEX pending_members_expires_at ON pending_members (expires_at);

CREATE TABLE credentials (
    id           TEXT COLLATE "C" NOT NULL CONSTRAINT credentials_id PRIMARY KEY,
    name         TEXT COLLATE "C" NOT NULL,
    source       TEXT COLLATE "C" NOT NULL,
    hash         BYTEA NOT NULL,
    scope        TEXT COLLATE "C" NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT,
    last_used_at BIGINT,
    revoked_at   BIGINT
);
CREATE UNIQUE INDEX credentials_name ON credentials (name) WHERE revoked_at IS NULL;
CREATE UNIQUE INDEX credentials_hash ON credentials (hash);

-- One Matomo instance of the configuration. removed_at is set while the configuration lacks it.
CREATE TABLE targets (
    name           TEXT COLLATE "C" NOT NULL CONSTRAINT targets_name PRIMARY KEY,
    url            TEXT COLLATE "C" NOT NULL,
    mode           TEXT COLLATE "C" NOT NULL,
    compare_due_at BIGINT,
    lease          TEXT COLLATE "C",
    lease_until    BIGINT,
    created_at     BIGINT NOT NULL,
    removed_at     BIGINT
);

-- subject x target: which login is ours, what is wanted and what was observed. The row is the queue.
CREATE TABLE bindings (
    id                 TEXT COLLATE "C" NOT NULL CONSTRAINT bindings_id PRIMARY KEY,
    subject_id         TEXT COLLATE "C" NOT NULL REFERENCES subjects (id),
    target             TEXT COLLATE "C" NOT NULL REFERENCES targets (name),
    login              TEXT COLLATE "C",
    login_key          TEXT COLLATE "C",
    generation         BIGINT NOT NULL,
    observed           BIGINT NOT NULL,
    state              TEXT COLLATE "C" NOT NULL,
    reason             TEXT COLLATE "C" NOT NULL DEFAULT '',
    detail             TEXT NOT NULL DEFAULT '',
    due_at             BIGINT,
    priority           SMALLINT NOT NULL,
    attempts           INTEGER NOT NULL DEFAULT 0,
    lease              TEXT COLLATE "C",
    lease_until        BIGINT,
    claimed            BIGINT,
    event              TEXT COLLATE "C" NOT NULL,
    accepted_at        BIGINT,
    changed_at         BIGINT NOT NULL,
    unsettled_since    BIGINT,
    grants             TEXT NOT NULL DEFAULT '[]',
    superuser          BOOLEAN NOT NULL DEFAULT FALSE,
    adopted            BOOLEAN NOT NULL DEFAULT FALSE,
    created_by_us      BOOLEAN NOT NULL DEFAULT FALSE,
    tokens             TEXT COLLATE "C" NOT NULL DEFAULT 'unknown',
    left_at            BIGINT,
    revoked_at         BIGINT,
    delete_at          BIGINT,
    valid_until        BIGINT,
    hold_until         BIGINT,
    orphan_source      TEXT COLLATE "C" NOT NULL DEFAULT '',
    orphan_external_id TEXT COLLATE "C" NOT NULL DEFAULT '',
    created_at         BIGINT NOT NULL
);
CREATE UNIQUE INDEX bindings_subject_id_target ON bindings (subject_id, target);
CREATE UNIQUE INDEX bindings_target_login_key ON bindings (target, login_key) WHERE login_key IS NOT NULL;
CREATE INDEX bindings_due ON bindings (target, priority, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX bindings_superusers ON bindings (target) WHERE superuser;
CREATE INDEX bindings_lease ON bindings (lease) WHERE lease IS NOT NULL;
CREATE INDEX bindings_unverified_leavers ON bindings (target, accepted_at) WHERE event = 'leaver' AND accepted_at IS NOT NULL;

-- The rules that decide are a row, not a file: replicas agree on them.
CREATE TABLE rule_sets (
    id           TEXT COLLATE "C" NOT NULL CONSTRAINT rule_sets_id PRIMARY KEY,
    hash         TEXT COLLATE "C" NOT NULL,
    text         TEXT NOT NULL,
    origin       TEXT COLLATE "C" NOT NULL,
    activated_at BIGINT NOT NULL,
    active       BOOLEAN NOT NULL
);
CREATE UNIQUE INDEX rule_sets_active ON rule_sets (active) WHERE active;

-- What a guard holds back: one hold per guard and target (id), one row per binding in it.
CREATE TABLE holds (
    id         TEXT COLLATE "C" NOT NULL,
    binding_id TEXT COLLATE "C" NOT NULL REFERENCES bindings (id),
    target     TEXT COLLATE "C" NOT NULL,
    guard      TEXT COLLATE "C" NOT NULL,
    leaver     BOOLEAN NOT NULL,
    state      TEXT COLLATE "C" NOT NULL CHECK (state IN ('waiting', 'approved', 'rejected', 'expired')),
    generation BIGINT NOT NULL,
    wanted     TEXT NOT NULL,
    detail     TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    decided_at BIGINT,
    decided_by TEXT COLLATE "C",
    CONSTRAINT holds_id_binding_id PRIMARY KEY (id, binding_id)
);
CREATE INDEX holds_open ON holds (target, guard) WHERE state = 'waiting';
CREATE INDEX holds_binding_id ON holds (binding_id);

-- The ledger behind the removal budgets.
CREATE TABLE removals (
    id         TEXT COLLATE "C" NOT NULL CONSTRAINT removals_id PRIMARY KEY,
    target     TEXT COLLATE "C" NOT NULL,
    kind       TEXT COLLATE "C" NOT NULL CHECK (kind IN ('group', 'leaver')),
    binding_id TEXT COLLATE "C" NOT NULL,
    removed_at BIGINT NOT NULL
);
CREATE INDEX removals_window ON removals (target, kind, removed_at);

-- What Matomo would lose for good, saved before it is taken away.
CREATE TABLE evidence (
    id        TEXT COLLATE "C" NOT NULL CONSTRAINT evidence_id PRIMARY KEY,
    target    TEXT COLLATE "C" NOT NULL,
    login     TEXT COLLATE "C" NOT NULL,
    login_key TEXT COLLATE "C" NOT NULL,
    kind      TEXT COLLATE "C" NOT NULL,
    data      TEXT NOT NULL,
    saved_at  BIGINT NOT NULL
);
CREATE INDEX evidence_login ON evidence (target, login_key, saved_at);

-- The audit chain. entry is the canonical JSON that is hashed; the other columns repeat parts of
-- it for filters. seq, prev and hash are empty until the sealer has seen the row.
CREATE TABLE audit (
    id      TEXT COLLATE "C" NOT NULL CONSTRAINT audit_id PRIMARY KEY,
    at      BIGINT NOT NULL,
    kind    TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    target  TEXT COLLATE "C" NOT NULL,
    login   TEXT COLLATE "C" NOT NULL,
    entry   TEXT NOT NULL,
    seq     BIGINT,
    prev    BYTEA,
    hash    BYTEA
);
CREATE UNIQUE INDEX audit_seq ON audit (seq) WHERE seq IS NOT NULL;
CREATE INDEX audit_unsealed ON audit (id) WHERE seq IS NULL;
CREATE INDEX audit_subject ON audit (subject, id) WHERE subject <> '';
CREATE INDEX audit_login ON audit (login, id) WHERE login <> '';

-- One row: the last link. A chain that ends before it was cut.
CREATE TABLE audit_head (
    id   SMALLINT NOT NULL CONSTRAINT audit_head_id PRIMARY KEY CHECK (id = 1),
    seq  BIGINT NOT NULL,
    hash BYTEA NOT NULL
);
INSERT INTO audit_head (id, seq, hash) VALUES (1, 0, decode(repeat('00', 32), 'hex'));
