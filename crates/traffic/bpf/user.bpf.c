/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The catalogue programs once more, with a stage that calls hawkbell_judge() of a user's object, linked in at run time.
 * In: as programs.bpf.c, and the user's answer. Out: a verdict, counted like all others. The licence is the user's.
 * Never: a user's answer taken for a verdict when it is neither DROP nor PASS.
 */
#define WITH_USER_PROGRAM
#include "programs.bpf.c"
