# Datagrams of a SIP socket (ringback.media.datagrams): Python's own socket makes an exception of an empty queue, and a new
# string of each source, which took as long as all else that is done with a small message's way through the kernel's border.

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.unicode cimport PyUnicode_AsUTF8

cdef enum:
    SOURCES = 1024  # remembered, about 200 bytes each
    LARGEST_DATAGRAM = 65535


cdef class CoreDatagrams:
    """Through an IPv4 socket that does not block; the other twin sends what is addressed by anything but an IPv4 literal."""

    cdef int _fd
    cdef object _others
    cdef uint8_t _buffer[LARGEST_DATAGRAM]
    cdef uint64_t _known[SOURCES]
    cdef list _sources

    def __init__(self, sock: socket.socket) -> None:
        self._fd = sock.fileno()
        self._others = PureDatagrams(sock)
        self._sources = [None] * SOURCES

    def receive(self) -> tuple[bytes, tuple[str, int]] | None:
        """The next datagram and its source; None when none is there. Raises OSError."""
        cdef sockaddr_in source
        cdef socklen_t size = sizeof(source)
        cdef ssize_t length
        cdef int error
        length = rb_receive(self._fd, self._buffer, LARGEST_DATAGRAM, <sockaddr*>&source, &size)
        if length < 0:
            error = errno
            if error == EAGAIN or error == EINTR:
                return None
            raise OSError(error, os.strerror(error))
        return PyBytes_FromStringAndSize(<char*>self._buffer, length), self._source(&source)

    cdef tuple _source(self, const sockaddr_in* source):
        cdef uint64_t key = <uint64_t>source.sin_addr.s_addr << 16 | source.sin_port
        cdef uint64_t place = (key * <uint64_t>0x9E3779B97F4A7C15) >> 54
        cdef char text[16]
        cdef tuple found
        if self._known[place] == key and self._sources[place] is not None:
            return <tuple>self._sources[place]
        inet_ntop(AF_INET, &source.sin_addr, text, sizeof(text))
        found = (text.decode("ascii"), int(ntohs(source.sin_port)))
        self._known[place] = key
        self._sources[place] = found
        return found

    def send(self, bytes data not None, str host not None, int port) -> int:
        """Send to an IP literal: 0, or the number of the error."""
        cdef sockaddr_in to
        memset(&to, 0, sizeof(to))
        if not 0 <= port <= 0xFFFF or inet_pton(AF_INET, PyUnicode_AsUTF8(host), &to.sin_addr) != 1:
            return self._others.send(data, host, port)
        to.sin_family = AF_INET
        to.sin_port = htons(<uint16_t>port)
        if rb_send(self._fd, <const char*>data, len(data), <const sockaddr*>&to, sizeof(to)) < 0:
            return errno
        return 0

    def close(self) -> None:
        """Nothing is received or sent any more: the number of the socket may soon be another's."""
        self._fd = -1
