-- One row a tested window, oldest first: how many of its questions have a word that the reference does not know.
-- Of each reference half of the questions, every second by a hash of the session, make the vocabulary, and the other
-- half tells how many have an unknown word where nothing changed: a vocabulary knows all words of its own questions.
-- n, before: questions of that other half, those with an unknown word; m, now: the same of the window.
-- references: arrays of window starts, milliseconds since 1970; tested: starts; of: which reference each is tested by.
WITH
    words_of AS
    (
        SELECT toUnixTimestamp64Milli(window_from) AS span, number, arrayJoin(question) AS word
        FROM window_profiles FINAL
        ARRAY JOIN words AS question, arrayEnumerate(words) AS number
        WHERE task = {task:String} AND version = {version:String}
          AND window_to = window_from + toIntervalMillisecond({size_ms:Int64})
          AND span IN arrayConcat({tested:Array(Int64)}, arrayFlatten({references:Array(Array(Int64))}))
    ),
    placed AS
    (
        SELECT place, span, number, word
        FROM words_of
        ARRAY JOIN arrayFilter(each -> has({references:Array(Array(Int64))}[each], span),
                               arrayEnumerate({references:Array(Array(Int64))})) AS place
    ),
    known AS (SELECT DISTINCT place, word FROM placed WHERE number % 2 = 1),
    expected AS
    (
        SELECT place, count() AS n, sum(unknown) AS before
        FROM
        (
            SELECT place, max((place, word) NOT IN (SELECT place, word FROM known)) AS unknown
            FROM placed WHERE number % 2 = 0 GROUP BY place, span, number
        )
        GROUP BY place
    ),
    observed AS
    (
        SELECT span, any(place) AS place, count() AS m, sum(unknown) AS now
        FROM
        (
            SELECT span, number, {of:Array(Int64)}[indexOf({tested:Array(Int64)}, span)] AS place,
                   max((toUInt32(place), word) NOT IN (SELECT toUInt32(place), word FROM known)) AS unknown
            FROM words_of WHERE span IN {tested:Array(Int64)} GROUP BY span, number
        )
        GROUP BY span
    )
SELECT o.span AS span, toInt64(e.n) AS n, toInt64(e.before) AS before, toInt64(o.m) AS m, toInt64(o.now) AS now
FROM observed AS o INNER JOIN expected AS e ON toUInt32(o.place) = toUInt32(e.place)
ORDER BY span
