"""Baton hands the KV cache of an LLM request from prefill to decode by one-sided writes.

PDBackend has the method names and keywords of LMCache's; baton.lmcache is a storage plug-in for
LMCache. Shapes are in elements, sizes in bytes, times in seconds unless a name ends in _ms.
"""

from ._backend import PDBackend
from ._baton import (
    BackendStats,
    CacheEngineKey,
    CacheLayout,
    Claim,
    DType,
    MemoryFormat,
    MemoryObj,
    Options,
    PutStats,
    ReadResult,
    RequestHandle,
    TensorMeta,
)
from ._errors import (
    Aborted,
    Cancelled,
    DataLoss,
    DeadlineExceeded,
    Error,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    StatusCode,
    Unavailable,
    Unimplemented,
)
from ._puts import PutHandle
from ._specs import TransferSpec

__all__ = [
    "Aborted",
    "BackendStats",
    "CacheEngineKey",
    "CacheLayout",
    "Cancelled",
    "Claim",
    "DType",
    "DataLoss",
    "DeadlineExceeded",
    "Error",
    "FailedPrecondition",
    "Internal",
    "InvalidArgument",
    "MemoryFormat",
    "MemoryObj",
    "NotFound",
    "Options",
    "PDBackend",
    "PermissionDenied",
    "PutHandle",
    "PutStats",
    "ReadResult",
    "RequestHandle",
    "ResourceExhausted",
    "StatusCode",
    "TensorMeta",
    "TransferSpec",
    "Unavailable",
    "Unimplemented",
]
