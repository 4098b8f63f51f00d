"""Puts under way, and the thread that tells Python of their ends.

Baton's progress thread never runs Python: it queues the number of a put that has ended. One daemon
thread of this module, the dispatcher, takes the numbers, resolves the futures and runs the
callbacks. So a callback may wait, raise, close its backend, or block for ever: other callbacks come
later then, but bytes go on moving.
"""

from __future__ import annotations

import atexit
import concurrent.futures
import itertools
import os
import threading
import weakref
from typing import TYPE_CHECKING, Callable, Optional, Sequence

from . import _baton
from ._errors import Cancelled, DeadlineExceeded, Error, FailedPrecondition

if TYPE_CHECKING:
    from ._backend import PDBackend

OnComplete = Callable[[_baton.CacheEngineKey], object]
OnEnd = Callable[[_baton.CacheEngineKey, Optional[Error]], object]

#: How long the interpreter's exit waits for callbacks that are due, in seconds.
EXIT_GRACE_SEC = 5.0


class PutHandle(concurrent.futures.Future[int]):
    """A put under way: a future of the number of chunks that it wrote.

    It is resolved after the put's callbacks have run. Waiting for it inside a callback would wait
    for itself, and raises FailedPrecondition. It can't be cancelled alone: cancel_request() can.
    """

    def __init__(self, keys: Sequence[_baton.CacheEngineKey], on_complete: Optional[OnComplete],
                 on_end: Optional[OnEnd]) -> None:
        super().__init__()
        self.set_running_or_notify_cancel()
        self._keys = tuple(keys)
        self._on_complete = on_complete
        self._on_end = on_end
        self._core: Optional[_baton.PutCore] = None

    def result(self, timeout: Optional[float] = None) -> int:
        """Chunks written, once the put has ended well; raises what it failed with otherwise.

        After `timeout` seconds it raises TimeoutError, and the put goes on.
        """
        self._check_thread()
        return super().result(timeout)

    def exception(self, timeout: Optional[float] = None) -> Optional[BaseException]:
        """What the put failed with, or None; waits like result()."""
        self._check_thread()
        return super().exception(timeout)

    def wait(self, timeout: Optional[float] = None) -> None:
        """Like result(), with a DeadlineExceeded that says how long it waited."""
        self._check_thread()
        done, _ = concurrent.futures.wait((self,), timeout)
        if not done:
            raise DeadlineExceeded(f"the put has not ended after {timeout} s")
        super().result()

    def stats(self) -> _baton.PutStats:
        """Zeros until the put has ended."""
        if self._core is None:
            raise FailedPrecondition("the put was not started")
        return self._core.stats()

    def _check_thread(self) -> None:
        if not self.done() and dispatcher.on_thread():
            raise FailedPrecondition("waiting for a put inside a callback would never end")

    def _run_callbacks(self, error: Optional[Error]) -> None:
        """On the dispatcher's thread, once; then _resolve()."""
        if self._core is not None:
            self._core.settle()
        on_complete, on_end, keys = self._on_complete, self._on_end, self._keys
        self._on_complete = self._on_end = None
        for key in keys:
            if on_end is not None:
                _call(on_end, key, error)
            if on_complete is not None and error is None:
                _call(on_complete, key)

    def _resolve(self, error: Optional[Error]) -> None:
        if error is not None:
            self.set_exception(error)
        else:
            self.set_result(self._core.stats().chunks_sent if self._core is not None else 0)


def _call(callback: Callable[..., object], *arguments: object) -> None:
    try:
        callback(*arguments)
    except BaseException as raised:  # A callback's exception has nobody above it.
        _baton._write_unraisable(raised, callback)


class Dispatcher:
    """Knows the puts under way by number; starts its thread with the first of them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._queue = _baton.Completions()
        self._tickets = itertools.count(1)
        self._under_way: dict[int, tuple[PutHandle, PDBackend]] = {}
        self._thread: Optional[threading.Thread] = None
        self._stopped = False

    def on_thread(self) -> bool:
        return threading.current_thread() is self._thread

    def submit(self, backend: PDBackend, handle: PutHandle, memory_objs: Sequence[_baton.MemoryObj],
               spec: object) -> None:
        """Starts the put. It holds its backend until its callbacks have run."""
        with self.lock:  # The end may come before the core is there; the dispatcher waits for this.
            if self._stopped:
                raise FailedPrecondition("the interpreter exits")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, args=(self._queue,),
                                                name="baton-callbacks", daemon=True)
                self._thread.start()
            ticket = next(self._tickets)
            self._under_way[ticket] = (handle, backend)
            try:
                handle._core = backend._core.submit(handle._keys, memory_objs, spec, self._queue,
                                                    ticket)
            except BaseException:
                del self._under_way[ticket]
                raise

    def _run(self, queue: _baton.Completions) -> None:
        while ends := queue.take():
            for ticket, error in ends:
                with self.lock:
                    handle, backend = self._under_way.get(ticket, (None, None))
                if handle is not None and backend is not None:
                    handle._run_callbacks(error)
                    backend._put_ended(handle)
                    if not handle.done():  # A callback that forks goes on in the child, where it is.
                        handle._resolve(error)
                    # Until here a forked child must find it.
                    with self.lock:
                        self._under_way.pop(ticket, None)
                del handle, backend, error  # An idle thread must keep nothing alive.
            del ends

    def stop(self) -> None:
        """At exit, when every backend is closed: runs the callbacks that are due."""
        with self.lock:
            self._stopped = True
            thread = self._thread
        self._queue.stop()
        if thread is not None and not self.on_thread():
            thread.join(EXIT_GRACE_SEC)

    def after_fork_in_child(self) -> None:
        """The thread is not here, and nobody will end what the parent began."""
        handles = [handle for handle, _ in self._under_way.values()]
        _baton._after_fork_in_child(self._queue)
        self.__init__()  # type: ignore[misc]
        for handle in handles:
            # The parent's may be held for ever.
            handle._condition = threading.Condition()  # type: ignore[attr-defined]
            handle._done_callbacks.clear()  # type: ignore[attr-defined]
            handle._core = None
            if not handle.done():
                handle.set_exception(Cancelled("this process was forked while the put was under way"))


dispatcher = Dispatcher()
backends: weakref.WeakSet[PDBackend] = weakref.WeakSet()


def _at_exit() -> None:
    for backend in list(backends):
        backend._close_core()
    dispatcher.stop()
    # Daemon threads that waited for a backend must come out before the interpreter ends.
    _baton._leave(EXIT_GRACE_SEC)


def _after_fork_in_child() -> None:
    backends.clear()
    dispatcher.after_fork_in_child()


atexit.register(_at_exit)
os.register_at_fork(after_in_child=_after_fork_in_child)
