"""`mlmon explain`: why an alert fires."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import click
from rich.markup import escape

from otel_mlmon.cli.brief import brief
from otel_mlmon.cli.explained import show
from otel_mlmon.cli.processor import call, processor_option
from otel_mlmon.cli.terminal import console, table
from otel_mlmon.errors import MlmonError
from otel_mlmon.values.explanation_documents import explanation_from_json


@click.command()
@click.argument("alert", required=False)
@click.option("--json", "as_json", is_flag=True, help="The raw answer; the same as --format json.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "brief", "json"]),
    default="text",
    show_default=True,
    help="brief: a few lines without markup, for chat and tickets.",
)
@processor_option
def explain(alert: str | None, processor: str, as_json: bool, form: str) -> None:
    """Show why ALERT fires: its value, slices, drifted features, changes before, examples, and the rule's history.

    ALERT is an id, the beginning of one, or the name of a rule with one firing alert. Without it: a list of all alerts.

    Exits with 0 when the alert was explained, with 1 when it was not: unknown or ambiguous alert, no processor.
    """
    as_json = as_json or form == "json"
    alerts = call("GET", processor, "/api/v1/alerts")
    if alert is None:
        _choices(alerts, as_json)
        return
    id_ = chosen(alert, alerts)
    found = call("GET", processor, f"/api/v1/alerts/{quote(id_, safe='')}/explanation")
    page = f"{processor.rstrip('/')}/alerts/{quote(id_, safe='')}"
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    elif form == "brief":
        click.echo(brief(explanation_from_json(found), page))
    else:
        show(explanation_from_json(found), console(), page)


def chosen(wanted: str, alerts: Sequence[Mapping[str, Any]]) -> str:
    """The id of the alert that is meant. Raises MlmonError when it is none, or more than one.

    An id that is not in the list is an alert that does not fire, and may still be explained.
    """
    ids = [one["id"] for one in alerts if one["id"] == wanted] or [
        one["id"] for one in alerts if one["id"].startswith(wanted)
    ]
    named = [one for one in alerts if one["rule"] == wanted]
    firing = [one for one in named if _phase(one) == "firing"] or named
    matches = ids or [one["id"] for one in firing]
    if len(matches) == 1:
        return str(matches[0])
    if not matches and len(wanted) == 16 and not set(wanted) - set("0123456789abcdef"):
        return wanted
    if not matches:
        raise MlmonError(
            f"no alert {wanted!r}: neither the beginning of an id nor the name of a rule that fires or fired just now. "
            + (f"There are: {_names(alerts)}" if alerts else "Nothing fires")
        )
    these = [one for one in alerts if one["id"] in matches]
    raise MlmonError(f"{wanted!r} may be any of {len(matches)} alerts; name one by its id: {_names(these)}")


def _names(alerts: Sequence[Mapping[str, Any]], most: int = 8) -> str:
    names = [f"{one['id']} ({' '.join(filter(None, (one['rule'], _about(one))))})" for one in alerts[:most]]
    return ", ".join(names) + (f" and {len(alerts) - most} more" if len(alerts) > most else "")


def _choices(alerts: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    if as_json:
        keys = ("id", "rule", "group", "target", "annotations")
        click.echo(json.dumps([{**{key: one[key] for key in keys}, "phase": _phase(one)} for one in alerts], indent=2))
        return
    if not alerts:
        click.echo("Nothing fires, and nothing has just been resolved.")
        return
    lines = table("id", "state", "rule", "about", "what", title="name one: mlmon explain ID")
    lines.columns[0].no_wrap = True
    for one in alerts:
        what = one["annotations"].get("summary") or one["verdict"]["message"].partition("; ")[0]
        lines.add_row(*(escape(str(text)) for text in (one["id"], _phase(one), one["rule"], _about(one), what)))
    console().print(lines)


def _about(one: Mapping[str, Any]) -> str:
    target = one["target"]
    return " ".join(filter(None, (target["model"], target["version"], target["field"], target["segment"])))


def _phase(one: Mapping[str, Any]) -> str:
    if one["state"]["resolved_at"]:
        return "resolved"
    return "suppressed" if one.get("cause") and one["state"]["phase"] == "firing" else str(one["state"]["phase"])
