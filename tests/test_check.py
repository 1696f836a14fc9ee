"""`tinycnn check` and `tc.check`: right code passes however it is written, and a mistake is named."""

import inspect
import json
import subprocess
import sys
import types

import numpy as np
import pytest
from right_students import RIGHT
from student_files import museum_file

import tinycnn as tc
from tinycnn import cli, ops, optim
from tinycnn.checking import check_file
from tinycnn.checking.checker import examine, found_in
from tinycnn.checking.desk import Desk
from tinycnn.checking.mistakes import mistakes
from tinycnn.checking.subjects import questions, subject_named, subjects
from tinycnn.checking.wire import pack, unpack
from tinycnn.train import metrics
from tinycnn.verify.museum import MUTANTS, MutantError

NOT_CHECKED = {"max_pool2d_indices"}  # it reads our own cache, which is nobody else's business
NO_METRIC = {"averaged", "classification_report", "macro_average", "micro_average", "weighted_average",
             "auc", "average_precision", "brier_score", "calibration_curve", "expected_calibration_error",
             "precision_recall_curve", "roc_auc", "roc_curve"}


def in_process(text, seed=0):
    """The results for a file's text, run here: quick, and all but the process is the same."""
    sys.modules["student"] = module = types.ModuleType("student")
    exec(compile(text, "student.py", "exec"), module.__dict__)
    functions = {k: v for k, v in vars(module).items() if callable(v) and getattr(v, "__module__", "") == "student"}
    desk = Desk(functions)
    students = found_in(desk.ask({"do": "names"})["names"], lambda request: desk.ask(unpack(pack(request))))
    return {s.subject.name: examine(s, seed) for s in students}


def one(text):
    (result,) = in_process(text).values()
    return result


def named(text):
    """The likeliest mistake's name."""
    found = one(text).mistakes
    return found[0].name if found else None


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        cli.main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    return stopped.value.code, out, err


def test_every_public_op_step_and_metric_can_be_checked():
    names = [n for n in ops.__all__ if n not in NOT_CHECKED]
    made = ("optimizer_named", "schedule_of")  # no formula, but something made by its name
    functions = [n for n in optim.__all__ if inspect.isfunction(getattr(optim, n)) and n not in made]
    names += [n for n in functions if not n.endswith("_schedule")]  # students are asked for a step, not for its rate
    names += [n for n in metrics.__all__ if n not in NO_METRIC]
    assert [n for n in names if subject_named(n) is None] == []


@pytest.mark.parametrize("name", sorted(subjects()))
def test_our_own_code_is_right_in_every_case_and_no_code_slip_patches_what_is_gone(name):
    subject = subjects()[name]
    functions = {f.__name__: f for f in (subject.forward, subject.backward) if f is not None}
    desk = Desk(functions)
    (student,) = found_in(desk.ask({"do": "names"})["names"], desk.ask)
    result = examine(student, 5)
    assert [f.text for r in result.records for f in r.faults] == []
    assert result.cases >= 3
    assert len(questions(subject, 5)) == result.cases


def test_every_slip_in_our_code_still_fits_the_code():
    for mistake in mistakes(subjects()["conv2d"]):
        try:
            with mistake.inside():
                pass
        except MutantError as error:
            pytest.fail(f"{mistake.name}: {error}")


@pytest.mark.parametrize("what", RIGHT)
def test_a_right_solution_passes_however_it_is_written(what):
    found = in_process(RIGHT[what])
    assert found
    assert {name: (r.verdict, r.mistake) for name, r in found.items()} == dict.fromkeys(found, ("pass", ""))


OF_OPS = [name for name in MUTANTS if name != "mask-moves-apart"]  # which is about augmentation, and no op


