#include "support.h"
#include "random.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../fault/content.h"

#define BLOCK 65536
#define WHOLE ((struct content_range){0, INT64_MAX})

struct file {
    char *folder;
    int fd;
    int64_t size_bytes; /* when it was last looked at */
    struct content content;
};

static struct file file_make(void)
{
    struct file file = {.folder = dir_make(), .content = CONTENT_INIT};
    CLEANUP(io_free) char *path = io_format("%s/file", file.folder);
    file.fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(file.fd >= 0);
    return file;
}

static void file_release(struct file *file)
{
    io_close(&file->fd);
    content_release(&file->content);
    dir_remove(&file->folder);
}

static int64_t size_of(const struct file *file)
{
    struct stat st;
    assert_int_equal(fstat(file->fd, &st), 0);
    return st.st_size;
}

static void look(struct file *file, struct content_range range)
{
    int64_t size_bytes = size_of(file);
    assert_int_equal(content_update(&file->content, file->fd, file->size_bytes, size_bytes, range),
                     0);
    file->size_bytes = size_bytes;
}

/* Of one who knows nothing of it. */
static XXH128_hash_t digest_anew(const struct file *file)
{
    CLEANUP(content_release) struct content content = CONTENT_INIT;
    assert_int_equal(content_update(&content, file->fd, 0, size_of(file), WHOLE), 0);
    return content.digest;
}

static void put(struct file *file, int64_t at, const char *text)
{
    assert_int_equal(pwrite(file->fd, text, strlen(text), at), strlen(text));
}

static void holes_and_zeros_are_the_same(void **state)
{
    (void)state;
    static const char zeros[40 * BLOCK];
    CLEANUP(file_release) struct file sparse = file_make(), full = file_make();
    assert_int_equal(ftruncate(sparse.fd, sizeof zeros), 0);
    assert_int_equal(pwrite(full.fd, zeros, sizeof zeros, 0), sizeof zeros);
    for (int i = 0; i < 2; i++) {
        struct file *file = i ? &full : &sparse;
        look(file, WHOLE);
        assert_int_equal(file->content.n, 0);
        put(file, 30 * BLOCK + 5, "here");
        look(file, (struct content_range){30 * BLOCK + 5, 30 * BLOCK + 9});
    }
    assert_int_equal(sparse.content.n, 1);
    assert_true(XXH128_isEqual(sparse.content.digest, full.content.digest));
    assert_true(XXH128_isEqual(digest_anew(&sparse), full.content.digest));
    /* A block elsewhere, and zeros again. */
    XXH128_hash_t here = full.content.digest;
    assert_int_equal(pwrite(full.fd, "\0\0\0\0", 4, 30 * BLOCK + 5), 4);
    put(&full, 29 * BLOCK + 5, "here");
    look(&full, (struct content_range){29 * BLOCK, 31 * BLOCK});
    assert_false(XXH128_isEqual(here, full.content.digest));
    assert_int_equal(ftruncate(full.fd, 0), 0);
    look(&full, WHOLE);
    assert_true(XXH128_isEqual(full.content.digest, (XXH128_hash_t){0, 0}));
}

static void a_hole_costs_nothing(void **state)
{
    (void)state;
    CLEANUP(file_release) struct file file = file_make();
    int64_t start_ms = io_now_ms();
    if (ftruncate(file.fd, 20LL << 30) < 0)
        skip(); /* such files cannot be had here */
    put(&file, 10LL << 30, "x");
    look(&file, WHOLE);
    assert_int_equal(file.content.n, 1);
    assert_true(XXH128_isEqual(digest_anew(&file), file.content.digest));
    assert_true(io_now_ms() - start_ms < 1000);
}

/* What this process has read, by proc(5). */
static long long bytes_read(void)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    assert_int_equal(io_read_file(AT_FDCWD, "/proc/self/io", &text, 4096, NULL), 0);
    long long n;
    assert_int_equal(sscanf(buf_str(&text), "rchar: %lld", &n), 1);
    return n;
}

static void overwriting_costs_what_is_written(void **state)
{
    (void)state;
    static char bytes[64 * BLOCK];
    memset(bytes, 'x', sizeof bytes);
    CLEANUP(file_release) struct file file = file_make();
    assert_int_equal(write(file.fd, bytes, sizeof bytes), sizeof bytes);
    look(&file, WHOLE);
    long long before = bytes_read();
    for (int64_t at = 0; at < 200 * 4096; at += 4096) {
        put(&file, at, "abc");
        look(&file, (struct content_range){at, at + 3});
    }
    assert_true(bytes_read() - before < 201LL * BLOCK);
    assert_true(XXH128_isEqual(digest_anew(&file), file.content.digest));
}

static void the_way_to_the_bytes_does_not_matter(void **state)
{
    (void)state;
    uint64_t rounds;
    struct random random = random_start(&rounds);
    CLEANUP(file_release) struct file file = file_make();
    static char bytes[3 * BLOCK];
    for (uint64_t i = 0; i < rounds / 100 + 100; i++) {
        struct content_range range = {0, 0};
        if (random_below(&random, 4) == 0)
            assert_int_equal(ftruncate(file.fd, (off_t)random_below(&random, 40 * BLOCK)), 0);
        else {
            size_t len = (size_t)random_below(&random, sizeof bytes);
            memset(bytes, random_bit(&random) ? 0 : (int)random_below(&random, 256), len);
            range.from = (int64_t)random_below(&random, 40 * BLOCK);
            range.to = range.from + (int64_t)len;
            assert_int_equal(pwrite(file.fd, bytes, len, range.from), len);
        }
        look(&file, range);
        if (!XXH128_isEqual(digest_anew(&file), file.content.digest))
            fail_msg("round %ju", (uintmax_t)i);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(holes_and_zeros_are_the_same),
        cmocka_unit_test(a_hole_costs_nothing),
        cmocka_unit_test(overwriting_costs_what_is_written),
        cmocka_unit_test(the_way_to_the_bytes_does_not_matter),
    };
    return cmocka_run_group_tests_name("content", tests, NULL, NULL);
}
