"""Baton's exceptions: one class for each code of its Status."""

from __future__ import annotations

import enum


class StatusCode(enum.IntEnum):
    """What went wrong, with Abseil's numbers."""

    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class Error(Exception):
    """Whatever Baton reports. `code` says what kind; the message names value, limit and remedy."""

    code: StatusCode = StatusCode.UNKNOWN

    def __str__(self) -> str:  # KeyError would quote it
        return str(self.args[0]) if self.args else ""


class InvalidArgument(Error, ValueError):
    """The caller passed something that can never work."""

    code = StatusCode.INVALID_ARGUMENT


class FailedPrecondition(Error, RuntimeError):
    """Right call, wrong moment or wrong role; also: closed, or forked."""

    code = StatusCode.FAILED_PRECONDITION


class ResourceExhausted(Error, MemoryError):
    """It can't fit now, or never; the message says which."""

    code = StatusCode.RESOURCE_EXHAUSTED


class Unavailable(Error, ConnectionError):
    """The peer or the proxy isn't there; trying later may help."""

    code = StatusCode.UNAVAILABLE


class DeadlineExceeded(Error, TimeoutError):
    """A time limit passed; the message names which and how long."""

    code = StatusCode.DEADLINE_EXCEEDED


class DataLoss(Error):
    """Bytes were not what they should have been."""

    code = StatusCode.DATA_LOSS


class Aborted(Error):
    """The request failed."""

    code = StatusCode.ABORTED


class Cancelled(Error):
    """The request was cancelled, or its backend closed."""

    code = StatusCode.CANCELLED


class NotFound(Error, KeyError):
    """No such request or chunk."""

    code = StatusCode.NOT_FOUND


class PermissionDenied(Error, PermissionError):
    """The peer's key does not allow it."""

    code = StatusCode.PERMISSION_DENIED


class Unimplemented(Error, NotImplementedError):
    """The peer, or this build, can't do it."""

    code = StatusCode.UNIMPLEMENTED


class Internal(Error):
    """A bug of Baton's, or a system call that never fails failed."""

    code = StatusCode.INTERNAL


_CLASSES: dict[int, type[Error]] = {
    int(cls.code): cls
    for cls in (
        InvalidArgument, FailedPrecondition, ResourceExhausted, Unavailable, DeadlineExceeded,
        DataLoss, Aborted, Cancelled, NotFound, PermissionDenied, Unimplemented, Internal,
    )
}


def error_of(code: int, message: str) -> Error:
    """The exception for a Status. The extension module calls it."""
    cls = _CLASSES.get(code)
    if cls is not None:
        return cls(message)
    error = Error(message)
    error.code = StatusCode(code)
    return error
