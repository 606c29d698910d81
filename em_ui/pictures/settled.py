"""A chart's template is searched for Altair's counted names once, and not in each rerun.

Streamlit 1.67 reads the JSON of every chart and gives names that Altair has counted, such as
``param_12``, the numbers that they would have in a new process. What comes of a text depends on
nothing else, and our templates are the same in each rerun. If another version does it in another
way, nothing is changed.
"""

from functools import lru_cache

from streamlit.elements import vega_charts

_DOES = "_stabilize_vega_json_spec"
_KEPT = 256  # texts of some 5 kB; all pages have some fifty charts


def keep_names() -> None:
    """Let Streamlit keep what it makes of a chart's JSON, where it does so as version 1.67."""
    known = getattr(vega_charts, _DOES, None)
    if known is not None and not hasattr(known, "cache_info"):
        setattr(vega_charts, _DOES, lru_cache(_KEPT)(known))
