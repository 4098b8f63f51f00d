"""The sender's half of the plug-in: requests that wait for admission, puts that wait for them.

Two kinds of threads, so that nobody who holds pages waits for who wants some: openers wait for
admission, and only for that; the copier fills staging pages and submits puts, and never waits.
"""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import hashlib
import logging
import threading
import time
from typing import Any, Callable, Dict, List, Optional, Sequence

from . import _backend
from ._baton import CacheEngineKey, MemoryObj, RequestHandle
from ._errors import Cancelled, FailedPrecondition, InvalidArgument, ResourceExhausted
from ._specs import TransferSpec

_log = logging.getLogger("baton.lmcache")

OPENERS = 8

#: Requests remembered as broken, see Requests._broken.
BROKEN_REQUESTS = 16384

BytesOf = Callable[[Any, int], memoryview]


@dataclasses.dataclass
class _Put:
    keys: List[CacheEngineKey]
    objs: List[Any]
    bytes_of: BytesOf
    spec: TransferSpec
    callback: Optional[Callable[[CacheEngineKey], object]]
    future: "concurrent.futures.Future[int]"
    held: bool = True  # LMCache's references are ours

    def release(self) -> None:
        """Gives LMCache's objects back, once."""
        if self.held:
            self.held = False
            for obj in self.objs:
                if not isinstance(obj, MemoryObj):
                    obj.ref_count_down()


class _Request:
    """One request: at first its puts are parked, then it is open, or has failed."""

    def __init__(self) -> None:
        self.parked: List[_Put] = []
        self.handle: Optional[RequestHandle] = None
        self.puts = 0  # under way
        self.used = time.monotonic()
        self.last_seen = False  # the request's last put was made