@pytest.mark.parametrize("name", OF_OPS)
def test_an_exhibit_of_the_museum_is_named_first(name):
    found = in_process(museum_file(MUTANTS[name]))
    firsts = [r.mistakes[0].name for r in found.values() if r.mistakes]
    assert name in firsts
    about = found.get(MUTANTS[name].ops[0]) or found[f"{MUTANTS[name].ops[0]}_step"]
    assert about.mistakes[0].museum == MUTANTS[name].number
    assert about.verdict == "wrong" or name == "pool-ignores-nan"  # what NaN becomes is remarked on only


CONV = """
import numpy as np
def conv2d_forward(x, w, b, stride=1, padding=0):
    {first}
    xp = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    KH, KW = w.shape[2:]
    OH, OW = (xp.shape[2] - KH) // stride + 1, (xp.shape[3] - KW) // stride + 1
    y = np.zeros((len(x), len(w), OH, OW){dtype})
    for u in range({rows}):
        for v in range(OW):
            patch = xp[:, :, u * stride:u * stride + KH, v * stride:v * stride + KW]
            y[:, :, u, v] = np.einsum("ncij,fcij->nf", patch, w) {bias}
    return {result}, (xp, w, stride, padding, x.shape)
"""
RELU = "def relu_forward(x):\n    return {y}, x\ndef relu_backward(dy, x):\n    return {dx}\n"
LINEAR = (
    "def linear_forward(x, w, b):\n    return {y}, (x, w)\n"
    "def linear_backward(dy, kept):\n    x, w = kept\n    return {dx}\n"
)
SLIPS = {
    "no bias": (CONV, {"bias": ""}, "b-missing"),
    "stride ignored": (CONV, {"first": "stride = 1"}, "stride-ignored"),
    "padding ignored": (CONV, {"first": "padding = 0"}, "padding-ignored"),
    "kernel flipped": (CONV, {"first": "w = w[:, :, ::-1, ::-1]"}, "weights-flipped"),
    "kernel's rows and columns exchanged": (CONV, {"first": "w = w.swapaxes(2, 3)"}, "weights-transposed"),
    "wrong sign": (CONV, {"result": "-y"}, "sign"),
    "float32": (CONV, {"dtype": ", np.float32"}, "float32"),
    "integers": (CONV, {"dtype": ", int"}, "truncated"),
    "last row never filled": (CONV, {"rows": "OH - 1"}, "row-zero"),
    "channels last": (CONV, {"result": "y.transpose(0, 2, 3, 1)"}, "channels-last"),
    "rows and columns exchanged": (CONV, {"result": "y.swapaxes(2, 3)"}, "transposed"),
    "one row short": (CONV, {"result": "y[:, :, :-1, :-1]"}, "row-short"),
    "gradient at 0": (RELU, {"y": "x * (x > 0)", "dx": "dy * (x >= 0)"}, "relu-at-zero"),
    "dy ignored": (RELU, {"y": "x * (x > 0)", "dx": "1.0 * (x > 0)"}, "dy-ignored"),
    "y is x": (RELU, {"y": "x * 1", "dx": "dy * (x > 0)"}, "unchanged-x"),
    "overwritten": (RELU, {"y": "__import__('numpy').maximum(x, 0, out=x)", "dx": "dy * (x > 0)"},
                    "argument-overwritten"),
    "gradients exchanged": (LINEAR, {"y": "x @ w.T + (0 if b is None else b)", "dx": "dy.T @ x, dy @ w, dy.sum(0)"},
                            "is-dw"),
    "mean for sum": (LINEAR, {"y": "x @ w.T + b", "dx": "dy @ w, dy.T @ x, dy.mean(0)"}, "over-N"),
    "transposed weights": (LINEAR, {"y": "x @ w + b", "dx": "dy @ w.T, x.T @ dy, dy.sum(0)"}, "weights-transposed"),
}  # fmt: skip


