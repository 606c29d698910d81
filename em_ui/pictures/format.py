"""What Python and the browser agree on: packed columns, and the inputs that drive a chart.

What changes from iteration to iteration is sent once, packed in a string a row, and a chart takes
out the part of the iteration that is shown. :mod:`.frames` packs, :mod:`.charts` unpacks,
:mod:`.player` finds the inputs: nobody else knows how.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MAX_ITERATIONS = 500  # as far as an input reaches, whatever the run: a template is constant

# What charts draw by: the iteration whose parameters are drawn, and that whose responsibilities.
# With half-steps they differ by one. Between two iterations the first is a fraction, while the
# player slides; the second is BEFORE as long as there was no E-step.
ITERATION, ASSIGNMENT = "iter", "assign"
BEFORE = -1
# The Vega parameter that the player drives. It holds both, since Vega draws a chart anew for each
# input that changes: PLACES * (the assignment - BEFORE) + the iteration.
PLACE, PLACES = "place", 1000
SLIDE = 0.01  # the shortest way that the player slides
# Vega gives its inputs this class; a browser test watches that it does.
BINDINGS = "vega-bindings"

SHARE_DIGITS = 5  # a share is drawn to 1/99999
SHOWN_DIGITS = 3  # and told to so many decimals


def pack(shares: np.ndarray) -> list[str]:
    """Return numbers from 0 to 1 as strings of digits, one string a column.

    Rounded to :data:`SHOWN_DIGITS` decimals, what is packed is what was given.

    Parameters
    ----------
    shares : ndarray, shape (iterations, columns)
        For example the responsibility of one component for each bar, at each iteration.
    """
    scale = 10**SHARE_DIGITS - 1
    given = np.nan_to_num(shares)
    whole = np.rint(given * scale)
    # Rounding twice may lead to the wrong side of a half; the next number is on the right one.
    told, wanted = (np.rint(x * 10**SHOWN_DIGITS) for x in (whole / scale, given))
    whole = (whole + np.sign(wanted - told)).astype(int)
    digits = whole.T[:, :, None] // 10 ** np.arange(SHARE_DIGITS)[::-1] % 10
    return [column.tobytes().decode() for column in (digits + ord("0")).astype(np.uint8)]


def packed_at(packed: pa.ChunkedArray, iteration: int) -> pa.ChunkedArray:
    """Return packed shares of one iteration alone."""
    start = SHARE_DIGITS * iteration
    return pc.utf8_slice_codeunits(packed, start, start + SHARE_DIGITS)


def share_shown(column: str) -> str:
    """Return the Vega expression for the share that is shown, of those in ``column``.

    Before the first E-step it means nothing.
    """
    start = f"{SHARE_DIGITS} * {ASSIGNMENT}"
    digits = f"substring(datum.{column}, {start}, {start} + {SHARE_DIGITS})"
    return f"toNumber({digits}) / {10**SHARE_DIGITS - 1}"
