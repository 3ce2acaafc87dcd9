"""An endpoint that does nothing but take the request and give the answer: what BentoML costs.

It has the service's middleware. `EMPTY_KIND` says how it reads and answers: `native` (the default)
is an endpoint as BentoML's documentation has it, typed input, a dictionary out; `bytes` never looks
at the body and answers with bytes it holds ready, the least that BentoML can do. `EMPTY_TUNED=1`
gives it the service's tuning; without, BentoML is as it comes, on asyncio's own loop and uvicorn's
pure-Python parser.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from pathlib import Path
from typing import Any

TUNED = os.environ.get("EMPTY_TUNED") == "1"
if not TUNED:
    # uvicorn takes them if it finds them.
    sys.modules.update(dict.fromkeys(("uvloop", "httptools")))

os.environ["BENTOML_DO_NOT_TRACK"] = "True"

import bentoml  # noqa: E402  after the variables above
from starlette.requests import Request  # noqa: E402
from starlette.responses import Response  # noqa: E402

from serving.audit import AuditLog  # noqa: E402
from serving.bento import adapt  # noqa: E402
from serving.counters import Counters  # noqa: E402
from serving.edge import Edge, Inside  # noqa: E402
from serving.guard import Guard  # noqa: E402

__all__ = ["Empty"]

REPLY = Path(os.environ["EMPTY_REPLY"]).read_bytes() if "EMPTY_REPLY" in os.environ else b"{}"
CONTENT: dict[str, Any] = json.loads(REPLY)
KIND = os.environ.get("EMPTY_KIND", "native")

if TUNED:
    adapt()


class Arrived:
    """The body, as BentoML hands it on."""

    model_fields = ("body",)

    def __init__(self, body: bytes) -> None:
        self.body = body


class Body(bentoml.IODescriptor):  # type: ignore[misc]
    """A body that is read and not looked at."""

    patients: list[dict[str, Any]]

    @classmethod
    async def from_http_request(cls, request: Request, serde: object) -> Arrived:
        """Read the request."""
        del serde
        return Arrived(await request.body())


class Anything(bentoml.IODescriptor):  # type: ignore[misc]
    """Any answer."""

    model: dict[str, Any]


class Native:
    """Reads and answers as BentoML does."""

    @bentoml.api(route="/v1/predict")
    async def predict(self, patients: list[dict[str, Any]]) -> dict[str, Any]:
        """Answer."""
        return CONTENT


class Bytes:
    """Reads and answers bytes."""

    @bentoml.api(route="/v1/predict", input_spec=Body, output_spec=Anything)
    async def predict(self, body: bytes) -> Response:
        """Answer."""
        return Response(REPLY, 200, media_type="application/json")


@bentoml.service(http={"host": "127.0.0.1"}, workers=1, logging={"access": {"enabled": not TUNED}})
class Empty(Native if KIND == "native" else Bytes):  # type: ignore[misc]
    """Answers the same, whatever is asked."""

    def __init__(self) -> None:
        if TUNED:
            gc.collect()
            gc.freeze()


Empty.add_asgi_middleware(
    Edge, guard=Guard.from_environment(), counters=Counters(), audit=AuditLog()
)
Empty.add_asgi_middleware(Inside)
