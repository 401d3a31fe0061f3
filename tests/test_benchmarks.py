"""The benchmarks' page is what the stored results say, and plain torch's networks are those of the presets."""

import importlib
import json
import re
from pathlib import Path

import pytest
import torch

from vaekit.experiment import Experiment

ROOT = Path(__file__).parent.parent


@pytest.fixture
def benchmarks(monkeypatch):
    """Import a module of the benchmarks."""
    monkeypatch.syspath_prepend(ROOT)
    return lambda name: importlib.import_module(f"benchmarks.{name}")


def test_page_is_what_the_stored_results_say(benchmarks):
    page = benchmarks("page")
    assert page.PAGE.read_text() == page.text(page.stored())


def test_guide_quotes_the_stored_variances_which_estimators_lower():
    numbers = json.loads((ROOT / "benchmarks/results/importance.json").read_text())["numbers"]
    guide = (ROOT / "docs/guides/objectives.md").read_text()
    for stage in ("new", "trained"):
        for estimator in ("stl", "dreg"):
            found = numbers["variances"][stage]["50"][estimator]
            ratio, error = found["of_plain"], found["of_plain_standard_error"]
            assert ratio + 3 * error < 1
            assert stage == "new" or f"{ratio:.2g} ± {error:.1g}" in guide
    assert all(cost["of_products"] < 1.3 for cost in numbers["costs"].values())


def test_a_mixture_of_500_costs_at_most_3_ms_a_step_and_vaekits_parts_less_than_pythaes():
    rows = json.loads((ROOT / "benchmarks/results/cpu-2-cores.json").read_text())["rows"]
    ours, *beside = (table["lines"] for table in rows["parts"]["tables"])
    assert ours["mixture of 500 as prior"]["over"] <= 3
    assert [lines["vaekit fp32"]["ratios"]["pythae"]["min"] > 1 for lines in beside] == [True] * 3


def test_an_evidence_takes_less_than_4_gib_under_any_prior():
    found = json.loads((ROOT / "benchmarks/results/evidence-memory.json").read_text())
    assert (found["images"], found["samples"]) == (10_000, 5000)
    assert len(found["peak_mib"]) == 4
    assert max(found["peak_mib"].values()) < 4096


def test_a_storm_loses_no_unit_and_does_none_twice():
    storm = json.loads((ROOT / "benchmarks/results/ray-storm.json").read_text())["storm"]
    assert storm["results"] == storm["units"] >= 200
    assert (storm["drivers_killed"], storm["nodes_killed"]) == (10, 2)
    assert storm["written_twice"] == storm["weights_unlike_the_serial_run"] == 0


def test_the_plan_of_a_large_study_uses_measured_rates():
    rows = json.loads((ROOT / "benchmarks/results/cpu-2-cores.json").read_text())["rows"]
    epoch, evidence = (rows[name]["tables"][0]["lines"]["vaekit fp32"]["median"] for name in ("mlp", "evidence"))
    guide = (ROOT / "docs/guides/clusters.md").read_text()
    assert f"{epoch:.2f} s per epoch" in guide
    assert f"{evidence:.1f} s for 5,000 draws" in guide
    unit = round(30 * epoch) + round(evidence / 5) + 3
    assert f"**{unit} s**" in guide
    assert f"| {10_000 * unit / 8 / 3600:.1f} h | {10_000 * unit / 8 / 3600:.1f} h |" in guide


def test_growth_by_more_than_the_size_has_a_reason_and_reaches_the_largest_sizes(benchmarks):
    exponents = benchmarks("tables").exponents
    works = json.loads((ROOT / "benchmarks/results/growth.json").read_text())["works"]
    largest = {"pixels": 256**2, "images": 10**6, "draws": 10**5, "latents": 1000}
    assert {name: max(work["curves"]["vaekit"]["sizes"]) for name, work in works.items()} == largest
    for work in works.values():
        for name, curve in work["curves"].items():
            steep = max(exponents(curve["sizes"], curve["seconds"])) > 1.15
            assert not steep or name in work["reasons"] or name == "pythae", name


def test_stored_results_are_complete():
    for path in (ROOT / "benchmarks/results").glob("c*-*.json"):
        result = json.loads(path.read_text())
        assert result["kind"] == path.stem
        assert {"processor", "cores", "memory"} <= set(result["machine"])
        for row in result["rows"].values():
            assert {"date", "command", "versions", "tables"} == set(row)
            lines = [line for table in row["tables"] for line in table["lines"].values() if "not_run" not in line]
            assert all(min(line["values"]) == line["min"] <= line["median"] <= line["max"] for line in lines)


