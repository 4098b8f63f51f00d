"""Agents for the Python peers: NIXL's own, or a stand-in with the same few calls.

The stand-in's memory is a memfd that peers on this host map (memfd_plane.h is Baton's side of it).
"""
import ctypes
import mmap
import os
import pathlib
import pickle
import sys
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "vectors"))
import make_xfer_dlist as lists  # noqa: E402


class Memory:
    """Bytes at an address that does not move."""

    def __init__(self, size, fd=None):
        self.fd = os.memfd_create("peer") if fd is None else fd
        if fd is None:
            os.ftruncate(self.fd, size)
        self.map = mmap.mmap(self.fd, size)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.map))
        self.size = size


class StandInAgent:
    def __init__(self, name, memory):
        self.name = name
        self.memory = memory
        self.peers = {}
        self.bindings = lists.stand_in("nixl._bindings")

    def get_agent_metadata(self):
        m = self.memory
        return f"standin|{self.name}|{os.getpid()}|{m.fd}|{m.address}|{m.size}".encode()

    def add_remote_agent(self, metadata):
        kind, name, pid, fd, base, size = metadata.decode().split("|")
        if kind != "standin":
            raise ValueError("not an agent's metadata")
        theirs = os.open(f"/proc/{pid}/fd/{fd}", os.O_RDWR)
        self.peers[name.encode()] = (Memory(int(size), theirs), int(base))
        return name.encode()

    def page_list(self, pages):
        return self.bindings(lists.DRAM, pages)

    def get_serialized_descs(self, descs):
        return pickle.dumps(descs)

    def deserialize_descs(self, data):
        return pickle.loads(data)

    def prep_pages(self, agent, descs):
        body = descs.state[:-1]
        head = body.index(b"nixlBDList|") + 11 + 1 + 8 + 5 + 1 + 8
        count = int.from_bytes(body[head:head + 8], "little")
        raw = body[len(body) - 24 * count:]
        pages = [tuple(int.from_bytes(raw[i * 24 + j * 8:][:8], "little") for j in range(3))
                 for i in range(count)]
        return (agent, pages)

    def transfer(self, operation, local_pages, local_indexes, remote, remote_indexes):
        if len(local_indexes) != len(remote_indexes):
            raise RuntimeError("NIXL_ERR_INVALID_PARAM")
        agent, pages = remote
        memory, base = self.peers[agent]
        for mine, theirs in zip(local_indexes, remote_indexes):
            if theirs < 0 or theirs >= len(pages):
                raise RuntimeError("NIXL_ERR_INVALID_PARAM")
            address, length, _ = pages[theirs]
            here = local_pages[mine][0] - self.memory.address
            there = address - base
            if operation == "WRITE":
                memory.map[there:there + length] = self.memory.map[here:here + length]
            else:
                self.memory.map[here:here + length] = memory.map[there:there + length]


class NixlAgent:
    def __init__(self, name, memory):
        from nixl._api import nixl_agent, nixl_agent_config

        self.memory = memory
        self.agent = nixl_agent(name, nixl_agent_config(backends=["UCX"]))
        self.registered = self.agent.get_reg_descs([(memory.address, memory.size, 0, "")],
                                                   mem_type="cpu")
        self.agent.register_memory(self.registered)
        self.name = name
        self.local = None

    def get_agent_metadata(self):
        return self.agent.get_agent_metadata()

    def add_remote_agent(self, metadata):
        name = self.agent.add_remote_agent(metadata)
        return name if isinstance(name, bytes) else name.encode()

    def page_list(self, pages):
        return self.agent.get_xfer_descs(pages, mem_type="cpu")

    def get_serialized_descs(self, descs):
        return self.agent.get_serialized_descs(descs)

    def deserialize_descs(self, data):
        return self.agent.deserialize_descs(data)

    def notify(self, agent, text):
        self.agent.send_notif(agent.decode(), text)

    def prep_pages(self, agent, descs):
        return self.agent.prep_xfer_dlist(agent, descs, mem_type="cpu")

    def transfer(self, operation, local_pages, local_indexes, remote, remote_indexes):
        if self.local is None:
            self.local = self.agent.prep_xfer_dlist("", self.page_list(local_pages), mem_type="cpu")
        handle = self.agent.make_prepped_xfer(operation, self.local, local_indexes, remote,
                                              remote_indexes)
        try:
            self.agent.transfer(handle)
            for _ in range(20_000):
                state = self.agent.check_xfer_state(handle)
                if state == "DONE":
                    return
                if state == "ERR":
                    raise RuntimeError("the transfer failed")
                import time
                time.sleep(0.001)  # NIXL has no event.
            raise RuntimeError("the transfer did not end")
        finally:
            self.agent.release_xfer_handle(handle)


def make_agent(over_nixl, memory):
    return (NixlAgent if over_nixl else StandInAgent)(str(uuid.uuid4()), memory)
