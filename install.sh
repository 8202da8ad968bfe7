#!/bin/sh
# Makes this machine an edge node, from the bundle that this file lies in; needs no internet. Run again, it changes
# nothing. `install.sh --help` says what it can be told.
set -eu
umask 022
export LC_ALL=C.UTF-8
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH

OPT=/opt/edge-node
CONFIG=/etc/edge-node/edge-node.toml
STATE=/var/lib/edge-node
LINKS=/var/lib/edge-links
COMMAND=/usr/local/bin/edge-node
CHRONY=/etc/chrony/conf.d/edge-node.conf
# A release takes 170 MB, its packages 40, and while an upgrade runs there are three.
OPT_NEEDS_MB=600
# Databases and their local replica begin small; a clinic's first year takes about this.
STATE_NEEDS_MB=2000
# The units wait for each other, and a mini PC compiles nothing; a quiet one needs 10 s.
HEALTHY_WITHIN_S=120

usage() {
    cat <<'TEXT'
./install.sh --id ID --name NAME    a new clinic; shows its recovery identity once, and asks its last characters back
./install.sh --training             a made-up clinic, to try it
./install.sh --from URL --identity FILE --reason WHY
                                    a new machine for a clinic that has copies (--node, --endpoint, --region,
                                    --credential, --old-machine-is-off: as edge-node replica promote has them)
./install.sh                        the program alone is missing: configuration and data are here
  --admin CODE                      with --id: what the first administrator signs in with
  --listen ADDRESS:PORT             with --id: where the pages are served (0.0.0.0:443; other computers get TLS)
  --contact TEXT                    with --id: whom staff call when something is wrong
  --dry-run                         only look, and say all that is in the way
  --release-only                    only put the release beside others (edge-node upgrade does so)
./install.sh --remove               take program, units and kernel settings away, leave configuration and data
TEXT
}

say() { printf '%s\n' "$*"; }
die() { # exit code, sentence, hint
    printf 'error: %s\n' "$2" >&2
    [ -z "${3:-}" ] || printf 'hint: %s\n' "$3" >&2
    exit "$1"
}

# Everything that is in the way, one line each: where, and what.
problems=''
problem() {
    problems="$problems
  $(printf '%-22s' "$1")  $2"
}

# --- what was asked for ---------------------------------------------------------------------------------------------

want=program id='' name='' admin='' listen='' contact='' reason='' dry_run='' identity=''
from='' node='' endpoint='' region='' credential='' old_machine_is_off=''
value() { [ "$#" -gt 1 ] || die 2 "$1 needs a value" './install.sh --help'; }
while [ "$#" -gt 0 ]; do
    case $1 in
    --id) value "$@"; want=new id=$2; shift ;;
    --name) value "$@"; name=$2; shift ;;
    --admin) value "$@"; admin=$2; shift ;;
    --listen) value "$@"; listen=$2; shift ;;
    --contact) value "$@"; contact=$2; shift ;;
    --training) want=training ;;
    --from) value "$@"; want=promote from=$2; shift ;;
    --identity) value "$@"; identity=$2; shift ;;
    --node) value "$@"; node=$2; shift ;;
    --endpoint) value "$@"; endpoint=$2; shift ;;
    --region) value "$@"; region=$2; shift ;;
    --credential) value "$@"; credential=$2; shift ;;
    --old-machine-is-off) old_machine_is_off=yes ;;
    --reason) value "$@"; reason=$2; shift ;;
    --dry-run) dry_run=yes ;;
    --release-only) want=release ;;
    --remove) want=remove ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; die 2 "unknown option $1" ;;
    esac
    shift
done

# A clinic's pages are for its own network; a made-up one stays on this machine.
[ "$want" != new ] || listen=${listen:-0.0.0.0:443}

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

# A value of release.json, which this project writes one to a line.
manifest() { sed -n "s/^  \"$1\": \"\\{0,1\\}\\([^\",]*\\)\"\\{0,1\\},\\{0,1\\}\$/\\1/p" "$here/release.json" | head -n 1; }
in_use() { readlink "$OPT/current" 2>/dev/null | sed 's,.*/,,'; }
is_booted() { [ -d /run/systemd/system ]; }

# --- looking --------------------------------------------------------------------------------------------------------

look_at_bundle() {
    if [ ! -f "$here/SHA256SUMS" ]; then
        die 2 "$here is no bundle: it has no SHA256SUMS" 'in a clone of the repository, make bundle makes one; unpack it and run its install.sh'
    fi
    if ! said=$(cd "$here" && sha256sum --check --strict --quiet SHA256SUMS 2>/dev/null); then
        for file in $(printf '%s\n' "$said" | sed -n 's/: FAILED.*$//p'); do
            problem "$file" 'is not as it was made: copy the bundle again'
        done
        [ -n "$said" ] || problem SHA256SUMS 'is not as it was made: copy the bundle again'
    fi
}

