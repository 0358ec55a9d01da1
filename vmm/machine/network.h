/* What a machine's network settings (struct net_config) mean: checks, texts, and the cards. */
#ifndef SARANG_MACHINE_NETWORK_H
#define SARANG_MACHINE_NETWORK_H

#include "machine/config.h"
#include "net/user.h"

#define MACHINE_NET_DETAIL_MAX 240

/* Checks all that needs nothing of the host; "none" becomes no card. 0 or -EINVAL with a sentence.
 */
int machine_nets_finish(struct machine_config *config, struct err *e);

/* Frees what the cards' settings own. */
void machine_nets_free(struct machine_config *config);

/* "user, 52:54:00:12:34:56, restricted" for inspect, of all settings but ports; returns @text. Of
 * finished settings, as are the rest. */
const char *machine_net_detail(const struct machine_config *config, unsigned index,
			       char text[MACHINE_NET_DETAIL_MAX]);

/* Fills in *@user from the settings of a user network. Strings are borrowed from @config. */
void machine_net_user(const struct machine_config *config, unsigned index,
		      struct net_user_options *user);

#endif
