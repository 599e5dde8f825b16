"""Turns what libraries raise for a file into a sentence that says what to change."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dataselect_env.custom.errors import TableError

LONGEST_REASON = 160
"""Characters of an exception's text that a message repeats."""
MISTAKES = (TypeError, AttributeError, NameError, AssertionError, LookupError, ArithmeticError)
"""Exceptions that are mistakes of this package where its own code raises them, and damage where a library does."""

_PACKAGE = str(Path(__file__).parents[2])
_OLD_OFFICE = bytes.fromhex("d0cf11e0a1b11ae1")
_ENCRYPTED_OFFICE = "EncryptedPackage".encode("utf-16-le")


@contextmanager
def file_errors(title: str, path: Path, extra: str) -> Iterator[None]:
    """Turn exceptions of the block into a sentence, unless they are mistakes of this package.

    Args:
        title: Name of the file in messages.
        path: The file.
        extra: Which library is needed, and how to install it.

    Raises:
        TableError: The file cannot be read.
    """
    try:
        yield
    except TableError:
        raise
    except BaseException as error:
        message = _message(title, path, extra, error)
        if message is None:
            raise
        raise TableError(message, "file") from error


def _message(title: str, path: Path, extra: str, error: BaseException) -> str | None:
    """Return the sentence; None for an exception that the file did not cause."""
    panicked = type(error).__module__ == "pyo3_runtime"  # a library written in Rust; not an Exception
    if not (panicked or isinstance(error, Exception)) or _is_ours(error):
        return None
    reason = textwrap.shorten(str(error).replace(str(path), title), LONGEST_REASON)
    match error:
        case ModuleNotFoundError():
            text = extra
        case ImportError():
            text = f"{title} needs a library that is installed but cannot be imported: {reason}. {extra}"
        case MemoryError():
            text = f"{title} does not fit into memory. Save fewer columns or rows as another file."
        case PermissionError():
            text = f"{title} cannot be opened: permission denied."
        case OSError(errno=int(), strerror=str()):  # libraries raise others for damage
            text = f"{title} cannot be read: {error.strerror}. Save it in another place, and try again."
        case _ if _is_encrypted(path, error):
            text = f"{title} is encrypted. Save it without a password."
        case NotImplementedError():  # how libraries report a feature of the format that they do not read
            text = f"{title} cannot be read: {reason}. Save it with the default settings of its format, or as .csv."
        case _:
            text = f"{title} cannot be read: it is damaged, or its suffix is wrong. Save it again, under the right one."
    return text


def _is_ours(error: BaseException) -> bool:
    """Return whether an exception is a mistake of this package: raised by its code, or by what its code imports."""
    if isinstance(error, ImportError):
        return (error.name or "").startswith("dataselect_env")
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    raised_here = trace is not None and trace.tb_frame.f_code.co_filename.startswith(_PACKAGE)
    return isinstance(error, MISTAKES) and raised_here


def _is_encrypted(path: Path, error: BaseException) -> bool:
    """Return whether a file has a password: an error says so, or it is what Office makes of an encrypted .xlsx."""
    if any(word in str(error).lower() for word in ("password", "encrypted", "decrypt")):
        return True
    with path.open("rb") as file:
        return file.read(len(_OLD_OFFICE)) == _OLD_OFFICE and _ENCRYPTED_OFFICE in file.read()
