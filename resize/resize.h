/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Changing a running guest's memory safely, and waiting for the result.
 *
 * Whoever changes a guest's size because a person asked for it uses resize_guest(): the command
 * (setmem, edit) and the daemon's API.  It prints nothing, and reports what happens through
 * struct resize_ops.  All texts for people are made here, so that all callers give the same.
 */
#ifndef AEROSTAT_RESIZE_RESIZE_H
#define AEROSTAT_RESIZE_RESIZE_H

#include "hypervisor/hypervisor.h"
#include "resize/balloon_wait.h"

/* How long one call to the hypervisor may take. */
#define RESIZE_CALL_MS 5000

/* What is asked for. */
struct resize_request {
	uint64_t target_bytes;
	bool force;	    /* although the guest must swap or kill, or is below its floor */
	bool no_wait;	    /* set the target and return, without asking the guest first */
	bool keep_target;   /* do not raise the target of a guest that stopped short */
	bool keep_period;   /* somebody else has QEMU poll the statistics every second */
	int64_t timeout_us; /* wait at most this long */
	int64_t stall_us;   /* give up after this long without progress */
};

/* How a resize ended.  resize_reason_table (resize_text.c) has their names. */
enum resize_reason {
	RESIZE_REACHED,	    /* the guest has the size that was asked for */
	RESIZE_ASKED,	    /* the target is set; nobody waited */
	RESIZE_IN_USE,	    /* it was asked for less, because it uses the rest */
	RESIZE_FULL,	    /* it could not give all that was asked for */
	RESIZE_SILENT,	    /* what it can give is not known: its statistics stand still */
	RESIZE_STUCK,	    /* it should have grown, and does not take its memory back */
	RESIZE_NO_DRIVER,   /* no balloon driver is at work in it */
	RESIZE_BOOTING,	    /* it is booting, and its driver has not started yet */
	RESIZE_STOPPED,	    /* it is paused, or crashed */
	RESIZE_DEADLINE,    /* it was still moving at the timeout */
	RESIZE_SUPERSEDED,  /* a newer request has replaced this one */
	RESIZE_INTERRUPTED, /* the caller cancelled it */
	RESIZE_REASONS
};

/* The name of @reason in JSON, such as "in-use". */
const char *resize_reason_name(enum resize_reason reason);

/* How a resize ended.  Sizes that are not known, or do not apply, are HV_UNSET. */
struct resize_result {
	enum resize_reason reason;
	uint64_t target_bytes;
	uint64_t before_bytes, after_bytes;	      /* the guest's size */
	uint64_t host_before_bytes, host_after_bytes; /* what it cost the host */
	uint64_t eased_bytes; /* the target that a guest which stopped short was left with */
	double first_move_s;  /* from the request to the first change of size; < 0: never */
	double seconds;
	char *why; /* why it stopped short; NULL if it did not */
	char *remedy;
	char *note;		   /* what made this resize risky, or NULL */
	char *relief;		   /* what it may do about its new size by itself, or NULL */
	enum hv_obstacle obstacle; /* found before memory was taken */
};
/* Frees the texts in *result. */
void resize_result_clear(struct resize_result *result);

/* What the host gained; negative if it gave.  False if that was not measured. */
bool resize_host_gain(const struct resize_result *result, int64_t *gain_bytes);
/* What the host gained or gave, in words, after "host: "; NULL if the guest kept its size. */
char *resize_host_text(const struct resize_result *result);

/* What a caller is told meanwhile, in the thread of resize_guest().  All may be NULL. */
struct resize_ops {
	/* How far the guest is; called every few milliseconds. */
	void (*progress)(void *data, const struct balloon_wait *wait, int64_t now_us);
	/* What it waits for before it sets the target; called once. */
	void (*waiting)(void *data, const char *text);
	/* Something that the person who asked should know; without a full stop. */
	void (*warn)(void *data, const char *text);
	/* The guest's target is about to be set to @bytes, and nobody else should set another.
	 * False with an error: do not set it. */
	bool (*hold)(void *data, uint64_t bytes, GError **error);
	/* It was not set after all, and no newer request has replaced this one. */
	void (*release)(void *data);
	/*
	 * Sets the target, for a caller whose other targets must not be overtaken by this one;
	 * NULL: resize_guest() sets it.  If it is cancelled meanwhile, it returns true if the
	 * target may take effect, and false with an error if it will not.
	 */
	bool (*set)(void *data, uint64_t bytes, GError **error);
	/* Whether to end early; what was asked of the guest stays in effect. */
	bool (*is_cancelled)(void *data);
};

/*
 * resize_check_target - whether a guest may be set to @target_bytes
 * @name: the guest's, for the error
 * @max_bytes: its maximum now, or at its next start
 * @force: accept a size below its floor
 */
bool resize_check_target(const char *name, uint64_t max_bytes, uint64_t target_bytes, bool force,
			 GError **error);

/* Whether a guest with @obstacle may be made smaller. */
bool resize_check_obstacle(const char *name, enum hv_obstacle obstacle, bool force, GError **error);

/* What somebody who watches a guest knows of it. */
struct resize_view {
	const char *name;
	uint64_t max_bytes, actual_bytes;
	enum hv_obstacle obstacle;
	int autodeflate;	      /* as in hv_info */
	const struct hv_stats *stats; /* the latest, however old */
};

/*
 * resize_check_view - whether a guest may be set to @target_bytes, by what is known of it now
 * @force: accept what would harm it, but not a size above its maximum
 *
 * As resize_guest() would, but without asking the guest and at once.
 */
bool resize_check_view(const struct resize_view *view, uint64_t target_bytes, bool force,
		       GError **error);

/*
 * resize_guest - ask a running guest for a size, and wait as @request says
 * @info: the guest's settings before
 * @ops: called with @data
 * @result: receives the outcome; clear it even after an error
 *
 * What it changes for the moment, the period of the guest's statistics, it restores before it
 * returns, however it ends.
 *
 * Returns false if the guest could not be asked or contact with it was lost; a request that was
 * made may still take effect.
 */
bool resize_guest(hv_guest *guest, const hv_info *info, const struct resize_request *request,
		  const struct resize_ops *ops, void *data, struct resize_result *result,
		  GError **error);

#endif
