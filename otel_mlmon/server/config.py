"""The processor's configuration: one section per stage, defaults here, unknown keys are errors."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, cast
from urllib.parse import parse_qsl, urlsplit

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from otel_mlmon.errors import ConfigError
from otel_mlmon.rulefile import parse_duration

_USER_AND_PASSWORD: Final = re.compile(r"//[^@]*:[^@]*@")  # also where the password itself breaks the URL's grammar
_MYSQL_OPTIONS: Final = ("ssl_ca", "ssl_cert", "ssl_key", "unix_socket", "connect_timeout")


def _duration(value: Any) -> int:
    if not isinstance(value, str):
        raise ValueError(f"found {value!r}, allowed is a duration with a unit, e.g. 60s, 1h30m, 7d")
    return parse_duration(value)


def _address(value: Any) -> str:
    host, colon, port = str(value).rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"found {value!r}, allowed is host:port, e.g. 127.0.0.1:4317 (port 0: any free one)")
    return str(value)


def _database(value: str) -> str:
    if value and (wrong := _database_mistake(value)):
        raise ValueError(wrong)  # without the value: it may hold a password
    return value


def _database_mistake(url: str) -> str:
    """Return the mistake in a database URL, never quoting a password; empty when there is none."""
    scheme, _, rest = url.partition(":")
    if scheme == "sqlite":
        return "" if rest and not rest.startswith("//") else "allowed is sqlite:FILE, without slashes before the path"
    if scheme not in ("postgresql", "mysql") or not rest.startswith("//"):
        return "allowed are sqlite:FILE, postgresql://USER@HOST:PORT/DATABASE and mysql://USER@HOST:PORT/DATABASE"
    try:
        parts = urlsplit(url)
        given = dict(parse_qsl(parts.query))
        if _USER_AND_PASSWORD.match(rest) or any("password" in option for option in given):
            return "found a password, allowed is one in password_file or password_env"
        if scheme == "mysql":
            _ = parts.port  # raises
            unknown = sorted(given.keys() - set(_MYSQL_OPTIONS))
            if unknown:
                return f"found the option {unknown[0]!r}, allowed are {', '.join(_MYSQL_OPTIONS)}"
    except ValueError:
        return "it cannot be read; special characters are written as %XX"
    return ""


def _named(value: Any) -> Any:
    """Features and their columns; a list names both alike."""
    return {name: name for name in value} if isinstance(value, list) else value


Duration = Annotated[int, BeforeValidator(_duration)]


def _lasts(default: str, description: str) -> Any:
    """Return a field of type `Duration`; its default is spelled as in the file."""
    return Field(default, description=description)


Address = Annotated[str, BeforeValidator(_address)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class StoreConfig(_Section):
    """Where predictions and profiles are kept."""

    path: Path | None = Field(Path("mlmon.duckdb"), description="The DuckDB file; null keeps everything in memory.")
    memory_limit: str = Field("1GB", description="DuckDB's own limit.")
    threads: int = Field(2, ge=1, description="DuckDB's threads.")
    retention: Duration = _lasts("90d", "How long rows and profiles are kept, by event time.")
    dedup_margin: Duration = _lasts("1h", "How far apart in time two records of one id may be.")


class ReceiveConfig(_Section):
    """Addresses and limits of OTLP. By default on loopback, since there is no authentication."""

    grpc: Address = Field("127.0.0.1:4317", description="Address of OTLP/gRPC.")
    http: Address = Field("127.0.0.1:4318", description="Address of OTLP/HTTP and of ground-truth tables.")
    max_body_bytes: int = Field(
        64 * 1024 * 1024, ge=1024, description="Largest request, after decompression; a larger one is refused."
    )
    max_queue_rows: int = Field(500_000, ge=1, description="Rows waiting for a commit; more are refused (retryable).")


class WindowConfig(_Section):
    """Panes and windows of event time."""

    pane: Duration = _lasts("1m", "The smallest stretch of time that is counted on its own.")
    lateness: Duration = _lasts("1m", "How long after its end a pane waits for late rows.")
    ahead: Duration = _lasts("5m", "How far in the future an event may be; beyond, its clock counts as wrong.")
    ground_truth_horizon: Duration = _lasts("60d", "How far back ground truth is joined and windows are judged by it.")


class WebConfig(_Section):
    """Metrics, pages and API."""

    listen: Address = Field("127.0.0.1:9464", description="Address of metrics, pages and API.")
    external_url: str = Field("", description="Public address of the pages; the links in alerts begin with it.")


class OtlpConfig(_Section):
    """The OTLP endpoint that metrics are pushed to."""

    endpoint: str = Field(description="Full URL, e.g. http://localhost:9090/api/v1/otlp/v1/metrics.")
    interval: Duration = _lasts("15s", "How often metrics are pushed.")


class ExportConfig(_Section):
    """Alertmanagers, webhooks and OTLP endpoints that are told about alerts and metrics."""

    alertmanager: tuple[str, ...] = Field((), description="Base URLs of Alertmanagers (API v2).")
    webhooks: tuple[str, ...] = Field((), description="URLs that get a JSON POST for each change.")
    otlp: OtlpConfig | None = None
    resend: Duration = _lasts("1m", "How often firing alerts are sent to Alertmanager again.")


class Attached(_Section):
    """A file of DuckDB that a query may read, attached read-only."""

    path: str = Field(description="The DuckDB file.")
    name: str = Field(alias="as", pattern=r"^[A-Za-z_]\w*$", description="Its name in the query.")


class GroundTruthSource(_Section):
    """A query that fetches ground truth, run at the start and then at intervals."""

    name: str = Field(
        min_length=1, description="Name in logs and metrics; the store remembers under it how far the query has read."
    )
    model: str = Field("", description="The model; without one, the query has a column `model`.")
    query: str = Field(description="One SELECT; `$since` is the newest time already taken.")
    database: Annotated[str, AfterValidator(_database)] = Field(
        "",
        description="Database that runs the query, in its own SQL: sqlite:FILE, postgresql://… or mysql://…; "
        "without one, DuckDB.",
    )
    password_env: str = Field("", description="Environment variable with the database's password.")
    password_file: Path | None = Field(None, description="File with the database's password.")
    every: Duration = _lasts("5m", "How long to wait after a run.")
    attach: tuple[Attached, ...] = Field((), description="DuckDB files that the query may read.")
    id: str = Field("prediction_id", description="Column of the prediction ids.")
    value: str = Field("ground_truth", description="Column of the ground truth.")
    boolean: bool = Field(False, description="0 and 1 mean false and true; SQLite and MySQL have no truth values.")
    time: str = Field(
        description="Column of the time when the ground truth became known; `$since` continues after the newest one."
    )
    directory: Path = Field(Path(), description="Where relative paths begin: by default where the configuration is.")
    keys: Annotated[dict[str, str], BeforeValidator(_named)] = Field(
        default={}, description="Features that name predictions in place of an id: a list, or feature to column."
    )

    @model_validator(mode="after")
    def _makes_sense(self) -> GroundTruthSource:
        if self.keys and "id" in self.model_fields_set:
            raise ValueError("found id and keys, allowed is one of the two")
        if self.database and self.attach:
            raise ValueError("found database and attach, allowed is one of the two")
        if self.boolean and not self.database:
            raise ValueError("found boolean without database, allowed is to write ::BOOL in the query")
        passwords = bool(self.password_env) + (self.password_file is not None)
        if passwords > (self.database.partition(":")[0] in ("postgresql", "mysql")):
            raise ValueError("found more passwords than needed, allowed is one, where the database is a server")
        return self


class Config(_Section):
    """The whole file."""

    store: StoreConfig = StoreConfig()
    receive: ReceiveConfig = ReceiveConfig()
    window: WindowConfig = WindowConfig()
    web: WebConfig = WebConfig()
    rules: tuple[Path, ...] = Field((), description="Rule files and directories.")
    references: tuple[Path, ...] = Field((), description="Reference files and directories, loaded at the start.")
    ground_truth: tuple[GroundTruthSource, ...] = Field((), description="Queries that fetch ground truth.")
    export: ExportConfig = ExportConfig()

    @model_validator(mode="after")
    def _one_source_per_name(self) -> Config:
        names = [source.name for source in self.ground_truth]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(
                f"ground_truth: found two sources called {twice[0]!r}, allowed is a name of its own for each"
            )
        return self


def load_config(path: Path | None, options: Mapping[str, Any] | None = None) -> Config:
    """Read the configuration from a file, the environment and options; a later one wins, key by key.

    A variable is named like the path of its key, MLMON_STORE__MEMORY_LIMIT; its value is written as in the file.
    Paths in the file are relative to the file. Raises ConfigError with every mistake and the layer that it is in.
    """
    layers = {str(path): _from_file(path)} if path else {}
    layers["environment"] = _Environment(_Settings)()
    layers["command line"] = dict(options or {})
    body: dict[str, Any] = {}
    for layer in layers.values():
        body = _merged(body, layer)
    return _validated(body, layers)


def parse_config(body: Any, where: str) -> Config:
    """Plain data to a configuration. Raises ConfigError with every mistake."""
    return _validated(body, {where: body})


def _from_file(path: Path) -> dict[str, Any]:
    """The file's keys; relative paths begin at the file."""
    try:
        body = yaml.safe_load(path.read_text("utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    parse_config({} if isinstance(body, dict) else body, str(path))
    here = path.resolve().parent
    store = body.setdefault("store", {})
    if isinstance(store, dict) and isinstance(file := store.setdefault("path", "mlmon.duckdb"), str):
        store["path"] = here / file
    for key in ("rules", "references"):
        if isinstance(body.get(key), list):
            body[key] = [here / file if isinstance(file, str) else file for file in body[key]]
    sources = body.get("ground_truth")
    for source in sources if isinstance(sources, list) else ():
        if isinstance(source, dict) and isinstance(directory := source.get("directory", ""), str):
            source["directory"] = here / directory
    return cast("dict[str, Any]", body)


class _Environment(EnvSettingsSource):
    """Variables whose values are YAML, as in the file: lists and mappings too."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        try:
            return yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ConfigError(f"environment: {field_name}: cannot be read: {error}") from error


class _Settings(Config, BaseSettings):
    model_config = SettingsConfigDict(env_prefix="MLMON_", env_nested_delimiter="__", env_parse_none_str="null")


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    both = {
        key: _merged(below[key], value)
        for key, value in above.items()
        if isinstance(value, Mapping) and isinstance(below.get(key), Mapping)
    }
    return {**below, **above, **both}


def _validated(body: Any, layers: Mapping[str, Any]) -> Config:
    try:
        return Config.model_validate(body)
    except ValidationError as error:
        lines = [
            f"{_layer(e['loc'], layers)}: {'.'.join(map(str, e['loc'])) or 'file'}: {_text(e)}" for e in error.errors()
        ]
        raise ConfigError("\n".join(lines)) from error


def _layer(place: Sequence[str | int], layers: Mapping[str, Any]) -> str:
    """The last layer that holds the value at `place`, or most of the way to it."""

    def depth(body: Any) -> int:
        for n, key in enumerate(place):
            if not (key in body if isinstance(body, Mapping) else isinstance(body, (list, tuple))):
                return n
            body = body[key]
        return len(place)

    return max(reversed(list(layers)), key=lambda name: depth(layers[name]))


def _text(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "unknown key"
    return str(error["msg"]).removeprefix("Value error, ")


def split_address(address: str) -> tuple[str, int]:
    """Host and port."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)
