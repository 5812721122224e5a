/*
 * address.h: how an attempt is called, so that the name survives a rebuild of the machine.
 *
 *   ADDRESS = COMM":"PLACE":"PATH"#"N
 *
 *   COMM   the process's name as /proc has it, up to 15 bytes; it may be empty
 *   PLACE  an operation (op.h), or begin, spawn, exit, pipewrite: places of process scope
 *   PATH   absolute in the guest, symlinked parents resolved, the name that is created or
 *          removed, for rename the source, random parts of temporary names as X (of those
 *          that were there before: where the name ends in mktemp(1)'s "tmp.XXXXXX"); a call
 *          that means all files, such as sync(2), has "/". Of a place of process scope the
 *          process: "/" the tree's first, "/2/1" the first child of its second (tracer.h), for
 *          processes that run beside each other have no order of their own
 *   N      the N-th attempt of this COMM, PLACE and PATH in the tree, from 1
 *
 * In COMM and PATH `%XX` stands for `:`, `#`, `%`, `,`, blanks and control bytes, in upper
 * case, and for no other byte: an address has one text.
 *
 *   openssl:symlink:/etc/ssl/certs/5ed36f99.0#1
 *   mktemp:open:/tmp/ca-certificates.crt.tmp.XXXXXX#1
 *   sh:exit:/2/1#1
 *
 * An address book gives the attempts of one tree their addresses. The order for each
 * attempt, at its entry: address_book_temporary() when it makes a temporary, then
 * address_book_name(); at its exit address_book_forget() of a name that is gone or, as the
 * call failed, was never made.
 */
#ifndef KILLPOINT_ADDRESS_H
#define KILLPOINT_ADDRESS_H

#include "rule.h"

struct address {
    char comm[RULE_COMM_MAX + 1];
    const char *place; /* constant, as address_place() gives it */
    char *path;        /* owned; "" where the place has none */
    uint32_t n;        /* 1 to RULE_ORDINAL_MAX */
};
#define ADDRESS_INIT                                                                               \
    {                                                                                              \
        .place = NULL                                                                              \
    }

void address_release(struct address *address);

/* The constant word of a place, or NULL: a call's name (renameat2) is no place. */
const char *address_place(const char *word, size_t len);

/* Appends the text. */
void address_print(const struct address *address, struct buf *text);

/*
 * Reads what address_print() writes, and nothing else.
 * Returns 0 with *ret_address filled (release it), or -EINVAL: then *ret_column, when not
 * NULL, is the byte where the mistake stands, from 1 to the text's length + 1, and err says
 * what it is, without that number.
 */
int address_parse(const char *text, struct address *ret_address, size_t *ret_column,
                  struct err *err);

/* Appends the text of the rule, and a newline, that kills this scope at the address. */
void address_add_rule(const struct address *address, enum rule_scope scope, struct buf *text);

bool address_equal(const struct address *a, const struct address *b);

struct address_temporary {
    char *path; /* as the guest has it */
    uint32_t n; /* the n-th of its name without the random part */
    bool gone;  /* and still called so, by who removes it once more */
};

struct address_book {
    void *counters; /* tsearch(3): how often each address but for its N was given */
    struct address_temporary *temporaries;
    size_t n_temporaries;
    struct buf name; /* kept, for its memory */
};
#define ADDRESS_BOOK_INIT                                                                          \
    {                                                                                              \
        .counters = NULL                                                                           \
    }

void address_book_release(struct address_book *book);

/*
 * Fills *ret_address with the attempt's address; release it. Each call counts.
 *   comm   more than RULE_COMM_MAX bytes are cut
 *   place  a word that address_place() knows
 *   path   as the guest has it; "" where the place has none
 */
void address_book_name(struct address_book *book, const char *comm, const char *place,
                       const char *path, struct address *ret_address);

/*
 * Appends a name of the file that is the same in every run: the path as addresses have it,
 * and in or as a temporary `#` and the number of that one among those of its name.
 */
void address_book_add_file(const struct address_book *book, const char *path, struct buf *name);

/*
 * Says that path is made as mkstemp(3) and mkdtemp(3) do: O_EXCL and mode 0600, or a folder
 * of 0700. Until it is forgotten, addresses at and below it have `X` for each byte of the
 * last part's random tail: letters, digits and `_` (Perl and Python draw that too), at least
 * six, with or without an extension `.abc` of up to five behind. Without such a tail the
 * name is no temporary. A tail may be longer than what was random, never shorter: names of
 * letters alone are as random as others, so any six count.
 */
void address_book_temporary(struct address_book *book, const char *path);

/*
 * Says that path is removed or renamed away. The last of those are still called as before, for a
 * script that has renamed its temporary may try to remove it at its end.
 */
void address_book_forget(struct address_book *book, const char *path);

/*
 * A digest of a row of addresses: equal rows have equal digests, and other rows other ones.
 * Chained, so the digest of each beginning of the row was there on the way.
 */
#define TRACE_DIGEST_LEN 12
struct trace_digest {
    uint64_t now;
};
#define TRACE_DIGEST_INIT                                                                          \
    {                                                                                              \
        0                                                                                          \
    }

/* Adds the text of one address. */
void trace_digest_add(struct trace_digest *digest, const char *text);
/* As TRACE_DIGEST_LEN hex digits, NUL-terminated. */
void trace_digest_print(const struct trace_digest *digest, char ret_text[TRACE_DIGEST_LEN + 1]);

#endif
