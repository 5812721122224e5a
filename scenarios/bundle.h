/*
 * bundle.h: all that is known of a case that ended badly, in one file that plays it again.
 *
 *   {"bundle": 1, "again": "killpoint replay FILE",
 *    "killpoint": digest of the program, "kernel": "Linux 6.1.0 x86_64", "copied"?: runner.h
 *    "backend": {"name", "command"?: [ARG…]},        words (word_json.h); command: of what was
 *                                                    behind --
 *    "layout": {"name", "digest", "debian_version", "packages": ["NAME VERSION", …]},
 *    "scenario": {"path", "text"},                   the file as it was
 *    "event": {…}}                                   of the trial (runner.h): checks, the guest's
 *                                                    files against an undisturbed install's among
 *                                                    them (store/exact/files), journal, streams
 *
 * What a backend wrote stands in JSON strings, in ASCII alone. A file has at most
 * BUNDLE_MAX_BYTES: long texts and lists lose their middle. It is there whole or not at all.
 */
#ifndef KILLPOINT_BUNDLE_H
#define KILLPOINT_BUNDLE_H

#include <jansson.h>

#include "backend.h"

#define BUNDLE_MAX_BYTES (4u << 20)

struct bundle_maker {
    const char *folder;
    const char *backend;        /* as --backend has it; NULL: a command */
    const char *const *command; /* with placeholders; NULL: none */
    const char *copied;         /* why machines are copied trees; NULL: they are not */
    const struct trials *trials;
};

/*
 * Writes FOLDER/NAME.json of the event of one of the trials; NAME is its id, with a digest of
 * that, for not every byte may be in a file's name.
 */
int bundle_write(const struct bundle_maker *maker, const json_t *event, struct err *err);

/* Before the first: makes the folder, but not those above it. Errors: those of mkdir(2), access(2).
 */
int bundle_make_folder(const char *path, struct err *err);

/* Reads one. -EINVAL: it is no bundle. */
int bundle_read(const char *path, json_t **ret_bundle, struct err *err);

/*
 * Whether the trial would be the same case today: -ESTALE, with the place where the scenario's file
 * or the layout is another one than the bundle's.
 */
int bundle_check(const json_t *bundle, const struct trial *trial, struct err *err);

/* "FAIL: claim, store/must/bundle-holds-ca": the verdict and the checks that decided it. */
void bundle_add_outcome(const json_t *event, struct buf *text);

#endif
