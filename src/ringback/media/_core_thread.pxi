# The thread: waits for packets and for the timer; and the table of handles.

cdef enum:
    BATCH = 256
    MAX_BEHIND = 10            # ticks; a pump that slept longer does not send them all at once
    TIMER = 0                  # what epoll gives beside handles, which are never so small
    WAKE = 1

cdef double TICK = 0.020


cdef inline void acquire(State* s) noexcept nogil:
    """For commands: the thread lets them go first."""
    rb_add(&s.waiting, 1)
    pthread_mutex_lock(&s.mutex)
    rb_add(&s.waiting, -1)


cdef inline void release(State* s) noexcept nogil:
    pthread_mutex_unlock(&s.mutex)


cdef void give_way(State* s) noexcept nogil:
    """Let waiting commands in: a mutex of glibc is not fair."""
    cdef int n
    pthread_mutex_unlock(&s.mutex)
    for n in range(1000):
        if rb_read(&s.waiting) == 0:
            break
        sched_yield()
    pthread_mutex_lock(&s.mutex)


cdef bint watch(State* s, int fd, uint64_t key) noexcept nogil:
    cdef epoll_event event
    event.events = EPOLLIN
    event.data.u64 = key
    return epoll_ctl(s.epoll, EPOLL_CTL_ADD, fd, &event) == 0


cdef inline Port* port_of(State* s, int64_t id) noexcept nogil:
    cdef int64_t index = id & ((1 << INDEX_BITS) - 1)
    cdef Port* port
    if id < 0 or index >= s.port_top:
        return NULL
    port = s.ports[index]
    return port if port != NULL and port.id == id else NULL


cdef inline Mixer* mixer_of(State* s, int64_t id) noexcept nogil:
    cdef int64_t index = id & ((1 << INDEX_BITS) - 1)
    cdef Mixer* mixer
    if id < 0 or index >= s.mixer_top:
        return NULL
    mixer = s.mixers[index]
    return mixer if mixer != NULL and mixer.id == id else NULL


cdef void receive(State* s, Port* port, bint is_rtcp) noexcept nogil:
    """One datagram: epoll tells again when there are more, so that no socket starves the others.

    A socket has one packet each 20 ms, so recvmmsg would fetch one as well.
    """
    cdef uint8_t data[ROOM]
    cdef Endpoint source
    cdef ssize_t size
    source.size = sizeof(source.address)
    size = recvfrom(
        port.rtcp if is_rtcp else port.rtp, data, ROOM, MSG_DONTWAIT | MSG_TRUNC, &source.address.any, &source.size
    )
    if size < 0:                           # drained already, or an ICMP error of a packet sent before
        return
    if is_rtcp:
        on_rtcp(port, data, size, &source, monotonic(), wall_clock())
    else:
        on_rtp(s, port, data, size, &source, monotonic())


cdef void tick(State* s, double now) noexcept nogil:
    cdef double wall = wall_clock()
    cdef int index
    for index in range(s.mixer_top):
        if s.mixers[index] != NULL:
            tick_mixer(s, s.mixers[index])
    for index in range(s.port_top):
        if s.ports[index] != NULL:
            tick_port(s, s.ports[index], now, wall)
        if index % 64 == 63 and rb_read(&s.waiting):
            give_way(s)


cdef void on_timer(State* s) noexcept nogil:
    cdef uint64_t expirations
    cdef double now = monotonic()
    c_read(s.timer, &expirations, sizeof(expirations))
    if now - s.due > MAX_BEHIND * TICK:
        s.due = now
    while s.due <= now and not s.closing:
        tick(s, s.due)
        s.due += TICK


cdef void* pump_thread(void* argument) noexcept nogil:
    cdef State* s = <State*>argument
    cdef epoll_event ready[BATCH]
    cdef Port* port
    cdef uint64_t key
    cdef bint timer
    cdef int count, n
    cdef bint running = True
    while running:
        count = epoll_wait(s.epoll, ready, BATCH, -1)
        if count < 0 and errno != EINTR:
            break
        timer = False
        pthread_mutex_lock(&s.mutex)
        for n in range(count):
            key = ready[n].data.u64
            if key == TIMER:
                timer = True
            elif key != WAKE:
                port = port_of(s, <int64_t>(key >> 1))
                if port != NULL:
                    receive(s, port, key & 1)
            if n % 32 == 31 and rb_read(&s.waiting):
                give_way(s)
        if timer and not s.closing:
            on_timer(s)
        running = not s.closing
        pthread_mutex_unlock(&s.mutex)
        for n in range(1000):
            if rb_read(&s.waiting) == 0:
                break
            sched_yield()
    return NULL
