/* The load client of `ocs bench`: gateways that open connections, keep sessions and send credit-control requests.

   It knows nothing of Diameter but the header and the AVPs of an answer that it counts: what it sends are the messages
   of the plan (made by templates.py) with numbers put into them. One thread, one ppoll() a round, one write() per
   connection and round. Latency counts from when a request was due, not from when it could be sent, so that a server
   that stalls is seen as slow by all who would have asked meanwhile.

   Usage: client PLAN. Commands on stdin, a line each; what happens on stdout, a JSON object each:
     closed WINDOW WARMUP_MS MEASURE_MS    so many requests in flight on each connection
     open RATE WARMUP_MS MEASURE_MS        so many requests per second in all, answered or not
     quit
   client_loop.py does the same where there is no compiler. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000LL
#define NTP_EPOCH_S 2208988800LL
#define INPUT_OCTETS 262144
#define SLOT_BITS 20
#define SLOT_MASK ((1u << SLOT_BITS) - 1)
#define PATCHES_MAX 64
#define TEMPLATES_MAX 16
#define ADDRESSES_MAX 16
#define CODES_MAX 256
#define HISTOGRAM_SIZE 8192
#define NONE UINT32_MAX

enum { INITIAL = 1, UPDATE = 2, TERMINATION = 3, TYPES };

typedef struct { uint8_t *data; size_t size; } Blob;
typedef struct { uint32_t offset; int octets; char field; int group; } Patch;
typedef struct { Blob message; int type, variant, groups, patch_count; Patch patches[PATCHES_MAX]; } Template;
typedef struct {
    int fd, number, up, in_flight;
    uint32_t idle_first, idle_last; /* sessions that may ask, by slot */
    uint8_t *in; size_t in_used;
    uint8_t *out; size_t out_used, out_size;
    Blob cer, dwa, dpa, dpr;
} Connection;
typedef struct {
    uint64_t number, subscriber;
    int64_t due_ns, sent_ns;
    uint32_t request_number, updates_left, hop, generation, next, previous; /* next: in the idle or in-flight list */
    uint8_t type, variant, busy, measured;
    int connection;
} Session;

static Template templates[TEMPLATES_MAX];
static int template_count, variant_count;
static struct sockaddr_storage addresses[ADDRESSES_MAX];
static socklen_t address_sizes[ADDRESSES_MAX];
static int address_count;
static Connection *connections;
static int connection_count;
static Session *sessions;
static uint32_t session_count;
static uint64_t subscriber_first, subscriber_count, subscriber_stride;
static int rotate;
static uint32_t updates, usage_octets, usage_spread;
static int64_t answer_timeout_ns;

static uint64_t last_session;
static uint32_t end_to_end;
static uint32_t flight_first = NONE, flight_last = NONE, in_flight;
static uint32_t opened; /* sessions that have begun for the first time */

/* Of the phase that runs. */
static int measuring;
static uint64_t sent, answered, unanswered, late, ungranted, latency_sum_us, latency_max_us;
static uint64_t histogram[HISTOGRAM_SIZE];
static uint64_t codes[CODES_MAX][3]; /* request type (0: of a rating group), Result-Code, count */
static int code_count;

static int64_t now_ns(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * NS_PER_S + at.tv_nsec;
}

static _Noreturn void fail(const char *format, ...) {
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    for (char *c = text; *c; c++) if (*c == '"' || *c == '\\' || (unsigned char)*c < 32) *c = '\'';
    printf("{\"event\": \"error\", \"why\": \"%s\"}\n", text);
    fflush(stdout);
    exit(1);
}

static void *allocate(size_t count, size_t size) {
    void *made = calloc(count, size);
    if (!made) fail("no memory for %zu octets", count * size);
    return made;
}

/* Numbers in messages. */

static void put(uint8_t *at, int octets, uint64_t value) {
    while (octets--) { at[octets] = (uint8_t)value; value >>= 8; }
}

static void put_digits(uint8_t *at, int octets, uint64_t value) {
    while (octets--) { at[octets] = (uint8_t)('0' + value % 10); value /= 10; }
}

