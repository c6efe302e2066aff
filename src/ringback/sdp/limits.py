"""What a peer may make us parse in one session description.

A browser's offer with every codec and two dozen ICE candidates has about 200 lines and 8 kB;
a desk phone's has 20 lines and 600 bytes. The limits leave those far behind and still bound the work.
"""

MAX_BODY = 65_536  # bytes; the same bound as a SIP body has on a stream
MAX_LINES = 1_000  # ICE candidates and rtcp-fb lines of several media
MAX_LINE = 4_096  # characters; fingerprints and crypto lines stay below 300
MAX_MEDIA = 16  # m= lines; we answer each of them, so this bounds our answer too
MAX_FORMATS = 64  # formats in one m= line; there are only 128 payload types
MIN_PTIME = 10  # milliseconds
MAX_PTIME = 60  # milliseconds; longer packets make calls unpleasant and buffers big
