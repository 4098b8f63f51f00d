"""Puts, claims, callbacks, errors: two backends in one process."""

import asyncio
import gc
import sys
import threading
import time
import unittest
import warnings
import weakref

import baton
import support
from support import WAIT, key, keys, put, spec


def read(claim):
    return [float(chunk.numpy()[1, 2, 3, 4]) for chunk in claim]


class Puts(unittest.TestCase):
    def test_put_and_claim(self):
        for transport in ("shm", "tcp"):
            with self.subTest(transport), support.pair(pd_transport=transport) as (decode, prefill):
                handle = put(prefill, decode, "r", [1, 2, 3])
                self.assertEqual(handle.result(WAIT), 3)
                handle.wait(WAIT)
                self.assertTrue(handle.done())
                stats = handle.stats()
                self.assertEqual((stats.chunks_total, stats.chunks_sent, stats.chunks_skipped), (3, 3, 0))
                self.assertEqual(stats.bytes_written, 3 * support.FULL.nbytes)
                if transport == "tcp":
                    self.assertEqual(stats.bytes_eager, stats.bytes_written)
                self.assertGreater(stats.duration_sec, 0)
                self.assertEqual(prefill.transports_in_use(), [transport])
                with decode.claim("r", keys(1, 3)) as claim:
                    self.assertEqual(read(claim), [1, 2, 3])
                    self.assertEqual((len(claim), claim[-1].page), (3, claim.chunks[2].page))
                    self.assertRaises(IndexError, lambda: claim[3])
                    self.assertEqual(decode.stats().pages_held, 3)
                    del handle
                self.assertEqual(decode.stats().pages_retained, 3)

    def test_open_request(self):
        with support.pair() as (decode, prefill):
            to = spec("r", decode, total_chunks=3)
            with prefill.open_request(to, timeout=WAIT) as request:
                self.assertEqual((request.req_id, request.attempt), ("r", 0))
                first = request.batched_allocate(support.FULL, 2)
                last = request.allocate(support.FULL.with_tokens(5))
                with self.assertRaises(baton.ResourceExhausted):
                    request.allocate(support.FULL)
                puts = prefill.batched_submit_put_task(keys(1, 2), first, spec("r", decode, last=False))
                puts += prefill.batched_submit_put_task([key(3)], [last], transfer_spec=to)
            with decode.claim("r", keys(1, 3), timeout=WAIT) as claim:
                self.assertEqual([chunk.meta.tokens for chunk in claim], [16, 16, 5])
            for put in puts:
                put.result(WAIT)  # The chunks may be claimed before their sender has heard that they are there.
            del first, last
            self.assertEqual(prefill.stats().pages_free, 16)

    def test_a_dropped_request_is_given_back(self):
        with support.pair() as (decode, prefill):
            request = prefill.open_request(spec("r", decode), keys(1, 4), WAIT)
            self.assertEqual(prefill.stats().pages_reserved, 4)
            del request
            self.assertEqual(prefill.stats().pages_reserved, 0)

    def test_cache_calls(self):
        with support.pair() as (decode, prefill):
            self.assertFalse(decode.contains(key(1)))
            self.assertRaises(KeyError, decode.get_blocking, key(1))
            put(prefill, decode, "r", [1, 2]).result(WAIT)
            self.assertTrue(decode.contains(key(1)))
            self.assertFalse(prefill.contains(key(1)))
            self.assertEqual(decode.batched_contains([key(1), key(2), key(9), key(1)]), 2)
            chunk = decode.get_blocking(key(2), timeout=WAIT)
            self.assertEqual(float(chunk.numpy()[0, 0, 0, 0]), 2)
            decode.claim("r", keys(1, 2)).release()
            self.assertFalse(decode.remove(key(2)))  # chunk holds it
            del chunk
            self.assertTrue(decode.contains(key(2), pin=True))
            self.assertFalse(decode.remove(key(2)))
            self.assertTrue(decode.unpin(key(2)))
            self.assertFalse(decode.unpin(key(2)))
            self.assertTrue(decode.remove(key(2)))
            self.assertFalse(decode.remove(key(2)))
            self.assertFalse(prefill.remove(key(1)))
            self.assertTrue(decode.pin(key(1), lease_sec=60))
            self.assertTrue(decode.unpin(key(1)))
            self.assertEqual(decode.evict_all_retained(), 1)
            self.assertFalse(decode.pin(key(1)))
            self.assertIs(prefill.get_allocator_backend(), prefill)

    def test_exists_in_put_tasks_and_local_requests(self):
        with support.pair() as (decode, prefill):
            seen = []
            handle = put(prefill, decode, "r", [1],
                         on_complete_callback=lambda k: seen.append(prefill.exists_in_put_tasks(k)))
            handle.result(WAIT)
            self.assertEqual(seen, [True])
            self.assertFalse(prefill.exists_in_put_tasks(key(1)))
            self.assertIsNone(prefill.batched_submit_put_task([key(1)], []))

    def test_read(self):
        for transport in ("shm", "tcp"):
            with self.subTest(transport), support.pair(pd_transport=transport) as (decode, prefill):
                put(prefill, decode, "r", [1, 2]).result(WAIT)
                chunks = support.chunks_of(prefill, [0, 0, 0])
                result = prefill.read([key(2), key(9), key(1)], chunks, spec("read", decode))
                self.assertEqual((result.hits, result.bytes_read), (2, 2 * support.FULL.nbytes))
                self.assertEqual([type(error) for error in result.errors],
                                 [type(None), baton.NotFound, type(None)])
                self.assertEqual(read([chunks[0], chunks[2]]), [2, 1])
                self.assertEqual(prefill.batched_submit_read_task([key(1)], chunks[:1], spec("q", decode)), 1)
                self.assertEqual(read(chunks[:1]), [1])
                self.assertEqual(prefill.batched_submit_read_task([key(1)], chunks[:1]), 0)
                self.assertRaises(baton.InvalidArgument, prefill.read, [key(1)], [], spec("q", decode))
                self.assertEqual(prefill.stats().reads, 0)

    def test_roles(self):
        with support.receiver(pd_role="both") as one, support.receiver(pd_role="both") as other:
            self.assertEqual(one.role, "both")
            put(one, other, "r", [1]).result(WAIT)
            put(other, one, "q", [2]).result(WAIT)
            self.assertEqual(read(other.claim("r", [key(1)], timeout=WAIT)), [1])
            claim = one.claim("q", [key(2)], timeout=WAIT)
            with self.assertRaises(baton.FailedPrecondition):
                one.change_role("receiver")
            del claim
            self.assertRaises(baton.InvalidArgument, one.change_role, "decoder")
            while True:  # until the claim's end has reached the progress thread
                try:
                    one.change_role("receiver")
                    break
                except baton.FailedPrecondition:
                    time.sleep(0.01)
            self.assertEqual(one.role, "receiver")
            put(other, one, "p", [3]).result(WAIT)
            with self.assertRaises(baton.FailedPrecondition):
                one.batched_submit_put_task([key(3)], [], spec("o", other))

    def test_asyncio(self):
        async def run(handle):
            return await asyncio.wait_for(asyncio.wrap_future(handle), WAIT)

        with support.pair() as (decode, prefill):
            self.assertEqual(asyncio.run(run(put(prefill, decode, "r", [1, 2]))), 2)


