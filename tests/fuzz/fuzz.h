/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the fuzzers share.  Each target is one file, NAME_fuzz.c, with an LLVMFuzzerTestOneInput() that
 * asserts what must hold for any bytes at all; libFuzzer drives it, or main.c (AFL++, replaying a corpus,
 * coverage).
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

/* libFuzzer's: mutates in place and returns the new length.  main.c has one that changes nothing. */
size_t LLVMFuzzerMutate(uint8_t *bytes, size_t length, size_t max);
/* A target may have this; `seed` is all the randomness that it uses of its own. */
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t length, size_t max, unsigned seed);

/* Not assert(): it must never be compiled out. */
#define FUZZ_REQUIRE(condition) ((condition) ? (void)0 : fuzz_fail(#condition, __FILE__, __LINE__, __func__))
_Noreturn void fuzz_fail(const char *condition, const char *file, int line, const char *function);

/* The bytes in an allocation of just their size, so that a sanitizer sees any access beyond; free() it. */
uint8_t *fuzz_copy(const uint8_t *bytes, size_t length);

#endif
