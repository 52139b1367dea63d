/* What musl does before main and after it, for a program that has one thread, no variables of a thread, no C library's
   locale, buffers or constructors: nothing but the environment. Linked before musl, so that its own start and what
   that needs (3 KB) stay away. crt1.o calls __libc_start_main, and musl's system calls ask where errno is. */

extern char **__environ;
void _Exit(int) __attribute__((noreturn));

int __libc_start_main(int (*main)(int, char **, char **), int count, char **arguments) {
    __environ = arguments + count + 1;
    _Exit(main(count, arguments, __environ));
}

static int error;

int *__errno_location(void) {
    return &error;
}

int *___errno_location(void) __attribute__((alias("__errno_location")));
