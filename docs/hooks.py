"""MkDocs hooks: what pages link to outside of docs/ becomes part of the site, so that links work there as they do here.

A page says ``[the evidence](../bench/validity/README.md)`` and is right in the repository. In the site the folders
beside docs/ lie beside its pages: Markdown becomes a page, everything else is copied as it is.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

LINK = re.compile(r"(?<=\]\()(?!\w+:)([^)\s#]+)(?=[)#])")
FOREIGN = re.compile(r"<(?:script|img|iframe|link)\b[^>]*\b(?:src|href)=[\"']?(?:https?:)?//[^>]*>")
DOCS = "docs/"


def in_repository(src_uri: str, root: Path) -> str:
    """Return the path in the repository of what the site has at ``src_uri``."""
    return DOCS + src_uri if (root / DOCS / src_uri).exists() else src_uri


def target_of(page: str, link: str) -> str:
    """Return the path in the repository that a link on the page at the path ``page`` means."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), link))


def on_files(files: Any, config: Any) -> Any:
    """Add every file outside of docs/ that a page links to, and what the added pages link to themselves."""
    root = Path(config["config_file_path"]).parent
    pages = [file.src_uri for file in files.documentation_pages()]
    while pages:
        page = in_repository(pages.pop(), root)
        for link in LINK.findall((root / page).read_text(encoding="utf-8")):
            target = target_of(page, link)
            if target.startswith((DOCS, "..")) or not (root / target).is_file() or files.get_file_from_path(target):
                continue
            files.append(File.generated(config, target, abs_src_path=str(root / target)))
            if target.endswith(".md"):
                pages.append(target)
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Let links lead to where the site has what they mean; what it does not have stays, and strict building fails."""
    here = in_repository(page.file.src_uri, Path(config["config_file_path"]).parent)

    def link(found: re.Match[str]) -> str:
        target = target_of(here, found[1]).removeprefix(DOCS)
        if files.get_file_from_path(target) is None:
            return found[1]
        return posixpath.relpath(target, posixpath.dirname(page.file.src_uri) or ".")

    return LINK.sub(link, markdown)


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Refuse a page that would load anything from another host."""
    if found := FOREIGN.search(output):
        raise PluginError(f"{page.file.src_uri} loads from another host: {found[0]}")
    return output
