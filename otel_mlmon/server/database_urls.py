"""The URLs by which the configuration names a database. None holds a password: the configuration is read by many, and logged."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl, urlsplit

_USER_AND_PASSWORD: Final = re.compile(r"//[^@]*:[^@]*@")  # also where the password itself breaks the URL's grammar
_MYSQL_OPTIONS: Final = ("ssl_ca", "ssl_cert", "ssl_key", "unix_socket", "connect_timeout")


def mistake(url: str) -> str:
    """What is wrong with the URL of a database, without a word of a password in it; empty when nothing is."""
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
