"""A decoder's LMCache in a process of its own: looks chunks up and gets them through the plug-in."""

import asyncio
import hashlib
import json
import sys

import lmcache_stand_in as lmcache

lmcache.install()


async def get(plugin, local, numbers):
    keys = [lmcache.CacheEngineKey("org/model", 1, 0, number) for number in numbers]
    hits = await plugin.batched_async_contains("lookup", keys, pin=True)
    objs = await plugin.batched_get_non_blocking("lookup", keys[:hits])
    for key in keys[:hits]:
        plugin.unpin(key)
    got = [[list(obj.metadata.shape), hashlib.sha256(obj.byte_array).hexdigest()] for obj in objs]
    for obj in objs:
        obj.ref_count_down()
    return {"hits": hits, "got": got, "free": local.free}


def main():
    local = lmcache.LocalCPUBackend(8)
    config = lmcache.configuration(pd_role="receiver", pd_buffer_size=1 << 20, pd_peer_init_port=0,
                                   pd_peer_alloc_port=0, pd_transport=sys.argv[1])
    plugin = lmcache.launch(config, local)["handoff"]
    assert isinstance(plugin, lmcache.StoragePluginInterface)
    print(json.dumps([plugin.backend.init_port, plugin.backend.alloc_port]), flush=True)
    for line in sys.stdin:
        print(json.dumps(asyncio.run(get(plugin, local, json.loads(line)))), flush=True)
    plugin.close()


if __name__ == "__main__":
    main()
