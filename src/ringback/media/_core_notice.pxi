# Events on their way to Python, and what ends with one.

cdef void emit(
    State* s, int kind, int64_t id, int64_t number, int flag, double value, const uint8_t* data, int size
) noexcept nogil:
    """Queue an event. One that finds no room is dropped: its reader is stuck."""
    cdef int room
    cdef Notice* notices
    cdef Notice* notice
    cdef uint64_t one = 1
    if s.notice_count >= (FRAME_EVENTS if kind == FRAMES else EVENTS):
        return
    if s.notice_count == s.notice_room:
        room = max(256, 2 * s.notice_room)
        notices = <Notice*>realloc(s.notices, room * sizeof(Notice))
        if notices == NULL:
            return
        s.notices = notices
        s.notice_room = room
    if s.notice_count == 0:
        c_write(s.notice_fd, &one, sizeof(one))
    notice = &s.notices[s.notice_count]
    s.notice_count += 1
    notice.kind = kind
    notice.id = id
    notice.number = number
    notice.flag = flag
    notice.value = value
    notice.size = size
    if size:
        memcpy(notice.data, data, <size_t>size)


cdef inline void occupy(State* s, Port* port) noexcept nogil:
    """It has something to do in the next tick."""
    s.busy[port.id & ((1 << INDEX_BITS) - 1)] = 1


cdef void end_buffer(State* s, Playing* playing) noexcept nogil:
    """The buffer is over: Python releases it later. `done` has room for all buffers."""
    if playing.active:
        s.done[s.done_count] = playing.owner
        s.done_count += 1
        playing.active = False


cdef void end_playing(State* s, Port* port, bint interrupted) noexcept nogil:
    if port.playing.active:
        emit(s, PLAYED, port.id, port.playing.play_id, interrupted, 0, NULL, 0)
        end_buffer(s, &port.playing)


cdef void end_spelling(State* s, Port* port, bint interrupted) noexcept nogil:
    if port.spelling.active and port.spelling.has_id:
        emit(s, PLAYED, port.id, port.spelling.play_id, interrupted, 0, NULL, 0)
    port.spelling.active = port.spelling.has_id = port.spelling.sounding = False
