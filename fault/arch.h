/*
 * arch.h: the registers of a tracee at a stop, on x86_64 and aarch64.
 *
 * All the engine knows of a processor is here. arch_read() once a stop, then look and
 * change, then arch_write() when something was changed. At a call's entry the number and
 * the arguments count, at its exit the result.
 *
 * A call is skipped at its entry by arch_set_number(regs, -1), then arch_set_result(regs, R):
 * it returns R and does nothing. In this order and at last, since on aarch64 the result's
 * register is the first argument's.
 * Source: ptrace(2), syscall(2).
 */
#ifndef KILLPOINT_ARCH_H
#define KILLPOINT_ARCH_H

#include <elf.h>
#include <errno.h>
#include <linux/audit.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

struct arch_regs {
    struct user_regs_struct user;
    long new_number; /* aarch64: written by itself, when has_new_number */
    bool has_new_number;
};

/* Errors: -ESRCH when the tracee is not stopped; -EOPNOTSUPP when it runs 32-bit code. */
static inline int arch_read(pid_t pid, struct arch_regs *ret_regs)
{
    struct arch_regs regs = {.has_new_number = false};
    struct iovec iov = {&regs.user, sizeof regs.user};
    if (ptrace(PTRACE_GETREGSET, pid, (long)NT_PRSTATUS, &iov) < 0)
        return -errno;
    if (iov.iov_len != sizeof regs.user)
        return -EOPNOTSUPP;
    *ret_regs = regs;
    return 0;
}

#if defined(__x86_64__)

#define ARCH_AUDIT AUDIT_ARCH_X86_64

static inline unsigned long long *arch_argument_register(struct arch_regs *regs, int i)
{
    switch (i) {
    case 0: return &regs->user.rdi;
    case 1: return &regs->user.rsi;
    case 2: return &regs->user.rdx;
    case 3: return &regs->user.r10;
    case 4: return &regs->user.r8;
    default: return &regs->user.r9;
    }
}

static inline long arch_number(const struct arch_regs *regs)
{
    return (long)regs->user.orig_rax;
}

static inline void arch_set_number(struct arch_regs *regs, long number)
{
    regs->user.orig_rax = (unsigned long)number;
}

static inline int64_t arch_result(const struct arch_regs *regs)
{
    return (int64_t)regs->user.rax;
}

static inline void arch_set_result(struct arch_regs *regs, int64_t result)
{
    regs->user.rax = (uint64_t)result;
}

static inline uint64_t arch_ip(const struct arch_regs *regs)
{
    return regs->user.rip;
}

static inline void arch_rewind(struct arch_regs *regs)
{
    regs->user.rax = regs->user.orig_rax;
    regs->user.orig_rax = (unsigned long)-1;
    regs->user.rip -= 2; /* SYSCALL */
}

#elif defined(__aarch64__)

#define ARCH_AUDIT AUDIT_ARCH_AARCH64

static inline unsigned long long *arch_argument_register(struct arch_regs *regs, int i)
{
    return &regs->user.regs[i];
}

static inline long arch_number(const struct arch_regs *regs)
{
    return regs->has_new_number ? regs->new_number : (long)regs->user.regs[8];
}

static inline void arch_set_number(struct arch_regs *regs, long number)
{
    regs->new_number = number;
    regs->has_new_number = true;
}

static inline int64_t arch_result(const struct arch_regs *regs)
{
    return (int64_t)regs->user.regs[0];
}

static inline void arch_set_result(struct arch_regs *regs, int64_t result)
{
    regs->user.regs[0] = (uint64_t)result;
}

static inline uint64_t arch_ip(const struct arch_regs *regs)
{
    return regs->user.pc;
}

static inline void arch_rewind(struct arch_regs *regs)
{
    regs->user.pc -= 4; /* SVC */
    arch_set_number(regs, -1);
}

#else
#error "killpoint knows x86_64 and aarch64"
#endif

/* i: 0 to 5. */
static inline uint64_t arch_argument(const struct arch_regs *regs, int i)
{
    struct arch_regs copy = *regs;
    return *arch_argument_register(&copy, i);
}

static inline void arch_set_argument(struct arch_regs *regs, int i, uint64_t value)
{
    *arch_argument_register(regs, i) = value;
}

/* Errors: -ESRCH when the tracee was killed meanwhile. */
static inline int arch_write(pid_t pid, const struct arch_regs *regs)
{
    struct user_regs_struct user = regs->user;
    struct iovec iov = {&user, sizeof user};
    if (ptrace(PTRACE_SETREGSET, pid, (long)NT_PRSTATUS, &iov) < 0)
        return -errno;
#if defined(__aarch64__)
    int number = (int)regs->new_number;
    iov = (struct iovec){&number, sizeof number};
    if (regs->has_new_number && ptrace(PTRACE_SETREGSET, pid, (long)NT_ARM_SYSTEM_CALL, &iov) < 0)
        return -errno;
#endif
    return 0;
}

#endif
