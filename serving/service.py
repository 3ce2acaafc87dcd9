"""The BentoML service: ``bentoml serve serving.service:RiskScore`` from the checkout's root.

The science and the checks are `riskscore`'s; BentoML runs the processes, its metrics, its traces
and the probes. No error of ours travels through BentoML as an exception: it would log a traceback,
patients' values included.

Settings, all of the environment:

=============================  ===================================================================
`RISKSCORE_MODELS`             what is served and nothing else: directories of bundles or ids of
                               shipped models, separated by colons, the first being the default;
                               each may be pinned, ``DIR@sha256:...``; every shipped model without
`RISKSCORE_TOKENS_FILE`        hashed tokens (`serving.tokens`); without, loopback alone is served
`RISKSCORE_WITHDRAWN_FILE`     models that are withdrawn (`serving.withdraw`)
`RISKSCORE_REQUIRE_APPROVED`   1: only models with an approving review
`RISKSCORE_WORKERS`            processes that answer, 1 to 256; 1 by default
`RISKSCORE_TIMEOUT`            seconds a request may take until its answer begins; 30 by default
=============================  ===================================================================

Any other variable that begins with RISKSCORE_ is refused, but for those of Kubernetes.

TLS is BentoML's: ``--ssl-certfile``, ``--ssl-keyfile``, and ``--ssl-ca-certs`` with
``--ssl-cert-reqs 2`` to ask clients for certificates. Traces are BentoML's too: a file that
`BENTOML_CONFIG` names, with ``services: {RiskScore: {tracing: {exporter_type: otlp, sample_rate:
1.0, otlp: {protocol: http, endpoint: ...}}}}``, and the extra ``bentoml[tracing-otlp]``. They hold
routes and durations, no path, query or body. Limits on the rate of requests and on slow connections
are the proxy's in front.

Another interface (FHIR, a page) mounts beside ``/v1`` with ``@bentoml.asgi_app``: tokens, headers,
errors and audit cover it without its doing.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
from collections.abc import Callable, Generator
from typing import Any, cast

# BentoML reports each start to its makers unless this is set, and its command line has read (and
# cached) the variable before it imports this module.
os.environ["BENTOML_DO_NOT_TRACK"] = "True"

import bentoml
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from riskscore.errors import RiskscoreError
from serving.audit import AuditLog, Facts, told
from serving.bento import (
    VersionError,
    adapt,
    bound_host,
    check_port,
    forget_tracking,
    stop_supervisor,
)
from serving.catalogue import Catalogue
from serving.connection import BoundedProtocol
from serving.counters import Counters
from serving.edge import FACTS, Edge, Inside, Receive
from serving.guard import ExposedError, Guard
from serving.metric_files import reserve
from serving.models import Models
from serving.openapi import document
from serving.page import POLICY, page
from serving.predict import fault, responding
from serving.problems import Refusal, Reply, json_reply, problem_reply
from serving.request import Arriving, PredictRequest, check_headers, parse_predict
from serving.settings import SettingError, check_names, seconds, workers
from serving.work import AT_ONCE, Work, finished, wanted, weigh

reserve()

__all__ = ["RiskScore"]

LOOK_SECONDS = 1.0
"""Between two looks at the models' files."""

logger = logging.getLogger("bentoml.riskscore")

try:
    adapt()
    forget_tracking()
    check_names()
    WORKERS, TIMEOUT = workers(), seconds()
except (SettingError, VersionError) as error:
    # BentoML's command line prints this one without a traceback.
    raise bentoml.exceptions.BentoMLException(str(error)) from None

guard = Guard.from_environment()
counters = Counters()
audit = AuditLog(counters.lost)
arriving = Arriving()
work = Work()


class Arrived:
    """What came in, as BentoML hands it to `predict`: a request or its refusal, and its facts.

    BentoML passes on the attributes that `model_fields` names.
    """

    model_fields = ("arrived", "facts", "receive")

    def __init__(self, arrived: PredictRequest | Reply, facts: Facts, receive: Receive) -> None:
        self.arrived = arrived
        self.facts = facts
        self.receive = receive


