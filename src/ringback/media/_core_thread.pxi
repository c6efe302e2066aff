# The thread: waits for packets and for the timer; and the table of handles.

cdef extern from "sys/prctl.h" nogil:
    int PR_SET_NAME
    int prctl(int option, const char* name, long a, long b, long c)

cdef enum:
    BATCH = 64
    SLICE = 64                 # ports of a tick between two looks at the sockets
    IDLE_TICKS = 5             # a port with nothing to send is looked after each 0.1 s
    LOOKS = 16                 # without a rest, unless a batch is full: a socket that is flooded is left to fill up
    MAX_BEHIND = 10            # ticks; a pump that slept longer does not send them all at once
    TIMER = 0                  # what epoll gives beside handles, which are never so small
    WAKE = 1

cdef double TICK = 0.020
cdef double REST = 0.001       # from one look at the sockets to the next, when there is much to do


cdef bint init_mutex(pthread_mutex_t* mutex) noexcept nogil:
    """One that goes to who waited for it, and whose holder has the priority of those who wait."""
    cdef pthread_mutexattr_t attributes
    pthread_mutexattr_init(&attributes)
    failure = pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT)
    failure = failure or pthread_mutex_init(mutex, &attributes)
    pthread_mutexattr_destroy(&attributes)
    return failure == 0


cdef inline void acquire(State* s) noexcept nogil:
    """For commands: the thread lets them go first."""
    rb_add(&s.waiting, 1)
    pthread_mutex_lock(&s.mutex)
    rb_add(&s.waiting, -1)


cdef inline void release(State* s) noexcept nogil:
    pthread_mutex_unlock(&s.mutex)


cdef inline void give_way(State* s) noexcept nogil:
    """Let a waiting command in: the kernel hands a mutex with priority inheritance over to it."""
    if rb_read(&s.waiting):
        pthread_mutex_unlock(&s.mutex)
        pthread_mutex_lock(&s.mutex)


cdef bint watch(State* s, int fd, uint64_t key) noexcept nogil:
    cdef epoll_event event
    event.events = EPOLLIN
    event.data.u64 = key
    return epoll_ctl(s.epoll, EPOLL_CTL_ADD, fd, &event) == 0


cdef bint set_timer(State* s, bint on) noexcept nogil:
    cdef itimerspec every
    memset(&every, 0, sizeof(every))
    if on:
        every.it_interval.tv_nsec = every.it_value.tv_nsec = 20000000
        s.due = monotonic() + TICK
    s.asleep = not on
    return timerfd_settime(s.timer, 0, &every, NULL) == 0


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


cdef void receive(State* s, Port* port, bint is_rtcp, double now) noexcept nogil:
    """One datagram: epoll tells again when there are more, so that no socket starves the others.

    A socket has one packet each 20 ms, so recvmmsg would fetch one as well.
    """
    cdef uint8_t data[ROOM]
    cdef Endpoint source
    cdef ssize_t size
    source.size = sizeof(source.address)
    size = rb_receive(port.rtcp if is_rtcp else port.rtp, data, ROOM, &source.address.any, &source.size)
    if size < 0:                           # drained already, or an ICMP error of a packet sent before
        return
    if is_rtcp:
        on_rtcp(port, data, size, &source, now, wall_clock())
    else:
        on_rtp(s, port, data, size, &source, now)


cdef void go_on_with_tick(State* s) noexcept nogil:
    """Serve some mixers or ports, so that packets to relay do not wait for all of them."""
    cdef double wall
    cdef int index = s.tick_mixer, served = 0
    while index < s.mixer_top and served < SLICE // 16:
        if s.mixers[index] != NULL:
            tick_mixer(s, s.mixers[index])
            served += 1
        index += 1
    s.tick_mixer = index
    if index < s.mixer_top:
        return
    wall = wall_clock()
    index = s.tick_port
    while index < s.port_top and served < SLICE:
        if s.busy[index] or (index + s.ticks) % IDLE_TICKS == 0:
            if s.ports[index] != NULL:
                s.busy[index] = tick_port(s, s.ports[index], s.tick_at, wall)
                served += 1
        index += 1
    s.tick_port = index
    s.in_tick = index < s.port_top


cdef void begin_tick(State* s) noexcept nogil:
    """The next one that is due, when the one before is done."""
    cdef double now = monotonic()
    if now - s.due > MAX_BEHIND * TICK:
        s.due = now
    if s.due <= now:
        s.ticks += 1
        s.in_tick = True
        s.tick_at = s.due
        s.tick_mixer = s.tick_port = 0
        s.due += TICK


cdef bint take(State* s, const epoll_event* ready, int count) noexcept nogil:
    """A datagram of each socket that has one; whether the timer is among them. The clock is read for 16 at a time."""
    cdef double now = monotonic()
    cdef Port* port
    cdef uint64_t key, expirations
    cdef bint timer = False
    cdef int n
    for n in range(count):
        key = ready[n].data.u64
        if key == TIMER:
            c_read(s.timer, &expirations, sizeof(expirations))
            timer = True
        elif key != WAKE:
            port = port_of(s, <int64_t>(key >> 1))
            if port != NULL:
                receive(s, port, key & 1, now)
        if n % 16 == 15:
            give_way(s)
            now = monotonic()
    return timer


cdef void rest(double until) noexcept nogil:
    cdef timespec at
    at.tv_sec = <long>until
    at.tv_nsec = <long>((until - at.tv_sec) * 1e9)
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL)


cdef void* pump_thread(void* argument) noexcept nogil:
    """Look at the sockets until they are empty, then wait for the next packet.

    Under load it rests before, so that packets come together: to be woken for each costs as much as to relay it.
    """
    cdef State* s = <State*>argument
    cdef epoll_event ready[BATCH]
    cdef Pace pace
    cdef double woke_at = 0, woke_before = 0
    cdef bint running = True, ticking = False, idle = True
    cdef int count, looks = 0
    memset(&pace, 0, sizeof(pace))
    prctl(PR_SET_NAME, <const char*>"ringback-pump", 0, 0, 0)
    ask_for_real_time(&pace)
    while running:
        count = epoll_wait(s.epoll, ready, BATCH, -1 if idle and not ticking else 0)
        if count < 0 and errno != EINTR:
            break
        if idle:
            woke_before = woke_at
            woke_at = monotonic()
            looks = 0
        idle = count <= 0
        if count < BATCH:
            looks += 1
        pthread_mutex_lock(&s.mutex)
        if take(s, ready, count):
            ticking = True
            keep_pace(&pace)
        if ticking and not s.closing:
            if not s.in_tick:
                begin_tick(s)
            if s.in_tick:
                go_on_with_tick(s)
            if s.port_top == 0 and s.mixer_top == 0:
                set_timer(s, False)
            ticking = not s.asleep and (s.in_tick or s.due <= monotonic())
        running = not s.closing
        pthread_mutex_unlock(&s.mutex)
        if (idle or looks > LOOKS) and not ticking and woke_at - woke_before < 2 * REST:
            rest(woke_at + REST)
            idle = True
    return NULL
