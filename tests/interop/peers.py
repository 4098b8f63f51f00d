"""LMCache's sync and async PD backends, as far as the other side can tell: same sockets, same messages
in the same order, same reactions to answers."""
import os
import threading
import uuid

import msgpack
import zmq

from agents import Memory, make_agent

CHUNK = 2 * 4 * 64 * 2  # [2, 1, 4, 64] halves
TIMEOUT_MS = 15_000


def chunk_bytes(number):
    return bytes((number * 37 + at * 11 + at // 256) & 255 for at in range(CHUNK))


def key(number):
    return f"tiny@1@0@{number:x}@half"


def keys(first, count):
    return [key(first + i) for i in range(count)]


def encode(kind, **fields):
    return msgpack.packb({"type": kind, **fields})


def decode(data):
    return msgpack.unpackb(data)


class Failed(Exception):
    """The put failed on this side, as LMCache's would."""


class Base:
    def __init__(self, over_nixl, pages):
        self.context = zmq.Context.instance()
        self.sockets = []
        self.memory = Memory(pages * CHUNK)
        self.agent = make_agent(over_nixl, self.memory)
        self.pages = [(self.memory.address + i * CHUNK, CHUNK, 0) for i in range(pages)]

    def page_list(self):
        return self.agent.get_serialized_descs(self.agent.page_list(self.pages))

    def socket(self, kind, port=None, identity=None):
        socket = self.context.socket(kind)
        self.sockets.append(socket)
        socket.linger = 0
        socket.rcvtimeo = socket.sndtimeo = TIMEOUT_MS
        if identity is not None:
            socket.identity = identity
        if port is not None:
            socket.connect(f"tcp://127.0.0.1:{port}")
        return socket

    def close(self):
        for socket in self.sockets:
            socket.close()

    def bytes_at(self, page):
        return self.memory.map[page * CHUNK:(page + 1) * CHUNK]


class Sender(Base):
    """PDBackend and PDBackendAsync with pd_role: sender."""

    def __init__(self, over_nixl, is_async, init_port, alloc_port, query_port=0):
        super().__init__(over_nixl, 16)
        self.is_async = is_async
        # Only the async backend makes one where no init port is configured.
        self.local_id = f"sender-pid{os.getpid()}-{uuid.uuid4().hex[:8]}" if is_async else ""
        self.init_port, self.alloc_port, self.query_port = init_port, alloc_port, query_port
        self.remote = None
        self.alloc = None

    def connect(self):
        init = self.socket(zmq.REQ, self.init_port)
        init.send(encode("NixlInitRequest", local_meta_bytes=self.agent.get_agent_metadata()))
        answer = decode(init.recv())
        assert answer["type"] == "NixlInitResponse", answer
        name = self.receiver_agent = self.agent.add_remote_agent(answer["remote_meta_bytes"])
        init.send(encode("NixlMemRegRequest", remote_agent_name=answer["remote_agent_name"],
                         local_id=self.local_id, local_xfer_dlist_bytes=self.page_list()))
        answer = decode(init.recv())
        assert answer["type"] == "NixlMemRegResponse", answer
        descs = self.agent.deserialize_descs(answer["remote_xfer_dlist_bytes"])
        self.remote = self.agent.prep_pages(name, descs)
        init.close()
        if self.is_async:
            identity = f"{self.local_id}-to-127.0.0.1{self.init_port}".encode()
            self.alloc = self.socket(zmq.DEALER, self.alloc_port, identity)
        else:
            self.alloc = self.socket(zmq.REQ, self.alloc_port)
        return self

    def ask(self, data):
        if self.is_async:
            self.alloc.send_multipart([b"", data])
            return decode(self.alloc.recv_multipart()[-1])
        self.alloc.send(data)
        return decode(self.alloc.recv())

    def alloc_request(self, req_id, names, last=True):
        fields = dict(keys=names, fmt=1, shape=[2, 1, 4, 64], dtype="half", last_chunk_toks=4)
        if self.is_async:
            fields.update(req_id=req_id, is_last_batch=last, total_chunks=0)
        return encode("AllocRequest", **fields)

    def put(self, req_id, first, count, last=True):
        answer = self.ask(self.alloc_request(req_id, keys(first, count), last))
        assert answer["type"] == "AllocResponse", answer
        remote = answer["remote_indexes"]
        if self.is_async:
            if len(remote) != count or -1 in remote:
                raise Failed(answer)
            numbers = range(first, first + count)
        else:
            sent = answer["already_sent_indexes"]
            numbers = [first + i for i in range(count) if i not in sent]
        local = []
        for place, number in enumerate(numbers):
            self.memory.map[place * CHUNK:(place + 1) * CHUNK] = chunk_bytes(number)
            local.append(place)
        if local:
            try:
                self.agent.transfer("WRITE", self.pages, local, self.remote, remote)
            except Exception as error:
                raise Failed(error) from error
        return answer

    def cancel(self, req_id, names):
        return self.ask(encode("CancelNotif", req_id=req_id, keys=names))

    def read(self, names):
        """batched_submit_read_task: the chunks that came, by key."""
        query = self.socket(zmq.REQ, self.query_port)
        query.send(encode("CacheQueryRequest", keys=names))
        answer = decode(query.recv())
        query.close()
        cached, pages = answer["cached_keys"], answer["cached_indexes"]
        if cached:
            self.agent.transfer("READ", self.pages, list(range(len(cached))), self.remote, pages)
        return {name: self.bytes_at(place) for place, name in enumerate(cached)}


class Receiver(Base):
    """PDBackend and PDBackendAsync with pd_role: receiver, the former with a query port. `change` may alter an
    answer; `before_query` is called with the number of a query's, from 1."""

    def __init__(self, over_nixl, is_async, pages=16):
        super().__init__(over_nixl, pages)
        self.is_async = is_async
        self.free = list(range(pages))
        self.data = {}
        self.heard = []
        self.change = lambda answer: answer
        self.before_query = lambda number: None
        self.stop = threading.Event()
        self.peers = {}
        self.init = self.socket(zmq.REP)
        self.init_port = self.init.bind_to_random_port("tcp://127.0.0.1")
        self.alloc = self.socket(zmq.ROUTER if is_async else zmq.REP)
        self.alloc_port = self.alloc.bind_to_random_port("tcp://127.0.0.1")
        self.query = self.socket(zmq.REP)
        self.query_port = self.query.bind_to_random_port("tcp://127.0.0.1")
        self.thread = threading.Thread(target=self.loop, daemon=True)
        self.thread.start()

    def close(self):
        self.stop.set()
        self.thread.join()
        super().close()

    def loop(self):
        poller = zmq.Poller()
        poller.register(self.init, zmq.POLLIN)
        poller.register(self.alloc, zmq.POLLIN)
        poller.register(self.query, zmq.POLLIN)
        while not self.stop.is_set():
            ready = dict(poller.poll(50))
            if self.init in ready:
                message = decode(self.init.recv())
                self.heard.append(message["type"])
                self.init.send(self.packed(self.handshake(message)))
            if self.alloc in ready:
                frames = self.alloc.recv_multipart()
                message = decode(frames[-1])
                self.heard.append(message["type"])
                answer = self.packed(self.answer(message))
                self.alloc.send_multipart([frames[0], b"", answer] if self.is_async else [answer])
            if self.query in ready:
                message = decode(self.query.recv())
                self.heard.append(message["type"])
                self.query.send(self.packed(self.cached(message)))

    def packed(self, answer):
        answer = self.change(answer)
        return answer if isinstance(answer, bytes) else msgpack.packb(answer)

    def handshake(self, message):
        if message["type"] == "NixlInitRequest":
            name = self.agent.add_remote_agent(message["local_meta_bytes"])
            return {"type": "NixlInitResponse", "remote_agent_name": name,
                    "remote_meta_bytes": self.agent.get_agent_metadata()}
        descs = self.agent.deserialize_descs(message["local_xfer_dlist_bytes"])
        self.peers[message["local_id"]] = self.agent.prep_pages(message["remote_agent_name"], descs)
        return {"type": "NixlMemRegResponse", "remote_xfer_dlist_bytes": self.page_list()}

    def answer(self, message):
        if message["type"] == "CancelNotif":
            for name in message["keys"]:
                if name in self.data:
                    self.free.append(self.data.pop(name))
            return {"type": "AllocResponse", "remote_indexes": [], "already_sent_indexes": []}
        assert message["type"] == "AllocRequest", message
        new, sent = [], []
        for i, name in enumerate(message["keys"]):
            if not self.is_async and name in self.data:
                sent.append(i)
                continue
            if not self.free:
                for taken in message["keys"][:i]:
                    self.free.append(self.data.pop(taken))
                new = [-1] * len(message["keys"])
                break
            if name in self.data:
                self.free.append(self.data.pop(name))
            self.data[name] = self.free.pop(0)
            new.append(self.data[name])
        if self.is_async:
            return {"type": "AllocResponse", "remote_indexes": new, "already_sent_indexes": []}
        return {"type": "AllocResponse", "already_sent_indexes": sent, "remote_indexes": new}

    def cached(self, message):
        assert message["type"] == "CacheQueryRequest", message
        self.before_query(self.heard.count("CacheQueryRequest"))
        there = [name for name in message["keys"] if name in self.data]
        return {"type": "CacheQueryResponse", "cached_keys": there,
                "cached_indexes": [self.data[name] for name in there]}

    def move(self, number):
        """Its chunk goes, and comes again in another page."""
        page = self.data[key(number)]
        new = self.free.pop(0)
        self.memory.map[new * CHUNK:(new + 1) * CHUNK] = self.bytes_at(page)
        self.memory.map[page * CHUNK:(page + 1) * CHUNK] = bytes(CHUNK)
        self.data[key(number)] = new
        self.free.append(page)

    def chunk(self, number):
        return self.bytes_at(self.data[key(number)])