def test_ratios_pair_the_rounds(benchmarks):
    tables = benchmarks("tables")
    values = {"plain torch": [2.0, 4.0, 6.0], "pythae": "no wheel", "vaekit": [1.0, 4.0, 2.0]}
    lines = tables.table("a step", "s", values)["lines"]
    assert lines["vaekit"]["ratios"] == {"plain torch": {"median": 2.0, "min": 1.0, "max": 3.0}}
    assert lines["pythae"] == {"not_run": "no wheel"}
    speeds = tables.table("a product", "GFLOP/s", values, larger_is_better=True)["lines"]
    assert speeds["vaekit"]["ratios"]["plain torch"] == {"median": 0.5, "min": pytest.approx(1 / 3), "max": 1.0}


def test_page_shows_ratios_ceilings_and_what_was_not_run(benchmarks):
    page, table = benchmarks("page"), benchmarks("tables").table
    timed = table("an epoch", "s", {"plain torch": [3.0], "pythae": "no wheel", "vaekit": [1.5]}, gflop=300.0)
    ceiling = table("product", "GFLOP/s", {"torch.mm, fp32": [400.0]}, larger_is_better=True)
    about = {"date": "2026-01-01", "command": "python -m benchmarks", "versions": {"torch": "2.13.0"}}
    rows = {"mlp": {**about, "tables": [timed]}, "gemm": {**about, "tables": [ceiling]}}
    text = page.text({"cpu-2-cores": {"machine": {"cores": "2"}, "rows": rows}})
    assert "| vaekit | 1.5 | 1.5–1.5 | 2.00 (2.00–2.00) | 200 | 50% |" in text
    assert "| pythae | not run: no wheel |" in text
    assert re.search(r"### Evidence\n\nNot run\.", text)
    assert re.search(r"## cuda-[a-z0-9-]+\n\nNot run\.", text)


@pytest.fixture
def published(benchmarks, monkeypatch, tmp_path):
    """Benchmarks of one row that takes no time, and folders in the place of those of the published results."""
    main, page, table = benchmarks("__main__"), benchmarks("page"), benchmarks("tables").table
    monkeypatch.setattr(main, "ROWS", {"mlp": lambda settings: [table("an epoch", "s", {"vaekit": [1.5]})]})
    monkeypatch.setattr(main.data, "write", lambda folder, root: None)
    monkeypatch.setattr(page, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(page, "PAGE", tmp_path / "page.md")

    def run(*words: str) -> list[str]:
        monkeypatch.setattr("sys.argv", ["benchmarks", *words])
        main.main()
        return sorted(path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*") if path.is_file())

    return run


def test_only_on_request_are_results_published(published, tmp_path, capsys):
    assert published() == []
    assert "| vaekit | 1.5 |" in capsys.readouterr().out
    assert published("--results", str(tmp_path / "own" / "folder")) == ["own"]
    assert published("--publish") == ["own", "page.md", "results"]
    with pytest.raises(SystemExit, match="2"):
        published("--publish", "--quick")
    assert "the numbers of --quick mean nothing" in capsys.readouterr().err


def test_an_array_too_small_for_a_map_is_not_measured_as_one(benchmarks, monkeypatch, capsys):
    memory_map = pytest.importorskip("benchmarks.memory_map", exc_type=ImportError)
    monkeypatch.setattr("sys.argv", ["memory_map", "--gigabytes", "0.3"])
    with pytest.raises(SystemExit, match="2"):
        memory_map.main()
    assert "arrays up to 1.07 are read, not mapped; ask for more" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["mlp", "mlp-40", "aragam", "ncsu"])
def test_networks_in_plain_torch_are_those_of_the_presets(benchmarks, name):
    protocol, nets, runner = benchmarks("protocol"), benchmarks("nets"), benchmarks("runners.vaekit")
    experiment: Experiment = runner.experiment(protocol.Job("train", "", net=name))
    vae, plain = experiment.model.build((1, 28, 28)), nets.VAE(name)
    assert [p.shape for p in vae.parameters()] == [p.shape for p in plain.parameters()]
    with torch.no_grad():
        for ours, theirs in zip(vae.parameters(), plain.parameters(), strict=True):
            theirs.copy_(ours)
    x = torch.rand(3, 1, 28, 28)
    z = vae.encode(x)
    assert torch.allclose(z, plain.encoder(x).chunk(2, -1)[0], atol=1e-6)
    log_likelihood = -plain.distortion(plain.decoder(z), x).flatten(1).sum(1) - nets.CONSTANT[name]
    assert torch.allclose(vae.likelihood(z).log_prob(x), log_likelihood, rtol=1e-5)


def test_an_epoch_of_the_dense_network_takes_246_gflop(benchmarks):
    assert round(benchmarks("nets").training_gflop("mlp", 60_000)) == 246
