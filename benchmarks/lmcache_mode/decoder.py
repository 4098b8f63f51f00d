#!/usr/bin/python3
"""The receiving side of lmcache_mode: allocates as LMCache's PD backend does, key by key.

One thread answers REQ with REP. For each key: parse it, look it up in a dict of keys under a lock,
else take a page from a list of free ones and put it into the dict.
"""

import os
import sys
import threading
from collections import deque

import zmq

from common import CacheEngineKey, Channel, alloc_response, make_memory, unpack

TOKEN_DIM = 2  # of KV_2LTD


class MemoryObj:
    """A page with its shape."""

    __slots__ = ("index", "shape", "dtype", "fmt", "ref_count")

    def __init__(self, index, shape, dtype, fmt):
        self.index = index
        self.shape = shape
        self.dtype = dtype
        self.fmt = fmt
        self.ref_count = 1


class Decoder:
    def __init__(self, arguments: dict):
        self._size = arguments["chunk_bytes"] * arguments["chunks"]
        self._fd = make_memory(self._size)
        self._free = deque(range(arguments["chunks"]))
        self._free_lock = threading.Lock()
        self._data: dict[CacheEngineKey, MemoryObj] = {}
        self._data_lock = threading.Lock()
        context = zmq.Context()
        self._socket = context.socket(zmq.REP)
        self._port = self._socket.bind_to_random_port("tcp://127.0.0.1")
        # Where the proxy would be: it is told, nobody waits for it.
        self._proxy = context.socket(zmq.PULL)
        self._proxy_port = self._proxy.bind_to_random_port("tcp://127.0.0.1")
        threading.Thread(target=self._serve, daemon=True).start()

    def started(self) -> dict:
        return {"pid": os.getpid(), "fd": self._fd, "bytes": self._size, "port": self._port,
                "proxy_port": self._proxy_port}

    def _serve(self) -> None:
        while True:
            request = unpack(self._socket.recv())
            self._socket.send(self._allocate_and_put(request))

    def _allocate_and_put(self, request: dict) -> bytes:
        total = len(request["keys"])
        shape = request["shape"]
        already_sent_indexes = []
        remote_indexes = []
        for index, text in enumerate(request["keys"]):
            key = CacheEngineKey.from_string(text)
            if self._contains(key):
                already_sent_indexes.append(index)
                continue
            if index == total - 1:
                shape = list(shape)
                shape[TOKEN_DIM] = request["last_chunk_toks"]
            obj = self._allocate(shape, request["dtype"], request["fmt"])
            remote_indexes.append(obj.index)
            with self._data_lock:
                self._data[key] = obj
        return alloc_response(already_sent_indexes, remote_indexes)

    def _contains(self, key: CacheEngineKey) -> bool:
        with self._data_lock:
            obj = self._data.get(key)
            if obj is None:
                return False
            obj.ref_count += 1
            return True

    def _allocate(self, shape, dtype, fmt) -> MemoryObj:
        with self._free_lock:
            index = self._free.popleft()
        return MemoryObj(index, shape, dtype, fmt)

    def op_forget(self, _: dict) -> dict:
        """What the decoder's use of the chunks and their removal come to; outside the time."""
        with self._data_lock, self._free_lock:
            self._free.extend(obj.index for obj in self._data.values())
            self._data.clear()
        while self._proxy.poll(0):
            self._proxy.recv()
        return {}


if __name__ == "__main__":
    Channel(int(sys.argv[1])).serve(Decoder)
