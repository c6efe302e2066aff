# What happens each 20 ms.

cdef int digit_code(char digit) noexcept nogil:
    cdef int code
    for code in range(16):
        if DIGITS[code] == digit:
            return code
    return -1                              # a pause


cdef void send_digit_tick(State* s, Port* port, int code, int tick, double now) noexcept nogil:
    """20 ms of a digit: an event's packet, or a tone where the peer has no telephone events."""
    cdef Spelling* spelling = &port.spelling
    cdef uint8_t packet[16]
    cdef uint32_t duration
    cdef Stamp stamp
    if not port.settings.active:
        return
    if port.settings.dtmf_send < 0:
        send_frame(s, port, &TONES[code][tick * FRAME] if tick < 5 else &SILENCE[0], now)
        return
    if tick >= 7 or not may_send(port):    # five packets, the last of them three times
        return
    if tick == 0:
        spelling.timestamp = out_resumed(&port.out, now)
    duration = min(tick + 1, 5) * FRAME
    packet[12] = <uint8_t>code
    packet[13] = 0x8A if tick >= 4 else 0x0A
    rb_put16(packet + 14, <uint16_t>duration)
    out_event(&port.out, &stamp, spelling.timestamp, duration, tick == 0, now)
    transmit(port, &stamp, port.settings.dtmf_send, packet + 12, 4)


cdef bint spell(State* s, Port* port, double now) noexcept nogil:
    """Send a tick of digits; False when other audio may pass."""
    cdef Spelling* spelling = &port.spelling
    cdef int code, ticks, tick = spelling.index
    cdef char digit
    if not spelling.active:
        return False
    if spelling.position >= spelling.size:
        end_spelling(s, port, False)
        return False
    digit = spelling.digits[spelling.position]
    code = digit_code(digit)
    ticks = 10 if code >= 0 else (25 if digit == c"w" else 50)
    spelling.index += 1
    if spelling.index >= ticks:
        spelling.position += 1
        spelling.index = 0
    spelling.sounding = code >= 0
    if spelling.sounding:
        send_digit_tick(s, port, code, tick, now)
    return spelling.sounding


cdef inline bint is_occupied(Port* port) noexcept nogil:
    return port.playing.active or port.spelling.active or port.mixer != NULL or port.dtmf.sounding


cdef bint tick_port(State* s, Port* port, double now, double wall) noexcept nogil:
    """What is due; whether the next tick is needed as well."""
    cdef uint8_t frame[FRAME]
    cdef bint is_last, has_mixed = port.has_mixed
    cdef double quiet = now - port.quiet_since
    port.has_mixed = False
    keep_strangers_out(port, now)
    if port.dtmf.sounding and now - port.dtmf.at > 0.2:
        end_digit(s, port, now)
    if port.settings.active and port.settings.receive and not port.silent and quiet >= s.silent_after:
        port.silent = True
        port.heard = False
        emit(s, SILENT, port.id, 0, 0, quiet, NULL, 0)
    if now >= port.report_at:
        send_report(port, now, wall, False)
        port.report_at = now + report_interval(s)
    if spell(s, port, now):
        return True
    if port.playing.active:
        is_last = play_frame(&port.playing, frame)
        send_frame(s, port, frame, now)
        if is_last:
            end_playing(s, port, False)
    elif has_mixed:
        send_frame(s, port, port.playout.mixed, now)
    elif now - max(port.idle_since, port.out.at) >= 5.0:   # keep the path open, RFC 6263
        send_frame(s, port, SILENCE, now)
    return is_occupied(port)


cdef void speak(State* s, Mixer* mixer, Port* member) noexcept nogil:
    """Add what a member says to what all hear, or to what the one hears who alone hears it."""
    cdef Port* listener
    if member.muted or not member.playout.sounds:
        return
    if not member.heard_by:
        add(mixer.total, member.playout.own)
        return
    listener = port_of(s, member.heard_by)
    if listener != NULL and listener.mixer == mixer and listener != member:
        tell(listener.playout, member.playout.own)


cdef void tick_mixer(State* s, Mixer* mixer) noexcept nogil:
    """Each member hears all others: three rounds of the members, whoever speaks to whom alone."""
    cdef uint8_t frame[FRAME]
    cdef Port* member = mixer.members
    cdef int n
    while member != NULL:
        playout_read(member.playout)
        member = member.next_member
    memset(mixer.total, 0, sizeof(mixer.total))
    if mixer.playing.active:
        if play_frame(&mixer.playing, frame):
            emit(s, MIXER_PLAYED, mixer.id, mixer.playing.play_id, 0, 0, NULL, 0)
            end_buffer(s, &mixer.playing)
        for n in range(FRAME):
            mixer.total[n] = ULAW_TO_LINEAR[frame[n]]
    member = mixer.members
    while member != NULL:
        speak(s, mixer, member)
        member = member.next_member
    encode(mixer.total, mixer.shared)
    member = mixer.members
    while member != NULL:
        mix_frame(mixer, member)
        member = member.next_member
