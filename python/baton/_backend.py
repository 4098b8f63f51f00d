"""PDBackend: LMCache's method names on Baton's PdBackend."""

from __future__ import annotations

import collections
import numbers
import threading
import time
import warnings
from types import TracebackType
from typing import Any, Iterable, List, Optional, Sequence, Type, Union, overload

from . import _baton
from ._baton import (BackendStats, CacheEngineKey, CacheLayout, Claim, DType, MemoryFormat,
                     MemoryObj, Options, ReadResult, RequestHandle, TensorMeta)
from ._errors import FailedPrecondition, InvalidArgument, NotFound, ResourceExhausted
from ._puts import OnComplete, OnEnd, PutHandle, backends, dispatcher
from ._specs import DisaggSpec

Shape = Sequence[int]

_NAMES = {  # torch's and NumPy's long names
    "float16": "half", "float32": "float", "float64": "double",
    "float8_e4m3fn": "fp8_e4m3fn", "float8_e4m3fnuz": "fp8_e4m3fnuz",
    "float8_e5m2": "fp8_e5m2", "float8_e5m2fnuz": "fp8_e5m2fnuz",
}


def dtype_of(dtype: object) -> DType:
    """A DType from one, from its name, or from a torch or NumPy dtype."""
    if isinstance(dtype, DType):
        return dtype
    name = str(getattr(dtype, "__name__", dtype)).removeprefix("torch.")
    return DType.parse(_NAMES.get(name, name))


def format_of(fmt: object) -> MemoryFormat:
    """A MemoryFormat from one, from LMCache's enumeration, or from its number."""
    if isinstance(fmt, MemoryFormat):
        return fmt
    number = getattr(fmt, "value", fmt)
    for known in MemoryFormat.__members__.values():
        if int(known) == number:
            return known
    raise InvalidArgument(f"{fmt!r} is no memory format; known are 0 to 6")


def meta_of(shapes: Union[TensorMeta, Shape, Sequence[Shape]], dtypes: object,
            fmt: object) -> TensorMeta:
    """A TensorMeta from LMCache's arguments: a shape and a dtype, or lists of one each."""
    if isinstance(shapes, TensorMeta):
        return shapes
    shape: Any = shapes
    if len(shape) == 1 and not isinstance(shape[0], numbers.Integral):
        shape = shape[0]
    if any(not isinstance(size, numbers.Integral) for size in shape):
        raise InvalidArgument(f"a chunk is one tensor; there are {len(shape)} shapes: {shape!r}")
    dtype: Any = dtypes
    if isinstance(dtype, (list, tuple)):
        if len(dtype) != 1:
            raise InvalidArgument(f"a chunk is one tensor; there are {len(dtype)} dtypes")
        dtype = dtype[0]
    return TensorMeta([int(size) for size in shape], dtype_of(dtype), format_of(fmt))


