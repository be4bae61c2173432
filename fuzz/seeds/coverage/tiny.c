// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What the tiny-*.covobj beside it were compiled from, with clang 14, 16 and 19 (the last with MC/DC), in /src.
#define TWICE(x) ((x) > 4 && (x) < 9)
static __attribute__((noinline)) int pick(int a) { return TWICE(a) ? 1 : a; }
__attribute__((section("socket"))) int tiny(int *c)
{
	for (int i = 0; i < 3; i++)
		if (pick(*c))
			return i;
	return 0;
}
