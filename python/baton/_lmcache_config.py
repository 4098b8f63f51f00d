"""From LMCache's configuration and metadata to Baton's options and layout."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Tuple

from . import _backend
from ._baton import CacheLayout, MemoryFormat, Options, TensorMeta
from ._errors import InvalidArgument

PREFIX = "storage_plugin."
#: Keys of ours that are no options of Baton's, and LMCache's own two.
OWN = ("module_path", "class_name", "model_fingerprint", "hash_scheme", "full_chunk")
#: LMCache asks by chunk, never claims a request: the request's hold would last for minutes after
#: everything was read. Chunks stay as cache afterwards.
DEFAULTS: Mapping[str, Any] = {"pd_claim_timeout_ms": 30_000, "pd_claim_ttl_ms": 30_000}


class Settings:
    """`options` and `layout`; InvalidArgument says which key is wrong or missing."""

    def __init__(self, config: Any, metadata: Any, cls: type) -> None:
        name, given = _section(getattr(config, "extra_config", None) or {}, cls)
        own = {key: given.pop(key, None) for key in OWN}
        values: Dict[str, Any] = dict(DEFAULTS)
        for key in ("chunk_size", "save_unfull_chunk"):
            if getattr(config, key, None) is not None:
                values[key] = getattr(config, key)
        values.update(given)
        try:
            self.options = Options(**values)
        except InvalidArgument as error:
            raise InvalidArgument(f"extra_config, {PREFIX}{name}.*: {error}") from None
        algorithm = getattr(config, "pre_caching_hash_algorithm", None) or "builtin"
        self.layout = CacheLayout(
            metadata.model_name,
            own["model_fingerprint"] or metadata.model_name,
            own["hash_scheme"] or f"lmcache-{algorithm}",
            _full_chunk(own["full_chunk"], metadata, self.options.chunk_size),
            metadata.world_size,
            metadata.worker_id,
        )


def _section(extra: Mapping[str, Any], cls: type) -> Tuple[str, Dict[str, Any]]:
    """The name under which the class was configured, and what was given with it."""
    for key, value in extra.items():
        if key.startswith(PREFIX) and key.endswith(".class_name") and value == cls.__name__:
            name = key[len(PREFIX):-len(".class_name")]
            if extra.get(f"{PREFIX}{name}.module_path") == cls.__module__:
                start = f"{PREFIX}{name}."
                return name, {k[len(start):]: v for k, v in extra.items() if k.startswith(start)}
    raise InvalidArgument(
        f"extra_config names no storage_plugin.<name>.module_path: {cls.__module__} with "
        f"storage_plugin.<name>.class_name: {cls.__name__}")


def _full_chunk(given: Any, metadata: Any, chunk_size: int) -> TensorMeta:
    """[2, L, T, D], or [1, L, T, D] for MLA. LMCache's kv_shape is (L, 2 or 1, T, heads, head size)."""
    if given is None:
        layers, kv, _, heads, head_size = metadata.kv_shape
        given = [kv, layers, chunk_size, heads * head_size]
    fmt = MemoryFormat.KV_2LTD if given[0] == 2 else MemoryFormat.KV_MLA_FMT
    meta = TensorMeta([int(size) for size in given], _backend.dtype_of(metadata.kv_dtype), fmt)
    meta.validate_for_put()
    return meta
