"""What LMCache passes by name has LMCache's names, in its order, with its defaults."""

import inspect
import unittest

import lmcache_stand_in as lmcache

lmcache.install()

import baton  # noqa: E402
import baton.lmcache  # noqa: E402

KV_2LTD = baton.MemoryFormat.KV_2LTD
NEEDED = inspect.Parameter.empty
# LMCache's PDBackend; what it asks for without a default, Baton may have one for.
LMCACHE = {
    "allocate": {"shapes": NEEDED, "dtypes": NEEDED, "fmt": KV_2LTD, "eviction": True, "busy_loop": True},
    "batched_allocate": {"shapes": NEEDED, "dtypes": NEEDED, "batch_size": NEEDED, "fmt": KV_2LTD,
                         "eviction": True, "busy_loop": True},
    "batched_submit_put_task": {"keys": NEEDED, "memory_objs": NEEDED, "transfer_spec": None,
                                "on_complete_callback": None},
    "batched_submit_read_task": {"keys": NEEDED, "local_memory_objs": NEEDED, "transfer_spec": None},
    "cancel_request": {"req_id": NEEDED},
    "close": {},
    "contains": {"key": NEEDED, "pin": False},
    "exists_in_put_tasks": {"key": NEEDED},
    "get_allocator_backend": {},
    "get_blocking": {"key": NEEDED},
    "pin": {"key": NEEDED},
    "remove": {"key": NEEDED, "force": True},
    "unpin": {"key": NEEDED},
}


def parameters_of(function):
    """Name -> default, in order, without self."""
    found = dict(inspect.signature(function).parameters)
    found.pop("self")
    return {name: one.default for name, one in found.items()
            if one.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD}


class Names(unittest.TestCase):
    def compare(self, theirs, function):
        ours = parameters_of(function)
        self.assertEqual(list(ours)[:len(theirs)], list(theirs))
        for name, default in ours.items():
            if name not in theirs:
                self.assertIsNot(default, NEEDED, f"{name} is Baton's, and may be left out")
            elif theirs[name] is not NEEDED:
                self.assertEqual(default, theirs[name], name)

    def test_of_the_backend(self):
        for name, theirs in LMCACHE.items():
            with self.subTest(name):
                self.compare(theirs, getattr(baton.PDBackend, name))

    def test_of_the_plug_in(self):
        interface = vars(lmcache.StoragePluginInterface)
        names = [name for name, value in interface.items()
                 if inspect.isfunction(value) and not name.startswith("_")]
        self.assertGreaterEqual(len(names), 15)
        for name in names:
            with self.subTest(name):
                self.assertIn(name, vars(baton.lmcache.BatonBackend), "inherited: NotImplementedError")
                self.compare(parameters_of(interface[name]), getattr(baton.lmcache.BatonBackend, name))
        # LMCache's launcher passes all of these by name.
        self.assertEqual(set(parameters_of(baton.lmcache.BatonBackend.__init__)),
                         set(parameters_of(interface["__init__"])))


if __name__ == "__main__":
    unittest.main()
