#include "address.h"

#include <errno.h>
#include <inttypes.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define TAIL_MIN 6
#define GONE_MAX 16 /* names that are known a while longer than their files */

static const enum rule_place process_places[] = {RULE_BEGIN, RULE_SPAWN, RULE_EXIT, RULE_PIPEWRITE};

static bool is_word(const char *known, const char *word, size_t len)
{
    return strlen(known) == len && memcmp(known, word, len) == 0;
}

static const char *find_process_place(const char *word, size_t len)
{
    for (size_t i = 0; i < sizeof process_places / sizeof process_places[0]; i++) {
        if (is_word(rule_place_words[process_places[i]], word, len))
            return rule_place_words[process_places[i]];
    }
    return NULL;
}

const char *address_place(const char *word, size_t len)
{
    for (unsigned op = 0; op < OP_COUNT; op++) {
        if (is_word(op_name((enum op)op), word, len))
            return op_name((enum op)op);
    }
    return find_process_place(word, len);
}

void address_release(struct address *address)
{
    io_free(&address->path);
}

static void print_name(const char *comm, const char *place, const char *path, struct buf *text)
{
    buf_add_encoded(text, comm);
    buf_printf(text, ":%s:", place);
    buf_add_encoded(text, path);
}

void address_print(const struct address *address, struct buf *text)
{
    print_name(address->comm, address->place, address->path, text);
    buf_printf(text, "#%" PRIu32, address->n);
}

void address_add_rule(const struct address *address, enum rule_scope scope, struct buf *text)
{
    buf_printf(text, "%s:comm=", address->place);
    buf_add_encoded(text, address->comm);
    if (*address->path) {
        CLEANUP(buf_release) struct buf glob = BUF_INIT;
        for (const char *at = address->path; *at; at++)
            buf_printf(&glob, strchr("*?[\\", *at) ? "\\%c" : "%c", *at);
        buf_add(text, ":path=");
        buf_add_encoded(text, buf_str(&glob));
    }
    buf_printf(text, ":when=%" PRIu32 ":scope=%s\n", address->n, rule_scope_words[scope]);
}

bool address_equal(const struct address *a, const struct address *b)
{
    return a->n == b->n && strcmp(a->comm, b->comm) == 0 && strcmp(a->place, b->place) == 0 &&
           strcmp(a->path, b->path) == 0;
}

/* --- parsing ------------------------------------------------------------------------ */

struct parser {
    const char *text;
    size_t column; /* of the mistake */
    struct err *err;
};

#define refuse(p, at, ...)                                                                         \
    ((p)->column = (size_t)((at) - (p)->text) + 1, err_text((p)->err, EINVAL, __VA_ARGS__))

static int read_encoded(struct parser *p, const char *at, size_t len, struct buf *ret)
{
    size_t read = buf_add_decoded(ret, at, len);
    if (read < len)
        return refuse(p, at + read, "%% must be followed by two hex digits, not both 0");
    return 0;
}

static int read_comm(struct parser *p, size_t len, struct address *ret)
{
    CLEANUP(buf_release) struct buf comm = BUF_INIT;
    int r = read_encoded(p, p->text, len, &comm);
    if (r < 0)
        return r;
    if (comm.len > RULE_COMM_MAX)
        return refuse(p, p->text, "a process's name has at most %d bytes", RULE_COMM_MAX);
    memcpy(ret->comm, buf_str(&comm), comm.len + 1);
    return 0;
}

static int read_path(struct parser *p, const char *at, size_t len, struct address *ret)
{
    CLEANUP(buf_release) struct buf path = BUF_INIT;
    if (*at != '/')
        return refuse(p, at, "the path must begin with \"/\", as every path in the guest does");
    buf_add(&path, "");
    int r = read_encoded(p, at, len, &path);
    ret->path = steal_ptr(&path.data);
    return r;
}

