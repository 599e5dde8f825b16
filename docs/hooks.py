"""MkDocs hooks: add what pages link to outside docs/ to the site, so that the same links work there.

A page in docs/ links to ``../bench/validity/README.md``, which is right in the repository. In the site, the folders
beside docs/ are beside its pages: Markdown becomes a page, and every other file is copied.
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
    """Return the path in the repository of the file at ``src_uri`` in the site."""
    return DOCS + src_uri if (root / DOCS / src_uri).exists() else src_uri


def target_of(page: str, link: str) -> str:
    """Return the path in the repository that ``link`` on the page at the path ``page`` points to."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), link))


def on_files(files: Any, config: Any) -> Any:
    """Add every file outside docs/ that a page links to, and in turn those that added pages link to."""
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
    """Rewrite links to where the site has their targets; a link to anything else stays, and the strict build fails."""
    here = in_repository(page.file.src_uri, Path(config["config_file_path"]).parent)

    def link(found: re.Match[str]) -> str:
        target = target_of(here, found[1]).removeprefix(DOCS)
        if files.get_file_from_path(target) is None:
            return found[1]
        return posixpath.relpath(target, posixpath.dirname(page.file.src_uri) or ".")

    return LINK.sub(link, markdown)


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Fail for a page that loads anything from another host."""
    if found := FOREIGN.search(output):
        raise PluginError(f"{page.file.src_uri} loads from another host: {found[0]}")
    return output