class PredictBody(bentoml.IODescriptor):  # type: ignore[misc]  # BentoML's base is untyped
    """The body of ``POST /v1/predict``: for BentoML's clients, it checks nothing."""

    patients: list[dict[str, Any]]
    times: list[float] | None = None
    model: str | None = None
    compare: bool | None = None
    explain: bool | float | None = None

    @classmethod
    async def from_http_request(cls, request: Request, serde: object) -> Arrived:
        """Read the request ourselves; BentoML's reading takes NaN, any size and any key."""
        del serde
        headers = request.headers
        facts = request.scope.get(FACTS) or Facts("")
        try:
            check_headers(headers.get("content-type", ""), headers.get("content-encoding", ""))
            declared = headers.get("content-length", "")
            body = await arriving.read(request.stream(), declared, facts.token)
            small = len(body) <= AT_ONCE
            arrived = (
                parse_predict(body)
                if small
                else await work.run(_parsing(body), len(body), facts.token)
            )
            return Arrived(arrived, facts, request.receive)
        except Refusal as refusal:
            facts.refusal = refusal
        except ClientDisconnect:
            remedy = "send it again"
            gone = Refusal.of("unreadable-body", "body", "must arrive whole", None, remedy)
            facts.refusal = gone
        except Exception as error:
            return Arrived(fault(error, facts), facts, request.receive)
        return Arrived(problem_reply(facts.refusal), facts, request.receive)


class PredictAnswer(bentoml.IODescriptor):  # type: ignore[misc]  # BentoML's base is untyped
    """The answer to ``POST /v1/predict``."""

    model: dict[str, Any]
    times: list[float]
    predictions: list[dict[str, Any]]


class Loaded:
    """The models of this process; None until every one has answered its self-test."""

    models: Models | None = None
    openapi: Reply | None = None
    page: Reply | None = None
    reviews: tuple[str, str] = ("", "")

    @classmethod
    async def keep(cls) -> None:
        """Load the models, then look again and again whether they are still the same.

        All beside the event loop, so that the probes answer meanwhile.
        """
        catalogue, said = Catalogue(), ""
        changed: Models | None = None
        while True:
            try:
                if cls.models is None:
                    await asyncio.to_thread(cls._begin, catalogue)
                else:
                    # What could not be taken the last time is not told again.
                    changed = await asyncio.to_thread(catalogue.look) or changed
                    if changed is not None:
                        await asyncio.to_thread(cls._take, changed)
                        changed = None
            except Exception as error:
                # Damaged since the supervisor looked, say. To end would only start the next worker.
                text = str(error) if isinstance(error, RiskscoreError) else told(error)
                if said != text:
                    said = text
                    logger.error("%s: %s", "not ready" if cls.models is None else "models", text)
            await asyncio.sleep(LOOK_SECONDS)

    @classmethod
    def _begin(cls, catalogue: Catalogue) -> None:
        """Load and try every model, and keep what was made out of later garbage collections."""
        cls._take(catalogue.load())
        gc.collect()
        gc.freeze()

    @classmethod
    def _take(cls, models: Models) -> None:
        """Answer with these models from the next request on."""
        counters.serve([(model, models.review(model.manifest.id).status) for model in models])
        cls.openapi, cls.page = json_reply(document(models)), page(models)
        cls.reviews = (models.statuses(), models.reviews())
        cls.models = models

    @classmethod
    def told(cls, named: bool) -> str:
        """Return the header RiskScore-Review of an answer that is not about one model."""
        return cls.reviews[named]

    @classmethod
    def ready(cls) -> Models:
        """Return the models, or raise `Refusal` (503) while there are none."""
        if cls.models is None:
            remedy = "try again in a moment; GET /readyz tells when"
            raise Refusal.of("unavailable", "service", "is still starting", None, remedy)
        return cls.models


def _answers(make: Callable[[Models, Request], Reply]) -> Any:
    """Make an endpoint of a function from models and request to a reply."""

    async def endpoint(request: Request) -> Response:
        try:
            models = Loaded.ready()
            if named := request.path_params.get("id"):
                model = models.get(named)
                request.scope[FACTS].review = models.reviews(model.manifest.id)
            return _response(make(models, request))
        except Refusal as refusal:
            request.scope[FACTS].refusal = refusal
            return _response(problem_reply(refusal))

    return endpoint


def _openapi(_: Models, __: Request) -> Reply:
    assert Loaded.openapi is not None  # made before the models are there
    return Loaded.openapi


def _page(_: Models, __: Request) -> Reply:
    assert Loaded.page is not None
    return Loaded.page