look_at_machine() {
    [ "$(id -u)" -eq 0 ] || problem 'user' "is $(id -un): run this as root (sudo ./install.sh)"
    # shellcheck source=/dev/null
    system=$(. /etc/os-release 2>/dev/null && printf '%s %s' "${ID:-?}" "${VERSION_ID:-?}") || system=unknown
    [ "$system" = 'debian 12' ] || problem 'system' "is $system: the packages of this bundle are for Debian 12"
    arch=$(uname -m)
    [ "$arch" = "$(manifest arch)" ] || problem 'processor' "is $arch, the bundle is for $(manifest arch)"
    if ! python=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null); then
        problem 'python3' 'is missing: apt-get install python3'
    elif [ "$python" != "$(manifest python)" ]; then
        problem 'python3' "is $python, the bundle is for $(manifest python)"
    elif ! python3 -c 'import venv, ssl, zlib' 2>/dev/null; then
        problem 'python3' 'lacks its standard library: apt-get install python3'
    fi
    for program in systemctl systemd-sysusers systemd-tmpfiles sysctl ip flock; do
        command -v "$program" >/dev/null || problem "$program" 'is missing: apt-get install systemd procps iproute2 util-linux'
    done
    [ "$(date +%s)" -ge "$(manifest released)" ] ||
        problem 'clock' "says $(date -u +%FT%TZ), before this release was made: set it, records carry its time"
    look_at_room /opt "$OPT" "$OPT_NEEDS_MB"
    [ "$want" = release ] || look_at_room /var/lib "$STATE" "$STATE_NEEDS_MB"
}

look_at_room() { # parent, folder, megabytes that are needed where nothing of ours is yet
    [ ! -e "$2/current" ] && [ ! -e "$2/data/his.db" ] || return 0
    free=$(df -Pm "$1" | awk 'NR == 2 { print $4 }')
    [ "$free" -ge "$3" ] || problem "$1" "has $free MB free, $3 MB are needed"
}

look_at_wish() {
    case $want in
    new) [ -n "$name" ] || problem '--name' 'is missing: the clinic as its staff and patients read it' ;;
    promote)
        [ -n "$reason" ] || problem '--reason' 'is missing: the machine that is replaced shows it'
        if [ -z "$identity" ]; then
            problem '--identity' 'is missing: the file with the recovery identity from the safe'
        elif [ ! -r "$identity" ]; then
            problem '--identity' "$identity cannot be read"
        fi
        [ -z "$credential" ] || [ -r "$credential" ] || problem '--credential' "$credential cannot be read"
        ;;
    program)
        [ -e "$CONFIG" ] ||
            problem 'this machine' 'has no configuration: say what it is to be, with --id and --name, --from, or --training'
        ;;
    esac
    present=$(in_use)
    if [ -n "$present" ] && [ "$present" != "$(manifest version)" ]; then
        problem 'this machine' "runs $present: edge-node upgrade takes it to $(manifest version)"
    fi
    [ -n "$present" ] || look_at_ports
}

# Where nothing of ours runs yet, what the services will listen on must be free.
look_at_ports() {
    for address in "${listen:-127.0.0.1:8080}" 127.0.0.1:9108; do
        taken=$(python3 - "$address" 2>/dev/null <<'PYTHON'
import errno, socket, sys
host, _, port = sys.argv[1].rpartition(":")
with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind((host.strip("[]"), int(port)))
    except OSError as error:
        print(error.strerror)
    except ValueError:
        print("is no ADDRESS:PORT")
PYTHON
        ) || true
        [ -z "$taken" ] || problem "$address" "cannot be listened on: $taken (ss -ltnp shows by whom)"
    done
}

# --- doing ----------------------------------------------------------------------------------------------------------

