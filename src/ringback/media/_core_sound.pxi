# Tables of G.711 and tones, buffers that play, the playout buffer: the arithmetic of audio.

cdef uint8_t ULAW_TO_ALAW[256]
cdef uint8_t ALAW_TO_ULAW[256]
cdef int16_t ULAW_TO_LINEAR[256]
cdef uint8_t LINEAR_TO_ULAW[65536]
cdef uint8_t TONES[16][5 * FRAME]
cdef uint8_t SILENCE[FRAME]
cdef int16_t NOTHING[FRAME]    # samples of it
cdef int16_t NO_SOUND[FRAME]
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
    for sample in range(FRAME):
        NOTHING[sample] = MISSING


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


cdef inline int64_t playout_held(const Playout* buffer) noexcept nogil:
    return rb_step32(buffer.read, buffer.end)


cdef void playout_start(Playout* buffer, uint32_t ssrc, uint32_t timestamp) noexcept nogil:
    cdef int n
    for n in range(CAPACITY // FRAME):
        memcpy(buffer.samples + n * FRAME, NOTHING, sizeof(NOTHING))
    if not buffer.active:
        buffer.missing = FADE
    buffer.active = True
    buffer.ssrc = ssrc
    buffer.read = timestamp - DELAY
    buffer.end = buffer.whole = timestamp
    buffer.position = buffer.late = buffer.reads = 0
    buffer.least = CAPACITY


cdef void playout_write(
    Playout* buffer, uint32_t ssrc, uint32_t timestamp, const uint8_t* ulaw, int size
) noexcept nogil:
    """Put mu-law (at most MAX_DATAGRAM bytes) where its timestamp says; late audio is dropped."""
    cdef int64_t offset = rb_step32(buffer.read, timestamp)
    cdef bint is_new = rb_step32(buffer.end, timestamp) >= 0
    cdef bint is_out = buffer.missing > 0 and playout_held(buffer) <= 0      # nothing is held, and that is heard
    cdef bint is_out_of_place = is_out and is_new and (offset < FRAME or offset > DELAY)
    cdef int n, position
    if (
        not buffer.active or ssrc != buffer.ssrc or offset + size > CAPACITY or buffer.late >= LATE_IN_A_ROW
        or is_out_of_place
    ):
        playout_start(buffer, ssrc, timestamp)
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
    if rb_step32(buffer.end, timestamp) > 0:
        buffer.whole = timestamp
    if rb_step32(buffer.end, timestamp + <uint32_t>size) > 0:
        buffer.end = timestamp + <uint32_t>size


cdef int64_t playout_look(Playout* buffer) noexcept nogil:
    """The least that was held in a window that ends now; what needs no change before."""
    cdef int64_t held = playout_held(buffer), least
    if held <= 0:
        buffer.reads = 0
        buffer.least = CAPACITY
        return DELAY
    buffer.reads += 1
    buffer.least = least = min(buffer.least, held)
    if buffer.reads < WINDOW:
        return DELAY
    buffer.reads = 0
    buffer.least = CAPACITY
    return least


cdef inline int16_t part_of(int one, int share, int other, int whole) noexcept nogil:
    """So many shares of one sample, and the rest of another; lifted above 0, below which C and Python divide differently."""
    return <int16_t>((one * share + other * (whole - share) + 32768 * whole) // whole - 32768)


cdef void blend(const int16_t* one, const int16_t* other, int16_t* frame) noexcept nogil:
    """A frame that begins as one and ends as the other."""
    cdef int n
    for n in range(FRAME):
        frame[n] = part_of(one[n], FRAME - n, other[n], FRAME)


cdef inline bint has_holes(const int16_t* frame) noexcept nogil:
    cdef int n, holes = 0
    for n in range(FRAME):
        holes += frame[n] == MISSING
    return holes > 0


cdef void conceal(Playout* buffer, int16_t* around) noexcept nogil:
    """Two frames: put what was before a hole in the second, turned and fading, in its place, and lead over behind it."""
    cdef int missing = buffer.missing, before = buffer.missing, turn = FRAME, joining = 0, n
    for n in range(FRAME, 2 * FRAME):
        if around[n] == MISSING:
            if joining or not missing:
                turn = n
                before = missing
                joining = 0
            around[n] = part_of(around[2 * turn - 1 - n], FADE - missing, 0, FADE - before) if missing < FADE else 0
            missing = min(FADE, missing + 1)
            continue
        if missing:
            turn = n
            joining = 0 if missing >= FADE else JOIN
            missing = 0
        if joining:
            around[n] = part_of(around[2 * turn - 1 - n], joining, around[n], JOIN)
            joining -= 1
    buffer.missing = missing


cdef void playout_next(Playout* buffer) noexcept nogil:
    """The next frame of what is held comes after the member's own of before."""
    cdef int16_t around[2 * FRAME]
    cdef int16_t* held = buffer.samples + buffer.position
    cdef bint is_whole = rb_step32(buffer.read, buffer.whole) <= 0 and playout_held(buffer) >= FRAME
    if is_whole and not buffer.missing:
        memcpy(buffer.own, held, FRAME * sizeof(int16_t))
    else:
        memcpy(around, buffer.own, FRAME * sizeof(int16_t))
        memcpy(around + FRAME, held, FRAME * sizeof(int16_t))
        conceal(buffer, around)
        memcpy(buffer.own, around + FRAME, FRAME * sizeof(int16_t))
    memcpy(held, NOTHING, sizeof(NOTHING))
    buffer.position = (buffer.position + FRAME) % CAPACITY
    buffer.read += FRAME


cdef void playout_read(Playout* buffer) noexcept nogil:
    """The next 20 ms are the member's own."""
    cdef int16_t first[FRAME]
    cdef const int16_t* following = buffer.samples + buffer.position
    cdef int64_t held, least
    buffer.is_told = buffer.sounds = False
    if not buffer.active:
        return
    held = playout_held(buffer)
    least = playout_look(buffer)
    if least >= MOST:
        playout_next(buffer)
        memcpy(first, buffer.own, sizeof(first))
        playout_next(buffer)
        blend(first, buffer.own, buffer.own)
    elif least < SHORT and held >= FRAME and not has_holes(following):
        blend(following, buffer.own, buffer.own)
    else:
        playout_next(buffer)
    buffer.sounds = memcmp(buffer.own, NO_SOUND, sizeof(NO_SOUND)) != 0


cdef inline void add(int32_t* sum, const int16_t* samples) noexcept nogil:
    cdef int n
    for n in range(FRAME):
        sum[n] += samples[n]


cdef void tell(Playout* listener, const int16_t* samples) noexcept nogil:
    """Say something to this listener alone."""
    if not listener.is_told:
        listener.is_told = True
        memset(listener.told, 0, sizeof(listener.told))
    add(listener.told, samples)


cdef void encode(const int32_t* sum, uint8_t* ulaw) noexcept nogil:
    """In two rounds, because several samples are limited at a time, and each is looked up alone."""
    cdef uint16_t places[FRAME]
    cdef int n, sample
    for n in range(FRAME):
        sample = sum[n]
        sample = -32768 if sample < -32768 else (32767 if sample > 32767 else sample)
        places[n] = <uint16_t>(sample + 32768)
    for n in range(FRAME):
        ulaw[n] = LINEAR_TO_ULAW[places[n]]


cdef void mix_frame(Mixer* mixer, Port* member) noexcept nogil:
    """What this member hears: the total without its own voice, and who speaks to it alone."""
    cdef Playout* playout = member.playout
    cdef bint is_heard = playout.sounds and not member.muted and not member.heard_by
    cdef int32_t sum[FRAME]
    cdef int n
    member.has_mixed = True
    if member.deaf:
        memcpy(playout.mixed, SILENCE, FRAME)
        return
    if not is_heard and not playout.is_told:
        memcpy(playout.mixed, mixer.shared, FRAME)
        return
    memcpy(sum, mixer.total, sizeof(sum))
    if is_heard:
        for n in range(FRAME):
            sum[n] -= playout.own[n]
    if playout.is_told:
        for n in range(FRAME):
            sum[n] += playout.told[n]
    encode(sum, playout.mixed)
