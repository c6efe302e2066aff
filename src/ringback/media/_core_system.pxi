# The system's calls and structures, and the bytes of the wire.

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy, memmove, memset
from cpython.ref cimport Py_DECREF, Py_INCREF, PyObject

cdef extern from "sys/socket.h" nogil:
    ctypedef unsigned int socklen_t
    ctypedef struct sockaddr "struct sockaddr":
        uint16_t sa_family
    int AF_INET
    int AF_INET6

cdef extern from * nogil:
    """
    #include <stdint.h>
    #include <sys/epoll.h>
    #include <sys/socket.h>
    #include <sys/syscall.h>
    #include <unistd.h>

    /* The system calls of each packet. In libc's own a thread can be cancelled, which costs as much as all else that
       the pump does with a packet: a locked instruction before and after each. */
    static inline ssize_t rb_receive(int fd, void *data, size_t room, struct sockaddr *source, socklen_t *size) {
        return syscall(SYS_recvfrom, fd, data, room, MSG_DONTWAIT | MSG_TRUNC, source, size);
    }
    static inline ssize_t rb_send(int fd, const void *data, size_t size, const struct sockaddr *to, socklen_t room) {
        return syscall(SYS_sendto, fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL, to, room);
    }

    static inline int rb_add(int *counter, int n) { return __atomic_add_fetch(counter, n, __ATOMIC_SEQ_CST); }
    static inline int rb_read(int *counter) { return __atomic_load_n(counter, __ATOMIC_SEQ_CST); }
    static inline uint16_t rb_get16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }
    static inline uint32_t rb_get32(const uint8_t *p) {
        return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    }
    static inline void rb_put16(uint8_t *p, uint16_t v) { p[0] = (uint8_t)(v >> 8); p[1] = (uint8_t)v; }
    static inline void rb_put32(uint8_t *p, uint32_t v) {
        p[0] = (uint8_t)(v >> 24); p[1] = (uint8_t)(v >> 16); p[2] = (uint8_t)(v >> 8); p[3] = (uint8_t)v;
    }
    static inline int rb_step16(uint16_t earlier, uint16_t later) { return (int16_t)(uint16_t)(later - earlier); }
    static inline int rb_step32(uint32_t earlier, uint32_t later) { return (int32_t)(later - earlier); }
    """
    ssize_t rb_receive(int fd, void* data, size_t room, sockaddr* source, socklen_t* size)
    ssize_t rb_send(int fd, const void* data, size_t size, const sockaddr* to, socklen_t room)
    int rb_add(int* counter, int n)
    int rb_read(int* counter)
    uint16_t rb_get16(const uint8_t* p)
    uint32_t rb_get32(const uint8_t* p)
    void rb_put16(uint8_t* p, uint16_t v)
    void rb_put32(uint8_t* p, uint32_t v)
    int rb_step16(uint16_t earlier, uint16_t later)
    int rb_step32(uint32_t earlier, uint32_t later)

cdef extern from "errno.h" nogil:
    int errno
    int EAGAIN
    int EINTR

cdef extern from "unistd.h" nogil:
    int c_close "close"(int fd)
    ssize_t c_read "read"(int fd, void* data, size_t size)
    ssize_t c_write "write"(int fd, const void* data, size_t size)

cdef extern from "signal.h" nogil:
    ctypedef struct sigset_t:
        pass
    int SIG_SETMASK
    int sigfillset(sigset_t* signals)
    int pthread_sigmask(int how, const sigset_t* new, sigset_t* old)

cdef extern from "pthread.h" nogil:
    ctypedef struct pthread_mutex_t:
        pass
    ctypedef unsigned long pthread_t
    ctypedef struct pthread_mutexattr_t:
        pass
    int PTHREAD_PRIO_INHERIT
    int pthread_mutexattr_init(pthread_mutexattr_t* attributes)
    int pthread_mutexattr_setprotocol(pthread_mutexattr_t* attributes, int protocol)
    int pthread_mutexattr_destroy(pthread_mutexattr_t* attributes)
    int pthread_mutex_init(pthread_mutex_t* mutex, pthread_mutexattr_t* attributes)
    int pthread_mutex_lock(pthread_mutex_t* mutex)
    int pthread_mutex_unlock(pthread_mutex_t* mutex)
    int pthread_mutex_destroy(pthread_mutex_t* mutex)
    int pthread_create(pthread_t* thread, void* attributes, void* (*run)(void*) noexcept nogil, void* argument)
    int pthread_join(pthread_t thread, void** result)

cdef extern from "time.h" nogil:
    ctypedef struct timespec "struct timespec":
        long tv_sec
        long tv_nsec
    int CLOCK_MONOTONIC
    int CLOCK_REALTIME
    int clock_gettime(int clock, timespec* time)
    int TIMER_ABSTIME
    int clock_nanosleep(int clock, int flags, const timespec* time, timespec* rest)

cdef extern from "sys/timerfd.h" nogil:
    ctypedef struct itimerspec "struct itimerspec":
        timespec it_interval
        timespec it_value
    int TFD_NONBLOCK
    int TFD_CLOEXEC
    int timerfd_create(int clock, int flags)
    int timerfd_settime(int fd, int flags, const itimerspec* value, itimerspec* old)

cdef extern from "sys/eventfd.h" nogil:
    int EFD_NONBLOCK
    int EFD_CLOEXEC
    int eventfd(unsigned int value, int flags)

cdef extern from "sys/epoll.h" nogil:
    ctypedef union epoll_data_t:
        uint64_t u64
    ctypedef struct epoll_event "struct epoll_event":
        uint32_t events
        epoll_data_t data
    int EPOLLIN
    int EPOLL_CTL_ADD
    int EPOLL_CTL_DEL
    int EPOLL_CLOEXEC
    int epoll_create1(int flags)
    int epoll_ctl(int epoll, int what, int fd, epoll_event* event)
    int epoll_wait(int epoll, epoll_event* events, int count, int milliseconds)

cdef extern from "netinet/in.h" nogil:
    ctypedef struct in_addr:
        uint32_t s_addr
    ctypedef struct in6_addr:
        uint8_t s6_addr[16]
    ctypedef struct sockaddr_in "struct sockaddr_in":
        uint16_t sin_family
        uint16_t sin_port
        in_addr sin_addr
    ctypedef struct sockaddr_in6 "struct sockaddr_in6":
        uint16_t sin6_family
        uint16_t sin6_port
        in6_addr sin6_addr
    uint16_t htons(uint16_t value)
    uint16_t ntohs(uint16_t value)

cdef extern from "arpa/inet.h" nogil:
    int inet_pton(int family, const char* text, void* address)
    const char* inet_ntop(int family, const void* address, char* text, socklen_t size)
