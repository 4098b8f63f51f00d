"""Baton as a storage plug-in of LMCache's; docs/lmcache-plugin.md says how to configure it.

Neither lmcache nor torch is needed to import this: LMCache's objects are used by their attributes.
"""

from __future__ import annotations

import asyncio
import concurrent.futures.thread
import logging
import os
import sys
import threading
import weakref
from typing import Any, Callable, Iterable, List, Optional, Sequence

from . import _backend, _lmcache_config, _lmcache_requests
from ._baton import CacheEngineKey, MemoryObj, TensorMeta
from ._errors import DeadlineExceeded, NotFound

try:
    from lmcache.v1.storage_backend.abstract_backend import (  # type: ignore[import]
        StoragePluginInterface as _Interface,
    )
except ImportError:
    _Interface = object

_log = logging.getLogger("baton.lmcache")

Callback = Callable[[Any], object]


def _key(key: Any) -> CacheEngineKey:
    """Baton's key for LMCache's: their strings are the same."""
    return key if isinstance(key, CacheEngineKey) else CacheEngineKey.from_string(key.to_string())


def _bytes(obj: Any, size: int) -> memoryview:
    """The first `size` bytes of one of LMCache's memory objects, not copied."""
    view = memoryview(obj.byte_array)
    return (view if view.format == "B" else view.cast("B"))[:size]


# Plug-ins and, since their threads hold only these, their requests.
_open: "weakref.WeakSet[Any]" = weakref.WeakSet()


def _at_exit() -> None:
    """Ends what the plug-ins' threads wait for: the interpreter joins executors' threads first."""
    for one in list(_open):
        try:
            one.close()
        except Exception:
            _log.exception("%s: not closed well", one)


# Before the executors' own end, for which concurrent.futures.thread registered the same way when it
# was imported; the atexit module's functions run only after it. Not public, but there since 3.9.
threading._register_atexit(_at_exit)  # type: ignore[attr-defined]
os.register_at_fork(after_in_child=_open.clear)


