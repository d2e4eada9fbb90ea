"""Send requests: `python -m examples.house_prices.client --url http://127.0.0.1:8000 --requests 1000`.

With --fault it sends them like a broken upstream. The sale price of a house follows each request.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import requests

from examples.house_prices.features import TARGET
from examples.house_prices.train import made_up

House = dict[str, Any]


def _drop(house: House) -> None:
    house.pop("households", None)


def _text(house: House) -> None:
    house["housing_median_age"] = str(house["housing_median_age"])


def _out_of_range(house: House) -> None:
    house["population"] = house["population"] + 100_000.0


def _default(house: House) -> None:
    house["total_bedrooms"] = 500.0


def _nothing(_house: House) -> None:
    pass


# Name → (change of a request, share of the requests).
FAULTS: dict[str, tuple[Callable[[House], None], float]] = {
    "none": (_nothing, 0.0),
    "drop-field": (_drop, 0.2),
    "string": (_text, 0.2),
    "out-of-range": (_out_of_range, 0.1),
    "default": (_default, 0.2),
    "income-shift": (_nothing, 0.0),  # only requests from richer districts
    "region-prices": (_nothing, 0.0),  # not the request: the sale prices in one region change
}
FALLEN_REGION, FALLEN_BY = "INLAND", 0.5
RICH = 3.5


def broken(houses: Iterable[House], fault: str) -> Iterator[tuple[House, float]]:
    """Return the requests with the fault, and the sale prices of the houses."""
    change, share = FAULTS[fault]
    for number, original in enumerate(houses):
        if fault == "income-shift" and original["median_income"] < RICH:
            continue
        house = {key: None if value != value else value for key, value in original.items()}
        price = float(house.pop(TARGET))
        if (number * 0.618034) % 1.0 < share:  # spread evenly, the same each time
            change(house)
        if fault == "region-prices" and house["ocean_proximity"] == FALLEN_REGION:
            price *= FALLEN_BY
        yield house, price


class Client:
    """Send requests over a few connections."""

    def __init__(self, url: str, workers: int = 4) -> None:
        self._url = url
        self._local = threading.local()
        self._pool = ThreadPoolExecutor(workers)

    def send(self, asked: Iterable[tuple[House, float]], rate: float = 0.0) -> Iterator[str]:
        """Send each house and its later price; yield prediction ids. `rate`: requests a second, 0 for no limit."""
        begun = time.monotonic()
        source, count = iter(asked), 0
        while batch := list(itertools.islice(source, 50)):
            count += 1
            yield from self._pool.map(self._one, batch)
            if rate:
                time.sleep(max(0.0, begun + count * 50 / rate - time.monotonic()))

    def _one(self, asked: tuple[House, float]) -> str:
        house, price = asked
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
        session: requests.Session = self._local.session
        answer = session.post(f"{self._url}/predict", json=house, timeout=30)
        answer.raise_for_status()
        id_: str = answer.json()["id"]
        session.post(f"{self._url}/sold", json={"id": id_, "price": price}, timeout=30).raise_for_status()
        return id_


class Bar:
    """Progress: a line that is redrawn on a terminal, or a line now and then without one."""

    def __init__(self, total: int, width: int = 40) -> None:
        self._total = total
        self._width = width
        self._begun = time.monotonic()
        self._every = 25 if sys.stderr.isatty() else 1000

    def at(self, sent: int) -> None:
        """Show the number of sent requests."""
        if sent % self._every and sent != self._total:
            return
        filled = self._width * sent // self._total if self._total else 0
        drawn = f"[{'#' * filled:<{self._width}}] {sent}/{self._total}" if self._total else f"{sent} requests"
        speed = sent / max(time.monotonic() - self._begun, 1e-9)
        print(f"{drawn}  {speed:.0f}/s", end="\r" if sys.stderr.isatty() else "\n", file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--requests", type=int, default=1000, help="how many; 0 for no end")
    parser.add_argument("--rate", type=float, default=50.0, help="requests a second; 0 for as fast as it goes")
    parser.add_argument(
        "--data", type=Path, help="CSV of houses  [default: the requests.csv that training wrote, else made-up houses]"
    )
    parser.add_argument("--fault", choices=sorted(FAULTS), default="none")
    arguments = parser.parse_args()
    if arguments.data and not arguments.data.is_file():
        parser.error(f"{arguments.data}: no such file")
    return arguments


def main() -> None:
    """Command line."""
    arguments = _arguments()
    trained = Path(os.environ.get("HOUSE_PRICES_DIR", "house-prices")) / "requests.csv"
    data: Path | None = arguments.data or (trained if trained.is_file() else None)
    endless = itertools.cycle((pd.read_csv(data) if data else made_up(seed=1)).to_dict("records"))
    # Cut after the fault: some faults leave requests out.
    asked: Iterable[tuple[House, float]] = broken(endless, arguments.fault)
    if arguments.requests:
        asked = itertools.islice(asked, arguments.requests)
    bar = Bar(arguments.requests)
    try:
        for sent, _ in enumerate(Client(arguments.url).send(asked, arguments.rate), start=1):
            bar.at(sent)
    except requests.ConnectionError as error:
        sys.exit(f"{arguments.url} cannot be reached: {error}")
    except KeyboardInterrupt:
        pass
    print(file=sys.stderr)


if __name__ == "__main__":
    main()
