"""Bounds of the store, each with its reason."""

GATHER_FOR = 0.05
"""Seconds that the facts writer waits for company before it commits: half of the promised 100 ms, the
other half is left to the commit itself."""

COMMITS_APART = 0.04
"""Seconds from one commit's begin to the next where many wait for the disk: an answer may wait so long for its call's dialog to
be written, which nobody hears; with 60 calls a second each commit serves two or three of them, with 20 ms hardly more than one."""

SPREAD_FROM = 25.0
"""Who wait for the disk, a second, up to which each may have a commit of its own: as many as there are commits 40 ms apart."""

SPREAD_WHOLLY = 50.0
"""Who wait for the disk, a second, from which on commits begin 40 ms apart."""

PENDING_ROWS = 100_000
"""Distinct rows waiting for the disk: about 100 s of 1,000 calls a second, 150 MB of Python objects."""

PENDING_BYTES = 64 * 1024 * 1024
"""Bytes of binary values (journals) waiting for the disk: they are the only large values."""

ADOPTED_AT_ONCE = 10_000
"""Registrations that a start makes its own before it waits for the disk: each is two of the rows that wait."""

BATCH_ROWS = 2_000
"""Rows in one transaction: about 20 ms of the writer's thread, so that REST writes get their turn."""

RETRY_FIRST = 0.1
"""Seconds until the first retry of a refused commit."""

RETRY_MOST = 5.0
"""Seconds between later retries: a disk that was emptied is noticed at once by people's measure."""

FLUSH_WITHIN = 5.0
"""Seconds that flush() waits at most: RFC 3261 section 17.1.1.2 gives up an INVITE after 32 s, and no
caller should hear silence for longer because of a disk."""

CLOSE_WITHIN = 5.0
"""Seconds that Store.close() tries to save what is pending before it gives up and says so."""

SQLITE_BUSY = 5.0
"""Seconds that SQLite waits in its own thread for another process's lock."""

READERS = 4
"""Connections in SQLite's pool (each is a thread), beside the overflow of as many."""

PAGE_ROWS = 1_000
"""Rows of a page at most: Twilio's largest PageSize."""

LOG_WAITING = 32 * 1024 * 1024
"""Bytes of running journals that wait for the disk: 20 s of 200 calls a second; what comes then is written later, anew."""

JOURNAL_BYTES = 4 * 1024 * 1024
"""Bytes of one call's journal body: the call's own bound on its journal lies far below."""

CALLBACKS = 256
"""Subscribers of changes: one for each part of the server, not one for each request."""

NOTICE_KEYS = 100
"""Changed rows named in one notice: PostgreSQL takes 8,000 bytes, a table and a SID are 70 at most."""

NOTICES = 1_000
"""Notices of other nodes that wait; when more come, the whole configuration is read again instead."""

LISTENER_PROBE = 30.0
"""Seconds of silence after which the listener sees whether the server is still there, and waits for its answer."""

ALONE_WITHIN = 5.0
"""Seconds that a start waits to learn whether other servers use its database."""

BACK_WITHIN = 30.0
"""Seconds after PostgreSQL's own start in which its servers come back; who is there first does not know that it is alone."""
