#!/usr/bin/env python3
"""LMCache's senders and receivers, sync and async, against a Baton process: every byte compared, and bad
input of every field.  interop_test.py [--nixl] BATON_PEER [unittest arguments]"""
import os
import pathlib
import subprocess
import sys
import unittest

SKIPPED = 77
OVER_NIXL = "--nixl" in sys.argv
if OVER_NIXL:
    sys.argv.remove("--nixl")
PEER = sys.argv.pop(1)
sys.path.insert(0, str(pathlib.Path(__file__).parent))


def skip(why):
    print(f"skipped: {why}")
    sys.exit(SKIPPED)


try:
    import msgpack
    import zmq
except ImportError as missing:
    skip(f"{missing}; apt-get install python3-zmq python3-msgpack")
if OVER_NIXL:
    if subprocess.run([PEER, "--has-nixl"]).returncode != 0:
        skip("this Baton was built without NIXL (-DBATON_WITH_NIXL=ON)")
    try:
        import nixl._api  # noqa: F401
    except ImportError as missing:
        if "BATON_NIXL_PYTHON" in os.environ:
            raise  # It is installed there: CMake has seen it.
        skip(f"NIXL was installed without its Python module (nixl/_bindings below its prefix): {missing}")

import make_lists  # noqa: E402
from peers import CHUNK, Failed, Receiver, Sender, chunk_bytes, decode, encode, key, keys  # noqa: E402


