"""_baton.pyi says what the extension module has: every name, every argument. mypy agrees with the rest."""

import ast
import inspect
import os
import re
import subprocess
import sys
import unittest

import baton
from baton import _baton

PACKAGE = os.path.dirname(baton.__file__)
SOURCE = os.environ["BATON_SOURCE_DIR"]
# What pybind11 adds, and what Python takes from there; the stub says it in Python's own way.
OF_PYBIND = {"__getstate__", "__setstate__", "__repr__", "__str__", "__entries", "__ne__", "__eq__",
             "__hash__", "__int__", "__index__", "__init__", "__members__", "__new__", "name", "value"}


def stub():
    with open(os.path.join(PACKAGE, "_baton.pyi")) as file:
        return ast.parse(file.read())


def arguments_of(definition):
    """Names in order, without self."""
    arguments = definition.args
    names = [a.arg for a in arguments.posonlyargs + arguments.args + arguments.kwonlyargs]
    names += [a.arg for a in (arguments.vararg, arguments.kwarg) if a]
    return [name for name in names if name != "self"]


def arguments_of_runtime(function):
    """From the signature that pybind11 writes into the first line of the docstring."""
    line = function.__doc__.split("\n")[0]
    inside = re.sub(r"\[[^\[\]]*\]", "", re.sub(r"\[[^\[\]]*\]", "", line))
    inside = inside[inside.index("(") + 1:inside.rindex(")")]
    names = [part.split(":")[0].strip().lstrip("*") for part in inside.split(",") if part.strip()]
    return [name for name in names if name not in ("self", "")]


class Stub(unittest.TestCase):
    def test_names_and_arguments(self):
        tree = stub()
        classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
        functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
        runtime = {name for name in vars(_baton) if not (name.startswith("__") and name.endswith("__"))}
        self.assertEqual(set(classes) | set(functions), runtime)
        for name, node in functions.items():
            self.assertEqual(arguments_of(node), arguments_of_runtime(getattr(_baton, name)), name)
        for name, node in classes.items():
            with self.subTest(name):
                self.compare(getattr(_baton, name), node)

    def compare(self, cls, node):
        stubbed = {}
        for item in node.body:
            if isinstance(item, ast.FunctionDef):
                stubbed[item.name] = item
            elif isinstance(item, ast.AnnAssign):
                stubbed[item.target.id] = None
        runtime = {name for name in vars(cls) if not name.startswith("__") or callable(vars(cls)[name])}
        runtime = {name for name in runtime if not name.startswith("_pybind11")}
        self.assertEqual(set(stubbed) - OF_PYBIND, runtime - OF_PYBIND)
        for name, item in stubbed.items():
            found = inspect.getattr_static(cls, name)
            if item is None:
                continue
            if isinstance(found, property):
                self.assertTrue(any(getattr(d, "id", "") == "property" for d in item.decorator_list), name)
            elif name not in OF_PYBIND and name != "__dir__":
                names = arguments_of_runtime(getattr(cls, name))
                # pybind11 calls arguments without a name arg0, ...: self.
                self.assertEqual(arguments_of(item), [n for n in names if not re.match(r"arg\d", n)], name)
        if stubbed.get("__init__") is not None:
            self.assertEqual(arguments_of(stubbed["__init__"]), [
                n for n in arguments_of_runtime(cls.__init__) if not re.match(r"arg\d", n)])

    def test_docstrings(self):
        """Everything public says what it is."""
        for name in baton.__all__:
            thing = getattr(baton, name)
            self.assertTrue(thing.__doc__, name)
            for member, value in vars(thing).items():
                if member.startswith("_") or member in OF_PYBIND:
                    continue
                # Of the extension's own classes methods only: fields may say all by their names.
                if inspect.isroutine(value) or (isinstance(value, property) and inspect.isfunction(value.fget)):
                    # pybind11's own first line is the signature.
                    text = re.sub(r"^\w+\(.*\) -> .*\n?", "", value.__doc__ or "")
                    self.assertTrue(text.strip(), f"{name}.{member}")
        self.assertEqual(sorted(baton.__all__), baton.__all__)

    def mypy(self, *arguments):
        done = subprocess.run(
            [sys.executable, "-m", "mypy", "--strict", "--cache-dir", os.devnull, *arguments],
            text=True, capture_output=True, env={**os.environ, "MYPYPATH": os.path.join(SOURCE, "python")})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_types(self):
        self.mypy("-p", "baton")
        self.mypy(os.path.join(SOURCE, "examples/python/handoff.py"))


if __name__ == "__main__":
    unittest.main()
