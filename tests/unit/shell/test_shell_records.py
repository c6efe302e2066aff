"""What the call layer hands to the store, and what comes of it when the queue is full for a while."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from ringback.call.setup import CallSetup
from ringback.shell.records import Records

SID = "CA" + "1" * 32
SETUP = CallSetup("inbound", SID, "AC" + "0" * 32, "00", 1_000.25, "inbound", "+15005550006", "sip:b@x.test")


class Queue:
    """Takes rows while there is room."""

    def __init__(self) -> None:
        self.room = True
        self.rows: list[dict[str, Any]] = []

    def put(self, table: str, row: dict[str, Any]) -> bool:
        if self.room:
            self.rows.append(dict(row))
        return self.room

    def change(self, table: str, key: str, row: dict[str, Any]) -> bool:
        assert (table, key) == ("calls", SID)
        return self.put(table, row)


def opened() -> tuple[Records, Any, Queue]:
    queue = Queue()
    store: Any = SimpleNamespace(facts=queue, node="n1")
    records = Records(store)
    return records, SimpleNamespace(sid=SID, setup=SETUP, row=records.new_row(SETUP), recorded=False), queue


def test_changes_of_a_call_are_put_alone_with_times_to_the_second() -> None:
    records, call, queue = opened()
    records.opened(call)
    records.changed(call, {"status": "in-progress", "start_time": 1_007.9}, 1_008.2)
    seventh, eighth = (datetime.fromtimestamp(second, UTC) for second in (1_007, 1_008))
    change = {"sid": SID, "status": "in-progress", "start_time": seventh, "date_updated": eighth}
    assert queue.rows[1] == change
    assert call.row == {**queue.rows[0], **change}


def test_a_record_that_is_closed_has_no_dialog_to_hang_up_in() -> None:
    records, call, queue = opened()
    records.opened(call)
    call.leg = SimpleNamespace(session=SimpleNamespace(record=lambda: {"call_id": "1"}))
    records.talking(call)
    records.changed(call, {"status": "in-progress", "start_time": 1_001.0}, 1_001.0)
    records.changed(call, {"status": "completed", "end_time": 1_002.0}, 1_002.0)
    assert [row.get("dialogs", "as before") for row in queue.rows[1:]] == [
        b'[{"call_id":"1"}]',
        "as before",
        None,
    ]
    assert "dialogs" not in call.row


def test_a_record_that_was_refused_is_put_whole_when_there_is_room_again() -> None:
    records, call, queue = opened()
    queue.room = False
    records.opened(call)
    records.changed(call, {"status": "in-progress", "start_time": 1_001.0}, 1_001.0)
    queue.room = True
    records.changed(call, {"status": "completed", "end_time": 1_002.0}, 1_002.0)
    records.changed(call, {"duration": "1"}, 1_002.0)
    whole, change = queue.rows
    assert (whole["account_sid"], whole["status"], whole["start_time"].second) == (
        SETUP.account_sid,
        "completed",
        41,
    )
    assert change == {"sid": SID, "duration": "1", "date_updated": datetime.fromtimestamp(1_002, UTC)}
