"""Try rules without a processor: simulation, rule tests, backtests, inference, replay, the demo."""
