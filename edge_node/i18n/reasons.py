"""The sentence of every reason code: of the watcher's decisions, and of whatever is wrong with a node.

Codes never change; sentences may. A code has one sentence or several: the first whose figures are all there is said, so
that a reason without its figures (a `cause` within another reason is only a code) still has words. Figures are made
readable here, by the name of the argument.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from edge_node.i18n.texts import Text, duration, text

# An answer that takes longer than this is spoken of in seconds.
MILLISECONDS_BELOW_S = 10.0

REASONS: Mapping[str, tuple[Text, ...]] = {
    # Why a line has its verdict; also said as the cause within another sentence, then without figures.
    "not-heard": (text("nothing is known of it yet"),),
    "answers": (text("a target answers"),),
    "link-only": (text("carrier, address and route are there; it has no target to ask"),),
    "clean": (text("good for %(for_s)s"), text("good")),
    "returning": (text("it answers again and has yet to prove itself"),),
    "loss": (text("%(loss)s of the probes lost, limit %(limit)s"), text("too many probes lost")),
    "loss-out": (
        text("%(loss)s of the probes lost on the way to the cloud, limit %(limit)s"),
        text("too many probes lost on the way to the cloud"),
    ),
    "loss-back": (
        text("%(loss)s of the probes lost on the way back, limit %(limit)s"),
        text("too many probes lost on the way back"),
    ),
    "delay": (
        text("95 in 100 answers take up to %(rtt_p95_s)s, limit %(limit_s)s"),
        text("answers take too long"),
    ),
    "silent": (text("silent for %(silent_s)s on %(targets)s of %(targets)s targets"), text("silent")),
    "cloud-silent": (text("the carrier answers, the cloud is silent on every line; not charged to the line"),),
    "no-carrier": (text("the interface has no carrier"),),
    "no-link": (text("the interface is gone"),),
    "no-address": (text("the line's address is gone from the interface"),),
    "no-route": (text("the line's own route is gone"),),
    "mtu": (
        text("packets over %(mtu)s bytes vanish, %(expected)s are expected to pass"),
        text("large packets vanish"),
    ),
    "app-silent": (
        text("%(target)s is silent on it, and answers by another line"),
        text("an application is silent on it, and answers by another line"),
    ),
    # Targets that no line is to blame for.
    "target-silent": (text("%(target)s is silent on %(line)s, which others prove alive"),),
    "cloud-trouble": (text("%(target)s is silent on all %(lines)s lines, which others prove alive"),),
    "app-trouble": (text("%(target)s is silent on all %(lines)s lines that live"),),
    "mtu-small": (
        text(
            "%(line)s lets packets of %(mtu)s bytes pass and no larger ones, %(expected)s are expected; "
            "what is sent keeps to it"
        ),
    ),
    # Why the node moved.
    "first-line": (text("%(line)s is the best line that answers"),),
    "adopted": (text("%(line)s was in use before this start and lives"),),
    "line-down": (text("%(line)s down: %(cause)s"), text("%(line)s down")),
    "line-degraded": (text("%(line)s degraded: %(cause)s; %(to)s is up"),),
    "least-bad": (text("%(line)s degraded: %(cause)s; %(to)s clearly less"),),
    "failback": (text("%(line)s is preferred and has been good for %(good_s)s"),),
    "metered": (text("%(line)s is metered, %(to)s lives"),),
    "pinned": (text("an order pins %(line)s"),),
    "rehearsed": (text("an order rehearses the loss of %(line)s"),),
    "every-line-down": (text("no line lives"),),
    "cloud-down": (text("the carriers answer, the cloud does not"),),
    "back-online": (text("%(line)s has lived for %(alive_s)s"),),
    # Why it did not.
    "steady": (text("nothing to do"),),
    "listening": (text("lines that could be preferred have not been judged yet"),),
    "before-offline": (text("no line lives; offline in %(left_s)s"),),
    "before-online": (text("%(line)s lives; online in %(left_s)s"),),
    "still-offline": (text("no line lives"),),
    "held": (text("an order leaves %(line)s as it is"),),
    "min-stay": (text("%(line)s is better; stays for %(left_s)s after the last move"),),
    "hold-runs": (text("%(line)s must be good for %(left_s)s more"),),
    "suppressed": (text("%(line)s fell too often: penalty %(penalty)s, usable below %(reuse)s"),),
    "failback-manual": (text("%(line)s is good again; returning waits for an order"),),
    "failback-window": (text("%(line)s is good again; returning waits for its hours"),),
    "no-better-line": (text("%(line)s is degraded (%(cause)s) and no line is better"),),
    # What was done beside moving.
    "connections-ended": (
        text("%(ended)s of %(found)s connections ended that hung on %(line)s, %(translations)s translations forgotten"),
    ),
    # What the node says of itself while the watcher says nothing.
    "no-lines": (text("this node has no line to watch"),),
    "links-unheard": (text("the watcher of the lines has not said anything yet"),),
    "links-silent": (text("the watcher of the lines is silent"),),
    # Why the watcher sets no routes, and what else it wants a person for.
    "observing": (text("the configuration says observe"),),
    "route-not-permitted": (text("routes may not be set: the privilege is missing"),),
    "route-refused": (text("the kernel refuses a route: %(change)s (%(said)s)"), text("the kernel refuses a route")),
    "kernel-unreadable": (text("routes cannot be read: %(said)s"), text("routes cannot be read")),
    "probe-unpinned": (text("probes of %(line)s may leave by another line: the privilege for marks is missing"),),
    "probe-impossible": (text("%(target)s cannot be asked through %(line)s: %(why)s"),),
    # What a STAMP target gives instead of answers.
    "probe-refused": (text("%(target)s, asked through %(line)s: no reflector listens there"),),
    "probe-unsigned": (
        text("%(target)s, asked through %(line)s: answers are not signed with our key; the reflector has another"),
    ),
    "probe-elsewhere": (text("%(target)s, asked through %(line)s: answers come from another address or port"),),
    "probe-malformed": (text("%(target)s, asked through %(line)s: what answers is no reflector"),),
    "probe-unheard": (
        text(
            "%(target)s, asked through %(line)s: never an answer; is the reflector there, does it allow us, "
            "is its key the same?"
        ),
    ),
    "orders-unreadable": (text("orders are not heeded: %(why)s"),),
    "reload-failed": (text("the new configuration is not used: %(why)s"),),
    "transitions-not-written": (text("changes of the lines cannot be recorded: %(why)s"),),
    "traces-not-written": (text("what the lines answer cannot be recorded: %(why)s"),),
    # What hinders the history and its evidence.
    "history-not-written": (text("the history of the lines cannot be recorded: %(why)s"),),
    "history-behind": (text("the history has been catching up for %(for_s)s"),),
    "transitions-unreadable": (text("lines of what the watcher told that cannot be read: %(n)s"),),
    "maintenance-unreadable": (text("announced maintenance is not heeded: %(why)s"),),
    "evidence-not-frozen": (text("the evidence of an incident cannot be kept: %(why)s"),),
    # What hinders the push of metrics to a central Prometheus.
    "samples-not-kept": (text("samples for the central Prometheus cannot be kept: %(why)s"),),
    "remote-write-refused": (text("the central Prometheus does not take our samples: %(words)s"),),
    "remote-write-behind": (
        text("no sample has reached the central Prometheus for %(for_s)s (%(words)s)"),
        text("no sample has reached the central Prometheus for %(for_s)s"),
    ),
    # Why an upstream takes nothing; said as the cause of a pause.
    "upstream-unreachable": (text("it cannot be reached (%(words)s)"), text("it cannot be reached")),
    "upstream-silent": (text("it does not answer (%(words)s)"), text("it does not answer")),
    "upstream-broken": (text("the connection broke (%(words)s)"), text("the connection broke")),
    "upstream-busy": (text("it is busy (%(words)s)"), text("it is busy")),
    "upstream-server-error": (text("it has an error of its own (%(words)s)"), text("it has an error of its own")),
    "upstream-forbidden": (text("it refuses our key (%(words)s)"), text("it refuses our key")),
    "upstream-missing": (text("its address leads nowhere (%(words)s)"), text("its address leads nowhere")),
    "upstream-too-large": (
        text("the message is too large for it (%(words)s)"),
        text("the message is too large for it"),
    ),
    "upstream-redirected": (text("it has moved (%(words)s)"), text("it has moved")),
    "upstream-untrusted": (
        text("its certificate cannot be trusted (%(words)s)"),
        text("its certificate cannot be trusted"),
    ),
    "upstream-credential": (text("our key cannot be used (%(words)s)"), text("our key cannot be used")),
    "upstream-unexpected": (
        text("its answer is none that we know (%(words)s)"),
        text("its answer is none that we know"),
    ),
    # Problems: what `status` and the console name, each with an exit code in status.PROBLEM_EXITS.
    "service-stale": (text("service %(service)s has not written its state for too long"),),
    "service-stopped": (text("service %(service)s is not running"),),
    "clock-suspect": (text("the clock of this machine cannot be right"),),
    "clock-set-ahead": (
        text("the clock of this machine was set ahead by %(by_s)s; at destinations nothing is expired by it"),
    ),
    "clock-set-back": (
        text("the clock of this machine was set back by %(by_s)s; at destinations nothing is expired by it"),
    ),
    "disk-low": (text("the disk of the data has %(free_bytes)s bytes left"),),
    "his-cannot-write": (text("the HIS cannot write: %(why)s"),),
    "certificate-expiring": (text("the certificate %(certificate)s ends on %(day)s (in %(left_s)s)"),),
    "certificate-expired": (text("the certificate %(certificate)s ended on %(day)s: browsers warn of the pages"),),
    "certificate-mismatch": (text("the certificate %(certificate)s is not for %(names)s: browsers warn there"),),
    "certificate-unusable": (text("the certificate %(certificate)s is shown as before and not renewed: %(why)s"),),
    "litestream-down": (
        text("Litestream is %(state)s: nothing is copied at the moment (%(why)s)"),
        text("Litestream is %(state)s: nothing is copied at the moment"),
    ),
    "replica-disk-low": (
        text("the disk of the local replica has %(free_bytes)s bytes left; its oldest restore points go"),
    ),
    "destination-unreachable": (text("destination %(destination)s does not answer"),),
    "destination-refused": (text("destination %(destination)s refuses us"),),
    "rpo-exceeded": (text("destination %(destination)s lacks what is older than %(rpo_s)s"),),
    "replica-set-back": (
        text("the local replica is older than what destination %(destination)s holds; nothing is shipped"),
    ),
    "changes-left-behind": (
        text(
            "destination %(destination)s holds changes of epoch %(epoch)s up to TXID %(txid)s; this machine went on "
            "from TXID %(from_txid)s: the last of them are in no database"
        ),
    ),
    "replica-unreadable": (text("the local replica of %(database)s.db cannot be read: %(why)s"),),
    "replica-broken": (
        text(
            "the local replica of %(database)s.db lacks files: it restores up to TXID %(reach)s, and captured up to "
            "%(head)s"
        ),
        text("the local replica of %(database)s.db lacks its beginning: nothing can be restored from it"),
    ),
    "replica-file-unsound": (
        text(
            "files of the local replica of %(database)s.db that cannot be used: %(files)s, such as %(file)s (%(why)s)"
        ),
    ),
    "replica-budget-filling": (
        text("the local replica fills %(percent)s percent of its budget; from 85 on its oldest restore points go"),
    ),
    "replica-budget": (
        text("the local replica fills %(percent)s percent of its budget; its oldest restore points go"),
    ),
    "replica-budget-stuck": (
        text("the local replica fills %(percent)s percent of its budget, and nothing more of it may go"),
    ),
    "epoch-taken": (
        text("destination %(destination)s belongs to machine %(machine)s since epoch %(epoch)s; nothing is shipped"),
        text("destination %(destination)s belongs to another machine; nothing is shipped"),
    ),
    "superseded": (
        text("this machine was replaced by %(machine)s (epoch %(epoch)s, since %(since)s): %(said)s"),
        text("this machine was replaced by %(machine)s (epoch %(epoch)s, since %(since)s)"),
    ),
    "superseded-tail": (text("%(rows)s rows are on this machine only; they lie in %(folder)s, to be reconciled"),),
    "superseded-tail-missing": (text("what is on this machine only could not be exported: %(why)s"),),
    "outbox-superseded": (text("nothing is sent: this machine was replaced"),),
    "conditional-puts-missing": (
        text("destination %(destination)s cannot refuse a second owner; a promotion will ask a person"),
    ),
    "paused-by-order": (text("an order by %(by)s pauses it until %(until)s: %(why)s"), text("an order pauses it")),
    "kit-incomplete": (text("the recovery kit is not complete; it lacks %(missing)s"),),
    "audit-contradicted": (
        text(
            "the audit log is not as it was noted at destination %(destination)s on %(noted_on)s (row %(seq)s): it was "
            "written anew, or an older database was put in its place"
        ),
    ),
    "outbox-dead": (
        text("messages to %(upstream)s that need a person: %(n)s"),
        text("messages that need a person: %(n)s"),
    ),
    "upstream-paused": (
        text("upstream %(upstream)s is paused: %(cause)s"),
        text("upstream %(upstream)s is paused"),
    ),
    "upstream-unsupported": (text("upstream %(upstream)s is of the kind %(kind)s, which cannot be sent to yet"),),
    "upstream-unconfigured": (
        text("the configuration does not name upstream %(upstream)s, and messages wait for it: %(messages)s"),
    ),
    "upgrade-unfinished": (
        text(
            "the upgrade to release %(release)s has not ended, its last step is of %(day)s; where it was cut off it is "
            "given again, and a start of the machine leads to release %(fallback)s"
        ),
    ),
    "upgrade-cut-off": (
        text(
            "the upgrade to release %(release)s was cut off; since the start of the machine on %(day)s release "
            "%(kept)s is in use, and the upgrade may be given again"
        ),
    ),
    "outbox-cannot-read": (text("the outbox cannot be read: %(why)s"),),
    "outbox-cannot-write": (text("what came of messages cannot be written: %(why)s"),),
}

# What a service says in its own words, where it gives any.
_OWN_WORDS = ("why", "words", "said")
_PLACES = re.compile(r"%\((\w+)\)s")


def reason_text(code: str, values: Mapping[str, Any]) -> Text:
    """The sentence of a reason. An unknown code, of a newer service, is shown as it is with what it says itself."""
    for sentence in REASONS.get(code, ()):
        names = places(sentence)
        if names <= values.keys():
            return Text(sentence.message, {name: _readable(name, values[name]) for name in names})
    for name in _OWN_WORDS:
        if isinstance(why := values.get(name), str) and why:
            return text("%(code)s: %(why)s", code=code, why=why)
    return Text("%(code)s", {"code": code})


def places(sentence: Text) -> set[str]:
    """The names of the figures that a sentence of REASONS wants."""
    return set(_PLACES.findall(sentence.message))


def _readable(name: str, value: Any) -> Any:
    """A figure as people read it; what is no figure stays as it is."""
    if name == "cause":
        return _cause(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return str(value)
    shape = _SHAPES.get(name) or (_spoken if name.endswith("_s") else None)
    return shape(value) if shape else str(value)


def _cause(value: Any) -> Text:
    """A reason within a reason: its code alone, or with its own figures."""
    if isinstance(value, Mapping):
        args = value.get("args")
        inner = {k: v for k, v in args.items() if k != "cause"} if isinstance(args, Mapping) else {}
        return reason_text(str(value.get("code")), inner)
    return reason_text(str(value), {})


def _tenths(seconds: float) -> Text:
    return text("%(n)s s", n=f"{seconds:.1f}") if seconds < 60 else duration(seconds)


def _spoken(seconds: float) -> Text:
    return duration(seconds)


def _left(seconds: float) -> Text:
    """Rounded up: never "0 s more" while something is still waited for, and never a minute less than it takes."""
    return duration(math.ceil(seconds) if seconds <= 60 else math.ceil(seconds / 60) * 60)


def _answer_time(seconds: float) -> str | Text:
    return f"{seconds * 1000:.0f} ms" if seconds < MILLISECONDS_BELOW_S else duration(seconds)


def _percent(ratio: float) -> str:
    return f"{ratio:.0%}"


def _whole(value: float) -> str:
    return f"{value:.0f}"


_SHAPES: Mapping[str, Callable[[float], Any]] = {
    "silent_s": _tenths,
    "left_s": _left,
    "rtt_s": _answer_time,
    "rtt_p95_s": _answer_time,
    "limit_s": _answer_time,
    "loss": _percent,
    "limit": _percent,
    "penalty": _whole,
}