@pytest.mark.parametrize("what", SLIPS)
def test_a_common_slip_is_named_first(what):
    text, changes, name = SLIPS[what]
    plain = {"first": "", "dtype": "", "rows": "OH", "bias": "+ b", "result": "y"}
    result = one(text.format(**(plain | changes)))
    assert result.verdict == "wrong"
    assert result.mistakes[0].name == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("import numpy as np\ndef softmax(z):\n    e = np.exp(z)\n    return e / e.sum(1, keepdims=True)",
         "softmax-overflow"),
        ("import numpy as np\ndef softmax(z):\n    e = np.exp(z - z.max(-1, keepdims=True))\n"
         "    return e / e.sum(-1, keepdims=True)", "axes-1--1"),
        ("def mse_forward(x, t):\n    return ((x - t) ** 2).sum()", "times-M"),
        ("def mse_forward(x, t):\n    return ((x - t) ** 2).mean() / 2", "over-2"),
        ("def sgd_step(w, dw, lr):\n    return w + lr * dw", "uphill"),
        ("import numpy as np\ndef precision(y_true, y_pred):\n    K = max(y_true.max(), y_pred.max()) + 1\n"
         "    return [((y_true == k) & (y_pred == k)).sum() / max((y_true == k).sum(), 1) for k in range(K)]",
         "y_true-y_pred-confused"),
        ("def dropout_forward(x, mask, drop_prob):\n    return x * mask", "dropout-not-rescaled"),
        ("import numpy as np\ndef avg_pool2d_forward(x, kernel_size, stride=None):\n    k = kernel_size\n"
         "    s = stride or k\n    N, C, H, W = x.shape\n    OH, OW = (H - k) // s + 1, (W - k) // s + 1\n"
         "    return np.array([[x[:, :, u*s:u*s+k, v*s:v*s+k].sum((2, 3)) for v in range(OW)] for u in range(OH)])"
         ".transpose(2, 3, 0, 1)", "times-KH*KW"),
    ],
)  # fmt: skip
def test_a_slip_of_another_op_is_named_first(text, name):
    assert named(text) == name


def test_the_smallest_case_is_small_and_fails():
    result = one(CONV.format(first="", dtype="", rows="OH", bias="", result="y"))
    question = result.smallest.question
    assert result.smallest.faults
    assert question.args[0].size <= 2
    assert question.args[1].size <= 2
    assert not question.options
    assert all(float(v).is_integer() for v in question.args[0].ravel())


def test_what_failing_cases_have_in_common_is_said():
    result = one(CONV.format(first="stride = min(stride, 1)", dtype="", rows="OH", bias="+ b", result="y"))
    assert result.in_common == "All failing cases have stride above 1; no passing case has."


def test_hints_tell_more_and_more():
    def relu_forward(x):
        return abs(x)

    report = tc.check(relu_forward)
    first, second, third = (report.text(hint) for hint in (1, 2, 3))
    assert "y has wrong numbers in" in first
    assert "expected" not in first
    assert "--hint 2" in first
    assert "expected" in second
    assert "One number, by the formula" not in second
    assert "--hint 3" in second
    assert "y = max(x,0)" in third.replace(", ", ",")
    assert "; yours is" in third
    assert str(report) == second
    assert max(map(len, third.splitlines())) <= 80


def test_a_notebook_checks_a_pair_under_another_name_and_finds_changed_arguments():
    def mine(x):
        return np.where(x > 0, x, 0), x

    def mine_back(dy, x):
        dy[x <= 0] = 0
        return dy

    report = tc.check(mine, mine_back, op="relu", hint=3)
    assert not report.passed
    assert report.results[0].mistakes[0].name == "dy-changed-in-place"
    assert tc.check(mine, op="relu").passed
    assert tc.check(lambda y_true, y_pred: float(np.mean(np.asarray(y_true) == y_pred)), op="accuracy").passed
    with pytest.raises(ValueError, match="did you mean 'relu"):
        tc.check(mine, op="rellu")
    with pytest.raises(TypeError, match="without calling it"):
        tc.check(3.0)


