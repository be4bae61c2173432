/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * allow_ethertype: passes frames whose outermost EtherType in the data is in the set, drops all others.
 * Input: up to 8 EtherTypes. Never: looks behind a VLAN tag (the tag type itself can be in the set).
 */
static __always_inline int judge_allow_ethertype(const struct view *frame, const volatile struct stage *stage, bool chained)
{
	return has(frame, ETHERNET) && in_set(stage, frame->outer_type);
}
