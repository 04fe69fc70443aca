-- Requests made by simulated employees, and those that got no answer.
SELECT count() AS total, countIf(NOT ok) AS failed FROM simulation_requests FINAL