class Callbacks(unittest.TestCase):
    def test_once_for_each_key(self):
        with support.pair() as (decode, prefill):
            done, ends, threads = [], [], set()

            def on_end(k, error):
                ends.append((k, error))
                threads.add(threading.current_thread().name)

            put(prefill, decode, "r", [1, 2], on_complete_callback=done.append,
                on_end_callback=on_end).result(WAIT)
            self.assertEqual(done, keys(1, 2))
            self.assertEqual(ends, [(key(1), None), (key(2), None)])
            self.assertEqual(threads, {"baton-callbacks"})

    def test_failed_puts(self):
        with support.pair() as (decode, prefill):
            done, ends = [], []
            decode.close()
            [handle] = prefill.batched_submit_put_task(
                [key(1)], support.chunks_of(prefill, [1]),
                spec("r", (1, 1), timeout_sec=0.2), done.append, on_end_callback=lambda *a: ends.append(a))
            with self.assertRaises(baton.Error) as caught:
                handle.result(WAIT)
            self.assertEqual(done, [])
            self.assertEqual(ends, [(key(1), caught.exception)])
            self.assertIs(handle.exception(), caught.exception)
            self.assertRaises(type(caught.exception), handle.wait)
            self.assertFalse(handle.cancel())

    def test_raising_ones_go_to_unraisablehook(self):
        caught = []
        hook, sys.unraisablehook = sys.unraisablehook, lambda args: caught.append(
            (args.exc_type, str(args.exc_value)))
        self.addCleanup(setattr, sys, "unraisablehook", hook)

        def bad(k):
            raise RuntimeError(f"about {k.chunk_hash}")

        with support.pair() as (decode, prefill):
            put(prefill, decode, "r", [1, 2], on_complete_callback=bad).result(WAIT)
            self.assertEqual(caught, [(RuntimeError, "about 1"), (RuntimeError, "about 2")])
            caught.clear()
            put(prefill, decode, "q", [3], on_complete_callback=lambda k: sys.exit(3)).result(WAIT)
            self.assertEqual(caught, [(SystemExit, "3")])
            put(prefill, decode, "p", [4]).result(WAIT)  # the thread lives

    def test_may_call_everything(self):
        with support.pair() as (decode, prefill):
            seen = []
            handles = []
            ready = threading.Event()

            def calls(k):
                ready.wait(WAIT)
                seen.append(decode.contains(k))
                seen.append(prefill.stats().pages_total)
                with decode.claim("r", [k], timeout=WAIT) as claim:
                    seen.append(len(claim))
                try:
                    handles[0].result(WAIT)
                except baton.FailedPrecondition:
                    seen.append("would wait for itself")
                handles.append(put(prefill, decode, "q", [2]))

            handles.append(put(prefill, decode, "r", [1], on_complete_callback=calls))
            ready.set()
            handles[0].result(WAIT)
            self.assertEqual(seen, [True, 16, 1, "would wait for itself"])
            handles[1].result(WAIT)

    def test_close_inside(self):
        with support.receiver() as decode:
            prefill = support.sender()
            closed = threading.Event()

            def close(k):
                prefill.close()
                closed.set()

            handle = put(prefill, decode, "r", [1], on_complete_callback=close)
            self.assertTrue(closed.wait(WAIT))
            self.assertEqual(handle.result(WAIT), 1)
            self.assertTrue(prefill.closed)

    def test_close_runs_those_that_are_due(self):
        ends = []

        def slow(k, error):
            while not prefill.closed:  # set when close() begins
                time.sleep(0.001)
            time.sleep(0.05)  # Callbacks take their time; close() waits for them.
            ends.append(k)

        with support.pair() as (decode, prefill):
            put(prefill, decode, "r", [1, 2, 3], on_end_callback=slow)
            prefill.close()
            self.assertEqual(ends, keys(1, 3))

    def test_a_slow_one_does_not_hold_up_bytes(self):
        with support.pair() as (decode, prefill):
            go = threading.Event()
            slow = put(prefill, decode, "slow", [1], on_complete_callback=lambda k: go.wait(WAIT))
            put(prefill, decode, "next", [2])
            with decode.claim("next", [key(2)], timeout=WAIT) as claim:  # its callbacks are not due yet
                self.assertEqual(read(claim), [2])
            self.assertFalse(slow.done())
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                slow_close = support.sender(pd_shutdown_timeout_ms=50)
                put(slow_close, decode, "last", [3])
                decode.claim("last", [key(3)], timeout=WAIT).release()
                slow_close.close()
            self.assertIn("callbacks of 1 puts", str(caught[0].message))
            go.set()
            slow.result(WAIT)

    def test_puts_whose_callbacks_wait_are_counted(self):
        with support.pair(pd_max_puts=2) as (decode, prefill):
            go = threading.Event()
            first = put(prefill, decode, "r", [1], on_complete_callback=lambda k: go.wait(WAIT))
            second = put(prefill, decode, "q", [2])
            while prefill.stats().puts > 0:  # both are over, but for their callbacks
                time.sleep(0.001)
            with self.assertRaisesRegex(baton.ResourceExhausted, "callbacks to run"):
                put(prefill, decode, "p", [3])
            go.set()
            first.result(WAIT)
            second.result(WAIT)
            put(prefill, decode, "p", [3]).result(WAIT)


