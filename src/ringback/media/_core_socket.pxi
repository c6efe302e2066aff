# A port's RTP socket. Once a source that is vouched for has talked for a while, the kernel keeps everybody else's packets
# away, so that a flood does not fill the socket's buffer. It is undone where a new offer lets another source lock, and
# where it is quiet, so that strangers are counted when somebody asks why nothing is heard.
#
# A socket of one local address is connected to the source, so the kernel also looks for no route when we send. One of all
# addresses gets a filter: connecting gives it an address, and while the kernel moves it to that address's place it finds it
# at neither (a packet in 270 times that one connected while packets flew, Linux 6.18). The filter needs no moment.

cdef extern from *:
    """
    #include <arpa/inet.h>
    #include <errno.h>
    #include <linux/filter.h>
    #include <linux/sock_diag.h>
    #include <netinet/in.h>
    #include <string.h>
    #include <sys/socket.h>
    #include <unistd.h>

    /* Let only datagrams of this source into the socket. A filter sees a datagram from its UDP header on, and the IP
       header from SKF_NET_OFF on (socket(7), SO_ATTACH_FILTER; RFC 791 section 3.1, RFC 8200 section 3). */
    static int rb_admit_only(int fd, const struct sockaddr *source) {
        const struct sockaddr_in *at = (const void *)source;
        const int v6 = source->sa_family == AF_INET6;
        const void *host = v6 ? (const void *)&((const struct sockaddr_in6 *)at)->sin6_addr : (const void *)&at->sin_addr;
        const int words = v6 ? 4 : 1, header = SKF_NET_OFF + (v6 ? 8 : 12), size = 2 * words + 4;
        struct sock_filter steps[12];
        struct sock_fprog program = {.len = (unsigned short)size, .filter = steps};
        int n;
        steps[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 0);
        steps[1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ntohs(at->sin_port), 0, (uint8_t)(size - 3));
        for (n = 0; n < words; n++) {
            uint32_t word;
            memcpy(&word, (const uint8_t *)host + 4 * n, 4);
            steps[2 + 2 * n] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(header + 4 * n));
            steps[3 + 2 * n] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ntohl(word), 0,
                                                            (uint8_t)(size - 5 - 2 * n));
        }
        steps[size - 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0xFFFFFFFF);
        steps[size - 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
        return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
    }

    /* A bound UDP socket that does not block, with priority on its way (DSCP EF, RFC 4594 section 4.1) where the kernel
       allows it; the error less than 0. Like ringback.media.sockets, of which each socket takes ten times as long. */
    static int rb_bind(const struct sockaddr *at, socklen_t size) {
        const int v6 = at->sa_family == AF_INET6, yes = 1, expedited = 0xB8;
        const int fd = socket(at->sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        int error;
        if (fd < 0) return -errno;
        if (!v6 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes) == 0) {
            setsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_TCLASS : IP_TOS, &expedited, sizeof expedited);
            if (bind(fd, at, size) == 0) return fd;
        }
        error = errno;
        close(fd);
        return -error;
    }

    static int rb_admit_all(int fd) {
        int unused = 0;
        return setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof unused);
    }

    static uint32_t rb_discarded(int fd) {
        uint32_t numbers[SK_MEMINFO_VARS] = {0};
        socklen_t size = sizeof numbers;
        return getsockopt(fd, SOL_SOCKET, SO_MEMINFO, numbers, &size) ? 0 : numbers[SK_MEMINFO_DROPS];
    }

    static int rb_disconnect(int fd) {
        struct sockaddr nobody = {.sa_family = AF_UNSPEC};
        return connect(fd, &nobody, sizeof nobody);
    }
    """
    int rb_bind(const sockaddr* at, socklen_t size) nogil
    int rb_admit_only(int fd, const sockaddr* source) nogil
    int rb_admit_all(int fd) nogil
    uint32_t rb_discarded(int fd) nogil
    int rb_disconnect(int fd) nogil

cdef extern from "errno.h" nogil:
    int EACCES
    int EADDRINUSE
    int EADDRNOTAVAIL
    int ECONNREFUSED

cdef extern from "sys/socket.h" nogil:
    int c_connect "connect"(int fd, const sockaddr* address, socklen_t size)

cdef enum:
    STEADY = 50                # packets in a row that were believed, before the kernel keeps all others away

cdef double QUIET = 1.0        # seconds without a packet until it is open again


cdef void send_rtp(Port* port, const uint8_t* data, size_t size) noexcept nogil:
    """A packet that cannot be sent is lost, as any may be."""
    cdef const Endpoint* target
    if not port.connected:
        target = lock_target(&port.lock)
        rb_send(port.rtp, data, size, &target.address.any, target.size)
    elif rb_send(port.rtp, data, size, NULL, 0) < 0 and errno == ECONNREFUSED:
        rb_send(port.rtp, data, size, NULL, 0)   # that was the peer's answer (ICMP) to an earlier one


cdef void open_to_all(Port* port) noexcept nogil:
    port.steady = 0
    if port.connected:
        port.connected = False
        rb_disconnect(port.rtp)
    elif port.filtered:
        port.filtered = False
        rb_admit_all(port.rtp)


cdef void close_to_strangers(Port* port) noexcept nogil:
    """To all but the locked source. Where the kernel refuses, it is asked again after as many packets."""
    port.steady = 0
    if port.is_wild:
        port.filtered = rb_admit_only(port.rtp, &port.lock.source.address.any) == 0
    else:
        port.connected = c_connect(port.rtp, &port.lock.source.address.any, port.lock.source.size) == 0


cdef inline void keep_strangers_out(Port* port, double now) noexcept nogil:
    """Each tick that looks after the port."""
    if port.connected or port.filtered:
        if now - port.quiet_since > QUIET:
            open_to_all(port)
    elif port.steady >= STEADY and now - port.quiet_since < QUIET:
        close_to_strangers(port)
