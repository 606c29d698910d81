"""A student without a browser: one session that speaks Streamlit's websocket protocol.

It does what Streamlit's page does when a visitor opens it or moves a control: it sends the values
of all widgets and the address, takes in what the script draws, keeps large messages so that the
server may refer to them, and waits until the script has finished. Nothing is drawn, so the time it
reports is the server's and the network's alone.

Used by :mod:`benchmarks.reruns` and :mod:`benchmarks.load`::

    async with Session("127.0.0.1:8501") as student:
        await student.open("the-path-of-a-page")
        seed = student.widget("Data seed")
        rerun = await student.move(seed, 7)
        print(rerun.seconds, rerun.n_bytes, rerun.errors)
"""

import asyncio
import json
import time
from dataclasses import dataclass, field, replace
from typing import Self
from urllib.parse import parse_qsl, urlencode

from streamlit.components.v2.bidi_component.main import _make_trigger_id
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.BidiComponent_pb2 import BidiComponent
from streamlit.proto.Delta_pb2 import Delta
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import ClientConnection, connect

TIMEOUT = 60.0  # seconds for one rerun
TABLE, COPY_LINK = "table_of_numbers", "copy_link"  # components
CACHED_RUNS = 2  # runs after which a kept message that was not used is dropped, as in the browser

Value = float | int | str | bool


@dataclass(frozen=True)
class Widget:
    """A control as the server described it.

    Attributes
    ----------
    id, label : str
        Its identity in the protocol, and its name on the page.
    kind : str
        "slider", "number_input", "selectbox", "checkbox", "text_area", "expandable" (a section that
        opens) or "cell" (a number in a table, whose id is that of the table and its name there).
    value : float, int, str or bool
        What it shows.
    default : float, int, str or bool
        What it shows at first; a value equal to this stays out of the address.
    low, high, step : float
        Bounds of a number; zeros otherwise.
    whole : bool
        Whether the number is a whole one.
    options : tuple of str
        Choices of a selectbox.
    parameter : str
        Its query parameter; empty if it is not bound to the address.
    given : bool
        Whether the script set the value itself, whatever the visitor had set.
    """

    id: str
    kind: str
    label: str
    value: Value
    default: Value
    low: float = 0.0
    high: float = 0.0
    step: float = 0.0
    whole: bool = False
    options: tuple[str, ...] = ()
    parameter: str = ""
    given: bool = False

    def state(self) -> WidgetState:
        """Return the value as the protocol wants it."""
        state = WidgetState(id=self.id)
        if self.kind == "cell":
            table, name = self.id.rsplit(" ", 1)
            # Each change is awaited, so numbers of changes need not differ.
            change = {"event": "changes", "value": {"n": 1, "values": {name: self.text()}}}
            state.id = _make_trigger_id(table, "events")
            state.json_trigger_value = json.dumps([change])
        elif self.kind == "slider":
            state.double_array_value.data.append(self.value)
        elif self.kind == "number_input" and self.whole:
            state.int_value = self.value
        elif self.kind == "number_input":
            state.double_value = self.value
        elif self.kind in {"selectbox", "text_area"}:
            if self.value:  # a choice may be left open
                state.string_value = self.value
        else:
            state.bool_value = self.value
        return state

    def text(self) -> str:
        """Return the value as it stands in the address."""
        if isinstance(self.value, bool):
            return str(self.value).lower()
        return self.value if isinstance(self.value, str) else f"{self.value:.12g}"


def read_widget(delta: Delta) -> Widget | None:
    """Return the control that was drawn, or None if it is something else."""
    place = delta.add_block if delta.HasField("add_block") else delta.new_element
    kind = place.WhichOneof("type")
    if kind not in {"slider", "number_input", "selectbox", "checkbox", "text_area", "expandable"}:
        return None
    proto = getattr(place, kind)
    if not proto.id:  # a section that opens without the server
        return None
    common = {
        "id": proto.id,
        "kind": kind,
        "label": proto.label,
        "parameter": proto.query_param_key,
        "given": proto.HasField("expanded") if kind == "expandable" else proto.set_value,
    }
    if kind == "expandable":
        value = proto.expanded if proto.HasField("expanded") else proto.default_expanded
        return Widget(**common, value=value, default=proto.default_expanded)
    if kind == "checkbox":
        value = proto.value if proto.set_value else proto.default
        return Widget(**common, value=value, default=proto.default)
    if kind == "selectbox":
        default = proto.options[proto.default] if proto.HasField("default") else ""
        value = proto.raw_value if proto.set_value else default
        return Widget(**common, value=value, default=default, options=tuple(proto.options))
    if kind == "text_area":
        value = proto.value if proto.set_value else proto.default
        return Widget(**common, value=value, default=proto.default)
    if kind == "slider":
        default, given = proto.default[0], next(iter(proto.value), None)
    else:
        default, given = proto.default, proto.value
    value = given if proto.set_value else default
    whole = proto.data_type == type(proto).INT
    if whole:
        value, default = int(value), int(default)
    return Widget(
        **common,
        value=value,
        default=default,
        low=proto.min,
        high=proto.max,
        step=proto.step,
        whole=whole,
    )


