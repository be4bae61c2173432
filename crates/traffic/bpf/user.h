/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The stage that a user's object carries out (user.bpf.c; the user's side is hawkbell_program.h).
 * In: the frame and the stage's input. Out: DROP or PASS. Never: another answer than these two.
 */
#ifndef HAWKBELL_USER_H
#define HAWKBELL_USER_H

enum { USER_PROGRAM = 1000 };	/* its number beside those of the catalogue; Rust: user::NUMBER */

const volatile __u32 user_fails_open;

struct hawkbell_input {
	__u32 count;
	__u32 values[VALUES_PER_STAGE];
};

/* Hidden: the kernel then verifies it together with its caller, as if it were one file. */
extern int hawkbell_judge(struct __sk_buff *skb, const struct hawkbell_input *input) __hidden;

static __always_inline int judge_user(struct __sk_buff *skb, const volatile struct stage *stage)
{
	int answer = hawkbell_judge(skb, (const struct hawkbell_input *)&stage->count);

	return answer == DROP || answer == PASS ? answer : user_fails_open;
}
#endif
