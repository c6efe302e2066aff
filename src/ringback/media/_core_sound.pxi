# Tables of G.711 and tones, buffers that play, the playout buffer: the arithmetic of audio.

cdef uint8_t ULAW_TO_ALAW[256]
cdef uint8_t ALAW_TO_ULAW[256]
cdef int16_t ULAW_TO_LINEAR[256]
cdef uint8_t LINEAR_TO_ULAW[65536]
cdef uint8_t TONES[16][5 * FRAME]
cdef uint8_t SILENCE[FRAME]
cdef const char* DIGITS = b"0123456789*#ABCD"


def _fill_tables() -> None:
    """The very tables of the pure twin."""
    cdef int code, sample
    cdef bytes codes = g711.LINEAR_TO_ULAW
    for code in range(256):
        ULAW_TO_ALAW[code] = g711.ULAW_TO_ALAW[code]
        ALAW_TO_ULAW[code] = g711.ALAW_TO_ULAW[code]
        ULAW_TO_LINEAR[code] = g711.ULAW_TO_LINEAR[code]
    memcpy(LINEAR_TO_ULAW, <const char*>codes, sizeof(LINEAR_TO_ULAW))
    for code, digit in enumerate("0123456789*#ABCD"):
        tone = g711.encode_ulaw(tones.samples(digit))
        for sample in range(5 * FRAME):
            TONES[code][sample] = tone[sample]
    memset(SILENCE, g711.ULAW_SILENCE, FRAME)


cdef inline void transcode(const uint8_t* table, const uint8_t* source, uint8_t* target, int size) noexcept nogil:
    cdef int n
    for n in range(size):
        target[n] = table[source[n]]


cdef bint play_frame(Playing* playing, uint8_t* frame) noexcept nogil:
    """Fill 160 bytes of mu-law; True when it was the last."""
    cdef int filled = 0
    cdef int64_t piece
    if playing.size == 0:
        memcpy(frame, SILENCE, FRAME)
        return True
    while filled < FRAME:
        piece = min(playing.size - playing.position, <int64_t>(FRAME - filled))
        memcpy(frame + filled, playing.audio + playing.position, <size_t>piece)
        filled += <int>piece
        playing.position += piece
        if playing.position < playing.size:
            continue
        if playing.loops == 1:
            memcpy(frame + filled, SILENCE, <size_t>(FRAME - filled))
            return True
        if playing.loops > 0:
            playing.loops -= 1
        playing.position = 0
    return False


cdef void playout_write(
    Playout* buffer, uint32_t ssrc, uint32_t timestamp, const uint8_t* ulaw, int size
) noexcept nogil:
    """Put mu-law (at most MAX_DATAGRAM bytes) where its timestamp says; late audio is dropped."""
    cdef int64_t offset = rb_step32(buffer.read, timestamp)
    cdef int n, position
    if not buffer.active or ssrc != buffer.ssrc or offset + size > CAPACITY or buffer.late >= LATE_IN_A_ROW:
        memset(buffer.samples, 0, sizeof(buffer.samples))
        buffer.active = True
        buffer.ssrc = ssrc
        buffer.read = timestamp - DELAY
        buffer.position = 0
        buffer.late = 0
        offset = DELAY
    if offset < 0:
        buffer.late += 1
        return
    buffer.late = 0
    size = <int>min(<int64_t>size, CAPACITY - offset)
    position = <int>((buffer.position + offset) % CAPACITY)
    for n in range(size):
        buffer.samples[position] = ULAW_TO_LINEAR[ulaw[n]]
        position += 1
        if position == CAPACITY:
            position = 0


cdef void playout_read(Playout* buffer, int16_t* frame) noexcept nogil:
    """The next 20 ms; silence where nothing came."""
    cdef int16_t* held = buffer.samples + buffer.position
    if not buffer.active:
        memset(frame, 0, FRAME * sizeof(int16_t))
        return
    memcpy(frame, held, FRAME * sizeof(int16_t))
    memset(held, 0, FRAME * sizeof(int16_t))
    buffer.position = (buffer.position + FRAME) % CAPACITY
    buffer.read += FRAME


cdef void mix_frame(Mixer* mixer, Port* member, bint are_private) noexcept nogil:
    """What this member hears: the total without its own voice, and who speaks to it alone."""
    cdef Port* other
    cdef int32_t sum[FRAME]
    cdef int n, sample
    member.has_mixed = True
    if member.deaf:
        memcpy(member.playout.mixed, SILENCE, FRAME)
        return
    memcpy(sum, mixer.total, sizeof(sum))
    if not member.muted and not member.heard_by:
        for n in range(FRAME):
            sum[n] -= member.playout.own[n]
    other = mixer.members if are_private else NULL
    while other != NULL:
        if other.heard_by == member.id and not other.muted:
            for n in range(FRAME):
                sum[n] += other.playout.own[n]
        other = other.next_member
    for n in range(FRAME):
        sample = sum[n]
        sample = -32768 if sample < -32768 else (32767 if sample > 32767 else sample)
        member.playout.mixed[n] = LINEAR_TO_ULAW[sample + 32768]