def _get(path: str, make: Callable[[Models, Request], Reply]) -> Route:
    return Route(path, _answers(make), methods=["GET"])


# Routes that BentoML's own API cannot express (it knows POST alone) are mounted beside it.
beside_predict = Starlette(
    routes=[
        _get("/models", lambda models, _: json_reply(models.listing())),
        _get("/models/{id:path}/card", lambda m, request: m.card(request.path_params["id"])),
        _get(
            "/models/{id:path}",
            lambda models, request: json_reply(models.detail(request.path_params["id"])),
        ),
    ]
)

# Before BentoML's own page, and its document at another address.
documentation = Starlette(
    routes=[_get("/", _page), _get("/openapi.json", _openapi), _get("/docs.json", _openapi)]
)


@bentoml.service(
    # BentoML listens on every interface by default.
    http={"host": "127.0.0.1", "port": 3000},
    # BentoML's access log prints the path as it was sent, which may hold anything, line ends
    # included; `AuditLog` takes its place.
    logging={"access": {"enabled": False}},
    traffic={"timeout": TIMEOUT},
    workers=WORKERS,
    # For the worker processes and a built Bento.
    envs=[{"name": "BENTOML_DO_NOT_TRACK", "value": "True"}],
)
@bentoml.asgi_app(beside_predict, path="/v1")
@bentoml.asgi_app(documentation, path="/")
class RiskScore:
    """Survival predictions from checked bundles."""

    def __init__(self) -> None:
        try:
            guard.check_start()
        except ExposedError as error:
            logger.error("%s", error)
            # A worker that only fails is started again and again.
            stop_supervisor()
            raise SystemExit(1) from None
        except RiskscoreError as error:
            # The file of tokens has become unreadable since the supervisor looked; nobody is let
            # in until it is mended.
            logger.error("%s", error)

    @bentoml.on_startup  # type: ignore[untyped-decorator]
    def begin_loading(self) -> None:
        """Load the models, and keep looking at them."""
        self.keeping = asyncio.get_running_loop().create_task(Loaded.keep())

    async def __is_ready__(self) -> bool:
        """Whether every model has answered its self-test."""
        return Loaded.models is not None

    @bentoml.on_deployment  # type: ignore[untyped-decorator]
    @staticmethod
    def check_before_start() -> None:
        """Refuse to start, before there is a worker, where a worker could only fail."""
        try:
            guard.check_start(bound_host())
            check_port()
            Catalogue().load()
        except RiskscoreError as error:
            raise bentoml.exceptions.BentoMLException(str(error)) from error

    @bentoml.api(  # type: ignore[untyped-decorator]
        route="/v1/predict", input_spec=PredictBody, output_spec=PredictAnswer
    )
    async def predict(
        self, arrived: PredictRequest | Reply, facts: Facts, receive: Receive
    ) -> Response:
        """Predict survival for one patient or up to 1,000."""
        if isinstance(arrived, Reply):
            return _response(arrived)
        try:
            models = Loaded.ready()
            weight = weigh(models.get(arrived.model), arrived) * len(arrived.patients)
            steps = responding(models, arrived, facts, counters.predicted)
            if weight <= AT_ONCE:
                return _response(finished(steps))
            return _response(await wanted(work.run(steps, weight, facts.token), receive))
        except Refusal as refusal:
            facts.refusal = refusal
            return _response(problem_reply(refusal))


# The decorator has made a service of the class, which its untyped signature does not say.
service = cast(Any, RiskScore)
service.add_asgi_middleware(Edge, guard=guard, counters=counters, audit=audit, reviews=Loaded.told)
service.add_asgi_middleware(Inside)


def _observe(facts: Facts) -> None:
    """Count and note a request that could not be read."""
    counters.finished(facts)
    audit.write(facts.to_dict())


BoundedProtocol.observe = staticmethod(_observe)
BoundedProtocol.reviews = staticmethod(Loaded.told)


def _parsing(body: bytes) -> Generator[None, None, PredictRequest]:
    """Read a body, as work in one step."""
    yield from ()
    return parse_predict(body)


def _response(reply: Reply) -> Response:
    headers = {"Content-Security-Policy": POLICY} if reply is Loaded.page else None
    return Response(reply.body, reply.status, headers, media_type=reply.media_type)
