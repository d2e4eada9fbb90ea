-- Times are nanoseconds since the epoch. Predictions live in one table per model in schema `predictions`.
CREATE SCHEMA predictions;
CREATE SCHEMA mlmon_state;

CREATE TABLE mlmon_state.models (model VARCHAR PRIMARY KEY, table_name VARCHAR NOT NULL);

-- `position` is the field's place in the `_states` string of the model's rows.
CREATE TABLE mlmon_state.fields (
    model VARCHAR NOT NULL, field VARCHAR NOT NULL, column_name VARCHAR NOT NULL, type VARCHAR NOT NULL,
    position INTEGER NOT NULL
);

-- Appended to only; the newest row of an id wins.
CREATE TABLE mlmon_state.ground_truth (
    model VARCHAR NOT NULL, prediction_id VARCHAR NOT NULL, time BIGINT NOT NULL, received BIGINT NOT NULL,
    number DOUBLE, text VARCHAR, seq BIGINT NOT NULL
);

CREATE TABLE mlmon_state.profiles (
    model VARCHAR NOT NULL, reference VARCHAR NOT NULL, version VARCHAR NOT NULL, segment VARCHAR NOT NULL,
    pane BIGINT NOT NULL, field VARCHAR NOT NULL,
    counts BIGINT[] NOT NULL, bins BIGINT[] NOT NULL,
    total DOUBLE NOT NULL, squares DOUBLE NOT NULL, minimum DOUBLE NOT NULL, maximum DOUBLE NOT NULL,
    new MAP(VARCHAR, BIGINT) NOT NULL, heavy MAP(VARCHAR, BIGINT) NOT NULL
);

-- `known` 0: how many predictions. Otherwise: sums over those whose ground truth became known in the pane that ends at
-- `known`, so that a window can be seen as it was at any time.
CREATE TABLE mlmon_state.pane_totals (
    model VARCHAR NOT NULL, reference VARCHAR NOT NULL, version VARCHAR NOT NULL, segment VARCHAR NOT NULL,
    pane BIGINT NOT NULL, known BIGINT NOT NULL,
    rows BIGINT NOT NULL, lost_rows BIGINT NOT NULL, sums DOUBLE[] NOT NULL, confusion MAP(VARCHAR, BIGINT) NOT NULL
);

-- Rows up to and including `seq` are in profiles.
CREATE TABLE mlmon_state.progress (model VARCHAR PRIMARY KEY, seq BIGINT NOT NULL);

-- Rows that a sender says it lost, by the pane in which it said so.
CREATE TABLE mlmon_state.dropped (model VARCHAR NOT NULL, version VARCHAR NOT NULL, time BIGINT NOT NULL, rows BIGINT NOT NULL);

CREATE TABLE mlmon_state.documents (kind VARCHAR NOT NULL, key VARCHAR NOT NULL, body VARCHAR NOT NULL, PRIMARY KEY (kind, key));

CREATE TABLE mlmon_state.verdicts (
    alert VARCHAR NOT NULL, "end" BIGINT NOT NULL, status VARCHAR NOT NULL, value DOUBLE, threshold DOUBLE
);
