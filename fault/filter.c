#include "filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io.h"
#include "op.h"

static void filter_context_release(scmp_filter_ctx *context)
{
    if (*context)
        seccomp_release(*context);
}

/* The number of a call, negative when this architecture has none of that name. */
static int find_number(const struct op_call *call)
{
    int number = seccomp_syscall_resolve_name(call->name);
    return number == __NR_SCMP_ERROR ? call->number : number;
}

static int add(scmp_filter_ctx context, unsigned stop, int number, unsigned n_args,
               const struct scmp_arg_cmp *args)
{
    return number < 0 ? 0
                      : seccomp_rule_add_array(context, SCMP_ACT_TRACE(stop), number, n_args, args);
}

/* The kernel takes flags and requests as 32 bits, so what lies above is not looked at. */
static int add_call(scmp_filter_ctx context, const struct op_call *call, unsigned stop)
{
    int number = find_number(call);
    bool is_openat = strcmp(call->name, "openat") == 0;
    if (strcmp(call->name, "ficlone") == 0 || strcmp(call->name, "ficlonerange") == 0) {
        uint64_t request = strcmp(call->name, "ficlone") == 0 ? FICLONE : FICLONERANGE;
        const struct scmp_arg_cmp cmp = SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, request);
        return add(context, stop, SCMP_SYS(ioctl), 1, &cmp);
    }
    if (!is_openat && strcmp(call->name, "open") != 0)
        return add(context, stop, number, 0, NULL);
    int ret = 0;
    for (int i = 0; i < 2 && ret == 0; i++) {
        uint64_t flag = i == 0 ? O_CREAT : O_TRUNC;
        const struct scmp_arg_cmp cmp =
            SCMP_CMP(is_openat ? 2U : 1U, SCMP_CMP_MASKED_EQ, flag, flag);
        ret = add(context, stop, number, 1, &cmp);
    }
    return ret;
}

static int add_others(scmp_filter_ctx context, unsigned wants)
{
    const struct scmp_arg_cmp shared[] = {
        SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_WRITE, PROT_WRITE),
        SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_SHARED | MAP_ANONYMOUS, MAP_SHARED)};
    const struct scmp_arg_cmp truncates = SCMP_A2(SCMP_CMP_MASKED_EQ, O_TRUNC, O_TRUNC);
    static const int sends[] = {SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(sendmmsg)};
    int ret = add(context, FILTER_MMAP, SCMP_SYS(mmap), 2, shared);
    if (ret == 0)
        ret = seccomp_rule_add_array(context, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(open_by_handle_at), 1,
                                     &truncates);
    if (ret == 0)
        ret = seccomp_rule_add(context, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(io_uring_setup), 0);
    if (ret == 0)
        ret = seccomp_rule_add(context, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(io_setup), 0);
    for (size_t i = 0; i < sizeof sends / sizeof *sends && ret == 0 && wants & FILTER_SENDS; i++)
        ret = add(context, FILTER_SEND, sends[i], 0, NULL);
    if (ret == 0 && wants & FILTER_EXITS)
        ret = add(context, FILTER_EXIT_GROUP, SCMP_SYS(exit_group), 0, NULL);
    return ret;
}

/*
 * libseccomp 2.5 exports to a descriptor alone, with one write(2). A pipe is no file, so no limit
 * on the size of files holds for it; what does not fit in it fills it.
 */
static int export(scmp_filter_ctx context, struct filter *ret_filter)
{
    CLEANUP(io_close) int read_fd = -1, write_fd = -1;
    int size_bytes;
    int ret = io_pipe(&read_fd, &write_fd);
    if (ret == 0)
        ret = io_set_nonblock(write_fd);
    if (ret == 0)
        ret = seccomp_export_bpf(context, write_fd);
    if (ret < 0)
        return ret;
    if (ioctl(read_fd, FIONREAD, &size_bytes) < 0 || size_bytes >= fcntl(read_fd, F_GETPIPE_SZ))
        return -ENOSPC;
    CLEANUP(io_free) struct sock_filter *program = malloc((size_t)size_bytes);
    if (!program)
        return -ENOMEM;
    if (read(read_fd, program, (size_t)size_bytes) != size_bytes)
        return -EIO;
    ret_filter->length = (unsigned short)((size_t)size_bytes / sizeof *program);
    ret_filter->program = steal_ptr(&program);
    return 0;
}

int filter_build(unsigned wants, struct filter *ret_filter, struct err *err)
{
    CLEANUP(filter_context_release) scmp_filter_ctx context = seccomp_init(SCMP_ACT_ALLOW);
    if (!context)
        return err_set(err, ENOMEM, "seccomp filter");
    int ret = seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH,
                               SCMP_ACT_TRACE((unsigned)FILTER_FOREIGN));
    if (ret == 0)
        ret = seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a binary tree */
    size_t count;
    const struct op_call *calls = op_calls(&count);
    for (size_t i = 0; i < count && ret == 0; i++)
        ret = add_call(context, &calls[i], (unsigned)i);
    if (ret == 0)
        ret = add_others(context, wants);
    if (ret == 0)
        ret = export(context, ret_filter);
    return ret < 0 ? err_set(err, -ret, "seccomp filter") : 0;
}

int filter_install(const struct filter *filter)
{
    const struct sock_fprog program = {filter->length, filter->program};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0 ? -errno : 0;
}

int filter_spare_others(void)
{
    CLEANUP(filter_context_release) scmp_filter_ctx context = seccomp_init(SCMP_ACT_ALLOW);
    if (!context)
        return -ENOMEM;
    int ret = seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ALLOW);
    if (ret == 0)
        ret = seccomp_attr_set(context, SCMP_FLTATR_CTL_NNP, 0);
    if (ret == 0)
        ret = seccomp_attr_set(context, SCMP_FLTATR_API_SYSRAWRC, 1);
    if (ret == 0)
        ret = seccomp_rule_add(context, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(kill), 1,
                               SCMP_A0(SCMP_CMP_MASKED_EQ, UINT32_MAX, UINT32_MAX));
    if (ret == 0)
        ret = seccomp_load(context);
    if (ret == -EACCES && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
        ret = seccomp_load(context);
    return ret;
}

void filter_release(struct filter *filter)
{
    io_free(&filter->program);
}