# The release in its folder, with an environment of its own. A virtual environment cannot be moved, so it is made in its
# place, and `.whole`, which is written last, says that it is complete and of which bundle.
put_release() {
    version=$(manifest version)
    release=$OPT/releases/$version
    sums=$(sha256sum <"$here/SHA256SUMS" | cut -d ' ' -f 1)
    if [ -f "$release/.whole" ]; then
        [ "$(cat "$release/.whole")" = "$sums" ] ||
            die 2 "another release $version is installed" 'two bundles must not have one version: make the other one again under a new one'
        say "release $version is in its place"
        return
    fi
    say "putting release $version into $release (half a minute)"
    rm -rf "$release"
    mkdir -p "$release"
    # With the bundle's own pip, out of its wheel: twice as fast as making Debian's ready first.
    python3 -m venv --without-pip "$release"
    env -i PATH="$PATH" LC_ALL="$LC_ALL" HOME=/nonexistent PIP_CONFIG_FILE=/dev/null PIP_NO_INPUT=1 \
        PYTHONPATH="$(echo "$here"/wheels/pip-*.whl)" \
        "$release/bin/python" -m pip --quiet --disable-pip-version-check --no-cache-dir install --no-compile \
        --no-index --find-links "$here/wheels" --require-hashes --requirement "$here/requirements.lock" ||
        die 1 "the packages of release $version could not be installed" 'what pip said stands above; copy the bundle again'
    # Here and not by the services, which may not write to it. A file for another Python is no reason to stop.
    "$release/bin/python" -m compileall -q -j 0 "$release/lib" || true
    cp "$here/release.json" "$here/README.md" "$here/install.sh" "$release/"
    # Whose signatures it takes on the bundle that comes after it.
    [ ! -f "$here/makers" ] || cp "$here/makers" "$release/"
    sync -f "$release"
    printf '%s\n' "$sums" >"$release/.whole.new"
    mv "$release/.whole.new" "$release/.whole"
    sync -f "$release"
}

# Replaces a symbolic link in one step.
link() { # target, path
    [ "$(readlink "$2" 2>/dev/null || true)" != "$1" ] || return 0
    ln -sfn "$1" "$2.new"
    mv -T "$2.new" "$2"
    say "linked $2 -> $1"
}

use_release() {
    link "releases/$version" "$OPT/current"
    link "$OPT/current/bin/edge-node" "$COMMAND"
}

# Users and folders come before the first files, so that these have their owners.
make_folders() {
    shipped=$OPT/current/lib/systemd/system
    systemd-sysusers "$shipped/edge-node.sysusers.conf" || die 1 'the users edge and edge-links could not be made'
    systemd-tmpfiles --create "$shipped/edge-node.tmpfiles.conf" || die 1 "the node's folders could not be made"
}

# There are data, or a local replica that the services restore them from.
has_data() { [ -e "$STATE/data/his.db" ] || [ -n "$(find "$STATE/replica" -name '*.ltx' -print -quit 2>/dev/null)" ]; }

make_clinic() {
    if [ -e "$CONFIG" ] && has_data; then
        say "configuration and data are here: $CONFIG, $STATE"
        return
    fi
    case $want in
    new)
        set -- init --id "$id" --name "$name" --listen "$listen"
        [ -z "$admin" ] || set -- "$@" --admin "$admin"
        [ -z "$contact" ] || set -- "$@" --contact "$contact"
        ;;
    training) set -- init --training ;;
    promote)
        set -- replica promote --from "$from" --identity "$identity" --reason "$reason"
        [ -z "$node" ] || set -- "$@" --node "$node"
        [ -z "$endpoint" ] || set -- "$@" --endpoint "$endpoint"
        [ -z "$region" ] || set -- "$@" --region "$region"
        [ -z "$credential" ] || set -- "$@" --credential "$credential"
        [ -z "$old_machine_is_off" ] || set -- "$@" --old-machine-is-off
        ;;
    *) say "no data yet in $STATE: the services restore them from a destination, or say what is missing"; return ;;
    esac
    "$COMMAND" --config "$CONFIG" "$@"
}

# The node's clock is chrony's, and offline the clinic's devices keep the node's time, right or wrong together.
make_time_server() {
    if [ ! -d /etc/chrony/conf.d ]; then
        say 'chrony is not installed: the clock is whatever else keeps it (timedatectl), and the LAN has no time server here'
        return
    fi
    beside=$(mktemp)
    cat >"$beside" <<'TEXT'
# Written by the edge node's install.sh: this machine is the time server of the clinic's own network.
# Private networks only; who may reach the port at all is the firewall's to say.
allow 10.0.0.0/8
allow 172.16.0.0/12
allow 192.168.0.0/16
allow fc00::/7
# Without a line the node's own clock goes on being served, so that all devices of the clinic agree.
local stratum 10 orphan
TEXT
    if cmp -s "$beside" "$CHRONY"; then
        rm "$beside"
        return
    fi
    install -m 0644 "$beside" "$CHRONY"
    rm "$beside"
    say "wrote $CHRONY: chrony is the node's clock and the LAN's time server"
    ! is_booted || systemctl try-restart chrony.service
}