class Requests:
    """Threads: any."""

    def __init__(self, backend: _backend.PDBackend) -> None:
        self._backend = backend
        self._lock = threading.Lock()
        self._requests: Dict[str, _Request] = {}
        # Requests of which a put is lost and the last has not come yet, oldest first: what is left
        # of them must not pass for the whole. At most BROKEN_REQUESTS.
        self._broken: Dict[str, None] = {}
        self._keys: collections.Counter[CacheEngineKey] = collections.Counter()
        self._puts = 0
        self._closed = False
        self._openers = concurrent.futures.ThreadPoolExecutor(OPENERS, "baton-lmcache-open")
        self._copier = concurrent.futures.ThreadPoolExecutor(1, "baton-lmcache-copy")

    def under_way(self, key: CacheEngineKey) -> bool:
        self._backend._check_not_forked()
        with self._lock:
            return key in self._keys

    def put(self, keys: List[CacheEngineKey], objs: Sequence[Any], bytes_of: BytesOf, spec: Any,
            callback: Optional[Callable[[CacheEngineKey], object]]
            ) -> "concurrent.futures.Future[int]":
        """The first put of a request opens it; those that come meanwhile are parked.

        Once a put of a request is lost, those that follow fail, up to its last one.
        """
        self._backend._check_not_forked()
        put = _Put(keys, list(objs), bytes_of, self._spec_of(spec), callback,
                   concurrent.futures.Future())
        put.future.set_running_or_notify_cancel()
        req_id, is_last = put.spec.req_id, put.spec.is_last_prefill
        with self._lock:
            if self._closed:
                raise FailedPrecondition("the backend is closed")
            self._forget_idle()
            if req_id in self._broken:
                if is_last:
                    del self._broken[req_id]
                put.held = False  # nothing was taken yet
                put.future.set_exception(FailedPrecondition(
                    f"request {req_id} failed before: puts of it were lost, and none is sent up to "
                    "its last; try it again under another req_id"))
                return put.future
            if self._puts < self._backend.options.pd_max_puts:
                self._accept(put)
                return put.future
            full = ResourceExhausted(f"{self._puts} puts are under way, the limit is pd_max_puts; "
                                     f"request {req_id} fails")
            broken = self._take(req_id, is_last)
        self._give_back(req_id, broken, full)
        raise full

    def _accept(self, put: _Put) -> None:
        """Locked."""
        req_id = put.spec.req_id
        request = self._requests.get(req_id)
        is_new = request is None
        if request is None:
            request = self._requests[req_id] = _Request()
            if put.spec.total_chunks == 0 and put.spec.is_last_prefill:
                put.spec.total_chunks = len(put.keys)  # This put is all of it.
        for obj in put.objs:
            if not isinstance(obj, MemoryObj):
                obj.ref_count_up()
        self._puts += 1
        self._keys.update(put.keys)
        request.puts += 1
        request.used = time.monotonic()
        request.last_seen |= put.spec.is_last_prefill
        if request.handle is not None:
            self._copier.submit(self._copy_and_submit, request, put)
        else:
            request.parked.append(put)
        if is_new:
            self._openers.submit(self._open, request, put)

    def cancel(self, req_id: str) -> None:
        self._backend.cancel_request(req_id)
        self._drop(req_id, None, Cancelled(f"request {req_id} was cancelled"))

    def close(self) -> None:
        with self._lock:
            self._closed = True
            names = list(self._requests)
        for name in names:
            self._drop(name, None, Cancelled("the backend closes"))
        self._backend.close()  # Ends what the threads wait for.
        self._openers.shutdown(cancel_futures=False)
        self._copier.shutdown(cancel_futures=False)

    def _spec_of(self, spec: Any) -> TransferSpec:
        """LMCache's specification, with what Baton wants besides."""
        fields = {field.name: getattr(spec, field.name) for field in dataclasses.fields(TransferSpec)
                  if getattr(spec, field.name, None) is not None}
        known = TransferSpec(**fields)
        if known.attempt == 0 and self._backend.layout.world_size > 1:
            # LMCache's ranks share the req_id, and nothing else: make the nonce of it.
            digest = hashlib.blake2b(known.req_id.encode(), digest_size=8).digest()
            known.attempt = int.from_bytes(digest, "big") or 1
        return known

    def _open(self, request: _Request, first: _Put) -> None:
        spec = first.spec
        whole = spec.is_last_prefill and spec.total_chunks == len(first.keys)
        try:
            if spec.total_chunks == 0:
                raise InvalidArgument(
                    f"request {spec.req_id} has several puts, and its first says no total_chunks: "
                    "the request can't be admitted whole; say total_chunks in each transfer_spec")
            handle = self._backend.open_request(spec, first.keys if whole else ())
        except BaseException as error:
            self._drop(spec.req_id, request, error)
            return
        with self._lock:
            # In the order in which they came: the copier is one thread.
            if self._requests.get(spec.req_id) is request:
                request.handle = handle
                for put in request.parked:
                    self._copier.submit(self._copy_and_submit, request, put)
                request.parked = []

    def _copy_and_submit(self, request: _Request, put: _Put) -> None:
        try:
            chunks = [self._staged(request, put, obj) for obj in put.objs]
            put.release()
            with self._lock:
                # _take() comes before this, or its request's end comes after and takes this along.
                if self._requests.get(put.spec.req_id) is not request:
                    raise Cancelled(f"request {put.spec.req_id} has ended")
                handles = self._backend.batched_submit_put_task(put.keys, chunks, put.spec,
                                                                put.callback)
        except BaseException as error:
            self._end(request, put, error)
            return
        handles[0].add_done_callback(
            lambda done: self._end(request, put, done.exception(),
                                   0 if done.exception() else done.result()))

    def _staged(self, request: _Request, put: _Put, obj: Any) -> MemoryObj:
        """The chunk in a staging page; the one copy that is made of it here."""
        if isinstance(obj, MemoryObj):
            return obj
        meta = obj.metadata
        wanted = _backend.meta_of(meta.shape, meta.dtype, meta.fmt)
        handle = request.handle
        if handle is None:
            raise Cancelled(f"request {put.spec.req_id} has ended")
        page = handle.allocate(wanted)
        page.copy_from(put.bytes_of(obj, wanted.nbytes))
        return page

    def _end(self, request: _Request, put: _Put, error: Optional[BaseException],
             written: int = 0) -> None:
        """Whoever waits for the future finds everything given back."""
        put.release()
        with self._lock:
            self._puts -= 1
            request.puts -= 1
            self._keys.subtract(put.keys)
            for key in put.keys:
                if self._keys[key] <= 0:
                    del self._keys[key]
            request.used = time.monotonic()
        if error is not None or put.spec.is_last_prefill:
            self._drop(put.spec.req_id, request, error)
        if error is not None:
            put.future.set_exception(error)
        else:
            put.future.set_result(written)

    def _drop(self, req_id: str, request: Optional[_Request], error: Optional[BaseException]) -> None:
        """Ends the request here; parked puts fail with `error`."""
        with self._lock:
            found = self._requests.get(req_id)
            if found is None or (request is not None and found is not request):
                return
            found = self._take(req_id, found.last_seen)
        self._give_back(req_id, found, error)

    def _take(self, req_id: str, last_seen: bool) -> Optional[_Request]:
        """Forgets the request; it is broken unless its last put was made. Locked."""
        found = self._requests.pop(req_id, None)
        if not last_seen and not (found is not None and found.last_seen):
            self._broken[req_id] = None
            while len(self._broken) > BROKEN_REQUESTS:
                del self._broken[next(iter(self._broken))]
        return found

    def _give_back(self, req_id: str, request: Optional[_Request],
                   error: Optional[BaseException]) -> None:
        """After _take(), not locked."""
        if request is None:
            return
        parked, request.parked = request.parked, []
        handle, request.handle = request.handle, None
        for put in parked:
            self._end(request, put, error or Cancelled(f"request {req_id} has ended"))
        if handle is not None:
            handle.close()

    def _forget_idle(self) -> None:
        """Requests whose last put never came; Baton has cancelled them by itself. Locked."""
        limit = time.monotonic() - self._backend.options.pd_request_idle_timeout_ms / 1000
        for req_id in [req_id for req_id, request in self._requests.items()
                       if request.used < limit and request.puts == 0]:
            self._take(req_id, False)