static uint32_t get(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static uint32_t get_length(const uint8_t *at) { return get(at) & 0xFFFFFF; }

/* The histogram of histogram.py: exact below 256 us, then 128 steps for each power of two. */

static void record(uint64_t value) {
    uint64_t index = value;
    if (value >= 256) {
        int shift = 63 - __builtin_clzll(value) - 7;
        index = 128 * (uint64_t)shift + (value >> shift);
    }
    histogram[index < HISTOGRAM_SIZE ? index : HISTOGRAM_SIZE - 1]++;
    latency_sum_us += value;
    if (value > latency_max_us) latency_max_us = value;
}

static void count_code(uint64_t type, uint64_t code) {
    for (int i = 0; i < code_count; i++)
        if (codes[i][0] == type && codes[i][1] == code) { codes[i][2]++; return; }
    if (code_count < CODES_MAX) {
        codes[code_count][0] = type; codes[code_count][1] = code; codes[code_count++][2] = 1;
    }
}

/* The plan. */

static Blob from_hex(const char *text) {
    Blob blob = {NULL, strlen(text) / 2};
    blob.data = allocate(blob.size ? blob.size : 1, 1);
    for (size_t i = 0; i < blob.size; i++) {
        unsigned octet;
        if (sscanf(text + 2 * i, "%2x", &octet) != 1) fail("the plan has something that is not hexadecimal");
        blob.data[i] = (uint8_t)octet;
    }
    return blob;
}

static const char *word(void) {
    const char *found = strtok(NULL, " \n");
    if (!found) fail("a line of the plan is too short");
    return found;
}

static uint64_t number(void) { return strtoull(word(), NULL, 10); }

static void read_address(void) {
    const char *host = word();
    uint16_t port = htons((uint16_t)number());
    if (address_count == ADDRESSES_MAX) fail("too many addresses");
    struct sockaddr_in *four = (void *)&addresses[address_count];
    struct sockaddr_in6 *six = (void *)&addresses[address_count];
    if (inet_pton(AF_INET, host, &four->sin_addr) == 1) {
        four->sin_family = AF_INET; four->sin_port = port; address_sizes[address_count++] = sizeof *four;
    } else if (inet_pton(AF_INET6, host, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6; six->sin6_port = port; address_sizes[address_count++] = sizeof *six;
    } else fail("%s is no IP address", host);
}

static void read_template(void) {
    if (template_count == TEMPLATES_MAX) fail("too many templates");
    Template *template = &templates[template_count++];
    template->type = (int)number();
    template->variant = (int)number();
    template->groups = (int)number();
    template->message = from_hex(word());
    if (template->variant >= variant_count) variant_count = template->variant + 1;
}

static void read_patch(void) {
    if (!template_count) fail("a patch without a template");
    Template *template = &templates[template_count - 1];
    if (template->patch_count == PATCHES_MAX) fail("too many patches");
    Patch *patch = &template->patches[template->patch_count++];
    patch->field = word()[0];
    patch->offset = (uint32_t)number();
    patch->octets = (int)number();
    patch->group = (int)number();
    if (patch->offset + (size_t)patch->octets > template->message.size) fail("a patch outside of its message");
}

static void read_connection(void) {
    connections = realloc(connections, sizeof *connections * (size_t)(connection_count + 1));
    if (!connections) fail("no memory");
    Connection *connection = &connections[connection_count++];
    memset(connection, 0, sizeof *connection);
    connection->number = (int)number();
    connection->cer = from_hex(word());
    connection->dwa = from_hex(word());
    connection->dpa = from_hex(word());
    connection->dpr = from_hex(word());
    connection->idle_first = connection->idle_last = NONE;
}

static void read_plan(const char *path) {
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t size = 0;
    if (!file) fail("%s: %s", path, strerror(errno));
    while (getline(&line, &size, file) > 0) {
        const char *key = strtok(line, " \n");
        if (!key) continue;
        if (!strcmp(key, "address")) read_address();
        else if (!strcmp(key, "connection")) read_connection();
        else if (!strcmp(key, "template")) read_template();
        else if (!strcmp(key, "patch")) read_patch();
        else if (!strcmp(key, "sessions")) session_count = (uint32_t)number();
        else if (!strcmp(key, "subscribers")) {
            subscriber_first = number(); subscriber_count = number(); subscriber_stride = number();
        } else if (!strcmp(key, "rotate")) rotate = (int)number();
        else if (!strcmp(key, "updates")) updates = (uint32_t)number();
        else if (!strcmp(key, "usage")) { usage_octets = (uint32_t)number(); usage_spread = (uint32_t)number(); }
        else if (!strcmp(key, "answer_timeout_ms")) answer_timeout_ns = (int64_t)number() * 1000000;
        else if (!strcmp(key, "end_to_end")) end_to_end = (uint32_t)number();
        else fail("the plan says %s", key);
    }
    free(line);
    fclose(file);
    if (!connection_count || !address_count || !template_count || !session_count || !subscriber_count || !usage_spread)
        fail("the plan is not complete");
    if (session_count > SLOT_MASK) fail("too many sessions");
}

/* Sessions. */

static uint32_t mix(uint64_t session, uint32_t request, uint32_t group) {
    return (uint32_t)(session * 31 + request * 17 + group * 7) * 2654435761u;
}

static uint32_t usage_of(const Session *session, int group) {
    return usage_octets + mix(session->number, session->request_number, (uint32_t)group) % usage_spread;
}

static void begin_session(uint32_t slot) {
    Session *session = &sessions[slot];
    session->number = ++last_session;
    uint64_t index = rotate ? session->number - 1 : slot;
    session->subscriber = subscriber_first + index % subscriber_count * subscriber_stride % subscriber_count;
    session->request_number = 0;
    /* Those of the beginning end at different times. */
    session->updates_left = session->number > session_count ? updates : mix(session->number, 0, 0) % (updates + 1);
    session->variant = (uint8_t)(session->number % (uint64_t)variant_count);
    session->type = INITIAL;
}

static void rest(uint32_t slot) {
    Connection *connection = &connections[sessions[slot].connection];
    sessions[slot].next = NONE;
    if (connection->idle_last == NONE) connection->idle_first = slot;
    else sessions[connection->idle_last].next = slot;
    connection->idle_last = slot;
}

static void leave_flight(uint32_t slot) {
    Session *session = &sessions[slot];
    if (session->previous == NONE) flight_first = session->next; else sessions[session->previous].next = session->next;
    if (session->next == NONE) flight_last = session->previous; else sessions[session->next].previous = session->previous;
    session->busy = 0;
    in_flight--;
    connections[session->connection].in_flight--;
}

static const Template *template_of(int type, int variant) {
    for (int i = 0; i < template_count; i++)
        if (templates[i].type == type && templates[i].variant == variant) return &templates[i];
    fail("the plan has no template for type %d", type);
}

static uint8_t *room(Connection *connection, size_t size) {
    if (connection->out_used + size > connection->out_size) {
        connection->out_size = 2 * (connection->out_used + size);
        connection->out = realloc(connection->out, connection->out_size);
        if (!connection->out) fail("no memory");
    }
    return connection->out + connection->out_used;
}

static void say(Connection *connection, const Blob *blob, const uint8_t *request) {
    uint8_t *at = room(connection, blob->size);
    memcpy(at, blob->data, blob->size);
    if (request) memcpy(at + 12, request + 12, 8);
    connection->out_used += blob->size;
}

static int ask(Connection *connection, int64_t due_ns, int64_t now, uint32_t unix_s) {
    uint32_t slot = connection->idle_first;
    if (slot == NONE) return 0;
    Session *session = &sessions[slot];
    connection->idle_first = session->next;
    if (connection->idle_first == NONE) connection->idle_last = NONE;
    session->hop = (++session->generation << SLOT_BITS) | slot;
    const Template *template = template_of(session->type, session->variant);
    uint8_t *at = room(connection, template->message.size);
    memcpy(at, template->message.data, template->message.size);
    end_to_end++;
    for (int i = 0; i < template->patch_count; i++) {
        const Patch *patch = &template->patches[i];
        uint8_t *place = at + patch->offset;
        uint32_t used;
        switch (patch->field) {
        case 'h': put(place, patch->octets, session->hop); break;
        case 'e': put(place, patch->octets, end_to_end); break;
        case 'o': put_digits(place, patch->octets, (uint64_t)connection->number); break;
        case 's': put_digits(place, patch->octets, session->number); break;
        case 'm': put_digits(place, patch->octets, session->subscriber); break;
        case 'c': put(place, patch->octets, session->number); break;
        case 'a': put(place, patch->octets, session->subscriber); break;
        case 'n': put(place, patch->octets, session->request_number); break;
        case 't': put(place, patch->octets, (uint64_t)(unix_s + NTP_EPOCH_S)); break;
        case 'u': put(place, patch->octets, usage_of(session, patch->group)); break;
        case 'i': put(place, patch->octets, usage_of(session, patch->group) / 8); break;
        case 'p': used = usage_of(session, patch->group); put(place, patch->octets, used - used / 8); break;
        default: fail("a patch of field %c", patch->field);
        }
    }
    connection->out_used += template->message.size;
    if (session->number == slot + 1u && session->type == INITIAL && opened < session_count) opened++;
    session->due_ns = due_ns;
    session->sent_ns = now;
    session->measured = (uint8_t)measuring;
    if (measuring) sent++;
    session->busy = 1;
    session->next = NONE;
    session->previous = flight_last;
    if (flight_last == NONE) flight_first = slot; else sessions[flight_last].next = slot;
    flight_last = slot;
    connection->in_flight++;
    in_flight++;
    return 1;
}

/* Answers. */

typedef struct { uint32_t code; int granted; } Found;

static void read_group(const uint8_t *at, const uint8_t *end, Found *found) {
    while (at + 8 <= end) {
        uint32_t code = get(at), length = get_length(at + 4), head = at[4] & 0x80 ? 12 : 8;
        if (length < head || at + length > end) fail("an answer cannot be read");
        if (code == 268 && length >= 12) count_code(0, get(at + 8));
        if (code == 431 && length > head) found->granted++;
        at += (length + 3) & ~3u;
    }
}

static Found read_answer(const uint8_t *message, uint32_t size) {
    Found found = {0, 0};
    const uint8_t *at = message + 20, *end = message + size;
    while (at + 8 <= end) {
        uint32_t code = get(at), length = get_length(at + 4), head = at[4] & 0x80 ? 12 : 8;
        if (length < head || at + length > end) fail("an answer cannot be read");
        if (code == 268 && length >= 12) found.code = get(at + 8);
        if (code == 456) read_group(at + head, at + length, &found);
        at += (length + 3) & ~3u;
    }
    return found;
}

static void take_answer(const uint8_t *message, uint32_t size, int64_t now) {
    uint32_t hop = get(message + 12), slot = hop & SLOT_MASK;
    Session *session = slot < session_count ? &sessions[slot] : NULL;
    if (!session || !session->busy || session->hop != hop) { late++; return; }
    const Template *template = template_of(session->type, session->variant);
    Found found = read_answer(message, size);
    leave_flight(slot);
    if (measuring) answered++;
    if (session->measured) {
        int64_t took_us = (now - session->due_ns) / 1000;
        record(took_us > 0 ? (uint64_t)took_us : 0);
        count_code(session->type, found.code);
        if (found.code / 1000 == 2 && session->type != TERMINATION && found.granted != template->groups) ungranted++;
    }
    if (found.code / 1000 != 2 || session->type == TERMINATION) begin_session(slot);
    else {
        session->request_number++;
        if (session->updates_left) { session->type = UPDATE; session->updates_left--; }
        else session->type = TERMINATION;
    }
    rest(slot);
}

static void give_up(int64_t now) {
    while (flight_first != NONE && now - sessions[flight_first].sent_ns > answer_timeout_ns) {
        uint32_t slot = flight_first;
        leave_flight(slot);
        if (sessions[slot].measured) unanswered++;
        begin_session(slot);
        rest(slot);
    }
}

/* Connections. */

static void receive(Connection *connection) {
    ssize_t got = recv(connection->fd, connection->in + connection->in_used, INPUT_OCTETS - connection->in_used, 0);
    if (got == 0) fail("the server ended connection %d", connection->number);
    if (got < 0) {
        if (errno == EAGAIN || errno == EINTR) return;
        fail("connection %d: %s", connection->number, strerror(errno));
    }
    int64_t now = now_ns();
    connection->in_used += (size_t)got;
    uint8_t *at = connection->in, *end = at + connection->in_used;
    while (at + 20 <= end) {
        uint32_t size = get_length(at), command = get_length(at + 4);
        if (size < 20 || size > INPUT_OCTETS) fail("a message of %u octets", size);
        if (at + size > end) break;
        int request = at[4] & 0x80;
        if (!request && command == 272) take_answer(at, size, now);
        else if (!request && command == 257) {
            uint32_t code = read_answer(at, size).code;
            if (code != 2001) fail("the server refused connection %d with Result-Code %u", connection->number, code);
            connection->up = 1;
        } else if (request && command == 280) say(connection, &connection->dwa, at);
        else if (request && command == 282) say(connection, &connection->dpa, at);
        at += size;
    }
    connection->in_used = (size_t)(end - at);
    memmove(connection->in, at, connection->in_used);
}

static void flush(Connection *connection) {
    while (connection->out_used) {
        ssize_t gone = send(connection->fd, connection->out, connection->out_used, MSG_NOSIGNAL);
        if (gone < 0) {
            if (errno == EAGAIN || errno == EINTR) return;
            fail("connection %d: %s", connection->number, strerror(errno));
        }
        connection->out_used -= (size_t)gone;
        memmove(connection->out, connection->out + gone, connection->out_used);
    }
}

static struct pollfd *polled;

/* Write, wait until `until_ns` at the latest, read. True: a line waits on stdin, where that is listened to. */
static int round_trip(int64_t until_ns, int listens) {
    for (int i = 0; i < connection_count; i++) {
        flush(&connections[i]);
        polled[i].fd = connections[i].fd;
        polled[i].events = (short)(POLLIN | (connections[i].out_used ? POLLOUT : 0));
    }
    polled[connection_count].fd = listens ? 0 : -1;
    polled[connection_count].revents = 0;
    polled[connection_count].events = POLLIN;
    int64_t left = until_ns - now_ns();
    if (left < 0) left = 0;
    struct timespec wait = {left / NS_PER_S, left % NS_PER_S};
    if (ppoll(polled, (nfds_t)connection_count + 1, &wait, NULL) < 0) {
        if (errno == EINTR) return 0;
        fail("ppoll: %s", strerror(errno));
    }
    for (int i = 0; i < connection_count; i++)
        if (polled[i].revents & (POLLIN | POLLHUP | POLLERR)) receive(&connections[i]);
    give_up(now_ns());
    return polled[connection_count].revents != 0;
}

static void connect_all(void) {
    int64_t until = now_ns() + 10 * NS_PER_S;
    polled = allocate((size_t)connection_count + 1, sizeof *polled);
    for (int i = 0; i < connection_count; i++) {
        Connection *connection = &connections[i];
        int which = i % address_count, yes = 1;
        connection->fd = socket(addresses[which].ss_family, SOCK_STREAM, 0);
        if (connection->fd < 0 || connect(connection->fd, (void *)&addresses[which], address_sizes[which]) < 0)
            fail("the server cannot be reached: %s", strerror(errno));
        setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        fcntl(connection->fd, F_SETFL, O_NONBLOCK);
        connection->in = allocate(INPUT_OCTETS, 1);
        say(connection, &connection->cer, NULL);
    }
    for (int up = 0; up < connection_count;) {
        if (now_ns() > until) fail("%d of %d connections got no answer to their CER", connection_count - up, connection_count);
        round_trip(until, 0);
        for (up = 0; up < connection_count && connections[up].up; up++) {}
    }
}

/* Phases. */

static uint64_t cpu_us(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (uint64_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000 +
           (uint64_t)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

static void say_result(const char *mode, double seconds, uint64_t behind_max, uint64_t own_cpu_us) {
    printf("{\"event\": \"result\", \"mode\": \"%s\", \"seconds\": %.6f, \"sent\": %llu, \"answered\": %llu,", mode, seconds,
           (unsigned long long)sent, (unsigned long long)answered);
    printf(" \"unanswered\": %llu, \"late\": %llu, \"ungranted\": %llu, \"behind_max\": %llu, \"max_us\": %llu,",
           (unsigned long long)unanswered, (unsigned long long)late, (unsigned long long)ungranted,
           (unsigned long long)behind_max, (unsigned long long)latency_max_us);
    printf(" \"sum_us\": %llu, \"results\": [", (unsigned long long)latency_sum_us);
    for (int i = 0; i < code_count; i++)
        printf("%s[%llu, %llu, %llu]", i ? ", " : "", (unsigned long long)codes[i][0], (unsigned long long)codes[i][1],
               (unsigned long long)codes[i][2]);
    printf("], \"histogram\": [");
    for (int i = 0, said = 0; i < HISTOGRAM_SIZE; i++)
        if (histogram[i]) printf("%s[%d, %llu]", said++ ? ", " : "", i, (unsigned long long)histogram[i]);
    printf("], \"client_cpu_us\": %llu}\n", (unsigned long long)own_cpu_us);
    fflush(stdout);
}

static void run_phase(const char *mode, uint64_t amount, int64_t warmup_ns, int64_t measure_ns) {
    int open = !strcmp(mode, "open");
    int64_t start = now_ns(), begin = 0, end = 0, tick = start + NS_PER_S;
    uint64_t due_count = 0, behind_max = 0, cpu_begin_us = 0;
    int turn = 0;
    sent = answered = unanswered = late = ungranted = latency_sum_us = latency_max_us = 0;
    memset(histogram, 0, sizeof histogram);
    code_count = 0;
    for (;;) {
        int64_t now = now_ns(), next = now + NS_PER_S / 10;
        if (!begin && now >= start + warmup_ns && opened == session_count) {
            begin = now;
            end = begin + measure_ns;
            code_count = 0;
            late = 0;
            measuring = 1;
            cpu_begin_us = cpu_us();
            printf("{\"event\": \"begin\"}\n");
            fflush(stdout);
        }
        if (end && now >= end) break;
        uint64_t behind = 0;
        uint32_t unix_s = (uint32_t)time(NULL);
        if (open) {
            int64_t due;
            while ((due = start + (int64_t)(due_count * (uint64_t)NS_PER_S / amount)) <= now) {
                int tried = 0;
                while (tried < connection_count && !ask(&connections[(turn + tried) % connection_count], due, now, unix_s))
                    tried++;
                if (tried == connection_count) break; /* all sessions wait for answers */
                turn = (turn + tried + 1) % connection_count;
                due_count++;
            }
            if (due <= now) {
                behind = (uint64_t)(now - due) * amount / NS_PER_S;
                if (measuring && behind > behind_max) behind_max = behind;
            } else next = due < next ? due : next;
        } else
            for (int i = 0; i < connection_count; i++)
                while (connections[i].in_flight < (int)amount && ask(&connections[i], now_ns(), now, unix_s)) {}
        if (now >= tick) {
            printf("{\"event\": \"tick\", \"in_flight\": %u, \"behind\": %llu, \"opened\": %u}\n", in_flight,
                   (unsigned long long)behind, opened);
            fflush(stdout);
            tick += NS_PER_S;
        }
        if (end && end < next) next = end;
        round_trip(next, 0);
    }
    int64_t ended = now_ns();
    uint64_t own_cpu_us = cpu_us() - cpu_begin_us;
    measuring = 0;
    printf("{\"event\": \"end\"}\n");
    fflush(stdout);
    int64_t until = ended + answer_timeout_ns + NS_PER_S / 10;
    while (in_flight && now_ns() < until) round_trip(until, 0);
    say_result(mode, (double)(ended - begin) / NS_PER_S, behind_max, own_cpu_us);
}

static void quit(void) {
    char octets[4096];
    for (int i = 0; i < connection_count; i++) {
        say(&connections[i], &connections[i].dpr, NULL);
        flush(&connections[i]);
        shutdown(connections[i].fd, SHUT_WR);
    }
    int64_t until = now_ns() + 2 * NS_PER_S;
    for (int i = 0; i < connection_count; i++) {
        struct pollfd one = {connections[i].fd, POLLIN, 0};
        while (now_ns() < until && poll(&one, 1, 100) >= 0)
            if (one.revents && recv(one.fd, octets, sizeof octets, 0) <= 0) break;
    }
    exit(0);
}

int main(int argc, char **argv) {
    char line[256], mode[16];
    unsigned long long amount, warmup_ms, measure_ms;
    if (argc != 2) fail("usage: client PLAN");
    signal(SIGINT, SIG_IGN); /* whoever started it ends it */
    prctl(PR_SET_TIMERSLACK, 1000UL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    read_plan(argv[1]);
    sessions = allocate(session_count, sizeof *sessions);
    for (uint32_t slot = 0; slot < session_count; slot++) {
        sessions[slot].connection = (int)(slot % (uint32_t)connection_count);
        begin_session(slot);
        rest(slot);
    }
    connect_all();
    printf("{\"event\": \"ready\"}\n");
    fflush(stdout);
    setvbuf(stdin, NULL, _IONBF, 0);
    for (;;) {
        while (!round_trip(now_ns() + NS_PER_S, 1)) {}
        if (!fgets(line, sizeof line, stdin)) quit();
        if (!strncmp(line, "quit", 4)) quit();
        if (sscanf(line, "%15s %llu %llu %llu", mode, &amount, &warmup_ms, &measure_ms) != 4 || !amount ||
            (strcmp(mode, "open") && strcmp(mode, "closed")))
            fail("what does this mean: %.40s", line);
        run_phase(mode, amount, (int64_t)warmup_ms * 1000000, (int64_t)measure_ms * 1000000);
    }
}
