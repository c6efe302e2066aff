# Commands for mixers, and with them all of a pump's.

cdef class CorePump(Sounds):
    """See `ringback.media.pump.Pump`."""

    def open_mixer(self):
        cdef State* s = self.s
        cdef Mixer* mixer
        cdef int index = 0
        self._check()
        mixer = <Mixer*>calloc(1, sizeof(Mixer))
        if mixer == NULL:
            raise MemoryError
        with nogil:
            acquire(s)
            while index < MIXERS and s.mixers[index] != NULL:
                index += 1
            if index < MIXERS:
                s.last_number += 1
                mixer.id = s.last_number << INDEX_BITS | index
                s.mixers[index] = mixer
                s.mixer_top = max(s.mixer_top, index + 1)
                if s.asleep:
                    set_timer(s, True)
            release(s)
        if index == MIXERS:
            free(mixer)
            raise Overload("too many mixers")
        return mixer.id

    def mix(self, int64_t mixer_id, int64_t port_id, *, bint muted=False, bint deaf=False, int64_t heard_by=0):
        cdef State* s = self.s
        cdef Mixer* mixer
        cdef Port* port
        cdef Playout* playout
        self._check()
        playout = <Playout*>calloc(1, sizeof(Playout))
        if playout == NULL:
            raise MemoryError
        with nogil:
            acquire(s)
            mixer = mixer_of(s, mixer_id)
            port = port_of(s, port_id)
            if mixer != NULL and port != NULL:
                part(port)
                if port.mixer != mixer:
                    leave_mixer(port)
                    port.playout = playout
                    playout = NULL
                    port.mixer = mixer
                    port.next_member = mixer.members
                    mixer.members = port
                port.muted = muted
                port.deaf = deaf
                port.heard_by = heard_by
                occupy(s, port)
            release(s)
        free(playout)
        if mixer == NULL or port == NULL:
            raise UnknownPort(f"mixer {mixer_id}" if mixer == NULL else f"port {port_id}")

    def set_muted(self, int64_t mixer_id, int64_t port_id, bint muted):
        cdef State* s = self.s
        cdef Mixer* mixer
        cdef Port* port
        cdef bint is_member
        self._check()
        with nogil:
            acquire(s)
            mixer = mixer_of(s, mixer_id)
            port = port_of(s, port_id)
            is_member = mixer != NULL and port != NULL and port.mixer == mixer
            if is_member:
                port.muted = muted
            release(s)
        if not is_member:
            raise UnknownPort(f"port {port_id} is not in mixer {mixer_id}")

    def unmix(self, int64_t mixer_id, int64_t port_id):
        cdef State* s = self.s
        cdef Mixer* mixer
        cdef Port* port
        self._check()
        with nogil:
            acquire(s)
            mixer = mixer_of(s, mixer_id)
            port = port_of(s, port_id)
            if mixer != NULL and port != NULL and port.mixer == mixer:
                leave_mixer(port)
            release(s)

    def close_mixer(self, int64_t mixer_id):
        cdef State* s = self.s
        cdef Mixer* mixer
        self._check()
        with nogil:
            acquire(s)
            mixer = mixer_of(s, mixer_id)
            if mixer != NULL:
                drop_mixer(s, mixer)
            release(s)

    def play_mixer(self, int64_t mixer_id, int64_t play_id, audio):
        self._play(-1, max(mixer_id, 0), play_id, bytes(audio), 1)
