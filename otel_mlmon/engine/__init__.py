"""The engine: one tick evaluates the rules of a model and moves its alerts on."""