def test_the_seed_draws_other_cases():
    relu = subjects()["relu"]
    assert not np.array_equal(questions(relu, 0)[3].args[0], questions(relu, 1)[3].args[0])


WRONG_FILE = "def relu_forward(x):\n    print('noise')\n    return abs(x)\n"


def test_the_command_says_json_and_exits_with_1(tmp_path, capsys):
    path = tmp_path / "mine.py"
    path.write_text(WRONG_FILE)
    code, out, _ = run(capsys, "check", path, "--json")
    found = json.loads(out)
    assert code == 1
    assert not found["passed"]
    assert found["results"][0]["verdict"] == "wrong"
    assert found["results"][0]["smallest"]["expected"]["y"] is not None
    assert "noise" in found["printed"]


def test_the_command_passes_with_0_and_knows_bad_usage(tmp_path, capsys):
    good, empty = tmp_path / "good.py", tmp_path / "empty.py"
    good.write_text("import numpy as np\ndef relu(x):\n    return np.maximum(x, 0)\n")
    empty.write_text("def relu_forwad(x):\n    return x\n")
    code, out, _ = run(capsys, "check", good)
    assert (code, out.startswith("relu: right in all")) == (0, True)
    code, out, _ = run(capsys, "check", empty)
    assert code == 2
    assert "did you mean 'relu_forward' by 'relu_forwad'?" in " ".join(out.split())
    for arguments in (["check"], ["check", tmp_path / "none.py"], ["check", good, "--hint", "4"]):
        code, out, err = run(capsys, *arguments)
        assert (code, out) == (2, "")
        assert err


def test_a_folder_gives_a_line_an_op(tmp_path, capsys):
    (tmp_path / "a.py").write_text(WRONG_FILE)
    relu = "import numpy as np\ndef relu(x):\n    return np.maximum(x, 0)\n"
    (tmp_path / "b.py").write_text(relu + "def sgd_step(w, dw, lr):\n    return w - lr * dw\n")
    code, out, _ = run(capsys, "check", "--batch", tmp_path, "--csv")
    lines = out.strip().splitlines()
    assert code == 1
    assert lines[0] == "file,op,verdict,likely mistake,passed,cases"
    assert [line.split(",")[1:3] for line in lines[1:]] == [["relu", "wrong"], ["relu", "pass"], ["sgd_step", "pass"]]
    assert len({line.count(",") for line in lines}) == 1


def test_check_does_not_load_the_checker_with_tinycnn():
    program = "import sys, tinycnn; print([n for n in sys.modules if n.startswith('tinycnn.checking')])"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_OPS)
def test_an_exhibit_of_the_museum_is_named_first_as_a_file(name, tmp_path):
    (tmp_path / "mine.py").write_text(museum_file(MUTANTS[name]))
    report = check_file(tmp_path / "mine.py")
    assert name in [r.mistakes[0].name for r in report.results if r.mistakes]


@pytest.mark.slow
@pytest.mark.parametrize("what", RIGHT)
def test_a_right_solution_passes_as_a_file(what, tmp_path):
    (tmp_path / "mine.py").write_text(RIGHT[what])
    assert check_file(tmp_path / "mine.py").passed


TWO_MISTAKES = """
import numpy as np
def softmax(z):
    e = np.exp(z)
    return e / e.sum(axis=0, keepdims=True)
"""


def test_of_two_mistakes_the_one_that_shows_most_is_named_and_said_to_be_one_of_several():
    first = one(TWO_MISTAKES).mistakes[0]
    assert first.title.startswith("Axis 0 is taken for axis 1")
    assert not first.whole
    assert first.beside >= 1
    assert f"in {first.wrong} of the {first.wrong + first.beside} wrong cases" in first.sure


def test_a_mistake_that_would_spoil_what_is_right_is_not_named():
    noise = "import numpy as np\ndef relu_forward(x):\n    return np.maximum(x, 0) + (x > 0.5) * np.sin(x)\n"
    assert one(noise).mistakes == []
