"""The ledger's tables and views. The comments inside are the documentation that ships in every ledger file.

Nearly every secret is created at its first attempt. What such an answer brings is one short row of its own,
added at the end of a table: changing the row of the claim would cost more than twice as much, and a row in a
table of attempts once more. The views put them together; only what writes needs to know the tables.

All times are whole microseconds since 1970-01-01 UTC. No column holds, or is computed from, a secret value.
"""

from __future__ import annotations

APPLICATION_ID = 0x62736C67  # "bslg", in the file's header: this SQLite file is a ledger
VERSION = 2  # PRAGMA user_version

TABLES = (
    """
CREATE TABLE meta (             -- what the ledger is bound to, and who is writing to it
  key   TEXT PRIMARY KEY,       -- binding (host of the endpoint), region, created_at, writer
  value TEXT NOT NULL           -- writer: JSON with pid, host, since; gone after an orderly end
)""",
    """
CREATE TABLE runs (
  id         INTEGER PRIMARY KEY,
  run_id     TEXT NOT NULL UNIQUE,
  command    TEXT NOT NULL,     -- apply, verify, rollback
  started_at INTEGER NOT NULL,
  ended_at   INTEGER,           -- NULL: it was killed, or is running
  pid        INTEGER NOT NULL,
  host       TEXT NOT NULL,
  limits     TEXT NOT NULL,     -- JSON: lane -> most attempts in any second, 0 = no ceiling
  summary    TEXT,              -- JSON, as printed by --output json
  exit_code  INTEGER,
  stopped_by TEXT,
  -- Counted in the same transactions as the rows they count, so that they hold after a kill:
  read     INTEGER NOT NULL DEFAULT 0,  -- manifest entries = known + claimed + unsent + invalid
  known    INTEGER NOT NULL DEFAULT 0,  -- were settled already
  claimed  INTEGER NOT NULL DEFAULT 0,
  unsent   INTEGER NOT NULL DEFAULT 0,  -- read after the run had stopped, left pending
  invalid  INTEGER NOT NULL DEFAULT 0,
  added    INTEGER NOT NULL DEFAULT 0,  -- rows that were not in the ledger before
  reopened INTEGER NOT NULL DEFAULT 0,  -- settled rows claimed again because VersionId changed
  settled  INTEGER NOT NULL DEFAULT 0   -- rows settled by this run
)""",
    """
CREATE TABLE claims (           -- one row per secret name; see the view definitions
  -- How a claim ended stands here unless it has a row in creations, which then counts for outcome, code,
  -- message, status, request_id, arn, settled_at, doubt and owned.
  id            INTEGER PRIMARY KEY,
  name          TEXT NOT NULL UNIQUE,
  version_id    TEXT NOT NULL,
  outcome       TEXT NOT NULL DEFAULT 'pending',
                                -- created adopted identical existing updated (settled)
                                -- conflict rejected exhausted pending (not settled)
  code          TEXT,           -- of the last answer; a pending row keeps why it failed before
  message       TEXT,
  status        INTEGER,
  request_id    TEXT,
  arn           TEXT,
  attempts      INTEGER NOT NULL DEFAULT 0,  -- rows in the table other_attempts
  manifest      TEXT NOT NULL,
  line          INTEGER NOT NULL,
  first_sent_at INTEGER,
  settled_at    INTEGER,        -- when the outcome was known; NULL while pending
  run           INTEGER NOT NULL REFERENCES runs (id),  -- the last run that took it up
  claimed_at    INTEGER,        -- the claim in force, or the earliest whose fate is not known
  doubt         INTEGER NOT NULL,            -- 1: an attempt may have had effect without our knowing
  theirs        INTEGER NOT NULL DEFAULT 0,  -- 1: it was there before us, as we found before updating it
  owned         INTEGER NOT NULL DEFAULT 0   -- 1: created or adopted by this ledger, whatever came later
)""",
    """
CREATE TABLE invalid_lines (    -- as found by the latest run over their manifest
  manifest   TEXT NOT NULL,
  line       INTEGER NOT NULL,
  name       TEXT,
  version_id TEXT,
  reasons    TEXT NOT NULL,     -- JSON array
  run        INTEGER NOT NULL REFERENCES runs (id)
)""",
    "CREATE INDEX invalid_places ON invalid_lines (manifest, line)",
    """
CREATE TABLE creations (        -- answers that secrets were created: an attempt and the end of its claim
  id         INTEGER PRIMARY KEY REFERENCES claims (id),
  run        INTEGER NOT NULL REFERENCES runs (id),
  sent_at    INTEGER NOT NULL,
  latency    INTEGER NOT NULL,  -- microseconds until the answer
  request_id TEXT,
  arn        TEXT
)""",
    """
CREATE TABLE other_attempts (   -- one row per request that was sent and has none in creations
  definition INTEGER NOT NULL REFERENCES claims (id),
  run        INTEGER NOT NULL REFERENCES runs (id),
  lane       TEXT NOT NULL,     -- create, read, manage
  sent_at    INTEGER NOT NULL,
  latency    INTEGER NOT NULL,  -- microseconds until the answer, or until it was given up
  status     INTEGER,           -- NULL: no answer
  code       TEXT
)""",
    """
CREATE VIEW definitions AS      -- one row per secret name, with how it ended
SELECT claims.id AS id, name, version_id, iif(created.id IS NULL, outcome, 'created') AS outcome,
  iif(created.id IS NULL, code, NULL) AS code, iif(created.id IS NULL, message, NULL) AS message,
  iif(created.id IS NULL, status, 200) AS status,
  iif(created.id IS NULL, claims.request_id, created.request_id) AS request_id,
  iif(created.id IS NULL, claims.arn, created.arn) AS arn,
  attempts + (created.id IS NOT NULL) AS attempts, manifest, line,
  coalesce(first_sent_at, sent_at) AS first_sent_at,
  iif(created.id IS NULL, settled_at, sent_at + latency) AS settled_at,
  claims.run AS run, claimed_at, doubt AND created.id IS NULL AS doubt, theirs,
  owned OR created.id IS NOT NULL AS owned
FROM claims LEFT JOIN creations AS created ON created.id = claims.id""",
    """
CREATE VIEW attempts AS         -- one row per request that was sent
SELECT definition, run, lane, sent_at, latency, status, code FROM other_attempts
UNION ALL
SELECT id, run, 'create', sent_at, latency, 200, NULL FROM creations""",
)
