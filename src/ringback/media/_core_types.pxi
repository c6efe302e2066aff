# Structures of the compiled pump. All of them are touched under State.mutex only.

cdef enum:
    FRAME = 160                # samples of 20 ms
    MAX_DATAGRAM = 1500        # ringback.rtp.limits
    ROOM = 2048                # a receive buffer
    CAPACITY = 3200            # ringback.rtp.playout
    DELAY = 320
    LATE_IN_A_ROW = 5
    WINDOW = 50
    MOST = 640
    SHORT = 240
    FADE = 480
    JOIN = 32
    MISSING = -32768           # no sample of G.711
    CANDIDATES = 8             # ringback.rtp.limits.MAX_CANDIDATES
    CONSISTENT = 5             # ringback.rtp.source.CONSISTENT_PACKETS
    DIGITS_ROOM = 256          # ringback.rtp.limits.MAX_DIGITS
    FRAMES_AT_ONCE = 400       # ringback.rtp.limits.MAX_FRAMES
    FRAME_RATE = 500           # ringback.rtp.limits
    DIGITS_AT_ONCE = 32        # ringback.rtp.limits.MAX_DIGITS_AT_ONCE
    DIGIT_RATE = 25            # ringback.rtp.limits
    PORTS = 32768              # ringback.media.limits
    MIXERS = 4096
    TAPS = 8
    EVENTS = 65536
    FRAME_EVENTS = 49152
    CNAME_SIZE = 16
    INDEX_BITS = 16            # of a handle; the rest is a number that is never used again

cdef enum:
    ULAW = 0
    ALAW = 1
    NO_CODEC = -1

cdef enum:
    DIGIT = 1
    PLAYED = 2
    LOCKED = 3
    SILENT = 4
    HEARD = 5
    FRAMES = 6
    MIXER_PLAYED = 7

cdef enum:
    NOBODY = 0
    OURS = 1
    RELAYED = 2

cdef union Socket:
    sockaddr any
    sockaddr_in v4
    sockaddr_in6 v6

cdef struct Endpoint:
    Socket address
    socklen_t size             # 0 for none

cdef struct Notice:            # an event on its way to Python
    int kind
    int flag
    int64_t id
    int64_t number
    double value
    int size
    uint8_t data[FRAME]

cdef struct Playing:
    bint active
    int64_t play_id
    const uint8_t* audio
    int64_t size
    int64_t position
    int64_t loops
    PyObject* owner            # keeps `audio` alive; given to State.done when it is over

cdef struct Candidate:
    Endpoint source
    uint32_t ssrc
    uint16_t sequence
    int count
    uint64_t heard             # order of the last packet

cdef struct Lock:              # ringback.rtp.source.SourceLock
    Endpoint source
    bint trusted
    bint kept_is_trusted
    bint nat                   # it is evident
    Endpoint kept
    Endpoint remote
    Endpoint signalling        # its port means nothing
    uint64_t order
    Candidate candidates[CANDIDATES]

cdef struct Outbound:          # ringback.rtp.outbound.OutboundStream
    uint32_t ssrc
    uint16_t next_sequence
    uint32_t timestamp
    uint32_t samples
    double at                  # less than 0: never
    int origin
    int64_t origin_port
    uint32_t origin_ssrc
    uint16_t sequence_shift
    uint32_t timestamp_shift
    uint16_t base
    uint16_t input
    uint32_t input_timestamp
    uint64_t packets
    uint64_t octets

cdef struct Stamp:
    uint16_t sequence
    uint32_t timestamp
    bint marker

cdef struct Reception:         # ringback.rtp.reception.Reception
    bint active
    uint32_t ssrc
    uint16_t base
    uint16_t highest
    int64_t cycles
    int bad                    # less than 0: none
    int64_t received
    int64_t prior_expected
    int64_t prior_received
    bint has_transit
    uint32_t transit
    int64_t jitter

cdef struct Dtmf:              # ringback.rtp.dtmf.DtmfReceiver
    int event                  # less than 0: none yet
    bint sounding
    uint32_t timestamp
    uint32_t carried
    uint32_t duration
    double at

cdef struct Allowance:         # ringback.rtp.allowance.Allowance; zeros are a full one, as no clock begins at zero
    double left
    double at

