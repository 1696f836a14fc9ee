"""The house is as DESIGN.md draws it: imports go one way, modules are short, public names are there and described."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
import types
from pathlib import Path

import pytest

import tinycnn

HOUSE = Path(tinycnn.__file__).parent
LONGEST = 400

# What a part of the house may import of ours (and itself). A part that is not here may not exist: add it, and think
# about where it stands. `.` is the package's front door.
ALLOWED = {
    "errors": "",
    "naming": "",
    "files": "",
    "tensorfile": "errors",
    "blas": "",
    "kept": "",
    "cores": "",
    "formula": "errors naming",
    "ops": "formula errors naming",
    "kernels": "beside cores kept ops formula errors naming",
    "backends": "ops kernels formula errors naming",
    "optim": "backends formula ops.checks errors naming",
    "layers": "kept backends ops formula errors naming",
    "data": "ops formula files errors naming",
    "train": "kept data.dataset data.shapes optim backends ops formula files tensorfile errors naming",
    "model": "kept blas data.adjust data.dataset data.statistics layers optim train backends ops formula files "
    "tensorfile errors naming",
    "evaluation": "model layers train data blas ops formula errors",
    "verify": "blas evaluation model layers optim train backends kernels ops formula data files errors naming",
    "explanation": "model layers backends ops formula errors naming",
    "checking": "verify explanation train optim ops formula errors",
    "tracing": "explanation data model zoo layers optim train backends ops formula files plot errors naming",
    "plot": "evaluation train data files errors naming",
    "zoo": "model layers optim train data files errors naming",
    "interop": "model layers optim train data backends ops formula files errors naming",
    "serve": ". explanation tracing zoo plot verify model layers optim train data backends ops files errors naming",
    "bench": ". plot zoo verify model layers optim train data backends kept kernels ops files errors naming",
    "demo": ". backends demo_figures kernels data files model optim train verify zoo plot explanation tracing errors"
    " naming",
    "demo_figures": ". beside plot",
    "beside": "cores",
    "runs": "data model layers optim train zoo plot files errors naming",
    "cli_data": "data plot errors",
    "cli_bench": "bench plot errors",
    "cli_train": "runs plot errors",
    "cli_step": "model runs tracing errors",
    "cli": ". cli_bench cli_data cli_step cli_train runs demo data files model optim train "
    "backends verify checking zoo plot explanation tracing "
    "serve bench interop formula errors",
    ".": "cores backends errors formula layers model ops optim data plot verify checking zoo explanation tracing train "
    "evaluation naming",
}
# Run by hand; these make pages and their figures.
PROGRAMS = {("formula/page.py", "."), ("verify/museum/gallery.py", "plot"), ("verify/sweep_figure.py", "plot")}
NOTHING_IMPORTS = {"cli", "cli_bench", "serve", "bench"}  # but the command line itself


def part_of(path: Path) -> str:
    """Which part of the house a file belongs to."""
    relative = path.relative_to(HOUSE).with_suffix("")
    return "." if relative.parts == ("__init__",) else relative.parts[0]


def imports_of(path: Path) -> set[str]:
    """Every module of ours that a file imports, also inside functions: `tinycnn.ops.conv` as "ops.conv"."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            if node.module == "tinycnn":
                found |= {f"tinycnn.{alias.name}" for alias in node.names}
            else:
                found.add(node.module or "")
    return {name.removeprefix("tinycnn").lstrip(".") or "." for name in found if name.split(".")[0] == "tinycnn"}


FILES = sorted(HOUSE.rglob("*.py"))
PARTS = sorted({part_of(path) for path in FILES})


@pytest.mark.parametrize("part", PARTS)
def test_imports_go_one_way(part):
    assert part in ALLOWED, f"say in tests/test_structure.py what {part} may import"
    allowed = ALLOWED[part].split()
    for path in (path for path in FILES if part_of(path) == part):
        for name in imports_of(path):
            top = name.split(".")[0] or "."
            front_door = not (HOUSE / top).exists() and not (HOUSE / f"{top}.py").exists()  # from tinycnn import Dense
            top = "." if front_door else top
            inside = any(name == one or name.startswith(f"{one}.") for one in allowed)
            fine = top == part or top in allowed or inside or (path.relative_to(HOUSE).as_posix(), top) in PROGRAMS
            assert fine, f"{path.relative_to(HOUSE)} imports {name}"


