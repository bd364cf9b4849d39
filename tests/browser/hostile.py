"""What hostile people and sites put into every field that a page shows: text that would run, load, break out or steer.

``MARK`` is in each of them, so that a test can see that the text was shown, and shown as text.
"""

MARK = "planted"

SCRIPT = f"<script>globalThis.{MARK}=1</script>"
PICTURE = f"<img src=http://{MARK}.example/x.png onerror=globalThis.{MARK}=1>"
LINK = f"<a href=javascript:globalThis.{MARK}=1>{MARK}</a>"
BREAKOUT = f"\"'><svg/onload=globalThis.{MARK}=1>{{@html `{MARK}`}}${{{MARK}}}{{{{{MARK}}}}}"
TERMINAL = f"\x1b[2J\x1b]0;{MARK}\x07\x1b[31m{MARK}"
BIDI = f"\u202e{MARK}\u2066"

#: For one line of free text.
LINES = (SCRIPT, PICTURE, LINK, BREAKOUT, BIDI)
#: A label's value, a region: as long as none says how long.
LONG = f"{MARK}-" + "x" * 200
