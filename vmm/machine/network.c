/* A machine's network cards, from their settings to the devices: see network.h. */
#include "machine/network.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"
#include "base/util.h"
#include "machine/devices.h"
#include "net/net.h"
#include "net/stream.h"
#include "net/tap.h"
#include "virtio/net.h"

/* RFC 1035: one label. */
#define HOSTNAME_MAX 63
/* 10.0.2.0/24 without its last byte. */
#define USER_NETWORK 0x0a0002u
/* How long a frame of a guest that only sends may be left lying for others to come. */
#define NET_NAP_MAX_NS 1000000

static_assert(MACHINE_MTU_MIN == NET_USER_MTU_MIN && MACHINE_MTU_MAX == NET_USER_MTU_MAX &&
		      MACHINE_QUEUES_MAX == NET_TAP_QUEUES_MAX,
	      "what is checked as the settings are read is what the back-ends take");

void machine_nets_free(struct machine_config *config)
{
	unsigned i;

	for (i = 0; i < config->net_count; i++) {
		free(config->nets[i].kind);
		free(config->nets[i].mac);
		free(config->nets[i].forwards);
		free(config->nets[i].hostname);
		free(config->nets[i].ifname);
		free(config->nets[i].fd);
		free(config->nets[i].path);
		free(config->nets[i].bps);
	}
	config->net_count = 0;
}

/* ---- checks ---- */

/* Parses the next of the rules at *@text into @forward; false: there is none. -errno in *@ret. */
static bool next_forward(const char **text, struct net_forward *forward, int *ret, struct err *e)
{
	size_t len;
	char *rule;

	*text += strspn(*text, " ");
	len = strcspn(*text, " ");
	if (!len)
		return false;
	rule = strndup(*text, len);
	*ret = rule ? net_forward_parse(rule, forward, e) : err_set(e, ENOMEM, "out of memory");
	free(rule);
	*text += len;
	return !*ret;
}

/* Nobody else is there that a port could lead to. */
static int check_guest(const struct net_forward *forward, struct err *e)
{
	uint32_t address = ntohl(forward->guest.v4.sin_addr.s_addr);
	char end[NET_FORWARD_TEXT_MAX];

	if (forward->guest.any.sa_family != AF_INET || !address || address >> 8 == USER_NETWORK)
		return 0;
	return err_set(e, EINVAL, "hostfwd= leads to %s, but the guest's network is 10.0.2.0/24",
		       net_endpoint_format(&forward->guest, end));
}

static int check_forwards(const struct net_config *net, struct err *e)
{
	const char *text = net->forwards ? net->forwards : "";
	struct net_forward forward;
	unsigned count = 0;
	int ret = 0;

	while (!ret && next_forward(&text, &forward, &ret, e)) {
		if (++count > NET_FORWARDS_MAX)
			return err_set(e, EINVAL, "hostfwd is given too often: at most %d times",
				       NET_FORWARDS_MAX);
		ret = check_guest(&forward, e);
	}
	return ret;
}

static int check_hostname(const char *name, struct err *e)
{
	const char *p;

	if (!*name || strlen(name) > HOSTNAME_MAX)
		return err_set(e, EINVAL, "hostname= has 1 to %d characters, not %zu", HOSTNAME_MAX,
			       strlen(name));
	for (p = name; *p; p++)
		if (!isalnum((unsigned char)*p) && (*p != '-' || p == name))
			return err_set(e, EINVAL,
				       "hostname=%s: a host name holds letters, digits and, not in "
				       "front, \"-\"",
				       name);
	return 0;
}

/* 0 to INT_MAX, or -1. */
static int parse_fd(const char *text)
{
	long value;
	char *end;

	errno = 0;
	value = strtol(text, &end, 10);
	return errno || *end || !isdigit((unsigned char)*text) || value > INT_MAX ? -1 : (int)value;
}

