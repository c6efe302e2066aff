"""Bounds of what one `<Say>` may ask for, each with its reason."""

MAX_TEXT = 4096
"""Characters of one `<Say>`: Twilio's limit, error 13521."""

MAX_ELEMENTS = 512
"""SSML elements of one `<Say>`: each may become a separate request to the engine."""

MAX_DEPTH = 16
"""Nesting of SSML elements: deeper than anybody writes, shallow enough for recursion."""

MAX_PAUSE = 10.0
"""Seconds of one `<break>`: the limit of Amazon Polly, whose SSML this is."""

MAX_PAUSES = 300.0
"""Seconds of all pauses of one `<Say>` together: 512 breaks would hold a call for an hour and a half."""

MAX_PIECE = 300
"""Characters that are spoken at a time (about 20 s): 0.1 to 0.2 s of work, so no call waits long for another's."""

PIECE_WITHIN = 15.0
"""Seconds that one piece may take, a hundred times what it does on an idle core."""

MAX_WAITING = 256
"""Pieces that may wait for the engine, one of each call: some 6 s of work; later ones are refused at once."""
