#!/usr/bin/python3
"""The sending side of lmcache_mode: REQ/REP allocation, then a write polled every 1 ms.

As LMCache's PD backend and its NIXL channel do it: the allocation waits for its answer; the write is
posted to a progress thread, its state is looked at, and as long as it is in progress the thread
sleeps for 1 ms. The write itself is a memcpy by one C++ thread into the decoder's memory: no
slower than NIXL's on one host.
"""

import ctypes
import os
import sys
import time

import zmq

from common import (PAGE_TOKENS, Channel, alloc_request, keys_of, make_memory, proxy_notif, unpack)


class Prefiller:
    def __init__(self, arguments: dict):
        chunk_bytes = arguments["chunk_bytes"]
        self._chunks = arguments["chunks"]
        self._shape = [2, 1, PAGE_TOKENS, chunk_bytes // (4 * PAGE_TOKENS)]
        size = chunk_bytes * self._chunks
        fd = make_memory(size)
        os.pwrite(fd, os.urandom(1 << 20) * max(1, size >> 20), 0)
        decoder = arguments["decoder"]
        self._library = ctypes.CDLL(arguments["library"])
        self._library.baton_bench_writer.restype = ctypes.c_void_p
        self._library.baton_bench_writer.argtypes = [ctypes.c_char_p, ctypes.c_size_t,
                                                     ctypes.c_char_p, ctypes.c_size_t,
                                                     ctypes.c_size_t]
        self._library.baton_bench_write.argtypes = [ctypes.c_void_p, ctypes.c_void_p,
                                                    ctypes.c_void_p, ctypes.c_size_t]
        self._library.baton_bench_written.argtypes = [ctypes.c_void_p]
        self._writer = self._library.baton_bench_writer(
            f"/proc/self/fd/{fd}".encode(), size,
            f"/proc/{decoder['pid']}/fd/{decoder['fd']}".encode(), decoder["bytes"], chunk_bytes)
        if not self._writer:
            raise OSError("can't map the buffers")
        context = zmq.Context()
        self._alloc = context.socket(zmq.REQ)
        self._alloc.connect(f"tcp://127.0.0.1:{decoder['port']}")
        self._proxy = context.socket(zmq.PUSH)
        self._proxy.connect(f"tcp://127.0.0.1:{decoder['proxy_port']}")
        self._next = 0

    def started(self) -> dict:
        return {}

    def _allocate(self, keys) -> dict:
        texts = [key.to_string() for key in keys]
        self._alloc.send(alloc_request(texts, self._shape, PAGE_TOKENS))
        return unpack(self._alloc.recv())

    def _put(self, keys, objects: list[int], req_id: str) -> None:
        response = self._allocate(keys)
        already_sent = set(response["already_sent_indexes"])
        local = [index for i, index in enumerate(objects) if i not in already_sent]
        remote = response["remote_indexes"]
        if local:
            array = ctypes.c_uint32 * len(local)
            self._library.baton_bench_write(self._writer, array(*local), array(*remote), len(local))
            while not self._library.baton_bench_written(self._writer):
                time.sleep(0.001)
        self._proxy.send(proxy_notif(req_id))

    def op_puts(self, arguments: dict) -> dict:
        """`times` puts of `each` chunks; microseconds each."""
        each = arguments["each"]
        first = arguments["first"]
        us = []
        for _ in range(arguments["times"]):
            keys = keys_of(first, each)
            objects = [(self._next + i) % self._chunks for i in range(each)]
            self._next += each
            begun = time.perf_counter()
            self._put(keys, objects, f"r-{first}")
            us.append((time.perf_counter() - begun) * 1e6)
            first += each
        return {"us": us}

    def op_allocate(self, arguments: dict) -> dict:
        """One allocation round trip with `keys` keys, in microseconds."""
        keys = keys_of(arguments["first"], arguments["keys"])
        begun = time.perf_counter()
        response = self._allocate(keys)
        us = (time.perf_counter() - begun) * 1e6
        if len(response["remote_indexes"]) != len(keys):
            raise RuntimeError("not all keys got a page")
        return {"us": us}


if __name__ == "__main__":
    Channel(int(sys.argv[1])).serve(Prefiller)
