"""Every name that otel_mlmon puts on the wire: events, attributes, columns of a batch, metrics.

No other module spells one of these strings. `docs/reference/semantic-conventions.md` gives their meanings.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

SCHEMA_VERSION: Final = "0.1.0"
SCHEMA_URL: Final = f"https://otel-mlmon.github.io/schemas/{SCHEMA_VERSION}"
SCOPE_NAME: Final = "otel_mlmon"

# Events (the `event_name` of a log record).
EVENT_PREDICTION: Final = "mlmon.prediction"
EVENT_PREDICTION_BATCH: Final = "mlmon.prediction.batch"
EVENT_GROUND_TRUTH: Final = "mlmon.ground_truth"
EVENT_GROUND_TRUTH_BATCH: Final = "mlmon.ground_truth.batch"
EVENT_DEPLOYMENT: Final = "mlmon.deployment"  # a deployment of a model, or of a system that feeds it
EVENTS: Final = frozenset(
    {EVENT_PREDICTION, EVENT_PREDICTION_BATCH, EVENT_GROUND_TRUTH, EVENT_GROUND_TRUTH_BATCH, EVENT_DEPLOYMENT}
)

# Attributes of events and spans.
MODEL_NAME: Final = "mlmon.model.name"
MODEL_VERSION: Final = "mlmon.model.version"
PREDICTION_ID: Final = "mlmon.prediction.id"
PREDICTION_VALUE: Final = "mlmon.prediction.value"
PREDICTION_TIMESTAMP: Final = "mlmon.prediction.timestamp"  # int, ns since the epoch; wins over the record's own time
PREDICTION_DURATION: Final = "mlmon.prediction.duration"  # double, seconds
PREDICTION_SHADOW: Final = "mlmon.prediction.shadow"  # answer of the intended model to the same input
PREDICTION_SCORE_PREFIX: Final = "mlmon.prediction.score."  # + class: double
FEATURES: Final = "mlmon.features"  # map
FEATURE_PREFIX: Final = "mlmon.feature."  # + name: any
SEGMENT_PREFIX: Final = "mlmon.segment."  # + key: string
GROUND_TRUTH_VALUE: Final = "mlmon.ground_truth.value"
GROUND_TRUTH_KEY_PREFIX: Final = "mlmon.ground_truth.key."  # + feature: any; in place of a prediction id
DEPLOYMENT_DESCRIPTION: Final = "mlmon.deployment.description"  # for people; else the record's body, if that is text
BATCH_SIZE: Final = "mlmon.batch.size"  # int, rows
BATCH_ENCODING: Final = "mlmon.batch.encoding"
BATCH_DROPPED: Final = "mlmon.batch.dropped"  # int, rows the SDK had to drop since its previous batch of this model
ERROR_TYPE: Final = "error.type"
SERVICE_NAME: Final = "service.name"
SERVICE_NAMESPACE: Final = "service.namespace"
SERVICE_VERSION: Final = "service.version"
# The resource attributes that are kept: they name the sender. Host and instance change too often to keep.
ORIGIN: Final = (SERVICE_NAMESPACE, SERVICE_NAME, SERVICE_VERSION)

ENCODING_ARROW: Final = "arrow.ipc.stream"  # the only encoding so far: body = bytes of an Arrow IPC stream
VERSION_UNKNOWN: Final = ""  # a record that names no model version

# Columns of a batch. A field's column is `prediction`, `feature.<name>` or `score.<class>`; two companions may
# stand beside it, each only when some row needs it: `absent.<column>` and `other.<column>`.
COLUMN_ID: Final = "prediction_id"  # utf8
COLUMN_TIME: Final = "time_unix_nano"  # int64
COLUMN_DURATION: Final = "duration"  # float64, seconds, nullable
COLUMN_TRACE_ID: Final = "trace_id"  # utf8, 32 hex digits, nullable
COLUMN_SPAN_ID: Final = "span_id"  # utf8, 16 hex digits, nullable
COLUMN_ERROR_TYPE: Final = "error_type"  # utf8, nullable
COLUMN_LOST: Final = "lost"  # int32: features of this row that a size limit cut off
COLUMN_PREDICTION: Final = "prediction"
COLUMN_SHADOW: Final = "shadow"
COLUMN_GROUND_TRUTH: Final = "ground_truth"
COLUMN_KEY_PREFIX: Final = "key."  # + feature: any; in a batch of ground truth, in place of a prediction id
COLUMN_FEATURE_PREFIX: Final = "feature."
COLUMN_SCORE_PREFIX: Final = "score."  # + class: float64
COLUMN_SEGMENT_PREFIX: Final = "segment."  # + key: utf8
COLUMN_ABSENT_PREFIX: Final = "absent."  # bool: the key was not there at all
COLUMN_OTHER_PREFIX: Final = "other."  # utf8: JSON text of a value that is not of the column's type

# Names of fields as rules, profiles and metric attributes write them: features by their own name, outputs in
# parentheses so that they never collide with a feature.
FIELD_PREDICTION: Final = "(prediction)"
FIELD_SHADOW: Final = "(shadow)"


def score_field(label: str) -> str:
    """Name of the field that holds the model's score for class `label`."""
    return f"(score {label})"


