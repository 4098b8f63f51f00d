"""Backends, keys and chunks for the tests; another process as a receiver."""

import contextlib
import json
import os
import subprocess
import sys

import baton

FULL = baton.TensorMeta([2, 4, 16, 64], baton.DType.half, baton.MemoryFormat.KV_2LTD)
LAYOUT = baton.CacheLayout("small", "weights-1", "test-hash-v1", FULL)
WAIT = 30.0  # seconds that nothing here should take


def key(number, layout=LAYOUT):
    return baton.CacheEngineKey(layout.model_name, chunk_hash=number, dtype=layout.full_chunk.dtype)


def keys(first, count, layout=LAYOUT):
    return [key(first + i, layout) for i in range(count)]


def options(role, pages=16, layout=LAYOUT, **more):
    ports = {"pd_peer_init_port": 0, "pd_peer_alloc_port": 0} if role == "receiver" else {}
    return baton.Options(pd_role=role, pd_buffer_size=pages * layout.full_chunk.nbytes,
                         chunk_size=layout.full_chunk.tokens, **ports, **more)


def receiver(**more):
    role = more.pop("pd_role", "receiver")
    return baton.PDBackend(options("receiver", **more).replace(pd_role=role), more.get("layout", LAYOUT))


def sender(**more):
    return baton.PDBackend(options("sender", **more), more.get("layout", LAYOUT))


@contextlib.contextmanager
def pair(**more):
    with receiver(**more) as decode, sender(**more) as prefill:
        yield decode, prefill


def spec(req_id, ports, last=True, **more):
    """`ports`: a receiver, or its two ports."""
    init, alloc = (ports.init_port, ports.alloc_port) if isinstance(ports, baton.PDBackend) else ports
    return baton.TransferSpec(req_id, receiver_init_port=[init], receiver_alloc_port=[alloc],
                              is_last_prefill=last, **more)


def chunks_of(prefill, values):
    """One full chunk for each value, filled with it."""
    objects = prefill.batched_allocate(FULL, batch_size=len(values))
    for chunk, value in zip(objects, values):
        chunk.numpy()[:] = value
    return objects


def put(prefill, decode, req_id, numbers, **more):
    """Puts a chunk for each number, filled with it, as one whole request."""
    [handle] = prefill.batched_submit_put_task(
        [key(number) for number in numbers], chunks_of(prefill, numbers), spec(req_id, decode), **more)
    return handle


class Child:
    """A process of this interpreter's that runs a file of this folder, spoken to line by line."""

    def __init__(self, script, *arguments):
        path = os.path.join(os.path.dirname(os.path.abspath(__file__)), script)
        self.process = subprocess.Popen(
            [sys.executable, "-X", "dev", "-W", "error", path, *map(str, arguments)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def say(self, message):
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def hear(self):
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"the child ended: {self.process.wait(WAIT)}")
        return json.loads(line)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.process.stdin.close()
        try:
            self.code = self.process.wait(WAIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.code = self.process.wait()
        self.process.stdout.close()
