"""The tables of the service's database.

`sealed` columns are AES-256-GCM: nonce, ciphertext and tag. Everything else is metadata, which the service
does not encrypt (CreateSecret page). `mark` columns authenticate what decides over values: of a secret its
generation, stages and policy, of a key its state.
"""

from __future__ import annotations

SCHEMA_VERSION = 2

SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE keys (
    id TEXT PRIMARY KEY,
    spec TEXT NOT NULL,
    usage TEXT NOT NULL,
    state TEXT NOT NULL,
    creator TEXT NOT NULL,
    created REAL NOT NULL,
    version TEXT NOT NULL,
    description TEXT,
    instance_id TEXT,
    tags TEXT NOT NULL,
    policy TEXT,
    delete_at REAL,
    rotation_seconds INTEGER,
    next_rotation REAL,
    last_rotation REAL,
    protection TEXT,
    mark BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE key_versions (
    id TEXT PRIMARY KEY,
    key_id TEXT NOT NULL REFERENCES keys ON DELETE CASCADE,
    created REAL NOT NULL,
    sealed BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX key_versions_of_key ON key_versions (key_id, created);
CREATE TABLE aliases (
    name TEXT PRIMARY KEY,
    key_id TEXT NOT NULL REFERENCES keys ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX aliases_of_key ON aliases (key_id);
CREATE TABLE data_keys (
    id INTEGER PRIMARY KEY,
    key_id TEXT NOT NULL REFERENCES keys ON DELETE CASCADE,
    key_version TEXT NOT NULL,
    seals INTEGER NOT NULL,
    sealed BLOB NOT NULL
);
CREATE INDEX data_keys_of_key ON data_keys (key_id);
CREATE INDEX data_keys_of_version ON data_keys (key_version);
CREATE TABLE secrets (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    generation TEXT NOT NULL,
    type TEXT NOT NULL,
    key_id TEXT NOT NULL,
    stages TEXT NOT NULL,
    created REAL NOT NULL,
    updated REAL NOT NULL,
    creator TEXT NOT NULL,
    instance_id TEXT,
    description TEXT,
    tags TEXT NOT NULL,
    extended_config TEXT,
    policy TEXT,
    delete_at REAL,
    rotation_seconds INTEGER,
    rotation_state TEXT NOT NULL,
    next_rotation REAL,
    last_rotation REAL,
    rotating_to TEXT,
    mark BLOB NOT NULL
);
CREATE INDEX secrets_to_delete ON secrets (delete_at) WHERE delete_at IS NOT NULL;
CREATE INDEX secrets_to_rotate ON secrets (next_rotation) WHERE next_rotation IS NOT NULL;
CREATE TABLE versions (
    secret INTEGER NOT NULL REFERENCES secrets ON DELETE CASCADE,
    id TEXT NOT NULL,
    data_type TEXT NOT NULL,
    data_key INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    created REAL NOT NULL,
    UNIQUE (secret, id)
);
"""

_SECRET = (
    *("name", "generation", "type", "key_id", "stages", "created", "updated", "creator", "instance_id"),
    *("description", "tags", "extended_config", "policy", "delete_at", "rotation_seconds", "rotation_state"),
    *("next_rotation", "last_rotation", "rotating_to", "mark"),
)
SECRET_COLUMNS = ", ".join(("id", *_SECRET))
VERSION_COLUMNS = "secret, id, data_type, data_key, sealed, created"

_SECRET_MARKS = f"({', '.join('?' * (len(_SECRET) + 1))})"
_VERSION_MARKS = "(?, ?, ?, ?, ?, ?)"
_SETS = ", ".join(f"{column} = ?" for column in _SECRET)

# Only the names above go into these texts, never a caller's.
ADD_SECRET = f"INSERT INTO secrets ({SECRET_COLUMNS}) VALUES {_SECRET_MARKS}"  # noqa: S608  # see above
SECRET_BY_NAME = f"SELECT {SECRET_COLUMNS} FROM secrets WHERE name = ?"  # noqa: S608  # see above
VERSION_BY_ID = f"SELECT {VERSION_COLUMNS} FROM versions WHERE secret = ? AND id = ?"  # noqa: S608  # see above
SAVE_SECRET = f"UPDATE secrets SET {_SETS} WHERE id = ?"  # noqa: S608  # see above
ADD_VERSION = f"INSERT INTO versions ({VERSION_COLUMNS}) VALUES {_VERSION_MARKS}"  # noqa: S608  # see above
