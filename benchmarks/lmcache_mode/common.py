"""What both sides of lmcache_mode share: keys, messages, and the channel to the benchmark."""

import json
import os
import socket
import time
from dataclasses import dataclass

import msgpack

MODEL = "bench"
PAGE_TOKENS = 16


@dataclass
class CacheEngineKey:
    """LMCache's key: five parts, the hash an integer, hashed field by field."""

    model_name: str
    world_size: int
    worker_id: int
    chunk_hash: int
    dtype: str

    def __hash__(self) -> int:
        return hash((self.model_name, self.world_size, self.worker_id, self.chunk_hash, self.dtype))

    def to_string(self) -> str:
        return f"{self.model_name}@{self.world_size}@{self.worker_id}@{self.chunk_hash:x}@{self.dtype}"

    @staticmethod
    def from_string(text: str) -> "CacheEngineKey":
        parts = text.split("@")
        if len(parts) < 5:
            raise ValueError(f"invalid key: {text}")
        return CacheEngineKey(parts[0], int(parts[1]), int(parts[2]), int(parts[3], 16), parts[4])


def keys_of(first: int, count: int) -> list[CacheEngineKey]:
    return [CacheEngineKey(MODEL, 1, 0, (1 << 62) + first + i, "half") for i in range(count)]


# LMCache's messages: maps tagged by "type", fields in this order (docs/protocol.md).
def alloc_request(keys: list[str], shape: list[int], last_chunk_toks: int) -> bytes:
    return msgpack.packb({"type": "AllocRequest", "keys": keys, "fmt": 1, "shape": shape,
                          "dtype": "half", "last_chunk_toks": last_chunk_toks})


def alloc_response(already_sent: list[int], remote: list[int]) -> bytes:
    return msgpack.packb({"type": "AllocResponse", "already_sent_indexes": already_sent,
                          "remote_indexes": remote})


def proxy_notif(req_id: str) -> bytes:
    return msgpack.packb({"type": "ProxyNotif", "req_id": req_id})


def unpack(message: bytes) -> dict:
    return msgpack.unpackb(message)


class Channel:
    """Calls of the benchmark's main process, a JSON object a line."""

    def __init__(self, fd: int):
        self._file = socket.socket(fileno=fd).makefile("rwb")

    def serve(self, make) -> None:
        role = None
        for line in self._file:
            request = json.loads(line)
            try:
                if request["op"] == "start":
                    role = make(request)
                    answer = role.started()
                else:
                    answer = getattr(role, "op_" + request["op"])(request)
            except Exception as error:
                self._send({"error": f"{type(error).__name__}: {error}"})
                raise
            answer["cpu_seconds"] = time.process_time()
            self._send(answer)

    def _send(self, answer: dict) -> None:
        self._file.write(json.dumps(answer).encode() + b"\n")
        self._file.flush()


def make_memory(size: int) -> int:
    """A buffer that another process can map, with every page there."""
    fd = os.memfd_create("lmcache_mode")
    os.posix_fallocate(fd, 0, size)
    return fd
