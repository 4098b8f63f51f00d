"""Keys, types, shapes, options: what is checked, compared, hashed and pickled."""

import os
import pickle
import tempfile
import unittest

import baton
import support

TEXT = "org/model@2@1@-1f@bfloat16@3@tag%v"


class Keys(unittest.TestCase):
    def test_string_both_ways(self):
        key = baton.CacheEngineKey.from_string(TEXT)
        self.assertEqual(key.to_string(), TEXT)
        self.assertEqual(str(key), TEXT)
        self.assertEqual((key.model_name, key.world_size, key.worker_id), ("org/model", 2, 1))
        self.assertEqual((key.chunk_hash, key.chunk_hash_hex), (-0x1f, "-1f"))
        self.assertEqual((key.dtype, key.layer_id, key.tags), (baton.DType.bfloat16, 3, ["tag%v"]))

    def test_from_fields(self):
        key = baton.CacheEngineKey("org/model", 2, 1, -0x1f, baton.DType.bfloat16, 3, ["tag%v"])
        self.assertEqual(key, baton.CacheEngineKey.from_string(TEXT))
        self.assertEqual(hash(key), hash(baton.CacheEngineKey.from_string(TEXT)))
        self.assertNotEqual(key, support.key(1))
        self.assertNotEqual(key, TEXT)
        self.assertEqual(baton.CacheEngineKey("m", chunk_hash="ab"),
                         baton.CacheEngineKey("m", chunk_hash=0xab))
        self.assertEqual({key: 1}[pickle.loads(pickle.dumps(key))], 1)
        huge = 2**255 + 1
        self.assertEqual(baton.CacheEngineKey("m", chunk_hash=huge).chunk_hash, huge)

    def test_nonsense_names_the_part(self):
        for text in ("", "a@b", "m@1@0@XY@half", "m@1@0@ab@quarter", "m@0@0@ab@half",
                     "m" * 1100 + "@1@0@ab@half"):
            with self.subTest(text), self.assertRaises(baton.InvalidArgument) as caught:
                baton.CacheEngineKey.from_string(text)
            self.assertTrue(str(caught.exception))
        with self.assertRaises(ValueError):
            baton.CacheEngineKey("with@sign", chunk_hash=1)
        with self.assertRaises(TypeError):
            baton.CacheEngineKey("m", chunk_hash=1.5)


class Metas(unittest.TestCase):
    def test_fields(self):
        meta = baton.TensorMeta((2, 4, 16, 64), baton.DType.half, baton.MemoryFormat.KV_2LTD)
        self.assertEqual((meta.shape, meta.nbytes, meta.tokens), ((2, 4, 16, 64), 16384, 16))
        self.assertEqual(meta.with_tokens(3).shape, (2, 4, 3, 64))
        self.assertEqual(meta, support.FULL)
        self.assertEqual(hash(meta), hash(support.FULL))
        self.assertNotEqual(meta, meta.with_tokens(3))
        self.assertEqual(pickle.loads(pickle.dumps(meta)), meta)
        meta.validate_for_put()

    def test_bad_shapes(self):
        for shape in ([], [0], [2, -1], [1] * 9, [2**40, 2**40]):
            with self.subTest(shape), self.assertRaises(baton.InvalidArgument):
                baton.TensorMeta(shape)
        with self.assertRaises(baton.InvalidArgument):
            baton.TensorMeta([16, 2, 4], fmt=baton.MemoryFormat.KV_T2D).validate_for_put()

    def test_types(self):
        self.assertEqual(baton.DType.parse("fp8_e4m3fn"), baton.DType.fp8_e4m3fn)
        self.assertEqual(baton.DType.bfloat16.itemsize, 2)
        self.assertEqual(int(baton.MemoryFormat.KV_MLA_FMT), 6)
        self.assertEqual(baton.MemoryFormat.KV_2LTD.token_dim(), 2)
        with self.assertRaises(baton.InvalidArgument):
            baton.DType.parse("quarter")


class Options(unittest.TestCase):
    def test_keywords_and_yaml_agree(self):
        text = ("pd_role: sender\npd_buffer_size: 1048576\npd_transport: tcp\nbusy_poll: true\n"
                "pd_allocation_timeout_sec: 1.5\ntransfer_channel: nixl\n")
        read = baton.Options.from_yaml(text, "here")
        made = baton.Options(pd_role="sender", pd_buffer_size=1 << 20, pd_transport="tcp",
                             busy_poll=True, pd_allocation_timeout_sec=1.5)
        self.assertEqual(read, made)
        self.assertEqual(made.pd_admission_timeout_ms, 1500)
        self.assertEqual((made.pd_role, made.pd_transport, made.busy_poll), ("sender", "tcp", True))
        self.assertEqual(len(read.notes), 1)
        self.assertIn("transfer_channel", read.notes[0])
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "o.yaml")
            with open(path, "w") as file:
                file.write(text)
            self.assertEqual(baton.Options.from_file(path), made)
        made.validate()

    def test_environment(self):
        environment = {"LMCACHE_PD_ROLE": "sender", "LMCACHE_PD_BUFFER_SIZE": "1048576", "HOME": "/"}
        made = baton.Options.from_environment(environment)
        self.assertEqual((made.pd_role, made.pd_buffer_size), ("sender", 1 << 20))
        read = baton.Options.from_yaml("pd_role: receiver\nchunk_size: 8\n", "here", environment)
        self.assertEqual((read.pd_role, read.chunk_size), ("sender", 8))

    def test_replace_and_pickle(self):
        options = support.options("receiver", pd_ucx_rails=["mlx5_0:1"])
        other = options.replace(pd_peer_host="127.0.0.2")
        self.assertEqual((options.pd_peer_host, other.pd_peer_host), ("127.0.0.1", "127.0.0.2"))
        self.assertEqual(other.replace(pd_peer_host="127.0.0.1"), options)
        self.assertEqual(pickle.loads(pickle.dumps(options)), options)
        self.assertEqual(options.pd_peer_init_port, [0])
        self.assertIn("pd_lease_ms", dir(options))

    def test_errors_name_key_value_and_range(self):
        for values, words in (
                ({"pd_role": "sander"}, ["pd_role", "sander", "sender"]),
                ({"pd_rolle": "sender"}, ["pd_rolle", "pd_role"]),
                ({"chunk_size": 0}, ["chunk_size", "1 to"]),
                ({"pd_buffer_device": "cuda"}, ["pd_buffer_device", "cuda"])):
            with self.subTest(values), self.assertRaises(baton.InvalidArgument) as caught:
                baton.Options(**{"pd_buffer_size": 1 << 20, **values})
            for word in words:
                self.assertIn(word, str(caught.exception))
        with self.assertRaises(baton.InvalidArgument):
            baton.Options.from_file("/nonexistent/baton.yaml")
        with self.assertRaises(TypeError):
            baton.Options(pd_buffer_size=object())
        with self.assertRaises(AttributeError):
            support.options("sender").pd_rolle
        with self.assertRaises(AttributeError):
            support.options("sender").pd_role = "receiver"


if __name__ == "__main__":
    unittest.main()
