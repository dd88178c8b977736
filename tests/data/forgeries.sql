-- Ways to make a ledger untrue, each keeping the plain sums right where it can. Read by test_audit_forgeries.
-- `LEDGER: what is done` begins one, `finds: check; check` names the checks of the audit that must not hold.
-- All rows are in claims and other_attempts, none in creations, but for those of `as written`.

-- ended: an attempt is dropped, and counted out
-- finds: every outcome has its answer; attempts are counted right
DELETE FROM other_attempts WHERE definition = (SELECT min(id) FROM definitions WHERE outcome = 'created' AND run = 3);
UPDATE claims SET attempts = 0, first_sent_at = NULL
WHERE id = (SELECT min(id) FROM definitions WHERE outcome = 'created' AND run = 3);
UPDATE runs SET summary = json_set(summary, '$.attempts', (SELECT count(*) FROM attempts WHERE run = 3))
WHERE id = 3;

-- ended: a retry is dropped, and counted out
-- finds: attempts are counted right
DELETE FROM other_attempts WHERE rowid = (SELECT min(rowid) FROM other_attempts WHERE status = 500);
UPDATE claims SET attempts = (SELECT count(*) FROM attempts WHERE definition = claims.id);
UPDATE runs SET summary = json_set(summary, '$.attempts', summary ->> '$.attempts' - 1) WHERE id = 1;

-- ended: a row is settled without its attempt
-- finds: every outcome has its answer
UPDATE claims SET outcome = 'created', owned = 1, doubt = 0 WHERE outcome = 'rejected';
UPDATE runs SET settled = settled + 1, summary = json_set(summary,
  '$.outcomes.created', summary ->> '$.outcomes.created' + 1,
  '$.outcomes.rejected', summary ->> '$.outcomes.rejected' - 1) WHERE id = 3;

-- ended: somebody else's secret is called ours
-- finds: every outcome has its answer
UPDATE claims SET outcome = 'created', owned = 1 WHERE outcome = 'identical';
UPDATE runs SET summary = json_set(summary,
  '$.outcomes.created', summary ->> '$.outcomes.created' + 1,
  '$.outcomes.identical', summary ->> '$.outcomes.identical' - 1) WHERE id = 1;

-- ended: somebody else's secret is called adopted
-- finds: the last summary agrees with the rows
UPDATE claims SET outcome = 'adopted', owned = 1 WHERE outcome = 'identical';

-- ended: what was created is called updated
-- finds: every outcome has its answer
UPDATE runs SET summary = json_set(summary,
  '$.outcomes.created', summary ->> '$.outcomes.created'
    - (SELECT count(*) FROM definitions WHERE outcome = 'created' AND run = 3),
  '$.outcomes.updated', summary ->> '$.outcomes.updated'
    + (SELECT count(*) FROM definitions WHERE outcome = 'created' AND run = 3)) WHERE id = 3;
UPDATE claims SET outcome = 'updated' WHERE outcome = 'created' AND run = 3;

-- ended: what was not even answered is called rejected
-- finds: every outcome has its answer
UPDATE other_attempts SET status = NULL, code = NULL WHERE code = 'Rejected.ResourceInDeleteWindow';

-- ended: what was refused is called existing
-- finds: every run adds up; the last summary agrees with the rows
UPDATE claims SET outcome = 'existing' WHERE outcome = 'rejected';
UPDATE runs SET settled = settled + 1 WHERE id = 3;

-- ended: two created events at the same time
-- finds: every attempt belongs to a claim
INSERT INTO other_attempts SELECT * FROM attempts WHERE definition = 2;
UPDATE claims SET attempts = 2 WHERE id = 2;
UPDATE runs SET summary = json_set(summary, '$.attempts', summary ->> '$.attempts' + 1) WHERE id = 1;

-- ended: two created events, the second after the first was settled
-- finds: every outcome has its answer
INSERT INTO other_attempts SELECT definition, run, quota_group, sent_at + 4000000, latency, status, code
FROM attempts WHERE definition = 2;
UPDATE runs SET ended_at = ended_at + 9000000 WHERE id = 1;
UPDATE claims SET attempts = 2 WHERE id = 2;
UPDATE runs SET summary = json_set(summary, '$.attempts', summary ->> '$.attempts' + 1) WHERE id = 1;

