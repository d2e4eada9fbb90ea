-- Ground truth of all predictions whose features have certain values. `names`: the features, a JSON array in order;
-- `key`: their values (see store/keyed.py). What it means for single predictions is written to ground_truth as well.
CREATE TABLE mlmon_state.keyed_ground_truth (
    model VARCHAR NOT NULL, names VARCHAR NOT NULL, key VARCHAR NOT NULL, time BIGINT NOT NULL, received BIGINT NOT NULL,
    number DOUBLE, text VARCHAR, seq BIGINT NOT NULL
);

-- Ground truth whose prediction has not come. `names` '': `key` is the prediction's id.
CREATE TABLE mlmon_state.waiting_ground_truth (
    model VARCHAR NOT NULL, names VARCHAR NOT NULL, key VARCHAR NOT NULL, time BIGINT NOT NULL,
    texts INTEGER NOT NULL, numbers INTEGER NOT NULL, bools INTEGER NOT NULL
);

-- How many ground truths met which fate, ever; and the commit up to which they have been looked at.
CREATE TABLE mlmon_state.ground_truth_outcomes (
    model VARCHAR NOT NULL, outcome VARCHAR NOT NULL, rows BIGINT NOT NULL, PRIMARY KEY (model, outcome)
);
CREATE TABLE mlmon_state.ground_truth_settled (model VARCHAR PRIMARY KEY, seq BIGINT NOT NULL);

-- Deployments, and what was seen for the first time. `model` '': all models.
CREATE TABLE mlmon_state.changes (
    model VARCHAR NOT NULL, kind VARCHAR NOT NULL, value VARCHAR NOT NULL, time BIGINT NOT NULL, text VARCHAR NOT NULL
);