def read_cells(component: BidiComponent) -> list[Widget]:
    """Return the controls of a table, each as the text that it shows; of others there are none."""
    if component.component_name != TABLE:
        return []
    return [
        Widget(
            f"{component.id} {column['name']}{row['number']}",
            "cell",
            f"{column['head']} {row['head']}".strip(),
            *[(int if isinstance(column["step"], int) else float)(text)] * 2,
            *(column[part] for part in ("low", "high", "step")),
            whole=isinstance(column["step"], int),
            parameter=f"{column['name']}{row['number']}",
            given=True,
        )
        for table in json.loads(component.json)["tables"]
        for row in table["rows"]
        for column, text in zip(table["columns"], row["texts"], strict=True)
        if text
    ]


def kind_of(message: ForwardMsg) -> str:
    """Return what a message brings, in a few words."""
    kind = message.WhichOneof("type")
    if kind != "delta":
        return str(kind)
    delta = message.delta
    place = delta.add_block if delta.HasField("add_block") else delta.new_element
    found = getattr(place, place.WhichOneof("type"), None)
    text = getattr(found, "label", "") or getattr(found, "body", "")
    return f"{place.WhichOneof('type')} {text.splitlines()[0][:60] if text else ''}".rstrip()


@dataclass
class Rerun:
    """What one rerun took and brought.

    Attributes
    ----------
    seconds : float
        From the request until the script had finished.
    n_bytes, n_messages : int
        What the server sent.
    errors : list of str
        Exceptions on the page, a script that does not compile, a page that is not found.
    charts : int
        Charts on the page.
    messages : list of ForwardMsg
        As they came.
    """

    seconds: float = 0.0
    n_bytes: int = 0
    n_messages: int = 0
    errors: list[str] = field(default_factory=list)
    charts: int = 0
    messages: list[ForwardMsg] = field(default_factory=list)


