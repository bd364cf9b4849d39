import msgspec
import structlog

from skerry.core.logs import write_json_logs


def _fail() -> None:
    password = "hunter2"
    raise ValueError(f"length {len(password)}")


def test_a_line_is_json_and_a_traceback_shows_no_values(capsys):
    before = structlog.get_config()
    write_json_logs()
    try:
        try:
            _fail()
        except ValueError:
            structlog.get_logger("test").exception("it failed\nforged line", site="oslo", thing=object)
    finally:
        structlog.configure(**before)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, "a line break in a value forges no line"
    line = msgspec.json.decode(lines[0])
    assert (line["event"], line["site"], line["level"]) == ("it failed\nforged line", "oslo", "error")
    assert "hunter2" not in lines[0]
    assert "_fail" in lines[0]