class Threads(unittest.TestCase):
    def test_callback_while_others_wait(self):
        """The GIL is never held by who waits for what a callback, or another thread, brings."""
        with support.pair() as (decode, prefill):
            def chain(k):
                put(prefill, decode, f"r{k.chunk_hash + 1}", [k.chunk_hash + 1],
                    on_complete_callback=chain if k.chunk_hash < 20 else None)

            claimed = []
            threads = [threading.Thread(
                target=lambda n=n: claimed.append(read(decode.claim(f"r{n}", [key(n)], timeout=WAIT))))
                for n in range(2, 21)]
            for thread in threads:
                thread.start()
            put(prefill, decode, "r1", [1], on_complete_callback=chain)
            with decode.claim("r21", [key(21)], timeout=WAIT) as claim:
                self.assertEqual(read(claim), [21])
            for thread in threads:
                thread.join(WAIT)
            self.assertEqual(sorted(claimed), [[n] for n in range(2, 21)])

    def test_close_ends_waits(self):
        for wait in (lambda b: b.claim("r", [key(1)], timeout=WAIT),):
            decode = support.receiver()
            started, caught = threading.Event(), []

            def run():
                started.set()
                try:
                    wait(decode)
                except baton.Error as error:
                    caught.append(error)

            thread = threading.Thread(target=run)
            thread.start()
            started.wait(WAIT)
            decode.close()
            thread.join(WAIT)
            self.assertFalse(thread.is_alive())
            self.assertIsInstance(caught[0], (baton.Cancelled, baton.FailedPrecondition))


