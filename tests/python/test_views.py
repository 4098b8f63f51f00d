"""Buffers, arrays and DLPack tensors: no copies, and no page is given back under a view."""

import ctypes
import gc
import unittest

import numpy as np

import baton
import support


class Views(unittest.TestCase):
    def setUp(self):
        self.prefill = support.sender(pages=4)

    def tearDown(self):
        self.prefill.close()
        del self.prefill

    def free(self):
        return self.prefill.stats().pages_free

    def test_views_share_the_bytes(self):
        chunk = self.prefill.allocate([2, 4, 16, 64], "half")
        array = chunk.numpy()
        self.assertEqual((array.shape, array.dtype, array.flags.owndata), ((2, 4, 16, 64), np.half, False))
        array[1, 2, 3, 4] = 7
        view = memoryview(chunk)
        self.assertEqual((view.format, view.shape, view.nbytes), ("e", (2, 4, 16, 64), chunk.nbytes))
        self.assertEqual(np.asarray(view)[1, 2, 3, 4], 7)
        other = np.from_dlpack(chunk)
        self.assertEqual(other[1, 2, 3, 4], 7)
        array[0, 0, 0, 0] = 9
        self.assertEqual(other[0, 0, 0, 0], 9)
        self.assertEqual(other.__array_interface__["data"][0], array.__array_interface__["data"][0])
        self.assertEqual(chunk.__dlpack_device__(), (1, 0))
        self.assertEqual(chunk.meta, support.FULL)

    def test_every_view_keeps_the_page(self):
        makers = {"memoryview": memoryview, "numpy": lambda c: c.numpy(), "dlpack": np.from_dlpack,
                  "slice": lambda c: c.numpy()[0, 1:2], "capsule": lambda c: c.__dlpack__()}
        for name, make in makers.items():
            with self.subTest(name):
                self.assertEqual(self.free(), 4)
                view = make(self.prefill.allocate(support.FULL))
                gc.collect()
                self.assertEqual(self.free(), 3)
                del view
                self.assertEqual(self.free(), 4)

    def test_capsule_is_consumed_once(self):
        capsule = self.prefill.allocate(support.FULL).__dlpack__()
        holder = type("Holder", (), {"__dlpack__": lambda self: capsule,
                                     "__dlpack_device__": lambda self: (1, 0)})()
        array = np.from_dlpack(holder)
        self.assertEqual(self.free(), 3)
        del capsule, holder
        gc.collect()
        array.sum()
        self.assertEqual(self.free(), 3)
        del array
        gc.collect()
        self.assertEqual(self.free(), 4)

    def test_views_outlive_their_backend(self):
        before = open_maps().count("baton-buffer")
        prefill = support.sender(pages=4)
        chunk = prefill.allocate(support.FULL)
        array = chunk.numpy()
        array[:] = 3
        capsule = chunk.__dlpack__()
        prefill.close()
        self.assertTrue((array == 3).all())
        del chunk, prefill
        gc.collect()
        array[:] = 4
        self.assertTrue((array == 4).all())
        del array
        del capsule  # the last one unmaps the buffer
        gc.collect()
        self.assertEqual(open_maps().count("baton-buffer"), before)

    def test_types(self):
        cases = {"bfloat16": ("uint16", (4, 16)), "float": ("float32", (2, 32)),
                 "double": ("float64", (2, 64)), "int8": ("int8", (0, 8)),
                 "uint8": ("uint8", (1, 8)), "int16": ("int16", (0, 16)),
                 "int32": ("int32", (0, 32)), "int64": ("int64", (0, 64)),
                 "bool": ("bool", (6, 8)), "half": ("float16", (2, 16)),
                 "fp8_e4m3fn": ("uint8", (1, 8)), "fp8_e4m3fnuz": ("uint8", (1, 8)),
                 "fp8_e5m2": ("uint8", (1, 8)), "fp8_e5m2fnuz": ("uint8", (1, 8))}
        self.assertEqual(set(cases), set(baton.DType.__members__))
        for name, (numpy_name, dl_type) in cases.items():
            with self.subTest(name):
                chunk = self.prefill.allocate([2, 3], name, baton.MemoryFormat.BINARY)
                self.assertEqual(chunk.numpy().dtype, np.dtype(numpy_name))
                self.assertEqual(chunk.nbytes, 6 * baton.DType.parse(name).itemsize)
                self.assertEqual(dlpack_type(chunk.__dlpack__()), dl_type)

    def test_copies(self):
        chunk = self.prefill.allocate(support.FULL)
        data = np.arange(chunk.nbytes, dtype=np.uint8)
        chunk.copy_from(data)
        self.assertEqual(chunk.numpy().tobytes(), data.tobytes())
        out = bytearray(chunk.nbytes)
        chunk.copy_to(out)
        self.assertEqual(bytes(out), data.tobytes())
        with self.assertRaises(baton.InvalidArgument):
            chunk.copy_from(data[1:])
        with self.assertRaises((BufferError, ValueError)):
            chunk.copy_from(np.zeros((chunk.nbytes, 2), np.uint8)[:, 0])
        with self.assertRaises(BufferError):
            chunk.copy_to(bytes(chunk.nbytes))
        with self.assertRaises(baton.InvalidArgument):
            chunk.__dlpack__(stream=1)

    def test_committed_chunks_are_read_only(self):
        with support.receiver() as decode:
            support.put(self.prefill, decode, "r", [1]).result(support.WAIT)
            with decode.claim("r", [support.key(1)]) as claim:
                for chunk in (claim[0], claim.chunks[0], *claim, decode.get_blocking(support.key(1))):
                    self.assertFalse(chunk.writable)
                    with self.assertRaises(ValueError):
                        chunk.numpy()[0] = 1
                    with self.assertRaises(baton.FailedPrecondition):
                        chunk.copy_from(bytes(chunk.nbytes))

    def test_shapes_as_lmcache_gives_them(self):
        class LmcacheFormat:
            value = 1

        for shapes, dtypes in (((2, 4, 16, 64), "half"), ([[2, 4, 16, 64]], [np.float16]),
                               ([2, 4, 16, 64], "torch.float16"), (support.FULL, None)):
            with self.subTest(shapes=shapes, dtypes=dtypes):
                chunk = self.prefill.allocate(shapes, dtypes, LmcacheFormat())
                self.assertEqual(chunk.meta, support.FULL)
        with self.assertRaises(baton.InvalidArgument):
            self.prefill.allocate([[2, 4, 16, 64], [2, 4, 16, 64]], "half")
        with self.assertRaises(baton.InvalidArgument):
            self.prefill.allocate([2, 4, 16, 64], "half", 7)

    def test_none_when_nothing_is_free(self):
        chunks = self.prefill.batched_allocate(support.FULL, batch_size=4)
        self.assertIsNone(self.prefill.allocate(support.FULL))
        self.assertIsNone(self.prefill.batched_allocate(support.FULL, batch_size=1))
        del chunks
        self.assertIsNotNone(self.prefill.allocate(support.FULL))


def open_maps():
    with open("/proc/self/maps") as maps:
        return maps.read()


def dlpack_type(capsule):
    """(code, bits) at their places in a DLTensor."""
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    at = pointer(capsule, b"dltensor") + 8 + 8 + 4
    return ctypes.c_uint8.from_address(at).value, ctypes.c_uint8.from_address(at + 1).value


if __name__ == "__main__":
    unittest.main()
