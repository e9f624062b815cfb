// The limit: what the kernel alone asks for a request and its answer, on one thread, as well as is sensible.
// Owns a bare epoll loop that takes each readable event for one request and writes a constant; there is no
// parsing, no timeout, no Python. Not a server: never to be used as one. Compiled and run by peers.py as
// `limit PORT keep-alive` or `limit PORT close`, the latter for a connection per request.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD "HTTP/1.1 200 OK\r\nServer: limit\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
#define TAIL "Content-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!"
static const char KEEP[] = HEAD "Connection: keep-alive\r\n" TAIL;
static const char CLOSE[] = HEAD "Connection: close\r\n" TAIL;

static void check(int result, const char *what) {
    if (result < 0) {
        perror(what);
        exit(1);
    }
}

static int listen_on(int port) {
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    check(listener, "socket");
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    // Accepted sockets inherit it.
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    check(bind(listener, (struct sockaddr *)&address, sizeof address), "bind");
    check(listen(listener, 2048), "listen");
    return listener;
}

static void watch(int poller, int descriptor) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = descriptor};
    check(epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &event), "epoll_ctl");
}

// Returns whether the connection is over.
static int answer(int connection, int closes) {
    char request[16384];
    ssize_t size = read(connection, request, sizeof request);
    if (size <= 0)
        return 1;
    const char *response = closes ? CLOSE : KEEP;
    size_t length = closes ? sizeof CLOSE - 1 : sizeof KEEP - 1;
    return write(connection, response, length) != (ssize_t)length || closes;
}

// One connection an event: a failing accept would cost as much as half a request.
static void take(int listener, int poller) {
    int connection = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (connection >= 0)
        watch(poller, connection);
}

int main(int count, char **arguments) {
    if (count != 3) {
        fprintf(stderr, "limit PORT keep-alive|close\n");
        return 2;
    }
    int listener = listen_on(atoi(arguments[1])), closes = !strcmp(arguments[2], "close");
    int poller = epoll_create1(0);
    check(poller, "epoll_create1");
    watch(poller, listener);
    for (;;) {
        struct epoll_event events[256];
        int ready = epoll_wait(poller, events, 256, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.fd == listener)
                take(listener, poller);
            else if (answer(events[i].data.fd, closes))
                close(events[i].data.fd);
        }
    }
}
