"""Bounds on what a Function, a bin or a project directory may take, each with its reason."""

from typing import Final

EXECUTION_LIMIT: Final = 10.0
"""Seconds a Function may run before it is ended; Twilio's own limit."""

MEMORY_LIMIT: Final = 256 * 1024 * 1024
"""Bytes of resident memory a worker may reach; Twilio gives a Function 256 MB."""

MEMORY_CHECK_EVERY: Final = 0.25
"""Seconds between looks at the workers' memory: one small read of /proc a worker."""

MEMORY_CHECK_RESTING: Final = 2.0
"""The same while no Function runs and the memory of none changes, so that an idle server is not woken for it."""

WORKERS: Final = 2
"""Workers at least, so that a Function that blocks its worker does not stop all others."""

IN_FLIGHT_PER_WORKER: Final = 32
"""Calls that may wait for their own I/O in one worker at the same time."""

WAITING: Final = 1_000
"""Calls that may wait for a worker; more are refused (503), since their callers would have hung up."""

FRAME: Final = 8 * 1024 * 1024
"""Bytes in one message between server and worker; above the 6 MB that a Function may answer at Twilio."""

LOG_LINES: Final = 100
"""Lines of console output kept for the timeline of one call; the worker counts the rest."""

LOG_LINE_LENGTH: Final = 1_000
"""Characters kept of one line of console output."""

STDERR_TAIL: Final = 4_096
"""Bytes kept of what Node itself printed, to say why a worker died."""

ABANDON_GRACE: Final = 1.0
"""Seconds in which a worker must admit that it gave a call up; a worker that cannot is blocked and is killed."""

LAST_WORDS: Final = 0.1
"""Seconds after the limit in which a worker may say what an ended Function printed; then it is answered without."""

START_LIMIT: Final = 20.0
"""Seconds a worker may take to start; a loaded machine needs about one."""

RESTART_AFTER: Final = 0.1
RESTART_AFTER_AT_MOST: Final = 5.0
"""Seconds before a dead worker is replaced, doubling while workers die before they were ready."""

REQUEST_BODY: Final = 1024 * 1024
"""Bytes of a request's body that a Function or a bin reads; Twilio's webhooks are a few kilobytes."""

LARGE: Final = 16 * 1024
"""Bytes of a body that is read beside the event loop: a megabyte of escapes takes a tenth of a second."""

JSON_VALUES: Final = 50_000
"""Commas and brackets in a body in JSON: no thread helps where one call into C reads half a million of them."""

PARAMETERS: Final = 1_000
"""Parameters in one request; Twilio sends at most a few dozen."""

PROJECT_FILES: Final = 5_000
"""Files read from one folder of the project; more is a folder that was meant for something else."""

PROJECT_DEPTH: Final = 8
"""Folders below functions/ and assets/."""

BIN_SIZE: Final = 64 * 1024
"""Bytes of a bin and of what it renders; Twilio's limit on a TwiML document (error 11750)."""

TEMPLATE_TAGS: Final = 2_000
"""Tags in a bin: each costs 3 us before the first caller is served, and a page of real TwiML has a dozen."""

TEMPLATE_STEPS: Final = 10_000
"""Parts written for one request: lists within lists would multiply what a caller sends, without an end."""

TEMPLATE_DEPTH: Final = 16
"""Sections within sections in a bin."""

ASSET_SIZE: Final = 25 * 1024 * 1024
"""Bytes of an asset handed over in process; Twilio's limit on an asset."""

POLL_WATCHED: Final = 1.0
POLL_UNWATCHED: Final = 0.25
"""Seconds between looks at the modification times, with and without the system's file notices."""

ADDRESS: Final = 1_024
"""Characters of an address whose user is read as a number; Twilio's URIs have 255, and longer ones cost milliseconds."""
