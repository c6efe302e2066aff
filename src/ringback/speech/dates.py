"""`<say-as interpret-as="date">` and "time" in English words; elsewhere the engine reads what is written."""

import re

_MONTHS = (
    "January February March April May June July August September October November December"
).split()  # fmt: skip
_PARTS = re.compile(r"\d+|[A-Za-z]+")
_DURATION = re.compile(r"^(?:(\d{1,3})')?\s*(?:(\d{1,3})(?:\"|''))?$")

FORMATS = ("mdy", "dmy", "ymd", "md", "dm", "ym", "my", "d", "m", "y", "yyyymmdd")
"""Values of `format`, in Twilio's reference for `<say-as>`."""


def date(text: str, format_: str) -> str:
    """A date in English: "2/3/2024" as mdy is "February 3, 2024". What does not fit its format is unchanged."""
    compact = re.fullmatch(r"\s*(\d{4}|\?{4})(\d{2}|\?\?)(\d{2}|\?\?)\s*", text)
    if format_ == "yyyymmdd" or (compact and not format_):
        if compact is None:
            return text
        known = {
            letter: value for letter, value in zip("ymd", compact.groups(), strict=True) if "?" not in value
        }
        return _words(known) or text
    parts = _PARTS.findall(text)
    order = format_ or ("ymd" if parts and len(parts[0]) == 4 else "mdy")[: len(parts) or 1]
    if order not in FORMATS or len(parts) != len(order):
        return text
    return _words(dict(zip(order, parts, strict=True))) or text


def time(text: str) -> str:
    """`1'21"` is a duration, "1 minute and 21 seconds"; clock times are unchanged, engines read them."""
    match = _DURATION.match(text.strip().replace("’", "'").replace("”", '"'))
    if match is None or not any(match.groups()):
        return text
    amounts = [
        f"{int(value)} {unit}{'' if int(value) == 1 else 's'}"
        for value, unit in zip(match.groups(), ("minute", "second"), strict=True)
        if value is not None
    ]
    return " and ".join(amounts)


def _words(known: dict[str, str]) -> str | None:
    month, day, year = _month(known.get("m")), known.get("d"), known.get("y")
    if ("m" in known and month is None) or (day is not None and not (day.isdigit() and 1 <= int(day) <= 31)):
        return None
    if year is not None and not (year.isdigit() and len(year) in (2, 4)):
        return None
    if year is not None and len(year) == 2:
        year = ("19" if int(year) > 50 else "20") + year
    head = " ".join(part for part in (month, _day(day, month)) if part)
    return ", ".join(part for part in (head, year) if part)


def _month(value: str | None) -> str | None:
    if value is None:
        return None
    if value.isdigit():
        return _MONTHS[int(value) - 1] if 1 <= int(value) <= 12 else None
    return next((name for name in _MONTHS if name.lower().startswith(value.lower()[:3])), None)


def _day(value: str | None, month: str | None) -> str | None:
    if value is None:
        return None
    number = str(int(value))
    if month is not None:
        return number
    teen = 11 <= int(number) % 100 <= 13
    return number + ("th" if teen else {"1": "st", "2": "nd", "3": "rd"}.get(number[-1], "th"))
