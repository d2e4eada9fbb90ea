-- Estimates of performance, and what they turned out to be (NULL until `scored`). One per alert and window that does not overlap
-- the one before.
CREATE TABLE mlmon_state.estimates (
    alert VARCHAR NOT NULL, model VARCHAR NOT NULL, version VARCHAR NOT NULL, segment VARCHAR NOT NULL, metric VARCHAR NOT NULL,
    "start" BIGINT NOT NULL, "end" BIGINT NOT NULL, made BIGINT NOT NULL,
    estimate DOUBLE NOT NULL, low DOUBLE, high DOUBLE,
    realised DOUBLE, realised_low DOUBLE, realised_high DOUBLE, with_truth BIGINT NOT NULL, coverage DOUBLE NOT NULL,
    scored BIGINT NOT NULL
);
