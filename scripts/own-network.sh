#!/usr/bin/env bash
# own-network.sh ARGUMENTS: this checkout's Python, with a network of its own in which there is only loopback.
exec unshare --net -- sh -c 'ip link set lo up && exec "$@"' sh "$(dirname "$0")/../.venv/bin/python" "$@"