/* What could have been written in another way is refused by its difference from the one text. */
static int check_text(struct parser *p, const struct address *address)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    address_print(address, &text);
    size_t same = 0;
    while (p->text[same] && p->text[same] == buf_str(&text)[same])
        same++;
    if (same == text.len && !p->text[same])
        return 0;
    return refuse(p, p->text + same, "this address is written %s", buf_str(&text));
}

static int parse(struct parser *p, struct address *ret)
{
    const char *end = p->text + strlen(p->text);
    const char *place = strchrnul(p->text, ':');
    const char *path = *place ? strchrnul(place + 1, ':') : place;
    const char *number = *path ? strchrnul(path + 1, '#') : path;
    if (number == end)
        return refuse(p, end, "an address has the form COMM:OP:PATH#N");
    int r = read_comm(p, (size_t)(place++ - p->text), ret);
    if (r < 0)
        return r;
    ret->place = address_place(place, (size_t)(path++ - place));
    if (!ret->place)
        return refuse(p, place, "that is no operation, nor begin, spawn, exit or pipewrite");
    r = read_path(p, path, (size_t)(number++ - path), ret);
    if (r < 0)
        return r;
    unsigned long long n = strtoull(number, NULL, 10);
    if (n < 1 || n > RULE_ORDINAL_MAX)
        return refuse(p, number, "behind \"#\" there must be a number from 1 to %d",
                      RULE_ORDINAL_MAX);
    ret->n = (uint32_t)n;
    return check_text(p, ret);
}

int address_parse(const char *text, struct address *ret_address, size_t *ret_column,
                  struct err *err)
{
    struct parser p = {.text = text, .err = err};
    struct address address = ADDRESS_INIT;
    int ret = parse(&p, &address);
    if (ret < 0) {
        if (ret_column)
            *ret_column = p.column;
        address_release(&address);
        return ret;
    }
    *ret_address = address;
    return 0;
}

/* --- the book ------------------------------------------------------------------------- */

struct counter {
    char *name;
    uint32_t n;
};

static int compare_counters(const void *a, const void *b)
{
    const struct counter *left = a, *right = b;
    return strcmp(left->name, right->name);
}

static void free_counter(void *node)
{
    struct counter *counter = node;
    free(counter->name);
    free(counter);
}

void address_book_release(struct address_book *book)
{
    tdestroy(book->counters, free_counter);
    for (size_t i = 0; i < book->n_temporaries; i++)
        free(book->temporaries[i].path);
    free(book->temporaries);
    buf_release(&book->name);
    *book = (struct address_book)ADDRESS_BOOK_INIT;
}

static uint32_t count(struct address_book *book)
{
    struct counter wanted = {.name = book->name.data};
    struct counter **found = tfind(&wanted, &book->counters, compare_counters);
    if (found)
        return ++(*found)->n;
    struct counter *counter = malloc(sizeof *counter);
    if (!counter)
        abort();
    *counter = (struct counter){io_format("%s", buf_str(&book->name)), 1};
    if (!tsearch(counter, &book->counters, compare_counters))
        abort();
    return 1;
}

