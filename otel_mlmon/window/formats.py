"""How values are written: counts by format, for each of many groups of rows at once. Pure.

A change of format is a silent failure: floats lose their decimals, numbers are sent as text, dates change their order,
text changes its encoding or case.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from otel_mlmon.values import Texts

NUMBER_FORMATS: Final = ("whole", "negative", "beyond_int32", "beyond_int53")
_ISO_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d([T ].*)?", re.ASCII)
_OTHER_DATE: Final = re.compile(r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}([T ,].*)?", re.ASCII)
# UTF-8 that was read as Latin-1 or Windows-1252: the lead byte of a two-byte character, then a continuation byte.
_MOJIBAKE: Final = re.compile("[\u00c2-\u00c5][\u0080-\u00bf\u2018-\u201d\u20ac\u2122]|\u00e2\u20ac|\ufffd")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


_TEXT_TESTS: Final[dict[str, Callable[[str], bool]]] = {
    "numeric_text": _is_number,
    "iso_date": lambda text: bool(_ISO_DATE.fullmatch(text)),
    "other_date": lambda text: not _ISO_DATE.fullmatch(text) and bool(_OTHER_DATE.fullmatch(text)),
    "not_ascii": lambda text: not text.isascii(),
    "mojibake": lambda text: bool(_MOJIBAKE.search(text)),
    "padded": lambda text: text != text.strip(),
}
FORMATS: Final = (*NUMBER_FORMATS, *_TEXT_TESTS)


def count_formats(
    of: npt.NDArray[np.int64],
    x: npt.NDArray[np.float64],
    texts: Texts,
    groups: npt.NDArray[np.int64],
    n_groups: int,
) -> npt.NDArray[np.int64]:
    """Groups × FORMATS. `x` are the finite numbers and `of` their groups; `texts` has a code per row, `groups` too."""
    size = np.abs(x)
    masks = (x == np.floor(x), x < 0, size >= 2.0**31, size >= 2.0**53)
    columns = [np.bincount(of[mask], minlength=n_groups) for mask in masks]
    there = (groups >= 0) & (texts.codes >= 0)
    codes, rows = texts.codes[there], groups[there]
    for test in _TEXT_TESTS.values():
        has = np.array([test(label) for label in texts.labels], dtype=bool)
        columns.append(np.bincount(rows[has[codes]], minlength=n_groups) if has.any() else np.zeros(n_groups, np.int64))
    return np.stack(columns, axis=1).astype(np.int64)
