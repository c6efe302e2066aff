# One port: what comes from the peer, and what goes to it.

# To the peer

cdef inline bint may_send(Port* port) noexcept nogil:
    return port.settings.active and port.settings.send and may_be_sent_to(lock_target(&port.lock))


cdef inline bint is_busy(Port* port) noexcept nogil:
    """Something goes before what the connected port sends."""
    return port.playing.active or port.spelling.sounding


cdef void transmit(Port* port, const Stamp* stamp, int payload_type, uint8_t* payload, int size) noexcept nogil:
    """Send; 12 bytes before the payload are ours to write the header to."""
    cdef uint8_t* packet = payload - 12
    packet[0] = 0x80
    packet[1] = <uint8_t>((0x80 if stamp.marker else 0) | payload_type)
    rb_put16(packet + 2, stamp.sequence)
    rb_put32(packet + 4, stamp.timestamp)
    rb_put32(packet + 8, port.out.ssrc)
    send_rtp(port, packet, <size_t>(size + 12))


cdef void send_frame(State* s, Port* port, const uint8_t* ulaw, double now) noexcept nogil:
    cdef uint8_t packet[12 + FRAME]
    cdef Stamp stamp
    port.idle_since = now
    if not may_send(port):
        return
    out_frame(&port.out, &stamp, now)
    if port.settings.codec == ALAW:
        transcode(ULAW_TO_ALAW, ulaw, packet + 12, FRAME)
    else:
        memcpy(packet + 12, ulaw, FRAME)
    transmit(port, &stamp, port.settings.payload_type, packet + 12, FRAME)
    if port.taps != NULL:
        feed_taps(s, port, False, ulaw, FRAME, stamp.timestamp, now)


cdef void relay(
    State* s, Port* port, Port* origin, uint32_t ssrc, Stamp* stamp, uint8_t* payload, int size, int codec,
    double now
) noexcept nogil:
    """Audio of the connected port; the payload is changed in place."""
    cdef uint8_t scratch[MAX_DATAGRAM]
    if is_busy(port) or not may_send(port):
        return
    if not out_relay(&port.out, stamp, origin.id, ssrc, <uint32_t>size, size, now):
        return
    if codec != port.settings.codec:
        transcode(&ALAW_TO_ULAW[0] if codec == ALAW else &ULAW_TO_ALAW[0], payload, payload, size)
    transmit(port, stamp, port.settings.payload_type, payload, size)
    if port.taps != NULL:
        if port.settings.codec == ALAW:
            transcode(ALAW_TO_ULAW, payload, scratch, size)
            payload = scratch
        feed_taps(s, port, False, payload, size, stamp.timestamp, now)


cdef void relay_event(Port* port, Port* origin, uint32_t ssrc, Stamp* stamp, uint8_t* payload, double now) noexcept nogil:
    """A telephone event of the connected port, of which four bytes are passed on."""
    if is_busy(port) or port.settings.dtmf_send < 0 or not may_send(port):
        return
    if out_relay(&port.out, stamp, origin.id, ssrc, 0, 4, now):
        transmit(port, stamp, port.settings.dtmf_send, payload, 4)


cdef void spell_also(State* s, Port* port, int code) noexcept nogil:
    """A digit of the connected port, after those of it that wait; what a program plays or spells goes before."""
    cdef Spelling* spelling = &port.spelling
    if not port.settings.active or port.playing.active or spelling.has_id:
        return
    if not spelling.active:
        memset(spelling, 0, sizeof(Spelling))
        spelling.active = True
    elif spelling.position:
        spelling.size -= spelling.position
        memmove(spelling.digits, spelling.digits + spelling.position, <size_t>spelling.size)
        spelling.position = 0
    if spelling.size < DIGITS_ROOM:
        spelling.digits[spelling.size] = DIGITS[code]
        spelling.size += 1
    occupy(s, port)


# Digits of the peer

