"""The console's files: what is served, what may be kept, and that nothing else can be reached."""

import gzip

from skerry.api.pages import Pages

SCRIPT = "console.log('x');\n" * 200


def _build(folder):
    (folder / "assets").mkdir()
    (folder / "index.html").write_text("<!doctype html><title>Skerry</title>")
    (folder / "assets" / "index-1a2b3c4d.js").write_text(SCRIPT)
    (folder / "mark.svg").write_text("<svg/>")
    (folder / "notes.exe").write_text("no")
    return Pages(folder)


def test_the_page_is_never_kept_and_scripts_for_ever(tmp_path):
    pages = _build(tmp_path)
    page = pages.serve("/console/", {})
    assert (page.status, page.headers["Cache-Control"], page.content[:15]) == (200, "no-store", b"<!doctype html>")
    script = pages.serve("/console/assets/index-1a2b3c4d.js", {})
    assert script.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert script.content == SCRIPT.encode()
    assert pages.serve("/console/mark.svg", {}).headers["Cache-Control"] == "no-cache"


def test_every_answer_lets_nothing_come_from_elsewhere(tmp_path):
    pages = _build(tmp_path)
    for path in ("/console/", "/console/sites/oslo", "/console/assets/index-1a2b3c4d.js", "/console/assets/gone.js"):
        headers = pages.serve(path, {}).headers
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self';")
        assert "unsafe" not in policy
        assert "http" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_addresses_of_views_are_the_page_and_lost_scripts_are_not(tmp_path):
    pages = _build(tmp_path)
    assert pages.serve("/console/apps/shop", {}).content == pages.serve("/console/", {}).content
    assert pages.serve("/console/assets/index-old.js", {}).status == 404


def test_no_path_leads_out_or_to_what_is_no_page(tmp_path):
    pages = _build(tmp_path)
    page = pages.serve("/console/", {}).content
    for path in ("/console/../secret", "/console//etc/passwd", "/console/notes.exe", "/console/%2e%2e/x"):
        assert pages.serve(path, {}).content == page


def test_packed_for_who_takes_it_and_not_sent_to_who_has_it(tmp_path):
    pages = _build(tmp_path)
    path = "/console/assets/index-1a2b3c4d.js"
    packed = pages.serve(path, {"accept-encoding": "br, gzip"})
    assert (packed.headers["Content-Encoding"], packed.headers["Vary"]) == ("gzip", "Accept-Encoding")
    assert gzip.decompress(packed.content) == SCRIPT.encode()
    again = pages.serve(path, {"if-none-match": packed.headers["ETag"]})
    assert (again.status, again.content) == (304, b"")


def test_without_built_files_a_page_says_how_to_build_them(tmp_path):
    pages = Pages(tmp_path / "nothing")
    answer = pages.serve("/console/", {})
    assert answer.status == 503
    assert b"./dev console" in answer.content
    assert "Content-Security-Policy" in answer.headers


async def test_the_application_serves_it_and_leads_there_from_its_root(api):
    root = await api.ask("GET", "/")
    assert (root.status, root.headers["location"]) == (303, "/console/")
    page = await api.ask("GET", "/console/")
    assert page.status in (200, 503)  # built or not
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert (await api.ask("POST", "/console/")).status == 404
    assert (await api.ask("GET", "/consoles")).status == 404
