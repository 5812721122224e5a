/*
 * token.h: one crash point of one exploration as a word that can be pasted.
 *
 *   kp1:LAYOUT:TRACE:BACKEND:CALL:SCOPE:PLACE[+PLACE]
 *
 *   LAYOUT   12 hex digits of the layout's digest
 *   TRACE    the trace digest of the recorded call
 *   BACKEND  12 hex digits of the backend's command line and environment; `-` after `-- CMD`
 *   CALL     exec#N: the N-th exec of the backend
 *   SCOPE    tree, process or torn
 *   PLACE    an address (../fault/address.h), or `end`: behind the last crash point; of a torn
 *            write `ADDRESS:persist=BYTES`. The second one is in the next call of the same kind.
 *
 * `+` is not ambiguous: a place is an address up to its #N, or a word without one.
 */
#ifndef KILLPOINT_TOKEN_H
#define KILLPOINT_TOKEN_H

#include "../fault/address.h"
#include "../fault/rule.h"

#define TOKEN_DIGITS 12

/* Bits, for a choice of several. */
enum explore_scope { EXPLORE_TREE = 1, EXPLORE_PROCESS = 2, EXPLORE_TORN = 4, EXPLORE_ALL = 7 };

struct token {
    char layout[TOKEN_DIGITS + 1], trace[TRACE_DIGEST_LEN + 1], backend[TOKEN_DIGITS + 1];
    enum rule_call call;
    uint32_t nth;
    enum explore_scope scope;
    char *addresses[2];    /* owned; NULL: `end` */
    size_t n_addresses;    /* 1 or 2 */
    int64_t persist_bytes; /* of a torn write; else -1 */
};
#define TOKEN_INIT                                                                                 \
    {                                                                                              \
        .persist_bytes = -1                                                                        \
    }
void token_release(struct token *token);

/* NULL: no such scope. */
const char *token_scope_word(enum explore_scope scope);

/* Appends the text. */
void token_print(const struct token *token, struct buf *text);

/* Reads what token_print() writes, and nothing else. -EINVAL: err says where it is wrong. */
int token_parse(const char *text, struct token *ret_token, struct err *err);

/* `exec#N`. -EINVAL. */
int token_parse_call(const char *text, enum rule_call *ret_call, uint32_t *ret_nth,
                     struct err *err);

/* The rule that kills at the k-th address. Append to text; -EINVAL when it is no address. */
int token_add_rule(const struct token *token, size_t k, struct buf *text, struct err *err);

#endif
