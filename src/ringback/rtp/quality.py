"""How good a G.711 call sounds: the E-model of ITU-T G.107 with everything but delay and loss at its default."""

from __future__ import annotations

from typing import Final

_R_DEFAULT: Final = 93.2  # G.107 section 7.7: R with all parameters at their default values
_DELAY_SLOPE: Final = (
    0.024  # Cole and Rosenbluth, "Voice over IP performance monitoring" (2001), fit to Id of G.107
)
_LATE_SLOPE: Final = 0.11  # the same, above the knee
_LATE_AFTER: Final = 177.3  # milliseconds, the same
_IE_G711: Final = 0.0  # G.113 table I.1: G.711 is without an equipment impairment
_BPL_G711: Final = 25.1  # G.113 table I.3: robustness of G.711 with concealment by its appendix I
_BPL_G711_BARE: Final = 4.3  # the same, without concealment
_PACKETIZATION: Final = 0.020  # seconds that the sender waits to fill a packet


def rating(delay: float, loss: float, *, concealed: bool = True) -> float:
    """The transmission rating R, 0 to 100: one-way `delay` in seconds, `loss` as a fraction 0 to 1.

    `concealed`: the listener's phone fills gaps in (G.711 appendix I), as phones do.
    """
    milliseconds = 1000.0 * delay
    delay_impairment = _DELAY_SLOPE * milliseconds
    if milliseconds > _LATE_AFTER:
        delay_impairment += _LATE_SLOPE * (milliseconds - _LATE_AFTER)
    percent = 100.0 * min(max(loss, 0.0), 1.0)
    # G.107 equation 7-29 with BurstR = 1 (random loss)
    robustness = _BPL_G711 if concealed else _BPL_G711_BARE
    loss_impairment = _IE_G711 + (95.0 - _IE_G711) * percent / (percent + robustness)
    return min(100.0, max(0.0, _R_DEFAULT - delay_impairment - loss_impairment))


def mos(r: float) -> float:
    """Mean opinion score 1 to 4.5 of a rating R, G.107 annex B."""
    if r <= 0.0:
        return 1.0
    if r >= 100.0:
        return 4.5
    return max(1.0, 1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6)


def mos_of(*, loss: float, jitter: float, round_trip: float | None, concealed: bool = True) -> float:
    """The score of a received stream: a playout buffer of twice the jitter (seconds) is assumed."""
    one_way = (round_trip or 0.0) / 2.0 + 2.0 * jitter + _PACKETIZATION
    return mos(rating(one_way, loss, concealed=concealed))
