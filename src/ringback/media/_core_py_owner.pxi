# What the commands stand on: the state, from its making to its end, and the events.

cdef class Owner:
    """The pump's memory, its thread and its descriptors; its events."""

    cdef State* s
    cdef bint closed
    cdef bint started
    cdef object pairs
    cdef dict names
    cdef dict taps

    def __cinit__(self, rtp_ports, *, double report_after=REPORT_AFTER, double silent_after=SILENT_AFTER):
        self.pairs = PortPairs(rtp_ports, _bind_both)
        self.names = {}
        self.taps = {}
        self.s = <State*>calloc(1, sizeof(State))
        if self.s == NULL:
            raise MemoryError
        self.s.ports = <Port**>calloc(PORTS, sizeof(Port*))
        self.s.mixers = <Mixer**>calloc(MIXERS, sizeof(Mixer*))
        self.s.busy = <uint8_t*>calloc(PORTS, sizeof(uint8_t))
        if self.s.ports == NULL or self.s.mixers == NULL or self.s.busy == NULL:
            raise MemoryError
        if not init_mutex(&self.s.mutex):
            raise OSError(errno, "the pump cannot have its mutex")
        self.s.first_port, self.s.last_port = rtp_ports
        self.s.report_after = report_after
        self.s.silent_after = silent_after
        self.s.random = secrets.randbits(63) | 1
        self.s.epoll = epoll_create1(EPOLL_CLOEXEC)
        self.s.timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)
        self.s.wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)
        self.s.notice_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)
        if min(self.s.epoll, self.s.timer, self.s.wake, self.s.notice_fd) < 0:
            raise OSError(errno, "the pump cannot have its descriptors")
        self._start()

    cdef _start(self):
        cdef sigset_t signals, before
        if not set_timer(self.s, True) or not watch(self.s, self.s.timer, TIMER):
            raise OSError(errno, "the pump cannot have its timer")
        if not watch(self.s, self.s.wake, WAKE):
            raise OSError(errno, "the pump cannot be woken")
        sigfillset(&signals)               # signals belong to Python's main thread
        pthread_sigmask(SIG_SETMASK, &signals, &before)
        failure = pthread_create(&self.s.thread, NULL, pump_thread, self.s)
        pthread_sigmask(SIG_SETMASK, &before, NULL)
        if failure:
            raise OSError(failure, "the pump cannot have its thread")
        self.started = True

    cdef _check(self):
        if self.closed:
            raise UsageError("the pump is closed")

    # Events

    def fileno(self):
        return self.s.notice_fd

    def events(self):
        cdef State* s = self.s
        cdef Notice* notices
        cdef uint64_t counter
        cdef int count, n
        if self.closed:
            return []
        with nogil:
            acquire(s)
            if not s.closing:
                c_read(s.notice_fd, &counter, sizeof(counter))
            notices = s.notices
            count = s.notice_count
            s.notices = NULL
            s.notice_count = s.notice_room = 0
            release(s)
        try:
            return [event_of(&notices[n]) for n in range(count)]
        finally:
            free(notices)
            self._release_buffers()

    cdef _release_buffers(self):
        cdef State* s = self.s
        cdef PyObject** done
        cdef int count, n
        with nogil:
            acquire(s)
            done = s.done
            count = s.done_count
            if count:                      # the thread goes on with an array of its own
                s.done = <PyObject**>malloc(s.done_room * sizeof(PyObject*))
                if s.done == NULL:
                    s.done = done
                    count = 0
                else:
                    s.done_count = 0
                    s.buffers -= count
            release(s)
        if count:
            for n in range(count):
                Py_DECREF(<object>done[n])
            free(done)

    # The end

    def close(self):
        """Say goodbye on all ports and end the thread; memory is freed when nobody knows the pump any more."""
        if self.closed:
            return
        self.closed = True
        shut(self.s, self.started)
        self._release_buffers()
        for host, port in self.names.values():
            self.pairs.release(host, port)

    def __dealloc__(self):
        cdef int n
        if self.s == NULL:
            return
        if not self.closed:
            shut(self.s, self.started)
        for n in range(self.s.done_count):
            Py_DECREF(<object>self.s.done[n])
        free(self.s.notices)
        free(self.s.done)
        free(self.s.ports)
        free(self.s.busy)
        free(self.s.mixers)
        pthread_mutex_destroy(&self.s.mutex)
        free(self.s)
