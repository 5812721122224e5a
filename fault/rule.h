/*
 * rule.h: a rule as a value: what it holds, printing, comparing, matching.
 *
 * The grammar, what each key means and every default stand in rule_parse.h; several
 * rules together are in rule_set.h.
 */
#ifndef KILLPOINT_RULE_H
#define KILLPOINT_RULE_H

#include <signal.h>
#include <stdint.h>

#include "io.h"
#include "op.h"

#define RULE_ORDINAL_MAX 1000000000 /* largest N, F, L and S */
#define RULE_MS_MAX 86400000
#define RULE_PERSIST_MAX 0x7ffff000 /* what one write can do; write(2) */
#define RULE_COMM_MAX 15            /* proc(5), /proc/PID/comm */

enum rule_call { RULE_EXEC, RULE_START, RULE_CP, RULE_STOP };
enum rule_place {
    RULE_BEGIN,
    RULE_END,
    RULE_AT,
    RULE_SPAWN,
    RULE_EXIT,
    RULE_PIPEWRITE,
    RULE_OPERATION
};
enum rule_since { RULE_SINCE_EXEC, RULE_SINCE_START };
enum rule_per { RULE_PER_TREE, RULE_PER_PROCESS };
enum rule_timing { RULE_BEFORE, RULE_AFTER };
enum rule_action { RULE_SIGNAL, RULE_ERROR, RULE_DELAY, RULE_STATUS, RULE_REPLY };
enum rule_scope { RULE_TREE, RULE_PROCESS, RULE_INIT_PROCESS, RULE_VM, RULE_CLIENT };

/* The numbers first, first+step, first+2*step, … that are at most last. */
struct rule_when {
    uint32_t first; /* 1 to RULE_ORDINAL_MAX */
    uint32_t last;  /* a number of the row; UINT32_MAX: no end */
    uint32_t step;  /* at least 1; exactly 1 when first is last */
};

/* In the order in which rule_print() writes them. */
enum rule_key {
    RULE_KEY_MS,
    RULE_KEY_SINCE,
    RULE_KEY_PATH,
    RULE_KEY_COMM,
    RULE_KEY_WHEN,
    RULE_KEY_PER,
    RULE_KEY_TIMING,
    RULE_KEY_SIGNAL,
    RULE_KEY_PERSIST,
    RULE_KEY_ERROR,
    RULE_KEY_DELAY,
    RULE_KEY_STATUS,
    RULE_KEY_REPLY,
    RULE_KEY_SCOPE,
    RULE_KEY_LOSE,
    RULE_KEY_COUNT
};

/* The grammar's words, by the enums' values; each list ends with NULL. */
extern const char *const rule_key_words[];
extern const char *const rule_call_words[];
extern const char *const rule_place_words[]; /* RULE_OPERATION has none */
extern const char *const rule_since_words[];
extern const char *const rule_per_words[];
extern const char *const rule_timing_words[];
extern const char *const rule_scope_words[];

/* What is not used has its default, so that equal rules have equal members. */
struct rule {
    enum rule_call call;
    uint32_t call_nth; /* 0: every */
    enum rule_place place;
    unsigned ops;  /* OP_BIT()s; 0 but for RULE_OPERATION */
    int64_t at_ms; /* 0 but for RULE_AT */
    enum rule_since since;
    char *path_glob; /* owned; NULL: any */
    char *comm;      /* owned; NULL: any */
    struct rule_when when;
    enum rule_per per;
    enum rule_timing timing;
    enum rule_action action;
    int signal;            /* RULE_SIGNAL; else 0 */
    int64_t persist_bytes; /* -1: no torn write */
    int errnum;            /* RULE_ERROR; else 0 */
    int64_t delay_ms;      /* RULE_DELAY; else 0 */
    int status;            /* RULE_STATUS; else 0 */
    char *reply;           /* RULE_REPLY, owned; else NULL */
    enum rule_scope scope; /* of RULE_SIGNAL, and of RULE_BEGIN */
    bool lose_all;
};
/* `begin` in every exec, with every default. */
#define RULE_INIT                                                                                  \
    {                                                                                              \
        .call = RULE_EXEC, .place = RULE_BEGIN, .when = {1, UINT32_MAX, 1}, .signal = SIGKILL,     \
        .persist_bytes = -1                                                                        \
    }

void rule_release(struct rule *rule);

/*
 * Appends the rule as text: defaults left out, keys in the order of enum rule_key, operations in
 * op.h's order. The text parses to an equal rule, and equal rules have one text.
 */
void rule_print(const struct rule *rule, struct buf *text);

/* Whether two texts are the same, or both NULL. */
bool rule_same_text(const char *a, const char *b);

bool rule_equal(const struct rule *a, const struct rule *b);

/* Whether the rule holds in the nth (from 1) call of this kind. */
bool rule_in_call(const struct rule *rule, enum rule_call call, uint32_t nth);

/*
 * Whether an attempt counts for the rule. path is NULL where the place has none; comm
 * is NULL where there is no process. The place and the operation are the caller's to
 * compare, and so is whether the call at hand can return the rule's error.
 */
bool rule_matches(const struct rule *rule, const char *path, const char *comm);

/* Whether the n-th attempt that counts (from 1) is one of when=. */
bool rule_when_has(const struct rule_when *when, uint64_t n);
/* Whether two when= have a number in common. */
bool rule_when_meets(const struct rule_when *a, const struct rule_when *b);

#endif
