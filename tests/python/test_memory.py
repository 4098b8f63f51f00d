"""Nothing leaks: references, Python's objects, pages and resident memory over 100,000 puts."""

import collections
import gc
import os
import sys
import unittest

import baton
import support
from support import WAIT, keys, spec

PUTS = int(os.environ.get("BATON_PYTHON_PUTS", "100000"))
IN_REQUEST = 100    # puts in a request
ROUND = 10_000      # puts between two looks at the counts
SMALL = baton.TensorMeta([2, 1, 1, 16], baton.DType.half, baton.MemoryFormat.KV_2LTD)
LAYOUT = baton.CacheLayout("small", "weights-1", "test-hash-v1", SMALL)


def resident_bytes():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def open_files():
    return len(os.listdir("/proc/self/fd"))


class Leaks(unittest.TestCase):
    def request(self, prefill, decode, number):
        """One opened request of IN_REQUEST puts of a chunk each, claimed and read."""
        names = keys(number * IN_REQUEST, IN_REQUEST, LAYOUT)
        with prefill.open_request(spec(f"r{number}", decode), names, WAIT) as request:
            chunks = request.batched_allocate(SMALL, IN_REQUEST)
            handles = []
            for i, (name, chunk) in enumerate(zip(names, chunks)):
                memoryview(chunk).cast("B")[0] = i
                handles += prefill.batched_submit_put_task(
                    [name], [chunk], spec(f"r{number}", decode, last=i + 1 == IN_REQUEST),
                    self.done.append, on_end_callback=lambda k, e: self.ends.update([e]))
            for handle in handles:
                handle.result(WAIT)
        with decode.claim(f"r{number}", names, timeout=WAIT) as claim:
            self.assertEqual([memoryview(chunk).cast("B")[0] for chunk in claim],
                             list(range(IN_REQUEST)))
            claim[0].numpy()
            claim[1].__dlpack__()
        self.assertEqual(list(self.done), names)
        self.done.clear()

    def assert_steady(self, before, after):
        """Noise of the interpreter's own is far below one for each of a round's requests, or puts."""
        self.assertLessEqual(abs(before[0][10] - after[0][10]), 200, "references to None")
        self.assertLessEqual(abs(before[0][11] - after[0][11]), 200, "objects of the collector's")

    def test_puts(self):
        self.done, self.ends = collections.deque(), collections.Counter()
        decode = baton.PDBackend(support.options("receiver", 4 * IN_REQUEST, LAYOUT), LAYOUT)
        prefill = baton.PDBackend(support.options("sender", 2 * IN_REQUEST, LAYOUT), LAYOUT)
        self.addCleanup(decode.close)
        self.addCleanup(prefill.close)
        seen = []
        for number in range(PUTS // IN_REQUEST):
            self.request(prefill, decode, number)
            if (number + 1) * IN_REQUEST % min(ROUND, PUTS) == 0:
                decode.evict_all_retained()
                gc.collect()
                sent, got = prefill.stats(), decode.stats()
                counts = (sent.pages_free, sent.pages_reserved, sent.puts, got.pages_free,
                          got.pages_held, got.pages_granted, got.pages_quarantined, got.requests,
                          sys.getrefcount(prefill), sys.getrefcount(decode), sys.getrefcount(None),
                          len(gc.get_objects()), open_files())
                seen.append((counts, resident_bytes()))
        self.assertEqual(self.ends, {None: PUTS // IN_REQUEST * IN_REQUEST})
        self.assertEqual(seen[-1][0][:4], (2 * IN_REQUEST, 0, 0, 4 * IN_REQUEST))
        self.assertEqual(seen[-1][0][4:8], (0, 0, 0, 0))
        # After the first round everything that is made once is made; from then on nothing grows.
        for before, after in zip(seen[1:], seen[2:]):
            self.assertEqual(before[0][:10], after[0][:10])
            self.assert_steady(before, after)
            self.assertEqual(before[0][12], after[0][12], "open files")
        if len(seen) > 2:
            self.assert_steady(seen[1], seen[-1])
            grown = seen[-1][1] - seen[1][1]
            print(f"\n{PUTS} puts; resident {seen[1][1] >> 10} KiB after {2 * ROUND}, {grown >> 10} KiB more at the end",
                  file=sys.stderr)
            # 8 bytes a put would be 640 KiB; the allocators' own noise stays below 2 MiB.
            self.assertLess(grown, 2 << 20)

    def test_references(self):
        """What a put is given is let go of when it has ended."""
        with support.pair() as (decode, prefill):
            name, chunk, to = support.key(1), prefill.allocate(support.FULL), spec("r", decode)

            def callback(k):
                pass

            def failing(k, error):
                pass

            things = (name, chunk, to, callback, failing, support.FULL)
            before = [sys.getrefcount(thing) for thing in things]
            [handle] = prefill.batched_submit_put_task([name], [chunk], to, callback, on_end_callback=failing)
            handle.result(WAIT)
            del handle
            with self.assertRaises(baton.InvalidArgument):
                prefill.batched_submit_put_task([name, name], [chunk, chunk], to, callback, on_end_callback=failing)
            array = chunk.numpy()
            del array
            decode.claim("r", [name], timeout=WAIT).release()
            gc.collect()
            self.assertEqual([sys.getrefcount(thing) for thing in things], before)
            self.assertEqual(len(baton._puts.dispatcher._under_way), 0)

    def test_backends_are_collected(self):
        files = None
        for _ in range(10):
            with support.pair() as (decode, prefill):
                support.put(prefill, decode, "r", [1]).result(WAIT)
            del decode, prefill
            gc.collect()
            self.assertEqual(len(baton._puts.backends), 0)
            files, before = open_files(), files
            if before is not None:
                self.assertEqual(files, before)


if __name__ == "__main__":
    unittest.main()