cdef struct Spelling:          # ringback.rtp.dtmf.DtmfSender
    bint active
    bint sounding
    bint has_id
    int64_t play_id
    int size
    int position
    int index
    uint32_t timestamp
    char digits[DIGITS_ROOM]

cdef struct Playout:           # ringback.rtp.playout.PlayoutBuffer
    bint active
    uint32_t ssrc
    uint32_t read
    uint32_t end
    uint32_t whole             # nothing is missing from there to the end
    int position
    int late
    int reads
    int missing                # samples in a row, up to FADE
    int64_t least
    int16_t samples[CAPACITY]
    int16_t own[FRAME]         # of this tick: what the member says
    bint sounds                # that is not silence
    bint is_told               # by those whom it alone hears, and what they say together
    int32_t told[FRAME]
    uint8_t mixed[FRAME]       # and what it is to hear

cdef struct Tap:
    Tap* next
    int64_t tap_id
    bint is_inbound
    double since
    bint anchored
    uint32_t anchor
    double anchor_ms
    uint32_t expected
    int size
    uint8_t held[FRAME]

cdef struct Reports:           # ringback.rtp.report.Reporter
    uint32_t last_sr
    double last_sr_at
    uint64_t packets_told
    double round_trip          # less than 0: unknown
    bint has_remote
    int fraction_lost
    int lost
    uint32_t jitter

cdef struct Configuration:
    bint active
    bint send
    bint receive
    int payload_type
    int receive_type           # of the codec in what comes
    int other_type             # of the other codec; less than 0: none
    int codec
    int dtmf_send              # less than 0: none
    int dtmf_receive
    Endpoint rtcp_remote

cdef struct Mixer             # below

cdef struct Port:              # what each packet needs comes first, so that it is in few lines of the cache
    int64_t id
    int rtp
    int rtcp
    Port* peer
    Mixer* mixer
    Tap* taps
    bint heard
    bint silent
    bint connected             # the RTP socket, to the locked source
    bint filtered              # the RTP socket lets the locked source in alone
    bint is_wild               # the RTP socket is bound to every address
    int steady                 # packets in a row that were believed
    bint is_near               # its peer's port is in our own range, and may be ours
    Allowance near
    Allowance told
    Reception reception
    int64_t packets_in
    int64_t bytes_in
    double first_at            # less than 0: never
    double last_at
    double quiet_since
    Outbound out
    Playing playing
    Configuration settings
    Lock lock
    double idle_since
    double report_at
    Port* next_member
    Playout* playout           # of a member of a mixer
    bint muted
    bint deaf
    int64_t heard_by           # the port that alone hears this member; 0: all do
    bint has_mixed
    int tap_count
    Endpoint rtcp_source
    bint rtcp_locked
    Dtmf dtmf
    Allowance digits
    Reports reports
    char cname[CNAME_SIZE]
    double opened_at
    int64_t strangers
    int64_t malformed
    uint32_t discarded         # by the kernel
    int64_t lost_before
    Spelling spelling

cdef struct Mixer:
    int64_t id
    Port* members
    Playing playing
    int32_t total[FRAME]       # of all who are heard by all
    uint8_t shared[FRAME]      # that, for those who say nothing to it

cdef struct State:
    pthread_mutex_t mutex
    int waiting                # commands that wait for the mutex; atomic
    bint closing
    pthread_t thread
    int epoll
    int timer
    int wake
    int notice_fd
    int first_port
    int last_port
    double report_after
    double silent_after
    double due                 # the next tick
    bint asleep                # without ports and mixers the timer is off
    uint64_t random
    int64_t last_number
    Port** ports
    uint8_t* busy              # by index: 1 for a port that each tick may send from, or that waits for a digit's end
    int port_top               # indices below it may be in use
    int64_t ticks              # begun so far
    bint in_tick               # one has begun and is not done
    double tick_at             # when it was due
    int tick_mixer             # the first mixer and the first port that it has still to serve
    int tick_port
    Mixer** mixers
    int mixer_top
    Notice* notices
    int notice_count
    int notice_room
    PyObject** done            # buffers that are played; released where the GIL is held
    int done_count
    int done_room
    int buffers                # buffers that play or are done
