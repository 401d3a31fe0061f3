"""Exported models: other software computes what the model does, for any number of rows, without the run."""

import json
import re
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small import finished, small

from vaekit import InputError, Run, RunError, encode, export
from vaekit.cli import main
from vaekit.sharing import graphs

onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")

GUIDE = Path(__file__).parent.parent / "docs" / "guides" / "sharing.md"


def test_onnx_computes_what_the_model_does(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "exported"
    assert main(["export", str(run.path), "--to", "onnx", "--out", str(out), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["rows_tried"] == [1, 7, 1000]
    assert all(0 < difference <= 1e-5 for difference in facts["largest_difference"].values())
    assert facts["inputs"] == {"encoder.onnx": ["x", "batch", 1, 8, 8], "decoder.onnx": ["z", "batch", 3]}
    assert {path.name for path in out.iterdir()} == {*facts["files"], "export.json"}
    encoder, decoder = (onnxruntime.InferenceSession(out / f"{name}.onnx") for name in ("encoder", "decoder"))
    vae = run.vae()
    for n in (1, 7, 1000):
        x = torch.rand(n, 1, 8, 8)
        mean, scale = encoder.run(None, {"x": x.numpy()})
        (decoded,) = decoder.run(None, {"z": mean})
        with torch.no_grad():
            np.testing.assert_allclose(mean, vae.encode(x), atol=1e-5)
            np.testing.assert_allclose(scale, vae.posterior(x).stddev, atol=1e-5)
            np.testing.assert_allclose(decoded, vae.reconstruct(x), atol=1e-5)


def test_the_server_of_the_guide_answers(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export(run, tmp_path / "exported")
    (code,) = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    code = code.replace("8000", "0").replace("HTTPServer(", "server = HTTPServer(").replace(".serve_forever()", "")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(code, names)
    names["Encode"].log_message = lambda *_: None
    server = names["server"]
    with server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        levels = np.random.default_rng(0).integers(0, 256, (2, 1, 8, 8), np.uint8)
        body = json.dumps(levels.tolist()).encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}", body, timeout=20) as answer:
            found = json.load(answer)
        server.shutdown()
        thread.join()
    np.testing.assert_allclose(found["mean"], encode(run, levels), atol=1e-5)


@pytest.mark.slow
def test_programs_of_torch_run_without_vaekit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vaekit.linear.onednn_is_quicker", lambda: True)
    run = finished(small(model__network__hidden=[1100], epochs=0.1), tmp_path / "wide")
    facts = export(run, tmp_path / "exported", to="torch")
    x = np.random.default_rng(0).random((7, 1, 8, 8), np.float32)
    np.save(tmp_path / "x.npy", x)
    code = (
        "import sys, numpy as np, torch; sys.modules['vaekit'] = None; "
        "encoder = torch.export.load('exported/encoder.pt2').module(); "
        "np.save('z.npy', encoder(torch.from_numpy(np.load('x.npy')))[0].detach())"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    np.testing.assert_allclose(np.load(tmp_path / "z.npy"), encode(run, x), atol=1e-5)
    assert max(facts["largest_difference"].values()) <= 1e-5


def test_holes_and_columns_of_several_kinds(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    rows = [f"{a},{n},{c}" for a, n, c in zip(generator.normal(size=90), range(90), "xyz" * 30, strict=True)]
    rows[3] = ",4,x"
    (tmp_path / "t.csv").write_text("\n".join(["a,n,c", *rows]))
    kinds = {"n": "count", "c": "category"}
    experiment = small(data__name=str(tmp_path / "t.csv"), data__columns=kinds, model__likelihood="columns", epochs=1)
    facts = export(finished(experiment, tmp_path / "run"), tmp_path / "exported", to="torch")
    assert max(facts["largest_difference"].values()) <= 1e-5
    columns = json.loads((tmp_path / "exported" / "export.json").read_text())["columns"]
    assert [(column["name"], column["kind"]) for column in columns] == [
        ("a", "real"),
        ("n", "count"),
        ("c", "category"),
    ]


def test_a_graph_that_computes_something_else_is_not_written(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graphs.Encoder, "forward", lambda self, x: (self.posterior(x).sample(),))
    with pytest.raises((RunError, InputError), match=r"differs from the model|cannot be exported"):
        export(run, tmp_path / "exported", to="torch")
    assert not (tmp_path / "exported").exists()


def test_an_earlier_export_is_replaced_and_nothing_else(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(run, out, to="torch")
    export(run, out, to="torch")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    for taken in (tmp_path / "mine", tmp_path / "mine" / "notes.txt"):
        with pytest.raises(InputError, match=r"is not an earlier export: name another folder"):
            export(run, taken, to="torch")


def test_what_is_missing_or_unknown_is_named(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"the format 'onxn' is unknown: did you mean 'onnx'"):
        export(run, tmp_path / "out", to="onxn")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match=r"pip install 'vaekit\[onnx\]'"):
        export(run, tmp_path / "out")
