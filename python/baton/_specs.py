"""Where puts go: plain data."""

from __future__ import annotations

import dataclasses
from typing import Optional, Protocol, Sequence


class DisaggSpec(Protocol):
    """What Baton asks of a specification; LMCache's has it."""

    @property
    def req_id(self) -> str: ...
    @property
    def receiver_host(self) -> str: ...
    @property
    def receiver_init_port(self) -> Sequence[int]: ...
    @property
    def receiver_alloc_port(self) -> Sequence[int]: ...
    @property
    def is_last_prefill(self) -> bool: ...


@dataclasses.dataclass
class TransferSpec:
    """Where one put goes, and what it is part of: LMCache's disagg_spec.

    Wherever Baton takes one, any object with these attributes will do.
    """

    req_id: str
    receiver_host: str = "127.0.0.1"
    #: One port a rank; indexed by the sender's worker_id.
    receiver_init_port: Sequence[int] = ()
    receiver_alloc_port: Sequence[int] = ()
    receiver_query_port: Sequence[int] = ()
    #: This put is the request's last: when all are committed, the proxy is told.
    is_last_prefill: bool = False
    #: LMCache counts tokens here; Baton does not use it.
    num_transferred_tokens: int = 0
    #: Chunks of the whole request; needed unless the request was opened or this put is all of it.
    total_chunks: int = 0
    #: A nonce that tells retries of one req_id apart, the same on all ranks. Needed in TP groups.
    attempt: int = 0
    #: How long the put may take, in seconds; pd_put_timeout_ms if None.
    timeout_sec: Optional[float] = None
