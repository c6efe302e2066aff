"""RTP, RTCP and telephone events as machines without I/O: RFC 3550, RFC 3551, RFC 4733, ITU-T G.107.

Nothing here opens a socket, reads a clock or draws a random number; `ringback.media` does, and its
compiled core follows the same rules (the tests of both twins are the same).
"""
