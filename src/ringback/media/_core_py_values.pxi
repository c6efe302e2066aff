# Values of the pump as Python's, and the other way.

cdef object address_of(const Endpoint* endpoint):
    if endpoint.size == 0:
        return None
    if endpoint.address.any.sa_family == AF_INET:
        host = socket.inet_ntop(socket.AF_INET, (<char*>&endpoint.address.v4.sin_addr)[:4])
    else:
        host = socket.inet_ntop(socket.AF_INET6, (<char*>&endpoint.address.v6.sin6_addr)[:16])
    return host, udp_port(endpoint)


cdef Endpoint endpoint_of(host, int port) except *:
    cdef Endpoint made
    cdef bytes text = canonical(host).encode()
    memset(&made, 0, sizeof(made))
    if not 0 <= port <= 65535:
        raise UsageError(f"UDP port {port}")
    if inet_pton(AF_INET, text, &made.address.v4.sin_addr) == 1:
        made.address.v4.sin_family = AF_INET
        made.size = sizeof(sockaddr_in)
    elif inet_pton(AF_INET6, text, &made.address.v6.sin6_addr) == 1:
        made.address.v6.sin6_family = AF_INET6
        made.size = sizeof(sockaddr_in6)
    else:
        raise UsageError(f"{host!r} has a scope")
    made.address.v4.sin_port = htons(<uint16_t>port)
    return made


def _bind_both(host, int port):
    """The descriptors of a pair of sockets: `ringback.media.sockets.bind_both`."""
    cdef Endpoint at = endpoint_of(host, port)
    cdef int rtp, rtcp
    rtp = rb_bind(&at.address.any, at.size)
    if rtp < 0:
        return _not_bound(host, -rtp)
    at.address.v4.sin_port = htons(<uint16_t>(port + 1))
    rtcp = rb_bind(&at.address.any, at.size)
    if rtcp < 0:
        c_close(rtp)
        return _not_bound(host, -rtcp)
    return rtp, rtcp


cdef object _not_bound(host, int error):
    """None for a port that is in use; raises what else is wrong."""
    if error in (EADDRINUSE, EACCES):
        return None
    if error == EADDRNOTAVAIL:
        raise UsageError(f"{host} is no address of this machine")
    raise OSError(error, os.strerror(error))


cdef int payload_type_of(object number) except -2:
    if number is None:
        return -1
    if not 0 <= number < 128:
        raise UsageError(f"payload type {number}")
    return number


cdef object stats_of(const Port* port):
    cdef const Reports* reports = &port.reports
    lost = port.lost_before + reception_lost(&port.reception)
    jitter = (port.reception.jitter >> 4) / 8000.0
    rtt = reports.round_trip if reports.round_trip >= 0 else None
    remote = None
    if reports.has_remote:
        remote = RemoteReport(reports.fraction_lost / 256.0, reports.lost, reports.jitter / 8000.0)
    return PortStats._make((
        port.packets_in,
        port.bytes_in,
        port.out.packets,
        port.out.octets,
        lost,
        jitter,
        quality(lost=lost, received=port.packets_in, jitter=jitter, round_trip=rtt) if port.packets_in else None,
        port.first_at - port.opened_at if port.first_at >= 0 else None,
        port.last_at - port.opened_at if port.last_at >= 0 else None,
        address_of(&port.lock.source),
        rtt,
        port.strangers,
        port.malformed,
        port.discarded,
        remote,
    ))


cdef object event_of(const Notice* notice):
    if notice.kind == FRAMES:
        return "frames", notice.id, (<const char*>notice.data)[:FRAME], notice.number
    if notice.kind == DIGIT:
        return "digit", notice.id, chr(DIGITS[notice.flag]), notice.number
    if notice.kind == PLAYED:
        return "played", notice.id, notice.number, bool(notice.flag)
    if notice.kind == LOCKED:
        return "locked", notice.id, ((<const char*>notice.data)[: notice.size].decode(), notice.number)
    if notice.kind == SILENT:
        return "silent", notice.id, notice.value
    if notice.kind == HEARD:
        return "heard", notice.id
    return "mixer_played", notice.id, notice.number