static int check_tap(const struct net_config *net, struct err *e)
{
	if (!net->ifname == !net->fd)
		return err_set(e, EINVAL, "a tap device is named by either ifname=NAME or fd=N");
	if (net->fd && parse_fd(net->fd) < 0)
		return err_set(e, EINVAL, "fd=%s is not the number of a descriptor", net->fd);
	if (net->queues > 1 && net->fd)
		return err_set(e, EINVAL,
			       "fd=N is one queue: queues=%u needs ifname=", net->queues);
	if (net->vhost && (net->bps || net->pps))
		return err_set(e, EINVAL,
			       "vhost=on and bps= or pps= contradict each other: what the host's "
			       "kernel moves is not counted here");
	return 0;
}

/* A setting that means nothing to this kind of network was meant to do something. */
static int check_foreign(const struct net_config *net, struct err *e)
{
	bool user = !strcmp(net->kind, "user"), tap = !strcmp(net->kind, "tap");
	bool passt = !strcmp(net->kind, "passt");
	const struct {
		const char *name;
		bool given, fits;
	} settings[] = {
		{"hostfwd", net->forwards, user},
		{"hostname", net->hostname, user},
		{"restrict", net->restricted, user},
		{"mtu", net->mtu, user || passt},
		{"ifname", net->ifname, tap},
		{"fd", net->fd, tap},
		{"queues", net->queues, tap},
		{"vhost", net->vhost, tap},
		{"path", net->path, passt},
		{"mac", net->mac, user || tap || passt},
		{"bps", net->bps, user || tap || passt},
		{"pps", net->pps, user || tap || passt},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(settings); i++)
		if (settings[i].given && !settings[i].fits)
			return err_set(e, EINVAL, "%s= means nothing to a network of this kind",
				       settings[i].name);
	return 0;
}

/* A name that a script has left empty is not one that was not given. */
static int check_empty(const struct net_config *net, struct err *e)
{
	const struct {
		const char *name, *text;
	} settings[] = {
		{"hostfwd", net->forwards},
		{"ifname", net->ifname},
		{"path", net->path},
		{"mac", net->mac},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(settings); i++)
		if (settings[i].text && !*settings[i].text)
			return err_set(e, EINVAL, "%s= is empty", settings[i].name);
	return 0;
}

/* "800k", "10M", "2.5G": bits a second, in decimal units as networks have them. 0: it is none. */
static uint64_t parse_bps(const char *text)
{
	static const char units[] = "kMGT";
	double value, unit = 1;
	const char *at;
	char *end;

	value = strtod(text, &end);
	if (end == text || !isdigit((unsigned char)*text))
		return 0;
	if (*end && (at = strchr(units, *end))) {
		for (; at >= units; at--)
			unit *= 1000;
		end++;
	}
	value *= unit;
	if (*end || !(value >= (double)NET_LIMIT_BPS_MIN && value <= (double)NET_LIMIT_BPS_MAX))
		return 0;
	return (uint64_t)value;
}

static int check_net(const struct net_config *net, struct err *e)
{
	uint8_t mac[NET_MAC_BYTES];
	int ret = check_empty(net, e);

	if (ret < 0)
		return ret;
	if (!strcmp(net->kind, "user"))
		ret = check_forwards(net, e);
	else if (!strcmp(net->kind, "tap"))
		ret = check_tap(net, e);
	else if (strcmp(net->kind, "passt") != 0 && strcmp(net->kind, "none") != 0)
		return err_set(e, EINVAL, "unknown kind of network; known: user, tap, passt, none");
	if (!ret)
		ret = check_foreign(net, e);
	if (!ret && net->bps && !parse_bps(net->bps))
		ret = err_set(
			e, EINVAL,
			"bps=%s is not a number of bits a second, from 1k to 10T, such as 10M",
			net->bps);
	if (!ret && net->mac)
		ret = net_mac_parse(net->mac, mac, e);
	if (!ret && net->hostname)
		ret = check_hostname(net->hostname, e);
	return ret;
}

