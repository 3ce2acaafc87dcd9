"""The BentoML service: ``bentoml serve serving.service:RiskScore`` from the checkout's root.

Set `RISKSCORE_MODELS` to serve bundles of your own. The science and the checks are `riskscore`'s;
BentoML runs the processes, the metrics and the probes. No error of ours travels through BentoML as
an exception: it would log a traceback, patients' values included.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any, cast

# BentoML reports each start to its makers unless this is set, and its command line has read (and
# cached) the variable before it imports this module.
os.environ["BENTOML_DO_NOT_TRACK"] = "True"

import bentoml
from bentoml._internal.utils.analytics import usage_stats
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from riskscore import BundleError
from serving.edge import Edge
from serving.models import Models
from serving.predict import fault, respond
from serving.problems import Refusal, Reply, json_reply, problem_reply
from serving.request import PredictRequest, check_headers, parse_predict, read_body

usage_stats.do_not_track.cache_clear()

__all__ = ["RiskScore"]

LARGE_BODY = 4096
"""Bytes from which a request is worked on beside the event loop: some twenty patients."""


class Arrived:
    """What came in, as BentoML hands it to `predict`: a request, or the refusal of one.

    BentoML passes on the attributes that `model_fields` names.
    """

    model_fields = ("arrived",)

    def __init__(self, arrived: PredictRequest | Reply) -> None:
        self.arrived = arrived


class PredictBody(bentoml.IODescriptor):  # type: ignore[misc]  # BentoML's base is untyped
    """The body of ``POST /v1/predict``: for its documentation and clients, it checks nothing."""

    patients: list[dict[str, Any]]
    times: list[float] | None = None
    model: str | None = None

    @classmethod
    async def from_http_request(cls, request: Request, serde: object) -> Arrived:
        """Read the request ourselves; BentoML's reading takes NaN, any size and any key."""
        del serde
        headers = request.headers
        try:
            check_headers(headers.get("content-type", ""), headers.get("content-encoding", ""))
            body = await read_body(request.stream(), headers.get("content-length", ""))
            return Arrived(await _beside(len(body), parse_predict, body))
        except Refusal as refusal:
            return Arrived(problem_reply(refusal))
        except ClientDisconnect:
            remedy = "send it again"
            gone = Refusal.of("unreadable-body", "body", "must arrive whole", None, remedy)
            return Arrived(problem_reply(gone))
        except Exception as error:
            return Arrived(fault(error))


class PredictAnswer(bentoml.IODescriptor):  # type: ignore[misc]  # BentoML's base is untyped
    """The answer to ``POST /v1/predict``."""

    model: dict[str, Any]
    times: list[float]
    predictions: list[dict[str, Any]]


async def list_models(request: Request) -> Response:
    """Answer ``GET /v1/models``."""
    return _response(json_reply(request.app.state.models.listing()))


# Routes that BentoML's own API cannot express (it knows POST alone) are mounted beside it.
beside_predict = Starlette(routes=[Route("/models", list_models, methods=["GET"])])


@bentoml.service(
    # BentoML listens on every interface by default.
    http={"host": "127.0.0.1", "port": 3000},
    # The access log decodes this header as UTF-8, whatever its bytes, and fails on others.
    logging={"access": {"request_content_type": False}},
    # For the worker processes and a built Bento.
    envs=[{"name": "BENTOML_DO_NOT_TRACK", "value": "True"}],
)
@bentoml.asgi_app(beside_predict, path="/v1")
class RiskScore:
    """Survival predictions from checked bundles."""

    def __init__(self) -> None:
        self.models = Models.from_environment()
        beside_predict.state.models = self.models

    @bentoml.on_deployment  # type: ignore[untyped-decorator]
    @staticmethod
    def check_bundles() -> None:
        """Load every bundle once before a worker starts, and refuse to start if one is damaged.

        In a worker the same error would only make the supervisor start the next worker.
        """
        try:
            Models.from_environment()
        except BundleError as error:
            raise bentoml.exceptions.BentoMLException(str(error)) from error

    @bentoml.api(  # type: ignore[untyped-decorator]
        route="/v1/predict", input_spec=PredictBody, output_spec=PredictAnswer
    )
    async def predict(self, arrived: PredictRequest | Reply) -> Response:
        """Predict survival for one patient or up to 1,000."""
        if isinstance(arrived, Reply):
            return _response(arrived)
        return _response(await _beside(arrived.size, respond, self.models, arrived))


# The decorator has made a service of the class, which its untyped signature does not say.
cast(Any, RiskScore).add_asgi_middleware(Edge)


async def _beside(size: int, function: Any, *arguments: Any) -> Any:
    """Run a function, in a thread if there is much to do: a large request holds up no small one."""
    if size < LARGE_BODY:
        return function(*arguments)
    return await asyncio.to_thread(function, *arguments)


def _response(reply: Reply) -> Response:
    return Response(reply.body, reply.status, media_type=reply.media_type)