class Session:
    """One visitor. Use it as an asynchronous context manager."""

    def __init__(
        self, address: str, *, site: str = "", timeout: float = TIMEOUT, cookie: str = ""
    ) -> None:
        self.address = address
        self.site = site or address  # what the student has typed
        self.cookie = cookie
        self.timeout = timeout
        self.widgets: dict[str, Widget] = {}
        self.pages: dict[str, str] = {}  # path in the address -> hash
        self.texts: list[str] = []  # alerts, markdown and what components are given, for checks
        self._page_hash = ""
        self._query: dict[str, str] = {}
        self._kept: dict[str, tuple[ForwardMsg, int]] = {}  # hash -> message, run of last use
        self._run = 0
        self._socket: ClientConnection

    async def __aenter__(self) -> Self:
        """Connect."""
        host, _, port = self.address.partition(":")
        self._socket = await connect(
            f"ws://{self.site}/_stcore/stream",
            host=host,
            port=int(port),
            origin=f"http://{self.site}",
            subprotocols=["streamlit"],
            max_size=None,
            max_queue=None,
            ping_interval=None,
            open_timeout=self.timeout,
            proxy=None,
            additional_headers={"Cookie": self.cookie} if self.cookie else None,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the page."""
        await self._socket.close()

    @property
    def query(self) -> dict[str, str]:
        """What stands in the address behind the question mark."""
        return dict(self._query)

    @property
    def path(self) -> str:
        """The page's path in the address; empty before the first page."""
        return {page: path for path, page in self.pages.items()}.get(self._page_hash, "")

    async def open(self, path: str = "", query: str = "") -> Rerun:
        """Open the address ``/path?query`` and wait for the page."""
        message = BackMsg()
        message.rerun_script.page_name = path
        message.rerun_script.query_string = query
        self._query = dict(parse_qsl(query, keep_blank_values=True))
        return await self._rerun(message)

    async def go(self, path: str) -> Rerun:
        """Go to another page by the navigation; the default page has the empty path."""
        if self.pages[path] != self._page_hash:
            self.widgets, self._query = {}, {}
        self._page_hash = self.pages[path]
        message = BackMsg()
        message.rerun_script.page_script_hash = self._page_hash
        return await self._rerun(message)

    async def rerun(self) -> Rerun:
        """Run the page once more as it is set."""
        message = BackMsg()
        message.rerun_script.query_string = urlencode(self._query)
        message.rerun_script.page_script_hash = self._page_hash
        states = [w.state() for w in self.widgets.values() if w.kind != "cell"]
        message.rerun_script.widget_states.widgets.extend(states)
        return await self._rerun(message)

    def widget(self, label: str) -> Widget:
        """Return the control with this label."""
        return next(widget for widget in self.widgets.values() if widget.label == label)

    async def move(self, widget: Widget, value: Value) -> Rerun:
        """Set a control and wait for the rerun."""
        moved = replace(widget, value=value)
        self.widgets[widget.id] = moved
        if moved.parameter and moved.kind != "cell":  # which is written once it is heard of
            self._query.pop(moved.parameter, None)
            if moved.value != moved.default:
                self._query[moved.parameter] = moved.text()
        message = BackMsg()
        message.rerun_script.query_string = urlencode(self._query)
        message.rerun_script.page_script_hash = self._page_hash
        states = [w.state() for w in self.widgets.values() if w.kind != "cell" or w is moved]
        message.rerun_script.widget_states.widgets.extend(states)
        return await self._rerun(message)

    async def _rerun(self, message: BackMsg) -> Rerun:
        message.rerun_script.cached_message_hashes.extend(self._kept)
        message.rerun_script.context_info.url = f"http://{self.site}/"
        start = time.perf_counter()
        await self._socket.send(message.SerializeToString())
        async with asyncio.timeout(self.timeout):
            rerun = await self._finish()
        rerun.seconds = time.perf_counter() - start
        return rerun

    async def _finish(self) -> Rerun:
        rerun = Rerun()
        drawn: dict[str, Widget] = {}
        async for data in self._socket:
            rerun.n_bytes += len(data)
            rerun.n_messages += 1
            rerun.messages.append(ForwardMsg.FromString(data))
            message = self._resolve(rerun.messages[-1])
            kind = message.WhichOneof("type")
            if kind == "new_session":
                # A script may ask for a rerun of its own; only what the last one draws counts.
                self._page_hash = message.new_session.page_script_hash
                drawn, self.texts, rerun.charts = {}, [], 0
            elif kind == "navigation":
                self._page_hash = message.navigation.page_script_hash
                self.pages = {
                    "" if page.is_default else page.url_pathname: page.page_script_hash
                    for page in message.navigation.app_pages
                }
            elif kind == "page_info_changed":
                query = message.page_info_changed.query_string
                self._query = dict(parse_qsl(query, keep_blank_values=True))
            elif kind == "page_not_found":
                rerun.errors.append(f"page not found: {message.page_not_found.page_name}")
            elif kind == "delta":
                self._draw(message.delta, drawn, rerun)
            elif kind == "script_finished":
                if message.script_finished == ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                    continue
                if message.script_finished == ForwardMsg.FINISHED_WITH_COMPILE_ERROR:
                    rerun.errors.append("the script does not compile")
                self.widgets = drawn
                self._end_run()
                return rerun
        raise ConnectionError("the server closed the connection")

    def _draw(self, delta: Delta, drawn: dict[str, Widget], rerun: Rerun) -> None:
        element, kind = delta.new_element, delta.new_element.WhichOneof("type")
        if kind == "exception":
            rerun.errors.append(f"{element.exception.type}: {element.exception.message}")
        elif kind == "vega_lite_chart":
            rerun.charts += 1
        elif kind in {"markdown", "alert"}:
            self.texts.append(getattr(element, kind).body)
        elif kind == "bidi_component":
            self.texts.append(element.bidi_component.json)
            drawn.update((cell.id, cell) for cell in read_cells(element.bidi_component))
            self._write(element.bidi_component)
        elif widget := read_widget(delta):
            known = self.widgets.get(widget.id)
            if known and not widget.given:
                widget = replace(widget, value=known.value)
            drawn[widget.id] = widget

    def _write(self, component: BidiComponent) -> None:
        """Write the numbers of tables to the address, as the button that copies a link does."""
        data = json.loads(component.json) if component.component_name == COPY_LINK else {}
        for key, text in (data.get("address") or {}).get("numbers", {}).items():
            self._query.pop(key, None)
            if text is not None:
                self._query[key] = text

    def _resolve(self, message: ForwardMsg) -> ForwardMsg:
        if message.WhichOneof("type") == "ref_hash":
            kept, _ = self._kept[message.ref_hash]
            self._kept[message.ref_hash] = kept, self._run
            return kept
        if message.metadata.cacheable:
            self._kept[message.hash] = message, self._run
        return message

    def _end_run(self) -> None:
        self._run += 1
        self._kept = {
            key: (message, run)
            for key, (message, run) in self._kept.items()
            if self._run - run <= CACHED_RUNS
        }
