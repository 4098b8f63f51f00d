"""The README's example is the one in examples/python, and it runs."""

import os
import subprocess
import sys
import unittest

SOURCE = os.environ["BATON_SOURCE_DIR"]
EXAMPLE = os.path.join(SOURCE, "examples/python/handoff.py")


def read(path):
    with open(path) as file:
        return file.read()


class Example(unittest.TestCase):
    def test_readme_has_it(self):
        self.assertIn("```python\n" + read(EXAMPLE) + "```", read(os.path.join(SOURCE, "README.md")))

    def test_it_runs(self):
        done = subprocess.run([sys.executable, "-X", "dev", "-W", "error", EXAMPLE], text=True,
                              capture_output=True, timeout=60)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        lines = done.stdout.splitlines()
        self.assertEqual(lines[:2], ["there: my-model@1@0@c0ffee@half", "there: my-model@1@0@decaf@half"])
        self.assertEqual([line.split(": ")[1] for line in lines[2:]],
                         ["524288 bytes of KV, mean 42.0"] * 2)


if __name__ == "__main__":
    unittest.main()
