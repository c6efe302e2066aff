# How the pump's thread is scheduled. A packet that waits for a core is as late as one that waits in a network: at normal
# priority it waits behind whoever computes. So the thread asks for real time (SCHED_RR), which a normal user has by
# CAP_SYS_NICE or RLIMIT_RTPRIO alone. It only ever sleeps, relays, and sleeps again; where it does not get to sleep
# (a flood, more calls than a core can carry), it competes as everybody does until that is over.

cdef extern from "sched.h" nogil:
    ctypedef struct sched_param "struct sched_param":
        int sched_priority
    int SCHED_OTHER
    int SCHED_RR
    int SCHED_RESET_ON_FORK
    int sched_setscheduler(int thread, int policy, const sched_param* parameters)

cdef extern from "sys/resource.h" nogil:
    ctypedef struct rusage "struct rusage":
        long ru_nvcsw
    int RUSAGE_THREAD
    int getrusage(int who, rusage* usage)

cdef enum:
    PRIORITY = 10              # of real time: above normal threads, below what the kernel does for itself (50)
    TIRELESS_TICKS = 25        # without a moment of sleep until the thread is one of many


cdef struct Pace:
    bint allowed
    bint is_real_time
    long sleeps                # so far, at the last tick
    int tireless               # ticks since it slept


cdef void ask_for_real_time(Pace* pace) noexcept nogil:
    cdef sched_param parameters
    parameters.sched_priority = PRIORITY
    pace.is_real_time = pace.allowed = sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &parameters) == 0


cdef void keep_pace(Pace* pace) noexcept nogil:
    """Each tick: give real time back when there was no sleep for long, and ask for it again after the next."""
    cdef sched_param parameters
    cdef rusage usage
    if not pace.allowed:
        return
    getrusage(RUSAGE_THREAD, &usage)
    if usage.ru_nvcsw != pace.sleeps:
        pace.sleeps = usage.ru_nvcsw
        pace.tireless = 0
        if not pace.is_real_time:
            ask_for_real_time(pace)
    elif pace.is_real_time:
        pace.tireless += 1
        if pace.tireless >= TIRELESS_TICKS:
            parameters.sched_priority = 0
            sched_setscheduler(0, SCHED_OTHER, &parameters)
            pace.is_real_time = False
