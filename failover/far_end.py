"""The other end of the lines: what the cloud needs so that answers return on the line by which the question came.

Pure: values in, the text of files out, each with what it is for. Nothing here is applied by the node; a person takes
it to the cloud's router, and the laboratory applies the same text.

The rule is "automatic last hop": each packet from the clinic notes in the tracked connection by which line it came, and
each answer leaves by the line noted last. It follows a switch of the clinic within one round trip, needs no word
between the two ends, and no connection breaks. What the cloud itself begins takes the first line that is up.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from failover.probes.stamp_packet import PORT

NFT_PATH = "/etc/edge-far-end/last-hop.nft"
ROUTES_PATH = "/etc/systemd/system/edge-far-end.service"
REFLECTOR_PATH = "/etc/systemd/system/edge-reflector.service"
SYSCTL_PATH = "/etc/sysctl.d/60-edge-far-end.conf"
KEY_PATH = "/etc/edge-far-end/reflector.key"
TABLE = "edge_last_hop"

# Ours among the marks and rules of a router that may have others.
_MARK_MASK = 0xFF
_RULE_PREFERENCE = 900
_FIRST_METRIC = 100
_DEVICE = re.compile(r"[^\s/:\"\\]{1,15}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FarLine:
    """One line as the cloud sees it: the device it comes in by, and the next hop towards the clinic."""

    name: str
    number: int  # the firewall mark; the rule's preference and the routing table follow from it
    device: str
    gateway: str
    prefix: str  # between clinic and carrier: whence the probes come

    @property
    def table(self) -> int:
        return 100 + self.number


@dataclass(frozen=True, slots=True, kw_only=True)
class FarEnd:
    """What the texts speak of. `clinic_prefixes` are networks behind the clinic, if the cloud sees their addresses."""

    lines: tuple[FarLine, ...]
    service_ip: str | None = None
    clinic_prefixes: tuple[str, ...] = ()
    reflect_on: tuple[str, ...] = ()
    reflector_port: int = PORT
    has_key: bool = False
    program: str = "/opt/edge-node/current/bin/edge-node"

    @property
    def clinic(self) -> tuple[str, ...]:
        """Every address range of the clinic, once each."""
        own = (f"{self.service_ip}/32",) if self.service_ip else ()
        return tuple(dict.fromkeys((*own, *self.clinic_prefixes, *(line.prefix for line in self.lines))))

    @property
    def shared(self) -> tuple[str, ...]:
        """What may be reached by any of the lines."""
        own = (f"{self.service_ip}/32",) if self.service_ip else ()
        return (*own, *self.clinic_prefixes)


@dataclass(frozen=True, slots=True, kw_only=True)
class FarFile:
    """One file for the cloud's router."""

    path: str
    text: str
    mode: int = 0o644


def problems(far: FarEnd) -> list[str]:
    """What is wrong with the description, as sentences; with any, the texts must not be used."""
    found = [] if far.lines else ["there is no line"]
    for line in far.lines:
        if not _DEVICE.fullmatch(line.device):
            found.append(f"{line.name}: {line.device!r} is no name of an interface")
        if not 1 <= line.number <= 99:
            found.append(f"{line.name}: the mark {line.number} does not lie between 1 and 99")
        if not _parses(IPv4Address, line.gateway):
            found.append(f"{line.name}: {line.gateway!r} is no IPv4 address")
    for what, values in (
        ("mark", [line.number for line in far.lines]),
        ("device", [line.device for line in far.lines]),
        ("name", [line.name for line in far.lines]),
    ):
        found += [
            f"two lines have the {what} {value}" for value in sorted(set(values), key=str) if _twice(values, value)
        ]
    for prefix in (*far.clinic_prefixes, *(line.prefix for line in far.lines)):
        if not _parses(IPv4Network, prefix):
            found.append(f"{prefix!r} is no IPv4 network, such as 10.1.1.0/30")
    for address in (*far.reflect_on, *([far.service_ip] if far.service_ip else [])):
        if not _parses(IPv4Address, address):
            found.append(f"{address!r} is no IPv4 address")
    return found


