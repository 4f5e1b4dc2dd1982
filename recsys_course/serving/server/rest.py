"""REST: predictions, status and metadata where TensorFlow Serving has them; beside them health, metrics, the page."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from recsys_course.serving.server import json_tensors, protos
from recsys_course.serving.server.errors import Code, RequestError
from recsys_course.serving.server.openapi import describe
from recsys_course.serving.server.repository import State
from recsys_course.serving.server.service import Service

PAGE = Path(__file__).parent / "page"
NOTHING_FOREIGN = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_NUMBER = re.compile(r"[0-9]{1,18}")
_Handler = Callable[..., Awaitable[Response]]


def application(service: Service) -> Starlette:
    """The routes. Errors are `{"error": "..."}` with a fitting status, whatever a client sends."""
    api = _Api(service)
    register_url_convertor("part", _Part())
    one, versioned = "/v1/models/{name:part}", "/v1/models/{name:part}/versions/{version:part}"
    routes: list[BaseRoute] = [Route(f"{path}:predict", api.predict, methods=["POST"]) for path in (one, versioned)]
    routes += [Route(f"{path}/metadata", api.metadata) for path in (one, versioned)]
    routes += [Route(path, api.status) for path in (one, versioned)]
    routes += [Route(path, api.metrics) for path in ("/metrics", "/monitoring/prometheus/metrics")]
    routes += [
        Route("/healthz", api.health),
        Route("/readyz", api.ready),
        Route("/openapi.json", api.openapi),
        Route("/", api.page),
        Route("/page/models.json", api.models),
        Route("/page/models/{name}/catalogue.json", api.catalogue),
        Mount("/page", StaticFiles(directory=PAGE)),
    ]
    handlers: dict[type[Exception], _Handler] = {RequestError: _refused, HTTPException: _http_error, Exception: _fault}
    return Starlette(routes=routes, exception_handlers=handlers)


class _Part(StringConvertor):
    """What stands between two slashes, up to the colon before a verb."""

    regex = "[^/:]+"


class _Api:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def predict(self, request: Request) -> Response:
        service, (name, number) = self._service, _which(request)
        with service.request("rest", name):
            body = await self._body(request)
            version = service.repository.find(name, number)
            signature, inputs, by_row = json_tensors.decode(body, version.servable.signature)
            outputs = await service.predict(version, signature, inputs, service.settings.deadline)
            return Response(json_tensors.encode(outputs, by_row), media_type="application/json")

    async def status(self, request: Request) -> Response:
        return JSONResponse(protos.as_json(protos.status(self._service.repository.versions(*_which(request)))))

    async def metadata(self, request: Request) -> Response:
        name, number = _which(request)
        version = self._service.repository.find(name, number)
        signatures = protos.as_json(protos.signature_map(version))
        spec = protos.as_json(protos.model_spec(name, version))
        return JSONResponse({"model_spec": spec, "metadata": {"signature_def": signatures}})

    async def health(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(self, request: Request) -> Response:
        ready = self._service.repository.ready and not self._service.stopping
        return JSONResponse({"ready": ready}, 200 if ready else 503)

    async def metrics(self, request: Request) -> Response:
        return Response(generate_latest(self._service.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    async def openapi(self, request: Request) -> Response:
        return JSONResponse(describe(self._service.repository))

    async def page(self, request: Request) -> Response:
        return FileResponse(PAGE / "index.html", headers={"content-security-policy": NOTHING_FOREIGN})

    async def models(self, request: Request) -> Response:
        """What the page can show: every model that answers."""
        found = []
        for name in sorted(self._service.repository.models):
            versions = self._service.repository.versions(name)
            answering = [version for version in versions if version.state == State.AVAILABLE]
            if answering:
                servable, numbers = answering[0].servable, [version.number for version in answering]
                described = {"catalogue": servable.catalogue is not None, "signatures": sorted(servable.signatures)}
                found.append({"name": name, "versions": numbers} | described)
        return JSONResponse(found)

    async def catalogue(self, request: Request) -> Response:
        servable = self._service.repository.find(request.path_params["name"]).servable
        if servable.catalogue is None:
            raise HTTPException(404, "This model has no catalogue for the page")
        return Response(servable.catalogue, media_type="application/json")

    async def _body(self, request: Request) -> bytes:
        """The whole body, if it is neither too long nor too long in coming.

        What is too long is read to its end, within reason, and thrown away: a client that is still sending when the
        connection closes never sees the answer.
        """
        limit, parts, size = self._service.settings.max_body_bytes, [], 0
        try:
            async with asyncio.timeout(self._service.settings.idle):
                async for part in request.stream():
                    size += len(part)
                    if size <= limit:
                        parts.append(part)
                    elif size > 64 * limit:
                        break
        except TimeoutError:
            raise HTTPException(408, "The body did not come in time", {"connection": "close"}) from None
        except ClientDisconnect:
            raise HTTPException(400, "The connection closed before the body was whole") from None
        if size > limit:
            raise HTTPException(413, f"The body may have {limit} bytes: send fewer rows at a time")
        return b"".join(parts)


def _which(request: Request) -> tuple[str, int | None]:
    """Model and version of a path."""
    name, version = request.path_params["name"], request.path_params.get("version")
    if version is None:
        return name, None
    if not _NUMBER.fullmatch(version):
        raise RequestError(Code.NOT_FOUND, f"A version is a number, but got {version[:40]!r}")
    return name, int(version)


def _error(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse({"error": message}, status, headers)


async def _refused(request: Request, error: RequestError) -> Response:
    return _error(error.code.value, error.message)


async def _http_error(request: Request, error: HTTPException) -> Response:
    return _error(error.status_code, error.detail, error.headers)


async def _fault(request: Request, error: Exception) -> Response:
    """A fault of ours: its traceback goes to the server's log, never to a client."""
    return _error(500, "Internal error; the server's log says more")
