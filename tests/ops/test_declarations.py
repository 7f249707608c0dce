"""Every op is complete, declared and exported, and the sources of ops obey two rules. This is law 1 of test_laws."""

from __future__ import annotations

import ast
import importlib
import inspect
import io
import pickle
import pkgutil
import tokenize
from types import ModuleType

import pytest
from op_laws import COMPLETE, OPS, VARIANTS, is_float

from tinysegnet import ops, runtime
from tinysegnet.gradcheck import find_variants
from tinysegnet.gradcheck.cases import CASES, cases_of

NEED_NUMBA = ("simd", "gemm_microkernel", "window_vectors")
MODULES = [importlib.import_module(info.name) for info in pkgutil.walk_packages(ops.__path__, "tinysegnet.ops.")
           if runtime.HAS_NUMBA or not info.name.endswith(NEED_NUMBA)]  # fmt: skip


# --- 1 complete -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", OPS)
def test_every_op_is_complete(op):
    declared, variants = ops.REGISTRY[op], find_variants(op)
    assert {"numpy", "numba"} <= set(variants)
    assert (getattr(ops, f"{op}_forward"), getattr(ops, f"{op}_backward")) == (declared.forward, declared.backward)
    assert issubclass(declared.cache, tuple)
    assert declared.cache._fields
    assert [case for case in cases_of(op) if case.gradient], f"{op} has no case in tinysegnet/gradcheck/cases.toml"


def unregistered(modules, registry, exported):
    """Return what the modules declare but the registry or __all__ lacks, and forwards that belong to no declaration."""
    declared = {id(value): value for module in modules for value in vars(module).values() if isinstance(value, ops.Op)}
    missing = [op.name for op in declared.values() if registry.get(op.name) is not op]
    for op in declared.values():
        missing += [name for name in (f"{op.name}_forward", f"{op.name}_backward") if name not in exported]
    variants = {function for op in declared.values() for pair in op.variants.values() for function in pair}
    pairs = tuple(f"{way}_{variant}" for way in ("forward", "backward") for variant in COMPLETE)
    for module in modules:
        missing += [name for name, value in vars(module).items()
                    if name.endswith(pairs) and not name.startswith("_") and value not in variants]  # fmt: skip
    return sorted(missing)


def test_every_declared_op_is_registered_and_exported():
    assert unregistered(MODULES, ops.REGISTRY, ops.__all__) == []


def test_unregistered_ops_are_found():
    """Find a declaration missing from the registry, a name missing from __all__, and a function without a
    declaration."""
    forgotten, relu = ModuleType("forgotten"), ops.REGISTRY["relu"]
    forgotten.CUBE = ops.Op("cube", **relu.variants, cache=relu.cache, differentiable=("x",))
    assert unregistered([forgotten], {}, ["cube_forward", "cube_backward"]) == ["cube"]
    assert unregistered([forgotten], {"cube": forgotten.CUBE}, ["cube_forward"]) == ["cube_backward"]
    forgotten.cube_forward_numpy = lambda x: (x**3, x)
    exported = ["cube_forward", "cube_backward"]
    assert unregistered([forgotten], {"cube": forgotten.CUBE}, exported) == ["cube_forward_numpy"]


@pytest.mark.parametrize("op", OPS)
def test_public_functions_look_like_their_definition(op):
    """A public function has the name, module, docstring, signature and source of the NumPy variant."""
    for public, definition in zip((ops.REGISTRY[op].forward, ops.REGISTRY[op].backward), find_variants(op)["numpy"],
                                  strict=True):  # fmt: skip
        name = definition.__name__.removesuffix("_numpy")
        assert (public.__name__, public.__qualname__, public.__module__) == (name, name, definition.__module__)
        assert (public.__doc__, inspect.signature(public)) == (definition.__doc__, inspect.signature(definition))
        assert getattr(inspect.getmodule(definition), name) is public is getattr(ops, name)
        assert inspect.unwrap(public) is definition
        assert pickle.loads(pickle.dumps(public)) is public


@pytest.mark.parametrize("op", OPS)
def test_differentiable_arguments_are_the_float_arrays_of_the_cases(op):
    names = list(inspect.signature(ops.REGISTRY[op].forward).parameters)
    seen = set()
    for case in (case for case in cases_of(op) if case.gradient):
        arrays, _ = case.arguments()
        floats = [name for name, value in zip(names, arrays, strict=False) if is_float(value)]
        assert floats == [name for name in ops.REGISTRY[op].differentiable if name in floats], case.name
        seen.update(floats)
    assert seen == set(ops.REGISTRY[op].differentiable)


def test_every_case_and_every_variant_belongs_to_a_public_op():
    assert {case.op for case in CASES} <= set(OPS)
    assert len({(case.op, case.name) for case in CASES}) == len(CASES)
    for module in MODULES:
        for name in vars(module):
            if "_forward" in name and not name.startswith("_"):
                assert name.split("_forward")[0] in OPS, f"{module.__name__}.{name} belongs to no public op"


@pytest.mark.parametrize(("op", "variant"), VARIANTS)
def test_variants_have_the_same_signature(op, variant):
    for mine, definition in zip(find_variants(op)[variant], find_variants(op)["numpy"], strict=True):
        assert inspect.signature(mine) == inspect.signature(definition)
        assert mine.__doc__


# --- sources -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_ops_do_not_name_float_types(module):
    """The dtype follows the input, so only comments and docstrings of ops name one."""
    tokens = tokenize.generate_tokens(io.StringIO(inspect.getsource(module)).readline)
    names = {token.string for token in tokens if token.type == tokenize.NAME}
    assert not names & {"float16", "float32", "float64", "double", "float_", "longdouble"}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_kernels_never_raise(module):
    """An exception inside a parallel loop is lost, so only the callers of kernels may raise."""
    for function in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(function, ast.FunctionDef) and any("kernel" in ast.unparse(d) for d in function.decorator_list):
            assert not [node for node in ast.walk(function) if isinstance(node, (ast.Raise, ast.Assert, ast.Try))]