def files(far: FarEnd) -> tuple[FarFile, ...]:
    """Every file of the far end. Raises ValueError with the problems of the description."""
    _refuse(far)
    reflector = (FarFile(path=REFLECTOR_PATH, text=reflector_unit(far)),) if far.reflect_on else ()
    return (
        FarFile(path=NFT_PATH, text=nft_rules(far)),
        FarFile(path=SYSCTL_PATH, text=sysctls(far)),
        FarFile(path=ROUTES_PATH, text=routes_unit(far)),
        *reflector,
    )


def nft_rules(far: FarEnd) -> str:
    """The last-hop rules, as a file for `nft -f`; loading it again replaces them whole."""
    _refuse(far)
    arrivals = "\n".join(
        f'    iifname "{line.device}" ip saddr @clinic ct mark set ct mark & {~_MARK_MASK & 0xFFFFFFFF:#010x} '
        f"| {line.number:#x} comment {_quoted(f'came by {line.name}')}"
        for line in far.lines
    )
    devices = ", ".join(f'"{line.device}"' for line in far.lines)
    back = f"ct mark & {_MARK_MASK:#x} != 0 meta mark set ct mark & {_MARK_MASK:#x}"
    return f"""# Answers to the clinic leave by the line on which its newest packet came.
# Load with: nft -f {NFT_PATH}
table ip {TABLE}
delete table ip {TABLE}
table ip {TABLE} {{
  # Every address range of the clinic; nobody else's connections are marked.
  set clinic {{
    type ipv4_addr; flags interval; auto-merge
    elements = {{ {", ".join(far.clinic)} }}
  }}
  # Before routing, after connection tracking: note by which line this packet came.
  chain arrival {{
    type filter hook prerouting priority mangle; policy accept;
{arrivals}
    # Answers that this router forwards for others behind it.
    iifname != {{ {devices} }} ip daddr @clinic {back}
  }}
  # Answers of this machine itself; "route" makes the kernel choose the way again, by the mark.
  chain answer {{
    type route hook output priority mangle; policy accept;
    ip daddr @clinic {back}
  }}
}}
"""


def sysctls(far: FarEnd) -> str:
    """Kernel settings of the lines' devices."""
    _refuse(far)
    lines = "\n".join(f"net.ipv4.conf.{_sysctl_name(line.device)}.rp_filter = 2" for line in far.lines)
    down = "\n".join(f"net.ipv4.conf.{_sysctl_name(line.device)}.ignore_routes_with_linkdown = 1" for line in far.lines)
    return f"""# The clinic's service address comes in by any line: the strict check would drop it on all but one.
{lines}
# A line whose cable is out is left by the kernel itself.
{down}
"""


def ip_commands(far: FarEnd) -> tuple[str, ...]:
    """Rules and routes, as arguments of `ip`; on a router that has them, the rules must be removed before."""
    _refuse(far)
    commands = []
    for place, line in enumerate(far.lines):
        mark = f"{line.number:#x}/{_MARK_MASK:#x}"
        commands += [
            # What carries the line's mark goes by the line.
            f"rule add pref {_RULE_PREFERENCE + line.number} fwmark {mark} lookup {line.table}",
            f"route replace default via {line.gateway} dev {line.device} table {line.table}",
            # Probes of the line have its own addresses, and no other way back.
            f"route replace {line.prefix} via {line.gateway} dev {line.device}",
        ]
        # For what begins here: the first line that is up.
        commands += [
            f"route replace {prefix} via {line.gateway} dev {line.device} metric {_FIRST_METRIC + place}"
            for prefix in far.shared
        ]
    return tuple(commands)


def removal_commands(far: FarEnd) -> tuple[str, ...]:
    """What takes the rules and routes away again, as arguments of `ip`; each may fail where nothing is there."""
    _refuse(far)
    commands = []
    for place, line in enumerate(far.lines):
        commands += [
            f"rule del pref {_RULE_PREFERENCE + line.number}",
            f"route flush table {line.table}",
            f"route del {line.prefix} via {line.gateway} dev {line.device}",
        ]
        commands += [
            f"route del {prefix} via {line.gateway} dev {line.device} metric {_FIRST_METRIC + place}"
            for prefix in far.shared
        ]
    return tuple(commands)


