-- The tick at which a verdict was given: later than the end of its window, where ground truth comes late. NULL: before this was kept.
ALTER TABLE mlmon_state.verdicts ADD COLUMN "time" BIGINT;
