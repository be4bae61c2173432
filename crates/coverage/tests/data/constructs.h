// Functions that live in a header: one used, one only compiled.
#pragma once
#define CLAMP(value, low, high) ((value) < (low) ? (low) : (value) > (high) ? (high) : (value))
#define ADD_TWICE(sum, value) \
	do {                  \
		(sum) += (value);     \
		(sum) += CLAMP(value, 1, 9); \
	} while (0)

static inline int used_in_header(int a)
{
	return a > 3 ? a : -a;
}

static inline int never_used(int a)
{
	if (a)
		return 1;
	return 2;
}
