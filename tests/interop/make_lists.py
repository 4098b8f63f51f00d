"""Pickled lists of pages, good ones and such as NIXL would not make."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "vectors"))
import make_xfer_dlist  # noqa: E402


def pickled(pages):
    return by_hand(make_xfer_dlist.state_of(make_xfer_dlist.DRAM, pages))


def by_hand(state):
    text = lambda s: b"\x8c" + bytes([len(s)]) + s + b"\x94"  # noqa: E731
    made = text(b"nixl._bindings") + text(b"nixlXferDList") + b"\x93\x94)\x81\x94"
    length = b"C" + bytes([len(state)]) if len(state) < 256 else b"B" + len(state).to_bytes(4, "little")
    framed = made if len(state) >= 65536 else made + length + state + b"\x94b."
    rest = length + state + b"\x94b." if len(state) >= 65536 else b""
    return b"\x80\x04\x95" + len(framed).to_bytes(8, "little") + framed + rest
