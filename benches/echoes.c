// WebSocket messages as a load: what wrk is for requests, told in wrk's words, so that measure.py reads both alike.
// Owns connections that send one short text each, wait until it comes back, and send it again. Whatever else comes
// is an error and ends its connection. Compiled and run by measure.py as `echoes PORT CONNECTIONS SECONDS`; with no
// seconds each connection sends once. Never to be used as a client: it answers no ping, and its masking key is
// everybody's. Servers that ping do so after 20 seconds.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define TEXT "Hello, World!"
#define LENGTH (sizeof TEXT - 1)
// Seconds that an answer may take, and microseconds that are told apart.
#define PATIENCE 5
#define LONGEST 5000000

static const char HANDSHAKE[] =
    "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
static const unsigned char MASK[4] = {0x37, 0xfa, 0x21, 0x3d};
static char message[6 + LENGTH], echo[2 + LENGTH];

struct connection {
    int socket;
    size_t received;
    double sent;
    char answer[sizeof echo];
};

static unsigned latencies[LONGEST + 1];
static long messages, unlike, unwritten, unanswered;
static double waited;

static void fail(const char *what) {
    fprintf(stderr, "%s\n", what);
    exit(1);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void prepare(void) {
    message[0] = echo[0] = (char)0x81;
    message[1] = (char)(0x80 | LENGTH);
    echo[1] = LENGTH;
    memcpy(message + 2, MASK, sizeof MASK);
    memcpy(echo + 2, TEXT, LENGTH);
    for (size_t i = 0; i < LENGTH; i++)
        message[6 + i] = (char)(TEXT[i] ^ MASK[i % 4]);
}

static int connect_to(int port) {
    int one = 1, client = socket(AF_INET, SOCK_STREAM, 0);
    struct timeval patience = {.tv_sec = PATIENCE};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (client < 0 || connect(client, (struct sockaddr *)&address, sizeof address) < 0)
        fail("cannot connect");
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return client;
}

// The server has nothing to say after its head before it is sent something.
static void upgrade(int client) {
    char head[4096];
    size_t size = 0;
    if (write(client, HANDSHAKE, sizeof HANDSHAKE - 1) != sizeof HANDSHAKE - 1)
        fail("cannot send the handshake");
    while (size < 4 || memcmp(head + size - 4, "\r\n\r\n", 4)) {
        ssize_t count = read(client, head + size, sizeof head - size);
        if (count <= 0)
            fail("no answer to the handshake");
        size += (size_t)count;
    }
    if (size < 12 || memcmp(head, "HTTP/1.1 101", 12))
        fail("the handshake is refused");
}

static int send_message(struct connection *connection) {
    connection->received = 0;
    connection->sent = now();
    int sent = write(connection->socket, message, sizeof message) == sizeof message;
    unwritten += !sent;
    return sent;
}

static void count(double seconds) {
    double microseconds = seconds * 1e6;
    messages++;
    waited += seconds;
    latencies[microseconds < LONGEST ? (int)microseconds : LONGEST]++;
}

// Returns whether the connection goes on.
static int hear(struct connection *connection, double end) {
    size_t here = connection->received;
    ssize_t size = read(connection->socket, connection->answer + here, sizeof echo - here);
    connection->received += size > 0 ? (size_t)size : 0;
    if (size <= 0 || memcmp(connection->answer, echo, connection->received)) {
        unlike++;
        return 0;
    }
    if (connection->received < sizeof echo)
        return 1;
    double time = now();
    count(time - connection->sent);
    return time < end && send_message(connection);
}

// Until every connection is through, or has waited for too long.
static void exchange(struct connection *connections, int open, double end) {
    int poller = epoll_create1(0);
    for (int i = 0, all = open; i < all; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &connections[i]};
        epoll_ctl(poller, EPOLL_CTL_ADD, connections[i].socket, &event);
        if (!send_message(&connections[i])) {
            close(connections[i].socket);
            open--;
        }
    }
    while (open > 0 && now() < end + PATIENCE) {
        struct epoll_event events[256];
        int ready = epoll_wait(poller, events, 256, 100);
        for (int i = 0; i < ready; i++) {
            struct connection *connection = events[i].data.ptr;
            if (!hear(connection, end)) {
                close(connection->socket);
                open--;
            }
        }
    }
    unanswered = open;
}

static int percentile(double share) {
    long left = (long)((double)messages * share);
    int at = 0;
    while (at < LONGEST && (left -= latencies[at]) >= 0)
        at++;
    return at;
}

static void tell(double took) {
    double mean = messages ? waited * 1e6 / (double)messages : 0;
    printf("    Latency   %.2fus\n     50%%  %dus\n     99%%  %dus\n", mean, percentile(0.5), percentile(0.99));
    printf("  %ld requests in %.2fs\n", messages, took);
    if (unlike + unwritten + unanswered)
        printf("  Socket errors: read %ld, write %ld, timeout %ld\n", unlike, unwritten, unanswered);
    printf("Requests/sec: %.2f\n", (double)messages / took);
}

int main(int words, char **arguments) {
    if (words != 4) {
        fprintf(stderr, "echoes PORT CONNECTIONS SECONDS\n");
        return 2;
    }
    int open = atoi(arguments[2]);
    struct connection *connections = calloc((size_t)open, sizeof *connections);
    prepare();
    for (int i = 0; i < open; i++) {
        connections[i].socket = connect_to(atoi(arguments[1]));
        upgrade(connections[i].socket);
    }
    double begin = now();
    exchange(connections, open, begin + atoi(arguments[3]));
    tell(now() - begin);
    return 0;
}
