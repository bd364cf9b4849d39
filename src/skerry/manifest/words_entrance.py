"""The vocabulary of an entrance, our own addition to manifest.md (decision 0021): data, as ``words.py`` is."""

from skerry.manifest.word_types import TEXT, Choice, Either, Group, Many, Word, whole

_PORT = whole(1, 65535)

#: What one entry of ``entrance`` says.
_ENTRY = Group(
    (
        Word("host", TEXT, "name that people ask for, such as shop.example.org", built=True),
        Word("path", TEXT, "where it begins at that host", "/", built=True),
        Word(
            "tls",
            Either(
                (
                    Choice(("none", "acme")),
                    Group((Word("secret", TEXT, "secret of the file: certificate chain and key, PEM", built=True),)),
                )
            ),
            "acme for one that the site gets itself, secret: NAME for one of one's own",
            "none",
            built=True,
        ),
        Word("tcp", _PORT, "port of the node whose connections are shared out", built=True),
        Word("udp", _PORT, "port of the node whose datagrams are shared out", built=True),
        Word("port", _PORT, "port of the instance", built=True),
    )
)

ENTRANCE = Word("entrance", Many(_ENTRY), "what people outside reach of it: host names and ports", built=True)