class Errors(unittest.TestCase):
    def test_classes(self):
        for cls, other in ((baton.InvalidArgument, ValueError), (baton.DeadlineExceeded, TimeoutError),
                           (baton.NotFound, KeyError), (baton.NotFound, LookupError),
                           (baton.Unavailable, ConnectionError), (baton.ResourceExhausted, MemoryError),
                           (baton.FailedPrecondition, RuntimeError), (baton.PermissionDenied, OSError),
                           (baton.Unimplemented, NotImplementedError)):
            self.assertTrue(issubclass(cls, other) and issubclass(cls, baton.Error))
            self.assertEqual(str(cls("a 'quoted' word")), "a 'quoted' word")
        codes = {cls.code for cls in vars(baton).values()
                 if isinstance(cls, type) and issubclass(cls, baton.Error)}
        self.assertEqual(codes, set(baton.StatusCode) - {
            baton.StatusCode.ALREADY_EXISTS, baton.StatusCode.OUT_OF_RANGE,
            baton.StatusCode.UNAUTHENTICATED})
        self.assertEqual(baton._errors.error_of(11, "m").code, baton.StatusCode.OUT_OF_RANGE)

    def test_each_that_can_be_reached(self):
        with support.pair() as (decode, prefill):
            to = spec("r", decode)
            chunk = prefill.allocate(support.FULL)
            with self.assertRaisesRegex(baton.InvalidArgument, "as many memory objects"):
                prefill.batched_submit_put_task(keys(1, 2), [chunk], to)
            with self.assertRaises(baton.InvalidArgument):
                prefill.batched_submit_put_task([key(1)], [None], to)
            with self.assertRaises(TypeError):
                prefill.batched_submit_put_task([key(1)], [b"bytes"], to)
            with self.assertRaises(AttributeError):
                prefill.batched_submit_put_task([key(1)], [chunk], object())
            with self.assertRaises(baton.InvalidArgument):
                prefill.allocate([2, 4, 1 << 20, 64], "half")
            with self.assertRaises(baton.FailedPrecondition):
                decode.batched_submit_put_task([key(1)], [chunk], to)
            with self.assertRaises(baton.FailedPrecondition):
                prefill.claim("r", [key(1)])
            with self.assertRaises(baton.DeadlineExceeded) as caught:
                decode.claim("r", [key(1)], timeout=0.12)
            self.assertEqual(caught.exception.code, baton.StatusCode.DEADLINE_EXCEEDED)
            with self.assertRaises(baton.NotFound):
                decode.get_blocking(key(1), timeout=0)
            self.assertFalse(decode.cancel_request("r"))
            with self.assertRaises(baton.ResourceExhausted):
                prefill.open_request(to, keys(1, 17), WAIT)
            for bad in (-1, float("nan"), float("inf"), 1e9):
                with self.assertRaises(baton.InvalidArgument):
                    decode.claim("r", [key(1)], timeout=bad)
            with self.assertRaises(baton.Error):
                prefill.open_request(spec("r", (1, 1)), [key(1)], 0.3)
            self.assertEqual(prefill.stats().puts, 0)
        with self.assertRaises(baton.FailedPrecondition):
            decode.stats()
        with self.assertRaises(baton.FailedPrecondition):
            decode.contains(key(1))
        with self.assertRaises(baton.InvalidArgument):
            baton.PDBackend(support.options("receiver").replace(chunk_size=17), support.LAYOUT)

    def test_aborted_and_cancelled(self):
        with support.pair() as (decode, prefill):
            request = prefill.open_request(spec("r", decode), keys(1, 2), WAIT)
            self.assertTrue(prefill.cancel_request("r"))
            with self.assertRaises(baton.Aborted):
                decode.claim("r", keys(1, 2), timeout=WAIT)
            [handle] = prefill.batched_submit_put_task(
                keys(1, 2), request.batched_allocate(support.FULL, 2), spec("r", decode))
            with self.assertRaises(baton.Error):
                handle.result(WAIT)

    def test_unclosed_backends_warn_and_close(self):
        prefill = support.sender()
        gone = weakref.ref(prefill)
        with self.assertWarns(ResourceWarning), warnings.catch_warnings():
            warnings.simplefilter("always")
            del prefill
            gc.collect()
        self.assertIsNone(gone())


if __name__ == "__main__":
    unittest.main()
