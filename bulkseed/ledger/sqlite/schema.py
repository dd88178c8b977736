"""The ledger's tables and views. The comments inside are the documentation that ships in every ledger file.

Nearly every secret is created at its first attempt. Such an answer is one short row at the end of a table:
changing the row of the claim would cost more than twice as much, and so would a row in a table of attempts.
The views put the tables together; only what writes needs to know the tables.

All times are whole microseconds since 1970-01-01 UTC by the clock of this machine, but for service_time. No
column holds, or is computed from, a secret value.
"""

from __future__ import annotations

APPLICATION_ID = 0x62736C67  # "bslg", in the file's header: this SQLite file is a ledger
VERSION = 3  # PRAGMA user_version
LATER_COLUMNS_OF_RUNS = {"boot": "TEXT", "clock_offset": "INTEGER"}
"""What ledgers of 0.2.0 do not have; they get it when they are opened for writing."""

TABLES = (
    """
CREATE TABLE meta (             -- the target that the ledger is bound to, and who is writing to it
  key   TEXT PRIMARY KEY,       -- binding (host of the endpoint, or "embedded" and a folder), region,
                                -- account (learned from the first ARN), created_at, writer; and as they were
                                -- used last: endpoint, signature, data_dir (of the embedded local KMS);
                                -- lent: seconds that a run on a cluster may outlive its command
  value TEXT NOT NULL           -- writer: JSON with pid, host, since, file; gone after an orderly end
)""",
    """
CREATE TABLE runs (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  run_id     TEXT NOT NULL UNIQUE,
  command    TEXT NOT NULL,     -- apply, verify, rollback
  started_at INTEGER NOT NULL,
  ended_at   INTEGER,           -- NULL: it was killed, or is running
  pid        INTEGER NOT NULL,
  host       TEXT NOT NULL,
  caller     TEXT,              -- the access key id, without its middle
  limits     TEXT NOT NULL,     -- JSON: quota group -> most attempts in any second, 0 = no ceiling
  summary    TEXT,              -- JSON, as printed by --output json
  exit_code  INTEGER,
  stopped_by TEXT,
  ahead      INTEGER,           -- microseconds by which the service's clock was ahead of ours, at least
  boot       TEXT,              -- of the machine; NULL where it does not name its boots
  clock_offset INTEGER,         -- microseconds that this run adds to a clock that counts on for one boot
  compares   INTEGER NOT NULL DEFAULT 0,  -- 1: it asked for more than "existing" of what was there before
  -- Counted in the same transactions as the rows they count, so that they hold after a kill:
  read     INTEGER NOT NULL DEFAULT 0,  -- manifest entries = known + claimed + unsent + invalid
  known    INTEGER NOT NULL DEFAULT 0,  -- were settled already
  claimed  INTEGER NOT NULL DEFAULT 0,
  unsent   INTEGER NOT NULL DEFAULT 0,  -- read after the run had stopped, left pending
  invalid  INTEGER NOT NULL DEFAULT 0,
  added    INTEGER NOT NULL DEFAULT 0,  -- rows that were not in the ledger before
  reopened INTEGER NOT NULL DEFAULT 0,  -- settled rows that were claimed again, or rolled back
  settled  INTEGER NOT NULL DEFAULT 0,  -- rows settled by this run
  attempts INTEGER NOT NULL DEFAULT 0   -- requests sent by this run
)""",
    """
CREATE TABLE claims (           -- one row per secret name; see the view definitions
  -- How a claim ended stands here unless it has a row in creations, which then counts for outcome, code,
  -- message, status, request_id, arn, settled_at, service_time, doubt and owned.
  id            INTEGER PRIMARY KEY,
  name          TEXT NOT NULL UNIQUE,
  version_id    TEXT NOT NULL,
  outcome       TEXT NOT NULL DEFAULT 'pending',
                                -- created adopted identical existing updated (settled)
                                -- conflict rejected exhausted value_lost pending (not settled)
                                -- of a verify: identical present (settled)
                                --   differs behind missing unreadable
  code          TEXT,           -- of the last answer; a pending row keeps why it failed before
  message       TEXT,
  status        INTEGER,
  request_id    TEXT,
  arn           TEXT,
  attempts      INTEGER NOT NULL DEFAULT 0,  -- rows in the table other_attempts
  source        TEXT NOT NULL,  -- the manifest as it was named, or the address of a store
  place         NOT NULL,       -- within the source: a line of a file (a number), a path in a store (a text)
  first_sent_at INTEGER,
  settled_at    INTEGER,        -- when the outcome was known; NULL while pending
  run           INTEGER NOT NULL REFERENCES runs (id),  -- the last run that took it up
  claimed_at    INTEGER,        -- the claim in force, or the earliest whose fate is not known
  doubt         INTEGER NOT NULL,            -- 1: an attempt may have had effect without our knowing
  is_foreign    INTEGER NOT NULL DEFAULT 0,  -- 1: it was there before us, as we found before updating it
  owned         INTEGER NOT NULL DEFAULT 0,  -- 1: created or adopted by this ledger, not rolled back since
  doubt_version TEXT,           -- the version of the claim in doubt; NULL: it is version_id
  claimed_service INTEGER,      -- claimed_at by the service's clock, as early as it can have been;
                                -- NULL: claimed_at and the run's ahead tell it; 0: that is not known;
                                -- -1: nor has our own clock gone on since
  wanted        TEXT,           -- the version that the manifest has where --no-follow left ours
  service_time  INTEGER         -- when it was created by the service's clock, in whole seconds since 1970:
                                -- its CreateTime where that was read, else the Date of the answer
)""",
    """
CREATE TABLE earlier_versions ( -- versions that this ledger wrote before the one that the row names
  definition INTEGER NOT NULL REFERENCES claims (id),
  run        INTEGER NOT NULL,  -- that took up another version; negative: a rollback has deleted the secret
                                -- since, and nobody has taken it back
  version_id TEXT NOT NULL,
  PRIMARY KEY (definition, run)
) WITHOUT ROWID""",
    """
CREATE TABLE invalid_lines (    -- as found by the latest run that read their place
  source     TEXT NOT NULL,
  place      NOT NULL,
  resolved   TEXT NOT NULL,     -- the source, a path being absolute: however it was named, it is one place
  name       TEXT,
  version_id TEXT,
  reasons    TEXT NOT NULL,     -- JSON array
  run        INTEGER NOT NULL REFERENCES runs (id)
)""",
    "CREATE INDEX invalid_places ON invalid_lines (resolved, place)",
    """
CREATE TABLE creations (        -- answers that secrets were created: an attempt and the end of its claim
  id           INTEGER PRIMARY KEY REFERENCES claims (id),
  run          INTEGER NOT NULL REFERENCES runs (id),
  sent_at      INTEGER NOT NULL,
  latency      INTEGER NOT NULL,  -- microseconds until the answer
  request_id   TEXT,
  arn          TEXT,
  service_time INTEGER          -- the Date of the answer, in whole seconds since 1970
)""",
    """
CREATE TABLE other_attempts (   -- one row per request that was sent and has none in creations
  definition  INTEGER NOT NULL REFERENCES claims (id),
  run         INTEGER NOT NULL REFERENCES runs (id),
  quota_group TEXT NOT NULL,    -- create, read, manage
  sent_at     INTEGER NOT NULL,
  latency     INTEGER NOT NULL, -- microseconds until the answer, or until it was given up
  status      INTEGER,          -- NULL: no answer
  code        TEXT
)""",
    """
CREATE TABLE rollbacks (        -- what rollbacks did: deletions, and versions put back in force
  definition INTEGER NOT NULL REFERENCES claims (id),
  run        INTEGER NOT NULL REFERENCES runs (id),
  outcome    TEXT NOT NULL,     -- of the definition before
  made_at    INTEGER NOT NULL,  -- its settled_at before
  dated      TEXT,              -- when it was created, as the service says; another time is another secret
  claimed_at INTEGER,           -- on disk before the request is sent; NULL: none was to be sent
  ended_at   INTEGER,           -- NULL: whether the secret was deleted, or got its version back, is not known
  result     TEXT,              -- deleted, gone (not by us), restored, changed or failed (left as it was),
                                -- unsent, resumed (by a later rollback), overtaken (by an apply)
  code       TEXT,
  message    TEXT,
  restores   TEXT,              -- the version that is put back in force; NULL: the secret is deleted
  PRIMARY KEY (definition, run)
) WITHOUT ROWID""",
    """
CREATE VIEW definitions AS      -- one row per secret name, with how it ended
SELECT claims.id AS id, name, version_id,
  iif(wanted IS NULL, iif(created.id IS NULL, outcome, 'created'), 'behind') AS outcome,
  iif(created.id IS NULL, code, NULL) AS code,
  iif(wanted IS NULL, iif(created.id IS NULL, message, NULL),
      'the manifest has version ' || wanted) AS message,
  iif(created.id IS NULL, status, 200) AS status,
  iif(created.id IS NULL, claims.request_id, created.request_id) AS request_id,
  iif(created.id IS NULL, claims.arn, created.arn) AS arn,
  attempts + (created.id IS NOT NULL) AS attempts, source, place,
  coalesce(first_sent_at, sent_at) AS first_sent_at,
  iif(created.id IS NULL, settled_at, sent_at + latency) AS settled_at,
  claims.run AS run, claimed_at, claimed_service, doubt AND created.id IS NULL AS doubt, is_foreign,
  owned OR created.id IS NOT NULL AS owned,
  doubt_version, wanted, iif(created.id IS NULL, claims.service_time, created.service_time) AS service_time,
  iif(created.id IS NULL, outcome, 'created') AS ending  -- the outcome, but for what is behind
FROM claims LEFT JOIN creations AS created ON created.id = claims.id""",
    """
CREATE VIEW attempts AS         -- one row per request that was sent
SELECT definition, run, quota_group, sent_at, latency, status, code FROM other_attempts
UNION ALL
SELECT id, run, 'create', sent_at, latency, 200, NULL FROM creations""",
)
