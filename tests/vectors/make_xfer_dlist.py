#!/usr/bin/env python3
"""Writes nixl_xfer_dlist.json: pickles as CPython makes them of NIXL's descriptor lists.

Where NIXL's Python module is installed it makes the lists; elsewhere a class of the same module and
name, with the same state. `--check` compares with the file instead of writing it.
"""
import json
import pathlib
import pickle
import struct
import sys
import types

HERE = pathlib.Path(__file__).parent
BASE = 0x7F12_3400_0000
DRAM, VRAM = 0, 1


def entry(tag, data):
    return tag + struct.pack("<Q", len(data)) + data + b"|"


def state_of(memory, descriptors):
    state = b"nixlSerDes|" + entry(b"nixlDList", b"nixlBDList")
    state += entry(b"t", struct.pack("<I", memory)) + entry(b"n", struct.pack("<Q", len(descriptors)))
    if descriptors:
        state += entry(b"", b"".join(struct.pack("<QQQ", *d) for d in descriptors))
    return state


def stand_in(module_name):
    """A class that pickles as a pybind11 class with py::pickle does."""
    module = types.ModuleType(module_name)

    class nixlXferDList:  # The name is in the pickle.
        def __init__(self, memory, descriptors):
            self.state = state_of(memory, descriptors)

        def __getstate__(self):
            return self.state

        def __setstate__(self, state):
            self.state = state

    nixlXferDList.__module__ = module_name
    nixlXferDList.__qualname__ = "nixlXferDList"
    module.nixlXferDList = nixlXferDList
    package = module_name.partition(".")[0]
    sys.modules.setdefault(package, types.ModuleType(package))
    sys.modules[module_name] = module
    return nixlXferDList


def makers():
    """What makes a list in each of the modules; the installed one is the real NIXL's."""
    made = {}
    try:
        import nixl._bindings as bindings

        kinds = {DRAM: bindings.DRAM_SEG, VRAM: bindings.VRAM_SEG}
        real = bindings.nixlXferDList
        made[real.__module__] = lambda memory, descriptors: real(kinds[memory], descriptors)
    except ImportError:
        pass
    source = f"NIXL's {next(iter(made))}" if made else "stand-in"
    for name in ("nixl._bindings", "nixl_cu12._bindings", "nixl_cu13._bindings"):
        if name not in made:
            made[name] = stand_in(name)
    return source, made


def pages(count, page_bytes=4096, device=0):
    return [(BASE + i * page_bytes, page_bytes, device) for i in range(count)]


def vectors():
    source, made = makers()
    make = made["nixl._bindings"]
    cases = [(f"dram_{n}", make, 4, DRAM, pages(n)) for n in (1, 6, 7, 8)]
    cases += [
        ("vram_2", make, 4, VRAM, pages(2, device=3)),
        ("protocol_5", make, 5, DRAM, pages(9)),
        ("last_framed", make, 4, DRAM, pages(2727)),
        ("first_unframed", make, 4, DRAM, pages(2728)),
        ("unframed_protocol_5", make, 5, DRAM, pages(5000)),
        ("large_numbers", make, 4, DRAM, [(2**64 - 1, 2**63, 2**40)]),
        ("wheel_cu12", made["nixl_cu12._bindings"], 4, DRAM, pages(3)),
        ("wheel_cu12_vram", made["nixl_cu12._bindings"], 4, VRAM, pages(2, device=1)),
        ("wheel_cu12_unframed", made["nixl_cu12._bindings"], 4, DRAM, pages(3000)),
        ("wheel_cu13", made["nixl_cu13._bindings"], 5, DRAM, pages(3)),
    ]
    out = []
    for name, maker, protocol, memory, descriptors in cases:
        data = pickle.dumps(maker(memory, descriptors), protocol)
        vector = {"name": name, "protocol": protocol, "memory": memory, "bytes_total": len(data)}
        if len(data) < 1024:
            vector["hex"] = data.hex()
            vector["descriptors"] = [[str(v) for v in d] for d in descriptors]
        else:  # Regular: its descriptors can be counted up, so head, tail and length say all.
            vector["head_hex"] = data[:140].hex()
            vector["tail_hex"] = data[-40:].hex()
            vector["regular"] = {"base": str(BASE), "page_bytes": 4096, "count": len(descriptors)}
        out.append(vector)
    return source, out


def main():
    path = HERE / "nixl_xfer_dlist.json"
    source, made = vectors()
    if "--check" in sys.argv[1:]:
        known = json.loads(path.read_text())["vectors"]
        if known != made:
            print(f"{path.name} differs from what Python {sys.version.split()[0]} makes ({source})")
            return 1
        print(f"{len(made)} pickles are what Python {sys.version.split()[0]} makes ({source})")
        return 0
    path.write_text(json.dumps({"vectors": made}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
