/*
 * state.h: the state folder and the records of its machines.
 *
 *   STATE/journal.ndjson        every CLI call, one line each (journal.h)
 *   STATE/machines/NAME/
 *       record.json             what `create` was told; read again at every start
 *       lock                    locked (F_OFD_SETLK) while the machine runs; asked about with
 *                               F_OFD_GETLK, which takes nothing
 *       pid                     the VMM's pid, written at start
 *       fired.json              how often each rule fired, when one of them ended the VM
 *       sock                    where the VMM listens
 *       upper/ work/ merged/    the overlay
 *
 * A machine is running exactly while its lock is held: a killed VMM leaves nothing that
 * could be mistaken for a live one. Records are replaced by rename, never edited.
 *
 * A machine comes into being, and goes, in one rename from or to machines/.new and .gone. Both
 * happen under the state folder's lock, so what is found there is a killed maker's and swept.
 * machines/ goes with its last machine; the journal stays, the evidence of the delete itself.
 */
#ifndef KILLPOINT_STATE_H
#define KILLPOINT_STATE_H

#include "../fault/io.h"

/* What `machine create` was told. Strings are owned; lists are NULL-terminated. */
struct record {
    char *name;
    char *image;        /* as given: a layout's name, debian:NAME, … */
    char *layout;       /* the layout it stands for */
    char *workdir;      /* NULL: / */
    char **env;         /* K=V */
    int64_t disk_bytes; /* size of the upper's tmpfs; 0: a plain folder */
    int64_t created_at; /* Unix seconds */
    bool started;       /* it has been started once: not running reads `stopped`, not `created` */
    char **read_only;   /* paths mounted read-only in the guest; only the runner sets them */
    int cpus;
    int64_t memory_mib, storage_gib, overlay_gib;
    bool network;
    int ports; /* how many were mapped: counted, never opened */
};
void record_release(struct record *record);

#define RECORD_ID_SIZE 65
/* The id that docker shows for it: 64 hex digits, of its name and its time. */
void record_id(const struct record *record, char ret_id[RECORD_ID_SIZE]);

#define STATE_LINK ".state"
/*
 * Where the state lives: where the link STATE_LINK beside the name that the program was called by
 * leads, which is a trial's, so that neither $KILLPOINT_STATE nor $KILLPOINT_FAULTS count (the
 * latter is unset); else $KILLPOINT_STATE, else $SMOLVM_DATA_DIR, else
 * /dev/shm/killpoint-UID where that file system has 1 GiB (and, without CAP_SYS_ADMIN, takes
 * devices and programs), else $TMPDIR/killpoint-UID (TMPDIR unset: /tmp). Made with mode 0700 when
 * missing. The caller frees *ret_path.
 */
int state_find(char **ret_path, struct err *err);

/* First character ASCII alphanumeric, then alphanumerics, '-', '_'; no "--", no '-' at the
 * end; at most 63. Source: smolvm 0.8.0, data/mod.rs. Returns 0 or -EINVAL. */
int state_check_name(const char *name, struct err *err);

/* Waits for the lock (flock) of the state folder, under which machines are made and removed,
 * and runs begun. Closing *ret_fd gives it back. */
int state_lock(const char *state_path, int *ret_fd, struct err *err);

/* Writes a new machine's folder. -EEXIST: there is one of that name. */
int state_create(const char *state_path, const struct record *record, struct err *err);
/* Replaces the record of an existing machine. */
int state_update(const char *state_path, const struct record *record, struct err *err);
/* -ENOENT: no such machine. */
int state_read(const char *state_path, const char *name, struct record *ret_record,
               struct err *err);
/* Removes a stopped machine's folder. -ENOENT; -EBUSY: its lock is held. */
int state_remove(const char *state_path, const char *name, struct err *err);

/* The names of all machines, sorted; a NULL-terminated list the caller frees. */
int state_list(const char *state_path, char ***ret_names, struct err *err);

/* The VMM's pid while the machine runs, 0 while it does not. */
pid_t state_vmm_pid(const char *state_path, const char *name);

/* In the machine's folder while its main command is over; the VMM keeps it so. */
#define STATE_MAIN_OVER "main-over"
/* True while the machine runs and its main command has not ended. */
bool state_main_lives(const char *state_path, const char *name);

/* STATE/machines/NAME, freed by the caller. */
char *state_machine_path(const char *state_path, const char *name);

#endif