start() {
    "$COMMAND" units install
    if ! is_booted; then
        say 'systemd does not run here: the node starts when this machine is booted'
        return
    fi
    # Not waited for here: a service that does not come would keep us for ever.
    systemctl start --no-block edge-node.target
    say "waiting until every service is well (at most $HEALTHY_WITHIN_S s)"
    end=$(($(date +%s) + HEALTHY_WITHIN_S))
    # 4: data, disk, clock or a service; copies (5) and lines (6) may take longer than an installation.
    until "$COMMAND" status >/dev/null 2>&1 || [ $? -ne 4 ]; do
        if [ "$(date +%s)" -ge "$end" ]; then
            "$COMMAND" status || true
            die 4 'the node is not well' "edge-node doctor; journalctl -u 'edge-*' -n 50"
        fi
        sleep 1
    done
    [ -e "$release/.proven" ] || : >"$release/.proven"
    "$COMMAND" status || true
}

hand_over() {
    say ''
    if [ -f "$release/makers" ]; then
        say 'The next bundle is taken if one of these has signed it; compare the key with what its maker gave you by another way:'
        sed 's/^/  /' "$release/makers"
        say ''
    fi
    if "$COMMAND" handover --help >/dev/null 2>&1; then
        "$COMMAND" handover || true
    else
        say 'edge-node status shows how the node is, edge-node doctor what it lacks.'
    fi
}

# --- taking away ----------------------------------------------------------------------------------------------------

remove() {
    # All of the node stops in its order, the replicator last, so that what was written last is still copied.
    ! is_booted || systemctl stop edge-node.target edge-his.socket 2>/dev/null || true
    if [ -x "$COMMAND" ] && [ -e "$CONFIG" ]; then
        ! is_booted || "$COMMAND" line cleanup || say 'routes and rules could not be taken away: they end with the next boot'
    fi
    keys=$(sed -n 's/^\(net[^ ]*\) *=.*/\1/p' "$OPT/current/lib/systemd/system/edge-node.sysctl.conf" 2>/dev/null || true)
    [ ! -x "$COMMAND" ] || "$COMMAND" units remove || say 'not every unit could be taken away'
    # Also what another release has linked, or one that does not run.
    find /etc -lname "$OPT/*" -delete 2>/dev/null || true
    rm -f "$CHRONY"
    rm -rf "$COMMAND" "$OPT"
    if is_booted; then
        systemctl daemon-reload
        systemctl reset-failed 'edge-*' 2>/dev/null || true
        restore_kernel_settings
        systemctl try-restart chrony.service 2>/dev/null || true
    fi
    rm -rf /run/edge-node
    say 'removed: the program, its units and its kernel settings'
    say "kept:    $STATE (databases, copies, keys), $LINKS (what lines did), $(dirname "$CONFIG") (configuration), users edge and edge-links"
    say "A later ./install.sh goes on with them. To erase them for good, once a copy elsewhere has been restored and looked at:"
    say "    rm -rf $STATE $LINKS $(dirname "$CONFIG"); userdel edge; userdel edge-links; groupdel edge-share"
}

# What the kernel begins with, then whatever the system's own files say.
restore_kernel_settings() {
    for key in $keys; do
        case $key in
        net.ipv4.ping_group_range) sysctl -q -w "$key=1 0" || true ;;
        *) sysctl -q -w "$key=0" || true ;;
        esac
    done
    sysctl -q --system >/dev/null 2>&1 || true
}

# --------------------------------------------------------------------------------------------------------------------

# Shared with edge-node upgrade. The folder is there, or nothing of ours is.
alone() {
    exec 9>>"$OPT/lock"
    flock -n 9 || die 75 'another installation or upgrade runs' 'wait until it is through'
}

if [ "$want" = remove ]; then
    [ "$(id -u)" -eq 0 ] || die 6 'only root can remove it' 'sudo ./install.sh --remove'
    [ ! -d "$OPT" ] || alone
    remove
    exit 0
fi
look_at_bundle
if [ -z "$problems" ]; then
    look_at_machine
    [ "$want" = release ] || look_at_wish
fi
if [ -n "$problems" ]; then
    die 2 "this cannot be installed here; nothing was changed
$problems
" 'mend these, and run it again'
fi
if [ -n "$dry_run" ]; then
    say "nothing is in the way of release $(manifest version)"
    exit 0
fi
mkdir -p "$OPT"
if [ "$want" = release ]; then
    put_release
    exit 0
fi
alone
put_release
use_release
make_folders
make_clinic
make_time_server
start
hand_over
