-- The service's own table, next to the trail in the same database. One transaction
-- then holds a decision and its record.
CREATE TABLE IF NOT EXISTS active_envelopes (
    parameter   text PRIMARY KEY,
    envelope_id text NOT NULL
);
