-- How many questions have a word that a reference does not know. Of a reference half of the questions, every second by a
-- hash of the session, make the vocabulary, and the other half tells how many have an unknown word where nothing
-- changed: a vocabulary knows all words of its own questions.
-- One row a reference, with span 0 and that other half's questions, and one row a tested window.
-- Asked of several references at once, at the same place of each array: the task, the version, and the windows (starts,
-- milliseconds since 1970); of tested windows likewise: the start, and which reference it is tested by, a place from 1.
WITH
    -- roles: (reference, tested window or 0); a window of several references is read once for each
    asked AS
    (
        SELECT toUnixTimestamp64Milli(window_from) AS at, words,
               arrayConcat(
                   arrayMap(each -> (toInt64(each), toInt64(0)),
                            arrayFilter(each -> has({references:Array(Array(Int64))}[each], at)
                                                AND {tasks:Array(String)}[each] = task AND {versions:Array(String)}[each] = version,
                                        arrayEnumerate({references:Array(Array(Int64))}))),
                   arrayFilter(role -> role.2 = at AND {tasks:Array(String)}[role.1] = task
                                       AND {versions:Array(String)}[role.1] = version,
                               arrayZip({of:Array(Int64)}, {tested:Array(Int64)}))) AS roles
        FROM window_profiles FINAL
        WHERE (task, version) IN (arrayZip({tasks:Array(String)}, {versions:Array(String)}))
          AND window_to = window_from + toIntervalMillisecond({size_ms:Int64})
          AND at IN arrayConcat({tested:Array(Int64)}, arrayFlatten({references:Array(Array(Int64))}))
    ),
    sizes AS
    (
        SELECT role.1 AS place, role.2 AS span, sum(if(span = 0, intDiv(length(words), 2), length(words))) AS questions
        FROM asked ARRAY JOIN roles AS role
        GROUP BY place, span
    ),
    -- one row a word that no question of its reference's vocabulary half has: the questions that have it
    strange AS
    (
        SELECT place, groupArrayIf((span, at, number), span != 0 OR number % 2 = 0) AS questions
        FROM
        (
            SELECT role.1 AS place, role.2 AS span, at, number, arrayJoin(said) AS word
            FROM (SELECT at, number, said, roles FROM asked ARRAY JOIN words AS said, arrayEnumerate(words) AS number)
            ARRAY JOIN roles AS role
        )
        GROUP BY place, word
        HAVING countIf(span = 0 AND number % 2 = 1) = 0
    )
SELECT toInt64(s.place) AS place, toInt64(s.span) AS span, toInt64(s.questions) AS questions,
       toInt64(u.unknown) AS unknown
FROM sizes AS s
LEFT JOIN
(
    SELECT place, question.1 AS span, uniqExact(question.2, question.3) AS unknown
    FROM strange ARRAY JOIN questions AS question
    GROUP BY place, span
) AS u ON s.place = u.place AND s.span = u.span
ORDER BY span, place
