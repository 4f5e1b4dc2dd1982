"""One kind of error for both protocols: a request that cannot be answered, and why."""

from __future__ import annotations

from enum import Enum


class Code(Enum):
    """What went wrong, by gRPC's name for it; the value is the HTTP status that TensorFlow Serving gives it."""

    INVALID_ARGUMENT = 400
    NOT_FOUND = 404
    RESOURCE_EXHAUSTED = 429
    UNIMPLEMENTED = 501
    UNAVAILABLE = 503
    DEADLINE_EXCEEDED = 504


class RequestError(Exception):
    """A request that cannot be answered.

    Attributes:
        code: what went wrong.
        message: what was expected, what came, what to do.
    """

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def invalid(message: str) -> RequestError:
    """The request itself is wrong."""
    return RequestError(Code.INVALID_ARGUMENT, message)


class CannotStart(Exception):
    """The server cannot start; the message says why and what to do, in one line."""
