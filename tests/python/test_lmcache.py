"""The storage plug-in, against a stand-in for LMCache."""

import asyncio
import hashlib
import os
import subprocess
import sys
import threading
import unittest

import msgpack
import zmq

import lmcache_stand_in as lmcache

lmcache.install()

import baton  # noqa: E402
import baton.lmcache  # noqa: E402
import support  # noqa: E402
from support import WAIT  # noqa: E402

SHAPE = (2, 4, 16, 64)
CHUNK = 16384


def key(number):
    return lmcache.CacheEngineKey("org/model", 1, 0, number)


def receiver_config(**more):
    return lmcache.configuration(**{"pd_role": "receiver", "pd_buffer_size": 16 * CHUNK,
                                    "pd_peer_init_port": 0, "pd_peer_alloc_port": 0, **more})


def sender_config(**more):
    return lmcache.configuration(**{"pd_role": "sender", "pd_buffer_size": 8 * CHUNK, **more})


class Plugin(unittest.TestCase):
    def setUp(self):
        self.local = lmcache.LocalCPUBackend(64)

    def start(self, config, role="worker"):
        plugin = lmcache.launch(config, self.local, role)["handoff"]
        self.addCleanup(plugin.close)
        return plugin

    def pair(self, decode=None, prefill=None):
        decode = self.start(receiver_config(**(decode or {})))
        prefill = self.start(sender_config(**(prefill or {})))
        self.ports = (decode.backend.init_port, decode.backend.alloc_port)
        return decode, prefill

    def objs(self, *values, tokens=16):
        objs = []
        for value in values:
            obj = self.local.allocate((2, 4, tokens if value is values[-1] else 16, 64), lmcache.HALF,
                                      lmcache.Format(1))
            obj.byte_array[:] = bytes([value]) * obj.size
            objs.append(obj)
        return objs

    def put(self, prefill, req_id, values, callback=None, **more):
        """As LMCache does: its own references go as soon as the call returns."""
        objs = self.objs(*values)
        futures = prefill.batched_submit_put_task(
            [key(value) for value in values], objs,
            transfer_spec=lmcache.disagg_spec(req_id, self.ports, **more), on_complete_callback=callback)
        for obj in objs:
            obj.ref_count_down()
        return futures

    def test_it_is_one_of_lmcaches(self):
        decode, _ = self.pair()
        self.assertIsInstance(decode, lmcache.StoragePluginInterface)
        self.assertEqual(decode.__class__.__abstractmethods__, frozenset())
        self.assertEqual(str(decode), "BatonBackend")
        self.assertIs(decode.get_allocator_backend(), self.local)
        self.assertIs(decode.local_cpu_backend, self.local)

    def test_put_and_get(self):
        decode, prefill = self.pair()
        self.assertFalse(decode.contains(key(1)))
        self.assertIsNone(decode.get_blocking(key(1)))
        done = []
        objs = self.objs(1, 2, 3, tokens=5)
        futures = prefill.batched_submit_put_task(
            [key(1), key(2), key(3)], objs, transfer_spec=lmcache.disagg_spec("r", self.ports),
            on_complete_callback=done.append)
        for obj in objs:
            obj.ref_count_down()
        self.assertEqual(futures[0].result(WAIT), 3)
        self.assertEqual(done, [key(1), key(2), key(3)])
        self.assertFalse(prefill.exists_in_put_tasks(key(1)))
        self.assertEqual(self.local.free, 64)  # every reference was given back
        self.assertEqual(prefill.backend.stats().pages_free, 8)
        self.assertEqual(decode.batched_contains([key(1), key(2), key(3), key(4)]), 3)
        got = decode.batched_get_blocking([key(1), key(3), key(9)])
        self.assertEqual(bytes(got[0].byte_array), bytes([1]) * CHUNK)
        self.assertEqual((got[1].metadata.shape, got[1].metadata.dtype, got[1].metadata.fmt),
                         ((2, 4, 5, 64), lmcache.HALF, baton.MemoryFormat.KV_2LTD))
        self.assertEqual(bytes(got[1].byte_array), bytes([3]) * (2 * 4 * 5 * 64 * 2))
        self.assertIsNone(got[2])
        future = decode.get_non_blocking(key(2))
        self.assertEqual(bytes(future.result(WAIT).byte_array), bytes([2]) * CHUNK)
        self.assertIsNone(decode.get_non_blocking(key(9)))

    def test_chunked_prefill(self):
        """Several puts of a request, more chunks than the receiver has free at first."""
        decode, prefill = self.pair(decode={"pd_buffer_size": 4 * CHUNK})
        futures, go = [], threading.Event()
        for i, values in enumerate(([1, 2], [3], [4])):
            futures += self.put(prefill, "r", values, lambda k: go.wait(WAIT), total_chunks=4,
                                is_last_prefill=i == 2)
        self.assertTrue(prefill.exists_in_put_tasks(key(4)))
        go.set()
        # These wait for pages; they must not hold up what is admitted.
        waiting = self.put(prefill, "s", [11, 12, 13])
        self.assertEqual([future.result(WAIT) for future in futures], [2, 1, 1])
        self.assertEqual(decode.batched_contains([key(n) for n in (1, 2, 3, 4)]), 4)
        decode.cancel_request("r")  # its holds end, its pages are cache
        self.assertEqual(waiting[0].result(WAIT), 3)
        self.assertEqual(bytes(decode.get_blocking(key(12)).byte_array), bytes([12]) * CHUNK)

    def test_asynchronous_calls(self):
        decode, prefill = self.pair()

        async def run():
            objs = self.objs(1, 2)
            await asyncio.wait_for(prefill.async_batched_submit_put_task(
                [key(1), key(2)], objs, lmcache.disagg_spec("r", self.ports)), WAIT)
            names = [key(1), key(2), key(3), key(1)]
            self.assertEqual(await decode.batched_async_contains("lookup", names, pin=True), 2)
            self.assertEqual(len(await decode.batched_get_non_blocking("lookup", names)), 2)
            with self.assertRaises(baton.Error):
                await prefill.async_batched_submit_put_task(
                    [key(5)], self.objs(5), lmcache.disagg_spec("q", (1, 1)))

        prefill_options = {"pd_handshake_timeout_ms": 200, "pd_admission_timeout_ms": 300}
        prefill.close()
        prefill = self.start(sender_config(**prefill_options))
        asyncio.run(run())
        self.assertFalse(decode.remove(key(1)))  # pinned by the lookup
        decode.cancel_request("r")
        self.assertTrue(decode.unpin(key(1)) and decode.unpin(key(2)))
        self.assertEqual(decode.batched_remove([key(1), key(2), key(3)]), 2)

    def test_batons_own_objects_are_not_copied(self):
        decode, prefill = self.pair()
        chunk = prefill.backend.allocate(SHAPE, "half")
        chunk.numpy()[:] = 7
        copied = []
        original, baton.lmcache._bytes = baton.lmcache._bytes, lambda *a: copied.append(a)
        self.addCleanup(setattr, baton.lmcache, "_bytes", original)
        [future] = prefill.batched_submit_put_task([key(1)], [chunk], lmcache.disagg_spec("r", self.ports))
        del chunk
        future.result(WAIT)
        self.assertEqual(copied, [])
        baton.lmcache._bytes = original
        self.assertEqual(bytes(decode.get_blocking(key(1)).byte_array)[:2], b"\x00\x47")  # 7 in half

    def test_local_requests_and_roles(self):
        decode, prefill = self.pair()
        objs = self.objs(1)
        self.assertIsNone(prefill.batched_submit_put_task([key(1)], objs))
        self.assertIsNone(decode.batched_submit_put_task([key(1)], objs,
                                                         lmcache.disagg_spec("r", self.ports)))
        self.assertEqual(objs[0].references, 1)
        self.assertIsNone(prefill.get_blocking(key(1)))
        self.assertFalse(prefill.contains(key(1)))
        self.assertFalse(prefill.submit_prefetch_task(key(1)))
        prefill.touch_cache()
        scheduler = self.start(receiver_config(), role="scheduler")
        self.assertIsNone(scheduler.backend)
        self.assertFalse(scheduler.contains(key(1)) or scheduler.pin(key(1)) or scheduler.remove(key(1)))
        self.assertIsNone(scheduler.get_blocking(key(1)))
        self.assertIsNone(scheduler.batched_submit_put_task([key(1)], objs, object()))

    def test_failures_give_everything_back(self):
        decode, prefill = self.pair(prefill={"pd_admission_timeout_ms": 60_000})
        hog = prefill.backend.open_request(
            support.spec("hog", decode.backend), [baton.CacheEngineKey("org/model", chunk_hash=n)
                                                  for n in range(100, 108)], WAIT)
        waiting = self.put(prefill, "r", [1, 2])  # for staging
        self.assertEqual(self.local.free, 62)
        prefill.cancel_request("r")
        with self.assertRaises(baton.Cancelled):
            waiting[0].result(WAIT)
        self.assertEqual(self.local.free, 64)
        too_many = self.put(prefill, "q", range(20))
        with self.assertRaises(baton.ResourceExhausted):
            too_many[0].result(WAIT)
        waiting = self.put(prefill, "p", [3])
        prefill.close()
        with self.assertRaises(baton.Error):
            waiting[0].result(WAIT)
        with self.assertRaises(baton.FailedPrecondition):
            self.put(prefill, "o", [4])
        self.assertEqual(self.local.free, 63)  # only the last objects, which raised above
        hog.close()

    def proxy(self):
        """Options that name a proxy of the test's; and what returns the next req_id that it hears."""
        context = zmq.Context()
        self.addCleanup(context.term)
        socket = context.socket(zmq.PULL)
        self.addCleanup(socket.close, 0)
        socket.rcvtimeo = int(WAIT * 1000)
        port = socket.bind_to_random_port("tcp://127.0.0.1")

        def hear():
            return msgpack.unpackb(socket.recv())["req_id"]

        return {"pd_proxy_host": "127.0.0.1", "pd_proxy_port": port}, hear

    def refused(self, futures, error=baton.FailedPrecondition):
        with self.assertRaises(error) as caught:
            futures[0].result(WAIT)
        return str(caught.exception)

    def test_the_rest_of_a_broken_request_is_not_the_whole(self):
        options, hear = self.proxy()
        decode, prefill = self.pair(prefill=options)
        # The first put of several doesn't say how many chunks will come.
        first = self.put(prefill, "r", [1, 2], is_last_prefill=False)
        self.assertIn("total_chunks", self.refused(first, baton.InvalidArgument))
        self.assertIn("lost", self.refused(self.put(prefill, "r", [3], is_last_prefill=False)))
        self.refused(self.put(prefill, "r", [4, 5]))
        # Cancelled, idle for too long, and one put too many.
        for req_id, end in (("cancelled", prefill.cancel_request), ("idle", self.forget)):
            self.put(prefill, req_id, [6], total_chunks=2, is_last_prefill=False)[0].result(WAIT)
            self.prefill = prefill
            end(req_id)
            self.refused(self.put(prefill, req_id, [7]))
        self.assertEqual(self.local.free, 64)
        self.assertEqual(decode.batched_contains([key(4)]) + decode.batched_contains([key(7)]), 0)
        # The last put has passed: this is another try.
        self.put(prefill, "r", [1, 2])[0].result(WAIT)
        self.assertEqual(hear(), "r")
        self.put(prefill, "s", [1, 2, 8])[0].result(WAIT)
        self.assertEqual(hear(), "s")

    def forget(self, req_id):
        """As if its last put had not come for long."""
        self.prefill._requests._requests[req_id].used -= 1e6

    def test_a_put_too_many_breaks_its_request(self):
        options, hear = self.proxy()
        _, prefill = self.pair(prefill={"pd_max_puts": 1, **options})
        entered, go = threading.Event(), threading.Event()
        self.addCleanup(go.set)
        first = self.put(prefill, "q", [1], lambda k: (entered.set(), go.wait(WAIT)))
        self.assertTrue(entered.wait(WAIT))
        with self.assertRaises(baton.ResourceExhausted):
            self.put(prefill, "r", [2], is_last_prefill=False)
        go.set()
        first[0].result(WAIT)
        self.refused(self.put(prefill, "r", [3]))
        self.put(prefill, "s", [4])[0].result(WAIT)
        self.assertEqual([hear(), hear()], ["q", "s"])
        self.assertEqual(self.local.free, 63)  # the one that raised

    def test_both_roles(self):
        one, other = self.start(receiver_config(pd_role="both")), self.start(receiver_config(pd_role="both"))
        for plugin, to, number in ((one, other, 1), (other, one, 2)):
            self.ports = (to.backend.init_port, to.backend.alloc_port)
            self.put(plugin, f"r{number}", [number])[0].result(WAIT)
            self.assertEqual(bytes(to.get_blocking(key(number)).byte_array), bytes([number]) * CHUNK)

    def test_no_memory_for_a_get(self):
        decode, prefill = self.pair()
        self.put(prefill, "r", [1])[0].result(WAIT)
        self.local.free = 0
        with self.assertLogs("baton.lmcache", "WARNING"):
            self.assertIsNone(decode.get_blocking(key(1)))

    def test_configuration_errors(self):
        for config, words in (
                (receiver_config(pd_rolle="x"), ["storage_plugin.handoff", "pd_rolle"]),
                (lmcache.configuration(pd_role="sender"), ["pd_buffer_size"]),
                (receiver_config(chunk_size=0), ["chunk_size"])):
            with self.subTest(words), self.assertRaises(baton.InvalidArgument) as caught:
                lmcache.launch(config, self.local)
            for word in words:
                self.assertIn(word, str(caught.exception))
        unnamed = receiver_config()
        del unnamed.extra_config["storage_plugin.handoff.class_name"]
        with self.assertRaises(baton.InvalidArgument):
            baton.lmcache.BatonBackend(config=unnamed, metadata=lmcache.metadata())

    def test_layout(self):
        decode, _ = self.pair(decode={"model_fingerprint": "abc", "pd_claim_ttl_ms": 40_000},
                              prefill={"hash_scheme": "mine"})
        layout = decode.backend.layout
        self.assertEqual((layout.model_name, layout.model_fingerprint, layout.hash_scheme),
                         ("org/model", "abc", "lmcache-sha256_cbor_64bit"))
        self.assertEqual(layout.full_chunk, baton.TensorMeta(SHAPE))
        self.assertEqual(decode.backend.options.pd_claim_ttl_ms, 40_000)

    def test_two_processes(self):
        for transport in ("shm", "tcp"):
            with self.subTest(transport), support.Child("lmcache_process.py", transport) as child:
                prefill = self.start(sender_config(pd_transport=transport))
                self.ports = child.hear()
                for i in range(3):
                    values = [10 * i + 1, 10 * i + 2]
                    self.put(prefill, f"r{i}", values)[0].result(WAIT)
                    child.say(values + [999])
                    self.assertEqual(child.hear(), {
                        "hits": 2, "free": 8,
                        "got": [[list(SHAPE), hashlib.sha256(bytes([value]) * CHUNK).hexdigest()]
                                for value in values]})
                prefill.close()
            self.assertEqual(child.code, 0)


class Alone(unittest.TestCase):
    def test_without_lmcache(self):
        code = ("import sys, baton.lmcache as l; assert l.BatonBackend.__mro__[1] is object; "
                "assert not {'lmcache', 'torch', 'numpy'} & set(sys.modules)")
        subprocess.run([sys.executable, "-X", "dev", "-W", "error", "-c", code], check=True, timeout=WAIT)


if __name__ == "__main__":
    unittest.main()