-- ended: sent too fast in a window
-- finds: send times kept to the limit
UPDATE other_attempts SET sent_at = sent_at - (sent_at % 2000000) WHERE run = 3 AND quota_group = 'create';

-- ended: sent too fast in a window, and the limit raised
-- finds: send times kept to the limit
UPDATE other_attempts SET sent_at = sent_at - (sent_at % 2000000) WHERE run = 3 AND quota_group = 'create';
UPDATE runs SET limits = json_set(limits, '$.create', 50) WHERE id = 3;

-- ended: sent too fast in a window, in a quota group of its own
-- finds: every attempt belongs to a claim
UPDATE other_attempts SET quota_group = 'slow' WHERE run = 3 AND quota_group = 'create' AND code IS NOT NULL;

-- ended: claimed after it was first sent
-- finds: every attempt belongs to a claim
UPDATE claims SET claimed_at = first_sent_at + 1 WHERE id = 2;

-- ended: first sent at another time
-- finds: attempts are counted right
UPDATE claims SET first_sent_at = first_sent_at + 1 WHERE id = 2;

-- ended: attempted, but never sent
-- finds: every row makes sense
UPDATE claims SET first_sent_at = NULL WHERE id = 2;

-- ended: sent before its run
-- finds: every attempt belongs to a claim
UPDATE other_attempts SET sent_at = (SELECT started_at - 1 FROM runs WHERE id = 3) WHERE run = 3;

-- ended: answered after its run
-- finds: every attempt belongs to a claim
UPDATE other_attempts SET latency = 9000000000 WHERE definition = 2;

-- ended: answered before it was sent
-- finds: every attempt belongs to a claim
UPDATE other_attempts SET latency = -1 WHERE definition = 2;

-- ended: settled before its answer
-- finds: every outcome has its answer
UPDATE claims SET settled_at = settled_at - 5000 WHERE id = 2;

-- ended: settled before its run
-- finds: every outcome has its answer
UPDATE claims SET settled_at = (SELECT started_at - 1 FROM runs WHERE id = 3) WHERE run = 3;

-- ended: settled after its run
-- finds: every outcome has its answer
UPDATE claims SET settled_at = (SELECT ended_at + 10 FROM runs WHERE id = 1) WHERE run = 1;

-- ended: settled and in doubt
-- finds: every row makes sense
UPDATE claims SET doubt = 1 WHERE id = 2;

-- ended: no doubt after answers that leave it
-- finds: every outcome has its answer
UPDATE claims SET doubt = 0 WHERE outcome = 'exhausted';

-- killed: no doubt after an attempt without an answer
-- finds: every outcome has its answer
INSERT INTO other_attempts (definition, run, quota_group, sent_at, latency)
SELECT d.id, d.run, 'create', started_at + 9000000, 1 FROM definitions d JOIN runs r ON r.id = d.run
WHERE outcome = 'pending' LIMIT 1;
UPDATE claims SET doubt = 0 WHERE outcome = 'pending';

-- ended: one known more, one claimed less, in an earlier run
-- finds: every run adds up
UPDATE runs SET known = known + 1, claimed = claimed - 1 WHERE id = 1;

-- ended: all that a killed run claimed was never sent
-- finds: attempts are counted right
UPDATE runs SET unsent = unsent + claimed, claimed = 0, settled = 0 WHERE id = 2;

-- ended: a killed run settled more than it claimed
-- finds: every run adds up
UPDATE runs SET settled = claimed + 1 WHERE id = 2;

-- ended: a killed run took up less than it has
-- finds: all rows add up
UPDATE claims SET run = 2 WHERE run = 3;

-- ended: a counter is negative
-- finds: every run adds up
UPDATE runs SET known = known + 5, invalid = invalid - 5 WHERE id = 2;

-- ended: settled in one run, counted in another
-- finds: every run adds up
UPDATE runs SET settled = settled + iif(id = 1, 1, -1) WHERE id IN (1, 3);

-- ended: an earlier summary is made nicer
-- finds: every run adds up
UPDATE runs SET summary = json_set(summary,
  '$.outcomes.created', summary ->> '$.outcomes.created' + 1,
  '$.outcomes.rejected', summary ->> '$.outcomes.rejected' - 1) WHERE id = 1;

