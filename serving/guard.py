"""Who is let in: every route but the probes asks here first.

With tokens, a request must present one. Without, only this machine is answered, under one of its
own names: a page whose name was pointed at 127.0.0.1 (DNS rebinding) is not, and neither is what a
proxy on this machine passes on, which may come from anywhere.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any

from riskscore.errors import RiskscoreError
from serving.audit import Facts
from serving.problems import Refusal
from serving.sockets import exposed, is_loopback
from serving.tokens import TOKENS_VARIABLE, TokenFileError, Tokens

__all__ = ["PROBES", "ExposedError", "Guard"]

PROBES = frozenset({"/livez", "/healthz", "/readyz"})
"""Addresses that answer without a token: the machine's keeper asks them, and they tell nothing."""

FORWARDED = (b"forwarded", b"via", b"x-real-ip", b"true-client-ip")
FORWARDED_BEGIN = (b"x-forwarded", b"x-original", b"x-envoy")
"""Headers that proxies add, and how their names begin."""

logger = logging.getLogger("bentoml.riskscore")


class ExposedError(RiskscoreError):
    """The service would listen beyond this machine without a token."""


class Guard:
    """Lets requests in, or says why not.

    Parameters
    ----------
    tokens : Tokens or None
        None: only this machine is answered.
    """

    def __init__(self, tokens: Tokens | None) -> None:
        self.tokens = tokens
        self._said = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Guard:
        """Return the guard that the environment asks for."""
        return cls(Tokens.from_environment(environment))

    def check_start(self, host: str | None = None) -> None:
        """Refuse to start where everybody would be let in.

        Parameters
        ----------
        host : str, optional
            Address that will be listened on; without it, this process's sockets are asked.

        Raises
        ------
        TokenFileError
            If the file of tokens cannot be read.
        ExposedError
            If there is none, and other machines could connect.
        """
        if self.tokens is not None:
            self.tokens.check()
            return
        hosts = exposed() if host is None else [] if is_loopback(host) else [host]
        if hosts:
            raise ExposedError(
                f"{', '.join(hosts)} can be reached from other machines, and there are no tokens; "
                f"set {TOKENS_VARIABLE} to a file made with `python -m serving.tokens NAME`, or "
                "listen on 127.0.0.1"
            )

    def admit(self, scope: Mapping[str, Any], path: str, facts: Facts) -> None:
        """Let a request in, noting whose it is.

        Raises
        ------
        Refusal
            401 without a right token, 403 with one for other addresses, 421 where no token is
            asked for and the request is not this machine's own, 503 if the tokens cannot be read.
        """
        if path in PROBES:
            return
        if self.tokens is None:
            _check_own(scope)
            return
        try:
            token = self.tokens.holder(_header(scope, b"authorization"))
        except TokenFileError as error:
            if self._said != str(error):
                self._said = str(error)
                logger.error("%s; until then nobody is let in", error)
            remedy = "tell who runs the service: its file of tokens cannot be read"
            rule = "cannot be checked"
            raise Refusal.of("unavailable", "Authorization", rule, None, remedy) from None
        self._said = ""
        if token is None:
            remedy = "send the header Authorization: Bearer TOKEN, with a token of this service"
            rule = "must hold a known token"
            raise Refusal.of("unauthorized", "Authorization", rule, None, remedy)
        facts.token = token.name
        if not token.allows(path):
            remedy = "use a token that was made for this address"
            rule = f"must hold a token that is not for {' and '.join(token.purposes)} alone"
            raise Refusal.of("forbidden", "Authorization", rule, None, remedy)


def _check_own(scope: Mapping[str, Any]) -> None:
    server = scope.get("server")
    if server and server[1] and not is_loopback(server[0]):
        remedy = f"who runs the service must set {TOKENS_VARIABLE}"
        rule = "must come from this machine: there are no tokens"
        raise Refusal.of("forbidden", "request", rule, None, remedy)
    for name, _ in scope["headers"]:
        if name in FORWARDED or name.startswith(FORWARDED_BEGIN):
            remedy = f"who runs the service must set {TOKENS_VARIABLE} to serve through a proxy"
            rule = "must not have come through a proxy: there are no tokens"
            raise Refusal.of("forbidden", "request", rule, None, remedy)
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    if len(hosts) > 1 or (not hosts and scope.get("http_version") == "1.1"):
        remedy = "send one header Host"
        raise Refusal.of("misdirected", "Host", "must be there once", None, remedy)
    host = hosts[0].decode("latin-1") if hosts else ""
    if "@" in host:
        remedy = "leave out the user's name before the @"
        raise Refusal.of("misdirected", "Host", "must be a name and a port alone", None, remedy)
    name = host[1 : host.index("]")] if host[:1] == "[" and "]" in host else host.split(":")[0]
    if name and not is_loopback(name):
        remedy = f"ask for 127.0.0.1 or localhost; for other names, set {TOKENS_VARIABLE}"
        rule = "must name this machine: there are no tokens"
        raise Refusal.of("misdirected", "Host", rule, None, remedy)


def _header(scope: Mapping[str, Any], name: bytes) -> bytes:
    found: bytes = next((value for key, value in scope["headers"] if key == name), b"")
    return found
