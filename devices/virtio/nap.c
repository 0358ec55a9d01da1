/*
 * Naps: see nap.h.
 *
 * A driver that sends one small frame after the other and a card that takes each at once is the
 * slowest way: each costs an exit, a thread that wakes up, another one behind it and, at the end,
 * an interrupt. Cards have always gathered some instead. So does this: between two looks
 * notifications are off, for the time in which SOME frames or SOME_BYTES come, and max_ns at most.
 *
 * What must not wait is a frame whose sender waits for an answer. Nobody says which those are; but
 * where nothing comes back nobody can wait: there are naps only while nothing is received. When too
 * FEW frames come in several naps running, gathering is not worth the delay: notifications are on
 * for the next REST looks at least. One such nap is nothing: a sender that has filled all its
 * buffers waits until they are given back. It waits for the end of the nap then, however long that
 * is: a longer nap has to bring more frames, or the shorter is gone back to for a while.
 */
#include "virtio/nap.h"

#include "base/util.h"

/* Frames. */
#define FEW  2
#define SOME 32
/* Of a size at which a frame's bytes cost more than the frame does. */
#define SOME_BYTES 49152
/* Looks, and naps. */
#define REST     16
#define POOR_MAX 3
#define CONTENT  8
/* Shorter ones are not worth their timer. */
#define NAP_MIN_NS 50000

/* The mean time between frames, in ns; UINT64_MAX: unknown. */
static uint64_t take_gap(struct nap *nap, const struct nap_look *look)
{
	uint64_t gap_ns = UINT64_MAX;

	if (!look->sent)
		return gap_ns;
	if (nap->looked_ns)
		gap_ns = (look->now_ns - nap->looked_ns) / look->sent;
	nap->looked_ns = look->now_ns;
	return gap_ns;
}

static uint64_t stay_awake(struct nap *nap)
{
	nap->length_ns = 0;
	return 0;
}

/* How many frames of the size of these are worth a nap. */
static uint64_t worth(const struct nap_look *look)
{
	return MIN(look->sent * (uint64_t)SOME_BYTES / MAX(look->bytes, (uint64_t)1),
		   (uint64_t)SOME);
}

/* For @ns, or a little longer. @ns may be more than any nap may last. */
static uint64_t sleep_for(struct nap *nap, uint64_t ns, uint64_t max_ns)
{
	nap->length_ns = MIN(MAX(ns, (uint64_t)NAP_MIN_NS), max_ns);
	nap->poor = 0;
	return nap->length_ns;
}

/* With notifications on: the first nap of a row, where frames come fast enough for one. */
static uint64_t try_one(struct nap *nap, uint64_t gap_ns, const struct nap_look *look)
{
	if (gap_ns > nap->max_ns / FEW || worth(look) <= FEW)
		return 0;
	if (nap->rest) {
		nap->rest--;
		return 0;
	}
	nap->before_ns = nap->before_sent = 0;
	return sleep_for(nap, worth(look) * gap_ns, nap->max_ns);
}

/* After a nap that was worth it. */
static uint64_t go_on(struct nap *nap, uint64_t gap_ns, const struct nap_look *look)
{
	uint64_t most_ns = MIN(2 * nap->length_ns, nap->max_ns);

	if (nap->length_ns > nap->before_ns &&
	    4 * (uint64_t)look->sent < 5 * (uint64_t)nap->before_sent) {
		nap->content = CONTENT;
		most_ns = nap->before_ns;
	} else if (nap->content) {
		nap->content--;
		most_ns = nap->length_ns;
	}
	nap->before_ns = nap->length_ns;
	nap->before_sent = look->sent;
	return sleep_for(nap, worth(look) * MIN(gap_ns, nap->max_ns), most_ns);
}

uint64_t nap_next(struct nap *nap, const struct nap_look *look)
{
	uint64_t gap_ns = take_gap(nap, look);

	if (!nap->max_ns || look->received)
		return stay_awake(nap);
	if (!nap->length_ns)
		return try_one(nap, gap_ns, look);
	if (look->sent > FEW)
		return go_on(nap, gap_ns, look);
	if (++nap->poor < POOR_MAX)
		return nap->length_ns;
	nap->rest = REST;
	return stay_awake(nap);
}
