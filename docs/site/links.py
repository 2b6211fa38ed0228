"""Links between the pages of a built site: each must lead somewhere, its anchor too."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

ELSEWHERE = {"http", "https", "mailto", "data", "javascript"}
ATTRIBUTES = {
    "a": "href",
    "link": "href",
    "script": "src",
    "img": "src",
    "source": "src",
    "object": "data",
}


class Page(HTMLParser):
    """The links and the anchors of one page, and its images without a text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.silent: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what an element links to, and what can be linked to in it."""
        found = dict(attrs)
        self.anchors |= {found[k] or "" for k in ("id", "name") if k in found}
        target = found.get(ATTRIBUTES.get(tag, ""))
        if target:
            self.links.append(target)
        if tag == "img" and not (found.get("alt") or "").strip():
            self.silent.append(target or "")


def broken(site: Path) -> list[str]:
    """What is wrong with the links of a site, page by page; also what is fetched from elsewhere."""
    site = site.resolve()
    made = (path for path in sorted(site.rglob("*.html")) if path.parent.name != "_static")
    pages = {path: Page(path) for path in made}
    found = []
    for path, page in pages.items():
        name = path.relative_to(site)
        for link in dict.fromkeys(page.links):
            address, anchor = urldefrag(link)
            parts = urlsplit(address)
            if parts.scheme in ELSEWHERE or link in ("#", ""):
                continue
            target = path if not parts.path else (path.parent / unquote(parts.path)).resolve()
            target = target / "index.html" if target.is_dir() else target
            if not target.exists():
                found.append(f"{name}: {link} is not there")
            elif anchor and target in pages and unquote(anchor) not in pages[target].anchors:
                found.append(f"{name}: {link} has no such place")
        found += [f"{name}: the image {image} has no text" for image in page.silent]
    return found
