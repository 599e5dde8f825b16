"""JSON as it comes in and errors as they go out, the same for every transport."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from dataselect_env.errors import EnvError, InternalError, InvalidJSON


def parse_json(text: str | bytes) -> Any:
    """Return the value of a JSON text; an empty one counts as null.

    Raises:
        InvalidJSON: It is not JSON (NaN and Infinity are not), not UTF-8, nested too deeply or has a number too long
            to read.
    """
    if not text.strip():
        return None
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise InvalidJSON("The JSON is nested too deeply.") from None
    except json.JSONDecodeError as error:
        raise InvalidJSON(
            f"This is not JSON: {error.msg.lower()}, at line {error.lineno} column {error.colno}."
        ) from None
    except UnicodeDecodeError:
        raise InvalidJSON("This is not JSON: the text is not UTF-8.") from None
    except ValueError as error:
        reason = str(error) if error.args and str(error).startswith("JSON has no") else "it has too long a number"
        raise InvalidJSON(f"This is not JSON: {reason}.") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"JSON has no {name}")


def as_client_error(error: Exception) -> EnvError:
    """Return what a client may see of ``error``: itself if it is one of ours, nothing of it if it is a defect."""
    if isinstance(error, EnvError):
        return error
    return InternalError("The server failed at this request; nothing has changed. The operator finds why in the log.")
