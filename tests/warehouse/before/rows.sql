-- Rows as the parts of that version wrote them.
INSERT INTO inferences (inference_id, occurred_at, tenant, task, version, arm, session_id, input, label, latency_ms, cost,
                        consent, audited, audit_probability, emitter, kafka_topic, kafka_partition, kafka_offset) VALUES
('019cb86b-5080-7000-8000-000000000001', '2026-03-04 12:00:00', 'acme', 'router', 'router@0', 'live', 's1', 'My VPN is down', 'it', 800, 0.002, true, true, 0.05, 'helpdesk', 'headrace.inferences', 0, 1),
('019cb86b-5080-7000-8000-000000000002', '2026-03-04 12:00:00', 'acme', 'router', 'router@0', 'live', 's2', 'My payslip', 'it', 900, 0.002, true, true, 0.05, 'helpdesk', 'headrace.inferences', 0, 1);
INSERT INTO feedback (feedback_id, inference_id, occurred_at, tenant, task, source, signal, value, label, rater, emitter,
                      inclusion_probability, kafka_topic, kafka_partition, kafka_offset) VALUES
('019cb86c-3ae0-7000-8000-000000000001', '019cb86b-5080-7000-8000-000000000001', '2026-03-04 12:01:00', 'acme', 'router', 'audit', 'label', NULL, 'it', 'expert', 'console', 0.05, 'headrace.feedback', 0, 1),
('019cb86c-3ae0-7000-8000-000000000002', '019cb86b-5080-7000-8000-000000000002', '2026-03-04 12:01:00', 'acme', 'router', 'audit', 'label', NULL, 'hr', 'expert', 'console', 0.05, 'headrace.feedback', 0, 1),
('019cb86c-3ae0-7000-8000-000000000003', '019cb86b-5080-7000-8000-00000000000f', '2026-03-04 12:01:00', 'acme', 'router', 'user', 'thumb', -1, '', '', 'helpdesk', 0, 'headrace.feedback', 0, 1);
INSERT INTO dead_letters (topic, partition, offset, record_index, at, reason, code, original, event_id) VALUES
('headrace.feedback', 0, 2, 0, '2026-03-04 12:02:00', 'Feedback.signal: the field is missing', 0, 'eyJlbWl0dGVyIjogImhlbHBkZXNrIn0=', NULL);
INSERT INTO emitters (emitter, kind, sequence, at, emitted, acknowledged, dropped) VALUES
('helpdesk', 'inferences', 1, '2026-03-04 12:01:00', 2, 2, 0), ('helpdesk', 'feedback', 1, '2026-03-04 12:01:00', 2, 2, 0),
('console', 'feedback', 1, '2026-03-04 12:01:00', 2, 2, 0);
INSERT INTO ledger (entry_id, at, what, kind, tenant, events, reason, emitter, hour) VALUES
('019cb86c-3ae0-7000-8000-000000000009', '2026-03-04 12:02:00', 'erased', 'inferences', 'acme', 3, 'asked by the person', '', '2026-01-01 00:00:00');
INSERT INTO windows (task, version, arm, window_from, window_to, requests, audited, labelled, errors, cost, known_at) VALUES
('router', 'router@0', 'live', '2026-03-04 12:00:00', '2026-03-04 13:00:00', 2, 2, 2, 1, 0.004, '2026-03-04 12:05:00');
INSERT INTO accuracy (task, version, watermark, window_from, n, correct, value, low, high, known_at) VALUES
('router', '*', '2026-03-04 12:01:00', '2026-03-03 12:01:00', 2, 1, 0.5, 0.09, 0.91, '2026-03-04 12:05:00');
INSERT INTO evaluations (task, version, generation, detector, watermark, window_from, window_to, n, statistic, threshold, fired, decision, reason, inputs) VALUES
('router', 'router@0', 1, 'shiryaev_roberts', '2026-03-04 12:01:00', '2026-03-03 12:01:00', '2026-03-04 12:01:00', 2, 1.5, 10000, false, '', 'no evidence yet', '{}');
INSERT INTO triggers (trigger_id, task, kind, decided_at, reason, detector, generation, version, labels, test_from, evidence) VALUES
('019cb86d-2540-7000-8000-000000000001', 'router', 'drift', '2026-03-04 12:03:00', 'accuracy fell', 'shiryaev_roberts', 1, 'router@0', 2, '2026-03-04 12:00:00', '{}');
INSERT INTO jobs (job_id, trigger_id, task, number, attempt, state, at, heartbeat_at, owner, version, reason, trigger, result) VALUES
('019cb86d-2540-7000-8000-000000000002', '019cb86d-2540-7000-8000-000000000001', 'router', 1, 1, 'no_winner', '2026-03-04 12:30:00', '2026-03-04 12:30:00', 'retrain-0', '', 'no candidate passed the gate', '{}', '{}');
INSERT INTO candidates (job_id, attempt, task, name, at, base, method, split, n, correct, accuracy, low, high, gate, reason) VALUES
('019cb86d-2540-7000-8000-000000000002', 1, 'router', 'probe', '2026-03-04 12:30:00', 'minilm-l6', 'probe', 'test', 1000, 900, 0.9, 0.88, 0.917, 'failed', 'worse than the live version');
INSERT INTO promotions (task, generation, step, live, canary, canary_share, shadow, previous, since, at, reason) VALUES
('router', 1, 'steady', '{"version": "router@0"}', '', 0, '', '', '2026-03-01 00:00:00', '2026-03-01 00:00:00', 'the plan''s incumbent');