class BatonBackend(_Interface):  # type: ignore[misc]
    """LMCache's StoragePluginInterface on a PDBackend.

    As pd_role: sender it puts what LMCache stores with a transfer_spec (disagg_spec) into the
    receiver that it names; each chunk is copied once, into a staging page. As pd_role: receiver it
    serves the chunks that were put here; each is copied once, into memory of local_cpu_backend.
    As pd_role: both it does either. In LMCache's scheduler process it does nothing.
    """

    def __init__(
        self,
        config: Any = None,
        dst_device: str = "cpu",
        metadata: Any = None,
        local_cpu_backend: Any = None,
        loop: Optional[asyncio.AbstractEventLoop] = None,
    ) -> None:
        """LMCache calls this with keywords. InvalidArgument if the configuration can't work."""
        if _Interface is not object:
            super().__init__(dst_device=dst_device, config=config, metadata=metadata,
                             local_cpu_backend=local_cpu_backend, loop=loop)
        self.dst_device = dst_device
        self.config = config
        self.metadata = metadata
        self.local_cpu_backend = local_cpu_backend
        self.loop = loop
        self.backend: Optional[_backend.PDBackend] = None
        self._requests: Optional[_lmcache_requests.Requests] = None
        # Copies that nobody waits for by a call.
        self._readers = concurrent.futures.ThreadPoolExecutor(2, "baton-lmcache-read")
        _open.add(self)
        if getattr(metadata, "role", None) == "scheduler":
            return
        settings = _lmcache_config.Settings(config, metadata, type(self))
        self.backend = _backend.PDBackend(settings.options, settings.layout)
        if settings.options.pd_role != "receiver":
            self._requests = _lmcache_requests.Requests(self.backend)
            _open.add(self._requests)

    # ---- the interface's abstract methods ------------------------------------------------------

    def contains(self, key: Any, pin: bool = False) -> bool:
        """Whether the chunk was put here whole. pin: keeps it until unpin() or pd_claim_ttl_ms."""
        return self.backend is not None and self.backend.contains(_key(key), pin)

    def exists_in_put_tasks(self, key: Any) -> bool:
        """Whether a put of the key from here is under way."""
        return self._requests is not None and self._requests.under_way(_key(key))

    def batched_submit_put_task(
        self,
        keys: Sequence[Any],
        objs: List[Any],
        transfer_spec: Any = None,
        on_complete_callback: Optional[Callback] = None,
    ) -> Optional[List["concurrent.futures.Future[int]"]]:
        """Puts the chunks into the receiver of transfer_spec; returns at once.

        Each object is held (ref_count_up) until its bytes are in a staging page; a
        baton.MemoryObj goes as it is. Returns a list of one future of the number of chunks
        written, or None if there is nothing to do: no transfer_spec, or not a sender.
        on_complete_callback(key) is called with LMCache's own keys, once the put has ended well.
        """
        if transfer_spec is None or self._requests is None or not keys:
            return None
        named = {_key(key): key for key in keys}
        callback = on_complete_callback
        if callback is not None:
            theirs = callback
            callback = lambda key: theirs(named[key])
        return [self._requests.put([_key(key) for key in keys], objs, _bytes, transfer_spec, callback)]

    def get_blocking(self, key: Any) -> Optional[Any]:
        """The chunk as one of local_cpu_backend's memory objects, or None.

        Waits while the chunk is in flight, at most pd_claim_timeout_ms. None if it is not here, or
        local_cpu_backend has no memory for it.
        """
        if self.backend is None or self.backend.role == "sender":
            return None
        try:
            chunk = self.backend.get_blocking(_key(key))
        except NotFound:
            return None
        except DeadlineExceeded as error:
            _log.warning("%s", error)
            return None
        return self._copy_out(chunk)

    def pin(self, key: Any) -> bool:
        """Keeps a chunk from eviction until unpin(), at most pd_claim_ttl_ms."""
        return self.backend is not None and self.backend.pin(_key(key))

    def unpin(self, key: Any) -> bool:
        """Ends one pin of the chunk's."""
        return self.backend is not None and self.backend.unpin(_key(key))

    def remove(self, key: Any, force: bool = True) -> bool:
        """Frees a chunk that nobody holds; False if there is none."""
        return self.backend is not None and self.backend.remove(_key(key), force)

    def get_allocator_backend(self) -> Any:
        """LMCache's local CPU backend: what is stored and retrieved lives there."""
        return self.local_cpu_backend

    def close(self) -> None:
        """Cancels what is under way and frees the ports. Idempotent."""
        if self.backend is not None and self.backend._core.forked:
            return
        self._readers.shutdown(wait=False, cancel_futures=True)
        if self._requests is not None:
            self._requests.close()
        if self.backend is not None:
            self.backend.close()

    # ---- the optional ones -----------------------------------------------------------------------

    def submit_prefetch_task(self, key: Any) -> bool:
        """False: chunks are pushed here, there is nothing to fetch."""
        return False

    def get_non_blocking(self, key: Any, location: Optional[str] = None
                         ) -> Optional["concurrent.futures.Future[Optional[Any]]"]:
        """A future of get_blocking(), or None if the chunk is not here."""
        return self._readers.submit(self.get_blocking, key) if self.contains(key) else None

    def batched_contains(self, keys: Sequence[Any], pin: bool = False) -> int:
        """How many of the keys, from the first on, are here without a gap."""
        hits = 0
        for key in keys:
            if not self.contains(key, pin):
                break
            hits += 1
        return hits

    def batched_get_blocking(self, keys: Sequence[Any]) -> List[Optional[Any]]:
        """get_blocking() for each key."""
        return [self.get_blocking(key) for key in keys]

    def batched_remove(self, keys: Sequence[Any], force: bool = True) -> int:
        """How many of the chunks were freed."""
        return sum(self.remove(key, force) for key in keys)

    async def batched_async_contains(self, lookup_id: str, keys: Sequence[Any],
                                     pin: bool = False) -> int:
        """batched_contains() off the event loop."""
        return int(await self._off_loop(self.batched_contains, keys, pin))

    async def batched_get_non_blocking(self, lookup_id: str, keys: Sequence[Any],
                                       transfer_spec: Any = None) -> List[Any]:
        """The chunks from the first key on, up to the first that is not here."""
        return list(await self._off_loop(self._get_prefix, list(keys)))

    async def async_batched_submit_put_task(
        self,
        keys: Sequence[Any],
        objs: List[Any],
        transfer_spec: Any = None,
        on_complete_callback: Optional[Callback] = None,
    ) -> None:
        """batched_submit_put_task(), awaited; raises what the put failed with."""
        for future in self.batched_submit_put_task(keys, objs, transfer_spec,
                                                   on_complete_callback) or ():
            await asyncio.wrap_future(future)

    def cancel_request(self, req_id: str) -> None:
        """Fails the request's puts (sender), or ends its holds (receiver)."""
        if self._requests is not None:
            self._requests.cancel(req_id)  # of both halves
        elif self.backend is not None:
            self.backend.cancel_request(req_id)

    def touch_cache(self) -> None:
        """Nothing: Baton keeps the order of use itself."""

    def __str__(self) -> str:
        return self.__class__.__name__

    # ---- its own ---------------------------------------------------------------------------------

    def _off_loop(self, call: Callable[..., Any], *arguments: Any) -> "asyncio.Future[Any]":
        return asyncio.get_running_loop().run_in_executor(self._readers, call, *arguments)

    def _get_prefix(self, keys: Iterable[Any]) -> List[Any]:
        found: List[Any] = []
        for key in keys:
            obj = self.get_blocking(key)
            if obj is None:
                break
            found.append(obj)
        return found

    def _copy_out(self, chunk: MemoryObj) -> Optional[Any]:
        obj = self.local_cpu_backend.allocate(*_lmcache_words(chunk.meta, self.metadata))
        if obj is None:
            _log.warning("local_cpu_backend has no memory for a chunk of %d bytes", chunk.nbytes)
            return None
        try:
            chunk.copy_to(_bytes(obj, chunk.nbytes))
        except BaseException:
            obj.ref_count_down()
            raise
        return obj


def _lmcache_words(meta: TensorMeta, metadata: Any) -> List[Any]:
    """Shape, dtype and format as LMCache's allocators take them; plain ones where it isn't there."""
    shape: Any = meta.shape
    if "torch" in sys.modules:
        shape = sys.modules["torch"].Size(shape)
    fmt: Any = meta.fmt
    formats: Optional[Any] = sys.modules.get("lmcache.v1.memory_management")
    if formats is not None:
        fmt = formats.MemoryFormat(int(meta.fmt))
    return [shape, metadata.kv_dtype, fmt]


__all__ = ["BatonBackend"]
