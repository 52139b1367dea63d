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

#ifdef __mips__
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
