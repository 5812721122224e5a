#include "listing.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

int listing_init(struct listing *listing, bool attempts, bool json, struct err *err)
{
    struct rlimit file_size;
    *listing = (struct listing){.attempts = attempts, .json = json, .fd = -1};
    if (getrlimit(RLIMIT_FSIZE, &file_size) < 0 || file_size.rlim_cur != RLIM_INFINITY)
        listing->file = open_memstream(&listing->text, &listing->len);
    else {
        CLEANUP(io_close) int fd = memfd_create("list", MFD_CLOEXEC);
        listing->file = fd < 0 ? NULL : fdopen(fd, "w");
        listing->fd = listing->file ? steal_fd(&fd) : -1;
    }
    return listing->file ? 0 : err_set(err, errno, "make a list");
}

void listing_release(struct listing *listing)
{
    for (size_t i = 0; i < listing->n_places; i++)
        free(listing->places[i]);
    free(listing->places);
    io_fclose(&listing->file);
    io_free(&listing->text);
}

/* As a JSON string; bytes that are no ASCII are taken for Latin-1, so any name can be told. */
static void print_json_string(FILE *file, const char *text)
{
    fputc('"', file);
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            fprintf(file, "\\%c", c);
        else if (c < ' ' || c >= 0x7f)
            fprintf(file, "\\u%04x", c);
        else
            fputc(c, file);
    }
    fputc('"', file);
}

static void add_place(struct listing *listing, const char *text)
{
    if ((listing->n_places & (listing->n_places - 1)) == 0) {
        size_t room = listing->n_places ? 2 * listing->n_places : 1;
        listing->places = realloc(listing->places, room * sizeof *listing->places);
        if (!listing->places)
            abort();
    }
    listing->places[listing->n_places++] = io_format("%s", text);
}

void listing_add(struct listing *listing, const struct engine_event *event)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    address_print(event->address, &text);
    if (!event->is_attempt) {
        add_place(listing, buf_str(&text));
        return;
    }
    if (event->point == 0 && !listing->attempts)
        return;
    if (!listing->json) {
        if (event->point)
            fprintf(listing->file, "%" PRIu64 "\t%s\n", event->point, buf_str(&text));
        else
            fprintf(listing->file, "-\t%s\n", buf_str(&text));
        return;
    }
    if (event->point)
        fprintf(listing->file, "{\"point\":%" PRIu64 ",\"address\":", event->point);
    else
        fputs("{\"point\":null,\"address\":", listing->file);
    print_json_string(listing->file, buf_str(&text));
    fprintf(listing->file, ",\"state\":\"%s\"", event->before);
    if (event->done)
        fprintf(listing->file, ",\"result\":%" PRId64, event->result);
    fputs("}\n", listing->file);
}

static int by_text(const void *a, const void *b)
{
    return strverscmp(*(const char *const *)a, *(const char *const *)b); /* numbers by size */
}

static void print_places(struct listing *listing)
{
    if (listing->n_places > 0)
        qsort(listing->places, listing->n_places, sizeof *listing->places, by_text);
    for (size_t i = 0; i < listing->n_places; i++) {
        if (!listing->json) {
            fprintf(listing->file, "-\t%s\n", listing->places[i]);
            continue;
        }
        fputs("{\"address\":", listing->file);
        print_json_string(listing->file, listing->places[i]);
        fputs("}\n", listing->file);
    }
}

static void print_end(struct listing *listing, const struct engine_tree *tree)
{
    char state[TREE_STATE_DIGEST_LEN + 1], trace[TRACE_DIGEST_LEN + 1];
    tree_state_digest(&tree->state, state);
    trace_digest_print(&tree->trace, trace);
    fprintf(listing->file,
            "{\"end\":true,\"points\":%" PRIu64 ",\"attempts\":%" PRIu64
            ",\"state\":\"%s\",\"trace\":\"%s\",\"mappings\":%" PRIu64 ",\"unreadable\":",
            tree->points, tree->attempts, state, trace, tree->mappings);
    if (tree->state.unreadable)
        print_json_string(listing->file, tree->state.unreadable);
    else
        fputs("null", listing->file);
    fputs(",\"rules\":[", listing->file);
    for (size_t i = 0; tree->rules && i < tree->rules->count; i++) {
        CLEANUP(buf_release) struct buf text = BUF_INIT;
        rule_print(&tree->rules->rules[i], &text);
        fprintf(listing->file, "%s{\"rule\":", i ? "," : "");
        print_json_string(listing->file, buf_str(&text));
        fprintf(listing->file, ",\"fired\":%" PRIu64 "}", tree->fired[i]);
    }
    fputs("]}\n", listing->file);
}

int listing_write(struct listing *listing, const struct engine_tree *tree, int fd)
{
    char chunk[1 << 16];
    print_places(listing);
    if (listing->json)
        print_end(listing, tree);
    if (fflush(listing->file) == EOF || ferror(listing->file))
        return errno ? -errno : -EIO;
    if (listing->fd < 0)
        return io_write_all(fd, listing->text, listing->len);
    ssize_t n;
    int ret = 0;
    for (off_t at = 0; ret == 0 && (n = pread(listing->fd, chunk, sizeof chunk, at)) != 0; at += n)
        ret = n < 0 ? -errno : io_write_all(fd, chunk, (size_t)n);
    return ret;
}