def test_the_table_itself_has_no_circle_below_the_front_door():
    edges = {part: {one.split(".")[0] for one in allowed.split()} - {""} for part, allowed in ALLOWED.items()}
    done: set[str] = set()
    while left := set(edges) - done - {"."}:
        free = {part for part in left if not edges[part] - done}
        assert free, f"a circle among {sorted(left)}"
        done |= free


def test_nothing_imports_what_stands_on_top():
    for path in FILES:
        if part_of(path) not in NOTHING_IMPORTS:
            tops = {name.split(".")[0] for name in imports_of(path)}
            assert not tops & NOTHING_IMPORTS, path


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(HOUSE)))
def test_a_module_is_short_and_says_what_it_is(path):
    text = path.read_text()
    assert len(text.splitlines()) < LONGEST
    assert ast.get_docstring(ast.parse(text)), "a file opens with what the concept is"


def public_things() -> list[tuple[str, object]]:
    """Every public function and class of ours, and the public functions of those classes, where they are defined."""
    found = []
    for path in FILES:
        dotted = ".".join(("tinycnn", *path.relative_to(HOUSE).with_suffix("").parts))
        module = importlib.import_module(dotted.removesuffix(".__init__"))
        for name, thing in vars(module).items():
            if name.startswith("_") or getattr(thing, "__module__", None) != module.__name__:
                continue
            if not isinstance(thing, type | types.FunctionType):
                continue
            found.append((f"{module.__name__}.{name}", thing))
            if isinstance(thing, type) and not getattr(thing, "_is_protocol", False):
                members = ((k, getattr(v, "__func__", v)) for k, v in vars(thing).items() if not k.startswith("_"))
                kinds = (types.FunctionType, property)
                found += [(f"{module.__name__}.{name}.{k}", v) for k, v in members if isinstance(v, kinds)]
    return found


def test_every_public_function_and_class_says_what_it_is():
    things = public_things()
    assert len(things) > 150
    silent = [name for name, thing in things if not (inspect.getdoc(thing) or "").strip()]
    assert silent == []


PUBLIC = {
    "": "Sequential Conv2D MaxPool2D MinPool2D AvgPool2D GlobalAvgPool2D Pad2D Dense Flatten ReLU Softmax LogSoftmax "
    "MaxPooling2D AveragePooling2D GlobalAveragePooling2D backend load check explain explain_grad trace formulas "
    "ShapeError ModelFormatError ImageError ops layers optim data metrics evaluation plot verify zoo",
    "ops.": "conv2d_forward conv2d_backward max_pool2d_forward max_pool2d_backward min_pool2d_forward im2col col2im "
    "avg_pool2d_forward avg_pool2d_backward linear_forward linear_backward relu_forward softmax_forward "
    "log_softmax_forward cross_entropy_forward mse_forward pad2d_forward flatten_forward",
    "optim.": "GD SGD Momentum Nesterov Adam CosineDecay Warmup OneCycle ReduceOnPlateau",
    "train.": "Callback Checkpoint EarlyStopping Log TimeBudget Watch find_rate",
    "data.": "load_digits to_nchw one_hot to_categorical Dataset batches stratified_split "
    "read_image read_mask write_image Compose RandomFlip RandomCrop resize affine filter_image",
    "verify.": "check_gradient check_layer check_model sweep find_kink directional",
    "metrics.": "accuracy confusion_matrix precision recall f1",
    "evaluation.": "cross_validate misclassified saliency occlusion grad_cam",
    "plot.": "curves confusion filters predictions gradient_sweep",
}


@pytest.mark.parametrize("name", [start + name for start, names in PUBLIC.items() for name in names.split()])
def test_the_public_name_is_there(name):
    thing = tinycnn
    for part in name.split("."):
        thing = getattr(thing, part)
    assert thing is not None
    first = name.split(".")[0]
    assert first in tinycnn.__all__
    assert first in dir(tinycnn)


