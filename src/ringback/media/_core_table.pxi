# Who is connected to whom, what plays, and the end of ports, of mixers and of the pump.

cdef void part(Port* port) noexcept nogil:
    if port.peer != NULL:
        port.peer.peer = NULL
        port.peer = NULL


cdef void leave_mixer(Port* port) noexcept nogil:
    cdef Port** link
    if port.mixer == NULL:
        return
    link = &port.mixer.members
    while link[0] != port:
        link = &link[0].next_member
    link[0] = port.next_member
    port.next_member = NULL
    port.mixer = NULL
    port.has_mixed = False
    free(port.playout)
    port.playout = NULL


cdef bint start_playing(State* s, Playing* playing, int64_t play_id, const uint8_t* audio, int64_t size,
                        int64_t loops, PyObject* owner) noexcept nogil:
    """False without memory."""
    cdef PyObject** done
    cdef int room
    if s.buffers == s.done_room:
        room = max(64, 2 * s.done_room)
        done = <PyObject**>realloc(s.done, room * sizeof(PyObject*))
        if done == NULL:
            return False
        s.done = done
        s.done_room = room
    s.buffers += 1
    playing.active = True
    playing.play_id = play_id
    playing.audio = audio
    playing.size = size
    playing.position = 0
    playing.loops = loops
    playing.owner = owner
    return True


cdef void drop_port(State* s, Port* port) noexcept nogil:
    """Take it out of the table, say goodbye and close its sockets; `free_port` comes after the mutex."""
    part(port)
    leave_mixer(port)
    end_buffer(s, &port.playing)
    s.ports[port.id & ((1 << INDEX_BITS) - 1)] = NULL
    while s.port_top and s.ports[s.port_top - 1] == NULL:
        s.port_top -= 1
    send_report(port, monotonic(), wall_clock(), True)
    port.discarded = rb_discarded(port.rtp)
    c_close(port.rtp)
    c_close(port.rtcp)


cdef void free_port(Port* port) noexcept nogil:
    cdef Tap* tap
    while port.taps != NULL:
        tap = port.taps
        port.taps = tap.next
        free(tap)
    free(port)


cdef void drop_mixer(State* s, Mixer* mixer) noexcept nogil:
    while mixer.members != NULL:
        leave_mixer(mixer.members)
    end_buffer(s, &mixer.playing)
    s.mixers[mixer.id & ((1 << INDEX_BITS) - 1)] = NULL
    while s.mixer_top and s.mixers[s.mixer_top - 1] == NULL:
        s.mixer_top -= 1
    free(mixer)


cdef void shut(State* s, bint started) noexcept nogil:
    """End the thread and close everything. A command that comes later finds no port and no mixer."""
    cdef uint64_t one = 1
    cdef Port* port
    acquire(s)
    s.closing = True
    release(s)
    if started:
        c_write(s.wake, &one, sizeof(one))
        pthread_join(s.thread, NULL)
    acquire(s)
    while s.mixer_top:
        drop_mixer(s, s.mixers[s.mixer_top - 1])
    while s.port_top:
        port = s.ports[s.port_top - 1]
        drop_port(s, port)
        free_port(port)
    close_descriptor(&s.epoll)
    close_descriptor(&s.timer)
    close_descriptor(&s.wake)
    close_descriptor(&s.notice_fd)
    release(s)


cdef void close_descriptor(int* fd) noexcept nogil:
    if fd[0] >= 0:
        c_close(fd[0])
    fd[0] = -1
