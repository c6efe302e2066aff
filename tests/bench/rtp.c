/* RTP for the bench.

   rtp phones COUNT SECONDS   COUNT phones, each a packet of 172 bytes every 20 ms, spread over the 20 ms. What comes
                              back is dropped. The time of sending travels in the payload; the kernel says when a
                              packet came back, so that it does not count how late this program reads it. Phones that
                              were kept from sending go on from where they are: a burst would measure itself.
   rtp floor COUNT            The least that a relay of COUNT ports can do: recvfrom on one port of a pair, sendto
                              from the other. Ends when its input does.

   Both run in real time where that is allowed, as the pump does.

   Both print their ports on a line, and read on a line where to send from each. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 8192, PACKET = 172, BUFFER = 262144 };

enum { BURST_MS = 1 }; /* what may be sent at once, of the time that passed */

static int sockets[MOST];
static struct sockaddr_in targets[MOST];
static double *delays;
static int *owners;
static double least[MOST];
static long kept, room;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t); /* what SO_TIMESTAMPNS tells */
    return t.tv_sec + t.tv_nsec / 1e9;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int open_all(int count, int stamps) {
    struct rlimit files;
    int queue = epoll_create1(0), size = BUFFER, yes = 1;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    for (int i = 0; i < count; i++) {
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t length = sizeof address;
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        sockets[i] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        if (sockets[i] < 0 || bind(sockets[i], (struct sockaddr *)&address, sizeof address)) exit(1);
        setsockopt(sockets[i], SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
        if (stamps) setsockopt(sockets[i], SOL_SOCKET, SO_TIMESTAMPNS, &yes, sizeof yes);
        getsockname(sockets[i], (struct sockaddr *)&address, &length);
        epoll_ctl(queue, EPOLL_CTL_ADD, sockets[i], &event);
        printf("%d ", ntohs(address.sin_port));
    }
    printf("\n");
    fflush(stdout);
    for (int i = 0; i < count; i++) {
        int port;
        if (scanf("%d", &port) != 1) exit(1);
        targets[i] = (struct sockaddr_in){
            .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    }
    return queue;
}

/* A packet and when it came, as recv. */
static ssize_t take(int fd, void *data, size_t room, double *at) {
    char control[CMSG_SPACE(sizeof(struct timespec))];
    struct iovec part = {data, room};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t size = recvmsg(fd, &message, 0);
    struct cmsghdr *told = size < 0 ? NULL : CMSG_FIRSTHDR(&message);
    struct timespec t;
    if (told && told->cmsg_type == SCM_TIMESTAMPNS) {
        memcpy(&t, CMSG_DATA(told), sizeof t);
        *at = t.tv_sec + t.tv_nsec / 1e9;
    } else {
        *at = now();
    }
    return size;
}

/* Read what came, or what comes within so many seconds. */
static long drain(int queue, double wait) {
    struct epoll_event events[256];
    struct timespec most = {(time_t)wait, (long)((wait - (time_t)wait) * 1e9)};
    unsigned char data[2048];
    double came_at;
    long came = 0;
    int ready = epoll_pwait2(queue, events, 256, &most, NULL);
    for (int i = 0; i < ready; i++) {
        int owner = events[i].data.u32;
        ssize_t size;
        while ((size = take(sockets[owner], data, sizeof data, &came_at)) >= 0) {
            double sent_at, delay;
            if (size < PACKET || (data[1] & 0x7f)) continue; /* RTCP, or of another payload type */
            memcpy(&sent_at, data + 12, sizeof sent_at);
            if (!(sent_at > 1)) continue; /* a frame of silence that the relay made */
            delay = came_at - sent_at;
            came++;
            if (least[owner] == 0 || delay < least[owner]) least[owner] = delay;
            if (kept < room) {
                delays[kept] = delay;
                owners[kept++] = owner;
            }
        }
    }
    return came;
}

static void phones(int count, double seconds) {
    int queue = open_all(count, 1);
    long total = (long)(seconds / 0.020) * count, sent = 0, came = 0;
    unsigned char packet[PACKET] = {0x80, 0};
    double began, jitter50, jitter99, delay50;
    room = total;
    delays = malloc(room * sizeof *delays + 8);
    owners = malloc(room * sizeof *owners + 8);
    began = now();
    while (sent < total) {
        double at = now();
        long due = (long)((at - began) / 0.020 * count);
        long late = due - sent - (long)(BURST_MS / 20.0 * count) - 1;
        if (late > 0) {
            due -= late;
            began += late * 0.020 / count;
        }
        if (due > total) due = total;
        for (int burst = 0; sent < due && burst < 64; burst++, sent++) {
            int i = sent % count;
            uint16_t number = htons(sent / count);
            uint32_t stamp = htonl(160 * (sent / count)), source = htonl(i + 1);
            memcpy(packet + 2, &number, 2);
            memcpy(packet + 4, &stamp, 4);
            memcpy(packet + 8, &source, 4);
            at = now();
            memcpy(packet + 12, &at, sizeof at);
            sendto(sockets[i], packet, PACKET, 0, (struct sockaddr *)&targets[i], sizeof targets[i]);
        }
        at = began + (sent + 1) * 0.020 / count - now(); /* until the next packet */
        came += drain(queue, at > 0 ? at : 0);
    }
    for (double end = now() + 0.5; now() < end;) came += drain(queue, 0.02);
    {
        double *added = malloc(kept * sizeof *added + 8);
        for (long k = 0; k < kept; k++) added[k] = delays[k] - least[owners[k]];
        qsort(added, kept, sizeof *added, ascending);
        qsort(delays, kept, sizeof *delays, ascending);
        delay50 = kept ? delays[kept / 2] : 0;
        jitter50 = kept ? added[kept / 2] : 0;
        jitter99 = kept ? added[kept * 99 / 100] : 0;
    }
    printf("%ld %ld %.6f %.6f %.6f\n", total, came, delay50, jitter50, jitter99);
}

static void relay(int count) {
    int queue = open_all(count, 0);
    struct epoll_event events[256], end = {.events = EPOLLIN, .data.u32 = MOST};
    unsigned char data[2048];
    epoll_ctl(queue, EPOLL_CTL_ADD, 0, &end);
    for (;;) {
        int ready = epoll_wait(queue, events, 256, -1);
        for (int i = 0; i < ready; i++) {
            int from = events[i].data.u32, to = from ^ 1;
            struct sockaddr_in source;
            socklen_t length = sizeof source;
            ssize_t size;
            if (from == MOST) {
                if (read(0, data, sizeof data) <= 0) return;
                continue;
            }
            size = recvfrom(sockets[from], data, sizeof data, 0, (struct sockaddr *)&source, &length);
            if (size > 0) sendto(sockets[to], data, size, 0, (struct sockaddr *)&targets[to], sizeof source);
        }
    }
}

int main(int count, char **words) {
    int ports = count > 2 ? atoi(words[2]) : 0;
    struct sched_param priority = {.sched_priority = 10};
    if (ports < 2 || ports > MOST) return 2;
    sched_setscheduler(0, SCHED_RR, &priority);
    if (!strcmp(words[1], "phones") && count > 3) phones(ports, atof(words[3]));
    else if (!strcmp(words[1], "floor")) relay(ports);
    else return 2;
    return 0;
}