class Baton:
    """A baton_peer process."""

    def __init__(self, role):
        command = [PEER, role] + (["--nixl"] if OVER_NIXL else [])
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        self.init_port, self.alloc_port, self.query_port = map(int, self.answer())

    def order(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()

    def answer(self):
        line = self.process.stdout.readline().rstrip("\n")
        if not line.startswith("ok"):
            raise RuntimeError(line or "the Baton process has ended")
        return line.split()[1:]

    def ask(self, *words):
        self.order(*words)
        return self.answer()

    def stats(self):
        names = ("free", "granted", "held", "retained", "quarantined", "requests")
        return dict(zip(names, map(int, self.ask("stats"))))

    def close(self):
        self.order("quit")
        self.process.stdin.close()
        status = self.process.wait(timeout=30)
        self.process.stdout.close()
        return status


class WithReceiver(unittest.TestCase):
    def setUp(self):
        self.baton = Baton("receiver")
        self.addCleanup(lambda: self.assertEqual(self.baton.close(), 0))

    def sender(self, is_async):
        sender = Sender(OVER_NIXL, is_async, self.baton.init_port, self.baton.alloc_port,
                        self.baton.query_port)
        self.addCleanup(sender.close)
        return sender


class SendersIntoBaton(WithReceiver):
    def test_bytes_arrive(self):
        for is_async in (False, True):
            with self.subTest(is_async=is_async):
                first = 0x100 if is_async else 0x200
                sender = self.sender(is_async).connect()
                sender.put("r", first, 3, last=False)
                sender.put("r", first + 3, 2)
                self.assertEqual(self.baton.ask("contains", first), ["yes"])
                self.assertEqual(self.baton.stats()["granted"], 5)
                got = self.baton.ask("get", first)
                self.assertEqual(bytes.fromhex(got[0]), chunk_bytes(first))
                got = self.baton.ask("claim", "r", first, 5) if not is_async else [
                    self.baton.ask("get", first + i)[0] for i in range(5)]
                for i, text in enumerate(got):
                    self.assertEqual(bytes.fromhex(text), chunk_bytes(first + i))
                self.assertEqual(self.baton.stats()["granted"], 0)

    def test_a_request_is_claimed(self):
        sender = self.sender(True).connect()
        sender.put("r", 1, 2, last=False)
        sender.put("r", 3, 2)
        for i, text in enumerate(self.baton.ask("claim", "r", 1, 4)):
            self.assertEqual(bytes.fromhex(text), chunk_bytes(1 + i))
        self.assertEqual(self.baton.stats()["requests"], 0)

    def test_hits(self):
        for is_async in (False, True):
            with self.subTest(is_async=is_async):
                first = 0x300 if is_async else 0x400
                sender = self.sender(is_async).connect()
                sender.put("r", first, 2)
                for i in range(2):
                    self.baton.ask("get", first + i)
                answer = sender.put("s", first + 1, 2)
                self.assertEqual(answer["already_sent_indexes"], [] if is_async else [0])
                for i in range(3):
                    got = self.baton.ask("get", first + i)
                    self.assertEqual(bytes.fromhex(got[0]), chunk_bytes(first + i))

    def test_what_is_in_flight_or_does_not_fit_fails(self):
        for is_async in (False, True):
            with self.subTest(is_async=is_async):
                first = 0x500 if is_async else 0x600
                one, two = self.sender(is_async).connect(), self.sender(is_async).connect()
                one.put("r", first, 2)
                with self.assertRaises(Failed):
                    two.put("s", first + 1, 2)
                answer = two.ask(two.alloc_request("t", keys(0x10000, 33)))
                self.assertEqual(answer["remote_indexes"], [-1] * 33 if is_async else [])
                two.put("u", first + 10, 2)

    def test_cancel(self):
        sender = self.sender(True).connect()
        sender.put("r", 1, 2)
        self.assertEqual(sender.cancel("r", [])["remote_indexes"], [])
        self.assertEqual(self.baton.ask("contains", 1), ["no"])
        self.assertEqual(self.baton.stats()["quarantined"], 2)

    def test_reads(self):
        writer, reader = self.sender(True).connect(), self.sender(False).connect()
        writer.put("r", 1, 3)
        self.assertEqual(reader.read(keys(1, 3)), {}, "nobody has asked for them yet")
        self.baton.ask("claim", "r", 1, 3)
        read = reader.read(keys(2, 4))
        self.assertEqual(read, {key(2): chunk_bytes(2), key(3): chunk_bytes(3)})


class BadInputToBaton(WithReceiver):
    """Each case: bad messages first, then the same socket goes on as LMCache would."""

    def raw(self, port, last_has, *messages):
        """Sends all; returns the answers up to the one with `last_has`, the good one's."""
        socket = self.helper.socket(zmq.DEALER, port)
        for message in messages:
            socket.send_multipart([b"", message])
        answers = [decode(socket.recv_multipart()[-1])]
        while not answers[-1].get(last_has):
            answers.append(decode(socket.recv_multipart()[-1]))
        socket.close()
        return answers

    def setUp(self):
        super().setUp()
        self.helper = self.sender(True)

    def good_init(self):
        return {"type": "NixlInitRequest", "local_meta_bytes": self.helper.agent.get_agent_metadata()}

    def good_mem_reg(self):
        return {"type": "NixlMemRegRequest", "remote_agent_name": self.helper.agent.name.encode(),
                "local_id": "bad", "local_xfer_dlist_bytes": self.helper.page_list()}

    def variations(self, good):
        """Every field missing, of another type, oversized."""
        for name in good:
            if name == "type":
                continue
            without = dict(good)
            del without[name]
            yield f"no {name}", without
            for wrong in (None, 7, -1, 1.5, True, [], {}, ["x"], "text" * 3, b"bytes" * 3):
                if type(wrong) is not type(good[name]):
                    yield f"{name} is {wrong!r}", {**good, name: wrong}
            if isinstance(good[name], (bytes, str)):
                yield f"{name} is long", {**good, name: good[name][:1] * (2 << 20)}
                yield f"{name} is empty", {**good, name: good[name][:0]}

    def test_every_field_of_the_introduction(self):
        good = self.good_init()
        tried = 0
        for what, bad in self.variations(good):
            with self.subTest(what):
                tried += 1
                answers = self.raw(self.baton.init_port, "remote_meta_bytes", msgpack.packb(bad),
                                   msgpack.packb(good))
                self.assertEqual(len(answers), 2, answers)
                for answer in answers[:-1]:
                    self.assertEqual((answer["remote_agent_name"], answer["remote_meta_bytes"]),
                                     (b"", b""))
                self.assertEqual(answers[-1]["remote_agent_name"], self.helper.agent.name.encode())
        self.assertGreaterEqual(tried, 12)
        self.assert_healthy()

    def test_every_field_of_the_registration(self):
        good = self.good_mem_reg()
        init = msgpack.packb(self.good_init())
        tried = 0
        for what, bad in self.variations(good):
            if what == "local_id is empty":
                continue  # The sync backend's.
            with self.subTest(what):
                tried += 1
                answers = self.raw(self.baton.init_port, "remote_xfer_dlist_bytes", init, msgpack.packb(bad), init,
                                   msgpack.packb(good))
                self.assert_one_refused(answers)
        self.assertGreaterEqual(tried, 30)
        self.assert_healthy()

    def test_lists_that_cannot_be(self):
        init = msgpack.packb(self.good_init())
        pages = self.helper.pages
        base = pages[0][0]
        bad_lists = {
            "another size": [(a, CHUNK // 2, d) for a, _, d in pages],
            "unequal": pages[:3] + [(pages[3][0], CHUNK - 1, 0)],
            "overlap": [pages[0], (base + CHUNK - 1, CHUNK, 0)],
            "twice": [pages[0], pages[0]],
            "outside": [(base + len(pages) * CHUNK, CHUNK, 0)],
            "half outside": [(base + len(pages) * CHUNK - 1, CHUNK, 0)],
            "before": [(base - 1, CHUNK, 0)],
            "beyond 2^64": [(2**64 - 1, CHUNK, 0)],
            "none": [],
        }
        pickles = {what: make_lists.pickled(one) for what, one in bad_lists.items()}
        pickles["too many"] = make_lists.pickled([(base, CHUNK, 0)] * 70_000)
        pickles["a call"] = b"cos\nsystem\n(S'exit 1'\ntR."
        pickles["count"] = make_lists.pickled(pages).replace(
            len(pages).to_bytes(8, "little") + b"|", (len(pages) + 1).to_bytes(8, "little") + b"|")
        for what, data in pickles.items():
            with self.subTest(what):
                bad = {**self.good_mem_reg(), "local_xfer_dlist_bytes": data}
                answers = self.raw(self.baton.init_port, "remote_xfer_dlist_bytes", init, msgpack.packb(bad), init,
                                   msgpack.packb(self.good_mem_reg()))
                self.assert_one_refused(answers)
        self.assert_healthy()

    def test_every_field_of_an_alloc_request(self):
        for is_async in (False, True):
            sender = self.sender(is_async).connect()
            good = decode(sender.alloc_request("r", keys(0x900, 2)))
            for what, bad in self.variations(good):
                if what.startswith(("no req_id", "no is_last", "no total", "req_id is empty")):
                    continue  # Good requests all of them.
                with self.subTest(what, is_async=is_async):
                    socket = self.helper.socket(zmq.REQ, self.baton.alloc_port)
                    socket.send(msgpack.packb(bad))
                    answer = decode(socket.recv())
                    self.assertEqual(answer["type"], "AllocResponse")
                    self.assertTrue(all(i == -1 for i in answer["remote_indexes"]), answer)
                    self.assertEqual(answer["already_sent_indexes"], [])
                    socket.close()
            self.assertEqual(self.baton.stats()["granted"], 0)
            sender.put("r", 0x900, 2)
            for i in range(2):
                self.baton.ask("get", 0x900 + i)
            self.baton.ask("contains", 0x900)

    def test_nonsense_on_the_query_port(self):
        for data in (b"", b"\xc1", msgpack.packb(7), encode("CacheQueryRequest", keys=7),
                     encode("AllocRequest"), encode("CacheQueryRequest", keys=["no key"])):
            socket = self.helper.socket(zmq.REQ, self.baton.query_port)
            socket.send(data)
            self.assertEqual(decode(socket.recv())["cached_keys"], [])
            socket.close()

    def assert_one_refused(self, answers):
        """The bad registration by an empty list, the good one behind it not: none was left without."""
        lists = [a["remote_xfer_dlist_bytes"] for a in answers if "remote_xfer_dlist_bytes" in a]
        self.assertEqual([len(one) > 0 for one in lists], [False, True], answers)

    def assert_healthy(self):
        sender = self.sender(True).connect()
        sender.put("healthy", 0x7000, 2)
        got = self.baton.ask("claim", "healthy", 0x7000, 2)
        self.assertEqual([bytes.fromhex(t) for t in got], [chunk_bytes(0x7000 + i) for i in range(2)])


class Notifications(WithReceiver):
    """LMCache sends none, and nobody at Baton's listens."""

    def setUp(self):
        if not OVER_NIXL:
            self.skipTest("needs NIXL")
        super().setUp()

    def test_some_are_dropped(self):
        sender = self.sender(True).connect()
        for _ in range(100):
            sender.agent.notify(sender.receiver_agent, b"written")
        sender.put("r", 1, 2)
        self.assertEqual([bytes.fromhex(text) for text in self.baton.ask("claim", "r", 1, 2)],
                         [chunk_bytes(1), chunk_bytes(2)])

    def test_a_flood_ends_the_agent(self):
        sender = self.sender(True).connect()
        [page] = sender.put("r", 1, 1)["remote_indexes"]
        with self.assertRaises(Exception):
            for _ in range(300):  # 300 MB at most
                for _ in range(1000):
                    sender.agent.notify(sender.receiver_agent, b"x" * 1024)
                sender.agent.transfer("WRITE", sender.pages, [0], sender.remote, [page])
        other = self.sender(True).connect()
        other.put("s", 10, 2)
        self.assertEqual([bytes.fromhex(text) for text in self.baton.ask("claim", "s", 10, 2)],
                         [chunk_bytes(10), chunk_bytes(11)])


class WithSender(unittest.TestCase):
    def setUp(self):
        self.baton = Baton("sender")
        self.addCleanup(lambda: self.assertEqual(self.baton.close(), 0))

    def receiver(self, is_async, pages=16):
        receiver = Receiver(OVER_NIXL, is_async, pages)
        self.addCleanup(receiver.close)
        return receiver

    def put(self, to, req_id, first, count, last=1):
        return self.baton.ask("put", req_id, to.init_port, to.alloc_port, first, count, last)


class BatonIntoReceivers(WithSender):
    def test_bytes_arrive(self):
        for is_async in (False, True):
            with self.subTest(is_async=is_async):
                to = self.receiver(is_async)
                self.assertEqual(self.put(to, f"r{is_async}", 1, 3, 0), ["3"])
                self.assertEqual(self.put(to, f"r{is_async}", 4, 2), ["2"])
                for number in range(1, 6):
                    self.assertEqual(to.chunk(number), chunk_bytes(number))
                self.assertEqual(to.heard, ["NixlInitRequest", "NixlMemRegRequest",
                                            "AllocRequest", "AllocRequest"])

    def test_hits(self):
        for is_async in (False, True):
            with self.subTest(is_async=is_async):
                to = self.receiver(is_async)
                self.put(to, f"r{is_async}", 1, 2)
                sent = self.put(to, f"s{is_async}", 2, 2)
                self.assertEqual(sent, ["2" if is_async else "1"])
                self.assertEqual(to.chunk(2), chunk_bytes(2))
                self.assertEqual(to.chunk(3), chunk_bytes(3))

    def test_no_room(self):
        to = self.receiver(True, pages=3)
        with self.assertRaisesRegex(RuntimeError, "RESOURCE_EXHAUSTED"):
            self.put(to, "r", 1, 4)
        self.assertEqual(self.put(to, "s", 10, 1), ["1"])

    def test_answers_that_cannot_be(self):
        def replaced(kind, **fields):
            def change(answer):
                return {**answer, **fields} if answer["type"] == kind else answer
            return change

        def without(kind, name):
            def change(answer):
                return ({k: v for k, v in answer.items() if k != name}
                        if answer["type"] == kind else answer)
            return change

        far = make_lists.pickled([(4096, CHUNK, 0)])
        small = make_lists.pickled([(4096, CHUNK // 2, 0)])
        changes = [lambda _: b"", lambda _: b"\xc1", lambda _: encode("ProxyNotif", req_id="x")]
        for name in ("remote_agent_name", "remote_meta_bytes"):
            changes.append(without("NixlInitResponse", name))
            changes += [replaced("NixlInitResponse", **{name: wrong})
                        for wrong in (7, "text", b"", b"another", b"x" * (2 << 20), None)]
        changes.append(without("NixlMemRegResponse", "remote_xfer_dlist_bytes"))
        changes += [replaced("NixlMemRegResponse", remote_xfer_dlist_bytes=wrong)
                    for wrong in (7, "text", b"", b"cos\nsystem\n(S'x'\ntR.", far, small)]
        changes.append(without("AllocResponse", "remote_indexes"))
        changes += [replaced("AllocResponse", remote_indexes=wrong)
                    for wrong in (7, ["x"], [99, 98], [0, 0], [0], [0, 1, 2], [-2, 0], [2**40, 1])]
        for number, change in enumerate(changes):
            with self.subTest(number):
                to = self.receiver(number % 2 == 0)
                to.change = change
                with self.assertRaisesRegex(RuntimeError, "^error"):
                    self.put(to, f"bad{number}", 1, 2)
        good = self.receiver(True)
        self.assertEqual(self.put(good, "good", 1, 2), ["2"])
        self.assertEqual(good.chunk(1), chunk_bytes(1))


class BatonReadsFromReceivers(WithSender):
    def read(self, of, first, count, query_port=None):
        query_port = of.query_port if query_port is None else query_port
        said = self.baton.ask("read", "reads", of.init_port, of.alloc_port, query_port, first, count)
        return [None if text == "NOT_FOUND" else bytes.fromhex(text) for text in said]

    def test_hits_and_misses(self):
        of = self.receiver(False)
        self.put(of, "r", 1, 3)
        self.assertEqual(self.read(of, 2, 3), [chunk_bytes(2), chunk_bytes(3), None])
        self.assertEqual(self.read(of, 10, 2), [None, None])
        self.assertEqual(of.heard, ["NixlInitRequest", "NixlMemRegRequest", "AllocRequest"]
                         + 3 * ["CacheQueryRequest"])
        self.put(of, "s", 4, 1)
        self.assertEqual(self.read(of, 4, 1), [chunk_bytes(4)])

    def test_a_chunk_that_moves(self):
        of = self.receiver(False)
        self.put(of, "r", 1, 2)
        of.before_query = lambda number: of.move(1) if number == 2 else None
        self.assertEqual(self.read(of, 1, 2), [None, chunk_bytes(2)])
        self.assertEqual(self.read(of, 1, 2), [chunk_bytes(1), chunk_bytes(2)])

    def test_answers_that_cannot_be(self):
        of = self.receiver(False)
        self.put(of, "r", 1, 2)
        lists = [{"cached_keys": wrong} for wrong in (7, ["x"], [key(1)], [key(1), key(1)], [key(1), key(9)], [1, 2])]
        lists += [{"cached_indexes": wrong} for wrong in (7, ["x"], [0], [0, 0], [0, 16], [-1, 0], [2**40, 0])]
        changes = [lambda _, fields=fields: {"type": "CacheQueryResponse", "cached_keys": keys(1, 2),
                                             "cached_indexes": [0, 1], **fields} for fields in lists]
        changes += [lambda _: b"", lambda _: b"\xc1", lambda _: encode("ProxyNotif", req_id="x")]
        for number, change in enumerate(changes):
            with self.subTest(number):
                of.change = change
                with self.assertRaisesRegex(RuntimeError, "DATA_LOSS"):
                    self.read(of, 1, 2)
        of.change = lambda answer: answer
        self.assertEqual(self.read(of, 1, 2), [chunk_bytes(1), chunk_bytes(2)])

    def test_no_query_port(self):
        of = self.receiver(False)
        with self.assertRaisesRegex(RuntimeError, "INVALID_ARGUMENT.*receiver_query_port"):
            self.read(of, 1, 1, query_port=0)


class NixlsOwnForm(unittest.TestCase):
    @unittest.skipUnless(OVER_NIXL, "needs NIXL")
    def test_what_nixl_pickles_is_what_baton_says(self):
        sender = Sender(True, True, 0, 0)
        data = sender.page_list()
        self.assertEqual(data.replace(b"\x8c\x13nixl_cu12._bindings", b"\x8c\x0enixl._bindings")[11:],
                         make_lists.pickled(sender.pages)[11:])


if __name__ == "__main__":
    unittest.main(verbosity=1)