MAX_EVENT_BYTES: Final = 256 * 1024
MAX_REQUEST_BYTES: Final = 4 * 1024 * 1024

SPAN_OPERATION: Final = "predict"  # span name: "predict {model}"

# Attributes of metrics.
RULE_GROUP: Final = "mlmon.rule.group"
RULE_NAME: Final = "mlmon.rule.name"
RULE_CHECK: Final = "mlmon.rule.check"  # the family: integrity, drift, performance, estimate …
RULE_METHOD: Final = "mlmon.rule.method"  # missing, psi, rmse …
FEATURE_NAME: Final = "mlmon.feature.name"  # a field's name, outputs included; empty for a rule on the whole model
SEGMENT: Final = "mlmon.segment"  # "key=value", empty for the whole
OUTCOME: Final = "mlmon.outcome"
REASON: Final = "mlmon.reason"
SOURCE: Final = "mlmon.source"  # name of a source of ground truth in the configuration
TRANSPORT: Final = "mlmon.transport"  # grpc | http
SIGNAL: Final = "mlmon.signal"  # logs | traces | metrics | ground_truth
QUANTILE: Final = "mlmon.quantile"  # 0.5, 0.9 …
DESTINATION: Final = "mlmon.destination"  # alertmanager | webhook | otlp

Kind = Literal["gauge", "counter", "histogram"]


@dataclass(frozen=True, slots=True)
class MetricName:
    """A metric as declared: OTel name, instrument, UCUM unit, description, the attributes that it may have."""

    name: str
    kind: Kind
    unit: str
    description: str
    attributes: tuple[str, ...] = ()


def _metric(kind: Kind, name: str, unit: str, description: str, *attributes: str) -> MetricName:
    return MetricName(name, kind, unit, description, attributes)


_gauge = partial(_metric, "gauge")
_counter = partial(_metric, "counter")
_histogram = partial(_metric, "histogram")
_RULE = (MODEL_NAME, MODEL_VERSION, RULE_GROUP, RULE_NAME, RULE_CHECK, RULE_METHOD, FEATURE_NAME, SEGMENT)
_MODEL = (MODEL_NAME, MODEL_VERSION)