static bool is_at_or_below(const char *path, const char *top)
{
    size_t len = strlen(top);
    return strncmp(path, top, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

static bool in_tail(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

/* The length of path without an extension, if it ends there with a tail; and the tail's. */
static size_t find_tail(const char *path, size_t *ret_len)
{
    size_t end = strlen(path);
    for (int tries = 0; tries < 2; tries++) {
        size_t start = end;
        while (start > 0 && in_tail(path[start - 1]))
            start--;
        *ret_len = end - start;
        if (*ret_len >= TAIL_MIN)
            return end;
        if (start == 0 || path[start - 1] != '.')
            break;
        end = start - 1;
    }
    *ret_len = 0;
    return end;
}

/* Writes X over the random parts of path. Returns the last temporary that it is at or below. */
static const struct address_temporary *hide_random(const struct address_book *book, char *path)
{
    const struct address_temporary *last = NULL;
    CLEANUP(io_free) char *plain = io_format("%s", path);
    for (size_t i = 0; i < book->n_temporaries; i++) {
        const struct address_temporary *top = &book->temporaries[i];
        size_t len;
        size_t end = find_tail(top->path, &len);
        if (!is_at_or_below(plain, top->path))
            continue;
        memset(path + end - len, 'X', len);
        last = top;
    }
    return last;
}

/* Likewise of names that mktemp(1) made before the tree began, "tmp." and a tail, by their form. */
static void hide_leftovers(char *path)
{
    static const char form[] = "tmp.";
    for (char *at = path; (at = strstr(at, form)); at++) {
        size_t len = 0;
        char *tail = at + strlen(form);
        while (in_tail(tail[len]))
            len++;
        bool begins = at > path && (at[-1] == '/' || at[-1] == '.');
        if (begins && len >= TAIL_MIN && (tail[len] == '\0' || tail[len] == '/'))
            memset(tail, 'X', len);
    }
}

void address_book_name(struct address_book *book, const char *comm, const char *place,
                       const char *path, struct address *ret_address)
{
    struct address address = {.place = address_place(place, strlen(place)),
                              .path = io_format("%s", path)};
    snprintf(address.comm, sizeof address.comm, "%s", comm);
    hide_random(book, address.path);
    hide_leftovers(address.path);
    buf_clear(&book->name);
    print_name(address.comm, address.place, address.path, &book->name);
    address.n = count(book);
    *ret_address = address;
}

void address_book_add_file(const struct address_book *book, const char *path, struct buf *name)
{
    CLEANUP(io_free) char *text = io_format("%s", path);
    const struct address_temporary *top = hide_random(book, text);
    buf_add(name, text);
    if (top)
        buf_printf(name, "#%u", top->n);
}

static void drop_temporary(struct address_book *book, size_t index)
{
    free(book->temporaries[index].path);
    book->n_temporaries--;
    memmove(&book->temporaries[index], &book->temporaries[index + 1],
            (book->n_temporaries - index) * sizeof *book->temporaries);
}

void address_book_temporary(struct address_book *book, const char *path)
{
    size_t len;
    find_tail(path, &len);
    if (len == 0)
        return;
    for (size_t i = 0; i < book->n_temporaries; i++) {
        if (strcmp(book->temporaries[i].path, path) != 0)
            continue;
        if (!book->temporaries[i].gone)
            return;
        drop_temporary(book, i);
        break;
    }
    size_t n = book->n_temporaries++;
    book->temporaries =
        reallocarray(book->temporaries, book->n_temporaries, sizeof *book->temporaries);
    if (!book->temporaries)
        abort();
    struct address_temporary *temporary = &book->temporaries[n];
    *temporary = (struct address_temporary){.path = io_format("%s", path)};
    CLEANUP(io_free) char *text = io_format("%s", path);
    hide_random(book, text);
    buf_clear(&book->name);
    buf_add_encoded(&book->name, text); /* without the colons of an address */
    temporary->n = count(book);
}

void address_book_forget(struct address_book *book, const char *path)
{
    size_t gone = 0;
    for (size_t i = 0; i < book->n_temporaries; i++) {
        book->temporaries[i].gone |= is_at_or_below(book->temporaries[i].path, path);
        gone += book->temporaries[i].gone;
    }
    for (size_t i = 0; gone > GONE_MAX && i < book->n_temporaries;)
        if (book->temporaries[i].gone) {
            drop_temporary(book, i);
            gone--;
        } else
            i++;
}

/* --- the trace ------------------------------------------------------------------------ */

void trace_digest_add(struct trace_digest *digest, const char *text)
{
    digest->now = XXH3_64bits_withSeed(text, strlen(text), digest->now);
}

void trace_digest_print(const struct trace_digest *digest, char ret_text[TRACE_DIGEST_LEN + 1])
{
    snprintf(ret_text, TRACE_DIGEST_LEN + 1, "%012" PRIx64, digest->now >> 16);
}
