/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/interface.h"

#include <errno.h>
#include <fcntl.h>
#include <libnfnetlink/libnfnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

struct interface_watch {
	struct nlif_handle *table;
	int ioctl_fd;
};

int interface_watch_open(struct interface_watch **result)
{
	struct interface_watch *watch = calloc(1, sizeof(*watch));
	if (watch == NULL)
		return -ENOMEM;
	watch->ioctl_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	watch->table = nlif_open();
	if (watch->table == NULL || watch->ioctl_fd < 0 || nlif_query(watch->table) < 0) {
		int error = errno != 0 ? -errno : -EIO;
		interface_watch_close(watch);
		return error;
	}
	/* nlif_catch() reads until an error: without this it would wait for the next change */
	int fd = nlif_fd(watch->table);
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0) {
		int error = -errno;
		interface_watch_close(watch);
		return error;
	}
	*result = watch;
	return 0;
}

void interface_watch_close(struct interface_watch *watch)
{
	if (watch == NULL)
		return;
	if (watch->table != NULL)
		nlif_close(watch->table);
	if (watch->ioctl_fd >= 0)
		close(watch->ioctl_fd);
	free(watch);
}

int interface_watch_fd(const struct interface_watch *watch)
{
	return nlif_fd(watch->table);
}

int interface_watch_read(struct interface_watch *watch)
{
	errno = 0;
	if (nlif_catch(watch->table) >= 0 || errno == EAGAIN || errno == EWOULDBLOCK)
		return 0;
	if (errno == ENOBUFS) /* changes were lost: read all anew */
		return nlif_query(watch->table) < 0 && errno != EAGAIN ? -errno : 0;
	return errno != 0 ? -errno : -EIO;
}

struct interface_state interface_state(const struct interface_watch *watch, const char *name)
{
	struct interface_state state = {.index = 0};
	unsigned flags = 0;
	struct ifreq request = {0};
	/* if_nametoindex() opens a socket of its own each time */
	strncpy(request.ifr_name, name, sizeof(request.ifr_name) - 1);
	if (ioctl(watch->ioctl_fd, SIOCGIFINDEX, &request) < 0)
		return state;
	state.index = (unsigned)request.ifr_ifindex;
	if (nlif_get_ifflags(watch->table, state.index, &flags) < 0) {
		/* just made: its message is still under way */
		if (ioctl(watch->ioctl_fd, SIOCGIFFLAGS, &request) == 0)
			flags = (unsigned short)request.ifr_flags;
	}
	state.is_up = flags & IFF_UP;
	state.has_carrier = flags & IFF_RUNNING;
	state.is_loopback = flags & IFF_LOOPBACK;
	if (ioctl(watch->ioctl_fd, SIOCGIFMTU, &request) == 0)
		state.mtu = (uint32_t)request.ifr_mtu;
	return state;
}