# From the SDK.
PREDICTIONS: Final = _counter("mlmon.predictions", "{prediction}", "Predictions made.", *_MODEL, ERROR_TYPE)
SDK_DROPPED: Final = _counter("mlmon.sdk.dropped", "{row}", "Rows that the SDK dropped, by reason.", MODEL_NAME, REASON)
SDK_SHADOW_MISSED: Final = _counter(
    "mlmon.sdk.shadow.missed",
    "{prediction}",
    "Predictions without their shadow's answer, by reason.",
    MODEL_NAME,
    REASON,
)
# From the processor: models.
DURATION: Final = _histogram(
    "mlmon.prediction.duration", "s", "Duration of predictions, measured by the application.", *_MODEL
)
RULE_VALUE: Final = _gauge("mlmon.rule.value", "{score}", "Value of the rule in the last closed window.", *_RULE)
RULE_VALUE_LOW: Final = _gauge(
    "mlmon.rule.value.low", "{score}", "Lower end of the confidence interval of the rule's value.", *_RULE
)
RULE_VALUE_HIGH: Final = _gauge(
    "mlmon.rule.value.high", "{score}", "Upper end of the confidence interval of the rule's value.", *_RULE
)
RULE_MATURE: Final = _gauge(
    "mlmon.rule.mature",
    "{maturity}",
    "1 if the ground truth of the judged window is nearly complete (final), 0 if more is expected (provisional).",
    *_RULE,
)
BUDGET_REMAINING: Final = _gauge(
    "mlmon.budget.remaining", "{fraction}", "Share of the error budget that is left; below 0: overspent.", *_RULE
)
ESTIMATE_REALISED: Final = _gauge(
    "mlmon.estimate.realised",
    "{score}",
    "Value from the ground truth, in the newest window whose estimate could be checked.",
    *_RULE,
)
ESTIMATE_CHECKED: Final = _gauge("mlmon.estimate.checked", "{score}", "Estimate for the same window.", *_RULE)
ESTIMATE_TRUSTED: Final = _gauge(
    "mlmon.estimate.trusted",
    "{trust}",
    "1 while the ground truth confirms the estimates, 0 when they are wrong beyond their band and raise no alerts.",
    *_RULE,
)
RULE_THRESHOLD: Final = _gauge("mlmon.rule.threshold", "{score}", "Value beyond which the rule is in breach.", *_RULE)
RULE_P_VALUE: Final = _gauge(
    "mlmon.rule.p_value", "{probability}", "Probability of a value this extreme if nothing had changed.", *_RULE
)
RULE_STATUS: Final = _gauge("mlmon.rule.status", "{status}", "Verdict: 0 ok, 1 breach, 2 no_data, 3 error.", *_RULE)
RULE_ROWS: Final = _gauge("mlmon.rule.rows", "{row}", "Rows behind the verdict.", *_RULE)
ALERT_STATE: Final = _gauge(
    "mlmon.alert.state",
    "{state}",
    "0 inactive, 1 pending, 2 firing, 3 suppressed: it would fire, but another alert explains it.",
    *_RULE,
)
WINDOW_ROWS: Final = _gauge(
    "mlmon.window.rows", "{row}", "Predictions in the last closed window.", *_MODEL, RULE_GROUP, SEGMENT
)
WINDOW_LOST: Final = _gauge(
    "mlmon.window.lost.rows",
    "{row}",
    "Predictions of the last closed window that were lost or cut short on the way.",
    *_MODEL,
    RULE_GROUP,
)
WINDOW_END: Final = _gauge(
    "mlmon.window.end.time", "s", "End of the last closed window, Unix time.", MODEL_NAME, RULE_GROUP
)
GROUND_TRUTH_COVERAGE: Final = _gauge(
    "mlmon.ground_truth.coverage",
    "{fraction}",
    "Share of the judged window's predictions whose ground truth is known.",
    *_MODEL,
    RULE_GROUP,
)
GROUND_TRUTH_DELAY: Final = _gauge(
    "mlmon.ground_truth.delay",
    "s",
    "Delay of the ground truth after its prediction, by quantile.",
    *_MODEL,
    RULE_GROUP,
    QUANTILE,
)
GROUND_TRUTH_SELECTION: Final = _gauge(
    "mlmon.ground_truth.selection",
    "{selection}",
    "1 if predictions with ground truth differ from those without (figures are biased), else 0.",
    *_MODEL,
    RULE_GROUP,
)
GROUND_TRUTH_ROWS: Final = _counter(
    "mlmon.ground_truth.rows",
    "{row}",
    "Ground-truth rows received since the store was made, by result (joined, duplicate, expired …).",
    MODEL_NAME,
    OUTCOME,
)
GROUND_TRUTH_WAITING: Final = _gauge(
    "mlmon.ground_truth.waiting.rows", "{row}", "Ground-truth rows whose prediction has not arrived yet.", MODEL_NAME
)
# From the processor: its own health.
INGEST_REQUESTS: Final = _counter(
    "mlmon.ingest.requests", "{request}", "OTLP requests answered.", TRANSPORT, SIGNAL, OUTCOME
)
INGEST_ROWS: Final = _counter(
    "mlmon.ingest.rows",
    "{row}",
    "Predictions and ground truths received, by result: stored, duplicate or rejected.",
    OUTCOME,
    REASON,
)
INGEST_RECEIVED: Final = _counter("mlmon.ingest.received", "{row}", "Predictions and ground truths received.")
INGEST_LATE: Final = _counter(
    "mlmon.ingest.late.rows", "{row}", "Rows stored after their window had closed.", MODEL_NAME
)
INGEST_FUTURE: Final = _counter(
    "mlmon.ingest.future.rows", "{row}", "Rows stored whose time lies ahead of this machine's clock.", MODEL_NAME
)
INGEST_LAG: Final = _gauge("mlmon.ingest.lag", "s", "Age of the newest prediction when it was stored.", MODEL_NAME)
QUEUE_ROWS: Final = _gauge("mlmon.ingest.queue.rows", "{row}", "Rows waiting for their commit.")
COMMIT_DURATION: Final = _histogram("mlmon.store.commit.duration", "s", "Duration of commits.")
STORE_SIZE: Final = _gauge("mlmon.store.size", "By", "Size of the DuckDB file and its log.")
STORE_FAILURES: Final = _counter("mlmon.store.failures", "{commit}", "Commits that failed.")
EVALUATION_DURATION: Final = _histogram(
    "mlmon.evaluation.duration", "s", "Duration of the evaluation of one group.", RULE_GROUP
)
EVALUATION_FAILURES: Final = _counter(
    "mlmon.evaluation.failures", "{evaluation}", "Rule evaluations that ended in an error.", RULE_GROUP, RULE_NAME
)
EVALUATION_TIME: Final = _gauge("mlmon.evaluation.last.time", "s", "Time of the last evaluation of rules, Unix time.")
RULES_LOADED: Final = _gauge("mlmon.rules.loaded", "{rule}", "Rules in force.", RULE_GROUP)
RULES_RELOAD_OK: Final = _gauge(
    "mlmon.rules.reload.success", "{success}", "1 if the last load of the rule files succeeded, else 0."
)
SOURCE_RUNS: Final = _counter(
    "mlmon.ground_truth.source.runs", "{run}", "Runs of the queries that fetch ground truth.", SOURCE, OUTCOME
)
NOTIFICATIONS: Final = _counter(
    "mlmon.notifications",
    "{notification}",
    "Deliveries to Alertmanagers, webhooks and the OTLP endpoint.",
    DESTINATION,
    OUTCOME,
)

# In the order of the declarations.
METRICS: Final = tuple(value for value in list(globals().values()) if isinstance(value, MetricName))

# 1, 2.5 and 5 of each decade, from 0.1 ms to 10 s.
DURATION_BUCKETS: Final = (*(float(f"{m}e{e}") for e in range(-4, 1) for m in (1, 2.5, 5)), 10.0)
