-- In memory: the planner, sorting, recursion, windows, JSON, full-text and the virtual machine below them.
.mode list
.headers on
CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT NOT NULL, price REAL, kind INT, CHECK(price >= 0));
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO item SELECT i, 'item ' || (i * 7919 % 20011), (i * 104729 % 100003) / 100.0, i % 13 FROM n;
CREATE INDEX by_name ON item(name);
CREATE INDEX by_kind ON item(kind, price DESC);
EXPLAIN QUERY PLAN SELECT * FROM item WHERE kind = 3 ORDER BY price DESC;
SELECT count(*), round(sum(price), 2), min(name), max(price) FROM item;
SELECT kind, count(*) AS n, round(avg(price), 3) AS mean FROM item GROUP BY kind HAVING n > 1538 ORDER BY mean DESC LIMIT 5;
SELECT id, name, price FROM item WHERE name LIKE 'item 19_9%' AND price BETWEEN 100 AND 900 ORDER BY price LIMIT 6;
SELECT id, price, rank() OVER (PARTITION BY kind ORDER BY price DESC) AS r, lag(price) OVER (PARTITION BY kind ORDER BY price DESC) AS above
  FROM item WHERE id < 60 AND kind IN (1, 2) ORDER BY kind, r LIMIT 8;
SELECT a.kind, count(*) FROM item a JOIN item b ON a.name = b.name AND a.id < b.id GROUP BY a.kind;
UPDATE item SET price = price * 1.1 WHERE kind = 5;
DELETE FROM item WHERE id IN (SELECT id FROM item WHERE kind = 7 ORDER BY price LIMIT 500);
SELECT changes(), total_changes(), (SELECT count(*) FROM item);
BEGIN; DELETE FROM item; SELECT count(*) FROM item; ROLLBACK; SELECT count(*) FROM item;
CREATE TRIGGER guard BEFORE UPDATE ON item WHEN new.price > 1000000 BEGIN SELECT raise(ABORT, 'too dear'); END;
INSERT OR IGNORE INTO item VALUES (1, 'again', 1, 1);
INSERT INTO item VALUES (1, 'again', 1, 1) ON CONFLICT(id) DO UPDATE SET name = 'upserted' RETURNING id, name;
WITH RECURSIVE
  x(x) AS (VALUES(-2.0) UNION ALL SELECT x + 0.08 FROM x WHERE x < 0.7),
  y(y) AS (VALUES(-1.1) UNION ALL SELECT y + 0.16 FROM y WHERE y < 1.1),
  m(i, cx, cy, a, b) AS (SELECT 0, x, y, 0.0, 0.0 FROM x, y
    UNION ALL SELECT i + 1, cx, cy, a * a - b * b + cx, 2 * a * b + cy FROM m WHERE a * a + b * b < 4 AND i < 27),
  hit(i, cx, cy) AS (SELECT max(i), cx, cy FROM m GROUP BY cx, cy)
SELECT group_concat(substr(' .:+*o#@', 1 + min(i / 4, 7), 1), '') AS row FROM hit GROUP BY cy;
SELECT json_extract('{"a":[1,2,{"b":"☃"}]}', '$.a[2].b'), json_group_array(value * 2) FROM json_each('[1,2,3]');
SELECT printf('%.10f %e %s', pi(), 1.0 / 3, hex(zeroblob(3))), typeof(1 / 2), 1 / 2, 7 % 3, round(-2.5), abs(-9223372036854775807), upper('straße'), length('☃☃');
SELECT date('2024-01-31', '+1 month'), strftime('%j %W', '2024-12-31'), julianday('2000-01-01 12:00'), unixepoch('2001-09-09 01:46:40');
CREATE VIRTUAL TABLE note USING fts5(body);
INSERT INTO note VALUES ('the quick brown fox'), ('a lazy dog sleeps'), ('the fox and the dog'), ('nothing here');
SELECT rowid, highlight(note, 0, '[', ']') FROM note WHERE note MATCH 'fox OR dog' ORDER BY rank, rowid;
CREATE VIRTUAL TABLE box USING rtree(id, x0, x1, y0, y1);
INSERT INTO box SELECT value, value % 17, value % 17 + 1, value % 23, value % 23 + 1 FROM generate_series(1, 2000);
SELECT count(*), min(id), max(id) FROM box WHERE x0 >= 3 AND x1 <= 9 AND y0 >= 5 AND y1 <= 12;
PRAGMA integrity_check;
