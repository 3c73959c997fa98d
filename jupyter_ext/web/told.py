"""What a browser is shown where the container's own page can't be."""

from __future__ import annotations

from html import escape

POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 38em; margin: 15vh auto; padding: 0 1em; }}
h1 {{ font-size: 1.4em; }}
:root {{ color-scheme: light dark; }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>{text}</p>
</body>
</html>
"""

TITLES = {
    401: "This page is closed",
    403: "Not from here",
    404: "Nothing is here",
    409: "The container does not run",
    413: "This is too long",
    429: "Too much at once",
    502: "The page does not answer yet",
    503: "This can't be reached now",
    504: "The page took too long",
}


def page(status: int, text: str) -> bytes:
    """Return a page that says what is wrong and what to do."""
    title = TITLES.get(status, "Something went wrong")
    return _PAGE.format(title=escape(title), text=escape(text)).encode()
