"""Bounds of the call layer, each with its reason."""

from __future__ import annotations

MAX_EFFECTS_A_STEP = 1000
"""Effects between two events. A Dial of ten nouns gives about fifty; more is a script that never waits."""

MAX_JOURNAL_ENTRIES = 20_000
"""Events and notes that a call keeps. Four hours of a key each second are 14,400; about 4 MB."""

MAX_NOTE_LENGTH = 2_000
"""Characters of one line of the timeline: a webhook's error text must not fill the memory."""

MAX_DOCUMENTS = 1_000
"""Documents that one call may run: a Redirect loop ends here, as a real one does by its bill."""

MAX_TRANSFER_TARGET = 256
"""Characters of a Refer-To that a program is asked about (Twilio: Inbound SIP REFER)."""

MAX_REFERRED_BY = 512
"""Characters of a Referred-By that goes on to who is called next; a longer one stays here."""

MAX_TRANSFERS = 20
"""Transfers of one call: each that waits for its target runs inside the one before."""

MAX_PARALLEL_NOUNS = 10
"""Nouns of one Dial that ring at once (Twilio: Dial, "simultaneous dialing")."""

MAX_ANNOUNCEMENTS = 250
"""Announcements of one conference that somebody still hears: one for each participant of the largest. A new one takes the place
of the one before at each member."""
