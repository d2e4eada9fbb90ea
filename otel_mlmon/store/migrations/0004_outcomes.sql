-- Sums over predictions with their ground truth, by the pane of the prediction and the pane (its end) in which the ground truth
-- became known. Appended to: a correction adds a line that takes the old value back and one with the new, each at its time, so
-- that a window can be seen as it was known at any time. `seq` in outcome_progress: commits up to it are in these lines.
CREATE TABLE mlmon_state.outcomes (
    model VARCHAR NOT NULL, reference VARCHAR NOT NULL, version VARCHAR NOT NULL, segment VARCHAR NOT NULL,
    pane BIGINT NOT NULL, known BIGINT NOT NULL,
    with_truth DOUBLE NOT NULL, "numeric" DOUBLE NOT NULL, sum_error DOUBLE NOT NULL, sum_abs_error DOUBLE NOT NULL,
    sum_squared_error DOUBLE NOT NULL, sum_fourth_error DOUBLE NOT NULL, sum_truth DOUBLE NOT NULL,
    sum_squared_truth DOUBLE NOT NULL, sum_abs_truth DOUBLE NOT NULL, sum_abs_relative_error DOUBLE NOT NULL,
    relative_rows DOUBLE NOT NULL
);
CREATE TABLE mlmon_state.outcome_classes (
    model VARCHAR NOT NULL, reference VARCHAR NOT NULL, version VARCHAR NOT NULL, segment VARCHAR NOT NULL,
    pane BIGINT NOT NULL, known BIGINT NOT NULL,
    truth VARCHAR NOT NULL, prediction VARCHAR NOT NULL, n BIGINT NOT NULL
);
CREATE TABLE mlmon_state.outcome_progress (
    model VARCHAR NOT NULL, reference VARCHAR NOT NULL, seq BIGINT NOT NULL, PRIMARY KEY (model, reference)
);

-- What a performance rule said of a window each time that more of its ground truth was known.
CREATE TABLE mlmon_state.revisions (
    alert VARCHAR NOT NULL, start BIGINT NOT NULL, "end" BIGINT NOT NULL, known BIGINT NOT NULL,
    predictions BIGINT NOT NULL, with_truth BIGINT NOT NULL, maturity VARCHAR NOT NULL,
    status VARCHAR NOT NULL, value DOUBLE, low DOUBLE, high DOUBLE
);

-- Pane totals count predictions only, and how many of them break what the reference knows of a field.
DROP TABLE mlmon_state.pane_totals;
CREATE TABLE mlmon_state.pane_totals (
    model VARCHAR NOT NULL, reference VARCHAR NOT NULL, version VARCHAR NOT NULL, segment VARCHAR NOT NULL,
    pane BIGINT NOT NULL, rows BIGINT NOT NULL, lost_rows BIGINT NOT NULL, broken_rows BIGINT NOT NULL
);
DELETE FROM mlmon_state.documents WHERE kind = 'plan';
