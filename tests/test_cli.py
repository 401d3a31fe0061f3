"""The command line: help, examples, wrong words, and what is printed where."""

import inspect
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import vaekit
from vaekit import Run, RunError
from vaekit.choices import fields
from vaekit.cli import main
from vaekit.cli.app import EXAMPLES
from vaekit.cli.command import app
from vaekit.cli.words import MEANT
from vaekit.experiment import Experiment
from vaekit.settings import SHORT

TRAIN = ["train", "digits", "--latent-dim", "2", "--hidden", "12", "--no-report"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def listing(folder: Path) -> set[tuple[str, int]]:
    return {(str(path), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


class TestHelp:
    def test_it_is_instant(self) -> None:
        code = (
            "import sys, time, vaekit.cli; vaekit.cli.main(['--help']); "
            "print(time.process_time(), file=sys.stderr); sys.exit('torch' in sys.modules)"
        )
        command = [sys.executable, "-c", code]
        done = [subprocess.run(command, check=True, capture_output=True, text=True) for _ in range(3)]
        assert min(float(each.stderr) for each in done) < 0.5  # seconds of the processor, however busy the machine is

    @pytest.mark.parametrize("line", ["runs", "show runs/small", "options", "data list"])
    def test_what_only_reads_small_files_imports_no_torch(self, line: str, run: Run) -> None:
        assert main(["evaluate", "runs/small", "--samples", "3", "--quiet"]) == 0
        code = (
            f"import sys, time, vaekit.cli; assert vaekit.cli.main({line.split()!r}) == 0; "
            "print(time.process_time(), file=sys.stderr); sys.exit('torch' in sys.modules)"
        )
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        assert float(done.stderr) < 0.5  # seconds of the processor

    def test_nothing_is_help_with_examples(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main([]) == 0
        assert EXAMPLES.strip() in capsys.readouterr().out

    def test_examples_run(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr("vaekit.reporting.measurement.SAMPLES", 20)
        verbs = sorted((name for name in app if not name.startswith("-")), key=lambda verb: verb != "train")
        sub_verbs = [["data", name] for name in app["data"] if not name.startswith("-")]
        texts = [EXAMPLES]
        for words in [*([verb] for verb in verbs), *sub_verbs]:
            assert main([*words, "--help"]) == 0
            text = capsys.readouterr().out
            own = [line for line in text.splitlines() if line.startswith(f"    vaekit {words[0]}")]
            assert own, f"the help of {words} has no example of it"
            texts.append(text)
        examples = {
            line.strip(): None for text in texts for line in text.splitlines() if line.startswith("    vaekit ")
        }
        assert len(examples) > 30
        Image.new("L", (8, 8)).save("hidden.png")
        for example in examples:
            words = shlex.split(example)[1:]
            if (
                words[0] in ("demo", "explore", "sweep")
                or words[1:2] == ["wei"]
                or {"fetch", "hf://me/digits", "sweeps/first"} & {*words}
            ):  # they have tests of their own
                app.parse_args(words, exit_on_error=False, print_error=False)
            else:
                assert main([*words, *["--no-report"] * (words[0] == "train")]) == 0, example
            if words[0] == "train" and "runs/second" in words:  # as the report does
                assert main(["evaluate", "runs/second"]) == 0
        assert (folder / "samples.png").is_file()
        assert np.load(folder / "z.npy").shape == (1797, 2)

    @pytest.mark.parametrize("verb", [name for name in app if not name.startswith("-")])
    def test_every_verb_has_help(self, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main([verb, "--help"]) == 0
        assert f"vaekit {verb}" in capsys.readouterr().out

    def test_version(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["--version"]) == 0
        assert re.fullmatch(r"\d+\.\d+\.\d+\n", capsys.readouterr().out)


def parameters(function: Any) -> set[str]:
    return set(inspect.signature(function).parameters)


@pytest.mark.parametrize(
    "verb",
    [
        "demo",
        "evaluate",
        "compare",
        "encode",
        "decode",
        "reconstruct",
        "interpolate",
        "sample",
        "score",
        "impute",
        "figures",
        "report",
        "export",
        "push",
        "track",
        "cite",
        "show",
        "runs",
        "doctor",
        "options",
        "refit-prior",
    ],
)
def test_verbs_are_functions_with_the_same_arguments(verb: str) -> None:
    function = getattr(vaekit, verb.replace("-", "_"))
    assert parameters(function) - {"follow", "track", "doing"} <= parameters(app[verb].default_command)


def test_train_takes_the_arguments_of_choose_and_train() -> None:
    functions = parameters(vaekit.choose) | parameters(vaekit.train)
    own = {"tensorboard", "track", "explore", "report", "output"}
    assert parameters(app["train"].default_command) - own == functions - {"experiment", "track"}


def test_flags_name_all_kinds_of_their_fields(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    known = {option["path"]: option["type"] for option in vaekit.options()}
    for name, path in SHORT.items():
        _, flag, said = text.partition(f" --{name.replace('_', '-')} ")
        assert flag
        words = known[path].split(" | ")
        if "str" not in words and "int" not in words and len(words) > 1:
            missing = [word for word in words if not re.search(rf"\b{word}\b", said.partition(" --")[0], re.IGNORECASE)]
            assert missing == [], name


def test_a_short_name_that_is_none_is_refused() -> None:
    with pytest.raises(vaekit.InputError, match=r"'latnet_dim' is not a short name .* mean 'latent_dim'"):
        vaekit.choose("digits", latnet_dim=2)


WRONG: list[tuple[str, list[str]]] = [
    ("trian", ["trian", "Did you mean", "train"]),
    ("--versoin", ["--versoin", "--help"]),
    ("train", ["no data were named", "mnist"]),
    ("train mnits", ["mnits", "did you mean 'mnist'"]),
    ("train nope/faces", ["nope/faces", "does not exist", "check the path"]),
    ("train digits extra", ["extra", "vaekit train --help"]),
    ("train digits --epoch 3", ["--epoch", "Did you mean --epochs"]),
    ("train digits --epochs", ["--epochs", "requires an argument"]),
    ("train digits --epochs ten", ["--epochs", "'ten'", "is not a number: give one"]),
    ("train digits --epochs -1", ["epochs is -1", "greater than 0"]),
    ("train digits --epochs inf", ["epochs is inf", "finite"]),
    ("train digits --batch-size 1.5", ["--batch-size", "'1.5'", "is not a whole number: give one"]),
    ("train digits --batch-size 0", ["batch_size is 0", "greater than 0"]),
    ("train digits --set objective.samples=99999999", ["batch_size 100", "GiB", "available", "choose a smaller"]),
    ("train digits --latent-dim 1e3", ["--latent-dim", "'1e3'", "whole number"]),
    ("train digits --hidden a,b", ["'a,b'", "such as 500 or 300,300"]),
    ("train digits --hidden 100000000000", ["would take", "weights", "GiB", "choose a smaller"]),
    ("train digits --preset aevb-mnits", ["aevb-mnits", "did you mean 'aevb-mnist'"]),
    ("train digits --network cnov", ["cnov", "did you mean 'conv'"]),
    ("train digits --likelihood bernouli", ["bernouli", "did you mean 'bernoulli'"]),
    ("train digits --likelihood categorical", ["categorical needs byte", "save the images as uint8"]),
    ("train digits --optimizer adm", ["adm", "did you mean 'adam'"]),
    ("train digits --learning-rate 0", ["learning_rate is 0", "greater than 0"]),
    ("train digits --seed -1", ["seed is -1", "greater than or equal to 0"]),
    ("train digits --device tpu", ["'tpu'", "choose auto, cpu, cuda or mps"]),
    ("train digits --device cuda:9", ["'cuda:9'", "choose auto or cpu"]),
    ("train digits --precision fp16", ["fp16", "did you mean 'bf16'"]),
    ("train digits --binarize dynamc", ["dynamc", "did you mean 'dynamic'"]),
    ("train digits --image-size 8", ["image_size", "leave it out"]),
    ("train digits --set model.piror=x", ["model.piror", "did you mean 'prior'"]),
    ("train digits --set model.prior", ["'model.prior'", "write model.prior=value"]),
    ("train digits --set data.split=1/2", ["'1/2'", "choose from 1257/180/360"]),
    ("train digits --set early_stopping=2 --set data.split=0.8/0.2", ["early_stopping 2", "three parts"]),
    ("train digits --config nope.json", ["nope.json", "name an experiment.json"]),
    ("train digits --config notes.txt", ["notes.txt", "not JSON"]),
    ("train digits --data-root nope", ["nope", "--data-root"]),
    (
        "train digits --run runs/small",
        ["runs/small", "resume it (--resume), overwrite it (--overwrite), or name another folder (--run)"],
    ),
    ("train digits --run .", [". exists and is not a run", "name another folder (--run)"]),
    ("train digits --run notes.txt/x", ["notes.txt/x", "name another folder (--run)"]),
    ("train --resume --run nope", ["nope is not a run", "vaekit runs"]),
    ("train --resume --overwrite --run runs/small", ["--resume", "--overwrite", "leave one out"]),
    ("train --resume --run runs/small --seed -1", ["seed is -1", "greater than or equal to 0"]),
    ("evaluate", ["requires an argument", "vaekit evaluate --help"]),
    ("evaluate nope", ["nope is not a run", "vaekit runs"]),
    ("evaluate runs/small --split tset", ["tset", "did you mean 'test'"]),
    ("evaluate runs/small --samples 0", ["samples is 0", "at least 1"]),
    ("evaluate runs/small --images 0", ["images is 0", "at least 1"]),
    ("evaluate runs/small --precision fp16", ["precision 'fp16' is unknown: choose fp32, tf32 or bf16"]),
    ("evaluate runs/small --annealing chains=0", ["chains is 0", "greater than 0"]),
    ("evaluate runs/small --annealing chain=8", ["chain is not a field", "did you mean 'chains'"]),
    ("evaluate runs/small --annealing start=encodr", ["start 'encodr'", "did you mean 'encoder'"]),
    ("evaluate runs/small --annealing temperatures", ["'temperatures'", "write temperatures=value"]),
    ("encode runs/small digits", ["--out", "vaekit encode --help"]),
    ("encode runs/small digits --out z.npy --units active", ["active units", "vaekit evaluate runs/small"]),
    ("encode runs/small digits --out z.npy --units some", ["'some'", "choose all or active"]),
    ("encode runs/small notes.txt --out z.npy", ["notes.txt"]),
    ("decode runs/small nope.npy --out x.npy", ["nope.npy"]),
    ("decode runs/small wide.npy --out x.npy", ["(4, 7)", "(N, 3)"]),
    ("decode runs/small pickled.npy --out x.npy", ["pickled.npy", "never loaded"]),
    ("sample runs/small -n 0 --out x.png", ["n is 0", "at least 1"]),
    ("sample runs/small -n ten --out x.png", ["'ten'", "whole number"]),
    ("sample runs/small --out x.xyz", ["x.xyz", ".npy or a picture such as .png"]),
    ("sample runs/small --out notes.txt/x.png", ["notes.txt/x.png", "another place (--out)"]),
    ("refit-prior runs/small --run runs/new --prior vamp", ["'vamp' cannot be fitted to codes", "mixture"]),
    ("refit-prior runs/small --run runs/new --set seed=3", ["'seed' is not a field of the prior"]),
    ("refit-prior runs/small --run runs/small", ["runs/small holds a run already"]),
    ("runs nope", ["nope is not a folder", "train one first"]),
    ("show latest", ["holds no run", "train one first"]),
    ("generate runs/small", ["generate", "Did you mean", "sample"]),
    ("train digits --force", ["--force", "Did you mean --overwrite?"]),
    ("train digits --z-dim=2", ["--z-dim", "Did you mean --latent-dim?"]),
    ("train digits --out runs/x", ["--out", "Did you mean --run?"]),
    ("encode runs/small digits --output z.npy", ["--output", "Did you mean --out instead of --output?"]),
    ("train digits --set early_stopping=soon", ["early_stopping is 'soon'", "give a whole number"]),
    ("options objctive", ["'objctive'", "did you mean 'objective'?"]),
    ("data list --quite", ["--quite", "Did you mean --quiet"]),
    ("data fetch mnits", ["mnits", "did you mean 'mnist'"]),
    ("data check nope.csv", ["nope.csv", "does not exist", "check the path"]),
]


@pytest.mark.parametrize(("line", "words"), WRONG, ids=[line for line, _ in WRONG])
def test_wrong_use_is_a_sentence_with_value_and_remedy(
    line: str, words: list[str], run: Run, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "notes.txt").write_text("no picture")
    np.save(folder / "wide.npy", np.zeros((4, 7), np.float32))
    np.save(folder / "pickled.npy", np.array([{}], object))
    before = listing(folder)
    assert main(line.split()) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    *_, sentence = captured.err.splitlines()
    assert sentence.startswith("vaekit: ")
    assert [word for word in words if word not in sentence] == []
    assert "Traceback" not in captured.err
    assert listing(folder) == before
    assert {path.name for path in folder.iterdir()} == {"runs", "notes.txt", "wide.npy", "pickled.npy"}


def test_words_of_other_tools_are_understood_aloud(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--lr", "0.002", "--batch=90", "--likelihood", "mse", "--objective", "beta-vae", "--beta", "4"]
    assert main([*TRAIN, *words, "--epochs", "0.1", "--run", "run"]) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("understood: ")]
    assert said[0] == "understood: --lr as --learning-rate, --batch as --batch-size"
    assert [line.partition(" (")[0] for line in said[1:]] == [
        "understood: model.likelihood mse as gaussian",
        "understood: objective beta-vae as elbo",
    ]
    found = Run(Path("run")).experiment
    assert (found.optimizer.learning_rate, found.batch_size) == (0.002, 90)
    assert (found.model.likelihood.kind, found.objective) == ("gaussian", vaekit.ELBO(beta=4))
    assert main([*TRAIN, "--lr", "0.002", "--epochs", "0.1", "--quiet"]) == 0
    assert capsys.readouterr().err == ""
    assert vaekit.choose("digits", likelihood="bce").model.likelihood == vaekit.Bernoulli()


def test_what_is_named_in_place_of_another_tools_option_exists() -> None:
    verbs = [app[verb] for verb in app if not verb.startswith("-") and app[verb].default_command]
    known = {name for verb in verbs for each in verb.assemble_argument_collection() for name in each.names}
    assert {own.split()[0] for own in MEANT} <= known


def test_debug_shows_where_an_error_arose(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "nope", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_a_failed_run_exits_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TRAIN, "--learning-rate", "1e10", "--run", "run"]) == 1
    assert "is NaN or infinite" in capsys.readouterr().err.splitlines()[-1]
    assert Run(Path("run")).vae()


JSON: dict[str, set[str]] = {
    "train digits --hidden 9 --epochs 0.1 --no-report": {"path", "evaluation"},
    "evaluate runs/small --samples 3": {
        *("elbo", "kl", "reconstruction", "log_evidence", "latents", "split", "binarization", "images", "command")
    },
    "encode runs/small digits --out z.npy": {"path", "shape"},
    "decode runs/small z.npy --out x.png": {"path", "shape"},
    "reconstruct runs/small digits --out x.npy": {"path", "shape"},
    "score runs/small digits --draws 2 --out s.csv": {"path", "parts", "rows", "flagged", "quantile"},
    "sample runs/small -n 3 --out x.png": {"path", "shape"},
    "report runs/small": {"path"},
    "show runs/small": {"run", "data", "split", "binarization", "last", "evaluations", "digest"},
    "doctor": {"vaekit", "python", "torch", "device", "data"},
    "data check digits": {"shape", "likelihoods", "duplicates"},
}
LISTS = ["runs", "options", "data list", "data fetch digits", "figures runs/small"]


class TestOutput:
    def test_json_of_every_verb_parses(self, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
        for line, keys in JSON.items():
            assert main([*line.split(), "--json"]) == 0
            captured = capsys.readouterr()
            assert captured.err == "", line
            assert keys <= json.loads(captured.out).keys()
        for line in LISTS:
            assert main([*line.split(), "--json"]) == 0
            captured = capsys.readouterr()
            assert captured.err == "", line
            assert isinstance(json.loads(captured.out), list)
        assert json.loads(captured.out)[0].endswith(".svg")

    def test_quiet_prints_path_or_value_alone(
        self, run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(
            vaekit, "figures", lambda *_, **options: [run.path / "figures" / "losses.svg"], raising=False
        )
        monkeypatch.setattr(vaekit, "report", lambda *_, **options: run.path / "report.html", raising=False)
        expected = {
            "evaluate runs/small --samples 3": r"-?\d+\.\d+\n",
            "encode runs/small digits --out z.npy": r"z\.npy\n",
            "decode runs/small z.npy --out x.png": r"x\.png\n",
            "reconstruct runs/small digits --out x.npy": r"x\.npy\n",
            "sample runs/small -n 3 --out x.png": r"x\.png\n",
            "figures runs/small": r"/.+/runs/small/figures/losses\.svg\n",
            "report runs/small": r"/.+/runs/small/report\.html\n",
            "show runs/small": r"runs/small\n",
            "runs": r"runs/small\n",
            "data list": r"digits\ndigits28\nmnist\n(\w+\n)+",
            "options": r"data\.name\n([\w.]+\n)+",
        }
        for line, pattern in expected.items():
            assert main([*line.split(), "--quiet"]) == 0
            captured = capsys.readouterr()
            assert captured.err == "", line
            assert re.fullmatch(pattern, captured.out), line

    def test_words_for_people(self, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
        main(["evaluate", "runs/small", "--samples", "3"])
        assert re.search(r"log-evidence.* -?\d+\.\d{3} +\d+\.\d{3} +3\b", capsys.readouterr().out)
        main(["runs"])
        out = capsys.readouterr().out
        assert (
            "data digits, split 1257/180/360, binarization none, network mlp, latent_dim 3, likelihood gaussian" in out
        )
        assert re.search(r"runs/small +3 +-?\d+\.\d\d +-?\d+\.\d\d ± \d", out)
        main(["show", "runs/latest"])
        assert re.search(r"trained: 3 epochs, 38 steps.*\nlast: train/validation: ELBO", capsys.readouterr().out)
        main(["options"])
        out = capsys.readouterr().out
        assert "epochs=10  (float)\n    length of training, in passes over the training images\n" in out
        main(["data", "fetch", "digits"])
        assert capsys.readouterr().out == "digits is built in\n"
        main(["runs", str(run.path)])
        assert capsys.readouterr().out == "no runs here yet\n"

    def test_runs_are_listed_by_what_differs(self, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
        for name, more in (("second", ["--seed", "3"]), ("third", ["--beta", "4", "--objective", "elbo"])):
            assert main([*TRAIN, *more, "--epochs", "0.1", "--run", f"runs/{name}", "--quiet"]) == 0
        capsys.readouterr()
        assert main(["runs"]) == 0
        shared, _, header, *rows = capsys.readouterr().out.splitlines()
        assert "likelihood gaussian" in shared
        assert not {"seed", "beta", "latent_dim"} & set(re.findall(r"\w+", shared))
        assert {"seed", "beta", "latent_dim", "hidden"} <= set(header.split())
        assert [row.split()[0] for row in rows] == ["runs/third", "runs/second", "runs/small"]

    def test_the_error_of_one_image_is_unknown_and_null_in_strict_json(
        self, run: Run, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        line = ["evaluate", "runs/small", "--metrics", "evidence", "--samples", "3", "--images", "1"]
        assert main(line) == 0
        assert re.search(r"ELBO +-?\d+\.\d{3} +unknown +3 +1\b", capsys.readouterr().out)
        assert main([*line, "--json"]) == 0
        for text in (capsys.readouterr().out, (run.path / "results.json").read_text()):
            found = json.loads(text, parse_constant=pytest.fail)
            assert found.get("evaluations", [found])[0]["elbo"]["standard_error"] is None
        assert main(["runs"]) == 0
        assert main(["compare", "runs/small", "runs/small", "--out", "pictures"]) == 0
        assert "0.000 ± unknown: no difference shown" in capsys.readouterr().out
        assert main(["compare", "runs/small", "runs/small", "--json"]) == 0
        json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
        assert main(["report", "runs/small"]) == 0
        assert "± unknown" in (run.path / "report.html").read_text()

    def test_settings_of_annealing_are_in_the_command_that_is_kept(self, run: Run) -> None:
        line = "evaluate runs/small --metrics evidence --samples 2 --images 3 --annealing chains=2"
        assert main([*line.split(), "--annealing", "temperatures=3", "--annealing", "start=prior"]) == 0
        (first,) = run.results()["evaluations"]
        assert (first["ais"]["samples"], first["ais_settings"]["temperatures"]) == (2, 3)
        assert "--annealing start=prior --annealing temperatures=3 --annealing chains=2" in first["command"]
        assert main(shlex.split(first["command"])[1:]) == 0
        assert run.results()["evaluations"] == [first]

    def test_a_reader_that_has_seen_enough_is_no_error(self, run: Run) -> None:
        code = "import sys; from vaekit.cli import main; sys.exit(main(['options']))"
        command = f'{shlex.quote(sys.executable)} -c "{code}" | head -1; echo ${{PIPESTATUS[0]}}'
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
        assert done.stdout == "data.name=  (str)\n0\n"
        assert done.stderr == ""


def test_failures_of_the_run_while_drawing_are_sentences(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any, **options: Any) -> None:
        raise RunError("runs/small cannot be written (the disk is full): make room")

    monkeypatch.setattr(vaekit, "report", fail, raising=False)
    assert main(["report", "runs/small"]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "vaekit: runs/small cannot be written (the disk is full): make room"


class TestOptions:
    def test_a_filter_is_the_beginning_of_a_path_or_a_part_of_one(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["options", "objective", "--quiet"]) == 0
        paths = capsys.readouterr().out.split()
        assert paths[:2] == ["objective", "objective.samples"]
        assert all(path.startswith("objective") for path in paths)
        assert {option["path"] for option in vaekit.options("optimizer.learning-rate")} == {"optimizer.learning_rate"}
        assert len(vaekit.options()) > len(vaekit.options("objective"))

    def test_one_word_for_none(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["options", "early"]) == 0
        assert "early_stopping=none  (int | none)\n" in capsys.readouterr().out
        words = {option["path"] for option in vaekit.options() if "none" in option["type"].split(" | ")}
        unset = Experiment(data=vaekit.Source(name="x.csv"), ema=0.5)
        for path in words - {"data.binarization", "data.label"}:
            for text in ("none", "null", ""):
                value = fields([f"{path}={text}"])[path]
                assert value is None
                if not path.startswith("model.network."):  # fields of a kind that is not chosen
                    unset.replace(path, value)
        assert fields(["data.binarization=none", "data.label=", "data.split=null"]) == {
            "data.binarization": "none",
            "data.label": "",
            "data.split": None,
        }


class TestNames:
    def test_a_package_offers_the_parts_of_an_experiment(self) -> None:
        experiment = vaekit.Experiment(
            data=vaekit.Source(name="digits"),
            model=vaekit.Model(
                latent_dim=2, likelihood=vaekit.Gaussian(), posterior=vaekit.posteriors.Gaussian(), network=vaekit.MLP()
            ),
            objective=vaekit.ELBO(beta=4),
            optimizer=vaekit.Adam(),
        )
        assert experiment.objective.beta == 4
        assert re.fullmatch(r"\d+\.\d+\.\d+", vaekit.__version__)
        assert all(getattr(vaekit, name) is not None for name in vaekit.__all__)
        assert set(vaekit.__all__) == set(dir(vaekit))

    def test_every_verb_is_a_function(self) -> None:
        verbs = {name for name in app if not name.startswith("-")} - {"data"}
        assert all(callable(getattr(vaekit, verb.replace("-", "_"))) for verb in verbs)
        assert callable(vaekit.data.check)
        assert callable(vaekit.data.fetch)
        assert callable(vaekit.data.available)