-- ended: an earlier summary tells other outcomes
-- finds: the last summary agrees with the rows
UPDATE runs SET summary = json_set(summary,
  '$.outcomes.adopted', summary ->> '$.outcomes.adopted' + 9,
  '$.outcomes.created', summary ->> '$.outcomes.created' - 9) WHERE id = 1;

-- ended: a row is given to no run
-- finds: all rows add up
UPDATE claims SET run = 77 WHERE id = 2;

-- ended: a row is dropped with its attempt, wherever it was counted
-- finds: all rows add up; attempts are counted right
DELETE FROM other_attempts WHERE definition = 2;
DELETE FROM claims WHERE id = 2;
UPDATE runs SET added = added - 1, settled = settled - 1, claimed = claimed - 1, read = read - 1, summary = json_set(
  summary, '$.definitions', read - 1, '$.outcomes.created', summary ->> '$.outcomes.created' - 1, '$.attempts',
  (SELECT count(*) FROM attempts WHERE run = 1)) WHERE id = 1;

-- rolled back: deleted without a claim
-- finds: every deletion was claimed
UPDATE rollbacks SET claimed_at = NULL WHERE result = 'deleted';

-- rolled back: kept, but said to be deleted
-- finds: every deletion was claimed
UPDATE runs SET summary = json_set(summary, '$.results.deleted', summary ->> '$.results.deleted' + 1)
WHERE command = 'rollback';

-- rolled back: deleted, but said to be kept
-- finds: every deletion was claimed
UPDATE rollbacks SET result = 'failed' WHERE definition = 2;

-- rolled back: a look before a deletion is dropped
-- finds: attempts are counted right
DELETE FROM other_attempts WHERE rowid = (SELECT max(rowid) FROM other_attempts WHERE quota_group = 'read');

-- ended: in doubt, but never claimed
-- finds: every row makes sense
UPDATE claims SET claimed_at = NULL WHERE outcome = 'exhausted';

-- ended: a killed run read more than it counted
-- finds: every run adds up
UPDATE runs SET read = read + 1 WHERE id = 2;

-- ended: sent before its run, but after the claim of an earlier one
-- finds: every attempt belongs to a claim
UPDATE other_attempts SET sent_at = (SELECT started_at - 1 FROM runs WHERE id = 3) WHERE rowid =
(SELECT min(a.rowid) FROM other_attempts a JOIN definitions d ON d.id = a.definition AND d.run = a.run
 WHERE a.run = 3 AND claimed_at < (SELECT started_at FROM runs WHERE id = 3));

-- ended: adopted and called identical without a look
-- finds: every outcome has its answer
UPDATE other_attempts SET quota_group = 'manage' WHERE quota_group = 'read' AND definition IN
(SELECT id FROM definitions WHERE outcome IN ('adopted', 'identical'));

-- as written: an answer that a secret was created is dropped
-- finds: no row was settled twice; the last summary agrees with the rows
DELETE FROM creations WHERE id = (SELECT max(id) FROM creations);

-- as written: what was created is called existing, too
-- finds: every row makes sense
UPDATE claims SET outcome = 'existing' WHERE id = 2;

-- as written: an answer belongs to no claim
-- finds: every attempt belongs to a claim
INSERT INTO creations SELECT id + 1000, run, sent_at, latency, request_id, arn, service_time FROM creations WHERE id = 2;

-- as written: created by another run than the one that claimed it
-- finds: every outcome has its answer
UPDATE creations SET run = 3 WHERE run = 1;

-- ended: a row gets the name of another secret
-- finds: every ARN is of its row and target
UPDATE claims SET name = 'secret-renamed' WHERE id = 2;

-- ended: the ARN of another account
-- finds: every ARN is of its row and target
UPDATE claims SET arn = replace(arn, (SELECT value FROM meta WHERE key = 'account'), '1000000000000999') WHERE id = 2;

-- ended: the ledger is bound to another account
-- finds: every ARN is of its row and target
UPDATE meta SET value = '1000000000000999' WHERE key = 'account';

-- ended: the ledger is bound to another region
-- finds: every ARN is of its row and target
UPDATE meta SET value = 'cn-beijing' WHERE key = 'region';

-- ended: the last row is erased with its attempts, and the last run made to fit
-- finds: all rows add up
DELETE FROM other_attempts WHERE definition = (SELECT max(id) FROM claims);
DELETE FROM claims WHERE id = (SELECT max(id) FROM claims);
