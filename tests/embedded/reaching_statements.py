"""Statements that would reach files, programs or the network, a line each, by what they would do there."""

from __future__ import annotations

# {d} is a folder with a file `canary`; {net} an address that listens; ¶ a new line.
READS = r"""
SELECT file('{d}/canary')
SELECT file('{d}/canary', 'otherwise')
SELECT `file`('{d}/canary')
SELECT "file"('{d}/canary')
SELECT `fil\x65`('{d}/canary')
SELECT "\x66ile" /* a comment */ ('{d}/canary')
SELECT file -- a comment
SELECT file/**/(/**/'{d}/canary'/**/)
SELECT FILE('{d}/canary')
SELECT file(materialize('{d}/canary'))
SELECT file(toNullable('{d}/canary'))
SELECT file(path) FROM (SELECT '{d}/canary' AS path)
SELECT arrayMap(file, ['{d}/canary'])
SELECT arrayMap(path -> file(path), ['{d}/canary'])
SELECT * APPLY file FROM (SELECT '{d}/canary')
SELECT * REPLACE (file(a) AS a) FROM (SELECT '{d}/canary' AS a)
WITH file('{d}/canary') AS x SELECT x
WITH x AS (SELECT file('{d}/canary')) SELECT * FROM x
SELECT (SELECT file('{d}/canary'))
SELECT 1 WHERE file('{d}/canary') = ''
SELECT 1 ORDER BY file('{d}/canary')
SELECT throwIf(1, file('{d}/canary'))
DESCRIBE (SELECT file('{d}/canary') AS x)
EXPLAIN SELECT file('{d}/canary')
EXPLAIN SYNTAX SELECT * FROM file('{d}/canary', 'LineAsString')
SELECT * FROM file('{d}/canary', 'LineAsString')
SELECT * FROM File('{d}/canary', 'LineAsString')
SELECT * FROM FILE('{d}/canary', 'LineAsString')
SELECT * FROM `file`('{d}/canary', 'LineAsString')
SELECT * FROM `f\x69le`('{d}/canary', 'LineAsString')
SELECT * FROM(SELECT * FROM file('{d}/canary', LineAsString))
SELECT * FROM view(SELECT * FROM file('{d}/canary', 'LineAsString'))
SELECT * FROM loop(file('{d}/canary', 'LineAsString')) LIMIT 1
SELECT * FROM viewExplain('EXPLAIN', '', (SELECT file('{d}/canary')))
SELECT * FROM values('a String', (file('{d}/canary')))
SELECT * FROM format(Values, 'a String', '(file(\'{d}/canary\'))')
SELECT * FROM format(Values, 'a String', '((SELECT * FROM file(\'{d}/canary\', \'LineAsString\')))')
SELECT * FROM format(JSONEachRow, 'b Int8, a String DEFAULT file(\'{d}/canary\')', '{{"b": 1}}')
SELECT * FROM eval('SELECT file(\'{d}/canary\')') SETTINGS allow_experimental_eval_table_function = 1
SELECT 1 SETTINGS additional_result_filter = 'throwIf(1, file(\'{d}/canary\'))'
SELECT * FROM one SETTINGS additional_table_filters = {{'one': 'throwIf(1, file(\'{d}/canary\'))'}}
SELECT * FROM fileCluster('default', '{d}/canary', 'LineAsString')
SELECT * FROM filesystem('{d}')
SELECT * FROM deltaLakeLocal('{d}')
SELECT * FROM icebergLocal('{d}')
SELECT * FROM sqlite('{d}/canary', 't')
SELECT * FROM default.`{d}/canary.csv`
SELECT * FROM `{d}/canary.csv`
SELECT * FROM '{d}/canary.csv'
SELECT * FROM _files.`{d}/canary.csv`
SELECT * FROM merge('_files', 'canary')
DESCRIBE TABLE file('{d}/canary', 'CSV')
DESCRIBE /**/ `fil\x65`('{d}/canary', 'CSV')
SELECT * FROM executable('cat', 'LineAsString', 'a String')
SELECT * FROM Python(USERS)
SELECT * FROM python('os')
SELECT 1 IN file('{d}/canary', 'LineAsString')
SELECT 1 IN (file('{d}/canary'))
SELECT * FROM (SELECT 1) AS a JOIN file('{d}/canary', 'LineAsString') AS b ON 1
SELECT * FROM values(file('{d}/canary'))
SELECT $a$ ' $a$, file('{d}/canary'), $a$ ' $a$
SELECT 1 AS a$a$, file('{d}/canary'), 1 AS b$a$
WITH RECURSIVE x AS (SELECT file('{d}/canary')) SELECT * FROM x
SELECT sum(1) OVER (PARTITION BY file('{d}/canary'))
SELECT 1 QUALIFY file('{d}/canary') = ''
SELECT '' INTERSECT SELECT file('{d}/canary')
EXPLAIN PIPELINE SELECT file('{d}/canary')
EXPLAIN QUERY TREE SELECT throwIf(1, file('{d}/canary'))
EXPLAIN ESTIMATE SELECT * FROM file('{d}/canary', 'LineAsString')
SELECT 'FROM system.processes', * FROM system.processes AS processes, file('{d}/canary', 'LineAsString')
SELECT ‘FROM system.processes ’, file('{d}/canary') AS `’`
SELECT $a$FROM system.processes $a$, file('{d}/canary')
SELECT * FROM system.processes WHERE query_id = file('{d}/canary')
SELECT ‘ FROM system.processes WHERE ’ AS a, file('{d}/canary') AS ‘b’
KILL QUERY WHERE query_id = file('{d}/canary')
KILL QUERY WHERE ‘query_id’ = '' OR throwIf(1, file('{d}/canary'))
KILL QUERY WHERE $$ query_id $$ = (SELECT * FROM file('{d}/canary', 'LineAsString')) TEST
SELECT 1 FORMAT Template SETTINGS format_template_resultset = '{d}/canary'
SELECT 1 FORMAT Template SETTINGS format_template_row = '{d}/canary'
SELECT 1 FORMAT Protobuf SETTINGS format_schema = '{d}/canary:X'
"""
OUTWARD = r"""
SELECT * FROM url('http://{net}/', 'LineAsString')
SELECT * FROM `u\x72l`('http://{net}/', 'LineAsString')
SELECT * FROM URL('http://{net}/', 'LineAsString', 'a String')
SELECT * FROM urlCluster('default', 'http://{net}/', 'LineAsString', 'a String')
SELECT * FROM s3('http://{net}/bucket/x', 'CSV', 'a String')
SELECT * FROM s3('http://{net}/bucket/x', NOSIGN, 'CSV', 'a String')
SELECT * FROM gcs('http://{net}/bucket/x', 'CSV', 'a String')
SELECT * FROM iceberg('http://{net}/bucket/x')
SELECT * FROM hudi('http://{net}/bucket/x')
SELECT * FROM deltaLake('http://{net}/bucket/x')
SELECT * FROM hdfs('hdfs://{net}/x', 'CSV', 'a String')
SELECT * FROM azureBlobStorage('http://{net}/x', 'x', 'y', 'a', 'Yg==', 'CSV', 'auto', 'a String')
SELECT * FROM remote('{net}', system.one)
SELECT * FROM remoteSecure('{net}', system.one)
SELECT * FROM cluster('default', system.one)
SELECT * FROM mysql('{net}', 'a', 'b', 'c', 'd')
SELECT * FROM postgresql('{net}', 'a', 'b', 'c', 'd')
SELECT * FROM mongodb('{net}', 'a', 'b', 'c', 'd', 'a String')
SELECT * FROM redis('{net}', 'a', 'a String')
SELECT * FROM odbc('DSN=x', 'a', 'b')
SELECT * FROM jdbc('http://{net}', 'a', 'b')
SELECT * FROM format(AvroConfluent, 'a String', '\0\0\0\0\x01x') SETTINGS format_avro_schema_registry_url = 'http://{net}/'
SELECT aiGenerate('x')
"""
WRITES = r"""
SELECT 1 INTO OUTFILE '{d}/written'
SELECT 1 INTO/**/OUTFILE '{d}/written' TRUNCATE FORMAT CSV
SELECT ‘'’ INTO OUTFILE '{d}/written' --'
EXPLAIN SELECT 1 INTO OUTFILE '{d}/written'
SHOW TABLES INTO OUTFILE '{d}/written'
SHOW CREATE TABLE one INTO OUTFILE '{d}/written'
DESCRIBE TABLE one INTO OUTFILE '{d}/written'
EXISTS TABLE one INTO OUTFILE '{d}/written'
INSERT INTO FUNCTION file('{d}/written', 'CSV', 'a Int8') SELECT 1
INSERT INTO TABLE FUNCTION `fil\x65`('{d}/written', 'CSV', 'a Int8') SELECT 1
INSERT INTO FUNCTION file('{d}/written', 'CSV', 'a Int8') VALUES (1)
INSERT INTO FUNCTION null('a Int8') VALUES (1); SELECT 1 INTO OUTFILE '{d}/written'
INSERT INTO one VALUES (1); SELECT 1 INTO OUTFILE '{d}/written'
INSERT INTO one SETTINGS async_insert = 0 VALUES (1); SELECT 1 INTO OUTFILE '{d}/written'
INSERT INTO one FROM INFILE '{d}/canary' FORMAT LineAsString
WITH 1 AS x INSERT INTO one FROM INFILE '{d}/canary' FORMAT LineAsString
WITH file('{d}/canary') AS x INSERT INTO one SELECT x
WITH x AS (SELECT * FROM file('{d}/canary', 'LineAsString')) INSERT INTO one SELECT * FROM x
WITH 1 AS x INSERT INTO FUNCTION file('{d}/written', 'CSV', 'a Int8') SELECT 1
WITH 1 AS x INSERT INTO FUNCTION file('{d}/written', 'CSV', 'a Int8') FORMAT CSV 1
WITH 1 AS x INSERT INTO one VALUES (file('{d}/canary'))
WITH 1 AS x INSERT INTO one (a) FORMAT Values (file('{d}/canary'))
INSERT one VALUES (file('{d}/canary'))
INSERT one FROM INFILE '{d}/canary' FORMAT LineAsString
INSERT FUNCTION file('{d}/written', 'CSV', 'a Int8') VALUES (1)
INSERT TABLE FUNCTION file('{d}/written', 'CSV', 'a Int8') VALUES (1)
INSERT INTO one (* EXCEPT(a)) FORMAT Values (file('{d}/canary'))
INSERT INTO one (* EXCEPT(b)) SELECT file('{d}/canary')
INSERT INTO one FORMAT CSV SETTINGS format_template_row = '{d}/canary'¶1
INSERT INTO one FORMAT Template SETTINGS format_template_row = '{d}/canary', format_template_resultset = '{d}/canary'¶1
INSERT INTO one SETTINGS max_threads = 1 FROM INFILE '{d}/canary' FORMAT LineAsString
INSERT INTO one SELECT file('{d}/canary')
INSERT INTO one VALUES (file('{d}/canary'))
INSERT INTO one VALUES ((SELECT * FROM file('{d}/canary', 'LineAsString')))
INSERT INTO one SELECT * FROM input('a String DEFAULT file(\'{d}/canary\'), b Int8') FORMAT JSONEachRow {{"b": 1}}
INSERT INTO one SELECT a FROM input('a Int8) ENGINE = File(CSV, \'{d}/written\') -- ') FORMAT CSV 1
CREATE TABLE x (a String) ENGINE = File(CSV, '{d}/written')
CREATE TEMPORARY TABLE x (a String) ENGINE = File(CSV, '{d}/written')
CREATE TABLE x (a String) ENGINE = `Fil\x65`(CSV)
CREATE TABLE x (a String) ENGINE = URL('http://{net}/', CSV)
CREATE TABLE x (a String) ENGINE = S3('http://{net}/bucket/x', 'CSV')
CREATE TABLE x (a String) ENGINE = MySQL('{net}', 'a', 'b', 'c', 'd')
CREATE TABLE x (a String) ENGINE = Kafka('{net}', 'a', 'b', 'CSV')
CREATE TABLE x (a String) ENGINE = Executable('cat', CSV)
CREATE TABLE x (a String) ENGINE = ExecutablePool('cat', CSV)
CREATE TABLE x (a String, b String) ENGINE = EmbeddedRocksDB(0, '{d}/written') PRIMARY KEY a
CREATE TABLE x (a String) ENGINE = SQLite('{d}/written', 't')
CREATE TABLE x (a String) ENGINE = Distributed('default', 'default', 'one')
CREATE TABLE x AS file('{d}/canary', 'LineAsString')
CREATE TABLE x ENGINE = Memory AS SELECT * FROM file('{d}/canary', 'LineAsString')
CREATE TABLE x (a Int8, b String DEFAULT file('{d}/canary')) ENGINE = Memory
CREATE TABLE x (a Int8) ENGINE = MergeTree ORDER BY a SETTINGS disk = disk(type = local, path = '{d}/written/')
CREATE TABLE x (a Int8) ENGINE = MergeTree ORDER BY a SETTINGS disk = disk(type = web, endpoint = 'http://{net}/')
CREATE VIEW x AS SELECT file('{d}/canary')
CREATE MATERIALIZED VIEW x TO one AS SELECT file('{d}/canary') AS a FROM one
CREATE DATABASE x ENGINE = Filesystem('{d}')
CREATE DATABASE x ENGINE = `F\x69lesystem`('{d}')
ATTACH DATABASE x ENGINE = Filesystem('{d}')
ATTACH DATABASE _files
CREATE DATABASE x ENGINE = SQLite('{d}/written')
CREATE DATABASE x ENGINE = MySQL('{net}', 'a', 'b', 'c')
CREATE DATABASE x ENGINE = Overlay('_files')
CREATE DICTIONARY x (a String) PRIMARY KEY a SOURCE(FILE(path '{d}/canary' format 'CSV')) LAYOUT(FLAT()) LIFETIME(0)
CREATE DICTIONARY x (a String) PRIMARY KEY a SOURCE(HTTP(url 'http://{net}/' format 'CSV')) LAYOUT(FLAT()) LIFETIME(0)
CREATE FUNCTION x AS path -> file(path)
CREATE TABLE x (a JSON(a UInt8), b String DEFAULT file('{d}/canary')) ENGINE = Memory
CREATE TABLE x (a JSON(a UInt8)) ENGINE = File(CSV, '{d}/written')
CREATE TABLE x (a JSON(file UInt8)) ENGINE = Memory AS SELECT toJSONString(file('{d}/canary'))
CREATE TABLE x (a JSON(a UInt8), b String) ENGINE = Memory AS SELECT '{{}}', file('{d}/canary')
CREATE TABLE x (`a JSON(b)` JSON(a UInt8), c String DEFAULT file('{d}/canary')) ENGINE = Memory
CREATE TABLE x (a JSON(a UInt8), b String) ENGINE = Memory AS SELECT '{{}}', --JSON(¶file('{d}/canary')--)¶
CREATE TABLE x (j JSON(a UInt8), b String) ENGINE = Memory AS SELECT '{{}}', ‘JSON(’, file('{d}/canary') --)
 INSERT INTO one FORMAT CSV¶x¶¶SELECT 1 INTO OUTFILE '{d}/written'
EXPLAIN INSERT INTO one FORMAT CSV¶x¶¶SELECT 1 INTO OUTFILE '{d}/written'
CREATE TABLE x (a String) ENGINE = EmbeddedRocksDB(0, '{d}/written') PRIMARY KEY a PARALLEL WITH DESCRIBE TABLE one
DROP FUNCTION file
CREATE OR REPLACE FUNCTION file AS path -> path
INSERT INTO one SELECT 'a' FORMAT CSV¶¶SELECT 1 INTO OUTFILE '{d}/written'
INSERT INTO one SELECT 'a' FORMAT Values ('x')¶¶SELECT 1 INTO OUTFILE '{d}/written'
WITH 'a' AS x INSERT INTO one SELECT x FORMAT CSV¶¶SELECT 1 INTO OUTFILE '{d}/written'
WITH 'a' AS x INSERT INTO one SELECT x FORMAT CSV¶¶SELECT * FROM Python(USERS)
CREATE NAMED COLLECTION x AS url = 'http://{net}/'
ATTACH TABLE x FROM '{d}/' (a Int8) ENGINE = MergeTree ORDER BY a
ATTACH TABLE x UUID '00000000-0000-4000-8000-000000000001' (a Int8) ENGINE = File(CSV, '{d}/canary')
ALTER TABLE one ADD COLUMN b String DEFAULT file('{d}/canary')
ALTER TABLE one UPDATE a = file('{d}/canary') WHERE 1
ALTER TABLE one MODIFY SETTING disk = disk(type = local, path = '{d}/written/')
ALTER TABLE one FREEZE
ALTER TABLE one FETCH PARTITION tuple() FROM '/x'
BACKUP TABLE one TO File('{d}/written')
BACKUP TABLE one TO Disk('default', 'written')
RESTORE TABLE one AS two FROM File('{d}/canary')
SYSTEM SHUTDOWN
SYSTEM JEMALLOC FLUSH PROFILE
SYSTEM UNFREEZE WITH NAME 'x'
SET format_template_row = '{d}/canary'
SET dialect = 'kusto'
SET output_format_schema = '{d}/written'
DROP DATABASE default
GRANT ALL ON *.* TO default
CREATE USER x
EXECUTE AS default SELECT 1
"""