class PDBackend:
    """One process's end of the handoff: sender, receiver or both (options.pd_role).

    Methods, keywords and their meaning are those of LMCache's PDBackend; what Baton adds is named
    so. Two of LMCache's are not here: get_memory_allocator (allocate() is all of it) and
    query_remote_cache (read() asks and reads at once, for an answer alone holds nothing). All
    methods may be called from any thread, also inside callbacks. Calls that wait release the GIL
    and answer Ctrl-C within 100 ms. What goes wrong raises a baton.Error.

    A forked child can't use its parent's backend: every call raises FailedPrecondition.
    """

    def __init__(self, options: Options, layout: CacheLayout) -> None:
        """Checks the options, registers the buffer, binds the ports (receiver)."""
        self._closed = True
        self._core = _baton.Backend(options, layout)
        self._closed = False
        self._options = options
        self._layout = layout
        self._puts_lock = threading.Condition()
        self._puts = 0
        self._keys_in_puts: collections.Counter[CacheEngineKey] = collections.Counter()
        backends.add(self)

    @property
    def options(self) -> Options:
        """What it was made with; change_role() changes role, not these."""
        return self._options

    @property
    def layout(self) -> CacheLayout:
        """The KV cache's, as it was made with."""
        return self._layout

    # ---- LMCache's methods -------------------------------------------------------------------

    @overload
    def batched_submit_put_task(
        self, keys: Sequence[CacheEngineKey], memory_objs: Sequence[MemoryObj],
        transfer_spec: None = None, on_complete_callback: Optional[OnComplete] = None, *,
        on_end_callback: Optional[OnEnd] = None,
    ) -> None: ...

    @overload
    def batched_submit_put_task(
        self, keys: Sequence[CacheEngineKey], memory_objs: Sequence[MemoryObj],
        transfer_spec: DisaggSpec, on_complete_callback: Optional[OnComplete] = None, *,
        on_end_callback: Optional[OnEnd] = None,
    ) -> List[PutHandle]: ...

    def batched_submit_put_task(
        self,
        keys: Sequence[CacheEngineKey],
        memory_objs: Sequence[MemoryObj],
        transfer_spec: Optional[DisaggSpec] = None,
        on_complete_callback: Optional[OnComplete] = None,
        *,
        on_end_callback: Optional[OnEnd] = None,
    ) -> Optional[List[PutHandle]]:
        """Puts memory_objs[i] under keys[i] into the receiver's pages, and returns at once.

        Chunks that the receiver has are left out. The objects come from allocate() or
        RequestHandle.allocate(); all but the last hold a full chunk. Don't write to them before the
        put's end.

        transfer_spec: TransferSpec, or any object with its attributes. None: nothing is put.
        on_complete_callback: called as callback(key) for each key, once the put has ended well.
        on_end_callback (Baton's): called as callback(key, error) for each key exactly once, whatever
        the end; error is None or a baton.Error. Callbacks run on one thread of the module's; what
        they raise goes to sys.unraisablehook.

        Returns a list of one PutHandle, or None if nothing is put. Raises InvalidArgument for
        arguments that can't work and ResourceExhausted for more than pd_max_puts puts under way
        (those whose callbacks have not run count); then no callback comes.
        """
        self._check_open()
        if transfer_spec is None:  # LMCache: a request that stays here
            return None
        handle = PutHandle(keys, on_complete_callback, on_end_callback)
        with self._puts_lock:
            if self._puts >= self._options.pd_max_puts:
                raise ResourceExhausted(
                    f"{self._puts} puts are under way or have callbacks to run, the limit is "
                    "pd_max_puts; wait for some of them")
            self._puts += 1
            self._keys_in_puts.update(handle._keys)
        try:
            dispatcher.submit(self, handle, memory_objs, transfer_spec)
        except BaseException:
            self._put_ended(handle)
            raise
        return [handle]

    def batched_submit_read_task(
        self,
        keys: Sequence[CacheEngineKey],
        local_memory_objs: Sequence[MemoryObj],
        transfer_spec: Optional[DisaggSpec] = None,
    ) -> int:
        """Reads what the receiver has of keys: the chunk of keys[i] into local_memory_objs[i].

        Waits for the end, and returns how many chunks were read; read() says which. None: 0.
        """
        self._check_open()
        if transfer_spec is None:
            return 0
        return self.read(keys, local_memory_objs, transfer_spec).hits

    def contains(self, key: CacheEngineKey, pin: bool = False) -> bool:
        """True once the chunk is committed; False on a sender. pin: keeps it, like pin()."""
        self._check_open()
        return self.pin(key) if pin else self._core.contains(key)

    def batched_contains(self, keys: Sequence[CacheEngineKey], pin: bool = False) -> int:
        """How many of the keys, from the first on, are there without a gap."""
        hits = 0
        for key in keys:
            if not self.contains(key, pin):
                break
            hits += 1
        return hits

    def exists_in_put_tasks(self, key: CacheEngineKey) -> bool:
        """True while a put of this key from here is under way."""
        self._check_not_forked()
        with self._puts_lock:
            return key in self._keys_in_puts

    def allocate(
        self,
        shapes: Union[TensorMeta, Shape, Sequence[Shape]],
        dtypes: Any = DType.half,
        fmt: Any = MemoryFormat.KV_2LTD,
        eviction: bool = True,
        busy_loop: bool = True,
    ) -> Optional[MemoryObj]:
        """A staging page for one chunk, at once, or None if none is free.

        shapes: [2, L, T, D] for KV_2LTD, [1, L, T, D] for KV_MLA_FMT, elements; or a TensorMeta,
        which says dtype and format too. eviction and busy_loop change nothing: staging has nothing
        to evict. To wait for pages, open_request().
        """
        self._check_open()
        try:
            return self._core.allocate(meta_of(shapes, dtypes, fmt))
        except ResourceExhausted:
            return None

    def batched_allocate(
        self,
        shapes: Union[TensorMeta, Shape, Sequence[Shape]],
        dtypes: Any = DType.half,
        batch_size: int = 1,
        fmt: Any = MemoryFormat.KV_2LTD,
        eviction: bool = True,
        busy_loop: bool = True,
    ) -> Optional[List[MemoryObj]]:
        """batch_size staging pages of one shape, at once, or None if there are not as many."""
        self._check_open()
        try:
            return self._core.batched_allocate(meta_of(shapes, dtypes, fmt), batch_size)
        except ResourceExhausted:
            return None

    def get_blocking(self, key: CacheEngineKey, timeout: Optional[float] = None) -> MemoryObj:
        """One committed chunk, waiting while it is in flight. NotFound if it is not here.

        timeout (Baton's): seconds; pd_claim_timeout_ms if None.
        """
        self._check_open()
        return self._core.get_blocking(key, self._claim_timeout(timeout))

    def pin(self, key: CacheEngineKey, lease_sec: Optional[float] = None) -> bool:
        """Keeps a committed chunk from eviction until unpin(), or for lease_sec seconds.

        A pin never lasts for ever: without lease_sec (Baton's) it ends after pd_claim_ttl_ms.
        """
        self._check_open()
        lease = self._options.pd_claim_ttl_ms / 1000 if lease_sec is None else lease_sec
        return self._core.pin(key, lease)

    def unpin(self, key: CacheEngineKey) -> bool:
        """Ends one pin; False if there is none."""
        self._check_open()
        return self._core.unpin(key)

    def remove(self, key: CacheEngineKey, force: bool = True) -> bool:
        """Frees a committed chunk. False if it is not here, or somebody holds or writes it.

        force changes nothing.
        """
        self._check_open()
        if self.role == "sender":
            return False
        try:
            self._core.remove(key)
        except NotFound:
            return False
        except FailedPrecondition:
            self._check_open()
            return False
        return True

    def cancel_request(self, req_id: str) -> bool:
        """Sender: fails every put of that request. Receiver: ends its holds. False if none is open."""
        self._check_open()
        try:
            self._core.cancel_request(req_id)
        except NotFound:
            return False
        return True

    def get_allocator_backend(self) -> "PDBackend":
        """Itself: it allocates what it puts."""
        return self

    def close(self) -> None:
        """Cancels and drains what is under way (at most pd_shutdown_timeout_ms), and frees the ports.

        Then waits for this backend's callbacks, as long again; inside a callback it doesn't.
        MemoryObjs, views and handles stay valid. Idempotent.
        """
        if self._core.forked:
            return
        self._close_core()
        if dispatcher.on_thread():
            return
        deadline = time.monotonic() + self._options.pd_shutdown_timeout_ms / 1000
        with self._puts_lock:
            while self._puts > 0 and (left := deadline - time.monotonic()) > 0:
                self._puts_lock.wait(left)
            left_over = self._puts
        if left_over:
            warnings.warn(f"close: callbacks of {left_over} puts have not run yet", RuntimeWarning,
                          stacklevel=2)

    # ---- Baton's ------------------------------------------------------------------------------

    def open_request(
        self,
        transfer_spec: DisaggSpec,
        keys: Iterable[CacheEngineKey] = (),
        timeout: Optional[float] = None,
        in_place: bool = False,
    ) -> RequestHandle:
        """Waits until the request is admitted whole on both sides.

        keys: all chunks of the request, where they are known; otherwise transfer_spec.total_chunks
        pages are reserved. timeout: seconds, pd_admission_timeout_ms if None. DeadlineExceeded
        after it, ResourceExhausted at once if it can never fit.

        in_place: its memory objects may lie in the receiver's own pages, where that is on this host
        and has some to spare, so that the put moves no bytes. Such an object is put once, to this
        receiver; after that nobody may write to it, whatever became of the put.
        """
        self._check_open()
        return self._core.open_request(transfer_spec, list(keys), timeout, in_place)

    def claim(self, req_id: str, keys: Sequence[CacheEngineKey],
              timeout: Optional[float] = None) -> Claim:
        """All chunks of the request in the order of keys, verified, or an exception.

        Waits until the request is complete, at most timeout seconds (pd_claim_timeout_ms if None).
        NotFound for a key that is not of the request, Aborted if the request failed,
        DeadlineExceeded, DataLoss (pd_integrity: paranoid). Interrupted by Ctrl-C, it has claimed
        nothing.
        """
        self._check_open()
        return self._core.claim(req_id, keys, self._claim_timeout(timeout))

    def read(self, keys: Sequence[CacheEngineKey], memory_objs: Sequence[MemoryObj],
             transfer_spec: DisaggSpec) -> ReadResult:
        """Reads a receiver's committed chunks: that of keys[i] into memory_objs[i], of allocate()'s.

        Waits for the end. ReadResult.errors says for each key whether it was read; what an object
        holds whose key was not is undefined. Raises what the read failed with as a whole.
        transfer_spec says where (host, ports), in whose name (req_id), and how long (timeout_sec,
        pd_read_timeout_ms if None). Interrupted by Ctrl-C, the read goes on and holds its
        objects until it ends, or cancel_request(req_id) ends it.
        """
        self._check_open()
        return self._core.read(keys, memory_objs, transfer_spec)

    @property
    def role(self) -> str:
        """"sender", "receiver" or "both": options.pd_role until change_role()."""
        return self._core.role

    def change_role(self, role: str) -> None:
        """Makes this process a "sender", a "receiver" or "both" from now on.

        It must be drained, MemoryObjs, views and claims included: FailedPrecondition names what is
        still under way. Peers meet it anew, ports given as 0 are others, and what was cache is gone.
        """
        self._check_open()
        self._core.change_role(role)

    def stats(self) -> BackendStats:
        """Counts at this moment."""
        self._check_open()
        return self._core.stats()

    def transports(self) -> List[str]:
        """What the options allow, in order of preference: "shm", "ucx", "tcp", "nixl"."""
        return self._core.transports()

    def transports_in_use(self) -> List[str]:
        """Sender: those agreed with the receivers that it is connected to."""
        self._check_open()
        return self._core.transports_in_use()

    def evict_all_retained(self) -> int:
        """Receiver: frees every page of the cache that nobody holds; returns how many."""
        self._check_open()
        return self._core.evict_all_retained()

    @property
    def init_port(self) -> int:
        """Receiver: the handshake's port that was really bound."""
        return self._core.init_port

    @property
    def alloc_port(self) -> int:
        """Receiver: the allocation port that was really bound."""
        return self._core.alloc_port

    @property
    def closed(self) -> bool:
        """True once close() was called."""
        return self._closed

    def __enter__(self) -> "PDBackend":
        self._check_open()
        return self

    def __exit__(self, exc_type: Optional[Type[BaseException]], exc: Optional[BaseException],
                 traceback: Optional[TracebackType]) -> None:
        self.close()

    def __del__(self) -> None:
        if not self._closed and not self._core.forked:
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self)

    def __repr__(self) -> str:
        state = " (closed)" if self._closed else ""
        return f"<baton.PDBackend {self._options.pd_role}{state}>"

    def __str__(self) -> str:
        return self.__class__.__name__  # LMCache's name for a backend

    def _claim_timeout(self, timeout: Optional[float]) -> float:
        return float(self._options.pd_claim_timeout_ms / 1000 if timeout is None else timeout)

    def _check_open(self) -> None:
        self._check_not_forked()
        if self._closed:
            raise FailedPrecondition("the backend is closed")

    def _check_not_forked(self) -> None:
        """Before any lock: in the child it may be held for ever."""
        if self._core.forked:
            raise FailedPrecondition("this process was forked after the backend was made; make one "
                                     "of its own here")

    def _close_core(self) -> None:
        self._closed = True
        self._core.close()

    def _put_ended(self, handle: PutHandle) -> None:
        """Its callbacks have run, or it was never started."""
        with self._puts_lock:
            self._keys_in_puts.subtract(handle._keys)
            for key in handle._keys:
                if self._keys_in_puts[key] <= 0:
                    del self._keys_in_puts[key]
            self._puts -= 1
            self._puts_lock.notify_all()
