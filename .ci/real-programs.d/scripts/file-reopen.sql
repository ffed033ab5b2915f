PRAGMA user_version;
PRAGMA integrity_check;
SELECT count(*), min(text), max(text), sum(length(blob)) FROM log;
SELECT id FROM log WHERE text = 'entry 77';
INSERT INTO log(text) VALUES ('from the second run');
SELECT max(id), text FROM log;
ATTACH '/rw/other.db' AS other;
CREATE TABLE other.copy AS SELECT * FROM log WHERE id < 100;
SELECT count(*) FROM other.copy;