/* What two cards cannot both have; each of them is sound. */
static int check_twins(const struct net_config *a, const struct net_config *b, struct err *e)
{
	uint8_t mac_a[NET_MAC_BYTES], mac_b[NET_MAC_BYTES];

	if (a->ifname && b->ifname && !strcmp(a->ifname, b->ifname))
		return err_set(e, EINVAL, "two cards have ifname=%s: a tap device serves one",
			       a->ifname);
	if (a->fd && b->fd && parse_fd(a->fd) == parse_fd(b->fd))
		return err_set(e, EINVAL, "two cards have fd=%s: a tap device serves one", b->fd);
	if (a->path && b->path && !strcmp(a->path, b->path))
		return err_set(e, EINVAL, "two cards have path=%s: a passt serves one", a->path);
	if (!a->mac || !b->mac)
		return 0;
	(void)net_mac_parse(a->mac, mac_a, NULL);
	(void)net_mac_parse(b->mac, mac_b, NULL);
	if (!memcmp(mac_a, mac_b, sizeof(mac_a)))
		return err_set(e, EINVAL, "two cards have the MAC address %s", b->mac);
	return 0;
}

/* Whether one of the @count @rules wants the same port of the host. */
static bool has_rival(const struct net_forward *forward, const struct net_forward *rules,
		      unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++)
		if (net_forwards_collide(forward, &rules[i]))
			return true;
	return false;
}

/* Whether no port of the host is forwarded twice, by one card or by two. */
static int check_ports(const struct net_user_options *a, const struct net_user_options *b,
		       struct err *e)
{
	char end[NET_FORWARD_TEXT_MAX];
	unsigned i;

	for (i = 0; i < a->forward_count; i++)
		if (has_rival(&a->forwards[i], b->forwards, a == b ? i : b->forward_count))
			return err_set(e, EINVAL, "hostfwd= asks for %s port %s of the host twice",
				       a->forwards[i].udp ? "UDP" : "TCP",
				       net_endpoint_format(&a->forwards[i].host, end));
	return 0;
}

static int check_together(const struct machine_config *config, struct err *e)
{
	struct net_user_options a, b;
	unsigned i, j;
	int ret = 0;

	for (i = 0; i < config->net_count && !ret; i++) {
		machine_net_user(config, i, &a);
		ret = check_ports(&a, &a, e);
		for (j = 0; j < i && !ret; j++) {
			machine_net_user(config, j, &b);
			ret = check_twins(&config->nets[j], &config->nets[i], e);
			if (!ret)
				ret = check_ports(&a, &b, e);
		}
	}
	return ret < 0 ? err_prefix(e, "--net") : 0;
}

int machine_nets_finish(struct machine_config *config, struct err *e)
{
	unsigned i;
	int ret;

	for (i = 0; i < config->net_count; i++) {
		ret = check_net(&config->nets[i], e);
		if (ret < 0)
			return err_prefix(e, "--net %s", config->nets[i].kind);
		if (!strcmp(config->nets[i].kind, "none") && config->net_count > 1)
			return err_set(
				e, EINVAL,
				"--net none contradicts the other --net: it means no network "
				"at all");
	}
	if (config->net_count && !strcmp(config->nets[0].kind, "none"))
		machine_nets_free(config);
	ret = check_together(config, e);
	if (ret < 0)
		return ret;
	for (i = 0; i < config->net_count && config->pcap; i++)
		if (config->nets[i].vhost)
			return err_set(e, EINVAL,
				       "--pcap %s and vhost=on contradict each other: what the "
				       "host's kernel moves is not seen here",
				       config->pcap);
	if (config->pcap && !config->net_count)
		return err_set(e, EINVAL, "--pcap %s: there is no network to write down; see --net",
			       config->pcap);
	return 0;
}

/* ---- of finished settings ---- */

/* The same each time for the same machine, so that the guest knows its card again. */
static void get_mac(const struct machine_config *config, unsigned index, uint8_t mac[NET_MAC_BYTES])
{
	const struct net_config *net = &config->nets[index];
	struct strbuf seed = {0};

	if (net->mac) {
		(void)net_mac_parse(net->mac, mac, NULL);
		return;
	}
	strbuf_addf(&seed, "%s %s %u", config->name, net->ifname ? net->ifname : net->kind, index);
	net_mac_make(seed.data, mac);
	strbuf_free(&seed);
}

