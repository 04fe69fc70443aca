-- A sketch of each text that anyone said anything about: the 64 smallest hashes of its shingles beside boilerplate, in order, filled
-- up with 4294967295. trainer/curate/likeness.py says what these are and computes the same.
-- One row a text, in no order, in RowBinary: 32 characters, one byte (64), 64 numbers of 4 bytes.
WITH
    texts AS
    (
        WITH substringUTF8(normal, 1, {characters:UInt32}) AS beginning
        SELECT digest, any(if(countMatches(beginning, '[\\x{1100}-\\x{11FF}\\x{2E80}-\\x{A4CF}\\x{AC00}-\\x{D7FF}\\x{F900}-\\x{FAFF}\\x{20000}-\\x{3FFFF}]') * 2 >= lengthUTF8(beginning),
                              substringUTF8(beginning, 1, intDiv({characters:UInt32}, 5)), beginning)) AS text
        FROM questions_normal(task={task:String})
        WHERE normal != ''
        GROUP BY digest
    ),
    windows AS
    (
        SELECT digest, text, countMatches(text, '[\\x{1100}-\\x{11FF}\\x{2E80}-\\x{A4CF}\\x{AC00}-\\x{D7FF}\\x{F900}-\\x{FAFF}\\x{20000}-\\x{3FFFF}]') * 2 >= lengthUTF8(text) AS wide,
               arrayMap(run -> CRC32(run), if(wide, ngrams(text, 16), ngrams(text, 40))) AS starts
        FROM texts
    ),
    boilerplate AS
    (
        SELECT arrayJoin(arrayDistinct(arrayFilter(start -> start % 8 = 0, starts))) AS start
        FROM windows
        GROUP BY start
        HAVING count() >= 10
    )
SELECT
    toFixedString(digest, 32) AS digest,
    arrayResize(arraySlice(arraySort(arrayDistinct(
        arrayMap(run -> toUInt32(bitShiftRight(CRC32(run) * 11400714819323198485, 32)), own))), 1, 64), 64, 4294967295)
FROM
(
    WITH
        concat(' ', text, ' ') AS padded,
        multiIf(wide, ngrams(padded, 2), lengthUTF8(padded) < 5, [padded], ngrams(padded, 5)) AS runs,
        -- How many shared windows start at each character or before it.
        arrayCumSum(start -> start IN (SELECT start FROM boilerplate), starts) AS shared,
        arrayResize(arrayPushFront(shared, 0), length(runs), shared[-1]) AS begun,
        arrayResize(arrayConcat(arrayResize([0], if(wide, 16, 37)), shared), length(runs)) AS ended,
        arrayFilter((run, first, last) -> first = last, runs, begun, ended) AS unshared
    SELECT digest, if(length(unshared) >= if(wide, 5, 12), unshared, runs) AS own
    FROM windows
)
SETTINGS max_block_size = 1024, max_bytes_before_external_group_by = 400000000
FORMAT RowBinary
