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

-- A prediction log of before partitions is set aside, and moved below.
DO $$
BEGIN
    IF (SELECT relkind FROM pg_class WHERE oid = to_regclass('prediction')) = 'r' THEN
        ALTER TABLE prediction RENAME TO prediction_unpartitioned;
        ALTER TABLE prediction_unpartitioned DROP CONSTRAINT prediction_pkey;
        DROP INDEX IF EXISTS prediction_as_of, prediction_entity, prediction_rollout, prediction_key;
    END IF;
END $$;

-- A partition a day (in UTC) of `at`, made by whoever ships its rows; what has none yet goes to the default one.
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
    PRIMARY KEY (use_case, request_id, row_number, at)
) PARTITION BY RANGE (at);
CREATE TABLE IF NOT EXISTS prediction_default PARTITION OF prediction DEFAULT;
CREATE INDEX IF NOT EXISTS prediction_as_of ON prediction (use_case, as_of);
CREATE INDEX IF NOT EXISTS prediction_entity ON prediction (use_case, entity);
CREATE INDEX IF NOT EXISTS prediction_rollout ON prediction (use_case, rollout, at) WHERE rollout IS NOT NULL;
CREATE INDEX IF NOT EXISTS prediction_key ON prediction (use_case, key);

-- Days that were over when rows of theirs came: what the lake holds of them is to be written again.
CREATE TABLE IF NOT EXISTS prediction_late (
    use_case text NOT NULL,
    day date NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (use_case, day)
);

-- Makes the partition of a day, and moves there what the default one holds of it. It is attached, not created in place: that lets
-- others read and write `prediction` meanwhile.
CREATE OR REPLACE FUNCTION prediction_partition(day date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    name text := 'prediction_' || to_char(day, 'YYYYMMDD');
    first timestamptz := day::timestamp AT TIME ZONE 'UTC';
    next timestamptz := (day + 1)::timestamp AT TIME ZONE 'UTC';
BEGIN
    IF to_regclass(quote_ident(name)) IS NOT NULL THEN
        RETURN;
    END IF;
    -- Whoever else makes a partition is waited for; looked again, since it may have been this one.
    LOCK TABLE ONLY prediction IN SHARE UPDATE EXCLUSIVE MODE;
    IF to_regclass(quote_ident(name)) IS NOT NULL THEN
        RETURN;
    END IF;
    LOCK TABLE ONLY prediction_default IN ACCESS EXCLUSIVE MODE;
    EXECUTE format('CREATE TABLE %I (LIKE prediction INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', name);
    EXECUTE format(
        'WITH moved AS (DELETE FROM prediction_default WHERE at >= %L AND at < %L RETURNING *) INSERT INTO %I SELECT * FROM moved',
        first, next, name
    );
    EXECUTE format('ALTER TABLE prediction ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name, first, next);
END $$;

DO $$
BEGIN
    IF to_regclass('prediction_unpartitioned') IS NOT NULL THEN
        PERFORM prediction_partition(day)
            FROM (SELECT DISTINCT (at AT TIME ZONE 'UTC')::date AS day FROM prediction_unpartitioned) AS found;
        INSERT INTO prediction (use_case, request_id, row_number, key, entity, at, as_of, arm, rollout, release, score, decision,
                                shadow_release, shadow_score, features, flags, error, latency_ms)
            SELECT use_case, request_id, row_number, key, entity, at, as_of, arm, rollout, release, score, decision,
                   shadow_release, shadow_score, features, flags, error, latency_ms FROM prediction_unpartitioned;
        DROP TABLE prediction_unpartitioned;
    END IF;
END $$;

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
