"""An endpoint that answers nothing but the bytes it was given: what BentoML itself costs.

`EMPTY_TUNED=1` gives it the service's middleware and tuning; without, BentoML is as it comes, on
asyncio's own loop and uvicorn's pure-Python parser.
"""

from __future__ import annotations

import gc
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

__all__ = ["Empty"]

REPLY = Path(os.environ["EMPTY_REPLY"]).read_bytes() if "EMPTY_REPLY" in os.environ else b"{}"


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


@bentoml.service(http={"host": "127.0.0.1"}, workers=1, logging={"access": {"enabled": not TUNED}})
class Empty:
    """Answers the same bytes, whatever is asked."""

    def __init__(self) -> None:
        if TUNED:
            gc.collect()
            gc.freeze()

    @bentoml.api(route="/v1/predict", input_spec=Body, output_spec=Anything)
    async def predict(self, body: bytes) -> Response:
        """Answer."""
        return Response(REPLY, 200, media_type="application/json")


if TUNED:
    from serving.audit import AuditLog
    from serving.bento import adapt
    from serving.counters import Counters
    from serving.edge import Edge, Inside
    from serving.guard import Guard

    adapt()
    Empty.add_asgi_middleware(
        Edge, guard=Guard.from_environment(), counters=Counters(), audit=AuditLog()
    )
    Empty.add_asgi_middleware(Inside)
