-- Windows that got answers, feedback or draws which were stored from `since` up to before `until`: one row a task that got any, also
-- tasks that are none of `tasks`, and each of `tasks` where an answer was corrected. starts: of its windows, as milliseconds since
-- 1970; of an answer that was corrected also the window of its id's time, in which it may have stood before, and of every task,
-- for it may have been another's. (Between two corrections of its time it may have stood in a third window, which nothing tells
-- any more.)
-- corrected: those of `starts` with such an answer: a version or a window may have lost it.
-- newest: event time of the newest of these answers, 1970 for none. It is at most the time at which the answer was stored, so
-- that an emitter whose clock is ahead closes no window early; and an answer more than `ahead_s` ahead counts for it only
-- where no other came. arrived_at: when the last answer was stored, 1970 for none. Nothing is later than `now`, though it was
-- stored while the warehouse's clock was ahead.
-- ahead: of each emitter of such answers, by how many seconds its clock is ahead at most.
-- audited: answers whose audit may have changed by what was stored from `uncopied` on, at most `most` of them.
-- left: those of them from which a label may have been taken back, or has gone over to another answer.
-- Feedback that goes over to another answer touches the window of the former one, too (feedback.former_ids).
SELECT task,
       groupUniqArrayArray(stood) AS starts,
       groupUniqArrayArrayIf(stood, is_corrected) AS corrected,
       if(countIf(is_new AND NOT is_ahead) > 0, maxIf(moment, is_new AND NOT is_ahead), maxIf(moment, is_new)) AS newest,
       maxIf(stored_at, is_new AND stored_at <= {now:DateTime64(6, 'UTC')}) AS arrived_at,
       maxMapIf(map(toString(emitter), ahead_ms / 1000), is_new AND is_ahead) AS ahead,
       groupUniqArrayIf({most:UInt32})(inference_id, may_be_audited) AS audited,
       groupUniqArrayIf(inference_id, was_audited) AS left
FROM
(
    SELECT arrayJoin(if(is_corrected, arrayDistinct(arrayPushBack({tasks:Array(String)}, toString(i.task))), [toString(i.task)])) AS task,
           inference_id, emitter, ingested_at AS stored_at, task = i.task AS is_new, revision > 0 AS is_corrected,
           arm != 'shadow' AND (audited OR is_corrected) AND ingested_at >= {uncopied:DateTime64(3, 'UTC')} AS may_be_audited,
           false AS was_audited,
           intDiv(toUnixTimestamp64Milli(occurred_at), {size_ms:Int64}) * {size_ms:Int64} AS start,
           if(is_corrected, [start, intDiv(toInt64(bitShiftRight(toUInt128(inference_id), 80)), {size_ms:Int64}) * {size_ms:Int64}],
              [start]) AS stood,
           least(toDateTime64(ingested_at, 6, 'UTC'), {now:DateTime64(6, 'UTC')}) AS latest, least(occurred_at, latest) AS moment,
           occurred_at > latest + toIntervalMillisecond(toInt64({ahead_s:Float64} * 1000)) AS is_ahead,
           toUnixTimestamp64Milli(occurred_at) - toUnixTimestamp64Milli(ingested_at) AS ahead_ms
    FROM inferences AS i
    WHERE ingested_at >= {since:DateTime64(3, 'UTC')} AND ingested_at < {until:DateTime64(3, 'UTC')}
    UNION ALL
    SELECT task, inference_id, '' AS emitter, ingested_at AS stored_at, false AS is_new, false AS is_corrected,
           arm != 'shadow' AND inference_id IN
           (
               SELECT arrayJoin(arrayPushBack(former_ids, inference_id)) FROM feedback
               WHERE ingested_at >= {uncopied:DateTime64(3, 'UTC')} AND (source = 'audit' OR revision > 0 AND source NOT IN ('user', 'implicit'))
               UNION ALL
               SELECT inference_id FROM audit_draws WHERE ingested_at >= {uncopied:DateTime64(3, 'UTC')}
           ) AS may_be_audited,
           may_be_audited AND inference_id IN
               (SELECT arrayJoin(if(revision > 0, arrayPushBack(former_ids, inference_id), former_ids)) FROM feedback
                WHERE ingested_at >= {uncopied:DateTime64(3, 'UTC')} AND (source = 'audit' OR revision > 0 AND source NOT IN ('user', 'implicit'))) AS was_audited,
           intDiv(toUnixTimestamp64Milli(occurred_at), {size_ms:Int64}) * {size_ms:Int64} AS start, [start] AS stood,
           occurred_at AS latest, occurred_at AS moment, false AS is_ahead, 0 AS ahead_ms
    FROM inferences
    WHERE toUInt128(inference_id) IN
    (
        SELECT toUInt128(arrayJoin(arrayPushBack(former_ids, inference_id))) FROM feedback
        WHERE ingested_at >= {since:DateTime64(3, 'UTC')} AND ingested_at < {until:DateTime64(3, 'UTC')}
        UNION ALL
        SELECT toUInt128(inference_id) FROM audit_draws
        WHERE ingested_at >= {since:DateTime64(3, 'UTC')} AND ingested_at < {until:DateTime64(3, 'UTC')}
    )
)
GROUP BY task
SETTINGS max_execution_time = 60