cdef void end_digit(State* s, Port* port, double now) noexcept nogil:
    if not port.dtmf.sounding:
        return
    port.dtmf.sounding = False
    if not take_allowance(&port.digits, 1, DIGITS_AT_ONCE, DIGIT_RATE, now):
        return
    emit(s, DIGIT, port.id, (port.dtmf.carried + port.dtmf.duration) // 8, port.dtmf.event, 0, NULL, 0)
    if port.peer != NULL and port.peer.settings.dtmf_send < 0:
        spell_also(s, port.peer, port.dtmf.event)      # as a tone: it has no telephone events


cdef void on_event(State* s, Port* port, uint32_t timestamp, const uint8_t* payload, double now) noexcept nogil:
    """Four bytes of a telephone event: ringback.rtp.dtmf.DtmfReceiver.receive."""
    cdef Dtmf* dtmf = &port.dtmf
    cdef int event = payload[0]
    cdef uint32_t duration = rb_get16(payload + 2)
    cdef int step = rb_step32(dtmf.timestamp, timestamp) if dtmf.event >= 0 else 1
    if event >= 16:
        return
    if now - dtmf.at > 1.0 and not dtmf.sounding:
        step = 1
    if step < 0:
        return
    if step == 0 and not dtmf.sounding:
        dtmf.at = now
        return
    if step > 0:
        if dtmf.sounding and step == 0xFFFF and event == dtmf.event:
            dtmf.carried += 0xFFFF
        else:
            end_digit(s, port, now)
            dtmf.carried = 0
        dtmf.event = event
        dtmf.sounding = True
        occupy(s, port)
        dtmf.duration = 0
        dtmf.timestamp = timestamp
    dtmf.duration = max(dtmf.duration, duration)
    dtmf.at = now
    if payload[1] & 0x80:
        end_digit(s, port, now)


# From the peer

cdef void count_packet(Port* port, uint32_t ssrc, const Stamp* stamp, int size, bint is_audio, double now) noexcept nogil:
    cdef Reception* r = &port.reception
    port.packets_in += 1
    port.bytes_in += size
    port.quiet_since = port.last_at = now
    if port.first_at < 0:
        port.first_at = now
    if not r.active or r.ssrc != ssrc:
        port.lost_before += reception_lost(r)
        memset(r, 0, sizeof(Reception))
        r.active = True
        r.ssrc = ssrc
        reception_restart(r, stamp.sequence)
        memset(&port.dtmf, 0, sizeof(Dtmf))
        port.dtmf.event = -1
    reception_receive(r, stamp.sequence)
    if is_audio:
        reception_time(r, stamp.timestamp, now)


cdef void on_audio(
    State* s, Port* port, uint32_t ssrc, Stamp* stamp, uint8_t* payload, int size, int codec, double now
) noexcept nogil:
    cdef uint8_t scratch[MAX_DATAGRAM]
    cdef const uint8_t* ulaw = payload
    if port.taps != NULL or port.mixer != NULL:
        if codec == ALAW:
            transcode(ALAW_TO_ULAW, payload, scratch, size)
            ulaw = scratch
        feed_taps(s, port, True, ulaw, size, stamp.timestamp, now)
        if port.mixer != NULL:
            playout_write(port.playout, ssrc, stamp.timestamp, ulaw, size)
    if port.peer != NULL:
        relay(s, port.peer, port, ssrc, stamp, payload, size, codec, now)


cdef int payload_of(const uint8_t* data, ssize_t size, int* start) noexcept nogil:
    """Length of the payload and where it starts (12 at least); -1 for what is no RTP packet."""
    cdef int begin, end = <int>size
    if size < 12 or size > MAX_DATAGRAM or data[0] >> 6 != 2:
        return -1
    begin = 12 + 4 * (data[0] & 0x0F)
    if begin > end:
        return -1
    if data[0] & 0x10:
        if begin + 4 > end:
            return -1
        begin += 4 + 4 * rb_get16(data + begin + 2)
        if begin > end:
            return -1
    if data[0] & 0x20:
        if data[end - 1] == 0 or begin + data[end - 1] > end:
            return -1
        end -= data[end - 1]
    start[0] = begin
    return end - begin


cdef void emit_address(State* s, Port* port, const Endpoint* source) noexcept nogil:
    cdef char text[64]
    cdef int size = 0
    if source.address.any.sa_family == AF_INET:
        inet_ntop(AF_INET, &source.address.v4.sin_addr, text, 64)
    else:
        inet_ntop(AF_INET6, &source.address.v6.sin6_addr, text, 64)
    while size < 63 and text[size]:
        size += 1
    emit(s, LOCKED, port.id, udp_port(source), 0, 0, <const uint8_t*>text, size)


cdef void on_rtp(State* s, Port* port, uint8_t* data, ssize_t received, const Endpoint* source, double now) noexcept nogil:
    """A datagram of the RTP socket, which may be cut (`received` is its whole length)."""
    cdef Configuration* settings = &port.settings
    cdef int start = 0, payload_type, codec, verdict
    cdef int size = payload_of(data, received, &start)
    cdef bint is_event, is_agreed
    cdef uint32_t ssrc
    cdef Stamp stamp
    if size < 0:
        port.malformed += 1
        return
    if not settings.active:
        port.strangers += 1
        return
    payload_type = data[1] & 0x7F
    stamp.marker = data[1] >> 7
    stamp.sequence = rb_get16(data + 2)
    stamp.timestamp = rb_get32(data + 4)
    ssrc = rb_get32(data + 8)
    is_event = payload_type == settings.dtmf_receive
    is_agreed = True
    if payload_type == settings.receive_type:
        codec = settings.codec
    elif payload_type == settings.other_type:
        codec = ALAW if settings.codec == ULAW else ULAW
    else:                                  # RFC 3551 table 4
        codec = ULAW if payload_type == 0 else (ALAW if payload_type == 8 else NO_CODEC)
        is_agreed = is_event
    verdict = lock_offer(&port.lock, source, is_agreed, ssrc, stamp.sequence)
    if verdict < 0:
        port.strangers += 1
        return
    if port.lock.trusted:                  # a guess may still give way
        port.steady += 1
    if codec == NO_CODEC and not is_event and payload_type != 13:  # comfort noise, RFC 3389
        port.malformed += 1
        return
    if verdict == 0 and port.is_near and not take_frames(&port.near, size, now):
        port.malformed += 1
        return
    if verdict == 1:
        port.rtcp_locked = False
        port.is_near = s.first_port <= udp_port(source) <= s.last_port
        emit_address(s, port, source)
    count_packet(port, ssrc, &stamp, size, codec != NO_CODEC and not is_event, now)
    if not settings.receive:
        return
    if not port.heard:
        port.heard = True
        port.silent = False
        emit(s, HEARD, port.id, 0, 0, 0, NULL, 0)
    if is_event:
        if size >= 4:
            on_event(s, port, stamp.timestamp, data + start, now)
            if port.peer != NULL:
                relay_event(port.peer, port, ssrc, &stamp, data + start, now)
    elif codec != NO_CODEC and size > 0:
        on_audio(s, port, ssrc, &stamp, data + start, size, codec, now)
