# Commands for what a port plays, spells and gives.

cdef class Sounds(Ports):
    cdef _play(self, int64_t port_id, int64_t mixer_id, int64_t play_id, bytes audio, int64_t loops):
        """To a port, or to a mixer when `port_id` is less than 0."""
        cdef State* s = self.s
        cdef Port* port = NULL
        cdef Mixer* mixer = NULL
        cdef Playing* playing = NULL
        cdef bint started = False
        cdef const uint8_t* data = <const uint8_t*><const char*>audio
        cdef int64_t size = len(audio)
        cdef PyObject* owner = <PyObject*>audio
        self._check()
        if size > MAX_AUDIO:
            raise UsageError(f"{size} bytes of audio, at most {MAX_AUDIO}")
        Py_INCREF(audio)
        with nogil:
            acquire(s)
            port = port_of(s, port_id)
            mixer = mixer_of(s, mixer_id)
            if port != NULL:
                end_playing(s, port, True)
                playing = &port.playing
            elif mixer != NULL:
                if mixer.playing.active:
                    emit(s, MIXER_PLAYED, mixer.id, mixer.playing.play_id, 1, 0, NULL, 0)
                    end_buffer(s, &mixer.playing)
                playing = &mixer.playing
            if playing != NULL:
                started = start_playing(s, playing, play_id, data, size, loops, owner)
                if port != NULL:
                    occupy(s, port)
            release(s)
        if not started:
            Py_DECREF(audio)
        self._release_buffers()
        if playing == NULL:
            raise UnknownPort(f"port {port_id}" if port_id >= 0 else f"mixer {mixer_id}")
        if not started:
            raise MemoryError

    def play(self, int64_t port_id, int64_t play_id, audio, int64_t loops):
        if loops < 0:
            raise UsageError(f"{loops} loops")
        self._play(max(port_id, 0), -1, play_id, bytes(audio), loops)

    def stop(self, int64_t port_id):
        cdef State* s = self.s
        cdef Port* port
        self._check()
        with nogil:
            acquire(s)
            port = port_of(s, port_id)
            if port != NULL:
                end_playing(s, port, True)
                end_spelling(s, port, True)
            release(s)

    def send_digits(self, int64_t port_id, digits, int64_t play_id):
        cdef State* s = self.s
        cdef Port* port
        cdef Spelling spelling
        self._check()
        try:
            text = checked(digits).encode()
        except RtpUsageError as error:
            raise UsageError(str(error)) from error
        memset(&spelling, 0, sizeof(spelling))
        spelling.active = spelling.has_id = True
        spelling.play_id = play_id
        spelling.size = len(text)
        memcpy(spelling.digits, <const char*>text, <size_t>spelling.size)
        with nogil:
            acquire(s)
            port = port_of(s, port_id)
            if port != NULL:
                end_spelling(s, port, True)
                port.spelling = spelling
                occupy(s, port)
            release(s)
        if port == NULL:
            raise UnknownPort(f"port {port_id}")

    def press(self, int64_t port_id, digit):
        cdef State* s = self.s
        cdef Port* port
        cdef int code
        self._check()
        if len(digit) != 1 or digit not in KEYS:
            raise UsageError(f"{digit!r} is no key")
        code = KEYS.index(digit)
        with nogil:
            acquire(s)
            port = port_of(s, port_id)
            if port != NULL and port.peer != NULL:
                spell_also(s, port.peer, code)
            release(s)
        if port == NULL:
            raise UnknownPort(f"port {port_id}")

    # Taps

    def tap(self, int64_t port_id, int64_t tap_id, track):
        cdef State* s = self.s
        cdef Port* port
        cdef Tap* tap
        cdef bint is_set = False
        self._check()
        if track not in ("inbound", "outbound"):
            raise UsageError(f"track {track!r}")
        if tap_id in self.taps:
            raise UsageError(f"tap {tap_id} is set already")
        self.taps[tap_id] = port_id        # before the GIL is released, so that an id is given once
        tap = <Tap*>calloc(1, sizeof(Tap))
        if tap != NULL:
            tap.tap_id = tap_id
            tap.is_inbound = track == "inbound"
            tap.since = monotonic()
        with nogil:
            acquire(s)
            port = port_of(s, port_id)
            if port != NULL and tap != NULL and port.tap_count < TAPS:
                tap.next = port.taps
                port.taps = tap
                port.tap_count += 1
                is_set = True
            release(s)
        if is_set:
            return
        del self.taps[tap_id]
        if tap == NULL:
            raise MemoryError
        free(tap)
        if port == NULL:
            raise UnknownPort(f"port {port_id}")
        raise Overload(f"{TAPS} taps on one port")

    def untap(self, int64_t tap_id):
        cdef State* s = self.s
        cdef Port* port
        cdef Tap** link
        cdef Tap* tap = NULL
        cdef int64_t port_id
        self._check()
        port_id = self.taps.pop(tap_id, -1)
        with nogil:
            acquire(s)
            port = port_of(s, port_id)
            if port != NULL:
                link = &port.taps
                while link[0] != NULL and link[0].tap_id != tap_id:
                    link = &link[0].next
                tap = link[0]
                if tap != NULL:
                    link[0] = tap.next
                    port.tap_count -= 1
            release(s)
        free(tap)
