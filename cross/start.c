/* What musl does before main and after it, for a program that has one thread, no variables of a thread, no C library's
   locale, buffers or constructors: nothing but the environment; and on MIPS, what it makes system calls with. Linked
   before musl, so that its own and what that needs (3 KB, on MIPS 5 KB) stay away. crt1.o calls __libc_start_main, and
   musl's system calls ask where errno is. */

#include <sys/ioctl.h>
#include <sys/syscall.h>

extern char **__environ;
void _exit(int) __attribute__((noreturn));

int __libc_start_main(int (*main)(int, char **, char **), int count, char **arguments) {
    __environ = arguments + count + 1;
    _exit(main(count, arguments, __environ));
}

__attribute__((visibility("hidden"))) int system_error;

int *__errno_location(void) {
    return &system_error;
}

int *___errno_location(void) __attribute__((alias("__errno_location")));

#ifdef __mips__
/* Programs of 16-bit code begin here instead of in crt1.o. The kernel leaves on the stack how many arguments there are,
   them, a null pointer and the environment. */
asm(".section .text.start, \"ax\"\n"
    ".set noreorder\n"
    ".globl start\n"
    "start: lui $28, %hi(_gp)\n"
    "addiu $28, %lo(_gp)\n"
    "lw $4, 0($sp)\n"
    "addiu $5, $sp, 4\n"
    "sll $2, $4, 2\n"
    "addu $2, $5\n"
    "addiu $2, 4\n"
    "lui $3, %hi(__environ)\n"
    "sw $2, %lo(__environ)($3)\n"
    "jal main\n"
    "addiu $sp, -16\n"
    "b _exit\n"
    "move $4, $2\n");

/* System calls whose arguments are where the kernel takes them: 8 bytes each. musl's take 48, most of it for threads
   that are cancelled. A call that fails says so in $7. */
asm(".text\n"
    "numbered: lw $2, 24($sp)\n"
    "call: syscall\n"
    "beqz $7, 1f\n"
    "lui $3, %hi(system_error)\n"
    "sw $2, %lo(system_error)($3)\n"
    "li $2, -1\n"
    "1: jr $31\n"
    "nop\n");
#define TEXT(value) #value
#define CALL(name, number) asm(".globl " #name "\n" #name ": b call\nli $2, " TEXT(number) "\n")
CALL(_exit, SYS_exit_group);
CALL(close, SYS_close);
CALL(connect, SYS_connect);
CALL(dup2, SYS_dup2);
CALL(execve, SYS_execve);
CALL(flock, SYS_flock);
CALL(fsync, SYS_fsync);
CALL(geteuid, SYS_geteuid);
CALL(getpid, SYS_getpid);
CALL(getrandom, SYS_getrandom);
CALL(inotify_add_watch, SYS_inotify_add_watch);
CALL(inotify_rm_watch, SYS_inotify_rm_watch);
CALL(kill, SYS_kill);
CALL(link, SYS_link);
CALL(poll, SYS_poll);
CALL(read, SYS_read);
CALL(rename, SYS_rename);
CALL(send, SYS_send);
CALL(setpgid, SYS_setpgid);
CALL(umask, SYS_umask);
CALL(unlink, SYS_unlink);
CALL(waitpid, SYS_waitpid);
CALL(write, SYS_write);
/* With O_LARGEFILE: there are logs beyond 2 GB. */
asm(".globl open\nopen: ori $5, 0x2000\n");
CALL(open_large, SYS_open);
asm(".set reorder\n");

long numbered(long, long, long, long, long, long, long number);

long syscall(long number, long a, long b, long c, long d, long e, long f) {
    return numbered(a, b, c, d, e, f, number);
}

int waitid(int kind, unsigned id, void *info, int options) {
    return syscall(SYS_waitid, kind, id, (long)info, options, 0, 0);
}

long long lseek(int file, long long offset, int whence) {
    long long place;
    return syscall(SYS__llseek, file, offset >> 32, offset, (long)&place, whence, 0) ? -1 : place;
}

int isatty(int file) {
    struct winsize size;
    return syscall(SYS_ioctl, file, TIOCGWINSZ, (long)&size, 0, 0, 0) == 0;
}

/* The quotient of two numbers. Rust's own takes 800 bytes; this one takes its time where the number needs more than 32
   bits, which those that are shown or written down do for a few digits. */
unsigned long long __udivdi3(unsigned long long number, unsigned long long divisor) {
    if ((number | divisor) >> 32 == 0)
        return (unsigned)number / (unsigned)divisor;
    unsigned long long rest = 0;
    for (int bit = 0; bit < 64; bit++) {
        rest = rest << 1 | number >> 63;
        number <<= 1;
        if (rest >= divisor) {
            rest -= divisor;
            number |= 1;
        }
    }
    return number;
}

/* Moves bytes, by words where both places allow that and none is written before it is read. The compiler's own library
   takes 800 bytes to do it, and to do it twice: this one is memcpy, too. */
typedef unsigned __attribute__((may_alias)) word;

void *memmove(void *to, const void *from, unsigned size) {
    char *target = to;
    const char *source = from;
    if ((unsigned)to - (unsigned)from < size) {
        while (size-- > 0)
            target[size] = source[size];
        return to;
    }
    if (((unsigned)to | (unsigned)from) % sizeof(word) == 0) {
        for (; size >= 4 * sizeof(word); size -= 4 * sizeof(word)) {
            const word *words = (const word *)source;
            word first = words[0], second = words[1], third = words[2], fourth = words[3];
            ((word *)target)[0] = first;
            ((word *)target)[1] = second;
            ((word *)target)[2] = third;
            ((word *)target)[3] = fourth;
            source += 4 * sizeof(word);
            target += 4 * sizeof(word);
        }
        for (; size >= sizeof(word); size -= sizeof(word)) {
            *(word *)target = *(const word *)source;
            source += sizeof(word);
            target += sizeof(word);
        }
    }
    while (size-- > 0)
        *target++ = *source++;
    return to;
}

void *memcpy(void *, const void *, unsigned) __attribute__((alias("memmove")));
#endif
