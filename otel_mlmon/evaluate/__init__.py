"""Fifth stage: windows and rules to verdicts, verdicts to alerts. Knows no store, no network and no clock."""
