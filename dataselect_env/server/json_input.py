"""Strict JSON parsing, the same for every transport."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from dataselect_env.core.errors import InvalidJSON


def parse_json(text: str | bytes) -> Any:
    """Return the value of a JSON text; an empty text counts as null.

    Raises:
        InvalidJSON: The text is not JSON (NaN and Infinity are not), not UTF-8 or nested too deeply, or a number in it
            is too long or too large.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode()
        if not text.strip():
            return None
        value = _DECODER.decode(text)
        if "\\u" in text:  # an escape may be half of a surrogate pair
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except RecursionError:
        raise InvalidJSON("The JSON is nested too deeply.") from None
    except json.JSONDecodeError as error:
        raise InvalidJSON(
            f"This is not JSON: {error.msg.lower()}, at line {error.lineno} column {error.colno}."
        ) from None
    except UnicodeDecodeError:
        raise InvalidJSON("This is not JSON: the text is not UTF-8.") from None
    except UnicodeEncodeError:
        raise InvalidJSON("A string has half of a surrogate pair, which is not a character.") from None
    except _NotJSON as error:
        raise InvalidJSON(str(error)) from None
    except ValueError:
        raise InvalidJSON("A number has too many digits.") from None


class _NotJSON(ValueError):
    """Raised by the hooks below; the message is for the client."""


def _refuse_constant(name: str) -> NoReturn:
    raise _NotJSON(f"This is not JSON: JSON has no {name}.")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise _NotJSON("A number is too large.")
    return number


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)  # json.loads makes one at each call
