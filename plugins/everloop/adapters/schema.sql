-- The everloop database: the ledger, the prediction log, the monitor's results. Applied at start; every statement may run again.

-- The feature store's registry, and its online tables (which it makes itself).
CREATE SCHEMA IF NOT EXISTS feast;
CREATE SCHEMA IF NOT EXISTS online;

CREATE TABLE IF NOT EXISTS ledger (
    use_case text NOT NULL,
    seq bigint NOT NULL,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    subject text NOT NULL,
    before jsonb NOT NULL,
    after jsonb NOT NULL,
    reason text NOT NULL,
    evidence jsonb NOT NULL,
    previous_hash text NOT NULL,
    hash text NOT NULL,
    PRIMARY KEY (use_case, seq)
);
CREATE INDEX IF NOT EXISTS ledger_subject ON ledger (use_case, subject, seq);

CREATE TABLE IF NOT EXISTS prediction (
    use_case text NOT NULL,
    request_id text NOT NULL,
    row_number int NOT NULL,
    key text NOT NULL,
    entity text NOT NULL,
    at timestamptz NOT NULL,
    as_of timestamptz NOT NULL,
    arm text NOT NULL,
    rollout text,
    release text NOT NULL,
    score double precision,
    decision boolean,
    shadow_release text,
    shadow_score double precision,
    features jsonb NOT NULL,
    flags text[] NOT NULL,
    error text,
    latency_ms real NOT NULL,
    PRIMARY KEY (use_case, request_id, row_number)
);
CREATE INDEX IF NOT EXISTS prediction_as_of ON prediction (use_case, as_of);
CREATE INDEX IF NOT EXISTS prediction_entity ON prediction (use_case, entity);
CREATE INDEX IF NOT EXISTS prediction_rollout ON prediction (use_case, rollout, at) WHERE rollout IS NOT NULL;

CREATE TABLE IF NOT EXISTS outcome (
    use_case text NOT NULL,
    key text NOT NULL,
    label boolean NOT NULL,
    known_at timestamptz NOT NULL,
    PRIMARY KEY (use_case, key)
);

-- When an outcome came or was last corrected, by this database's clock: what the monitor has yet to measure.
ALTER TABLE outcome ADD COLUMN IF NOT EXISTS recorded_at timestamptz NOT NULL DEFAULT now();
CREATE INDEX IF NOT EXISTS outcome_recorded ON outcome (use_case, recorded_at);
CREATE INDEX IF NOT EXISTS prediction_key ON prediction (use_case, key);

-- What people asked to be forgotten. `entity` is emptied when the request is done, so that the request itself forgets too.
CREATE TABLE IF NOT EXISTS erasure_request (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    use_case text NOT NULL,
    entity text,
    requested_at timestamptz NOT NULL,
    done_at timestamptz,
    CHECK (entity IS NOT NULL OR done_at IS NOT NULL)
);
CREATE INDEX IF NOT EXISTS erasure_request_open ON erasure_request (use_case) WHERE done_at IS NULL;

-- How far each append-only segment of each scoring process has been shipped into `prediction`.
CREATE TABLE IF NOT EXISTS log_segment (
    segment text PRIMARY KEY,
    position bigint NOT NULL
);

CREATE TABLE IF NOT EXISTS measurement (
    use_case text NOT NULL,
    kind text NOT NULL,
    release text NOT NULL,
    subject text NOT NULL,
    interval_start timestamptz NOT NULL,
    interval_end timestamptz NOT NULL,
    value double precision,
    verdict text NOT NULL,
    detail jsonb NOT NULL,
    PRIMARY KEY (use_case, kind, release, subject, interval_start)
);

CREATE TABLE IF NOT EXISTS cursor (
    use_case text NOT NULL,
    consumer text NOT NULL,
    position timestamptz NOT NULL,
    PRIMARY KEY (use_case, consumer)
);

-- What came in, by table and interval, and where it went. `at`: just before the source was read. Schema `accounts` holds a view a table.
CREATE SCHEMA IF NOT EXISTS accounts;
CREATE TABLE IF NOT EXISTS account (
    use_case text NOT NULL,
    source_table text NOT NULL,
    interval_start timestamptz NOT NULL,
    interval_end timestamptz NOT NULL,
    rows_in bigint NOT NULL,
    published bigint NOT NULL,
    quarantined bigint NOT NULL,
    repaired bigint NOT NULL,
    run text NOT NULL,
    at timestamptz NOT NULL,
    seen timestamptz,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (use_case, source_table, interval_start),
    CHECK (rows_in = published + quarantined)
);
CREATE INDEX IF NOT EXISTS account_recorded ON account (use_case, recorded_at);

-- Intervals that must be worked, or worked again, up to the online store.
CREATE TABLE IF NOT EXISTS open_interval (
    use_case text NOT NULL,
    interval_start timestamptz NOT NULL,
    interval_end timestamptz NOT NULL,
    at timestamptz NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (use_case, interval_start)
);

-- Which definition made the feature rows of an interval, and of how many source intervals.
CREATE TABLE IF NOT EXISTS feature_interval (
    use_case text NOT NULL,
    view text NOT NULL,
    interval_start timestamptz NOT NULL,
    definition text NOT NULL,
    inputs bigint NOT NULL,
    PRIMARY KEY (use_case, view, interval_start)
);

CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The ledger is append-only: % is refused', TG_OP;
END $$;
CREATE OR REPLACE TRIGGER ledger_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE OR REPLACE FUNCTION ring() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('everloop_ledger', NEW.use_case || ' ' || NEW.seq);
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER ledger_rings AFTER INSERT ON ledger FOR EACH ROW EXECUTE FUNCTION ring();

-- The keys of the scoring service's callers. Of a secret its SHA-256 alone is here; see everloop/api_key.py.
CREATE TABLE IF NOT EXISTS api_key (
    id text PRIMARY KEY,
    name text NOT NULL,
    sha256 bytea NOT NULL CHECK (length(sha256) = 32),
    scopes text[] NOT NULL CHECK (cardinality(scopes) > 0),
    requests_per_second real CHECK (requests_per_second > 0),
    burst int CHECK (burst >= 1),
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    revoked_by text,
    replaced_by text REFERENCES api_key (id),
    CHECK ((requests_per_second IS NULL) = (burst IS NULL)),
    CHECK ((revoked_at IS NULL) = (revoked_by IS NULL))
);
CREATE OR REPLACE FUNCTION ring_api_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('everloop_api_key', COALESCE(NEW.id, OLD.id));
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER api_key_rings AFTER INSERT OR UPDATE OR DELETE ON api_key
    FOR EACH ROW EXECUTE FUNCTION ring_api_key();
