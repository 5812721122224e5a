/*
 * engine.h: what is done where. Stops the processes of a tree at the places of rules, lets
 * one state-changing call run at a time, names each attempt, and knows what it changed.
 *
 * A tree is a command and all it starts, with its rules and its counts. An attempt is one
 * stop at the entry of a call that the filter names and that is about a file of the tree's
 * root; those about pipes, terminals, devices and the descriptors 0 to 2 that the command
 * got are none, and so are those about files on mounts that were made inside the tree: they
 * are not reached through its root. An attempt that changed the digest of the files was a crash
 * point; they are numbered from 1. The call of one attempt is done, and its exit seen, before the
 * next is looked at, over all trees of an engine, so each attempt finds just the effects of those
 * before it. Calls that may block hold nobody.
 *
 * The order: the child stands before its execve and waits, with filter_install() still to
 * come; the owner fills a struct engine_tree and calls engine_start(), then lets the child
 * go. Every status of the owner's reaper goes to engine_status(). When nobody of the tree
 * is left, ended() is called, and the owner may look at the counts and call
 * engine_verify() and engine_tree_release().
 */
#ifndef KILLPOINT_ENGINE_H
#define KILLPOINT_ENGINE_H

#include "address.h"
#include "attempt.h"
#include "filter.h"
#include "links.h"
#include "loop.h"
#include "rule_set.h"
#include "tracer.h"

struct engine;
struct engine_tree;

/* What happened at one place; borrowed, for the time of the callback. */
struct engine_event {
    const struct address *address;
    bool is_attempt; /* false: a place of process scope, of which there is no more to tell */
    uint64_t point;  /* the ordinal of the crash point; 0: no file changed */
    char before[TREE_STATE_DIGEST_LEN + 1]; /* the files' digest just before it */
    char after[TREE_STATE_DIGEST_LEN + 1];  /* and just after it */
    int64_t write_from; /* of a write: where in the file it begins; -1: not known */
    int64_t result;     /* of the call, -errno for an error */
    bool done;          /* false: the process was killed before the call; or there is no call */
};

struct engine_owner {
    /* A recorded place was passed; operations come in the order in which they were done. NULL:
     * none. */
    void (*seen)(struct engine_tree *, const struct engine_event *);
    /* A rule with scope init, vm or client fired, or one that answers the client. Returns whether
     * somebody was there to be killed or answered. NULL: there are no such rules here. */
    bool (*act_outside)(struct engine_tree *, const struct rule *);
    /* Nobody of the tree is left. */
    void (*ended)(struct engine_tree *);
};

struct engine_tree {
    /* The owner's. */
    const struct engine_owner *owner;
    int number;                   /* positive, its own */
    const struct rule_set *rules; /* borrowed; NULL: none any more */
    uint64_t *fired;              /* one a rule, borrowed */
    enum rule_call call;          /* which rules hold: those of this call */
    uint32_t nth;
    bool records;               /* attempts are told, and the files' state is followed */
    bool records_places;        /* the places of process scope are told as well */
    uint64_t stop_at_point;     /* 0: none; kills at the first attempt that can be this one */
    enum rule_scope stop_scope; /* RULE_TREE or RULE_PROCESS */
    /* To be read. */
    uint64_t attempts, points;
    uint64_t mappings; /* shared writable ones of files: what they change is not seen */
    struct trace_digest trace;
    struct err err; /* why the tree was not followed exactly; "": it was */
    /* The engine's. */
    struct engine *engine;
    bool set_up;              /* root and own_files are known, since the first stop */
    struct resolve_root root; /* the command's, at its first stop; its fd starts at -1 */
    struct address_book book;
    struct links links;
    struct tree_state state;
    struct engine_count *counts;
    struct {
        dev_t dev;
        ino_t ino;
    } own_files[3]; /* 0, 1 and 2 of the command */
    struct engine_tree *next;
};

#define ENGINE_TREE_INIT                                                                           \
    {                                                                                              \
        .nth = 1, .root = {.fd = -1 }                                                              \
    }

struct engine {
    struct tracer tracer;
    struct loop *loop;
    struct engine_tree *trees;
    struct engine_stop *queue; /* those that wait for their turn */
    struct tracee *running;    /* whose call is under way, or who is about to die */
};

void engine_init(struct engine *engine, struct loop *loop);
void engine_release(struct engine *engine);

/* What the tree's filter must stop: filter_build()'s wants. */
unsigned engine_filter_wants(const struct engine_tree *tree);
/* Whether there is anything that needs the engine: rules at calls and processes, or a recording. */
bool engine_needs_filter(const struct engine_tree *tree);

/* Traces the process as the tree's first. Errors: as tracer_seize(). */
int engine_start(struct engine *engine, struct engine_tree *tree, pid_t pid, struct err *err);

enum tracer_result engine_status(struct engine *engine, pid_t pid, int status);

/* Whether a rule's delay holds somebody of the tree. */
bool engine_holds(const struct engine *engine, const struct engine_tree *tree);

/* How often the place of the tree's i-th rule was there, fired or not; of a rule that counts per
 * process, in those that live. */
uint64_t engine_matched(const struct engine_tree *tree, size_t i);

/* Looks at all touched files once more: -EILSEQ when one changed and no attempt told so. */
int engine_verify(struct engine_tree *tree, struct err *err);

void engine_tree_release(struct engine_tree *tree);

#endif
