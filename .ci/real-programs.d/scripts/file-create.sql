-- On a file, in two runs: this one writes, with a rollback in the middle, and leaves; file-reopen.sql finds what was left.
PRAGMA journal_mode;
CREATE TABLE log(id INTEGER PRIMARY KEY, text TEXT, blob BLOB);
CREATE INDEX log_text ON log(text);
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
INSERT INTO log SELECT i, 'entry ' || (i * 31337 % 5003), zeroblob(i % 200) FROM n;
COMMIT;
BEGIN;
UPDATE log SET text = 'lost';
DELETE FROM log WHERE id % 2;
ROLLBACK;
DELETE FROM log WHERE id % 10 = 0;
VACUUM;
PRAGMA page_count;
PRAGMA user_version = 42;
