import json

from skerry.sim.__main__ import main


def test_figures_and_exit_code(tmp_path, capsys):
    assert main(["--seeds", "1", "--first-seed", "5", "--json", str(tmp_path / "figures.json")]) == 0
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["seeds"] == 1
    assert figures["breaks"] == []
    assert figures["site_hours"] > 0
    assert figures["cpu_seconds"] > 0
    assert sum(figures["faults"].values()) > 0
    assert "1 seeds from 5: 0 breaks" in capsys.readouterr().out