def routes_unit(far: FarEnd) -> str:
    """A unit that sets rules and routes at every start of the router, and takes them away when it is stopped."""
    _refuse(far)
    rules = [f"ExecStart=-ip rule del pref {_RULE_PREFERENCE + line.number}" for line in far.lines]
    starts = [*rules, *(f"ExecStart=ip {command}" for command in ip_commands(far)), f"ExecStart=nft -f {NFT_PATH}"]
    stops = [f"ExecStop=-nft delete table ip {TABLE}"]
    stops += [f"ExecStop=-ip {command}" for command in removal_commands(far)]
    return f"""# {ROUTES_PATH}
[Unit]
Description=Answers to the clinic return on the line by which it asked
After=network-online.target
Wants=network-online.target

[Service]
Type=oneshot
RemainAfterExit=yes
# A rule that is there would be refused: removed first, so that starting again changes nothing.
{chr(10).join(starts)}
{chr(10).join(stops)}

[Install]
WantedBy=multi-user.target
"""


def reflector_unit(far: FarEnd) -> str:
    """The reflector's unit: it answers the clinic's probes, and tells by its counter which direction loses."""
    _refuse(far)
    argv = [far.program, "reflector"]
    argv += [f"--listen {address}:{far.reflector_port}" for address in far.reflect_on]
    argv += [f"--allow {prefix}" for prefix in far.clinic]
    credential = ""
    if far.has_key:
        argv.append("--key-file ${CREDENTIALS_DIRECTORY}/reflector.key")
        credential = "\n# The key that signs questions and answers; the node has the same."
        credential += f"\nLoadCredential=reflector.key:{KEY_PATH}"
    ports = "\n# A port below 1024.\nAmbientCapabilities=CAP_NET_BIND_SERVICE" if far.reflector_port < 1024 else ""
    bounding = "CapabilityBoundingSet=CAP_NET_BIND_SERVICE" if ports else "CapabilityBoundingSet="
    return f"""# {REFLECTOR_PATH}
[Unit]
Description=Answers the probes of the clinic's lines
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={f" {chr(92)}{chr(10)}    ".join(argv)}
Restart=always
RestartSec=1s
# Mistakes that only a person can mend.
RestartPreventExitStatus=2 3
DynamicUser=yes{credential}{ports}
{bounding}
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectProc=invisible
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
MemoryMax=128M
RestrictAddressFamilies=AF_INET AF_UNIX
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
# It asks how exact the clock is, and says so in its answers. (ProtectClock=yes would forbid asking, too.)
SystemCallFilter=adjtimex clock_adjtime
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
"""


def printed(far: FarEnd) -> str:
    """All files in one text for a person, each headed by where it goes."""
    parts = [f"# ==== {file.path} (mode {file.mode:04o})\n{file.text}" for file in files(far)]
    units = "edge-far-end" + (" edge-reflector" if far.reflect_on else "")
    key = f"\n# The key: 32 random bytes in hexadecimal, mode 0600, in {KEY_PATH}; the same in the node's credentials."
    return "\n".join(
        (
            *parts,
            f"# ==== then\n# sysctl --system && systemctl daemon-reload && systemctl enable --now {units}"
            + (key if far.has_key else ""),
            "",
        )
    )


def _refuse(far: FarEnd) -> None:
    if found := problems(far):
        raise ValueError("; ".join(found))


def _quoted(text: str) -> str:
    return '"' + re.sub(r"[^\w .,:-]", "?", text) + '"'


def _sysctl_name(device: str) -> str:
    """In a setting's name a dot separates; one of the device's own is written as a slash."""
    return device.replace(".", "/")


def _parses(kind: type[IPv4Address] | type[IPv4Network], text: str) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True


def _twice(values: Sequence[object], value: object) -> bool:
    return list(values).count(value) > 1
