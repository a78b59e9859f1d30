/* Open-loop load: requests are due by the clock, whatever became of those before. One thread, epoll, keep-alive.
 *
 * openloop PORT PATH BODIES RATE SECONDS CONNECTIONS
 *
 * A request that finds no free connection is counted as unsent, not queued: each latency begins when its request was due.
 * On stdout: a line `status milliseconds` for each answer, then `unsent N`, `broken N`, `late N` (sent more than 1 ms after due).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 4096, ANSWER = 65536 };

struct connection {
    int file, busy, filled;
    double due;
    char answer[ANSWER];
};

struct request {
    char *bytes;
    size_t length;
};

static struct connection *connections;
static struct request *requests;
static int *idle, idle_count, request_count, poll_file;
static long unsent, broken, late;
static struct sockaddr_in server = {.sin_family = AF_INET};

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec + at.tv_nsec / 1e9;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void read_bodies(const char *path, const char *target, int port) {
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    if (!file) die(path);
    while ((length = getline(&line, &room, file)) > 0) {
        if (line[length - 1] == '\n') length--;
        char *head;
        int size = asprintf(&head,
            "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\nContent-Length: %zd\r\n\r\n",
            target, port, length);
        head = realloc(head, size + length);
        memcpy(head + size, line, length);
        requests = realloc(requests, (request_count + 1) * sizeof *requests);
        requests[request_count++] = (struct request){head, size + length};
    }
    fclose(file);
}

static void open_connection(int number) {
    struct connection *one = &connections[number];
    int yes = 1;
    one->file = socket(AF_INET, SOCK_STREAM, 0);
    if (one->file < 0 || connect(one->file, (struct sockaddr *)&server, sizeof server)) die("connect");
    setsockopt(one->file, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    fcntl(one->file, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = number};
    if (epoll_ctl(poll_file, EPOLL_CTL_ADD, one->file, &event)) die("epoll_ctl");
    one->busy = one->filled = 0;
    idle[idle_count++] = number;
}

static void reopen(int number) {
    close(connections[number].file);
    if (connections[number].busy) broken++;
    else
        for (int i = 0; i < idle_count; i++)
            if (idle[i] == number) idle[i] = idle[--idle_count];
    open_connection(number);
}

static void send_one(double due, long number) {
    if (!idle_count) {
        unsent++;
        return;
    }
    int free_one = idle[--idle_count];
    struct connection *one = &connections[free_one];
    struct request *what = &requests[number % request_count];
    one->busy = 1, one->filled = 0, one->due = due;
    if (now() - due > 0.001) late++;
    if (send(one->file, what->bytes, what->length, MSG_NOSIGNAL) != (ssize_t)what->length) reopen(free_one);
}

/* Whether the answer is whole; prints it then. */
static int whole(struct connection *one) {
    one->answer[one->filled] = 0;
    char *body = strstr(one->answer, "\r\n\r\n");
    char *length = strcasestr(one->answer, "content-length:");
    if (!body || !length || length > body) return 0;
    if (one->filled < (body - one->answer) + 4 + atol(length + 15)) return 0;
    printf("%.3s %.4f\n", one->answer + 9, (now() - one->due) * 1e3);
    return 1;
}

static void receive(int number) {
    struct connection *one = &connections[number];
    ssize_t length = recv(one->file, one->answer + one->filled, ANSWER - 1 - one->filled, 0);
    if (length < 0 && errno == EAGAIN) return;
    if (length <= 0 || !one->busy) {
        reopen(number);
        return;
    }
    one->filled += length;
    if (whole(one)) {
        one->busy = 0;
        idle[idle_count++] = number;
    }
}

int main(int count, char **words) {
    if (count != 7) {
        fprintf(stderr, "usage: openloop PORT PATH BODIES RATE SECONDS CONNECTIONS\n");
        return 2;
    }
    int port = atoi(words[1]), most = atoi(words[6]);
    double rate = atof(words[4]), seconds = atof(words[5]);
    if (most < 1 || most > MOST || rate <= 0) return 2;
    server.sin_port = htons(port);
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    read_bodies(words[3], words[2], port);
    if (!request_count) return 2;
    poll_file = epoll_create1(0);
    connections = calloc(most, sizeof *connections);
    idle = calloc(most, sizeof *idle);
    for (int i = 0; i < most; i++) open_connection(i);
    struct epoll_event events[MOST];
    double began = now();
    long number = 0;
    while (now() - began < seconds || idle_count < most) {
        double due = began + number / rate;
        if (now() - began > seconds + 10) break;
        while (due < began + seconds && due <= now()) {
            send_one(due, number++);
            due = began + number / rate;
        }
        int ready = epoll_wait(poll_file, events, MOST, due - now() > 0.002 || due >= began + seconds ? 1 : 0);
        for (int i = 0; i < ready; i++) receive(events[i].data.u32);
    }
    printf("unsent %ld\nbroken %ld\nlate %ld\n", unsent, broken + most - idle_count, late);
    return 0;
}
