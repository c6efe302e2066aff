# Datagrams of a SIP socket (ringback.media.datagrams): Python's own socket makes an exception of an empty queue, and a new
# string of each source, which took as long as all else that is done with a small message's way through the kernel's border.

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.unicode cimport PyUnicode_AsUTF8

cdef enum:
    SOURCES = 1024  # remembered, about 200 bytes each
    LARGEST_DATAGRAM = 65535
    RECEIVED_AT_ONCE = 16  # ringback.media.datagrams.AT_ONCE

cdef extern from * nogil:
    """
    #include <netinet/in.h>
    #include <stdlib.h>

    #define RB_AT_ONCE 16
    #define RB_ROOM (65536 + 3 * 64 * 16)  /* so that what begins each does not lie in the same lines of the caches */

    struct rb_inbound {
        struct mmsghdr headers[RB_AT_ONCE];
        struct iovec rooms[RB_AT_ONCE];
        struct sockaddr_in sources[RB_AT_ONCE];
        char *data;
    };

    static struct rb_inbound *rb_inbound_new(void) {
        struct rb_inbound *made = calloc(1, sizeof *made);
        if (!made || !(made->data = malloc(RB_AT_ONCE * RB_ROOM))) { free(made); return NULL; }
        for (int i = 0; i < RB_AT_ONCE; i++) {
            made->rooms[i].iov_base = made->data + i * RB_ROOM;
            made->rooms[i].iov_len = 65535;
            made->headers[i].msg_hdr.msg_iov = &made->rooms[i];
            made->headers[i].msg_hdr.msg_iovlen = 1;
            made->headers[i].msg_hdr.msg_name = &made->sources[i];
            made->headers[i].msg_hdr.msg_namelen = sizeof(struct sockaddr_in);
        }
        return made;
    }
    static void rb_inbound_free(struct rb_inbound *made) { if (made) { free(made->data); free(made); } }
    static inline int rb_receive_many(int fd, struct rb_inbound *in, int most) {
        return (int)syscall(SYS_recvmmsg, fd, in->headers, most, MSG_DONTWAIT, NULL);
    }
    static inline const char *rb_inbound_data(const struct rb_inbound *in, int i) { return in->rooms[i].iov_base; }
    static inline Py_ssize_t rb_inbound_size(const struct rb_inbound *in, int i) { return in->headers[i].msg_len; }
    static inline const struct sockaddr_in *rb_inbound_source(const struct rb_inbound *in, int i) { return &in->sources[i]; }
    """
    struct rb_inbound:
        pass
    rb_inbound* rb_inbound_new()
    void rb_inbound_free(rb_inbound* made)
    int rb_receive_many(int fd, rb_inbound* into, int most)
    const char* rb_inbound_data(const rb_inbound* into, int i)
    Py_ssize_t rb_inbound_size(const rb_inbound* into, int i)
    const sockaddr_in* rb_inbound_source(const rb_inbound* into, int i)


cdef class CoreDatagrams:
    """Through an IPv4 socket that does not block; the other twin sends what is addressed by anything but an IPv4 literal."""

    cdef int _fd
    cdef object _others
    cdef rb_inbound* _inbound
    cdef uint64_t _known[SOURCES]
    cdef list _sources

    def __cinit__(self) -> None:
        self._inbound = rb_inbound_new()
        if self._inbound is NULL:
            raise MemoryError

    def __init__(self, sock: socket.socket) -> None:
        self._fd = sock.fileno()
        self._others = PureDatagrams(sock)
        self._sources = [None] * SOURCES

    def __dealloc__(self) -> None:
        rb_inbound_free(self._inbound)

    def receive(self, int most) -> list[tuple[bytes, tuple[str, int]]]:
        """The next datagrams and their sources, `most` or AT_ONCE at most; fewer: no more are there. Raises OSError."""
        cdef int count, error, i
        cdef list received = []
        count = rb_receive_many(self._fd, self._inbound, min(most, RECEIVED_AT_ONCE))
        if count < 0:
            error = errno
            if error == EAGAIN or error == EINTR:
                return received
            raise OSError(error, os.strerror(error))
        for i in range(count):
            received.append((
                PyBytes_FromStringAndSize(rb_inbound_data(self._inbound, i), rb_inbound_size(self._inbound, i)),
                self._source(rb_inbound_source(self._inbound, i)),
            ))
        return received

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
