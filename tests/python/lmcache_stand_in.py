"""What the plug-in meets in LMCache, written from its documented interface: the plug-in's base class
with exactly its abstract methods, keys, memory objects, a local CPU backend, and the launcher.

install() makes it importable as lmcache.
"""

import abc
import importlib
import sys
import threading
import types


class Dtype:
    """Prints as torch's do."""

    def __init__(self, name, itemsize):
        self.name, self.itemsize = name, itemsize

    def __str__(self):
        return f"torch.{self.name}"


HALF = Dtype("float16", 2)


class Format:
    """An enumeration's member, as far as the plug-in looks."""

    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return self.value == getattr(other, "value", None)

    __hash__ = None


class CacheEngineKey:
    def __init__(self, model_name, world_size, worker_id, chunk_hash):
        self.parts = (model_name, world_size, worker_id, chunk_hash)

    def to_string(self):
        model_name, world_size, worker_id, chunk_hash = self.parts
        return f"{model_name}@{world_size}@{worker_id}@{chunk_hash:x}@half"

    def __eq__(self, other):
        return isinstance(other, CacheEngineKey) and self.parts == other.parts

    def __hash__(self):
        return hash(self.parts)


class MemoryObj:
    def __init__(self, shape, dtype, fmt, pool):
        self.metadata = types.SimpleNamespace(shape=tuple(shape), dtype=dtype, fmt=fmt)
        self.size = dtype.itemsize
        for length in shape:
            self.size *= length
        self.raw = bytearray(self.size)
        self.references = 1
        self.lock = threading.Lock()
        self.pool = pool

    @property
    def byte_array(self):
        assert self.references > 0, "used after its last reference was given back"
        return memoryview(self.raw)

    def ref_count_up(self):
        with self.lock:
            assert self.references > 0
            self.references += 1

    def ref_count_down(self):
        with self.lock:
            self.references -= 1
            assert self.references >= 0
            if self.references == 0:
                self.pool.free += 1


class LocalCPUBackend:
    def __init__(self, chunks):
        self.free = chunks

    def allocate(self, shapes, dtypes, fmt=None, eviction=True, busy_loop=True):
        if self.free == 0:
            return None
        self.free -= 1
        return MemoryObj(shapes, dtypes, fmt, self)


class StoragePluginInterface(metaclass=abc.ABCMeta):
    """The abstract methods, and the optional ones that say so when they are missing."""

    def __init__(self, dst_device="cpu", config=None, metadata=None, local_cpu_backend=None, loop=None):
        self.dst_device = dst_device
        self.config = config
        self.metadata = metadata
        self.local_cpu_backend = local_cpu_backend
        self.loop = loop

    @abc.abstractmethod
    def contains(self, key, pin=False): ...
    @abc.abstractmethod
    def exists_in_put_tasks(self, key): ...
    @abc.abstractmethod
    def batched_submit_put_task(self, keys, objs, transfer_spec=None, on_complete_callback=None): ...
    @abc.abstractmethod
    def get_blocking(self, key): ...
    @abc.abstractmethod
    def pin(self, key): ...
    @abc.abstractmethod
    def unpin(self, key): ...
    @abc.abstractmethod
    def remove(self, key, force=True): ...
    @abc.abstractmethod
    def get_allocator_backend(self): ...
    @abc.abstractmethod
    def close(self): ...

    def batched_contains(self, keys, pin=False):
        raise NotImplementedError

    def batched_get_blocking(self, keys):
        raise NotImplementedError

    async def batched_get_non_blocking(self, lookup_id, keys, transfer_spec=None):
        raise NotImplementedError

    async def batched_async_contains(self, lookup_id, keys, pin=False):
        raise NotImplementedError

    def cancel_request(self, req_id):
        raise NotImplementedError

    def touch_cache(self):
        raise NotImplementedError


def install():
    module = types.ModuleType("lmcache.v1.storage_backend.abstract_backend")
    module.StoragePluginInterface = StoragePluginInterface
    name = module.__name__
    sys.modules[name] = module
    while "." in name:
        name = name.rpartition(".")[0]
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = []


def configuration(chunk_size=16, module_path="baton.lmcache", class_name="BatonBackend", **options):
    """What LMCache makes of a YAML file."""
    extra = {"storage_plugin.handoff.module_path": module_path,
             "storage_plugin.handoff.class_name": class_name}
    extra.update({f"storage_plugin.handoff.{key}": value for key, value in options.items()})
    return types.SimpleNamespace(enable_pd=False, local_cpu=True, chunk_size=chunk_size,
                                 save_unfull_chunk=True, storage_plugins=["handoff"],
                                 extra_config=extra, pre_caching_hash_algorithm="sha256_cbor_64bit")


def metadata(role="worker"):
    return types.SimpleNamespace(model_name="org/model", world_size=1, worker_id=0, kv_dtype=HALF,
                                 kv_shape=(4, 2, 16, 2, 32), role=role)


def launch(config, local_cpu_backend, role="worker", loop=None):
    """Loads the plug-ins that the configuration names, by name, with keywords."""
    found = {}
    for name in config.storage_plugins:
        module = importlib.import_module(config.extra_config[f"storage_plugin.{name}.module_path"])
        cls = getattr(module, config.extra_config[f"storage_plugin.{name}.class_name"])
        found[name] = cls(config=config, dst_device="cpu", metadata=metadata(role),
                          local_cpu_backend=local_cpu_backend, loop=loop)
    return found


def disagg_spec(req_id, ports, total_chunks=0, is_last_prefill=True):
    return types.SimpleNamespace(
        req_id=req_id, receiver_host="127.0.0.1", receiver_init_port=[ports[0]],
        receiver_alloc_port=[ports[1]], receiver_query_port=[], is_last_prefill=is_last_prefill,
        num_transferred_tokens=0, total_chunks=total_chunks)