const char *machine_net_detail(const struct machine_config *config, unsigned index,
			       char text[MACHINE_NET_DETAIL_MAX])
{
	const struct net_config *net = &config->nets[index];
	char mac_text[NET_MAC_TEXT_MAX];
	uint8_t mac[NET_MAC_BYTES];
	struct strbuf b = {0};

	get_mac(config, index, mac);
	strbuf_addstr(&b, net->kind);
	if (net->ifname)
		strbuf_addf(&b, " %s", net->ifname);
	if (net->fd)
		strbuf_addf(&b, " descriptor %s", net->fd);
	if (net->path)
		strbuf_addf(&b, " %s", net->path);
	strbuf_addf(&b, ", %s", net_mac_format(mac, mac_text));
	if (net->restricted)
		strbuf_addstr(&b, ", restricted");
	if (net->mtu)
		strbuf_addf(&b, ", mtu %u", net->mtu);
	if (net->queues > 1)
		strbuf_addf(&b, ", %u queues", net->queues);
	if (net->vhost)
		strbuf_addstr(&b, ", vhost");
	if (net->bps)
		strbuf_addf(&b, ", %s bit/s", net->bps);
	if (net->pps)
		strbuf_addf(&b, ", %u frames/s", net->pps);
	snprintf(text, MACHINE_NET_DETAIL_MAX, "%s", b.data);
	strbuf_free(&b);
	return text;
}

void machine_net_user(const struct machine_config *config, unsigned index,
		      struct net_user_options *user)
{
	const struct net_config *net = &config->nets[index];
	const char *text = net->forwards ? net->forwards : "";
	int ret = 0;

	memset(user, 0, sizeof(*user));
	user->mtu_bytes = (uint16_t)(net->mtu ? net->mtu : NET_USER_MTU_DEFAULT);
	user->restricted = net->restricted;
	user->hostname = net->hostname;
	if (strcmp(net->kind, "user") != 0)
		return;
	while (user->forward_count < NET_FORWARDS_MAX &&
	       next_forward(&text, &user->forwards[user->forward_count], &ret, NULL))
		user->forward_count++;
}

static enum net_kind net_kind(const struct net_config *net)
{
	if (!strcmp(net->kind, "tap"))
		return NET_TAP;
	return strcmp(net->kind, "passt") ? NET_USER : NET_STREAM;
}

int machine_create_net(const struct build_parts *parts, const struct plan_device *planned,
		       const struct device_place *place, struct device **out, struct err *e)
{
	struct net_user_options user;
	const struct net_config *net = &parts->config->nets[planned->index];
	struct net_tap_options tap = {
		.ifname = net->ifname,
		.fd = net->fd ? parse_fd(net->fd) : -1,
		.queues = net->queues,
	};
	struct net_stream_options stream = {
		.path = net->path,
		.mtu_bytes = (uint16_t)(net->mtu ? net->mtu : NET_STREAM_MTU_DEFAULT),
	};
	struct net_options options = {
		.kind = net_kind(net),
		.id = planned->id,
		.user = &user,
		.tap = &tap,
		.stream = &stream,
		.bits_per_s = net->bps ? parse_bps(net->bps) : 0,
		.frames_per_s = net->pps,
		.capture = parts->config->pcap,
		.card = planned->index,
		.cards = parts->config->net_count,
	};
	struct virtio_net_settings settings = {
		.id = planned->id,
		.options = &options,
		.pairs = MAX(net->queues, 1u),
		.vhost = net->vhost,
		.nap_max_ns = NET_NAP_MAX_NS,
	};

	get_mac(parts->config, planned->index, settings.mac);
	machine_net_user(parts->config, planned->index, &user);
	return virtio_net_new(parts->env, place, &settings, out, e);
}
