# A port's RTP socket. Once a source that is vouched for has talked for a while, the socket is connected to it: the kernel
# then keeps everybody else's packets away, so that a flood does not fill the socket's buffer, and looks for no route when
# we send. It is undone where a new offer lets another source lock, and where it is quiet, so that strangers are counted
# when somebody asks why nothing is heard.

cdef extern from *:
    """
    #define _GNU_SOURCE
    #include <errno.h>
    #include <netinet/in.h>
    #include <string.h>
    #include <sys/socket.h>
    #include <sys/syscall.h>
    #include <unistd.h>

    /* As rb_receive; `local` becomes the address of ours that the packet was sent to, where the socket tells (else
       it is as it was). IP_PKTINFO, ip(7); IPV6_PKTINFO, RFC 3542 section 6. */
    static ssize_t rb_receive_at(int fd, void *data, size_t room, void *source, socklen_t *size, void *local, int v6) {
        char control[128];
        struct iovec part = {data, room};
        struct msghdr message = {.msg_name = source, .msg_namelen = *size, .msg_iov = &part, .msg_iovlen = 1,
                                 .msg_control = control, .msg_controllen = sizeof control};
        ssize_t received = syscall(SYS_recvmsg, fd, &message, MSG_DONTWAIT | MSG_TRUNC);
        struct cmsghdr *told;
        if (received < 0) return received;
        *size = message.msg_namelen;
        for (told = CMSG_FIRSTHDR(&message); told; told = CMSG_NXTHDR(&message, told)) {
            if (!v6 && told->cmsg_level == IPPROTO_IP && told->cmsg_type == IP_PKTINFO)
                memcpy(local, &((struct in_pktinfo *)CMSG_DATA(told))->ipi_addr, 4);
            if (v6 && told->cmsg_level == IPPROTO_IPV6 && told->cmsg_type == IPV6_PKTINFO)
                memcpy(local, &((struct in6_pktinfo *)CMSG_DATA(told))->ipi6_addr, 16);
        }
        return received;
    }

    static int rb_disconnect(int fd) {
        struct sockaddr nobody = {.sa_family = AF_UNSPEC};
        return connect(fd, &nobody, sizeof nobody);
    }
    """
    ssize_t rb_receive_at(int fd, void* data, size_t room, void* source, socklen_t* size, void* local, int v6) nogil
    int rb_disconnect(int fd) nogil

cdef extern from "errno.h" nogil:
    int ECONNREFUSED

cdef extern from "sys/socket.h" nogil:
    int c_connect "connect"(int fd, const sockaddr* address, socklen_t size)
    int c_getsockname "getsockname"(int fd, sockaddr* address, socklen_t* size)

cdef enum:
    STEADY = 50                # packets in a row that were believed, before the socket is connected

cdef double QUIET = 1.0        # seconds without a packet until it is open again


cdef ssize_t receive_rtp(Port* port, uint8_t* data, Endpoint* source) noexcept nogil:
    source.size = sizeof(source.address)
    if port.connected or not port.is_wild:
        return rb_receive(port.rtp, data, ROOM, &source.address.any, &source.size)
    if port.is_v6:
        return rb_receive_at(
            port.rtp, data, ROOM, &source.address, &source.size, &port.local.address.v6.sin6_addr, True
        )
    return rb_receive_at(port.rtp, data, ROOM, &source.address, &source.size, &port.local.address.v4.sin_addr, False)


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


cdef void close_to_strangers(Port* port) noexcept nogil:
    """Connect to the locked source, unless we would then have another address than it sends to."""
    cdef Endpoint local
    local.size = sizeof(local.address)
    if c_connect(port.rtp, &port.lock.source.address.any, port.lock.source.size) < 0:
        port.steady = 0
        return
    port.connected = True
    if port.is_wild:
        if c_getsockname(port.rtp, &local.address.any, &local.size) < 0 or not same_host(&local, &port.local):
            open_to_all(port)


cdef inline void keep_strangers_out(Port* port, double now) noexcept nogil:
    """Each tick that looks after the port."""
    if port.connected:
        if now - port.quiet_since > QUIET:
            open_to_all(port)
    elif port.steady >= STEADY and now - port.quiet_since < QUIET:
        close_to_strangers(port)
