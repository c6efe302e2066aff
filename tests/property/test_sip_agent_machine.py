"""Well-formed messages in any order, and any commands: what no fuzzer of bytes reaches, since all the numbers fit.

What must hold is in ``World``: every session ends once and is silent afterwards, whoever waits has a timer, nothing
is left.
"""

from __future__ import annotations

import contextlib

from fuzz import seeds
from fuzz.agent_target import SESSION, WORLD
from fuzz.stories import CHALLENGE, Story, invite
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from ringback.sip.message import Header, Response

BODIES = st.sampled_from([b"", seeds.OFFER])
COMMANDS = st.text(st.sampled_from([*SESSION, *WORLD, *"nNyY0123"]), min_size=1, max_size=4)
METHODS = ("INVITE", "BYE", "INFO", "UPDATE", "PRACK", "REFER", "NOTIFY", "SUBSCRIBE", "REGISTER", "CANCEL")
EXTRA: dict[str, list[Header]] = {
    "timer": [("Session-Expires", "90;refresher=uac"), ("Supported", "timer"), ("Allow", "UPDATE")],
    "theirs": [("Session-Expires", "120;refresher=uas"), ("Supported", "timer")],
    "longer": [("Min-SE", "200")],
    "challenge": [CHALLENGE],
    "refer": [("Refer-To", "<sip:dave@192.0.2.7>"), ("Event", "refer"), ("Expires", "60")],
    "over": [("Event", "refer"), ("Subscription-State", "terminated"), ("Content-Type", "message/sipfrag")],
    "routes": [("Record-Route", "<sip:192.0.2.9;lr>")],
    "names": [("Record-Route", "<sip:nowhere.example.com;lr>")],
    "none": [],
}
EXTRAS = st.sampled_from(list(EXTRA))


class Conversation(RuleBasedStateMachine):
    """The agent of the fuzzers' world, and a far end that knows what was sent."""

    @initialize(policy=st.sampled_from(["a", "r", "-"]), required=st.booleans(), extra=EXTRAS)
    def a_call_comes_and_one_goes(self, policy: str, required: bool, extra: str) -> None:
        self.story = Story(policy)
        self.cseq = 314159
        self.story.hear(invite(("Require" if required else "Supported", "100rel, timer"), *EXTRA[extra]))
        self.story.hear(b"!c")

    @rule(text=COMMANDS)
    def command(self, text: str) -> None:
        self.story.hear(f"!{text}".encode())

    @rule(
        method=st.sampled_from(METHODS),
        status=st.sampled_from([100, 180, 183, 200, 202, 302, 401, 408, 422, 481, 486, 491, 503]),
        extra=EXTRAS,
        body=BODIES,
        tag=st.sampled_from(["far2", "far2", "far2", "far3"]),
        seq=st.sampled_from([0, 0, 1, 2, 3]),
    )
    def reply(self, method: str, status: int, extra: str, body: bytes, tag: str, seq: int) -> None:
        with contextlib.suppress(LookupError):  # nothing of that method was sent
            number = seq if 100 < status < 200 else 0
            self.story.reply(method, status, *EXTRA[extra], body=body, tag=tag, seq=number)

    @rule(
        method=st.sampled_from([*METHODS, "ACK", "OPTIONS", "MESSAGE"]),
        step=st.sampled_from([1, 1, 1, 0, -1, 5]),
        extra=EXTRAS,
        body=BODIES,
        session=st.integers(0, 3),
    )
    def ask(self, method: str, step: int, extra: str, body: bytes, session: int) -> None:
        if method == "ACK":
            step = 0
        self.cseq += max(step, 0)
        sessions = self.story.world.sessions
        more = [*EXTRA[extra]]
        if method == "PRACK":
            with contextlib.suppress(LookupError):
                ringing = self.story.sent("183")
                assert isinstance(ringing, Response)
                more.append(("RAck", f"{ringing.get('RSeq')} {ringing.cseq.number} INVITE"))
        number = self.cseq + min(step, 0)
        if sessions:
            self.story.ask(method, number, *more, body=body, session=session % len(sessions))

    @rule()
    def cancel(self) -> None:
        """Of their last INVITE, with its branch."""
        for piece in reversed(self.story.pieces):
            if piece.startswith(b"INVITE "):
                self.story.hear(
                    piece.replace(b"INVITE ", b"CANCEL ", 1).replace(b" INVITE\r\n", b" CANCEL\r\n")
                )
                return

    @rule(back=st.integers(1, 6))
    def comes_again(self, back: int) -> None:
        """A copy of something that was heard before."""
        pieces = [piece for piece in self.story.pieces if not piece.startswith(b"!")]
        self.story.hear(pieces[-min(back, len(pieces))])

    def teardown(self) -> None:
        if hasattr(self, "story"):
            self.story.told()


TestConversation = Conversation.TestCase
TestConversation.settings = settings(max_examples=60, stateful_step_count=25)
