"""Two processes, signals, forks, and the interpreter's end."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
import unittest

import numpy as np

import support
from support import WAIT, keys, spec

TEST_FOLDER = os.path.dirname(os.path.abspath(__file__))


def run(code):
    """Runs `code` in an interpreter of its own; it ends, or the test fails."""
    return subprocess.run([sys.executable, "-X", "dev", "-W", "error", "-c", code], text=True,
                          capture_output=True, timeout=WAIT, cwd=TEST_FOLDER)


class TwoProcesses(unittest.TestCase):
    def hand_over(self, transport):
        random = np.random.default_rng(1)
        with support.Child("decode_process.py", transport) as child, \
                support.sender(pd_transport=transport) as prefill:
            ports = child.hear()
            for request in range(5):
                names = keys(10 * request, 3)
                metas = [support.FULL, support.FULL, support.FULL.with_tokens(1 + request)]
                chunks = [prefill.allocate(meta) for meta in metas]
                for chunk in chunks:
                    chunk.copy_from(random.bytes(chunk.nbytes))
                sums = [[chunk.meta.tokens, hashlib.sha256(chunk).hexdigest()] for chunk in chunks]
                [handle] = prefill.batched_submit_put_task(names, chunks, spec(f"r{request}", ports))
                self.assertEqual(handle.result(WAIT), 3)
                child.say([f"r{request}", [str(name) for name in names]])
                self.assertEqual(child.hear(), sums)
                self.assertEqual(prefill.transports_in_use(), [transport])
                del chunk, chunks
        self.assertEqual(child.code, 0)

    def test_shm(self):
        self.hand_over("shm")

    def test_tcp(self):
        self.hand_over("tcp")


class Interrupts(unittest.TestCase):
    """Ctrl-C in each call that waits. No time is measured: without an end the test's own limit strikes."""

    CODE = """
import os, signal, support, sys, threading, time
main = threading.get_ident()
with support.pair(pages=2, pd_handshake_timeout_ms=25000) as (decode, prefill):
    hog = prefill.open_request(support.spec('hog', decode), support.keys(1, 2), 30)
    def interrupt():
        # Once the main thread has stood inside the call for several slices of its wait.
        stood = 0
        while stood < 20:
            time.sleep(0.01)
            frame = sys._current_frames()[main]
            stood = stood + 1 if frame.f_code.co_name in ('claim', 'open_request', 'read', 'wait') else 0
        os.kill(os.getpid(), signal.SIGINT)
    threading.Thread(target=interrupt).start()
    before = time.monotonic()
    try:
        {call}
    except KeyboardInterrupt:
        print('interrupted', 'at once' if time.monotonic() - before < 10 else 'late')
    del hog
    prefill.cancel_request('of a read')
    # What was interrupted keeps nothing.
    request = prefill.open_request(support.spec('next', decode), support.keys(7, 2), 30)
    prefill.batched_submit_put_task(support.keys(7, 2), request.batched_allocate(support.FULL, 2),
                                    support.spec('next', decode))[0].result(30)
    print(len(decode.claim('next', support.keys(7, 2), timeout=30)))
"""

    def interrupt(self, call):
        done = run(self.CODE.format(call=call))
        self.assertEqual((done.stdout.split("\n"), done.returncode),
                         (["interrupted at once", "2", ""], 0), done.stderr)

    def test_claim(self):
        self.interrupt("decode.claim('hog', support.keys(1, 2), timeout=60)")

    def test_open_request(self):
        self.interrupt("prefill.open_request(support.spec('r', decode), support.keys(5, 2), 60)")

    def test_read(self):
        self.interrupt("prefill.read([support.key(9)], [hog.allocate(support.FULL)], "
                       "support.spec('of a read', (1, 1)))")

    def test_result(self):
        self.interrupt(
            "hung = support.baton.PutHandle([], None, None); hung.result(60)")


class Forks(unittest.TestCase):
    def test_a_child_is_refused_and_ends(self):
        done = run("""
import os, gc, support, baton, threading, traceback
decode = support.receiver()
prefill = support.sender()
support.put(prefill, decode, 'first', [1]).result(30)
claim = decode.claim('first', [support.key(1)], timeout=30)
chunk = claim[0]
array = chunk.numpy()
request = prefill.open_request(support.spec('open', decode), support.keys(5, 1), 30)
go = threading.Event()
under_way = support.put(prefill, decode, 'r', [2, 3], on_complete_callback=lambda k: go.wait(30))
called_back = []
under_way.add_done_callback(lambda done: called_back.append(os.getpid()))
child = os.fork()
if child == 0:
    code = 1
    try:
        refused = 0
        for call in (lambda: decode.contains(support.key(1)), prefill.stats, lambda: chunk.numpy(),
                     lambda: memoryview(chunk), lambda: bytes(chunk), chunk.__dlpack__,
                     lambda: len(claim), lambda: decode.claim('r', [support.key(2)]),
                     lambda: prefill.allocate(support.FULL), lambda: request.req_id):
            try:
                call()
            except baton.FailedPrecondition as error:
                refused += 1
        assert refused == 10, refused
        assert under_way.done() and called_back == []
        prefill.close()
        del decode, prefill, claim, chunk, request
        gc.collect()
        assert array[0, 0, 0, 0] == 1
        with support.pair() as (decode, prefill):  # its own
            support.put(prefill, decode, 'mine', [4]).result(30)
            decode.claim('mine', [support.key(4)], timeout=30).release()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os.sys.exit(code)
go.set()
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert under_way.result(30) == 2  # the parent's goes on
request.close()
assert len(decode.claim('r', support.keys(2, 2), timeout=30)) == 2
prefill.close()
decode.close()
print('fine')
""")
        self.assertEqual((done.stdout, done.returncode), ("fine\n", 0), done.stderr)

    def test_in_the_midst_of_a_callback_and_of_a_lock(self):
        """What the dispatcher runs has ended nowhere; another thread holds what calls would take."""
        done = run("""
import os, signal, support, baton, threading, traceback
decode, prefill = support.receiver(), support.sender()
entered, locked, go = threading.Event(), threading.Event(), threading.Event()
put = support.put(prefill, decode, 'r', [1], on_complete_callback=lambda k: (entered.set(), go.wait(30)))
def hold():
    with prefill._puts_lock:
        locked.set()
        go.wait(30)
holder = threading.Thread(target=hold)
assert entered.wait(30)
holder.start()
assert locked.wait(30)
child = os.fork()
if child == 0:
    code = 1
    signal.alarm(15)  # where it hangs
    try:
        try:
            put.result(10)
        except baton.Cancelled:
            code = 0
        chunk = support.key(1)
        for call in (lambda: prefill.exists_in_put_tasks(chunk),
                     lambda: prefill.batched_submit_put_task([chunk], [], support.spec('q', (1, 1)))):
            try:
                call()
                code = 2
            except baton.FailedPrecondition:
                pass
    except BaseException:
        traceback.print_exc()
        code = 3
    finally:
        os._exit(code)
ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
go.set()
assert ended == 0, ended
assert put.result(30) == 1  # the parent's goes on
holder.join()
prefill.close()
decode.close()
print('fine')
""")
        self.assertEqual((done.stdout, done.returncode), ("fine\n", 0), done.stderr)


