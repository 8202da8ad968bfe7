"""The shape of `status --json` and `/api/status` (contract, section 2), as JSON Schema.

The contract's keys are a floor: what we add to them stands here as optional.
"""

from __future__ import annotations

from typing import Any

TIME = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"}
TIME_OR_NULL = {"anyOf": [TIME, {"type": "null"}]}
NUMBER_OR_NULL = {"type": ["number", "null"]}
COUNT = {"type": "integer", "minimum": 0}


def closed(properties: dict[str, Any], *, optional: tuple[str, ...] = ()) -> dict[str, Any]:
    """An object with exactly these properties."""
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


DIRECTION = {
    "anyOf": [
        {"type": "null"},
        closed(
            {
                "out": closed({"loss_ratio": NUMBER_OR_NULL, "jitter_s": NUMBER_OR_NULL}),
                "back": closed({"loss_ratio": NUMBER_OR_NULL, "jitter_s": NUMBER_OR_NULL}),
                "unknown": closed({"loss_ratio": NUMBER_OR_NULL}),
            }
        ),
    ]
}
REASON = closed({"code": {"type": "string", "pattern": "^[a-z0-9-]+$"}, "args": {"type": "object"}})
LINE = closed(
    {
        "name": {"type": "string"},
        "carrier": {"type": ["string", "null"]},
        "verdict": {"enum": ["unknown", "up", "degraded", "down"]},
        "active": {"type": "boolean"},
        "preferred": {"type": "integer"},
        "rtt_s": NUMBER_OR_NULL,
        "rtt_p95_s": NUMBER_OR_NULL,
        "loss_ratio": NUMBER_OR_NULL,
        "since": TIME_OR_NULL,
        "reason": REASON,
        "interface": {"type": ["string", "null"]},
        "metered": {"type": "boolean"},
        "hold_left_s": NUMBER_OR_NULL,
        "penalty": NUMBER_OR_NULL,
        "suppressed": {"type": "boolean"},
        "order": {"enum": ["pin", "hold", "rehearse", None]},
        "targets": {
            "type": "array",
            "items": closed(
                {
                    "address": {"type": ["string", "null"]},
                    "kind": {"type": ["string", "null"]},
                    "role": {"type": ["string", "null"]},
                    "loss_ratio": NUMBER_OR_NULL,
                    "rtt_s": NUMBER_OR_NULL,
                    "jitter_s": NUMBER_OR_NULL,
                    "silent_s": NUMBER_OR_NULL,
                    "direction": DIRECTION,
                }
            ),
        },
    },
    optional=("interface", "metered", "hold_left_s", "penalty", "suppressed", "order", "targets"),
)
UPSTREAM = closed(
    {
        "name": {"type": "string"},
        "queued": COUNT,
        "waiting": COUNT,
        "dead": COUNT,
        "held": COUNT,
        "oldest_queued_at": TIME_OR_NULL,
        "paused": {"anyOf": [REASON, {"type": "null"}]},
        "failing": {"anyOf": [REASON, {"type": "null"}]},
        "last_delivered_at": TIME_OR_NULL,
    }
)
LOCAL = closed(
    {
        "name": {"const": "local"},
        "state": {"enum": ["current", "behind"]},
        "confirmed_txid": COUNT,
        "confirmed_at": TIME_OR_NULL,
        "rpo_s": NUMBER_OR_NULL,
    },
    optional=("confirmed_txid", "confirmed_at", "rpo_s"),
)
DESTINATION = closed(
    {
        "name": {"type": "string", "not": {"const": "local"}},
        "state": {"enum": ["current", "behind", "unreachable", "refused", "paused"]},
        "confirmed_txid": COUNT,
        "confirmed_at": TIME_OR_NULL,
        "rpo_s": NUMBER_OR_NULL,
        "behind_txids": COUNT,
        "behind_bytes": COUNT,
        "catch_up_s": NUMBER_OR_NULL,
        "last_drill": {
            "anyOf": [
                closed(
                    {"at": TIME, "ok": {"type": "boolean"}, "rto_s": NUMBER_OR_NULL, "outcome": {"type": "string"}},
                    optional=("outcome",),
                ),
                {"type": "null"},
            ]
        },
        "last_drill_ok": {"anyOf": [closed({"at": TIME, "rto_s": NUMBER_OR_NULL}), {"type": "null"}]},
        "reason": {"anyOf": [REASON, {"type": "null"}]},
        "conditional_puts": {"type": ["boolean", "null"]},
        "kit": {"type": ["integer", "null"]},
        "last_anchor": {"anyOf": [closed({"at": TIME, "seq": COUNT}), {"type": "null"}]},
        "claimed_at": TIME_OR_NULL,
        "last_verify": {
            "anyOf": [closed({"at": TIME, "ok": {"type": "boolean"}, "findings": COUNT}), {"type": "null"}]
        },
    },
    optional=("reason", "last_drill_ok", "conditional_puts", "kit", "last_anchor", "claimed_at", "last_verify"),
)
STATUS_SCHEMA: dict[str, Any] = closed(
    {
        "schema": {"const": 1},
        "node": closed(
            {
                "id": {"type": "string"},
                "epoch": {"type": "integer", "minimum": 1},
                "superseded_by": {"type": ["string", "null"]},
                "version": {"type": "string"},
            }
        ),
        "mode": closed(
            {"name": {"enum": ["starting", "online", "backup", "offline"]}, "since": TIME_OR_NULL, "reason": REASON}
        ),
        "posture": closed(
            {
                "name": {"enum": ["online", "backup", "offline", "recovering", "unknown"]},
                "exercise": {"type": "boolean"},
            }
        ),
        "lines": {"type": "array", "items": LINE},
        "replica": closed(
            {
                "litestream": {"enum": ["running", "stopped", "failing"]},
                "txid": COUNT,
                "captured_at": TIME_OR_NULL,
                "destinations": {"type": "array", "items": {"oneOf": [LOCAL, DESTINATION]}},
            }
        ),
        "outbox": closed(
            {
                "queued": COUNT,
                "waiting": COUNT,
                "dead": COUNT,
                "oldest_queued_at": TIME_OR_NULL,
                "paused_upstreams": {"type": "array", "items": {"type": "string"}},
                "held": COUNT,
                "since_outage": COUNT,
                "last_delivered_at": TIME_OR_NULL,
                "upstreams": {"type": "array", "items": UPSTREAM},
            },
            optional=("held", "since_outage", "last_delivered_at", "upstreams"),
        ),
        "services": {
            "type": "array",
            "items": closed(
                {
                    "name": {"type": "string"},
                    "state": {"enum": ["ok", "stale", "stopped"]},
                    "written_at": TIME_OR_NULL,
                }
            ),
        },
        "problems": {"type": "array", "items": REASON},
    }
)
