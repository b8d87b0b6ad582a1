-- The table as the predecessor's own migration leaves it, and 1,000 rows of every kind
-- that its CHECKs accept.
CREATE TABLE coordination_audit_records (
    audit_id uuid DEFAULT gen_random_uuid() NOT NULL,
    envelope_id varchar(100) NOT NULL,
    envelope_class varchar(20) NOT NULL,
    decision varchar(20) NOT NULL,
    reason text NOT NULL,
    decision_timestamp timestamptz NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    conflicting_envelope_id varchar(100),
    preempting_envelope_id varchar(100),
    active_envelopes_count integer DEFAULT 0 NOT NULL,
    tenant_id varchar(100),
    PRIMARY KEY (audit_id),
    CONSTRAINT audit_envelope_class_valid CHECK (envelope_class IN ('SAFETY', 'RELIABILITY', 'COST', 'PERFORMANCE')),
    CONSTRAINT audit_decision_valid CHECK (decision IN ('APPLIED', 'REJECTED', 'PREEMPTED'))
);

CREATE INDEX ix_coord_audit_envelope_id ON coordination_audit_records (envelope_id);
CREATE INDEX ix_coord_audit_timestamp ON coordination_audit_records (decision_timestamp);
CREATE INDEX ix_coord_audit_class ON coordination_audit_records (envelope_class);
CREATE INDEX ix_coord_audit_decision ON coordination_audit_records (decision);
CREATE INDEX ix_coord_audit_tenant ON coordination_audit_records (tenant_id);

CREATE FUNCTION prevent_coordination_audit_mutation() RETURNS trigger AS $$
BEGIN
    RAISE EXCEPTION 'records must not be updated';
END;
$$ LANGUAGE plpgsql;

CREATE TRIGGER coordination_audit_immutable
    BEFORE UPDATE ON coordination_audit_records
    FOR EACH ROW EXECUTE FUNCTION prevent_coordination_audit_mutation();

INSERT INTO coordination_audit_records (
    envelope_id, envelope_class, decision, reason, decision_timestamp, created_at,
    conflicting_envelope_id, preempting_envelope_id, active_envelopes_count, tenant_id
)
SELECT
    CASE WHEN i = 1 THEN '' ELSE 'envelope-' || i % 50 END,
    (ARRAY['SAFETY', 'RELIABILITY', 'COST', 'PERFORMANCE'])[1 + i % 4],
    (ARRAY['APPLIED', 'REJECTED', 'PREEMPTED'])[1 + i % 3],
    CASE i % 10 WHEN 0 THEN '' WHEN 1 THEN E'größer\n\ttab' ELSE 'C4-R1: Same-parameter conflict' END,
    timestamptz '2025-12-28 12:00:00.123456+05:30' + i * interval '1 minute 1 microsecond',
    timestamptz '2020-01-01 00:00:00+00' + i * interval '1 second',
    -- APPLIED with both ids, REJECTED with none, PREEMPTED without its preemptor: the predecessor accepted them all.
    CASE WHEN i % 6 = 0 THEN 'envelope-' || i % 7 END,
    CASE WHEN i % 4 = 0 THEN 'envelope-' || i % 9 END,
    CASE WHEN i = 2 THEN -1 ELSE i % 12 END,
    CASE i % 3 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE 'tenant-' || i % 5 END
FROM generate_series(1, 1000) AS i;