def test_all_lists_what_there_is_and_an_unknown_name_is_an_attribute_error():
    for name in tinycnn.__all__:
        assert getattr(tinycnn, name) is not None
    assert len(set(tinycnn.__all__)) == len(tinycnn.__all__)
    with pytest.raises(AttributeError, match="module 'tinycnn' has no attribute 'Conv4D'"):
        _ = tinycnn.Conv4D


def test_every_formula_is_found_though_its_file_is_imported_late():
    program = (
        "import importlib, pathlib, sys, tinycnn as tc\n"
        "late = [name for name in sys.modules if name.startswith(('tinycnn.evaluation', 'tinycnn.data.stream'))]\n"
        "assert not late, late\n"
        "assert tc.formulas['grad_cam'].text and tc.formulas['rgb_to_gray'].text\n"
        "known, house = set(tc.formulas), pathlib.Path(tc.__file__).parent\n"
        "for path in house.rglob('*.py'):\n"
        "    if '@formula(' in path.read_text():\n"
        "        importlib.import_module('.'.join(('tinycnn', *path.relative_to(house).with_suffix('').parts)))\n"
        "assert set(tc.formulas) == known, set(tc.formulas) - known\n"
        "print(len(known))\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr[-1500:]
    assert int(run.stdout) > 150


def test_the_names_of_a_package_that_imports_late_are_those_it_lists():
    listed = {name for names in tinycnn.data._PLACES.values() for name in names.split()}
    assert listed == set(tinycnn.data.__all__) <= set(dir(tinycnn.data))
    with pytest.raises(AttributeError, match=r"module 'tinycnn\.data' has no attribute 'load_letters'"):
        _ = tinycnn.data.load_letters


PACKAGES = "ops layers optim data plot train model evaluation verify formula"


@pytest.mark.parametrize("package", PACKAGES.split())
def test_a_package_exports_what_it_says(package):
    module = importlib.import_module(f"tinycnn.{package}")
    missing = [name for name in module.__all__ if not hasattr(module, name)]
    assert missing == []
    assert len(set(module.__all__)) == len(module.__all__)


HEAVY = ["matplotlib", "PIL", "safetensors", "tqdm", "typer", "click", "rich", "numba", "scipy", "sklearn", "torch",
         "onnx", "sympy", "pytest", "hypothesis", "http.server", "multiprocessing"]  # fmt: skip


def test_importing_tinycnn_loads_nothing_heavy():
    program = f"import sys, tinycnn; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.split() == []


def test_training_and_predicting_silently_load_nothing_heavy_but_numba():
    program = (
        "import sys, tinycnn as tc\n"
        "train, _, _ = tc.data.load_digits()\n"
        "model = tc.Sequential([tc.Flatten(), tc.Dense(10)], input_shape=(1, 8, 8))\n"
        "model.compile()\n"
        "model.fit(train.x[:8], train.y[:8], verbose=0)\n"
        f"print(*[name for name in {HEAVY!r} if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert set(run.stdout.split()) <= {"numba", "multiprocessing", "scipy"}  # which it brings along


def test_no_module_prints_or_reads_what_it_should_not():
    """print is for `explain`, `evaluate`, progress and the command line; eval, exec and pickle are for hardly any."""
    may: dict[str, set[str]] = {
        "print": {"explanation/forward.py", "explanation/gradient.py", "cli.py", "cli_bench.py", "cli_data.py",
                  "cli_step.py", "cli_train.py", "runs/run.py", "tracing/terminal.py", "tracing/play.py",
                  "demo.py", "model/sequential.py", "train/progress.py"},
        "eval": {"formula/declare.py"}, "exec": {"formula/loops.py", "verify/museum/patch.py"},
        "input": {"tracing/play.py"}, "breakpoint": set(),
    }  # fmt: skip
    for path in FILES:
        name = path.relative_to(HOUSE).as_posix()
        tree = ast.parse(path.read_text())
        for call in (n for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)):
            if call.func.id in may and name.split("/")[0] not in ("tracing", "bench", "serve"):
                assert name in may[call.func.id], f"{name}:{call.lineno} calls {call.func.id}"
        assert not any(isinstance(n, ast.Import) and any(a.name in ("pickle", "marshal", "shelve") for a in n.names)
                       for n in ast.walk(tree)), name  # fmt: skip
