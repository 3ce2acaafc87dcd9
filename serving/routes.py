"""The addresses the service answers at, as its router has them.

Whatever is mounted beside the service is found here without being told: an address that no route
matches is refused before any other layer sees, counts or prints what stood in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount, Route, compile_path

__all__ = ["Address", "Routes"]


@dataclass(frozen=True, slots=True)
class Address:
    """An address: its template ("/v1/models/{id}"), and the methods it takes (None: any)."""

    template: str
    methods: frozenset[str] | None

    @property
    def allow(self) -> str:
        """The header Allow."""
        return ", ".join(sorted({*(self.methods or ()), "OPTIONS"}))


class Routes:
    """Every route of an application and of what is mounted in it.

    Parameters
    ----------
    routes : iterable of BaseRoute
        Starlette's.
    """

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        self._plain: dict[str, Address] = {}
        self._patterns: list[tuple[re.Pattern[str], Address]] = []
        self._add(routes, "")

    @classmethod
    def of(cls, scope: MutableMapping[str, Any]) -> Routes:
        """Return the routes of the application that a connection came to."""
        return cls(scope["app"].routes)

    def find(self, path: str) -> tuple[Address, str] | None:
        """Return the address that `path` is at, and the path that its route knows it by.

        One slash too many at the end is forgiven: a redirect would lose the body of a POST.
        """
        for known in (path, path[:-1] if path.endswith("/") else path + "/"):
            if known in self._plain:
                return self._plain[known], known
        for pattern, address in self._patterns:
            if pattern.fullmatch(path):
                return address, path
        return None

    def templates(self) -> dict[str, Address]:
        """Return every address by its template."""
        found = {address.template: address for address in self._plain.values()}
        return found | {address.template: address for _, address in self._patterns}

    def _add(self, routes: Iterable[BaseRoute], prefix: str) -> None:
        for route in routes:
            if isinstance(route, Route):
                template = prefix + route.path
                # A HEAD is answered as its GET; Starlette adds it.
                methods = None if route.methods is None else frozenset(route.methods)
                self._put(template, Address(re.sub(r":\w+\}", "}", template), methods))
            elif isinstance(route, Mount):
                below = prefix + route.path
                if isinstance(route.app, Starlette):
                    self._add(route.app.routes, below)
                else:
                    self._put(below + "/{path:path}", Address(below + "/{path}", None))

    def _put(self, template: str, address: Address) -> None:
        pattern, _, parameters = compile_path(template)
        if parameters:
            self._patterns.append((pattern, address))
            return
        held = self._plain.get(template, address)
        union = held.methods and address.methods and held.methods | address.methods
        self._plain[template] = Address(address.template, union or None)
