"""SIP: messages, addresses, framing, authentication, registration, transactions and dialogs (RFC 3261).

Nothing here performs input or output, reads a clock or draws a random number: time and randomness
are arguments, and what must happen is returned as data.
"""