class Exits(unittest.TestCase):
    def check(self, code, stdout):
        done = run("import support, threading, baton\n" + code)
        self.assertEqual((done.stdout, done.returncode), (stdout, 0), done.stderr)
        self.assertNotIn("Traceback", done.stderr)

    def test_with_callbacks_pending(self):
        self.check("""
decode, prefill = support.receiver(), support.sender()
for i in range(8):
    support.put(prefill, decode, f'r{i}', [i], on_end_callback=lambda k, e: print('end'))
""", "end\n" * 8)

    def test_with_a_callback_that_never_returns(self):
        self.check("""
baton._puts.EXIT_GRACE_SEC = 0.1
decode, prefill = support.receiver(), support.sender()
entered = threading.Event()
support.put(prefill, decode, 'r', [1], on_complete_callback=lambda k: (entered.set(), threading.Event().wait()))
entered.wait(30)
print('leaving')
""", "leaving\n")

    def test_with_lmcaches_plugin_never_closed(self):
        """An open waits for admission, which would take an hour."""
        self.check("""
import lmcache_stand_in as lmcache
lmcache.install()
local = lmcache.LocalCPUBackend(8)
decode, prefill = (
    lmcache.launch(lmcache.configuration(pd_role=role, pd_buffer_size=2 * 16384, pd_peer_init_port=0,
                                         pd_peer_alloc_port=0, pd_admission_timeout_ms=3600_000),
                   local)['handoff'] for role in ('receiver', 'sender'))
hog = prefill.backend.open_request(support.spec('hog', decode.backend, total_chunks=2), timeout=30)
[put] = prefill.batched_submit_put_task(
    [lmcache.CacheEngineKey('org/model', 1, 0, 7)],
    [local.allocate((2, 4, 16, 64), lmcache.HALF, lmcache.Format(1))],
    lmcache.disagg_spec('r', (decode.backend.init_port, decode.backend.alloc_port)))
put.add_done_callback(lambda done: print(type(done.exception()).__name__))
del prefill
print('leaving', put.done(), flush=True)
""", "leaving False\nCancelled\n")

    def test_with_daemon_threads_that_wait(self):
        self.check("""
decode, prefill = support.receiver(pages=2), support.sender()
hog = prefill.open_request(support.spec('hog', decode), support.keys(1, 2), 30)
calls = [lambda: decode.claim('r', [support.key(1)], timeout=60),
         lambda: prefill.open_request(support.spec('q', decode), [support.key(5)], 60),
         lambda: prefill.read([support.key(9)], [hog.allocate(support.FULL)], support.spec('s', (1, 1)))]
def run(call):
    ready.release()
    try:
        call()
    except baton.Error:
        pass
ready = threading.Semaphore(0)
huge = baton.TensorMeta([2, 4, 16, 1 << 17])  # 32 MiB: its copies are always under way
layout = baton.CacheLayout('small', 'w', 's', huge)
staging = support.sender(pages=1, layout=layout)
chunk, source = staging.allocate(huge), bytes(huge.nbytes)
def copy():
    while True:
        chunk.copy_from(source)
for call in calls * 4 + [copy] * 2:
    threading.Thread(target=run, args=(call,), daemon=True).start()
for _ in calls * 4 + [copy] * 2:
    ready.acquire()
print('leaving')
""", "leaving\n")

    def test_with_everything_alive(self):
        self.check("""
decode, prefill = support.receiver(), support.sender()
support.put(prefill, decode, 'r', [1]).result(30)
claim = decode.claim('r', [support.key(1)], timeout=30)
array, capsule = claim[0].numpy(), claim[0].__dlpack__()
request = prefill.open_request(support.spec('q', decode), support.keys(5, 1), 30)
ring = [decode, prefill, claim, request]
ring.append(ring)
print('leaving')
""", "leaving\n")


if __name__ == "__main__":
    unittest.main()
